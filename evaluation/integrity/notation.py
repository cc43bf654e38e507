"""Share of rows whose cells are written otherwise than those of the real file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twinset.core.contracts import (
    Comparison,
    Measurement,
    NotMeasurable,
)
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.reading_faults import ReadingFaultKind, ReadingFaults

from ._integrity_metric import IntegrityMetric

# Facts that no program which reads columns by their names has to know of
_FOR_INFORMATION = frozenset(
    {
        ReadingFaultKind.COLUMN_ORDER,
        ReadingFaultKind.DELIMITER,
        ReadingFaultKind.ENCODING,
    }
)


@dataclass(frozen=True, kw_only=True)
class Notation(IntegrityMetric):
    """Share of rows with a cell that is written otherwise than real cells, in the worst column.

    value = max_j (rows at fault in column j) / (rows), in [0, 1]; 1 for a missing or additional column.
    Cells are read by the kinds of the real set: those that are understood are compared by their values, all
    others as missing values. Another order of the columns, separator or encoding is named and counts 0.

    Parameters
    ----------
    margin : float
        Largest acceptable share, 0 or more.

    Examples
    --------
    >>> from twinset.core.contracts import ComparisonContext
    >>> from twinset.core.data.dataset import Dataset
    >>> from twinset.core.reading_faults import (ReadingFault)
    >>> import pyarrow as pa
    >>> rows = Dataset.from_arrow(pa.table({"age": [31, None, 47, 50]}))
    >>> fault = ReadingFault(kind=ReadingFaultKind.UNREADABLE, column="age", n_rows=1, rows=(2,))
    >>> context = ComparisonContext(reading_faults=(fault,))
    >>> given = Comparison(rows, rows, rows, context=context)
    >>> Notation().compute(given, np.random.default_rng(0)).value
    0.25
    """

    title = "notation of the file"
    interpretation = (
        "The share of rows whose cells are written otherwise than real ones, in the worst column; 0 is "
        "best. What was understood is compared as if it were written like the real cells."
    )
    kinds = TABULAR_KINDS | {"id", "text"}
    on_request = True  # `evaluate` and `compare` do: they read the file

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the share of rows at fault in the worst column; the finding names all faults."""
        faults, n = comparison.context.reading_faults, len(comparison.synthetic)
        if faults is None:
            raise NotMeasurable("the rows were not read from a file or table of the user")
        shares = [
            min(one.n_rows / max(n, 1), 1.0) if one.n_rows else 1.0
            for one in faults
            if one.kind not in _FOR_INFORMATION
        ]
        return Measurement(max(shares, default=0.0), findings=(ReadingFaults(faults, n),))

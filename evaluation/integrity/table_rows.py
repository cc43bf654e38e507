"""Share of rows of a table that real rows rule out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twinset.core.contracts import Comparison, Measurement, Metric, Role
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.parameters import Margin

from .._samples import check_not_empty, require_rows
from ._checks import Check, measure_checks

_MIN_ROWS = 50  # real rows of each set: fewer rule nothing out


@dataclass(frozen=True, kw_only=True)
class TableRows(Metric):
    """Share of rows with a fault: something that real rows rule out, or show more seldom.

    value = (rows with a fault) / (rows), in [0, 1]. Every row is checked.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.data.dataset import Dataset
    >>> real = Dataset.from_arrow(pa.table({"age": [float(i % 60) for i in range(300)]}))
    >>> TableRows().compute(Comparison(real, real, real), np.random.default_rng(0)).value
    0.0
    """

    family = "integrity"
    title = "rows of the table"
    interpretation = (
        "The share of synthetic rows with something that real rows rule out: values beyond the range, "
        "unknown labels, broken rules, repeated rows; 0 is best, and any fault beyond chance counts."
    )
    roles = frozenset({Role.APPEARANCE})
    higher_is_better = False
    bounds = (0.0, 1.0)
    kinds = TABULAR_KINDS | {"id", "text"}
    has_floor = False
    known_baseline = 0.0

    margin: Margin = 0.0

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the share of rows with a fault; findings name each fault."""
        check_not_empty(comparison)
        require_rows([comparison.train, comparison.reference], _MIN_ROWS, "real rows")
        checks: list[Check] = []
        return measure_checks(comparison, checks)

"""Share of rows of a table that real rows rule out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twinset.core.contracts import Comparison, Measurement
from twinset.core.data.schema import TABULAR_KINDS

from .._samples import check_not_empty, require_rows
from ._checks import Check, measure_checks
from ._columns import read_columns
from ._combinations import combination_checks, order_checks, relation_checks, rule_checks
from ._integrity_metric import IntegrityMetric
from ._labels import label_checks
from ._repeats import row_checks
from ._values import value_checks

_MIN_ROWS = 50  # real rows of each set: fewer rule nothing out


@dataclass(frozen=True, kw_only=True)
class TableRows(IntegrityMetric):
    """Share of rows with a fault: something that real rows rule out, or show more seldom.

    value = (rows with a fault) / (rows), in [0, 1]. Every row is checked for: cells that are missing where
    none ever is; numbers and times beyond the tails of real ones, with more digits, rounded more often, or
    one of them repeated; labels that are unknown or spelt in another way, forms of texts, blanks; keys
    that repeat, rows that repeat in all columns, in all but one, or nearly; rules, orders of two columns,
    combinations that never occur, ratios and differences of two numbers.

    What is ruled out is learnt from real rows, and counted in real rows that it was not learnt from. A
    fault shows more often than that by an exact test, corrected for the number of checks: of fresh real
    sets, fewer than one in a hundred has any.

    Parameters
    ----------
    margin : float
        Share of rows with a fault that is still equivalent.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.data.dataset import Dataset
    >>> real = Dataset.from_arrow(pa.table({"age": [float(i % 60) for i in range(300)]}))
    >>> TableRows().compute(Comparison(real, real, real), np.random.default_rng(0)).value
    0.0
    """

    title = "rows of the table"
    interpretation = (
        "The share of synthetic rows with something that real rows rule out: values beyond the range, "
        "unknown labels, broken rules, repeated rows; 0 is best, and any fault beyond chance counts."
    )
    kinds = TABULAR_KINDS | {"id", "text"}

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the share of rows with a fault; findings name each fault."""
        check_not_empty(comparison)
        require_rows([comparison.train, comparison.reference], _MIN_ROWS, "real rows")
        columns = read_columns(comparison)
        checks: list[Check] = []
        for column in columns:
            checks += value_checks(column) if column.is_numeric else label_checks(column)
        checks += row_checks(columns)
        checks += rule_checks(comparison)
        checks += order_checks(columns)
        checks += combination_checks(columns)
        checks += relation_checks(columns)
        return measure_checks(comparison, checks)

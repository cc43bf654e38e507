"""Whether models trained on synthetic rows predict every column of real rows from its others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from twinset.core.contracts import (
    Comparison,
    ComponentResults,
    Measurement,
    Metric,
    MetricFamily,
    NotMeasurable,
)
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.findings import ColumnLimit
from twinset.core.parameters import Ge, Margin, Replicates
from twinset.core.seeding import draw_seed
from twinset.core.stats.bootstrap import Groups

from ._every_column import ColumnLosses, losses

_LEAST_ROWS = 60
_LEAST_EXPLAINED = 0.05


@dataclass(frozen=True, kw_only=True)
class EveryColumn(Metric):
    """Trains a model for every column, from all others, and tests all of them on the real holdout.

    Of a set whose later use is open no single target says what it is good for. Here each column is the
    target once. A forest is trained on synthetic rows; its number is the share of the variance of the
    column in real holdout rows that it explains: 1 is all, 0 what guessing by the column's own shares
    explains, less is worse than guessing. Numbers and dates count by their rank among real ones, so
    that no large one decides; labels by whether each is there (Brier's skill score). The value is
    the mean over the columns, and the baseline that of forests trained on real rows.

    Parameters
    ----------
    margin : float
        Largest harm that still counts as good as real, in the unit of the value.
    column_margin : float
        The same for a single column: one that is farther off makes the whole different.
    max_rows : int
        Rows of each set that are looked at, 60 or more.
    max_columns : int
        Columns that are predicted, 2 or more; of a wider table the target and the first ones.
    replicates : int
        Bootstrap replicates over the holdout rows; the models are not fitted again.

    References
    ----------
    Jiang, Simjian and others, "TabStruct: Measuring Structural Fidelity of Tabular Data", 2025
    (global utility; there each column's score is divided by that of real rows, see `global_utility`
    in the details).

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.data.dataset import Dataset
    >>> x = np.random.default_rng(0).normal(size=(3, 300))
    >>> real, held, made = (Dataset.from_arrow(pa.table({"x": v, "y": -v})) for v in x)
    >>> found = EveryColumn().compute(Comparison(real, made, held), np.random.default_rng(1))
    >>> found.value > 0.95
    True
    """

    family: ClassVar[MetricFamily] = "utility"
    title: ClassVar[str] = "every column predicted from the others"
    interpretation: ClassVar[str] = (
        "Each column is predicted from all others, by models of synthetic rows, on real ones: the share "
        "of the variance that they explain, on average. The baseline is what models of real rows "
        "explain; the nearer, the more purposes the set serves."
    )
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (float("-inf"), 1.0)
    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS
    # Independent columns explain nothing, by definition.
    has_floor: ClassVar[bool] = False
    is_thorough: ClassVar[bool] = True

    margin: Margin = 0.02
    column_margin: Margin = 0.05
    max_rows: Annotated[int, Ge(_LEAST_ROWS)] = 5_000
    max_columns: Annotated[int, Ge(2)] = 30
    replicates: Replicates = 200

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the mean share of the variance that is explained; details hold every column's."""
        names = [n for n in comparison.train.schema.names if n != comparison.target]
        names = [n for n in comparison.train.schema.names if n == comparison.target] + names
        left_out = len(names) - self.max_columns
        names = names[: self.max_columns]
        if len(names) < 2:
            raise NotMeasurable("a column that is predicted from others needs two")
        holdout = comparison.reference.at_most(self.max_rows, rng)
        if min(len(holdout), len(comparison.train), len(comparison.synthetic)) < _LEAST_ROWS:
            raise NotMeasurable(f"it needs at least {_LEAST_ROWS} rows of each set")
        seed = draw_seed(rng)
        groups = Groups.assign(len(holdout), self.replicates, rng)
        train = comparison.train.at_most(self.max_rows, rng)
        key = f"every column: {names}, {self.max_rows}"
        if key not in comparison.cache:
            comparison.cache[key] = losses(train, train, holdout, names, seed)
        real: ColumnLosses = comparison.cache[key]
        if not real.names:
            raise NotMeasurable("no column varies among the holdout rows")
        made = real
        if comparison.synthetic is not comparison.train:
            synthetic = comparison.synthetic.at_most(self.max_rows, rng)
            made = losses(train, synthetic, holdout, names, seed)
        values, drawn = made.explained(groups)
        by_real, _ = real.explained(groups)
        worst = np.argsort(values - by_real, kind="stable")
        told = by_real >= _LEAST_EXPLAINED
        facts = {
            "explained": {
                real.names[i]: {"synthetic": float(values[i]), "real": float(by_real[i])}
                for i in worst
            },
            "global_utility": float(np.mean(values[told] / by_real[told])) if told.any() else None,
            "max_rows": self.max_rows,
        }
        limit = (ColumnLimit(len(names), len(names) + left_out),) if left_out > 0 else ()
        parts = ComponentResults("column", real.names, values, drawn, self.column_margin)
        return Measurement(float(values.mean()), drawn.mean(axis=1), limit, parts, facts)

"""Whether each column follows from all others as it does in real rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt

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

from ._columns import chosen_columns
from ._forecasts import Forecasts, stray_fractions, stray_slopes

Floats = npt.NDArray[np.float64]

_LEAST_ROWS = 40
_BELOW = 0.05


@dataclass(frozen=True, kw_only=True)
class Conditionals(Metric):
    """Asks whether each column follows from all others as it does in real rows.

    Forests learn, from real rows, to forecast each column from all others: its level, or which of
    eight real quantile bins a number lies in. The number of a column is the share of its values that
    stray: that look drawn at random from the column, whatever the rest of their row says. Real rows
    stray as well, as far as nothing tells them; a column shuffled in a tenth of the rows has a tenth
    of the others on top, and so have noise and flipped labels as far as they go. The value is the
    mean over the columns, 0 to 1. A column of which fewer values stray than of real ones, because it
    was filled in from the others too neatly, is different as well.

    Parameters
    ----------
    margin : float
        Share by which more values may stray than of real rows.
    column_margin : float
        The same for a single column, either way: one that is farther off makes the whole different.
    max_rows : int
        Rows of each side that are looked at, 40 or more.
    max_columns : int
        Columns looked at, 2 or more; of a wider table the target and the first ones are taken.
    replicates : int
        Bootstrap replicates; rows are drawn, the forests are not grown again.

    References
    ----------
    Jiang, Simjian and others, "TabStruct: Measuring Structural Fidelity of Tabular Data", 2025
    (every column predicted from the rest); Breiman, "Random forests", Machine Learning 45, 2001.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.data.dataset import Dataset
    >>> x = np.arange(200) % 4
    >>> real = Dataset.from_arrow(pa.table({"x": x.astype(str), "y": x.astype(str)}))
    >>> made = Dataset.from_arrow(pa.table({"x": x.astype(str), "y": np.roll(x, 1).astype(str)}))
    >>> told = Comparison(train=real, synthetic=made, reference=real)
    >>> Conditionals(replicates=2).compute(told, np.random.default_rng(0)).value > 0.9
    True
    """

    family: ClassVar[MetricFamily] = "gap"
    title: ClassVar[str] = "how columns follow from one another"
    interpretation: ClassVar[str] = (
        "Models of real rows predict each column from all others; the number is the share of values that "
        "look drawn at random. Real rows have such values too: more of them means that relations were "
        "lost, fewer that rows are too neat."
    )
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS
    is_thorough: ClassVar[bool] = True

    margin: Margin = 0.01
    column_margin: Margin = 0.01
    max_rows: Annotated[int, Ge(_LEAST_ROWS)] = 10_000
    max_columns: Annotated[int, Ge(2)] = 40
    replicates: Replicates = 200

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the mean share of straying values; details hold each column's, worst first."""
        reference = comparison.reference.at_most(self.max_rows, rng)
        synthetic = comparison.synthetic.at_most(self.max_rows, rng)
        names = chosen_columns(reference, comparison.target, self.max_columns)
        if len(names) < 2:
            raise NotMeasurable("a column that follows from others needs two, and there are fewer")
        if min(len(reference), len(synthetic)) < _LEAST_ROWS:
            raise NotMeasurable(f"it needs at least {_LEAST_ROWS} rows of each side")
        seed = draw_seed(rng)
        key = f"forecasts of {names}"
        if key not in comparison.cache:
            comparison.cache[key] = Forecasts.of(reference, names, seed)
        told, by_chance = comparison.cache[key].told(synthetic)
        fractions = stray_fractions(told, by_chance)
        value = float(fractions.mean())
        if comparison.value_only:
            return Measurement(value)
        groups = Groups.assign(len(synthetic), self.replicates, rng)
        slopes = stray_slopes(told, by_chance, fractions)
        drawn = _resampled(fractions, slopes, groups)
        worst = np.argsort(-fractions, kind="stable")
        facts = {
            "stray_fractions": {names[i]: float(fractions[i]) for i in worst},
            "rows": {"real": len(reference), "synthetic": len(synthetic)},
            "max_rows": self.max_rows,
        }
        n_columns = len(reference.schema.names)
        limit = (ColumnLimit(len(names), n_columns),) if len(names) < n_columns else ()
        return Measurement(
            value,
            drawn.mean(axis=1),
            limit,
            ComponentResults(
                "column",
                (*names, *(f"{name} (too neat)" for name in names)),
                np.concatenate([fractions, 1 - fractions]),
                np.concatenate([drawn, 1 - drawn], axis=1),
                self.column_margin,
            ),
            facts,
        )


def _resampled(fractions: Floats, slopes: Floats, groups: Groups) -> Floats:
    """Return the fractions of each replicate, shape (b, d): one Newton step from those of all rows."""
    _, first = groups.means(slopes)
    _, second = groups.means(slopes**2)
    # Where neither tells anything the share of all rows stays.
    step = np.divide(first, second, out=np.zeros_like(first), where=second > 1e-12)
    # Let below 0 and above 1 a little: where all rows give 0 or 1, the draws tell how sure that is.
    return np.asarray(np.maximum(fractions + step, -_BELOW))

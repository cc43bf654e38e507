"""Shares of values that do not follow from the other columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from twinset.core.contracts import Comparison, ComponentResults, Measurement, NotMeasurable
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.parameters import Ge, Margin
from twinset.core.seeding import draw_seed
from twinset.core.stats.bootstrap import Groups

from .._bootstrap_metric import SampledMetric
from .._results import largest_first
from .._samples import cached, draw_samples, limit_columns, require_rows
from ._columns import choose_columns
from ._forecasts import ColumnForecasts, resample_fractions, stray_fractions

_MIN_ROWS = 40  # fewer rows give a forest no two leaves


@dataclass(frozen=True, kw_only=True)
class Conditionals(SampledMetric):
    """Share of values that look random given all other columns, averaged over columns.

    Random forests of real rows forecast each column from all others: its level, or which of eight
    real quantile bins a number lies in. The number of column j is the w_j that maximises
    sum_i log((1 - w) f_ij + w c_ij), f_ij being the forecast of the value in row i and c_ij the real
    share of that value: the part of the values that look drawn from the column alone.

    value = mean_j w_j, in [0, 1]. Real rows have straying values too; a column shuffled in a tenth of
    the rows has a tenth of the others on top, as have noise and flipped labels in their measure. A
    column with fewer of them than real rows was filled in from the others too neatly, and differs too.

    Parameters
    ----------
    column_margin : float
        Equivalence margin of a single column, in both directions; one beyond it makes the whole different.
    max_columns : int
        Columns that are compared, 2 or more; of a wider table the target and the first ones.

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
    >>> rolled = Dataset.from_arrow(pa.table({"x": x.astype(str), "y": np.roll(x, 1).astype(str)}))
    >>> sets = Comparison(train=real, synthetic=rolled, reference=real)
    >>> Conditionals(replicates=2).compute(sets, np.random.default_rng(0)).value > 0.9
    True
    """

    family = "gap"
    title = "how columns follow from one another"
    interpretation = (
        "Models of real rows predict each column from all others; the number is the share of values that "
        "look drawn at random. Real rows have such values too: more of them means that relations were "
        "lost, fewer that rows are too neat."
    )
    kinds = TABULAR_KINDS
    is_thorough = True

    margin: Margin = 0.01
    column_margin: Margin = 0.01
    max_rows: Annotated[int, Ge(_MIN_ROWS)] = 10_000
    max_columns: Annotated[int, Ge(2)] = 40

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the mean share of straying values; facts hold each column's, largest first."""
        reference, synthetic = draw_samples(comparison, self.max_rows, rng)
        names = choose_columns(reference, comparison.target, self.max_columns)
        if len(names) < 2:
            raise NotMeasurable("a column that follows from others needs two, and there are fewer")
        require_rows((reference, synthetic), _MIN_ROWS)
        seed, key = draw_seed(rng), f"forecasts of {names}"
        models = cached(comparison, key, lambda: ColumnForecasts.fit(reference, names, seed))
        forecast, chance = models.forecast(synthetic)
        fractions = stray_fractions(forecast, chance)
        if comparison.value_only:
            return Measurement(float(fractions.mean()))
        groups = Groups.assign(len(synthetic), self.replicates, rng)
        drawn = resample_fractions(forecast, chance, fractions, groups)
        limit = limit_columns(len(names), len(reference.schema.names))
        facts = {
            "stray_fractions": largest_first(names, fractions),
            "rows": {"real": len(reference), "synthetic": len(synthetic)},
            "max_rows": self.max_rows,
        }
        # Both directions of a column are components; only the first one counts in the mean.
        components = ComponentResults(
            "column",
            (*names, *(f"{name} (too neat)" for name in names)),
            np.concatenate([fractions, 1 - fractions]),
            np.concatenate([drawn, 1 - drawn], axis=1),
            self.column_margin,
        )
        return Measurement(float(fractions.mean()), drawn.mean(axis=1), limit, components, facts)

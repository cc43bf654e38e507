"""How far pairs of columns are from hanging together as the real ones do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
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
    Role,
)
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.findings import ColumnLimit, Finding, PairDistances
from twinset.core.parameters import Ge, Margin, Replicates
from twinset.core.stats.bootstrap import Groups, total_variation

from ._columns import chosen_columns
from ._pair_tables import PairCounts, cells_of
from ._pooled import PooledColumn

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Pairs(Metric):
    """Compares pairs of columns: how far their dependence lies from the real one.

    Two numeric columns: half the difference of their rank correlations (Spearman). A pair with a
    category: the total variation distance of the two contingency tables, with numbers cut at the real
    quantiles. The value is the mean over all pairs, 0 (alike) to 1.

    Parameters
    ----------
    margin : float
        Largest harm that still counts as good as real, in the unit of the value.
    pair_margin : float
        The same for a single pair: one that is farther off makes the whole different.
    n_bins : int
        Bins that a number is cut into beside a category, 2 or more.
    max_columns : int
        Columns looked at, 2 or more; of a wider table the target and the first ones are taken.
    replicates : int
        Bootstrap replicates.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.data.dataset import Dataset
    >>> up = [1.5, 2.5, 3.5, 4.5]
    >>> made, real = (Dataset.from_arrow(pa.table({"a": up, "b": b})) for b in (up, up[::-1]))
    >>> Pairs().compute(Comparison(real, made, real), np.random.default_rng(0)).findings[0]
    PairDistances(distances=(('a', 'b', 1.0),))
    """

    family: ClassVar[MetricFamily] = "gap"
    title: ClassVar[str] = "pairs of columns"
    interpretation: ClassVar[str] = (
        "How far the dependence between two columns is from real, averaged over the pairs: 0 is the same "
        "dependence. Right columns with wrong pairs mean that relations were lost."
    )
    roles: ClassVar[frozenset[Role]] = frozenset({Role.BASIC_APPEARANCE, Role.DEPENDENCE})
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS

    margin: Margin = 0.02
    pair_margin: Margin = 0.05
    n_bins: Annotated[int, Ge(2)] = 10
    max_columns: Annotated[int, Ge(2)] = 40
    replicates: Replicates = 200

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the mean distance over all pairs; details hold every pair's, worst first."""
        synthetic, reference = comparison.synthetic, comparison.reference
        names = chosen_columns(reference, comparison.target, self.max_columns)
        if len(names) < 2:
            raise NotMeasurable("a pair needs two columns, and there are fewer")
        if not len(synthetic) or not len(reference):
            raise NotMeasurable("there are no rows to compare")
        of_reference = Groups.assign(len(reference), self.replicates, rng)
        of_synthetic = Groups.assign(len(synthetic), self.replicates, rng)
        cache = comparison.cache
        columns = [PooledColumn.of(synthetic, reference, name, cache) for name in names]
        cuts = [cells_of(column, self.n_bins) for column in columns]
        made = PairCounts.of(columns, 0, cuts, of_synthetic)
        real: PairCounts | None = cache.get("counted")
        # Only an equal deal, which is what equal streams give, may be counted on.
        if real is None or not real.groups.equals(of_reference):
            real = cache["counted"] = PairCounts.of(columns, 1, cuts, of_reference)
        matrix = np.zeros((len(names), len(names)))
        drawn = np.zeros((self.replicates, len(names), len(names)))
        numbers = np.array(real.numbers, dtype=np.int64)
        if len(numbers) > 1:
            whole, replicates = _correlation_gaps(made, real)
            matrix[np.ix_(numbers, numbers)] = whole
            drawn[:, numbers[:, None], numbers] = replicates
        for i, j in combinations(range(len(names)), 2):
            if not (columns[i].is_number and columns[j].is_number):
                matrix[i, j], drawn[:, i, j] = _table_gap(made, real, i, j)
        first, second = np.triu_indices(len(names), 1)
        values, replicates = matrix[first, second], drawn[:, first, second]
        called = tuple(f"{names[i]} with {names[j]}" for i, j in zip(first, second))
        left_out = len(reference.schema.names) - len(names)
        return Measurement(
            float(values.mean()),
            replicates.mean(axis=1),
            _findings(names, matrix, left_out),
            ComponentResults("pair", called, values, replicates, self.pair_margin),
        )


def _correlation_gaps(made: PairCounts, real: PairCounts) -> tuple[Floats, Floats]:
    """Return half the differences of the rank correlations, shape (d, d), and replicates, (b, d, d)."""
    found = []
    for side in (made, real):
        sizes = side.groups.sizes.astype(np.float64)
        draws = (np.ones((1, side.groups.size)), side.groups.draws)
        found.append([_correlations(own, sizes, *side.rank_products) for own in draws])
    (whole_s, drawn_s), (whole_r, drawn_r) = found
    return np.abs(whole_s - whole_r)[0] / 2, np.abs(drawn_s - drawn_r) / 2


def _correlations(draws: Floats, sizes: Floats, sums: Floats, products: Floats) -> Floats:
    """Return the correlation matrix of each replicate, shape (b, d, d), diagonal 0."""
    n = (draws @ sizes)[:, None]
    means = draws @ sums / n
    d = sums.shape[1]
    covariance = (draws @ products.reshape(len(products), -1)).reshape(-1, d, d) / n[..., None]
    covariance -= means[:, :, None] * means[:, None, :]
    spread = np.sqrt(np.maximum(np.einsum("bii->bi", covariance), 0.0))
    scale = spread[:, :, None] * spread[:, None, :]
    out: Floats = np.zeros_like(covariance)
    np.divide(covariance, scale, out=out, where=scale > 1e-12)
    out[:, np.arange(d), np.arange(d)] = 0.0
    return out


def _table_gap(made: PairCounts, real: PairCounts, i: int, j: int) -> tuple[float, Floats]:
    """Return the distance of two contingency tables and its replicates, shape (b,)."""
    (whole_s, drawn_s), (whole_r, drawn_r) = made.shares(i, j), real.shares(i, j)
    return float(total_variation(whole_s, whole_r)[0]), total_variation(drawn_s, drawn_r)


def _findings(names: Sequence[str], matrix: Floats, left_out: int) -> tuple[Finding, ...]:
    pairs = [
        (names[i], names[j], float(matrix[i, j])) for i, j in combinations(range(len(names)), 2)
    ]
    found = PairDistances(tuple(sorted(pairs, key=lambda pair: -pair[2])))
    return (found, ColumnLimit(len(names), len(names) + left_out)) if left_out else (found,)

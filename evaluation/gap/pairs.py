"""Distances of the dependence between pairs of columns."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from typing import Annotated

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Comparison, Measurement, NotMeasurable, Role
from twinset.core.data.dataset import Dataset
from twinset.core.findings import PairDistances
from twinset.core.parameters import Ge, Margin
from twinset.core.stats.bootstrap import Groups

from .._bootstrap_metric import BootstrapMetric, Floats, Ints
from .._results import Shares, average_components, share_distance
from .._samples import check_not_empty, draw_groups, limit_columns
from ._columns import CodedColumn, choose_columns, fit_cells

# Most frequent labels with a cell of their own: of more, tables are mostly empty cells, whose
# distance is chance.
_MAX_LEVELS = 20
_MIN_VARIANCE = 1e-12  # of rank scores, which have variance 1: below it a column is constant


@dataclass(frozen=True, kw_only=True)
class Pairs(BootstrapMetric):
    """Distance of the dependence of two columns, averaged over all pairs of columns.

    value = mean_ij d_ij. Of two numbers, d = |rho_synthetic - rho_real| / 2 for Spearman's rank
    correlation rho. Of a pair with a category, d is the total variation distance of the two
    contingency tables, with numbers cut at the real quantiles. Range [0, 1]; 0 = equal dependence.

    Parameters
    ----------
    pair_margin : float
        Equivalence margin of a single pair; one beyond it makes the whole different.
    n_bins : int
        Bins that a number beside a category is cut into, 2 or more.
    max_columns : int
        Columns that are compared, 2 or more; of a wider table the target and the first ones.

    References
    ----------
    Spearman (1904), The Proof and Measurement of Association between Two Things, American Journal of
    Psychology 15.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.data.dataset import Dataset
    >>> up = [1.5, 2.5, 3.5, 4.5]
    >>> falling, real = (Dataset.from_arrow(pa.table({"a": up, "b": b})) for b in (up, up[::-1]))
    >>> Pairs().compute(Comparison(real, falling, real), np.random.default_rng(0)).findings[0]
    PairDistances(distances=(('a', 'b', 1.0),))
    """

    family = "gap"
    title = "pairs of columns"
    interpretation = (
        "How far the dependence between two columns is from real, averaged over the pairs: 0 is the same "
        "dependence. Right columns with wrong pairs mean that relations were lost."
    )
    roles = frozenset({Role.BASIC_APPEARANCE, Role.DEPENDENCE})

    margin: Margin = 0.02
    pair_margin: Margin = 0.05
    n_bins: Annotated[int, Ge(2)] = 10
    max_columns: Annotated[int, Ge(2)] = 40

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the mean distance over all pairs; findings hold every pair's, largest first."""
        synthetic, reference = comparison.synthetic, comparison.reference
        names = choose_columns(reference, comparison.target, self.max_columns)
        if len(names) < 2:
            raise NotMeasurable("a pair needs two columns, and there are fewer")
        check_not_empty(comparison)
        groups = draw_groups(synthetic, reference, self.replicates, rng)
        coders = [
            fit_cells(reference, name, n_bins=self.n_bins, n_levels=_MAX_LEVELS) for name in names
        ]
        is_number = [reference.schema[name].has_order for name in names]
        numbers = np.flatnonzero(is_number)

        def count(rows: Dataset, own: Groups) -> PairCounts:
            coded = [CodedColumn.from_rows(rows, names[i]) for i in numbers]
            scores = [rank_scores(column.counts)[column.codes] for column in coded]
            return PairCounts(own, [code(rows) for code in coders], np.array(scores))

        found, cache = count(synthetic, groups[0]), comparison.cache
        real: PairCounts | None = cache.get("counted")
        # Equal streams give equal groups; counts of other groups cannot be used again.
        if real is None or not real.groups.equals(groups[1]):
            real = cache["counted"] = count(reference, groups[1])
        matrix = np.zeros((len(names), len(names)))
        drawn = np.zeros((self.replicates, len(names), len(names)))
        if len(numbers) > 1:
            whole, replicates = _correlation_gaps(found, real)
            matrix[np.ix_(numbers, numbers)] = whole
            drawn[:, numbers[:, None], numbers] = replicates
        for i, j in combinations(range(len(names)), 2):
            if not (is_number[i] and is_number[j]):
                matrix[i, j], drawn[:, i, j] = share_distance(found.shares(i, j), real.shares(i, j))
        pairs = list(combinations(range(len(names)), 2))
        first, second = np.array(pairs).T
        distances = [(names[i], names[j], float(matrix[i, j])) for i, j in pairs]
        ranked = PairDistances(tuple(sorted(distances, key=lambda pair: -pair[2])))
        return average_components(
            "pair",
            [f"{names[i]} with {names[j]}" for i, j in pairs],
            matrix[first, second],
            drawn[:, first, second],
            self.pair_margin,
            findings=(ranked, *limit_columns(len(names), len(reference.schema.names))),
        )


@dataclass(frozen=True)
class PairCounts:
    """Contingency tables and rank products of the rows of one set, each computed once."""

    groups: Groups
    cells: list[tuple[Ints, int]]  # for each column: each row's cell, and their number
    scores: Floats  # (d, n): rank scores of the d numbers
    tables: dict[tuple[int, int], npt.NDArray[np.int32]] = field(default_factory=dict)

    def shares(self, i: int, j: int) -> Shares:
        """Return the shares of the cells of two columns: over all rows, (1, c), and replicated, (b, c)."""
        if (i, j) not in self.tables:
            (first, n), (second, m) = self.cells[i], self.cells[j]
            self.tables[i, j] = self.groups.counts(first * m + second, n * m).astype(np.int32)
        return self.groups.shares(self.tables[i, j].astype(np.float64))

    @cached_property
    def rank_products(self) -> tuple[Floats, Floats]:
        """Sums, shape (g, d), and products, (g, d, d), of the rank scores of the d numbers."""
        # Group by group in memory: each is one slice, without a mask over all rows.
        order = np.argsort(self.groups.group.astype(np.uint8), kind="stable")
        parts = np.split(np.take(self.scores, order, 1), np.cumsum(self.groups.sizes)[:-1], axis=1)
        return np.stack([part.sum(axis=1) for part in parts]), np.stack([p @ p.T for p in parts])


def rank_scores(counts: Floats | Ints) -> Floats:
    """Return the mid-rank of each distinct value, centred and of unit spread over all rows."""
    present = counts[:-1].astype(np.float64)
    out = np.zeros(len(counts))
    if (present > 0).sum() > 1:
        ranks = np.cumsum(present) - (present - 1) / 2
        occurs = present > 0
        out[:-1][occurs] = (ranks - present @ ranks / present.sum())[occurs]
        out /= np.sqrt(counts @ out**2 / counts.sum())
    return out


def _correlation_gaps(synthetic: PairCounts, real: PairCounts) -> tuple[Floats, Floats]:
    """Return half the differences of the rank correlations, shape (d, d), and replicates, (b, d, d)."""
    found = []
    for counts in (synthetic, real):
        sizes = counts.groups.sizes.astype(np.float64)
        draws = (np.ones((1, counts.groups.size)), counts.groups.draws)
        found.append([_correlations(own, sizes, *counts.rank_products) for own in draws])
    whole, drawn = (np.abs(one - other) / 2 for one, other in zip(*found))
    return whole[0], drawn


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
    np.divide(covariance, scale, out=out, where=scale > _MIN_VARIANCE)
    out[:, np.arange(d), np.arange(d)] = 0.0
    return out

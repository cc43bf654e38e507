"""How far pairs of columns are from hanging together as the real ones do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import (
    Comparison,
    Measurement,
    Metric,
    MetricFamily,
    NotMeasurable,
    Parts,
)
from twinset.core.errors import ParameterError
from twinset.core.resampling import Groups, total_variation
from twinset.core.schema import TABULAR_KINDS

from ._columns import chosen_columns
from ._pooled import PooledColumn, quantile_places

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
SmallCodes = npt.NDArray[np.int32]

_TOP_LEVELS = 20


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
    """

    family: ClassVar[MetricFamily] = "gap"
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS

    margin: float = 0.02
    pair_margin: float = 0.05
    n_bins: int = 10
    max_columns: int = 40
    replicates: int = 200

    def __post_init__(self) -> None:
        settings = (self.n_bins, self.max_columns, self.replicates)
        if min(self.margin, self.pair_margin) < 0 or min(settings) < 2:
            raise ParameterError(
                "a setting is out of its range",
                allowed="margin and pair_margin >= 0; n_bins, max_columns and replicates >= 2",
            )

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the mean distance over all pairs; details hold every pair's, worst first."""
        synthetic, reference = comparison.synthetic, comparison.reference
        names = chosen_columns(reference, comparison.target, self.max_columns)
        if len(names) < 2:
            raise NotMeasurable("a pair needs two columns, and there are fewer")
        if not len(synthetic) or not len(reference):
            raise NotMeasurable("there are no rows to compare")
        of_reference = Groups.deal(len(reference), self.replicates, rng)
        groups = (Groups.deal(len(synthetic), self.replicates, rng), of_reference)
        columns = [PooledColumn.of(synthetic, reference, name) for name in names]
        matrix = np.zeros((len(names), len(names)))
        drawn = np.zeros((self.replicates, len(names), len(names)))
        numbers = np.flatnonzero([column.is_number for column in columns])
        if len(numbers) > 1:
            whole, replicates = _correlation_gaps([columns[i] for i in numbers], groups)
            matrix[np.ix_(numbers, numbers)] = whole
            drawn[:, numbers[:, None], numbers] = replicates
        cells = [_Cells.of(column, self.n_bins, groups) for column in columns]
        for i, j in combinations(range(len(names)), 2):
            if not (columns[i].is_number and columns[j].is_number):
                matrix[i, j], drawn[:, i, j] = _table_gap(cells[i], cells[j], groups)
        first, second = np.triu_indices(len(names), 1)
        values, replicates = matrix[first, second], drawn[:, first, second]
        called = tuple(f"{names[i]} with {names[j]}" for i, j in zip(first, second))
        left_out = len(reference.schema.names) - len(names)
        return Measurement(
            float(values.mean()),
            replicates.mean(axis=1),
            _details(names, matrix, left_out),
            Parts("pair", called, values, replicates, self.pair_margin),
        )


def rank_scores(counts: Floats) -> Floats:
    """Return the mid-rank of each distinct value, centred and of unit spread over all rows.

    Parameters
    ----------
    counts : numpy.ndarray, shape (k + 1,)
        How often each distinct value is there, in their order, and last how many are missing: these
        take the middle rank.

    Returns
    -------
    numpy.ndarray, shape (k + 1,)
        The scores; all 0 where the column is constant. The mean product of the scores of two columns
        is Spearman's correlation.

    Examples
    --------
    >>> rank_scores(np.array([1.0, 0.0, 1.0, 2.0])).round(3).tolist()
    [-1.414, 0.0, 1.414, 0.0]
    """
    present = counts[:-1]
    out = np.zeros(len(counts))
    if (present > 0).sum() > 1:
        ranks = np.cumsum(present) - (present - 1) / 2
        held = present > 0
        out[:-1][held] = (ranks - present @ ranks / present.sum())[held]
        out /= np.sqrt(counts @ out**2 / counts.sum())
    return out


def _correlation_gaps(
    columns: Sequence[PooledColumn], groups: tuple[Groups, Groups]
) -> tuple[Floats, Floats]:
    """Return half the differences of the rank correlations, shape (d, d), and replicates, (b, d, d)."""
    sides = [
        [rank_scores(column.made)[column.synthetic] for column in columns],
        [rank_scores(column.real)[column.reference] for column in columns],
    ]
    found = []
    for scores, group in zip(sides, groups):
        sizes = np.bincount(group.group, minlength=group.size)
        # Group by group in memory: each is one slice, without a mask over all rows.
        order = np.argsort(group.group, kind="stable")
        dealt = np.stack([column[order] for column in scores])
        parts = np.split(dealt, np.cumsum(sizes)[:-1], axis=1)
        sums = np.stack([part.sum(axis=1) for part in parts])
        products = np.stack([part @ part.T for part in parts])
        everything = np.ones((1, group.size))
        found.append(
            [
                _correlations(draws, sizes.astype(np.float64), sums, products)
                for draws in (everything, group.draws)
            ]
        )
    (whole_s, drawn_s), (whole_r, drawn_r) = found
    return np.abs(whole_s - whole_r)[0] / 2, np.abs(drawn_s - drawn_r) / 2


def _correlations(draws: Floats, sizes: Codes, sums: Floats, products: Floats) -> Floats:
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


@dataclass(frozen=True)
class _Cells:
    """A column as cells of contingency tables: of both sides each row's cell, and that by its group."""

    cells: tuple[SmallCodes, SmallCodes]
    by_group: tuple[SmallCodes, SmallCodes]
    n_cells: int

    @classmethod
    def of(cls, column: PooledColumn, n_bins: int, groups: tuple[Groups, Groups]) -> _Cells:
        """Return numbers cut at the real quantiles, or the commonest real levels, all others, missing."""
        k = len(column.values)
        if column.is_number:
            cut = np.zeros(0)
            if column.real[:-1].any():
                inner = np.linspace(0, 1, n_bins + 1)[1:-1]
                cut = np.unique(quantile_places(column.real[:-1], inner))
            place, n_kept = np.searchsorted(cut, np.arange(k), side="left"), len(cut)
        else:
            common = np.argsort(-column.real[:-1], kind="stable")[:_TOP_LEVELS]
            common = common[column.real[common] > 0]
            place, n_kept = np.full(k, len(common)), len(common)
            place[common] = np.arange(n_kept)
        table = np.append(place, n_kept + 1).astype(np.int32)
        cells = (table[column.synthetic], table[column.reference])
        of_groups = (side.group.astype(np.int32) * (n_kept + 2) for side in groups)
        dealt = [of_group + own for of_group, own in zip(of_groups, cells)]
        return cls(cells, (dealt[0], dealt[1]), n_kept + 2)


def _table_gap(one: _Cells, other: _Cells, groups: tuple[Groups, Groups]) -> tuple[float, Floats]:
    """Return the distance of two contingency tables and its replicates, shape (b,)."""
    n_cells, shares = one.n_cells * other.n_cells, []
    for side in (0, 1):
        flat = np.multiply(one.by_group[side], other.n_cells, dtype=np.int64)
        flat += other.cells[side]
        size = groups[side].size
        counts = np.bincount(flat, minlength=size * n_cells).reshape(size, n_cells)
        shares.append(groups[side].shares(counts.astype(np.float64)))
    (whole_s, drawn_s), (whole_r, drawn_r) = shares
    return float(total_variation(whole_s, whole_r)[0]), total_variation(drawn_s, drawn_r)


def _details(names: Sequence[str], matrix: Floats, left_out: int) -> dict[str, Any]:
    pairs = [
        [names[i], names[j], float(matrix[i, j])] for i, j in combinations(range(len(names)), 2)
    ]
    details: dict[str, Any] = {"pairs": sorted(pairs, key=lambda pair: -float(pair[2]))}
    if left_out:
        details["note"] = f"{len(names)} of {len(names) + left_out} columns were compared"
    return details

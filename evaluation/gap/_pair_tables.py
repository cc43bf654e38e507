"""The rows of one set counted and multiplied for pairs of columns, group by group and each pair once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from twinset.core.stats.bootstrap import Groups

from ._coded_column import CodedColumn
from ._pooled import PooledColumn, cut_at, quantile_places

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
SmallCodes = npt.NDArray[np.int32]

_TOP_LEVELS = 20


@dataclass(frozen=True)
class PairCounts:
    """The rows of one set, with a cell of a contingency table for each of their values.

    Parameters
    ----------
    groups : Groups
        Groups of the rows.
    columns : tuple of CodedColumn
        The columns.
    cells, by_group : tuple of numpy.ndarray of int, shape (n,)
        Once a column: each row's cell, and its cell among those of all groups.
    n_cells, numbers : tuple of int
        Cells of each column; which columns have ranks.
    tables : dict
        Tables that were counted already, by the places of their two columns.
    """

    groups: Groups
    columns: tuple[CodedColumn, ...]
    cells: tuple[SmallCodes, ...]
    by_group: tuple[SmallCodes, ...]
    n_cells: tuple[int, ...]
    numbers: tuple[int, ...]
    tables: dict[tuple[int, int], SmallCodes] = field(default_factory=dict)

    @classmethod
    def of(
        cls, columns: Sequence[PooledColumn], side: int, cuts: Sequence[SmallCodes], groups: Groups
    ) -> PairCounts:
        """Return the synthetic rows (`side` 0) or the reference (1); `cuts` are those of `cells_of`."""
        own = tuple(column.sides[side] for column in columns)
        places = [column.places[side] for column in columns]
        cells = tuple(cut[place][part.codes] for cut, place, part in zip(cuts, places, own))
        n_cells = tuple(int(cut[-1]) + 1 for cut in cuts)
        group = groups.group.astype(np.int32)
        by_group = tuple(group * n + of_rows for n, of_rows in zip(n_cells, cells))
        numbers = tuple(i for i, column in enumerate(columns) if column.is_number)
        return cls(groups, own, cells, by_group, n_cells, numbers)

    def shares(self, i: int, j: int) -> tuple[Floats, Floats]:
        """Return the shares of the cells of two columns: over all rows, (1, c), and replicated, (b, c)."""
        if (i, j) not in self.tables:
            flat = np.multiply(self.by_group[i], self.n_cells[j], dtype=np.int64)
            flat += self.cells[j]
            size, n_cells = self.groups.size, self.n_cells[i] * self.n_cells[j]
            counts = np.bincount(flat, minlength=size * n_cells).reshape(size, n_cells)
            self.tables[i, j] = counts.astype(np.int32)
        return self.groups.shares(self.tables[i, j].astype(np.float64))

    @cached_property
    def rank_products(self) -> tuple[Floats, Floats]:
        """Sums, shape (g, d), and products, (g, d, d), of the rank scores of the d numbers."""
        # Group by group in memory: each is one slice, without a mask over all rows.
        order = np.argsort(self.groups.group.astype(np.uint8), kind="stable")
        own = [self.columns[i] for i in self.numbers]
        dealt = np.stack([rank_scores(part.counts)[part.codes[order]] for part in own])
        parts = np.split(dealt, np.cumsum(self.groups.sizes)[:-1], axis=1)
        return np.stack([part.sum(axis=1) for part in parts]), np.stack([p @ p.T for p in parts])


def cells_of(column: PooledColumn, n_bins: int) -> SmallCodes:
    """Return the cell of each distinct value of a column, shape (k + 1,), missing in the last one.

    The reference alone decides them. Numbers are cut at its quantiles. Its 20 commonest labels have a
    cell each, and all others share the last but one.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.data.dataset import Dataset
    >>> made, real = (Dataset.from_arrow(pa.table({"c": c})) for c in (["a", "z"], ["a", "b", "b"]))
    >>> cells_of(PooledColumn.of(made, real, "c"), 10).tolist()  # of a, b, z and missing
    [1, 0, 2, 3]
    """
    counts = column.sides[1].counts[:-1].astype(np.float64)
    places, k = column.places[1], len(column.values)
    if column.is_number:
        inner = np.linspace(0, 1, n_bins + 1)[1:-1]
        cut = np.unique(quantile_places(counts, inner)) if len(counts) else np.zeros(0, np.int64)
        n_kept, cells = len(cut), cut_at(places[cut], k)
    else:
        common = np.argsort(-counts, kind="stable")[:_TOP_LEVELS]
        n_kept = len(common)
        cells = np.full(k, n_kept)
        cells[places[common]] = np.arange(n_kept)
    return np.append(cells, n_kept + 1).astype(np.int32)


def rank_scores(counts: Floats | Codes) -> Floats:
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
    present = counts[:-1].astype(np.float64)
    out = np.zeros(len(counts))
    if (present > 0).sum() > 1:
        ranks = np.cumsum(present) - (present - 1) / 2
        held = present > 0
        out[:-1][held] = (ranks - present @ ranks / present.sum())[held]
        out /= np.sqrt(counts @ out**2 / counts.sum())
    return out

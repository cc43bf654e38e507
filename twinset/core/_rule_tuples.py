"""Distinct tuples of values with their counts: looked up, and drawn from, many rows at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from twinset.core._rule_table import Array, Rows, RuleTable


@dataclass
class TupleIndex:
    """The distinct tuples of a few columns.

    Build one with `TupleIndex.of` from the rows of a table, or from listed tuples.

    Parameters
    ----------
    names : tuple of str
        The columns.
    values : tuple of numpy.ndarray
        For each column its value in each of the m tuples, shape (m,).
    counts : numpy.ndarray
        How many rows hold each tuple, shape (m,).
    """

    names: tuple[str, ...]
    values: tuple[Array, ...]
    counts: Rows
    _finders: dict[tuple[str, ...], _Finder] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, table: RuleTable, names: Sequence[str]) -> TupleIndex:
        """Return the tuples that occur in a table; rows with a missing value are passed over."""
        keys = table.keys(names)
        rows = np.flatnonzero(keys >= 0)
        _, first, counts = np.unique(keys[rows], return_index=True, return_counts=True)
        values = tuple(table.columns[name][rows[first]] for name in names)
        return cls(tuple(names), values, counts.astype(np.int64))

    def __len__(self) -> int:
        return len(self.counts)

    def find(self, table: RuleTable) -> Rows:
        """Return for each row the position of its tuple, shape (n,); -1 for one not known."""
        return self._finder(self.names).groups(table)

    def draw(
        self, table: RuleTable, rows: Rows, shared: Sequence[str], rng: np.random.Generator
    ) -> Rows:
        """Return for each row a tuple that equals it in the columns `shared`, drawn by count.

        Shape (n,); -1 where there is none.
        """
        finder = self._finder(tuple(shared))
        groups = finder.groups(table.take(rows))
        found = np.full(len(rows), -1, dtype=np.int64)
        known = groups >= 0
        low, high = finder.ends[groups[known]], finder.ends[groups[known] + 1]
        at = low + rng.random(len(low)) * (high - low)
        place = np.searchsorted(finder.cumulated, at, side="right")
        # A draw that falls on the upper end by rounding still belongs to its group.
        place = np.clip(place, finder.starts[groups[known]], finder.starts[groups[known] + 1] - 1)
        found[known] = finder.members[place]
        return found

    def _finder(self, names: tuple[str, ...]) -> _Finder:
        if names not in self._finders:
            self._finders[names] = _Finder.of(self, names)
        return self._finders[names]


@dataclass
class _Finder:
    """Tuples grouped by some of their columns, and a search tree of sorted keys to find the group."""

    names: tuple[str, ...]
    grids: list[Array]
    stages: list[npt.NDArray[np.int64]]
    members: Rows
    starts: Rows
    cumulated: npt.NDArray[np.float64]
    ends: npt.NDArray[np.float64]

    @classmethod
    def of(cls, index: TupleIndex, names: tuple[str, ...]) -> _Finder:
        grids, stages = [], []
        state = np.zeros(len(index), dtype=np.int64)
        for name in names:
            grid, place = np.unique(index.values[index.names.index(name)], return_inverse=True)
            stage, state = np.unique(state * len(grid) + place.ravel(), return_inverse=True)
            grids.append(grid)
            stages.append(stage)
            state = state.ravel()
        members = np.argsort(state, kind="stable")
        weights = index.counts if index.counts.any() else np.ones(len(index))
        cumulated = np.cumsum(weights[members], dtype=float)
        n_groups = int(state.max()) + 1 if len(state) else 0
        starts = np.searchsorted(state[members], np.arange(n_groups + 1))
        ends = np.concatenate([[0.0], cumulated])[starts]
        # A group without weight is drawn from by its first member: see the clipping in `draw`.
        return cls(names, grids, stages, members, starts, cumulated, ends)

    def groups(self, table: RuleTable) -> Rows:
        state = np.zeros(len(table), dtype=np.int64)
        known = np.ones(len(table), dtype=bool)
        if not len(self.members):
            return np.full(len(table), -1, dtype=np.int64)
        for name, grid, stage in zip(self.names, self.grids, self.stages, strict=True):
            place, hit = _search(grid, table.columns[name])
            known &= hit
            state, hit = _search(stage, state * len(grid) + place)
            known &= hit
        return np.where(known, state, -1)


def _search(grid: Array, values: Array) -> tuple[Rows, npt.NDArray[np.bool_]]:
    if grid.dtype.kind == "i" and grid[-1] < 4 * len(grid) + 1024 and grid[0] >= 0:
        # Small codes are looked up directly.
        table = np.full(int(grid[-1]) + 2, -1, dtype=np.int64)
        table[grid] = np.arange(len(grid))
        inside = (values >= 0) & (values <= grid[-1])
        direct = table[np.where(inside, values, -1)]
        return np.maximum(direct, 0), direct >= 0
    place = np.minimum(np.searchsorted(grid, values), len(grid) - 1)
    return place, grid[place] == values

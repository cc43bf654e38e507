"""The rows of one class as points with neighbors, found when they are first needed."""

from __future__ import annotations

import threading

import numpy as np
import numpy.typing as npt

from .matrices import Codes, DistinctRows, Grid, KnownRows
from .neighbors import Points, Scale, nearest_points
from .streams import Floats, Positions


class ClassPoints:
    """Rows that new ones are made from, each once, with the range of every number."""

    def __init__(self, grid: Grid, rows: Positions | None = None) -> None:
        self.grid = grid
        self.cells = DistinctRows.from_grid(grid, rows)
        numbers = self.cells.numbers
        self.has_gaps = bool(np.isnan(numbers).any())
        self.low = np.where(np.isnan(numbers), np.inf, numbers).min(axis=0)
        self.high = np.where(np.isnan(numbers), -np.inf, numbers).max(axis=0)
        self.scale = Scale.fit(self.cells)
        self.known = KnownRows.from_rows(self.cells)

    def __len__(self) -> int:
        return len(self.cells)


class ClassNeighbors:
    """The `k` nearest neighbors of a class's rows and their most frequent labels, found row by row.

    Rows of a class with fewer others have fewer neighbors; a lone row has itself.
    """

    def __init__(self, class_rows: ClassPoints, k: int) -> None:
        n, codes = len(class_rows), class_rows.cells.codes
        self.class_rows, self.k = class_rows, max(min(k, n - 1), 1)
        self.seeds: Positions = np.arange(n)  # rows that have a neighbor
        self.points = Points.from_arrays(class_rows.scale, class_rows.cells.numbers, codes)
        self._lock = threading.Lock()
        self._is_found = np.zeros(n, dtype=bool)
        self._table = np.zeros((n, self.k), dtype=np.int32)
        small = np.int16 if codes.max(initial=0) < 32_767 else np.int32
        self._leaders = np.zeros((codes.shape[1], n, self.k), dtype=small)
        self._n_leaders = np.ones((codes.shape[1], n), dtype=np.int16)

    def find(self, rows: Positions) -> None:
        """Find the neighbors of these rows, where they are not known yet."""
        needed = np.zeros(len(self._is_found), dtype=bool)
        needed[rows] = True
        with self._lock:
            new = np.flatnonzero(needed & ~self._is_found)
            if not len(new):
                return
            if len(self.class_rows) > 1:
                self._table[new] = nearest_points(self.points, self.k, rows=new)[1]
            self._count_votes(new)

    def _count_votes(self, rows: Positions) -> None:
        for i, codes in enumerate(self.class_rows.cells.codes.T):
            leaders, count = _leaders(codes[self._table[rows]])
            self._leaders[i, rows], self._n_leaders[i, rows] = leaders, count
        self._is_found[rows] = True

    def pick(self, rows: Positions, chance: Floats) -> Positions:
        """Return one neighbor of each row, shape (n,), by a number in [0, 1) for each."""
        flat = rows * self.k + (chance * self.k).astype(np.int64)
        return self._table.ravel()[flat].astype(np.int64)

    def vote(self, rows: Positions, chance: Floats) -> Codes:
        """Return the most frequent label among the neighbors of each row, shape (n, c).

        `chance`, in [0, 1), decides between labels that are equally frequent, for all columns alike,
        so that labels of one neighbor come together. Call `find` first.
        """
        votes = np.empty((len(rows), len(self._leaders)), dtype=np.int32)
        flat = rows * self.k
        for i, (leaders, count) in enumerate(zip(self._leaders, self._n_leaders)):
            votes[:, i] = leaders.ravel()[flat + (chance * count[rows]).astype(np.int64)]
        return votes


def _leaders(votes: npt.NDArray[np.int32]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.intp]]:
    """Return the most frequent labels of each row, first, in the order of the votes; their number.

    Examples
    --------
    >>> leaders, count = _leaders(np.array([[4, 7, 4, 7, 1], [3, 3, 3, 2, 2]], dtype=np.int32))
    >>> leaders[0, :4].tolist(), count.tolist()
    ([4, 7, 4, 7], [4, 3])
    """
    counts = np.zeros(votes.shape, dtype=np.int16)
    for j in range(votes.shape[1]):
        counts += votes == votes[:, j : j + 1]
    leading = counts == counts.max(axis=1, keepdims=True)
    order = np.argsort(~leading, axis=1, kind="stable")
    return np.take_along_axis(votes, order, axis=1), leading.sum(axis=1)

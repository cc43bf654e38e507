"""The rows of one class as points with neighbours, found when they are first asked for."""

from __future__ import annotations

import threading

import numpy as np
import numpy.typing as npt

from .matrices import Codes, DistinctRows, Grid, KnownRows
from .neighbors import Points, Scale, nearest_points
from .streams import Floats, Positions


class ClassPoints:
    """Rows among which new ones are made, each once, with the range of every number.

    Parameters
    ----------
    grid : Grid
        Rows as numbers and codes.
    rows : numpy.ndarray of int64, optional
        Which of them; all by default.
    """

    def __init__(self, grid: Grid, rows: Positions | None = None) -> None:
        self.grid = grid
        self.cells = DistinctRows.of(grid, rows)
        numbers = self.cells.numbers
        self.has_gaps = bool(np.isnan(numbers).any())
        self.low = np.where(np.isnan(numbers), np.inf, numbers).min(axis=0)
        self.high = np.where(np.isnan(numbers), -np.inf, numbers).max(axis=0)
        self.scale = Scale.of(self.cells)
        self.known = KnownRows.of(self.cells)

    def __len__(self) -> int:
        return len(self.cells)


class ClassNeighbors:
    """The k nearest neighbours of a class's rows and what these vote for; row by row, when needed.

    Parameters
    ----------
    class_rows : ClassPoints
        The rows.
    k : int
        Neighbours of each, 1 or more; rows of a smaller class have fewer. A lone row has itself.
    """

    def __init__(self, class_rows: ClassPoints, k: int) -> None:
        self.class_rows, self.k = class_rows, max(min(k, len(class_rows) - 1), 1)
        self.seeds: Positions = np.arange(len(class_rows))
        self.points = Points.of(class_rows.scale, class_rows.cells.numbers, class_rows.cells.codes)
        self._lock = threading.Lock()
        self._found = np.zeros(len(class_rows), dtype=bool)
        self._table = np.zeros((len(class_rows), self.k), dtype=np.int32)
        codes = class_rows.cells.codes
        small = np.int16 if codes.max(initial=0) < 32_767 else np.int32
        self._leaders = np.zeros((codes.shape[1], len(class_rows), self.k), dtype=small)
        self._n_leaders = np.ones((codes.shape[1], len(class_rows)), dtype=np.int16)

    def find(self, rows: Positions) -> None:
        """Find the neighbours of these rows, where they are not known yet."""
        wanted = np.zeros(len(self._found), dtype=bool)
        wanted[rows] = True
        with self._lock:
            new = np.flatnonzero(wanted & ~self._found)
            if not len(new):
                return
            if len(self.class_rows) > 1:
                near = nearest_points(self.points, self.k, rows=new)[1]
                self._table[new] = near
            self._fill(new)

    def _fill(self, rows: Positions) -> None:
        """Count the votes of the neighbours that are known by now."""
        for i, codes in enumerate(self.class_rows.cells.codes.T):
            leaders, count = _leaders(codes[self._table[rows]])
            self._leaders[i, rows], self._n_leaders[i, rows] = leaders, count
        self._found[rows] = True

    def pick(self, rows: Positions, chance: Floats) -> Positions:
        """Return one neighbour of each row, shape (n,); `chance` in [0, 1) says which."""
        flat = rows * self.k + (chance * self.k).astype(np.int64)
        return self._table.ravel()[flat].astype(np.int64)

    def vote(self, rows: Positions, chance: Floats) -> Codes:
        """Return the commonest label among the neighbours of each row, shape (n, c).

        Parameters
        ----------
        rows : numpy.ndarray of int64, shape (n,)
            Rows whose neighbours vote; they were given to `find` before.
        chance : numpy.ndarray, shape (n,)
            In [0, 1): decides between labels that are equally common, for all columns alike, so that
            labels of one neighbour come together.
        """
        made = np.empty((len(rows), len(self._leaders)), dtype=np.int32)
        flat = rows * self.k
        for i, (leaders, count) in enumerate(zip(self._leaders, self._n_leaders, strict=True)):
            made[:, i] = leaders.ravel()[flat + (chance * count[rows]).astype(np.int64)]
        return made


def _leaders(votes: npt.NDArray[np.int32]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.intp]]:
    """Return the commonest labels of each row, first, in the order of the votes, and their number.

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

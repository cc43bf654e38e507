"""Space cut into regions, so that a search can look into the near ones only; the same on any machine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .distances import Points, Singles
from .streams import Positions

_STEPS = 8
_REACH = 32
_BUCKETS = 8
_LABEL = 6
_ROUNDS = 4
_AT_ONCE = 1_024


@dataclass(frozen=True)
class Regions:
    """Voronoi cells of centres that k-means found.

    Coordinates are eighths of a standard deviation, at most four of these from the mean; a label is a
    corner of a simplex (labels of wide columns share corners). All of them are small whole numbers,
    so every product and sum is exact in single precision, and no thread or processor can differ.

    Parameters
    ----------
    centres : numpy.ndarray of float32, shape (r, w)
        Whole numbers.
    lengths : numpy.ndarray of float32, shape (r,)
        Their squared lengths.
    """

    centres: Singles
    lengths: Singles

    @classmethod
    def of(cls, points: Points, n_regions: int) -> Regions:
        """Return at most so many regions; every so-and-so-many-th row is a centre at first."""
        rows = _coordinates(points, slice(None))
        firsts = np.linspace(0, len(rows) - 1, min(n_regions, len(rows))).astype(np.int64)
        centres = np.unique(rows[firsts], axis=0)
        for _ in range(_ROUNDS):
            regions = cls(centres, (centres**2).sum(axis=1))
            whose = regions._of_coordinates(rows)
            counts = np.bincount(whose, minlength=len(centres))
            order = np.argsort(whose, kind="stable")
            kept = np.flatnonzero(counts)
            starts = (np.cumsum(counts) - counts)[kept]
            sums = np.add.reduceat(rows[order].astype(np.int64), starts, axis=0)
            centres = np.rint(sums / counts[kept, None]).astype(np.float32)
        return cls(centres, (centres**2).sum(axis=1))

    def __len__(self) -> int:
        return len(self.centres)

    def whose(self, points: Points) -> npt.NDArray[np.int64]:
        """Return the region of every row, shape (n,)."""
        found = np.empty(len(points), dtype=np.int64)
        for start in range(0, len(points), 8 * _AT_ONCE):
            rows = slice(start, start + 8 * _AT_ONCE)
            found[rows] = self._of_coordinates(_coordinates(points, rows))
        return found

    def by_distance(self, points: Points) -> Positions:
        """Return the regions in the order of their centres' distance from each row, (n, r)."""
        score = self.lengths - 2 * (_coordinates(points, slice(None)) @ self.centres.T)
        return np.argsort(score, axis=1, kind="stable")

    def _of_coordinates(self, rows: Singles) -> npt.NDArray[np.int64]:
        found = np.empty(len(rows), dtype=np.int64)
        score = np.empty((_AT_ONCE, len(self)), dtype=np.float32)
        right = np.ascontiguousarray(-2 * self.centres.T)
        for start in range(0, len(rows), _AT_ONCE):
            part = rows[start : start + _AT_ONCE]
            near = np.matmul(part, right, out=score[: len(part)])
            near += self.lengths
            near.argmin(axis=1, out=found[start : start + _AT_ONCE])
        return found


def _coordinates(points: Points, rows: slice) -> Singles:
    values: npt.NDArray[np.floating] = points.values[rows] * _STEPS
    if points.with_gaps.any():
        values = np.nan_to_num(values)
    np.rint(values, out=values)
    np.maximum(values, -_REACH, out=values)
    np.minimum(values, _REACH, out=values)
    corners = []
    for codes in points.codes[:, rows]:
        # Fibonacci hashing; the place of a level in its column decides, so equal levels agree.
        bucket = (codes.astype(np.int64) * 0x9E3779B1 >> 16) % _BUCKETS
        corners.append(_LABEL * (bucket[:, None] == np.arange(_BUCKETS)))
    return np.hstack([values, *corners], dtype=np.float32, casting="unsafe")

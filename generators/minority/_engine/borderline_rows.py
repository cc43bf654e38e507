"""Rows of a class whose nearest rows mostly belong to other classes (Han et al. 2005)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset

from .class_points import ClassPoints
from .matrices import row_hashes
from .neighbors import Points, Search, Singles, nearest_points
from .streams import Floats, Positions

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


Test = Literal["exact", "sampled"]
Mask = npt.NDArray[np.bool_]

_READ_AT_ONCE = 32_704
_REGIONS = 128
_LEAST_OTHERS = 20_000
_CENTRED_ON = 12_000
_PILOT_ROWS = 64
_FRACTIONS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32)
_WANTED_FOUND = 0.98


def in_danger(
    class_rows: ClassPoints, points: Points, train: Dataset, is_other: Mask, m: int, test: Test
) -> Positions:
    """Return the positions of the class's rows that stand in danger, ascending.

    Parameters
    ----------
    class_rows : ClassPoints
        Rows of one class, each once.
    points : Points
        The same, laid out for the search.
    train : Dataset
        All rows.
    is_other : numpy.ndarray of bool, shape (n,)
        Which of them are of other classes.
    m : int
        Neighbours that are asked for their class.
    test : {"exact", "sampled"}
        Whether all other rows are looked at, or those in the regions of space nearest to a row: as
        many as find 98 % of the neighbours of 64 rows for which all are known.
    """
    n, half = len(class_rows), -(-m // 2)
    own = np.full((n, m), np.inf)
    n_own = min(m, n - 1)
    if n_own:
        own[:, :n_own] = nearest_points(points, n_own)[0]

    def settled(squared: Floats, whose: Positions) -> Mask:
        # As many others as are asked, all nearer than the first of its class: noise, not danger.
        return np.asarray(squared[:, -1] < own[whose, 0])

    # Beyond so many rows of its own class nobody can make half of the neighbours others.
    search = Search(points, np.arange(n), m, own[:, m - half], settled)
    if test == "exact" or np.count_nonzero(is_other) < _LEAST_OTHERS:
        for rows, kept in _parts(class_rows, points, train, is_other):
            search.look(rows if len(kept) == len(rows) else rows.take(kept))
    else:
        _look_around(search, class_rows, points, train, is_other)
    n_others = _count_others(search.squared, own)
    return np.flatnonzero((n_others >= half) & (n_others < m))


def _count_others(others: Floats, own: Floats) -> npt.NDArray[np.int64]:
    """Return how many of the m nearest rows are others, given both kinds' distances in order.

    Examples
    --------
    >>> others, own = np.array([[1.0, 2.0, 9.0]]), np.array([[1.0, 5.0, 6.0]])
    >>> _count_others(others, own).tolist()  # nearest: own 1, other 1, other 2
    [2]
    """
    m = others.shape[1]
    before = (own[:, None, :] <= others[:, :, None]).sum(axis=2)
    rank = before + np.arange(m)
    return np.asarray(((rank < m) & np.isfinite(others)).sum(axis=1))


def _parts(
    class_rows: ClassPoints, points: Points, train: Dataset, is_other: Mask, *, single: bool = False
) -> Iterator[tuple[Points, Positions]]:
    """Yield all rows, some at a time, and the positions of those of other classes among them."""
    for start in range(0, len(train), _READ_AT_ONCE):
        kept = np.flatnonzero(is_other[start : start + _READ_AT_ONCE])
        if len(kept):
            numbers, codes = class_rows.grid.read(train.slice(start, _READ_AT_ONCE))
            yield Points.of(points.scale, numbers, codes, single=single), kept


def _look_around(
    search: Search, class_rows: ClassPoints, points: Points, train: Dataset, is_other: Mask
) -> None:
    """Let every row look into as many of the regions nearest to it as a pilot says are needed."""
    some = _some_others(class_rows, points, train, is_other)
    regions = Regions.of(Points.concat([points.take(slice(0, _CENTRED_ON // 3)), some]), _REGIONS)
    before = _before(regions, points, some)
    pilot = np.arange(min(_PILOT_ROWS, len(points)))
    k = search.squared.shape[1]
    truth = Search(points, pilot, k, search.within[pilot])
    parts: list[_ByRegion] = []
    for rows, kept in _parts(class_rows, points, train, is_other, single=True):
        parts.append(_ByRegion.of(rows, kept, regions))
        truth.look(parts[-1].others)
    tried = Search(points, pilot, k, search.within[pilot])
    reached = 0.0
    for fraction in _FRACTIONS:
        _show(parts, tried, (before[pilot] >= reached) & (before[pilot] < fraction))
        reached = fraction
        if _found_fraction(tried.squared, truth.squared) >= _WANTED_FOUND:
            _show(parts, search, before < fraction)
            return
    for part in parts:
        search.look(part.others)


def _before(regions: Regions, points: Points, some: Points) -> Floats:
    """Return the share of the others that lies in regions nearer to a row than each one, (n, r)."""
    sizes = np.bincount(regions.whose(some), minlength=len(regions)) / len(some)
    ranked = regions.by_distance(points)
    before = np.empty(ranked.shape)
    np.put_along_axis(before, ranked, np.cumsum(sizes[ranked], axis=1) - sizes[ranked], axis=1)
    return before


def _found_fraction(found: Floats, truth: Floats) -> float:
    """Return which fraction of the true neighbours was found; both ascending, infinite where none.

    Examples
    --------
    >>> _found_fraction(np.array([[1.0, 3.0], [2.0, np.inf]]), np.array([[1.0, 2.0], [2.0, np.inf]]))
    0.6666666666666666
    """
    there = np.isfinite(truth)
    last = np.where(there, truth, -np.inf).max(axis=1)
    hits = np.count_nonzero(found <= last[:, None])
    return float(hits / max(int(np.count_nonzero(there)), 1))


@dataclass(frozen=True)
class _ByRegion:
    """Some rows of other classes, region by region, and where each region begins and the last ends."""

    others: Points
    bounds: Positions

    @classmethod
    def of(cls, points: Points, kept: Positions, regions: Regions) -> _ByRegion:
        whose = regions.whose(points)[kept]
        order = np.argsort(whose.astype(np.int16), kind="stable")  # few bits are sorted fast
        counts = np.bincount(whose, minlength=len(regions))
        return cls(points.take(kept[order]), np.concatenate([[0], np.cumsum(counts)]))

    def region(self, number: int) -> Points:
        """Return the rows of one region."""
        return self.others.take(slice(self.bounds[number], self.bounds[number + 1]))


def _show(parts: list[_ByRegion], search: Search, looks: Mask) -> None:
    """Let rows look into regions: `looks` has shape (q, r)."""
    for number in range(looks.shape[1]):
        lookers = np.flatnonzero(looks[:, number])
        if len(lookers):
            search.look(Points.concat([part.region(number) for part in parts]), only=lookers)


def _some_others(class_rows: ClassPoints, points: Points, train: Dataset, is_other: Mask) -> Points:
    """Return a few thousand rows of other classes, chosen by what they hold, not where they stand."""
    rows = np.flatnonzero(is_other)
    marks = class_rows.known.marks(train)[rows]
    rows = rows[marks <= np.partition(marks, _CENTRED_ON - 1)[_CENTRED_ON - 1]]
    numbers, codes = class_rows.grid.read(train.take(rows))
    order = np.argsort(row_hashes(numbers, codes), kind="stable")[:_CENTRED_ON]
    return Points.of(points.scale, numbers[order], codes[order])

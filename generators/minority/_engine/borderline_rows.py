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
from .neighbors import Mask, Points, Search, Singles, nearest_points
from .streams import Floats, Positions

_STEPS, _REACH = 8, 32  # eighths of a standard deviation, at most 32 of them from the mean
# A label becomes one of 8 corners of a simplex, 6 eighths from the origin: two corners are 8.5 eighths,
# about one standard deviation, apart. Labels of wide columns share corners.
_BUCKETS, _LABEL = 8, 6
_MAX_ROUNDS = 4  # of k-means: regions need only be compact, and later rounds move few rows
_AT_ONCE = 1_024  # rows whose distances to all centers are computed at a time: 0.5 MB


@dataclass(frozen=True)
class Regions:
    """Voronoi cells of centers that k-means found.

    All coordinates are small whole numbers, so every product and sum is exact in single precision,
    and no thread or processor gives another result.
    """

    centers: Singles  # shape (r, w)
    lengths: Singles  # their squared lengths, shape (r,)

    @classmethod
    def fit(cls, points: Points, n_regions: int) -> Regions:
        """Return at most `n_regions` regions; rows at equal steps are the first centers."""
        rows = _coordinates(points, slice(None))
        firsts = np.linspace(0, len(rows) - 1, min(n_regions, len(rows))).astype(np.int64)
        centers = np.unique(rows[firsts], axis=0)
        for _ in range(_MAX_ROUNDS):
            nearest = cls(centers, (centers**2).sum(axis=1))._nearest(rows)
            counts = np.bincount(nearest, minlength=len(centers))
            order = np.argsort(nearest, kind="stable")
            kept = np.flatnonzero(counts)
            starts = (np.cumsum(counts) - counts)[kept]
            sums = np.add.reduceat(rows[order].astype(np.int64), starts, axis=0)
            centers = np.rint(sums / counts[kept, None]).astype(np.float32)
        return cls(centers, (centers**2).sum(axis=1))

    def __len__(self) -> int:
        return len(self.centers)

    def assign(self, points: Points) -> npt.NDArray[np.int64]:
        """Return the region of every row, shape (n,)."""
        found = np.empty(len(points), dtype=np.int64)
        for start in range(0, len(points), 8 * _AT_ONCE):
            rows = slice(start, start + 8 * _AT_ONCE)
            found[rows] = self._nearest(_coordinates(points, rows))
        return found

    def by_distance(self, points: Points) -> Positions:
        """Return the regions in the order of their centers' distance from each row, (n, r)."""
        score = self.lengths - 2 * (_coordinates(points, slice(None)) @ self.centers.T)
        return np.argsort(score, axis=1, kind="stable")

    def _nearest(self, rows: Singles) -> npt.NDArray[np.int64]:
        found = np.empty(len(rows), dtype=np.int64)
        score = np.empty((_AT_ONCE, len(self)), dtype=np.float32)
        right = np.ascontiguousarray(-2 * self.centers.T)
        for start in range(0, len(rows), _AT_ONCE):
            part = rows[start : start + _AT_ONCE]
            near = np.matmul(part, right, out=score[: len(part)])
            near += self.lengths
            near.argmin(axis=1, out=found[start : start + _AT_ONCE])
        return found


def _coordinates(points: Points, rows: slice) -> Singles:
    values: npt.NDArray[np.floating] = points.values[rows] * _STEPS
    if points.has_gaps.any():
        values = np.nan_to_num(values)
    np.rint(values, out=values)
    np.clip(values, -_REACH, _REACH, out=values)
    corners = []
    for codes in points.codes[:, rows]:
        # Fibonacci hashing; the place of a level in its column decides, so equal levels agree.
        bucket = (codes.astype(np.int64) * 0x9E3779B1 >> 16) % _BUCKETS
        corners.append(_LABEL * (bucket[:, None] == np.arange(_BUCKETS)))
    return np.hstack([values, *corners], dtype=np.float32, casting="unsafe")


Test = Literal["exact", "sampled"]

_READ_AT_ONCE = 32_704  # rows of the table turned into points at a time: 8 MB for 30 columns
_N_REGIONS = 128  # 160 rows each at 20,000 others: coarser ones search more rows than they need
_MIN_SAMPLED = 20_000  # other rows: with fewer of them the regions cost more than they save
_FITTED_ON = 12_000  # rows that regions are fitted on, about 100 each
_PILOT_ROWS = 64  # searched exactly: 64 rows x 10 neighbors give the found share to about 1 point
_FRACTIONS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32)  # of other rows; beyond a third all are searched
_MIN_FOUND = (
    0.98  # of true neighbors: names the rows in danger to 0.4 % (benchmarks/minority/SPEED.md)
)


def find_rows_in_danger(
    class_rows: ClassPoints, points: Points, train: Dataset, is_other: Mask, m: int, test: Test
) -> Positions:
    """Return the positions of the class's rows in danger, ascending.

    A row is in danger when half or more, but not all, of its `m` nearest rows are of other classes.
    `points` are the class's rows laid out for the search, `is_other` marks the rows of `train` that are
    of other classes. "sampled" searches the regions nearest to a row: as many as find 98 % of the
    neighbors of 64 rows for which all are known.
    """
    n, half = len(class_rows), -(-m // 2)
    own = np.full((n, m), np.inf)
    n_own = min(m, n - 1)
    if n_own:
        own[:, :n_own] = nearest_points(points, n_own)[0]

    def settled(squared: Floats, queries: Positions) -> Mask:
        # m others, all nearer than the first of its class: noise, not danger.
        return np.asarray(squared[:, -1] < own[queries, 0])

    # Beyond so many rows of its own class, others cannot be half of the neighbors.
    search = Search(points, np.arange(n), m, own[:, m - half], settled)
    if test == "exact" or np.count_nonzero(is_other) < _MIN_SAMPLED:
        for rows, kept in _parts(class_rows, points, train, is_other):
            search.add(rows if len(kept) == len(rows) else rows.take(kept))
    else:
        _search_regions(search, class_rows, points, train, is_other)
    n_others = _count_others(search.squared, own)
    return np.flatnonzero((n_others >= half) & (n_others < m))


def _count_others(others: Floats, own: Floats) -> npt.NDArray[np.int64]:
    """Return the number of others among the m nearest rows, given both kinds' distances in order.

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
            yield Points.from_arrays(points.scale, numbers, codes, single=single), kept


def _search_regions(
    search: Search, class_rows: ClassPoints, points: Points, train: Dataset, is_other: Mask
) -> None:
    """Search for every row as many of the regions nearest to it as a pilot needs."""
    some = _sample_others(class_rows, points, train, is_other)
    fitted_on = Points.concat([points.take(slice(0, _FITTED_ON // 3)), some])
    regions = Regions.fit(fitted_on, _N_REGIONS)
    before = _share_before(regions, points, some)
    pilot = np.arange(min(_PILOT_ROWS, len(points)))
    k = search.squared.shape[1]
    truth = Search(points, pilot, k, search.within[pilot])
    parts: list[_RowsByRegion] = []
    for rows, kept in _parts(class_rows, points, train, is_other, single=True):
        parts.append(_RowsByRegion.from_points(rows, kept, regions))
        truth.add(parts[-1].others)
    tried = Search(points, pilot, k, search.within[pilot])
    reached = 0.0
    for fraction in _FRACTIONS:
        _search_parts(parts, tried, (before[pilot] >= reached) & (before[pilot] < fraction))
        reached = fraction
        if _found_fraction(tried.squared, truth.squared) >= _MIN_FOUND:
            _search_parts(parts, search, before < fraction)
            return
    for part in parts:
        search.add(part.others)


def _share_before(regions: Regions, points: Points, some: Points) -> Floats:
    """Return the share of the others that lies in regions nearer to a row than each one, (n, r)."""
    sizes = np.bincount(regions.assign(some), minlength=len(regions)) / len(some)
    ranked = regions.by_distance(points)
    before = np.empty(ranked.shape)
    np.put_along_axis(before, ranked, np.cumsum(sizes[ranked], axis=1) - sizes[ranked], axis=1)
    return before


def _found_fraction(found: Floats, truth: Floats) -> float:
    """Return the fraction of the true neighbors that was found; infinite distances are none.

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
class _RowsByRegion:
    """Some rows of other classes, region by region."""

    others: Points
    bounds: Positions  # where each region begins and the last one ends

    @classmethod
    def from_points(cls, points: Points, kept: Positions, regions: Regions) -> _RowsByRegion:
        region = regions.assign(points)[kept]
        order = np.argsort(region.astype(np.int16), kind="stable")  # few bits are sorted fast
        counts = np.bincount(region, minlength=len(regions))
        return cls(points.take(kept[order]), np.concatenate([[0], np.cumsum(counts)]))

    def region(self, number: int) -> Points:
        """Return the rows of one region."""
        return self.others.take(slice(self.bounds[number], self.bounds[number + 1]))


def _search_parts(parts: list[_RowsByRegion], search: Search, takes_part: Mask) -> None:
    """Search for each query the regions that `takes_part`, shape (q, r), says."""
    for number in range(takes_part.shape[1]):
        queries = np.flatnonzero(takes_part[:, number])
        if len(queries):
            search.add(Points.concat([part.region(number) for part in parts]), only=queries)


def _sample_others(
    class_rows: ClassPoints, points: Points, train: Dataset, is_other: Mask
) -> Points:
    """Return a few thousand rows of other classes, chosen by their content, not their position."""
    rows = np.flatnonzero(is_other)
    hashes = class_rows.known.hash_columns(train)[rows]
    rows = rows[hashes <= np.partition(hashes, _FITTED_ON - 1)[_FITTED_ON - 1]]
    numbers, codes = class_rows.grid.read(train.take(rows))
    order = np.argsort(row_hashes(numbers, codes), kind="stable")[:_FITTED_ON]
    return Points.from_arrays(points.scale, numbers[order], codes[order])

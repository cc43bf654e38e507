"""Rows of a class whose nearest rows mostly belong to other classes (Han et al. 2005)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset

from .matrices import Floats, Positions, row_hashes
from .neighbors import ClassPoints, Mask, Points, Search, nearest_points

Singles = npt.NDArray[np.float32]

_STEPS, _REACH = 8, 32  # eighths of a standard deviation, at most 32 of them from the mean
# A label becomes one of 8 corners of a simplex, 6 eighths from the origin: two corners are 8.5 eighths,
# about one standard deviation, apart. Labels of wide columns share corners.
_BUCKETS, _LABEL = 8, 6
_MAX_ROUNDS = 4  # of k-means: regions need only be compact, and later rounds move few rows
_AT_ONCE = 8_192  # rows whose distances to all centers are computed at a time: 4 MB


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
            nearest = cls(centers, (centers**2).sum(axis=1))._scores(rows).argmin(axis=1)
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
        parts = [slice(start, start + _AT_ONCE) for start in range(0, len(points), _AT_ONCE)]
        found = [self._scores(_coordinates(points, rows)).argmin(axis=1) for rows in parts]
        return np.concatenate(found)

    def by_distance(self, points: Points) -> Positions:
        """Return the regions in the order of their centers' distance from each row, (n, r)."""
        return np.argsort(self._scores(_coordinates(points, slice(None))), axis=1, kind="stable")

    def _scores(self, rows: Singles) -> Singles:
        """Return the squared distances of rows and centers less the lengths of rows, (n, r)."""
        return np.asarray(self.lengths - 2 * (rows @ self.centers.T))


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
    """Return the rows of the class of whose `m` nearest rows half or more, not all, are others."""
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
    others = _others(class_rows, points, train, is_other)
    if test == "exact" or np.count_nonzero(is_other) < _MIN_SAMPLED:
        for part in others:
            search.add(part)
    else:
        _search_regions(search, points, Points.concat(list(others)))
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


def _others(
    class_rows: ClassPoints, points: Points, train: Dataset, is_other: Mask
) -> Iterator[Points]:
    """Yield the rows of other classes, some at a time."""
    for start in range(0, len(train), _READ_AT_ONCE):
        rows = train.slice(start, _READ_AT_ONCE).filter(is_other[start : start + _READ_AT_ONCE])
        yield Points.from_arrays(points.scale, *class_rows.grid.read(rows))


def _search_regions(search: Search, points: Points, others: Points) -> None:
    """Search for every row as many of the regions nearest to it as a pilot needs."""
    # A few thousand others, chosen by their content and not by their position.
    hashes = row_hashes(others.values, others.codes.T.astype(np.int32))
    some = others.take(np.argsort(hashes, kind="stable")[:_FITTED_ON])
    regions = Regions.fit(Points.concat([points.take(slice(0, _FITTED_ON // 3)), some]), _N_REGIONS)
    region = regions.assign(others)
    counts = np.bincount(region, minlength=len(regions))
    others = others.take(np.argsort(region.astype(np.int16), kind="stable"))
    ends = np.cumsum(counts)
    before = _share_before(regions, points, counts / len(others))
    pilot = np.arange(min(_PILOT_ROWS, len(points)))
    truth, tried = (
        Search(points, pilot, search.squared.shape[1], search.within[pilot]) for _ in range(2)
    )
    truth.add(others)

    def search_part(one: Search, takes_part: Mask) -> None:
        """Search for each query the regions that `takes_part`, shape (q, r), says."""
        for number in range(len(regions)):
            queries = np.flatnonzero(takes_part[:, number])
            rows = slice(ends[number] - counts[number], ends[number])
            if len(queries) and counts[number]:
                one.add(others.take(rows), only=queries)

    reached = 0.0
    for fraction in _FRACTIONS:
        search_part(tried, (before[pilot] >= reached) & (before[pilot] < fraction))
        reached = fraction
        if _found_fraction(tried.squared, truth.squared) >= _MIN_FOUND:
            search_part(search, before < fraction)
            return
    search.add(others)


def _share_before(regions: Regions, points: Points, sizes: Floats) -> Floats:
    """Return the share of the others that lies in regions nearer to a row than each one, (n, r)."""
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

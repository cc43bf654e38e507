"""Which rows of a class stand in danger: half or more of their neighbours, but not all, are others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from twinset.core.dataset import Dataset

from ._crowd import Crowd
from ._grid import row_hashes
from ._regions import Regions
from ._search import Points, Search, nearest_points
from ._streams import Floats, Positions

Test = Literal["exact", "sampled"]
TESTS: tuple[str, ...] = get_args(Test)
Mask = npt.NDArray[np.bool_]

_READ_AT_ONCE = 131_072
_KEPT_ROWS = 1_000_000
_REGIONS = 256
_LEAST_OTHERS = 20_000
_CENTRED_ON = 12_000
_LOOKED_AT_FRACTION = 0.03


def in_danger(
    crowd: Crowd, points: Points, train: Dataset, is_other: Mask, m: int, test: Test
) -> Positions:
    """Return the positions of the crowd's rows that stand in danger, ascending.

    Parameters
    ----------
    crowd : Crowd
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
        Whether all other rows are looked at, or about 3 %: those in the regions nearest to a row.
    """
    n, half = len(crowd), -(-m // 2)
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
        for others in _others(crowd, points, train, is_other):
            search.look(others)
    else:
        _look_around(search, crowd, points, train, is_other)
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


def _others(crowd: Crowd, points: Points, train: Dataset, is_other: Mask) -> Iterator[Points]:
    """Yield the rows of other classes, some at a time."""
    for start in range(0, len(train), _READ_AT_ONCE):
        keep = is_other[start : start + _READ_AT_ONCE]
        if keep.any():
            part = train.slice(start, _READ_AT_ONCE)
            numbers, codes = crowd.grid.read(part if keep.all() else part.filter(keep))
            yield Points.of(points.scale, numbers, codes)


def _look_around(
    search: Search, crowd: Crowd, points: Points, train: Dataset, is_other: Mask
) -> None:
    """Let every row look into the regions nearest to it, until these hold 3 % of the others."""
    some = _some_others(crowd, points, train, is_other)
    regions = Regions.of(Points.concat([points.slice(slice(0, _CENTRED_ON // 3)), some]), _REGIONS)
    sizes = np.bincount(regions.whose(some), minlength=len(regions))
    ranked = regions.by_distance(points)
    before = np.cumsum(sizes[ranked], axis=1) - sizes[ranked]
    looks = np.zeros(ranked.shape, dtype=bool)
    np.put_along_axis(looks, ranked, before < _LOOKED_AT_FRACTION * sizes.sum(), axis=1)
    kept: list[tuple[Points, Positions]] = []
    wanted = looks.any(axis=0)
    for others in _others(crowd, points, train, is_other):
        whose = regions.whose(others)
        rows = np.flatnonzero(wanted[whose])
        kept.append((others.slice(rows), whose[rows]))
        if sum(len(part) for part, _ in kept) >= _KEPT_ROWS:
            _look_by_region(search, kept, looks)
            kept = []
    if kept:
        _look_by_region(search, kept, looks)


def _look_by_region(search: Search, kept: list[tuple[Points, Positions]], looks: Mask) -> None:
    others = Points.concat([part for part, _ in kept])
    whose = np.concatenate([whose for _, whose in kept])
    order = np.argsort(whose, kind="stable")
    ends = np.cumsum(np.bincount(whose, minlength=looks.shape[1]))
    for region, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
        lookers = np.flatnonzero(looks[:, region])
        if end > start and len(lookers):
            search.look(others.slice(order[start:end]), only=lookers)


def _some_others(crowd: Crowd, points: Points, train: Dataset, is_other: Mask) -> Points:
    """Return a few thousand rows of other classes, chosen by what they hold, not where they stand."""
    rows = np.flatnonzero(is_other)
    marks = crowd.known.marks(train)[rows]
    rows = rows[marks <= np.partition(marks, _CENTRED_ON - 1)[_CENTRED_ON - 1]]
    numbers, codes = crowd.grid.read(train.take(rows))
    order = np.argsort(row_hashes(numbers, codes), kind="stable")[:_CENTRED_ON]
    return Points.of(points.scale, numbers[order], codes[order])

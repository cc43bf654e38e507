"""Which rows may be interpolated: those of one entity, and not far apart in time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from twinset.core.errors import ParameterError
from twinset.core.neighbours import nearest

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
_NOBODY = -1
_CELLS = 2_000_000


def may_pair(
    seeds: Ints,
    neighbours: Ints,
    *,
    entities: npt.NDArray[np.integer] | None = None,
    times: Floats | None = None,
    window: float | None = None,
    across_entities: bool = False,
) -> npt.NDArray[np.bool_]:
    """Return which candidate neighbours a seed may be interpolated with, shape (m, k).

    Parameters
    ----------
    seeds : numpy.ndarray of int, shape (m,)
        Rows to start from.
    neighbours : numpy.ndarray of int, shape (m, k)
        Candidates of each; -1 stands for none.
    entities : numpy.ndarray of int, shape (n,), optional
        Code of each row's card, patient, ...; -1 where it is not known: such a row pairs with nobody.
    times : numpy.ndarray, shape (n,), optional
        Time of each row, NaN where it is not known: then it is within no window.
    window : float, optional
        Largest distance in time of a pair, in the unit of `times`, 0 or more.
    across_entities : bool
        Whether rows of different entities may pair; they never do unless this is asked for.

    Raises
    ------
    ParameterError
        A window is given without times, or lies below 0.

    Examples
    --------
    >>> may_pair(np.array([0]), np.array([[1, 2, -1]]), entities=np.array([7, 7, 8])).tolist()
    [[True, False, False]]
    """
    allowed = neighbours >= 0
    if entities is not None and not across_entities:
        mine, theirs = entities[seeds][:, None], entities[neighbours]
        allowed &= (mine == theirs) & (mine >= 0)
    if window is not None:
        if times is None:
            raise ParameterError("a window needs times", todo="give one column the role time")
        if not window >= 0:
            raise ParameterError("the window is out of range", got=str(window), allowed="0 or more")
        allowed &= np.abs(times[seeds][:, None] - times[neighbours]) <= window
    return np.asarray(allowed)


def neighbours_within(
    points: npt.NDArray[np.floating],
    k: int,
    *,
    entities: npt.NDArray[np.integer],
    times: Floats | None = None,
    window: float | None = None,
) -> Ints:
    """Return the k nearest rows of the same entity within the window, nearest first, shape (n, k).

    Parameters
    ----------
    points : numpy.ndarray, shape (n, d)
        Rows in a space where distances mean something.
    k : int
        Neighbours wanted, 1 or more; -1 fills up where there are fewer.
    entities, times, window
        As for `may_pair`.

    Examples
    --------
    >>> x = np.array([[0.0], [1.0], [0.1], [5.0]])
    >>> neighbours_within(x, 2, entities=np.array([0, 0, 1, 0])).tolist()
    [[1, 3], [0, 3], [-1, -1], [1, 0]]
    """
    if k < 1:
        raise ParameterError("k is out of range", got=str(k), allowed="1 or more")
    n = len(points)
    found = np.full((n, k), _NOBODY, dtype=np.int64)
    order = np.argsort(entities, kind="stable")
    starts = (
        np.flatnonzero(np.diff(entities[order], prepend=np.nan) != 0) if n else np.empty(0, int)
    )
    for rows in np.split(order, starts[1:]):
        if len(rows) < 2 or entities[rows[0]] < 0:
            continue
        step = max(1, _CELLS // len(rows))
        for start in range(0, len(rows), step):
            mine = rows[start : start + step]
            near = rows[nearest(points[mine], points[rows], len(rows))[1]]
            allowed = may_pair(mine, near, entities=entities, times=times, window=window)
            allowed &= near != mine[:, None]
            # The allowed ones move to the front; their order by distance stays.
            front = np.argsort(~allowed, axis=1, kind="stable")[:, :k]
            kept = np.take_along_axis(np.where(allowed, near, _NOBODY), front, axis=1)
            found[mine, : kept.shape[1]] = kept
    return found

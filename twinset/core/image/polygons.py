"""Outlines of masks along the edges of their pixels, and the pixels that an outline holds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Ring = npt.NDArray[np.float64]
"""Corners of one closed line, shape (k, 2), as x, y in pixels; the last is not the first again."""

_DIRECTIONS = ((1, 0), (0, 1), (-1, 0), (0, -1))  # right, down, left, up


def trace_polygons(
    mask: npt.NDArray[np.bool_],  # the mask, shape (h, w)
    offset: tuple[float, float] = (0, 0),  # x and y of the array's upper left corner
) -> list[Ring]:
    """Return the closed lines between the pixels inside and outside a mask, in reading order.

    The lines follow the edges of pixels and so hold the mask exactly: `fill` gives it back. Outer
    lines have the inside at their right hand (positive `signed_area`), those of holes a negative one.
    Pixels that touch at a corner only belong to two lines.
    """
    ahead = _edges(np.asarray(mask, bool))
    rings = []
    while ahead:
        rings.append(_walk(ahead, next(iter(ahead))) + np.asarray(offset, float))
    return rings


def signed_area(ring: Ring) -> float:
    """Return the area within a ring; negative when it runs the other way round, as a hole does."""
    x, y = np.asarray(ring, float).T
    return 0.5 * float(x @ np.roll(y, -1) - y @ np.roll(x, -1))


def fill(
    rings: Sequence[Ring],  # closed lines in pixels; they may leave the image, shape (k, 2)
    shape: tuple[int, int],  # height and width
) -> npt.NDArray[np.bool_]:
    """Return the pixels whose centres (at +0.5) lie within an odd number of rings, shape (h, w)."""
    made = np.zeros(shape, bool)
    window, inside = fill_window(rings, shape)
    made[window] = inside
    return made


def fill_window(
    rings: Sequence[Ring], shape: tuple[int, int]
) -> tuple[tuple[slice, slice], npt.NDArray[np.bool_]]:
    """Return the rows and columns about some rings, and the pixels that they hold there, as `fill` does.

    Of an object that is small in a large image this is much quicker than the whole frame.
    """
    height, width = shape
    given = [np.asarray(ring, float).reshape(-1, 2) for ring in rings]
    corners = np.concatenate([np.empty((0, 2)), *given])
    low, high = corners.min(axis=0, initial=np.inf), corners.max(axis=0, initial=-np.inf)
    if not len(corners) or not np.isfinite([low, high]).all():
        return (slice(0, 0), slice(0, 0)), np.zeros((0, 0), bool)
    left, right = (int(np.clip(v, 0, width)) for v in (np.floor(low[0]), np.ceil(high[0]) + 1))
    top, bottom = (int(np.clip(v, 0, height)) for v in (np.floor(low[1]), np.ceil(high[1]) + 1))
    crossings = np.zeros((bottom - top, right - left + 1), np.int32)
    for start in given:
        end = np.roll(start, -1, axis=0)
        low, high = np.minimum(start[:, 1], end[:, 1]), np.maximum(start[:, 1], end[:, 1])
        # An edge crosses the row of centres y + 0.5 when low <= y + 0.5 < high.
        first = np.clip(np.ceil(low - 0.5), top, bottom).astype(int)
        last = np.clip(np.ceil(high - 0.5), top, bottom).astype(int)
        edge = np.repeat(np.arange(len(start)), last - first)
        row = np.arange(len(edge)) - np.repeat(np.cumsum(last - first) - last, last - first)
        (x0, y0), (x1, y1) = start[edge].T, end[edge].T
        x = x0 + (row + 0.5 - y0) * (x1 - x0) / np.where(y1 == y0, 1, y1 - y0)
        column = np.clip(np.ceil(x - 0.5), left, right).astype(int)
        np.add.at(crossings, (row - top, column - left), 1)
    inside = np.cumsum(crossings[:, :-1], axis=1) % 2 == 1
    return (slice(top, bottom), slice(left, right)), np.asarray(inside)


_BLOCK = (
    1_000  # rings that are painted together: their arrays stay small, and few blocks are needed
)


def paint_rings(
    ids: npt.NDArray[np.uint16],  # the map to change, shape (h, w), in C order
    rings: Sequence[Ring],  # closed lines in pixels; they may leave the image, shape (k, 2)
    numbers: Sequence[int],  # the number of each ring; a later ring covers an earlier one
) -> None:
    """Give the pixels that each ring holds, as `fill` finds them, its number.

    Many small rings are painted at once, which is far quicker than one by one.

    Examples
    --------
    >>> ids = np.zeros((1, 4), np.uint16)
    >>> box = np.array([[0, 0], [2, 0], [2, 1], [0, 1.0]])
    >>> paint_rings(ids, [box, box + [1, 0]], [7, 8])
    >>> ids.tolist()
    [[7, 8, 8, 0]]
    """
    finite = [k for k, ring in enumerate(rings) if len(ring) and np.isfinite(ring).all()]
    for start in range(0, len(finite), _BLOCK):
        block = finite[start : start + _BLOCK]
        _paint_block(ids, [rings[k] for k in block], np.array([numbers[k] for k in block]))


def _paint_block(
    ids: npt.NDArray[np.uint16], rings: Sequence[Ring], numbers: npt.NDArray[np.int64]
) -> None:
    height, width = ids.shape
    sizes = np.array([len(ring) for ring in rings])
    start = np.concatenate(rings)
    following = np.arange(1, len(start) + 1)
    following[np.cumsum(sizes) - 1] = np.cumsum(sizes) - sizes
    end = start[following]
    low, high = np.minimum(start[:, 1], end[:, 1]), np.maximum(start[:, 1], end[:, 1])
    # An edge crosses the row of centres y + 0.5 when low <= y + 0.5 < high.
    first = np.clip(np.ceil(low - 0.5), 0, height).astype(np.int64)
    last = np.clip(np.ceil(high - 0.5), 0, height).astype(np.int64)
    edge = np.repeat(np.arange(len(start)), last - first)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(last - first) - last, last - first)
    (x0, y0), (x1, y1) = start[edge].T, end[edge].T
    x = x0 + (row + 0.5 - y0) * (x1 - x0) / np.where(y1 == y0, 1, y1 - y0)
    column = np.clip(np.ceil(x - 0.5), 0, width).astype(np.int64)
    owner = np.repeat(np.arange(len(rings)), sizes)[edge]
    # A closed line crosses a row an even number of times: it holds what lies between the 1st and 2nd, ...
    order = np.lexsort((column, row, owner))
    left, right = column[order[::2]], column[order[1::2]]
    lengths = right - left
    begin = row[order[::2]] * width + left - (np.cumsum(lengths) - lengths)
    pixels = np.repeat(begin, lengths) + np.arange(lengths.sum())
    # Of pixels that are named twice the last number stays.
    ids.reshape(-1)[pixels] = np.repeat(numbers[owner[order[::2]]], lengths)


def fill_parts(
    # the outline of each part in pixels; they may leave the image, shape (k, 2)
    rings: Sequence[Ring],
    shape: tuple[int, int],  # height and width
) -> npt.NDArray[np.bool_]:
    """Return the pixels whose centres lie within any of the parts of one object, shape (h, w).

    Unlike `fill`, parts that overlap are united: a pixel of two of them is the object's.

    Examples
    --------
    >>> left = np.array([[0, 0], [2, 0], [2, 1], [0, 1.0]])
    >>> fill_parts([left, left + [1, 0]], (1, 4)).astype(int).tolist()
    [[1, 1, 1, 0]]
    """
    covered = np.zeros(shape, bool)
    for ring in rings:
        window, inside = fill_window([ring], shape)
        covered[window] |= inside
    return covered


def _edges(mask: npt.NDArray[np.bool_]) -> dict[tuple[int, int], list[int]]:
    """Return corner (x, y) -> directions of the edges that leave it, inside at the right hand."""
    wide = np.pad(mask, 1)
    inside = wide[1:-1, 1:-1]
    found: list[tuple[int, int, int]] = []
    sides = (
        (wide[:-2, 1:-1], 0, (0, 0)),  # above a pixel: from its upper left corner to the right
        (wide[1:-1, 2:], 1, (1, 0)),  # right of it: from its upper right corner down
        (wide[2:, 1:-1], 2, (1, 1)),
        (wide[1:-1, :-2], 3, (0, 1)),
    )
    for neighbour, turn, (dx, dy) in sides:
        y, x = np.nonzero(inside & ~neighbour)
        found += zip((y + dy).tolist(), (x + dx).tolist(), [turn] * len(y))
    ahead: dict[tuple[int, int], list[int]] = {}
    for y_corner, x_corner, turn in sorted(found):
        ahead.setdefault((x_corner, y_corner), []).append(turn)
    return ahead


def _walk(ahead: dict[tuple[int, int], list[int]], at: tuple[int, int]) -> Ring:
    """Follow one line from `at` until it closes, and take its edges out of `ahead`."""
    begin, corners, turn = at, [], -1
    while True:
        options = ahead[at]
        # Where two pixels touch at a corner the line turns right, so that each keeps its own.
        chosen = (turn + 1) % 4 if (turn + 1) % 4 in options else options[0]
        options.remove(chosen)
        if not options:
            del ahead[at]
        if chosen != turn:
            corners.append(at)
        turn = chosen
        at = (at[0] + _DIRECTIONS[turn][0], at[1] + _DIRECTIONS[turn][1])
        if at == begin:
            return np.array(corners, float)


def clip_ring(
    ring: Ring,  # corners as x, y, shape (k, 2)
    shape: tuple[int, ...],  # height and width
) -> Ring:
    """Return the part of a closed line that lies in an image, shape (k, 2); empty when none does.

    References
    ----------
    Sutherland and Hodgman, "Reentrant polygon clipping", Communications of the ACM 17 (1974).

    Examples
    --------
    >>> square = np.array([[-1, 1], [2, 1], [2, 3], [-1, 3.0]])
    >>> clip_ring(square, (8, 8)).tolist()
    [[0.0, 1.0], [2.0, 1.0], [2.0, 3.0], [0.0, 3.0]]
    """
    height, width = shape[:2]
    for axis, edge, sign in (
        (0, 0.0, 1),
        (0, float(width), -1),
        (1, 0.0, 1),
        (1, float(height), -1),
    ):
        if not len(ring):
            break
        ring = _clip_at(ring, axis, edge, sign)
    return ring


def _clip_at(ring: Ring, axis: int, edge: float, sign: int) -> Ring:
    """Keep what lies where ``sign * (x - edge) >= 0``."""
    inside = sign * (ring[:, axis] - edge) >= 0
    if inside.all():
        return ring
    kept = []
    for k, point in enumerate(ring):
        before = ring[k - 1]
        if inside[k] != inside[k - 1]:
            share = (edge - before[axis]) / (point[axis] - before[axis])
            crossing = before + share * (point - before)
            crossing[axis] = edge
            kept.append(crossing)
        if inside[k]:
            kept.append(point)
    return np.array(kept, float).reshape(-1, 2)

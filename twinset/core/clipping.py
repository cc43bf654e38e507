"""Cut outlines at the frame of an image."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ring = npt.NDArray[np.float64]


def clip_ring(ring: Ring, shape: tuple[int, ...]) -> Ring:
    """Return the part of a closed line that lies in an image, shape (k, 2); empty when none does.

    Parameters
    ----------
    ring : numpy.ndarray, shape (k, 2)
        Corners as x, y.
    shape : tuple of int
        Height and width.

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
        ring = _cut(ring, axis, edge, sign)
    return ring


def _cut(ring: Ring, axis: int, edge: float, sign: int) -> Ring:
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

"""Outlines of the shapes: closed contours of unit area about the origin."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Contour = npt.NDArray[np.float64]
"""Corners of one closed line, shape (k, 2), as x, y."""

DEFINITIONS: Mapping[str, str] = {
    "circle": "a filled disc",
    "cross": "two equal bars that cross at right angles",
    "rectangle": "a filled rectangle, sides 1 : 1 to 1 : 1.8",
    "ring": "a disc with a round hole",
    "star": "a star of five points",
    "triangle": "a filled triangle of equal sides",
}

_HOLE = 0.55  # radius of a ring's hole over that of the ring
_STAR = 0.45  # inner radius of a star over the outer one
_CROSS = 0.36  # half width of a cross's bars over its half length


def outline(category: str, rng: np.random.Generator) -> tuple[Contour, ...]:
    """Return a shape turned by a random angle: its outer contour, then its holes; area 1.

    Parameters
    ----------
    category : str
        A key of `DEFINITIONS`.
    rng : numpy.random.Generator
        Draws the angle, and the sides of a rectangle.
    """
    contours = _FIXED[category] if category in _FIXED else _rectangle(rng.uniform(1.0, 1.8))
    angle = rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return tuple(contour @ turn for contour in contours)


def _rectangle(longer: float) -> tuple[Contour, ...]:
    return _of_unit_area(np.array([[-longer, -1], [longer, -1], [longer, 1], [-longer, 1.0]]))


def _polygon(n_corners: int, radius: float = 1.0) -> Contour:
    angles = 2 * np.pi * np.arange(n_corners) / n_corners
    return radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _star() -> Contour:
    corners = _polygon(10)
    corners[1::2] *= _STAR
    return corners


def _cross() -> Contour:
    w = _CROSS
    arms = [np.array([[w, -1], [w, -w], [1, -w]])]  # one inner corner and its two ends
    quarter = np.array([[0.0, 1.0], [-1.0, 0.0]])
    for _ in range(3):
        arms.append(arms[-1] @ quarter)
    return np.concatenate(arms)


def _of_unit_area(outer: Contour, *holes: Contour) -> tuple[Contour, ...]:
    area = _area(outer) - sum(_area(hole) for hole in holes)
    return tuple(contour / np.sqrt(area) for contour in (outer, *holes))


def _area(contour: Contour) -> float:
    x, y = contour.T
    return 0.5 * abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1)))


_FIXED: Mapping[str, tuple[Contour, ...]] = {
    "circle": _of_unit_area(_polygon(64)),
    "cross": _of_unit_area(_cross()),
    "ring": _of_unit_area(_polygon(64), _polygon(64, _HOLE)),
    "star": _of_unit_area(_star()),
    "triangle": _of_unit_area(_polygon(3)),
}

"""What the objects of a scene look like: closed outlines in parts, with named points."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from .images import SceneCutout

Ring = npt.NDArray[np.float64]
"""Corners of one closed line, shape (k, 2), as x, y; y points down."""
HOLE = -1  # colour of a part that is cut out of those below it

Make = Callable[[np.random.Generator], "Form"]


@dataclass(frozen=True)
class Form:
    """One object before it is placed, in any unit."""

    # Outlines in painting order, each with the number of its colour
    parts: tuple[tuple[Ring, int], ...]
    # Name -> x, y of the keypoints
    points: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    cutout: SceneCutout | None = None  # What fills the one part, its box, instead of colours


FIGURE_POINTS = (
    "head", "neck", "left_hand", "right_hand", "left_foot", "right_foot", "hip",
)  # fmt: skip
# Pairs of positions in FIGURE_POINTS that a line joins.
FIGURE_SKELETON = ((0, 1), (1, 2), (1, 3), (1, 6), (6, 4), (6, 5))


def ellipse(rng: np.random.Generator) -> Form:
    """Return an ellipse, sides 1 : 1 to 1 : 1.6."""
    return Form(((_oval(1, rng.uniform(0.62, 1)), 0),))


def circle(rng: np.random.Generator) -> Form:
    """Return a disc."""
    return Form(((_oval(1, 1), 0),))


def rectangle(rng: np.random.Generator) -> Form:
    """Return a rectangle, sides 1 : 1 to 1 : 2."""
    return Form(((_box(0, 0, 1, rng.uniform(0.5, 1)), 0),))


def triangle(rng: np.random.Generator) -> Form:
    """Return a triangle of equal sides."""
    return Form(((_regular(3), 0),))


def octagon(rng: np.random.Generator) -> Form:
    """Return a regular polygon of eight corners, flat on top."""
    return Form(((_regular(8, np.pi / 8), 0),))


def star(rng: np.random.Generator) -> Form:
    """Return a star of five points."""
    ring = _regular(10)
    ring[1::2] *= 0.45
    return Form(((ring, 0),))


def ring(rng: np.random.Generator) -> Form:
    """Return a disc with a round hole."""
    return Form(((_oval(1, 1), 0), (_oval(0.55, 0.55), HOLE)))


def cross(rng: np.random.Generator) -> Form:
    """Return two equal bars that cross at right angles."""
    corner = np.array([[0.36, -1], [0.36, -0.36], [1, -0.36]])  # an inner corner and its two ends
    quarter = np.array([[0.0, 1.0], [-1.0, 0.0]])
    arms = [corner @ np.linalg.matrix_power(quarter, k) for k in range(4)]
    return Form(((np.concatenate(arms), 0),))


def blob(rng: np.random.Generator) -> Form:
    """Return a smooth, irregular blob, as a cell."""
    return Form(((_wavy(rng, 0.08), 0),))


def nucleated(rng: np.random.Generator) -> Form:
    """Return a blob with a darker, lobed nucleus (colour 1) in it, as a white blood cell."""
    shift = rng.uniform(-0.12, 0.12, 2)
    lobes = [
        _wavy(rng, 0.12) * rng.uniform(0.26, 0.36) + shift + rng.uniform(-0.2, 0.2, 2)
        for _ in range(3)
    ]
    return Form(((_wavy(rng, 0.05), 0), *((lobe, 1) for lobe in lobes)))


def dimpled(rng: np.random.Generator) -> Form:
    """Return a disc with a paler middle (colour 1), as a red blood cell."""
    ring = _wavy(rng, 0.035) * [1, rng.uniform(0.86, 1)]
    return Form(((ring, 0), (ring * rng.uniform(0.34, 0.46), 1)))


def sign(rng: np.random.Generator) -> Form:
    """Return a traffic sign: a plate (colour 0) with a rim (1) on a pole (2)."""
    plate = [_regular(8, np.pi / 8), _oval(1, 1), _regular(3), _regular(4, np.pi / 4)][
        int(rng.integers(4))
    ]
    pole = _box(0, 1.6, 0.11, 1.6)
    return Form(((pole, 2), (plate, 1), (plate * 0.78, 0)), {"plate": (0.0, 0.0)})


def figure(rng: np.random.Generator) -> Form:
    """Return a walking figure with seven keypoints: head (2), trunk and arms (0), legs (1)."""
    stride, swing = rng.uniform(0.08, 0.5), rng.uniform(-0.5, 0.5)
    neck, hip = np.array([0.0, -0.55]), np.array([0.0, 0.12])
    head = neck + [0.02, -0.24]
    feet = [hip + 0.86 * np.array([np.sin(a), np.cos(a)]) for a in (stride, -stride)]
    hands = [neck + [0, 0.06] + 0.56 * np.array([np.sin(a), np.cos(a)]) for a in (swing, -swing)]
    # Seen from the front, the figure's left side is at the right of the image.
    parts = [
        (_limb(neck + [0, 0.06], hands[1], 0.07), 0),
        *((_limb(hip, foot, 0.1), 1) for foot in feet),
        (
            np.vstack(
                [neck + [-0.17, 0], neck + [0.17, 0], hip + [0.13, 0.06], hip + [-0.13, 0.06]]
            ),
            0,
        ),
        (_limb(neck + [0, 0.06], hands[0], 0.07), 0),
        (_oval(0.15, 0.18) + head, 2),
    ]
    named = zip(FIGURE_POINTS, (head, neck, hands[0], hands[1], feet[0], feet[1], hip))
    return Form(tuple(parts), {name: (float(p[0]), float(p[1])) for name, p in named})


def car(rng: np.random.Generator) -> Form:
    """Return a car from the side: body (0), windows (1), wheels (2)."""
    cabin = rng.uniform(0.5, 0.65)
    body = np.array(
        [[-1, 0], [-0.96, -0.22], [-0.6, -0.3], [0.6, -0.3], [0.97, -0.2], [1, 0.18], [-1, 0.18]]
    )
    roof = np.array([[-0.62, -0.28], [-cabin + 0.12, -0.62], [cabin - 0.2, -0.62], [0.62, -0.28]])
    wheels = [_oval(0.19, 0.19) + [x, 0.2] for x in (-0.58, 0.58)]
    return Form(
        ((roof, 0), (roof * [0.86, 0.8] + [0, -0.09], 1), (body, 0), *((w, 2) for w in wheels))
    )


FORMS: Mapping[str, Make] = {
    make.__name__: make
    for make in (
        ellipse, circle, rectangle, triangle, octagon, star, ring, cross, blob, nucleated, dimpled, sign,
        figure, car,
    )
}  # fmt: skip
"""Name of a shape -> what draws it."""

KEYPOINTS: Mapping[str, tuple[tuple[str, ...], tuple[tuple[int, int], ...]]] = {
    "figure": (FIGURE_POINTS, FIGURE_SKELETON),
    "sign": (("plate",), ()),
}
"""Name of a shape -> its keypoints and the pairs of them that are joined."""


def _oval(a: float, b: float) -> Ring:
    angles = 2 * np.pi * np.arange(40) / 40
    return np.stack([a * np.cos(angles), b * np.sin(angles)], axis=1)


def _regular(n: int, first: float = 0.0) -> Ring:
    angles = first - np.pi / 2 + 2 * np.pi * np.arange(n) / n
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _wavy(rng: np.random.Generator, depth: float) -> Ring:
    angles = 2 * np.pi * np.arange(48) / 48
    waves = np.arange(2, 6)
    sizes, phases = rng.normal(size=4) * depth / (waves - 1), rng.uniform(0, 2 * np.pi, 4)
    radius = 1 + (sizes[:, None] * np.cos(waves[:, None] * angles + phases[:, None])).sum(axis=0)
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return np.asarray(np.maximum(radius, 0.3)[:, None] * ring)


def _box(x: float, y: float, half_width: float, half_height: float) -> Ring:
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1.0]])
    return corners * [half_width, half_height] + [x, y]


def _limb(start: Ring, end: Ring, half_width: float) -> Ring:
    """Return a bar with round ends."""
    along = end - start
    turn = np.arctan2(along[1], along[0])
    half = np.linspace(-np.pi / 2, np.pi / 2, 7)
    caps = [
        np.stack([np.cos(half + a), np.sin(half + a)], axis=1) * half_width
        for a in (turn + np.pi, turn)
    ]
    return np.concatenate([caps[0] + start, caps[1] + end])

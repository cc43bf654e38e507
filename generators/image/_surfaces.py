"""Faultless surfaces for inspection: brushed metal, a cast, woven cloth, wood, ground glass."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from twinset.core.image.effects import draw_film_grain

Canvas = npt.NDArray[np.float32]


def paint_surface(name: str, height: int, width: int, rng: np.random.Generator) -> Canvas:
    """Return a surface, shape (h, w, 3), 0 to 1, lit a little unevenly."""
    plane, colour = SURFACES[name](height, width, rng)
    x = np.linspace(-0.5, 0.5, width, dtype=np.float32)
    y = np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None]
    angle = rng.uniform(0, 2 * np.pi)
    lit = 1 + np.float32(0.14) * (np.float32(np.cos(angle)) * x + np.float32(np.sin(angle)) * y)
    tint = np.asarray(colour, np.float32) * np.float32(rng.uniform(0.92, 1.08))
    made = ((1 + plane) * lit)[..., None] * tint
    made += (draw_film_grain((height, width), rng) * np.float32(0.008))[..., None]
    return np.asarray(np.clip(made, 0, 1), np.float32)


def _brushed(height: int, width: int, rng: np.random.Generator) -> tuple[Canvas, tuple[float, ...]]:
    import cv2

    lines = draw_film_grain((height, width), rng)
    return cv2.blur(lines, (max(3, width // 5), 1)) * np.float32(0.45), (0.58, 0.59, 0.6)


def _cast(height: int, width: int, rng: np.random.Generator) -> tuple[Canvas, tuple[float, ...]]:
    import cv2

    fine = cv2.GaussianBlur(draw_film_grain((height, width), rng), (0, 0), 1.1)
    return fine * np.float32(0.22) + _clouds(height, width, 9, rng) * np.float32(0.1), (
        0.42,
        0.42,
        0.43,
    )


def _cloth(height: int, width: int, rng: np.random.Generator) -> tuple[Canvas, tuple[float, ...]]:
    period = np.float32(2 * np.pi / rng.uniform(5, 7))
    x = np.sin(np.arange(width, dtype=np.float32) * period)
    y = np.sin(np.arange(height, dtype=np.float32) * period)[:, None]
    weave = np.float32(0.16) * np.maximum(x, y) + np.float32(0.05) * _clouds(height, width, 12, rng)
    return np.asarray(weave, np.float32), (0.36, 0.44, 0.55)


def _wood(height: int, width: int, rng: np.random.Generator) -> tuple[Canvas, tuple[float, ...]]:
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    wave = _clouds(height, width, 4, rng) * np.float32(0.1)
    rings = np.sin((y + wave) * np.float32(2 * np.pi * rng.uniform(7, 12)))
    return np.asarray(np.float32(0.13) * rings, np.float32), (0.66, 0.5, 0.34)


def _frosted(height: int, width: int, rng: np.random.Generator) -> tuple[Canvas, tuple[float, ...]]:
    return _clouds(height, width, 5, rng) * np.float32(0.06), (0.74, 0.8, 0.8)


SURFACES: Mapping[
    str, Callable[[int, int, np.random.Generator], tuple[Canvas, tuple[float, ...]]]
] = {
    "brushed": _brushed,
    "cast": _cast,
    "cloth": _cloth,
    "wood": _wood,
    "frosted": _frosted,
}
"""Name of a surface -> what draws its relief and says its colour."""


def _clouds(height: int, width: int, n: int, rng: np.random.Generator) -> Canvas:
    import cv2

    grid = rng.uniform(-1, 1, (n, n)).astype(np.float32)
    return np.asarray(cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC))

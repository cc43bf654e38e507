"""Colours, textures, light and noise: from a scene to the pixels of its image."""

from __future__ import annotations

import colorsys
import math

import numpy as np
import numpy.typing as npt

from .placement import FULL, Shape, ShapeScene

Canvas = npt.NDArray[np.float32]
"""Red, green and blue planes, shape (3, h, w), 0 to 1; planes are quicker to blend than pixels."""

_NIGHT = (0.33, 0.37, 0.52)  # dark and a little blue
_NIGHT_NOISE = 2.0  # a dark picture is a noisy one
_SHADOW = 0.45
_PLAIN, _STRIPES, _CHECKS = range(3)


def paint(
    scene: ShapeScene, *, night: bool, brightness: float, noise: float, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """Return the image of `scene`, RGB, shape (size, size, 3).

    Parameters
    ----------
    scene : Scene
        Shapes in painting order.
    night : bool
        Whether it is dark.
    brightness : float
        Factor on all pixels.
    noise : float
        Standard deviation of the noise of each pixel by day, in grey levels of 255.
    """
    canvas, ground_hue = _ground(len(scene.ids), rng)
    for shape in scene.shapes:
        _lay(canvas, shape, ground_hue, rng)
    tint = _planes(_NIGHT if night else (1.0, 1.0, 1.0))
    canvas *= np.float32(255 * brightness) * tint
    if noise > 0:
        grain = rng.standard_normal(canvas.shape, dtype=np.float32)
        grain *= np.float32(noise * (_NIGHT_NOISE if night else 1.0))
        canvas += grain
    np.rint(np.clip(canvas, 0, 255, out=canvas), out=canvas)
    return np.ascontiguousarray(canvas.astype(np.uint8).transpose(1, 2, 0))


def _ground(size: int, rng: np.random.Generator) -> tuple[Canvas, float]:
    """Return a cloudy ground between two muted colours of one hue, and the hue (0 to 1)."""
    import cv2

    hue = rng.uniform()
    clouds = np.zeros((size, size), np.float32)
    for n_cells, weight in ((4, 0.6), (12, 0.3), (max(size // 3, 13), 0.22)):
        cells = rng.random((n_cells, n_cells), dtype=np.float32)
        clouds += weight * cv2.resize(cells, (size, size), interpolation=cv2.INTER_CUBIC)
    dark = _rgb(hue, rng.uniform(0.12, 0.35), rng.uniform(0.3, 0.5))
    light = _rgb(hue + 0.06, rng.uniform(0.08, 0.25), rng.uniform(0.62, 0.85))
    return dark + (light - dark) * clouds, hue


def _lay(canvas: Canvas, shape: Shape, ground_hue: float, rng: np.random.Generator) -> None:
    """Paint one shape and its soft shadow onto `canvas`."""
    import cv2

    size = canvas.shape[1]
    depth = max(1, round(0.05 * min(shape.coverage.shape)))
    edge = 2 * depth + 1  # room for the blur
    wide = cv2.copyMakeBorder(shape.coverage, edge, edge, edge, edge, cv2.BORDER_CONSTANT)
    blurred = cv2.GaussianBlur(wide, (0, 0), 0.6 * depth + 0.5)
    offset = depth - edge
    shadow = Shape("", blurred, shape.left + offset, shape.top + offset)
    (rows, columns), in_shape = shadow.overlap(size)
    canvas[:, rows, columns] *= 1 - blurred[in_shape] * np.float32(_SHADOW / FULL)
    (rows, columns), in_shape = shape.overlap(size)
    alpha = shape.coverage[in_shape] * np.float32(1 / FULL)
    under = canvas[:, rows, columns]
    under += alpha * (_surface(shape, ground_hue, rng)[:, *in_shape] - under)


def _surface(shape: Shape, ground_hue: float, rng: np.random.Generator) -> Canvas:
    """Return the textured colours of a shape, shape (3, h, w), lit from the upper left."""
    height, width = shape.coverage.shape
    hue = ground_hue + rng.uniform(0.15, 0.85)
    bright = bool(rng.random() < 0.7)  # the others are dark, so that lightness alone says nothing
    value = rng.uniform(0.8, 1.0) if bright else rng.uniform(0.3, 0.45)
    colour = _rgb(hue, rng.uniform(0.55, 0.9), value)
    y = np.arange(height, dtype=np.float32)[:, None]
    x = np.arange(width, dtype=np.float32)
    shade = 1.08 - 0.11 * (x / width + y / height)
    texture = int(rng.integers(3))
    angle, phase = rng.uniform(0, math.pi), rng.uniform(0, 2 * math.pi)
    turns = 2 * math.pi * rng.uniform(2.0, 5.0) / max(height, width)
    if texture != _PLAIN:
        cos, sin = turns * math.cos(angle), turns * math.sin(angle)
        along = np.sin(cos * x + sin * y + phase)
        if texture == _CHECKS:
            along *= np.sin(cos * y - sin * x + phase)
        shade *= 1 + 0.3 * np.clip(4 * along, -1, 1)
    lit: Canvas = np.minimum(colour * shade, np.float32(1))
    return lit


def _rgb(hue: float, saturation: float, value: float) -> npt.NDArray[np.float32]:
    return _planes(colorsys.hsv_to_rgb(hue % 1.0, saturation, value))


def _planes(colour: tuple[float, float, float]) -> npt.NDArray[np.float32]:
    return np.array(colour, np.float32).reshape(3, 1, 1)

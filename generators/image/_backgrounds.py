"""Backgrounds of synthetic images: grounds of scenes, and faultless surfaces for inspection."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from twinset.core.extras import optional
from twinset.core.image.effects import draw_film_grain

from ._labelled_images import Rgb

Canvas = npt.NDArray[np.float32]
Relief = Callable[[int, int, np.random.Generator], Canvas]

_GRAIN = 0.012  # standard deviation of the grain, of 1: 3 grey levels, as of a clean photograph
_WARM = np.array([1.0, 0.92, 0.8], np.float32)
_HORIZON = (0.3, 0.5)  # of the height from above: as a camera in a car sees it
_SKY, _VERGE, _ASPHALT, _PAINT = np.array(
    [(0.62, 0.74, 0.88), (0.36, 0.44, 0.24), (0.36, 0.36, 0.38), (0.8, 0.8, 0.75)], np.float32
)
_DASHES = tuple((6 / ((2 * k + 1) * np.pi), 6 / (2 * k * np.pi)) for k in range(1, 13))
_MARKS = (
    *((-0.03, 0.03, far, near) for far, near in _DASHES),
    (-0.955, -0.905, 0.0, 1.0),
    (0.905, 0.955, 0.0, 1.0),
)  # left and right edge, where the road's are -1 and 1; far and near end, horizon 0 to lower rim 1
_FINE_BITS = 4  # corners to 1/16 pixel: coarser ones make the edges of far marks jump
_FINE = 1 << _FINE_BITS  # parts of a pixel in which corners are given


def draw_clouds(n: int, height: int, width: int, rng: np.random.Generator) -> Canvas:
    """Return `n` by `n` random cells, -1 to 1, smoothly enlarged to shape (h, w)."""
    cv2 = optional("cv2")
    cells = rng.uniform(-1, 1, (n, n)).astype(np.float32)
    return np.asarray(cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC))


def paint_ground(
    name: str, height: int, width: int, colour: Rgb | None, rng: np.random.Generator
) -> Canvas:
    """Return a ground, shape (h, w, 3), 0 to 1."""
    rgb = colour or colorsys.hsv_to_rgb(
        rng.uniform(), rng.uniform(0.05, 0.3), rng.uniform(0.35, 0.75)
    )
    return _GROUNDS[name](height, width, np.asarray(rgb, np.float32), rng)


def _clouds(height: int, width: int, rgb: Canvas, rng: np.random.Generator) -> Canvas:
    return _tinted(_noise(height, width, ((4, 0.7), (12, 0.4), (48, 0.2)), rng), rgb, 0.42, rng)


def _gradient(height: int, width: int, rgb: Canvas, rng: np.random.Generator) -> Canvas:
    angle = rng.uniform(0, 2 * np.pi)
    x = np.linspace(-0.5, 0.5, width, dtype=np.float32) * np.float32(np.cos(angle))
    y = np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None] * np.float32(np.sin(angle))
    return _tinted(np.asarray(x + y, np.float32), rgb, 0.5, rng)


def _plain(height: int, width: int, rgb: Canvas, rng: np.random.Generator) -> Canvas:
    return _tinted(np.zeros((height, width), np.float32), rgb, 0.0, rng)


def _smear(height: int, width: int, rgb: Canvas, rng: np.random.Generator) -> Canvas:
    """Return a thin film under a microscope: nearly even, a little darker towards the corners."""
    film = _noise(height, width, ((3, 0.7), (7, 0.3)), rng)
    x = np.linspace(-1, 1, width, dtype=np.float32)
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    dim = np.asarray(film - np.float32(0.5) * (x * x + y * y - np.float32(0.6)), np.float32)
    return _tinted(dim, rgb, 0.12, rng)


def _road(height: int, width: int, rgb: Canvas, rng: np.random.Generator) -> Canvas:
    """Return a sky over verges and a road that runs to a point on the horizon."""
    cv2 = optional("cv2")
    horizon = float(rng.uniform(*_HORIZON))
    middle = float(rng.uniform(-0.2, 0.2))
    made = np.empty((height, width, 3), np.float32)
    first = math.ceil(horizon * (height - 1))
    made[:first], made[first:] = _SKY, _VERGE
    for colour, strips in ((_ASPHALT, ((-1.0, 1.0, 0.0, 1.0),)), (_PAINT, _MARKS)):
        for left, right, far, near in strips:
            # The road's half width grows with the depth, from a twentieth of the image's half.
            x = [edge * (0.05 + 0.8 * depth) for depth in (far, near) for edge in (left, right)]
            columns = [(1 + middle + at) / 2 * (width - 1) for at in (x[0], x[1], x[3], x[2])]
            rows = [(horizon + (1 - horizon) * at) * (height - 1) for at in (far, far, near, near)]
            corners = np.round(np.stack([columns, rows], axis=1) * _FINE).astype(np.int32)
            cv2.fillConvexPoly(made, corners, colour.tolist(), shift=_FINE_BITS)
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    above, below = y / np.float32(horizon), (y - horizon) / (1 - horizon)
    shade = np.where(y < horizon, 1 + np.float32(0.3) * above, 1 + np.float32(0.15) * below)
    bumps = _noise(height, width, ((9, 0.5), (40, 0.5)), rng)
    bumps *= np.float32(0.16)
    bumps += 1
    bumps *= shade
    dust = draw_film_grain((height, width), rng)
    dust *= np.float32(2 * _GRAIN)
    bumps += dust
    made *= bumps[..., None]
    return made


_GROUNDS: Mapping[str, Callable[[int, int, Canvas, np.random.Generator], Canvas]] = {
    "clouds": _clouds,
    "gradient": _gradient,
    "plain": _plain,
    "road": _road,
    "smear": _smear,
}


def _noise(
    height: int, width: int, layers: tuple[tuple[int, float], ...], rng: np.random.Generator
) -> Canvas:
    """Return noise about 0, shape (h, w), of cells of several sizes."""
    cv2 = optional("cv2")
    noise = np.zeros((height, width), np.float32)
    for n, weight in layers:
        cells = rng.uniform(-0.5, 0.5, (n, n)).astype(np.float32) * np.float32(weight)
        noise += cv2.resize(cells, (width, height), interpolation=cv2.INTER_LINEAR)
    return noise


def _tinted(plane: Canvas, rgb: Canvas, spread: float, rng: np.random.Generator) -> Canvas:
    """Return the colour with grain, lighter where the plane is positive, and a little warmer there.

    The plane is overwritten: fresh memory costs most here. One plane of grain serves all colours, which
    is twice as fast, and how dust and paper look.
    """
    cv2 = optional("cv2")
    plane *= np.float32(spread)
    dust = draw_film_grain(plane.shape, rng)
    dust *= np.float32(_GRAIN)
    plane += dust
    # One pass over the plane: each colour is rgb + warmth * plane.
    return np.asarray(cv2.transform(plane[..., None], np.stack([_WARM, rgb], axis=1)))


def paint_surface(name: str, height: int, width: int, rng: np.random.Generator) -> Canvas:
    """Return a surface, shape (h, w, 3), 0 to 1, lit a little unevenly."""
    relief, colour = SURFACES[name]
    plane = relief(height, width, rng)
    x = np.linspace(-0.5, 0.5, width, dtype=np.float32)
    y = np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None]
    angle = rng.uniform(0, 2 * np.pi)
    lit = 1 + np.float32(0.14) * (np.float32(np.cos(angle)) * x + np.float32(np.sin(angle)) * y)
    tint = np.asarray(colour, np.float32) * np.float32(rng.uniform(0.92, 1.08))
    surface = ((1 + plane) * lit)[..., None] * tint
    surface += (draw_film_grain((height, width), rng) * np.float32(0.008))[..., None]
    return np.asarray(np.clip(surface, 0, 1), np.float32)


def _brushed(height: int, width: int, rng: np.random.Generator) -> Canvas:
    cv2 = optional("cv2")
    lines = draw_film_grain((height, width), rng)
    return np.asarray(cv2.blur(lines, (max(3, width // 5), 1)) * np.float32(0.45))


def _cast(height: int, width: int, rng: np.random.Generator) -> Canvas:
    cv2 = optional("cv2")
    fine = cv2.GaussianBlur(draw_film_grain((height, width), rng), (0, 0), 1.1)
    clouds = draw_clouds(9, height, width, rng)
    return np.asarray(fine * np.float32(0.22) + clouds * np.float32(0.1))


def _cloth(height: int, width: int, rng: np.random.Generator) -> Canvas:
    period = np.float32(2 * np.pi / rng.uniform(5, 7))
    x = np.sin(np.arange(width, dtype=np.float32) * period)
    y = np.sin(np.arange(height, dtype=np.float32) * period)[:, None]
    clouds = draw_clouds(12, height, width, rng)
    return np.asarray(np.float32(0.16) * np.maximum(x, y) + np.float32(0.05) * clouds, np.float32)


def _wood(height: int, width: int, rng: np.random.Generator) -> Canvas:
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    wave = draw_clouds(4, height, width, rng) * np.float32(0.1)
    rings = np.sin((y + wave) * np.float32(2 * np.pi * rng.uniform(7, 12)))
    return np.asarray(np.float32(0.13) * rings, np.float32)


def _frosted(height: int, width: int, rng: np.random.Generator) -> Canvas:
    return draw_clouds(5, height, width, rng) * np.float32(0.06)


SURFACES: Mapping[str, tuple[Relief, Rgb]] = {
    "brushed": (_brushed, (0.58, 0.59, 0.6)),
    "cast": (_cast, (0.42, 0.42, 0.43)),
    "cloth": (_cloth, (0.36, 0.44, 0.55)),
    "wood": (_wood, (0.66, 0.5, 0.34)),
    "frosted": (_frosted, (0.74, 0.8, 0.8)),
}
"""Name of a surface -> function of its relief, and its colour."""

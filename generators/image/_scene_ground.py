"""What lies behind the objects of a scene: clouds, a gradient, a plain colour, a road, a smear of fluid."""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from twinset.core.camera import grain

Canvas = npt.NDArray[np.float32]

_GRAIN = 0.012
_WARM = np.array([1.0, 0.92, 0.8], np.float32)
_HORIZON = (0.3, 0.5)
_ROAD = np.array(
    [(0.62, 0.74, 0.88), (0.36, 0.44, 0.24), (0.36, 0.36, 0.38), (0.8, 0.8, 0.75)], np.float32
)  # sky, verge, road, paint


def paint_ground(
    name: str,
    height: int,
    width: int,
    colour: tuple[float, float, float] | None,
    rng: np.random.Generator,
) -> Canvas:
    """Return a ground, shape (h, w, 3), 0 to 1.

    Parameters
    ----------
    name : str
        A key of `_GROUNDS`.
    height, width : int
        Size in pixels.
    colour : tuple of float, optional
        Its colour; drawn when not given. A road has its own ones.
    rng : numpy.random.Generator
        Draws the rest.
    """
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
    horizon = float(rng.uniform(*_HORIZON))
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32) - np.float32(rng.uniform(-0.2, 0.2))
    depth = np.clip((y - horizon) / (1 - horizon), 0, 1)
    half = np.float32(0.05) + np.float32(0.8) * depth
    across = np.abs(x / half)
    below = np.broadcast_to(y >= horizon, across.shape)
    on_road = below & (across < 1)
    dashes = np.sin(6 / np.maximum(depth, np.float32(0.02))) > 0
    painted = on_road & (((across < 0.03) & dashes) | (np.abs(across - np.float32(0.93)) < 0.025))
    kinds = below.astype(np.uint8) + on_road + painted
    shade = np.where(
        y < horizon, 1 + np.float32(0.3) * y / np.float32(horizon), 1 + np.float32(0.15) * depth
    )
    shade = shade * (1 + np.float32(0.16) * _noise(height, width, ((9, 0.5), (40, 0.5)), rng))
    shade += grain((height, width), rng) * np.float32(2 * _GRAIN)
    return np.asarray(_ROAD[kinds] * shade[..., None].astype(np.float32))


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
    import cv2

    made = np.zeros((height, width), np.float32)
    for n, weight in layers:
        cells = rng.uniform(-0.5, 0.5, (n, n)).astype(np.float32) * np.float32(weight)
        made += cv2.resize(cells, (width, height), interpolation=cv2.INTER_LINEAR)
    return made


def _tinted(plane: Canvas, rgb: Canvas, spread: float, rng: np.random.Generator) -> Canvas:
    """Return the colour, lighter and darker as the plane says, a touch warmer where it is light; grainy.

    One plane of grain for all colours: it is as quick again, and that is how dust and paper look.
    """
    import cv2

    plane = plane * np.float32(spread)
    plane += grain(plane.shape, rng) * np.float32(_GRAIN)
    # One pass over the plane: each colour is rgb + warmth * plane.
    return np.asarray(cv2.transform(plane[..., None], np.stack([_WARM, rgb], axis=1)))

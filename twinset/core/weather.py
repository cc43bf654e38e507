"""Fog, rain, snow, night and glare over a picture: what labels cannot see and cameras must.

Every function takes pixels as float32 fractions of 1, shape (h, w, channels), and returns new ones of
the same form; `amount` is 0 (nothing) to 1 (as much as there can be). None moves a pixel, so labels stay
as they are. Fields are drawn on a coarse grid and enlarged, which is what makes them quick.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.camera import grain

Picture = npt.NDArray[np.float32]

_FOG_LIGHT, _FOG_SHARE = 0.82, 0.88
_RAIN_LIGHT, _SNOW_LIGHT = 0.78, 0.96
_NIGHT = (0.30, 0.34, 0.50)  # what is left of red, green and blue
_GLARE = (1.0, 0.95, 0.82)


def fog(picture: Picture, amount: float, rng: np.random.Generator) -> Picture:
    """Return the picture in fog: drifting, and denser towards the upper edge, where things are far.

    References
    ----------
    Koschmieder, "Theorie der horizontalen Sichtweite" (1924): seen = own light * t + fog light * (1 - t).

    Examples
    --------
    >>> grey = np.full((8, 8, 3), 0.2, np.float32)
    >>> thin, thick = (fog(grey, a, np.random.default_rng(0)).mean() for a in (0.2, 0.9))
    >>> bool(0.2 < thin < thick < 0.85)
    True
    """
    height, width = picture.shape[:2]
    clouds = _clouds((height, width), (5, 9), rng)
    depth = np.linspace(1.0, 0.55, height, dtype=np.float32)[:, None]
    veil = np.float32(_FOG_SHARE * amount) * depth * (np.float32(0.6) + np.float32(0.4) * clouds)
    veil *= np.float32(1 + 0.25 * amount)
    np.minimum(veil, np.float32(1), out=veil)
    return _towards(picture, np.float32(_FOG_LIGHT), veil)


def rain(picture: Picture, amount: float, rng: np.random.Generator) -> Picture:
    """Return the picture in rain: slanting streaks of light, and a paler, flatter scene behind them."""
    import cv2

    height, width = picture.shape[:2]
    dull = _towards(picture, np.float32(0.52), np.float32(0.28 * amount))
    dull *= np.float32(1 - 0.18 * amount)
    unit = max(height, width) / 256
    slant, length = float(rng.uniform(-0.35, 0.35)), (9 + 14 * amount) * unit
    layer = np.zeros((height, width), np.uint8)
    n = round(amount * 1.6 * (height * width) ** 0.5)
    starts = rng.uniform((-0.1 * width, -length), (1.1 * width, height), (n, 2))
    reach = length * rng.uniform(0.5, 1.2, n)
    ends = starts + np.stack([slant * reach, reach], axis=1)
    light = rng.integers(70, 190, n)
    lines = np.round(np.stack([starts, ends], axis=1) * 8).astype(np.int32)
    thick = max(1, round(0.7 * unit))
    for (start, end), shade in zip(lines.tolist(), light.tolist()):
        cv2.line(layer, start, end, shade, thick, cv2.LINE_AA, 3)
    streaks = cv2.GaussianBlur(layer, (0, 0), 0.45 * unit + 0.1)
    return _towards(dull, np.float32(_RAIN_LIGHT), streaks * np.float32(0.8 / 255))


def snow(picture: Picture, amount: float, rng: np.random.Generator) -> Picture:
    """Return the picture in snowfall: flakes near (large, blurred) and far, before a whiter scene."""
    import cv2

    height, width = picture.shape[:2]
    white = _towards(picture, np.float32(_SNOW_LIGHT), np.float32(0.3 * amount))
    unit = max(height, width) / 256
    for share, radius, blur, opacity in (
        (1.0, 0.9, 0.5, 0.75),
        (0.35, 1.7, 0.8, 0.85),
        (0.06, 4.0, 2.2, 0.6),
    ):
        layer = np.zeros((height, width), np.uint8)
        n = round(share * amount * 0.0075 * height * width / unit**2)
        places = np.round(rng.uniform(0, 1, (n, 2)) * (width, height) * 8).astype(np.int32)
        radii = np.round(radius * unit * rng.uniform(0.5, 1.4, n) * 8).astype(np.int32)
        for place, size in zip(places.tolist(), radii.tolist()):
            cv2.circle(layer, place, size, 255, -1, cv2.LINE_AA, 3)
        flakes = cv2.GaussianBlur(layer, (0, 0), blur * unit)
        white = _towards(white, np.float32(_SNOW_LIGHT), flakes * np.float32(opacity / 255))
    return white


def night(picture: Picture, amount: float, rng: np.random.Generator) -> Picture:
    """Return the picture at night: dark, bluish, lit unevenly, and grainy, as a camera sees it."""
    height, width, channels = picture.shape
    lamp = _clouds((height, width), (3, 4), rng)[..., None]
    left = np.asarray(_NIGHT if channels == 3 else (0.36,), np.float32)
    keep = (1 - np.float32(amount)) + np.float32(amount) * left * (
        np.float32(0.6) + np.float32(0.8) * lamp
    )
    dark = picture * keep
    dark += grain(picture.shape, rng) * np.float32(0.022 * amount)
    return np.clip(dark, 0, 1, out=dark)


def glare(picture: Picture, amount: float, rng: np.random.Generator) -> Picture:
    """Return the picture with a low sun or a headlight in it: a burnt-out spot and its wide veil."""
    height, width, channels = picture.shape
    x = np.linspace(0, 1, width, dtype=np.float32) - np.float32(rng.uniform(0.1, 0.9))
    y = (np.linspace(0, 1, height, dtype=np.float32) - np.float32(rng.uniform(0.05, 0.6)))[:, None]
    squared = x * x + y * y * np.float32((height / width) ** 2)
    near = np.float32(1.1 * amount) / (1 + squared * np.float32(900 / (0.3 + amount) ** 2))
    wide = np.float32(0.75 * amount) / (1 + squared * np.float32(14))
    tint = np.asarray(_GLARE if channels == 3 else (1.0,), np.float32)
    return _towards(picture, tint, np.minimum(near + wide, np.float32(1)))


WEATHER: dict[str, Callable[[Picture, float, np.random.Generator], Picture]] = {
    "fog": fog,
    "rain": rain,
    "snow": snow,
    "night": night,
    "glare": glare,
}
"""Kind -> what it does to a picture."""


def _clouds(shape: tuple[int, int], cells: tuple[int, int], rng: np.random.Generator) -> Picture:
    """Return smooth noise, 0 to 1, shape (h, w), of two sizes of cloud."""
    import cv2

    height, width = shape
    made = np.zeros(shape, np.float32)
    for n, weight in zip(cells, (0.65, 0.35)):
        grid = rng.random((n, n), dtype=np.float32)
        made += np.float32(weight) * cv2.resize(
            grid, (width, height), interpolation=cv2.INTER_LINEAR
        )
    return made


def _towards(picture: Picture, light: Any, share: Any) -> Picture:
    """Return the picture moved towards `light` by `share`, a number or a plane of shape (h, w)."""
    if isinstance(share, np.ndarray) and share.ndim == 2:
        share = share[..., None]
    made: Picture = picture + (light - picture) * share
    return made

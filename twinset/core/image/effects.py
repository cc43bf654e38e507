"""What a camera does to an image: motion blur, defocus, sensor noise, JPEG blocks, dirt on the lens.

Every function takes pixels as float32 fractions of 1, shape (h, w, channels), and returns new ones of
the same form; `amount` is 0 (nothing) to 1 (as much as there can be). Blurs are symmetric, so that objects
stay where their labels say.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.extras import optional

Pixels = npt.NDArray[np.float32]
Effect = Callable[[Pixels, float, np.random.Generator], Pixels]


def motion_blur(image: Pixels, amount: float, rng: np.random.Generator) -> Pixels:
    """Return the image smeared along a random direction, about its own place."""
    cv2 = optional("cv2")
    reach = amount * 0.035 * max(image.shape[:2])
    half = max(1, math.ceil(reach))
    angle = rng.uniform(0, np.pi)
    size, fine = 2 * half + 1, 8
    kernel = np.zeros((size * fine, size * fine), np.float32)
    middle = (size * fine - 1) / 2
    step = np.array([np.cos(angle), np.sin(angle)]) * reach * fine
    ends = [
        np.round((np.array([middle, middle]) + sign * step) * 16).astype(int) for sign in (-1, 1)
    ]
    cv2.line(kernel, ends[0].tolist(), ends[1].tolist(), 1.0, fine, cv2.LINE_8, 4)
    kernel = cv2.resize(kernel, (size, size), interpolation=cv2.INTER_AREA)
    kernel = kernel + kernel[::-1, ::-1]  # symmetric to the last digit
    kernel /= kernel.sum()
    return _as_given(cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REFLECT), image)


def defocus(image: Pixels, amount: float, rng: np.random.Generator) -> Pixels:
    """Return the image out of focus."""
    cv2 = optional("cv2")
    sigma = 0.3 + amount * 0.014 * max(image.shape[:2])
    return _as_given(cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT), image)


def noise(image: Pixels, amount: float, rng: np.random.Generator) -> Pixels:
    """Return the image with sensor noise: more of it in the light (shot noise), some in the dark."""
    spread = np.sqrt(np.float32(0.012) * np.maximum(image, 0) + np.float32(0.0012))
    changed: Pixels = image + draw_film_grain(image.shape, rng) * spread * np.float32(amount)
    return np.clip(changed, 0, 1, out=changed)


def jpeg(image: Pixels, amount: float, rng: np.random.Generator) -> Pixels:
    """Return the image as a JPEG file of quality 90 to 14 shows it; of 1 or 3 channels only."""
    cv2 = optional("cv2")
    if image.shape[2] not in (1, 3):
        return image.copy()
    quality = round(90 - 76 * amount)
    bytes_ = np.rint(np.clip(image, 0, 1) * np.float32(255)).astype(np.uint8)
    # The order of the channels only decides which of them JPEG thinks to be red.
    order = bytes_[..., ::-1] if image.shape[2] == 3 else bytes_
    _, data = cv2.imencode(
        ".jpg", np.ascontiguousarray(order), [cv2.IMWRITE_JPEG_QUALITY, int(quality)]
    )
    back = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    assert back is not None
    shown = back[..., ::-1] if image.shape[2] == 3 else back
    return _as_given(shown.astype(np.float32) / np.float32(255), image)


def dirt(image: Pixels, amount: float, rng: np.random.Generator) -> Pixels:
    """Return the image through a dirty lens: soft dark blots that let some of the light through."""
    cv2 = optional("cv2")
    height, width = image.shape[:2]
    layer = np.zeros((height, width), np.uint8)
    unit = max(height, width)
    for _ in range(round(4 + 18 * amount)):
        place = np.round(rng.uniform(0, 1, 2) * (width, height)).astype(int).tolist()
        axes = np.maximum(np.round(rng.uniform(0.012, 0.06, 2) * unit), 1).astype(int).tolist()
        shade = int(rng.integers(110, 250))
        cv2.ellipse(layer, place, axes, float(rng.uniform(0, 180)), 0, 360, shade, -1)
    blots = cv2.GaussianBlur(layer, (0, 0), 0.012 * unit).astype(np.float32) * np.float32(1 / 255)
    share = (np.float32(0.85 * min(1.0, 0.4 + amount)) * blots)[..., None]
    changed: Pixels = image + (np.float32(0.12) - image) * share
    return changed


CAMERA: dict[str, Effect] = {
    made.__name__: made for made in (motion_blur, defocus, noise, jpeg, dirt)
}
"""Kind -> what it does to an image."""


def draw_film_grain(shape: tuple[int, ...], rng: np.random.Generator) -> Pixels:
    """Return normal noise of mean 0 and spread 1 in 256 steps: ten times as quick as exact draws."""
    levels = rng.integers(0, 256, shape, dtype=np.uint8)
    return np.asarray(_normal_levels()[levels])


@cache
def _normal_levels() -> Pixels:
    from scipy.special import ndtri

    levels = np.asarray(ndtri((np.arange(256) + 0.5) / 256))
    return np.asarray(levels / levels.std(), np.float32)


def _as_given(changed: Pixels, image: Pixels) -> Pixels:
    """OpenCV drops the axis of a single channel."""
    return np.asarray(changed, np.float32).reshape(image.shape)


_FOG_LIGHT, _FOG_SHARE = 0.82, 0.88
_RAIN_LIGHT, _SNOW_LIGHT = 0.78, 0.96
_NIGHT = (0.30, 0.34, 0.50)  # what is left of red, green and blue
_GLARE = (1.0, 0.95, 0.82)  # warm white of a low sun


def fog(image: Pixels, amount: float, rng: np.random.Generator) -> Pixels:
    """Return the image in fog: drifting, and denser towards the upper edge, where things are far.

    References
    ----------
    Koschmieder, "Theorie der horizontalen Sichtweite" (1924): seen = own light * t + fog light * (1 - t).
    """
    height, width = image.shape[:2]
    clouds = _clouds((height, width), (5, 9), rng)
    depth = np.linspace(1.0, 0.55, height, dtype=np.float32)[:, None]
    veil = np.float32(_FOG_SHARE * amount) * depth * (np.float32(0.6) + np.float32(0.4) * clouds)
    veil *= np.float32(1 + 0.25 * amount)
    np.minimum(veil, np.float32(1), out=veil)
    return _towards(image, np.float32(_FOG_LIGHT), veil)


def rain(image: Pixels, amount: float, rng: np.random.Generator) -> Pixels:
    """Return the image in rain: slanting streaks of light, and a paler, flatter scene behind them."""
    cv2 = optional("cv2")
    height, width = image.shape[:2]
    dull = _towards(image, np.float32(0.52), np.float32(0.28 * amount))
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


def snow(image: Pixels, amount: float, rng: np.random.Generator) -> Pixels:
    """Return the image in snowfall: flakes near (large, blurred) and far, before a whiter scene."""
    cv2 = optional("cv2")
    height, width = image.shape[:2]
    white = _towards(image, np.float32(_SNOW_LIGHT), np.float32(0.3 * amount))
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


def night(image: Pixels, amount: float, rng: np.random.Generator) -> Pixels:
    """Return the image at night: dark, bluish, lit unevenly, and grainy, as a camera sees it."""
    height, width, channels = image.shape
    lamp = _clouds((height, width), (3, 4), rng)[..., None]
    left = np.asarray(_NIGHT if channels == 3 else (0.36,), np.float32)
    keep = (1 - np.float32(amount)) + np.float32(amount) * left * (
        np.float32(0.6) + np.float32(0.8) * lamp
    )
    dark = image * keep
    dark += draw_film_grain(image.shape, rng) * np.float32(0.022 * amount)
    return np.clip(dark, 0, 1, out=dark)


def glare(image: Pixels, amount: float, rng: np.random.Generator) -> Pixels:
    """Return the image with a low sun or a headlight in it: a burnt-out spot and its wide veil."""
    height, width, channels = image.shape
    x = np.linspace(0, 1, width, dtype=np.float32) - np.float32(rng.uniform(0.1, 0.9))
    y = (np.linspace(0, 1, height, dtype=np.float32) - np.float32(rng.uniform(0.05, 0.6)))[:, None]
    squared = x * x + y * y * np.float32((height / width) ** 2)
    near = np.float32(1.1 * amount) / (1 + squared * np.float32(900 / (0.3 + amount) ** 2))
    wide = np.float32(0.75 * amount) / (1 + squared * np.float32(14))
    tint = np.asarray(_GLARE if channels == 3 else (1.0,), np.float32)
    return _towards(image, tint, np.minimum(near + wide, np.float32(1)))


WEATHER: dict[str, Effect] = {made.__name__: made for made in (fog, rain, snow, night, glare)}
"""Kind -> what it does to an image."""


def _clouds(shape: tuple[int, int], cells: tuple[int, int], rng: np.random.Generator) -> Pixels:
    """Return smooth noise, 0 to 1, shape (h, w), of two sizes of cloud."""
    cv2 = optional("cv2")
    height, width = shape
    changed = np.zeros(shape, np.float32)
    for n, weight in zip(cells, (0.65, 0.35)):
        grid = rng.random((n, n), dtype=np.float32)
        changed += np.float32(weight) * cv2.resize(
            grid, (width, height), interpolation=cv2.INTER_LINEAR
        )
    return changed


def _towards(image: Pixels, light: Any, share: Any) -> Pixels:
    """Return the image moved towards `light` by `share`, a number or a plane of shape (h, w)."""
    if isinstance(share, np.ndarray) and share.ndim == 2:
        share = share[..., None]
    changed: Pixels = image + (light - image) * share
    return changed

"""What a camera does to a picture: motion blur, defocus, sensor noise, JPEG blocks, dirt on the lens.

Every function takes pixels as float32 fractions of 1, shape (h, w, channels), and returns new ones of
the same form; `amount` is 0 (nothing) to 1 (as much as there can be). Blurs are symmetric, so that objects
stay where their labels say.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.float32]


def motion_blur(picture: Picture, amount: float, rng: np.random.Generator) -> Picture:
    """Return the picture smeared along a random direction, about its own place.

    Examples
    --------
    >>> dot = np.zeros((33, 33, 1), np.float32)
    >>> dot[16, 16] = 1
    >>> smeared = motion_blur(dot, 1.0, np.random.default_rng(0))[..., 0]
    >>> round(float(smeared.sum()), 3), np.unravel_index(int(smeared.argmax()), smeared.shape)
    (1.0, (np.int64(16), np.int64(16)))
    """
    import cv2

    reach = amount * 0.035 * max(picture.shape[:2])
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
    return _as_given(cv2.filter2D(picture, -1, kernel, borderType=cv2.BORDER_REFLECT), picture)


def defocus(picture: Picture, amount: float, rng: np.random.Generator) -> Picture:
    """Return the picture out of focus."""
    import cv2

    sigma = 0.3 + amount * 0.014 * max(picture.shape[:2])
    return _as_given(
        cv2.GaussianBlur(picture, (0, 0), sigma, borderType=cv2.BORDER_REFLECT), picture
    )


def noise(picture: Picture, amount: float, rng: np.random.Generator) -> Picture:
    """Return the picture with sensor noise: more of it in the light (shot noise), some in the dark."""
    spread = np.sqrt(np.float32(0.012) * np.maximum(picture, 0) + np.float32(0.0012))
    made: Picture = picture + grain(picture.shape, rng) * spread * np.float32(amount)
    return np.clip(made, 0, 1, out=made)


def jpeg(picture: Picture, amount: float, rng: np.random.Generator) -> Picture:
    """Return the picture as a JPEG file of quality 90 to 14 shows it; of 1 or 3 channels only."""
    import cv2

    if picture.shape[2] not in (1, 3):
        return picture.copy()
    quality = round(90 - 76 * amount)
    bytes_ = np.rint(np.clip(picture, 0, 1) * np.float32(255)).astype(np.uint8)
    # The order of the channels only decides which of them JPEG thinks to be red.
    order = bytes_[..., ::-1] if picture.shape[2] == 3 else bytes_
    _, data = cv2.imencode(
        ".jpg", np.ascontiguousarray(order), [cv2.IMWRITE_JPEG_QUALITY, int(quality)]
    )
    back = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    assert back is not None
    shown = back[..., ::-1] if picture.shape[2] == 3 else back
    return _as_given(shown.astype(np.float32) / np.float32(255), picture)


def dirt(picture: Picture, amount: float, rng: np.random.Generator) -> Picture:
    """Return the picture through a dirty lens: soft dark blots that let some of the light through."""
    import cv2

    height, width = picture.shape[:2]
    layer = np.zeros((height, width), np.uint8)
    unit = max(height, width)
    for _ in range(round(4 + 18 * amount)):
        place = np.round(rng.uniform(0, 1, 2) * (width, height)).astype(int).tolist()
        axes = np.maximum(np.round(rng.uniform(0.012, 0.06, 2) * unit), 1).astype(int).tolist()
        shade = int(rng.integers(110, 250))
        cv2.ellipse(layer, place, axes, float(rng.uniform(0, 180)), 0, 360, shade, -1)
    blots = cv2.GaussianBlur(layer, (0, 0), 0.012 * unit).astype(np.float32) * np.float32(1 / 255)
    share = (np.float32(0.85 * min(1.0, 0.4 + amount)) * blots)[..., None]
    made: Picture = picture + (np.float32(0.12) - picture) * share
    return made


CAMERA: dict[str, Callable[[Picture, float, np.random.Generator], Picture]] = {
    "motion_blur": motion_blur,
    "defocus": defocus,
    "noise": noise,
    "jpeg": jpeg,
    "dirt": dirt,
}
"""Kind -> what it does to a picture."""


def grain(shape: tuple[int, ...], rng: np.random.Generator) -> Picture:
    """Return normal noise of mean 0 and spread 1 in 256 steps: ten times as quick as exact draws."""
    levels = rng.integers(0, 256, shape, dtype=np.uint8)
    return np.asarray(_normal_levels()[levels])


@cache
def _normal_levels() -> Picture:
    from scipy.special import ndtri

    levels = np.asarray(ndtri((np.arange(256) + 0.5) / 256))
    return np.asarray(levels / levels.std(), np.float32)


def _as_given(made: Picture, picture: Picture) -> Picture:
    """OpenCV drops the axis of a single channel."""
    return np.asarray(made, np.float32).reshape(picture.shape)

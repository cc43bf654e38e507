"""Defects of surfaces: scratches, cracks, dents, stains, holes, blots of texture and misplaced patches.

Every function takes pixels as float32 fractions of 1, shape (h, w, channels), and returns new ones with the
mask of the defect, shape (h, w): the pixels that it covers by a half or more. `amount` is 0 (hardly to be
seen) to 1 (glaring).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from twinset.core.errors import DataError
from twinset.core.extras import optional

Pixels = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
DefectAndMask = tuple[Pixels, Mask]

_MAX_TRIES = 200  # draws, each a quarter larger, before an image is given up as too small


def scratch(image: Pixels, side: float, amount: float, rng: np.random.Generator) -> DefectAndMask:
    """Return the image with a long, thin, slightly bent scratch, one side of it light and one dark."""
    cv2 = optional("cv2")
    height, width = image.shape[:2]
    points = _path((height, width), side, 0.12, rng)
    thick = max(1, round(0.035 * side * rng.uniform(0.6, 1.4)))
    cover = _line(points, (height, width), thick)
    aside = np.array([[1, 0, thick * 0.6], [0, 1, thick * 0.6]], np.float32)
    lip = np.maximum(cv2.warpAffine(cover, aside, (width, height)) - cover, 0)
    light = np.float32(0.25 + 0.45 * amount) * (1 if rng.random() < 0.5 else -1)
    made = image + ((cover - lip * np.float32(0.6)) * light)[..., None]
    return np.clip(made, 0, 1), cover >= 0.5


def crack(image: Pixels, side: float, amount: float, rng: np.random.Generator) -> DefectAndMask:
    """Return the image with a dark, jagged, branching crack."""
    height, width = image.shape[:2]
    trunk = _path((height, width), side, 0.5, rng)
    thick = max(1, round(0.02 * side))
    cover = _line(trunk, (height, width), thick)
    for _ in range(int(rng.integers(1, 4))):
        start = trunk[int(rng.integers(len(trunk)))]
        branch = _path((height, width), side * rng.uniform(0.25, 0.5), 0.5, rng)
        cover = np.maximum(
            cover, _line(branch - branch[0] + start, (height, width), max(1, thick - 1))
        )
    made = image * (1 - cover * np.float32(0.45 + 0.5 * amount))[..., None]
    return made, cover >= 0.5


def dent(image: Pixels, side: float, amount: float, rng: np.random.Generator) -> DefectAndMask:
    """Return the image with a dent: lit on the far side, in shadow on the near one."""
    cover, x, y = _blob(image.shape[:2], side, 0.15, rng)
    angle = rng.uniform(0, 2 * np.pi)
    slope = (np.float32(np.cos(angle)) * x + np.float32(np.sin(angle)) * y) / np.float32(side / 2)
    light = np.asarray(cover * np.clip(slope, -1, 1), np.float32) * np.float32(0.15 + 0.4 * amount)
    made = np.clip(image + light[..., None], 0, 1)
    return np.asarray(made, np.float32), cover >= 0.5


def stain(image: Pixels, side: float, amount: float, rng: np.random.Generator) -> DefectAndMask:
    """Return the image with a coloured stain that is darkest at its rim."""
    cover, x, y = _blob(image.shape[:2], side, 0.3, rng)
    rim = np.clip(np.hypot(x, y) / np.float32(side / 2), 0, 1) ** 3
    share = cover * (np.float32(0.5) + np.float32(0.5) * rim) * np.float32(0.25 + 0.6 * amount)
    colour = np.asarray(rng.uniform(0.05, 0.45, image.shape[2]), np.float32)
    made = image + (colour - image) * share[..., None]
    return np.asarray(made, np.float32), cover >= 0.5


def hole(image: Pixels, side: float, amount: float, rng: np.random.Generator) -> DefectAndMask:
    """Return the image with a part that is missing: a dark hole with a bright edge."""
    cv2 = optional("cv2")
    cover, _, _ = _blob(image.shape[:2], side, 0.12, rng)
    edge = np.clip(cover - cv2.blur(cover, (5, 5)), 0, 1)
    dark = np.float32(0.12 * (1 - amount) + 0.03)
    made = image + (dark - image) * cover[..., None] + edge[..., None] * np.float32(0.3)
    return np.clip(made, 0, 1), cover >= 0.5


def blot(image: Pixels, side: float, amount: float, rng: np.random.Generator) -> DefectAndMask:
    """Return the image with a ragged blot of another texture, cut out of smooth noise.

    References
    ----------
    Zavrtanik, Kristan, Skocaj, "DRAEM", ICCV 2021 (which takes Perlin noise).
    """
    cv2 = optional("cv2")
    height, width = image.shape[:2]
    frame, _, _ = _blob((height, width), side, 0.25, rng)
    grid = rng.uniform(-1, 1, (8, 8)).astype(np.float32)
    size = max(4, round(side))
    tile = cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC)
    noise = np.tile(tile, (height // size + 1, width // size + 1))[:height, :width]
    cover = frame * np.asarray(np.clip(0.5 + 4 * (noise + 0.15), 0, 1), np.float32)
    if not (cover >= 0.5).any():
        cover = frame
    colour = np.asarray(rng.uniform(0.1, 0.9, image.shape[2]), np.float32)
    texture = colour + np.float32(0.2) * noise[..., None]
    share = (cover * np.float32(0.35 + 0.6 * amount))[..., None]
    made = image + (texture - image) * share
    return np.clip(made, 0, 1), cover >= 0.5


def patch(image: Pixels, side: float, amount: float, rng: np.random.Generator) -> DefectAndMask:
    """Return the image with a piece of itself laid at another place, its light a little changed.

    References
    ----------
    Li, Sohn, Yoon, Pfister, "CutPaste", CVPR 2021.
    """
    height, width = image.shape[:2]
    h = int(np.clip(round(side * rng.uniform(0.3, 1)), 2, height // 2))
    w = int(np.clip(round(side * rng.uniform(0.3, 1)), 2, width // 2))
    y0, y1 = rng.integers(0, height - h + 1, 2)
    x0, x1 = rng.integers(0, width - w + 1, 2)
    piece = image[y0 : y0 + h, x0 : x0 + w]
    piece = piece[::-1, ::-1] if rng.random() < 0.5 else piece
    shift = np.float32((0.08 + 0.3 * amount) * (1 if rng.random() < 0.5 else -1))
    made = image.copy()
    made[y1 : y1 + h, x1 : x1 + w] = np.clip(piece + shift, 0, 1)
    mask = np.zeros((height, width), bool)
    mask[y1 : y1 + h, x1 : x1 + w] = True
    return made, mask


DEFECTS: Mapping[str, Callable[[Pixels, float, float, np.random.Generator], DefectAndMask]] = {
    made.__name__: made for made in (scratch, crack, dent, stain, hole, blot, patch)
}
"""Kind of defect -> what draws it: takes the image, its longer side in pixels, the amount and an rng."""


def marked(
    kind: str,  # one of `DEFECTS`
    image: Pixels,  # pixels, 0 to 1, shape (h, w, channels)
    side: float,  # longer side of the defect in pixels
    amount: float,  # how glaring it is, 0 to 1
    rng: np.random.Generator,  # draws the rest
) -> DefectAndMask:
    """Return the image with a defect that owns a pixel or more.

    A small one may cover no pixel by a half; it is then drawn again, each time larger by a quarter.
    """
    for _ in range(_MAX_TRIES):
        made, mask = DEFECTS[kind](image, side, amount, rng)
        if mask.any():
            return made, mask
        side = min(side * 1.25, float(max(image.shape[:2])))
    raise DataError(
        f"an image is too small for a {kind} to be seen",
        got=f"{image.shape[1]} x {image.shape[0]} pixels",
        todo="take larger images, or leave this kind of defect out",
    )


def _path(shape: tuple[int, int], length: float, bend: float, rng: np.random.Generator) -> Pixels:
    """Return the corners of a line about that long through the image, shape (k, 2), as x, y."""
    n = 9
    turns = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, bend, n))
    steps = np.stack([np.cos(turns), np.sin(turns)], axis=1) * length / n
    line = np.cumsum(steps, axis=0)
    centre = rng.uniform(0.15, 0.85, 2) * [shape[1], shape[0]]
    return np.asarray(line - line.mean(axis=0) + centre, np.float32)


def _line(points: Pixels, shape: tuple[int, int], thick: int) -> Pixels:
    cv2 = optional("cv2")
    layer = np.zeros(shape, np.uint8)
    at = np.round(points * 8).astype(np.int32)
    cv2.polylines(layer, [at], False, 255, thick, cv2.LINE_AA, 3)
    return layer.astype(np.float32) / np.float32(255)


def _blob(
    shape: tuple[int, ...], side: float, ragged: float, rng: np.random.Generator
) -> tuple[Pixels, Pixels, Pixels]:
    """Return how far a smooth blob covers each pixel (0 to 1), and x and y from its middle, in pixels."""
    height, width = shape
    centre = rng.uniform(0.12, 0.88, 2) * [width, height]
    x = np.arange(width, dtype=np.float32) + np.float32(0.5 - centre[0])
    y = (np.arange(height, dtype=np.float32) + np.float32(0.5 - centre[1]))[:, None]
    squeeze = np.float32(rng.uniform(0.55, 1.0))
    distance = np.hypot(x, y / squeeze)
    angle = np.arctan2(y, x)
    radius = np.full_like(distance, side / 2)
    for k in range(2, 6):
        swing = rng.normal() * ragged / k * side / 2
        radius += np.float32(swing) * np.cos(k * angle + np.float32(rng.uniform(0, 2 * np.pi)))
    cover = np.clip((radius - distance) / np.float32(max(side * 0.06, 1.0)) + np.float32(0.5), 0, 1)
    return cover, np.broadcast_to(x, distance.shape), np.broadcast_to(y, distance.shape)

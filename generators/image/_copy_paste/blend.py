"""Lay a cutout over an image: turned, scaled, its edge blended, its light drawn towards its new place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .._labelled_images import overlap
from .cutouts import Cutout, Mask, Pixels

BLENDS = ("none", "feather", "poisson", "mixed")

_RING = 3  # pixels about an object whose light is compared with that of its new place
_MAX_SHIFT = 0.25  # of the whole range: further than that the light is not drawn
_SEAM = 7  # pixels that seamless cloning needs about the mask
_RIM = 5  # of the old surroundings go along; OpenCV takes three of them off again


@dataclass(frozen=True)
class Paste:
    """A cutout made ready: on its own grid, to be laid at any whole pixel."""

    pixels: Pixels
    alpha: npt.NDArray[np.float32]
    mask: Mask
    points: Mapping[str, tuple[float, float, int]]
    is_mirrored: bool


def prepare(cutout: Cutout, *, scale: float, turn: float, mirrored: bool, soft: bool) -> Paste:
    """Return a cutout scaled, turned (degrees) and mirrored, with the edge that blending needs."""
    import cv2

    h, w = cutout.mask.shape
    angle = np.deg2rad(turn)
    matrix = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    if mirrored:
        matrix = matrix @ np.diag([-1.0, 1.0])
    corners = (np.array([[0, 0], [w, 0], [w, h], [0, h]]) - [w / 2, h / 2]) @ matrix.T
    width, height = np.ceil(corners.max(axis=0) - corners.min(axis=0)).astype(int).tolist()
    shift = np.array([width / 2, height / 2]) - matrix @ [w / 2, h / 2]
    # OpenCV counts from pixel centres, ours lie at +0.5.
    table = np.hstack([matrix, (shift + matrix @ [0.5, 0.5] - 0.5)[:, None]])
    size = (max(width, 1), max(height, 1))
    pixels = _warp(cutout.pixels, table, size, cv2.BORDER_REPLICATE)
    cover = cv2.warpAffine(cutout.mask.astype(np.float32), table, size, flags=cv2.INTER_LINEAR)
    mask = cover >= 0.5
    alpha = mask.astype(np.float32)
    if soft:
        alpha = cv2.GaussianBlur(alpha, (0, 0), 0.9)
    points = {
        name: (*(matrix @ [x, y] + shift).tolist(), v) for name, (x, y, v) in cutout.points.items()
    }
    return Paste(pixels, alpha, mask, points, mirrored)


def lay(image: Pixels, paste: Paste, left: int, top: int, *, blend: str, match: float) -> None:
    """Blend a prepared cutout into `image`, shape (h, w, channels), at a whole pixel."""
    place, own = overlap(paste.mask.shape, left, top, image.shape)
    under = image[place].astype(np.float32)
    over = paste.pixels[own].astype(np.float32)
    if match > 0:
        over += np.float32(match) * _difference(under, over, paste.mask[own], image.dtype)
    if blend == "poisson" and _cloned(image, over, paste.mask[own], place):
        return
    alpha = (paste.alpha if blend != "none" else paste.mask.astype(np.float32))[own]
    made = under + alpha[..., None] * (over - under)
    image[place] = _in_depth(made, image.dtype)


def _warp(pixels: Pixels, table: Any, size: tuple[int, int], border: int) -> Pixels:
    import cv2

    pieces = [
        cv2.warpAffine(
            np.ascontiguousarray(pixels[..., k : k + 4]),
            table,
            size,
            flags=cv2.INTER_LINEAR,
            borderMode=border,
        ).reshape(size[1], size[0], -1)
        for k in range(0, pixels.shape[2], 4)
    ]
    return np.concatenate(pieces, axis=2)


def _difference(under: Pixels, over: Pixels, mask: Mask, dtype: Any) -> npt.NDArray[np.float32]:
    """Return by how much the new surroundings are lighter than the old ones, for each channel."""
    import cv2

    solid = mask.astype(np.uint8)
    ring = cv2.dilate(solid, np.ones((3, 3), np.uint8), iterations=_RING) > solid
    if ring.sum() < 8:
        return np.zeros(under.shape[2], np.float32)
    most = _MAX_SHIFT * (np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 1.0)
    shift = np.median(under[ring], axis=0) - np.median(over[ring], axis=0)
    return np.asarray(np.clip(shift, -most, most), np.float32)


def _cloned(image: Pixels, over: Pixels, mask: Mask, place: tuple[slice, slice]) -> bool:
    """Blend by gradients where that can be done; return whether it was."""
    import cv2

    rows, columns = place
    height, width = image.shape[:2]
    at_frame = (
        rows.start < _SEAM or columns.start < _SEAM
        or rows.stop > height - _SEAM or columns.stop > width - _SEAM
    )  # fmt: skip
    if at_frame or image.dtype != np.uint8 or image.shape[2] != 3:
        return False
    # The step at the object's edge is what makes it stand out, so its other side must go along.
    kernel = np.ones((2 * _RIM + 1, 2 * _RIM + 1), np.uint8)
    solid = cv2.dilate(np.pad(255 * mask.astype(np.uint8), _SEAM), kernel)
    source = np.pad(
        _in_depth(over, image.dtype), ((_SEAM, _SEAM), (_SEAM, _SEAM), (0, 0)), mode="edge"
    )
    ys, xs = np.nonzero(solid)
    # OpenCV lays the box of the mask so that half its size, rounded down, lies before this point.
    x0, y0 = int(xs.min()), int(ys.min())
    middle = (x0 + (int(xs.max()) + 1 - x0) // 2, y0 + (int(ys.max()) + 1 - y0) // 2)
    box = (
        slice(rows.start - _SEAM, rows.stop + _SEAM),
        slice(columns.start - _SEAM, columns.stop + _SEAM),
    )
    window = np.ascontiguousarray(image[box])
    image[box] = cv2.seamlessClone(source, window, solid, middle, cv2.NORMAL_CLONE)
    return True


def _in_depth(values: Pixels, dtype: Any) -> Pixels:
    if np.issubdtype(dtype, np.integer):
        values = np.clip(np.rint(values), 0, np.iinfo(dtype).max)
    return np.asarray(values, dtype)

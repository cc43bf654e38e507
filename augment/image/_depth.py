"""Depths of images: what a pipeline that knows 8 bits and fractions of 1 needs for the others."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.errors import DataError

Pixels = npt.NDArray[Any]

_DEEPEST = 65_535


def to_working(pixels: Pixels, *, colours: bool) -> Pixels:
    """Return pixels as uint8 (unchanged) or as float32; 16-bit ones as fractions of 1."""
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == np.uint16:
        return pixels.astype(np.float32) / np.float32(_DEEPEST)
    if pixels.dtype != np.float32:
        raise DataError(
            "an image is of a depth that cannot be varied",
            got=str(pixels.dtype),
            allowed="uint8, uint16, float32",
        )
    if colours and pixels.size and not (pixels.min() >= 0 and pixels.max() <= 1):
        raise DataError(
            "the colours of a float32 image cannot be changed outside 0 to 1",
            got="values below 0, above 1, or not a number",
            todo="scale the images, or leave out the transforms that change colours",
        )
    return pixels


def from_working(pixels: Pixels, before: Pixels) -> Pixels:
    """Return pixels in the depth of the image `before`; rounding keeps 16-bit ones exact."""
    if before.dtype == np.uint16:
        scaled = np.rint(np.clip(pixels, 0, 1) * np.float32(_DEEPEST))
        return np.asarray(scaled.astype(np.uint16))
    return pixels

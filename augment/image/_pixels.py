"""Pixels of any depth and number of channels, for libraries that know few of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.errors import DataError

Pixels = npt.NDArray[Any]

_DEEPEST = 65_535  # largest value of 16 bits


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


def from_fractions(fractions: Pixels, before: Pixels) -> Pixels:
    """Return fractions of 1 in shape and depth of the image `before`."""
    pixels = np.asarray(fractions, np.float32).reshape(before.shape)
    if before.dtype != np.uint8:
        return from_working(pixels, before)
    return np.asarray(np.rint(pixels * np.float32(255)).clip(0, 255).astype(np.uint8))


def compact(ids: Pixels) -> tuple[Pixels, Pixels]:
    """Return a map that OpenCV can move, and the ids that its numbers mean (empty: the same)."""
    if ids.dtype in (np.uint8, np.uint16):
        return ids, np.empty(0, ids.dtype)
    seen, small = np.unique(ids, return_inverse=True)
    if seen[0] != 0:  # what comes into the image at its edges is ground, number 0
        seen, small = np.concatenate([[0], seen]), small + 1
    return small.reshape(ids.shape).astype(np.uint16), seen


def map_channels(pixels: Pixels, change: Callable[[Pixels], Pixels]) -> Pixels:
    """Return pixels changed four channels at a time: OpenCV takes no more."""
    planes = pixels.reshape(*pixels.shape[:2], -1)
    pieces = [
        change(np.ascontiguousarray(planes[..., k : k + 4])) for k in range(0, planes.shape[2], 4)
    ]
    size = pieces[0].shape[:2]
    whole = np.concatenate([piece.reshape(*size, -1) for piece in pieces], axis=2)
    return whole.reshape(*size, *pixels.shape[2:])

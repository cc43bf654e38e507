"""Limits on what a file may hold, checked before it is read: a small file can claim any size.

They bound the memory of one command to about 2 GB, whatever a file claims.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from twinset.core.errors import DataError

# Decoding and the order of colours hold an image twice, libraries take 300 MB.
MAX_IMAGE_BYTES = 1 << 29
# Pages that one TIFF file may hold: a time series of a microscope has thousands.
MAX_IMAGES_IN_A_FILE = 10_000
# libjpeg needs up to a second for each of a large image; cameras and programs write 1 to 20.
MAX_JPEG_SCANS = 100
# An image, its map, its labels and what others add; all are in memory together.
MAX_FILES_IN_A_SAMPLE = 32
# Of a table in memory; larger ones are read where their file is large too.
MAX_TABLE_BYTES = 1 << 30
# Texts and numbers are packed to a third or a twentieth; zeros to a thousandth.
MAX_EXPANSION = 100
# Unpacked bytes that need no look at the ratio.
FREE_UNPACKED_BYTES = 1 << 26
# 9 numbers of 8 bytes each, held three times: below 1.5 GB.
MAX_TRIANGLES = 5_000_000

_image_bytes: ContextVar[int] = ContextVar("image_bytes", default=MAX_IMAGE_BYTES)


@contextmanager
def images_up_to(n_bytes: int) -> Iterator[None]:
    """Allow images of up to `n_bytes` decoded within the block."""
    token = _image_bytes.set(n_bytes)
    try:
        yield
    finally:
        _image_bytes.reset(token)


def check_image_size(shape: Sequence[int], itemsize: int = 1, n_images: int = 1) -> None:
    """Raise DataError unless an image of this shape, (h, w) or (h, w, channels), can be decoded.

    Examples
    --------
    >>> check_image_size((4_000, 6_000, 3))
    >>> check_image_size((0, 6_000))
    Traceback (most recent call last):
    twinset.core.errors.DataError: the size of an image cannot be used; got 6,000 x 0 pixels, 0 bytes \
decoded; allowed: 1 to 536,870,912 bytes; cut it into tiles: twinset tiles --max-image-bytes
    """
    height, width = shape[:2]
    n_bytes = math.prod(shape) * itemsize * n_images
    if min(shape) > 0 and n_bytes <= _image_bytes.get() and n_images <= MAX_IMAGES_IN_A_FILE:
        return
    many = f"{n_images:,} images of " if n_images > 1 else ""
    raise DataError(
        "the size of an image cannot be used",
        got=f"{many}{width:,} x {height:,} pixels, {n_bytes:,} bytes decoded",
        allowed=f"1 to {_image_bytes.get():,} bytes"
        + (f" in at most {MAX_IMAGES_IN_A_FILE:,} images" if many else ""),
        todo="save its images as several files"
        if many
        else "cut it into tiles: twinset tiles --max-image-bytes",
    )


def check_file_size(n_bytes: int, noun: str = "the image file") -> None:
    """Raise DataError unless a file of an image, or a member of an archive, may be read as a whole."""
    if n_bytes > _image_bytes.get():
        raise DataError(
            f"{noun} is too large",
            got=f"{n_bytes:,} bytes",
            allowed=f"up to {_image_bytes.get():,} bytes",
            todo="replace it, or cut the image into tiles: twinset tiles --max-image-bytes",
        )

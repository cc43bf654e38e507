"""Image files in memory: bytes to pixel arrays and back, always in RGB order."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.errors import DataError, MissingExtraError

Pixels = npt.NDArray[Any]

_PNG_COMPRESSION = 1  # fixed, so that equal pixels are equal bytes; higher costs time, saves little


def decode_pixels(data: bytes) -> Pixels:
    """Return the pixels of an encoded image, shape (h, w) or (h, w, channels), RGB order.

    Depth is kept: 8-bit files give uint8, 16-bit files uint16.

    Raises
    ------
    DataError
        The bytes are no image that can be read.
    MissingExtraError
        OpenCV is not installed.

    Examples
    --------
    >>> red = np.zeros((2, 3, 3), np.uint8)
    >>> red[..., 0] = 255
    >>> bool((decode_pixels(encode_png(red)) == red).all())
    True
    """
    cv2 = open_cv()
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    if pixels is None:
        raise DataError(
            "an image cannot be decoded",
            got=f"{len(data)} bytes of an unknown or damaged format",
            allowed="PNG, JPEG, TIFF, BMP or WebP",
        )
    return _swap_red_and_blue(np.asarray(pixels), cv2)


def encode_png(pixels: Pixels) -> bytes:
    """Return `pixels` as a PNG file; equal arrays give equal bytes.

    Parameters
    ----------
    pixels : numpy.ndarray
        uint8 or uint16, shape (h, w), (h, w, 3) in RGB order or (h, w, 4) in RGBA order.

    Raises
    ------
    DataError
        PNG cannot hold pixels of this type.
    MissingExtraError
        OpenCV is not installed.
    """
    if pixels.dtype not in (np.uint8, np.uint16):
        raise DataError(
            "PNG cannot hold these pixels", got=str(pixels.dtype), allowed="uint8, uint16"
        )
    cv2 = open_cv()
    settings = [
        cv2.IMWRITE_PNG_COMPRESSION,
        _PNG_COMPRESSION,
        cv2.IMWRITE_PNG_STRATEGY,
        cv2.IMWRITE_PNG_STRATEGY_RLE,  # half the time of the default, and no larger on photographs
    ]
    _, data = cv2.imencode(".png", _swap_red_and_blue(pixels, cv2), settings)
    return bytes(data)


def _swap_red_and_blue(pixels: Pixels, cv2: Any) -> Pixels:
    """OpenCV keeps colours as BGR(A); everything else here means RGB(A)."""
    if pixels.ndim == 2 or pixels.shape[2] < 3:
        return pixels
    swap = cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGBA
    return np.asarray(cv2.cvtColor(pixels, swap))


def open_cv() -> Any:
    """Return the module cv2, or raise MissingExtraError."""
    try:
        import cv2
    except ImportError as error:
        raise MissingExtraError.of("cv2", "image") from error
    return cv2

"""Image files in memory: bytes to pixel arrays and back, always in RGB order."""

from __future__ import annotations

import hashlib
import struct
import zlib
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.errors import DataError
from twinset.core.extras import optional
from twinset.core.image.header import PNG, ImageHeader, read_header
from twinset.core.image.tiff import MAGIC, decode_tiff, encode_tiff

Pixels = npt.NDArray[Any]

FORMS = ("uint8", "uint16", "float32")
"""Depths of images; id maps may also be of uint32 and int32."""

_PNG_COMPRESSION = 1  # fixed, so that equal pixels are equal bytes; higher costs time, saves little
_PALETTE = 3  # PNG's colour type of images whose pixels are numbers of colours
_OPENCV_CHANNELS = (1, 3, 4)  # the numbers that OpenCV writes


def decode_pixels(data: bytes) -> Pixels:
    """Return the pixels of an encoded image, shape (h, w) or (h, w, channels), RGB order.

    Depth is kept: 8-bit files give uint8, 16-bit files uint16, TIFF also float32 and any number of
    channels. A turn that EXIF asks for is not made: see `twinset.io.image_header`.

    Raises
    ------
    DataError
        The bytes are no image that can be read, or claim more pixels than `twinset.core.limits` allows.
    MissingExtraError
        OpenCV is not installed.
    """
    is_tiff = data[:4] in MAGIC
    if is_tiff and (decoded := decode_tiff(data)) is not None:
        return decoded
    cv2, pixels = open_cv(), None
    # Other formats are not tried: nothing would bound their size.
    if is_tiff or read_header(data) is not None:
        with suppress(cv2.error):  # more pixels than OpenCV decodes
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise DataError(
            "an image cannot be decoded",
            got=f"{len(data)} bytes of an unknown or damaged format",
            allowed="PNG, JPEG, TIFF, BMP or WebP",
        )
    return _swap_red_and_blue(np.asarray(pixels), cv2, in_place=True)


def read_image_header(data: bytes) -> ImageHeader:
    """Return the facts of an encoded image without decoding its pixels, where the format allows.

    Examples
    --------
    >>> read_image_header(encode_jpeg(np.zeros((20, 30, 3), np.uint8)))
    ImageHeader(height=20, width=30, orientation=1)
    """
    header = read_header(data)
    if header is not None:
        return header
    height, width = decode_pixels(data).shape[:2]
    return ImageHeader(height, width, 1)


def decode_ids(data: bytes) -> Pixels:
    """Return the numbers that an id map holds, shape (h, w); of a palette PNG those of its colours."""
    bits = _palette_bits(data)
    # The same file, said to be grey, is read as it is: numbers, spread over 8 bits.
    pixels = decode_pixels(_as_grey(data) if bits else data)
    if bits:
        pixels = pixels // (255 // (2**bits - 1))
    if pixels.ndim != 2:
        raise DataError(
            "a mask holds colours, not numbers",
            got=f"{pixels.shape[2]} channels",
            allowed="a PNG or TIFF of one channel, or a PNG with a palette",
            todo="write one number for each object",
        )
    return pixels


def encode_png(
    # uint8 or uint16, shape (h, w), (h, w, 3) in RGB order or (h, w, 4) in RGBA order
    pixels: Pixels,
) -> bytes:
    """Return `pixels` as a PNG file; equal arrays give equal bytes."""
    if pixels.dtype not in (np.uint8, np.uint16):
        raise DataError(
            "PNG cannot hold these pixels", got=str(pixels.dtype), allowed="uint8, uint16"
        )
    cv2 = open_cv()
    # Runs alone suit maps of numbers: half as large, and 16 bits a pixel in less than half the time.
    runs = pixels.dtype == np.uint16 or pixels.ndim == 2
    strategy = cv2.IMWRITE_PNG_STRATEGY_RLE if runs else cv2.IMWRITE_PNG_STRATEGY_DEFAULT
    settings = [
        *(cv2.IMWRITE_PNG_COMPRESSION, _PNG_COMPRESSION),
        *(cv2.IMWRITE_PNG_STRATEGY, strategy),
    ]
    if hasattr(cv2, "IMWRITE_PNG_FILTER"):  # since 4.11
        # One filter for all lines: trying five on each takes half of the time, and saves little.
        settings += [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP]
    _, data = cv2.imencode(".png", _swap_red_and_blue(pixels, cv2), settings)
    return bytes(data)


def encode_lossless(
    # uint8, uint16, float32 (id maps also uint32, int32), shape (h, w) or (h, w, channels)
    pixels: Pixels,
) -> bytes:
    """Return `pixels` as the file that holds them without loss: PNG where it can, else TIFF."""
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    if pixels.dtype in (np.uint8, np.uint16) and channels in _OPENCV_CHANNELS:
        return encode_png(pixels)
    return encode_tiff(pixels)


def encode_jpeg(
    pixels: Pixels,  # shape (h, w) or (h, w, 3) in RGB order
    quality: int = 95,  # 1 to 100
) -> bytes:
    """Return `pixels` as a JPEG file; equal arrays give equal bytes. JPEG loses detail."""
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    if pixels.dtype != np.uint8 or channels not in (1, 3):
        raise DataError(
            "JPEG cannot hold these pixels",
            got=f"{pixels.dtype}, {channels} channels",
            allowed="uint8 with 1 or 3 channels",
            todo="write PNG or TIFF",
        )
    cv2 = open_cv()
    _, data = cv2.imencode(
        ".jpg", _swap_red_and_blue(pixels, cv2), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    return bytes(data)


def _palette_bits(data: bytes) -> int:
    """Return the bits a pixel of a PNG with a palette; 0 for any other file."""
    if data[:8] != PNG or len(data) < 33 or data[25] != _PALETTE:
        return 0
    return data[24]


def _as_grey(data: bytes) -> bytes:
    header = data[12:25] + b"\0" + data[26:29]
    kept = [data[:8], data[8:12], header, struct.pack(">I", zlib.crc32(header))]
    at = 33
    while at + 8 <= len(data):
        (size,) = struct.unpack_from(">I", data, at)
        if data[at + 4 : at + 8] not in (b"PLTE", b"tRNS"):
            kept.append(data[at : at + 12 + size])
        at += 12 + size
    return b"".join(kept)


def _swap_red_and_blue(pixels: Pixels, cv2: Any, *, in_place: bool = False) -> Pixels:
    """OpenCV keeps colours as BGR(A); everything else here means RGB(A)."""
    if pixels.ndim == 2 or pixels.shape[2] < 3:
        return pixels
    swap = cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGBA
    return np.asarray(cv2.cvtColor(pixels, swap, dst=pixels if in_place else None))


def open_cv() -> Any:
    """Return the module cv2, or raise MissingExtraError."""
    return optional("cv2")


def hash_image(data: bytes) -> bytes:
    """Return a key of 16 bytes for the pixels of an encoded image; of one that is damaged, for its bytes.

    An image that is copied and saved again without loss keeps its key, whatever the format.
    """
    try:
        return hash_pixels(decode_pixels(data))
    except DataError:
        return hashlib.blake2b(data, digest_size=16).digest()


def hash_pixels(pixels: Pixels) -> bytes:
    """Return a key of 16 bytes that equal pixels of one depth and shape have."""
    sink = hashlib.blake2b(digest_size=16)
    sink.update(f"{pixels.dtype}{pixels.shape}".encode())
    sink.update(np.ascontiguousarray(pixels).tobytes())
    return sink.digest()


def hash_images(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the key of each image of a column as binary; missing stays missing."""
    keys = [
        None if cell is None or cell["bytes"] is None else hash_image(cell["bytes"])
        for cell in (one.as_py() for one in column)
    ]
    return pa.chunked_array([pa.array(keys, pa.binary())])

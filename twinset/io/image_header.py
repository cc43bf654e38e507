"""Checks that an image file is whole, and that its pixels are all that it holds."""

from __future__ import annotations

import struct
import zlib

from twinset.core.errors import DataError
from twinset.core.image.codec import decode_pixels, read_image_header
from twinset.core.image.header import (
    JPEG,
    JPEG_FRAMES,
    PNG,
    ImageHeader,
    jpeg_parts,
    png_parts,
)
from twinset.core.image.tiff import MAGIC as TIFF_MAGIC
from twinset.core.image.tiff import holds_inks

_ENDS = ((JPEG, b"\xff\xd9"), (PNG, b"IEND\xaeB`\x82"))
_TAIL = 4096  # cameras append their own blocks after the end of a JPEG
_WEBP_ANIMATION = 0x02  # flag in the header of an extended WebP file


def check_image_header(data: bytes) -> ImageHeader:
    """Return the facts of an encoded image that is whole: decoders fill in what is cut off."""
    if not data:
        raise DataError("the image file is empty")
    facts = read_image_header(data)
    check_whole(data)
    return facts


def check_image(data: bytes) -> ImageHeader:
    """Return the header of an encoded image; raise DataError unless decoding it loses nothing.

    An image that cannot be decoded is refused, and one whose other frames, inks, transparency or turn its
    pixels would not show.
    """
    facts = check_image_header(data)
    if facts.orientation != 1:
        raise DataError(
            f"the image is stored turned (EXIF orientation {facts.orientation})",
            todo="write it upright, e.g.: mogrify -auto-orient",
        )
    content = _lost_content(data)
    if content:
        raise DataError(
            "the image holds more than its pixels would show",
            got=content,
            allowed="one image, in grey or RGB, with or without transparency",
            todo="save each frame as a file, or convert the image to RGB",
        )
    decode_pixels(data)
    return facts


def _lost_content(data: bytes) -> str:
    """Return what a decoder would drop without a word; empty where there is nothing."""
    if data.startswith(PNG):
        kinds = {kind for kind, _, _ in png_parts(data)}
        if b"acTL" in kinds:
            return "an animation"
        is_grey = data[25] == 0
        return "a transparent grey" if is_grey and b"tRNS" in kinds else ""
    if data.startswith(JPEG):
        inks = {data[at + 9] for marker, at, _ in jpeg_parts(data) if marker in JPEG_FRAMES}
        return "the four inks of CMYK" if 4 in inks else ""
    if data[:4] in TIFF_MAGIC:
        return "the inks of CMYK" if holds_inks(data) else ""
    is_moving = data[:4] + data[8:16] == b"RIFFWEBPVP8X" and data[20] & _WEBP_ANIMATION
    return "an animation" if is_moving else ""


def check_whole(data: bytes) -> None:
    """Raise DataError where a PNG or JPEG breaks off before its end, or is damaged within.

    A PNG's checksums are compared. Of a JPEG, which has none, only the order of its parts can be checked.
    """
    for head, end in _ENDS:
        if data.startswith(head) and end not in data[-_TAIL:]:
            raise DataError("the image breaks off before its end", got=f"{len(data)} bytes")
    try:
        if data.startswith(PNG):
            _check_png(data)
        elif data.startswith(JPEG):
            for _ in jpeg_parts(data):
                pass
    except (struct.error, IndexError) as error:
        raise DataError(
            "the image is damaged", got="parts that do not follow each other"
        ) from error


def _check_png(data: bytes) -> None:
    for _, at, size in png_parts(data):
        (said,) = struct.unpack_from(">I", data, at + 8 + size)
        if zlib.crc32(memoryview(data)[at + 4 : at + 8 + size]) != said:
            raise DataError(
                "the image is damaged", got=f"a wrong checksum of the part at byte {at:,}"
            )

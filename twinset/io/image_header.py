"""What the first bytes of an image file say: its size, its depth, whether it is stored turned."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from twinset.core.errors import DataError
from twinset.core.image.codec import decode_pixels
from twinset.core.image.tiff import MAGIC as TIFF_MAGIC
from twinset.core.image.tiff import holds_inks

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # JPEG's markers of a frame header
_ENDS = ((_JPEG, b"\xff\xd9"), (_PNG, b"IEND\xaeB`\x82"))
_TAIL = 4096  # cameras append their own blocks after the end of a JPEG
# FF within the data is followed by 0, FF or RST.
_END_OF_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_MAY_FOLLOW_SCAN = {0xC4, *range(0xD9, 0xF0), 0xFE}  # DHT, EOI, SOS, tables, texts
_SCAN, _LAST = 0xDA, 0xD9  # JPEG's markers of a scan and of the end
_MAX_PIXELS = 1 << 30  # as many as OpenCV decodes
_STANDALONE = {0x01, *range(0xD0, 0xD9)}  # JPEG's markers without a length
_ORIENTATION = 0x0112  # tag of EXIF
_WEBP_ANIMATION = 0x02  # flag in the header of an extended WebP file


class ImageHeader(NamedTuple):
    """Height and width in pixels as stored, and the turn that EXIF asks for (1: none)."""

    height: int
    width: int
    orientation: int


def read_image_header(data: bytes) -> ImageHeader:
    """Return the facts of an encoded image without decoding its pixels, where the format allows.

    Examples
    --------
    >>> import numpy as np
    >>> from twinset.core.image.codec import encode_jpeg
    >>> read_image_header(encode_jpeg(np.zeros((20, 30, 3), np.uint8)))
    ImageHeader(height=20, width=30, orientation=1)
    """
    try:
        if data.startswith(_PNG):
            width, height = struct.unpack_from(">II", data, 16)
            return _of_usable_size(ImageHeader(height, width, 1))
        if data.startswith(_JPEG):
            return _of_usable_size(_jpeg_facts(data))
    except (struct.error, IndexError) as error:
        raise DataError(
            "an image breaks off in its first lines", got=f"{len(data)} bytes"
        ) from error
    pixels = decode_pixels(data)
    return ImageHeader(pixels.shape[0], pixels.shape[1], 1)


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
    if data.startswith(_PNG):
        kinds = {kind for kind, _, _ in _png_parts(data)}
        if b"acTL" in kinds:
            return "an animation"
        is_grey = data[25] == 0
        return "a transparent grey" if is_grey and b"tRNS" in kinds else ""
    if data.startswith(_JPEG):
        inks = {data[at + 9] for marker, at, _ in _jpeg_parts(data) if marker in _FRAMES}
        return "the four inks of CMYK" if 4 in inks else ""
    if data[:4] in TIFF_MAGIC:
        return "the inks of CMYK" if holds_inks(data) else ""
    is_moving = data[:4] + data[8:16] == b"RIFFWEBPVP8X" and data[20] & _WEBP_ANIMATION
    return "an animation" if is_moving or data.startswith(b"GIF8") else ""


def check_whole(data: bytes) -> None:
    """Raise DataError where a PNG or JPEG breaks off before its end, or is damaged within.

    A PNG's checksums are compared. Of a JPEG, which has none, only the order of its parts can be checked.
    """
    for head, end in _ENDS:
        if data.startswith(head) and end not in data[-_TAIL:]:
            raise DataError("the image breaks off before its end", got=f"{len(data)} bytes")
    try:
        if data.startswith(_PNG):
            _check_png(data)
        elif data.startswith(_JPEG):
            for _ in _jpeg_parts(data):
                pass
    except (struct.error, IndexError) as error:
        raise DataError(
            "the image is damaged", got="parts that do not follow each other"
        ) from error


def _of_usable_size(facts: ImageHeader) -> ImageHeader:
    if not 0 < facts.height * facts.width <= _MAX_PIXELS:
        raise DataError(
            "the size of an image cannot be used",
            got=f"{facts.width:,} x {facts.height:,} pixels",
            allowed=f"1 to {_MAX_PIXELS:,} pixels",
            todo="cut it into tiles",
        )
    return facts


def _png_parts(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, position and size of the parts of a PNG."""
    at = len(_PNG)
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        kind = data[at + 4 : at + 8]
        yield kind, at, size
        if kind == b"IEND":
            return
        at += 12 + size


def _check_png(data: bytes) -> None:
    for _, at, size in _png_parts(data):
        (said,) = struct.unpack_from(">I", data, at + 8 + size)
        if zlib.crc32(data[at + 4 : at + 8 + size]) != said:
            raise DataError(
                "the image is damaged", got=f"a wrong checksum of the part at byte {at:,}"
            )


def _jpeg_parts(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield marker, position and size of the parts of a JPEG, up to its end."""
    at = 2
    while data[at] == 0xFF:
        marker = data[at + 1]
        if marker == _LAST:
            return
        if marker == 0xFF or marker in _STANDALONE:
            at += 1 if marker == 0xFF else 2
            continue
        (size,) = struct.unpack_from(">H", data, at + 2)
        yield marker, at, size
        at += 2 + size
        if marker == _SCAN:
            found = _END_OF_SCAN.search(data, at)
            if found is None or data[found.end() - 1] not in _MAY_FOLLOW_SCAN:
                break
            at = found.start()
    raise DataError("the image is damaged", got=f"no part of a JPEG at byte {at:,}")


def _jpeg_facts(data: bytes) -> ImageHeader:
    orientation = 1
    for marker, at, size in _jpeg_parts(data):
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return ImageHeader(height, width, orientation)
        if marker == 0xE1 and data[at + 4 : at + 10] == b"Exif\0\0":
            orientation = _orientation(data[at + 10 : at + 2 + size])
    raise IndexError(len(data))


def _orientation(exif: bytes) -> int:
    """Return the turn in an EXIF block, 1 to 8; 1 when it says nothing or cannot be read."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return 1
    try:
        (at,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, at)
        for k in range(count):
            (tag,) = struct.unpack_from(order + "H", exif, at + 2 + 12 * k)
            if tag == _ORIENTATION:
                (value,) = struct.unpack_from(order + "H", exif, at + 10 + 12 * k)
                return int(value) if 1 <= value <= 8 else 1
    except struct.error:
        return 1
    return 1

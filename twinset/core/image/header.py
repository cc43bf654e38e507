"""What the first bytes of an image file say: its size, its depth, whether it is stored turned."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from twinset.core.errors import DataError
from twinset.core.limits import MAX_JPEG_SCANS, check_image_size

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # markers of a frame header
# FF within the data is followed by 0, FF or RST.
_END_OF_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_MAY_FOLLOW_SCAN = {0xC4, *range(0xD9, 0xF0), 0xFE}  # DHT, EOI, SOS, tables, texts
_SCAN, _LAST = 0xDA, 0xD9  # JPEG's markers of a scan and of the end
_FIRST_MARKER = 0xC0  # of JPEG's parts; those below are reserved
_STANDALONE = {0x01, *range(0xD0, 0xD9)}  # JPEG's markers without a length
_ORIENTATION = 0x0112  # tag of EXIF
# Colour type of PNG -> channels that are decoded, and the depths in bits that it may have.
_PNG_TYPES = {
    0: (1, (1, 2, 4, 8, 16)),
    2: (3, (8, 16)),
    3: (4, (1, 2, 4, 8)),
    4: (4, (8, 16)),
    6: (4, (8, 16)),
}
_CHANNELS = 4  # of a decoded BMP or WebP, at most


class ImageHeader(NamedTuple):
    """Height and width in pixels as stored, and the turn that EXIF asks for (1: none)."""

    height: int
    width: int
    orientation: int


def read_header(data: bytes) -> ImageHeader | None:
    """Return the header of a PNG, JPEG, BMP or WebP file; None for any other.

    Raises
    ------
    DataError
        The header breaks off, contradicts itself, or claims more pixels than are decoded.
    """
    try:
        if data.startswith(PNG):
            return _png_header(data)
        if data.startswith(JPEG):
            return _jpeg_header(data)
        if data.startswith(b"BM"):
            return _bmp_header(data)
        if data[:4] + data[8:12] == b"RIFFWEBP":
            return _webp_header(data)
    except (struct.error, IndexError) as error:
        raise DataError(
            "an image breaks off in its first lines", got=f"{len(data)} bytes"
        ) from error
    return None


def _png_header(data: bytes) -> ImageHeader:
    size, kind, width, height, depth, colours = struct.unpack_from(">I4sIIBB", data, 8)
    channels, depths = _PNG_TYPES.get(colours, (0, ()))
    if size != 13 or kind != b"IHDR" or depth not in depths:
        raise DataError(
            "the header of a PNG is damaged", got=f"colour type {colours}, {depth} bits"
        )
    places = {part: (at, size) for part, at, size in png_parts(data)}
    if colours == 3 and b"PLTE" not in places:
        raise DataError("a PNG with a palette lacks the palette")
    check_image_size((height, width, channels), 2 if depth == 16 else 1)
    at, size = places.get(b"eXIf", (0, 0))
    return ImageHeader(height, width, _orientation(data[at + 8 : at + 8 + size]))


def _bmp_header(data: bytes) -> ImageHeader:
    (size,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if size == 12 else "<ii", data, 18)
    check_image_size((abs(height), width, _CHANNELS))
    return ImageHeader(abs(height), width, 1)


def _webp_header(data: bytes) -> ImageHeader:
    kind = data[12:16]
    if kind == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    check_image_size((height, width, _CHANNELS))
    return ImageHeader(height, width, 1)


def png_parts(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, position and size of the parts of a PNG."""
    at = len(PNG)
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        kind = data[at + 4 : at + 8]
        yield kind, at, size
        if kind == b"IEND":
            return
        at += 12 + size


def jpeg_parts(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield marker, position and size of the parts of a JPEG, up to its end."""
    at, n_scans = 2, 0
    while data[at] == 0xFF:
        marker = data[at + 1]
        if marker == _LAST:
            return
        if marker == 0xFF or marker in _STANDALONE:
            at += 1 if marker == 0xFF else 2
            continue
        if marker < _FIRST_MARKER:
            break
        (size,) = struct.unpack_from(">H", data, at + 2)
        yield marker, at, size
        at += 2 + size
        if marker == _SCAN:
            n_scans += 1
            if n_scans > MAX_JPEG_SCANS:
                raise DataError(
                    "a JPEG has too many scans",
                    got=f"more than {MAX_JPEG_SCANS}",
                    allowed=f"up to {MAX_JPEG_SCANS}",
                    todo="save it again",
                )
            found = _END_OF_SCAN.search(data, at)
            if found is None or data[found.end() - 1] not in _MAY_FOLLOW_SCAN:
                break
            at = found.start()
    raise DataError("the image is damaged", got=f"no part of a JPEG at byte {at:,}")


def _jpeg_header(data: bytes) -> ImageHeader:
    orientation = 1
    for marker, at, size in jpeg_parts(data):
        if marker in JPEG_FRAMES:
            depth, height, width, channels = struct.unpack_from(">BHHB", data, at + 4)
            check_image_size((height, width, channels), 1 + (depth > 8))
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

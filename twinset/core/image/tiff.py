"""TIFF files of any number of channels, as deep as 32 bits: what OpenCV cannot hold."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from twinset.core.errors import DataError

Pixels = npt.NDArray[Any]

MAGIC = (b"II*\0", b"MM\0*")

_SHORT, _LONG = 3, 4
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_STRIPS, _CHANNELS, _ROWS_A_STRIP, _STRIP_BYTES = 273, 277, 278, 279
_PLANAR, _PREDICTOR, _EXTRA, _FORMAT = 284, 317, 338, 339
_PLAIN, _DEFLATE, _OLD_DEFLATE = 1, 8, 32946
_NO_PREDICTOR, _DIFFERENCES, _OF_FLOATS = 1, 2, 3
_FORMATS = {"u": 1, "i": 2, "f": 3}
_KINDS = {1: "u", 2: "i", 3: "f"}
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 8: 2, 9: 4, 11: 4, 12: 8}  # bytes of a field's type
_LEVEL = 1  # fixed, so that equal pixels are equal bytes


def encode_tiff(pixels: Pixels) -> bytes:
    """Return `pixels` as a TIFF file with one strip, deflated; equal arrays give equal bytes.

    Parameters
    ----------
    pixels : numpy.ndarray
        uint8, uint16, uint32, int32 or float32, shape (h, w) or (h, w, channels), any number of them.

    Raises
    ------
    DataError
        TIFF cannot hold pixels of this type.

    Examples
    --------
    >>> bands = np.arange(24, dtype=np.float32).reshape(2, 2, 6)
    >>> bool((decode_tiff(encode_tiff(bands)) == bands).all())
    True
    """
    if pixels.dtype.kind not in _FORMATS or pixels.dtype.itemsize not in (1, 2, 4):
        raise DataError(
            "TIFF cannot hold these pixels",
            got=str(pixels.dtype),
            allowed="uint8, uint16, uint32, int32, float32",
        )
    height, width = pixels.shape[:2]
    n = 1 if pixels.ndim == 2 else pixels.shape[2]
    is_colour = n in (3, 4)
    little = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("<"))
    data = zlib.compress(little.tobytes(), _LEVEL)
    bits = 8 * pixels.dtype.itemsize
    extra = n - (3 if is_colour else 1)
    tags: dict[int, tuple[int, list[int]]] = {
        _WIDTH: (_LONG, [width]),
        _HEIGHT: (_LONG, [height]),
        _BITS: (_SHORT, [bits] * n),
        _COMPRESSION: (_SHORT, [_DEFLATE]),
        _PHOTOMETRIC: (_SHORT, [2 if is_colour else 1]),
        _STRIPS: (_LONG, [8]),
        _CHANNELS: (_SHORT, [n]),
        _ROWS_A_STRIP: (_LONG, [height]),
        _STRIP_BYTES: (_LONG, [len(data)]),
        _PLANAR: (_SHORT, [1]),
        _FORMAT: (_SHORT, [_FORMATS[pixels.dtype.kind]] * n),
    }
    if extra:
        tags[_EXTRA] = (_SHORT, [2 if is_colour else 0] * extra)
    padded = data + b"\0" * (len(data) % 2)
    return (
        b"II*\0" + struct.pack("<I", 8 + len(padded)) + padded + _directory(tags, len(padded) + 8)
    )


def decode_tiff(data: bytes) -> Pixels:
    """Return the pixels of the first image of a TIFF file, shape (h, w) or (h, w, channels).

    Channels come in the order of the file.

    Raises
    ------
    DataError
        The file is damaged, or of a form that is not read: tiles, other compressions than deflate,
        other depths than 8, 16 and 32 bits, floats of 8 bits.
    """
    try:
        order, tags = _read_tags(data)
        layout = _layout(tags)
        return _read_strips(data, order, tags, layout)
    except (struct.error, zlib.error, ValueError, IndexError, KeyError) as error:
        raise DataError(
            "a TIFF file is damaged",
            got=f"{len(data)} bytes that break off or contradict themselves",
        ) from error


def needs_own_reader(data: bytes) -> bool:
    """Return whether a file is a TIFF that OpenCV cannot read: other channels, or 32-bit numbers."""
    if data[:4] not in MAGIC:
        return False
    try:
        tags = _read_tags(data)[1]
    except (struct.error, ValueError, IndexError, KeyError):
        return False
    whole = tags.get(_FORMAT, (1,))[0] != _FORMATS["f"]
    deep = whole and tags.get(_BITS, (1,))[0] == 32
    return deep or tags.get(_CHANNELS, (1,))[0] not in (1, 3, 4)


class _Layout(NamedTuple):
    height: int
    width: int
    channels: int
    kind: str
    is_planar: bool


def _directory(tags: Mapping[int, tuple[int, list[int]]], start: int) -> bytes:
    """Return the directory that begins at byte `start`, and the values too long to stand in it."""
    entries, more = [], b""
    after = start + 2 + 12 * len(tags) + 4
    for tag, (kind, values) in sorted(tags.items()):
        packed = struct.pack(f"<{len(values)}{'H' if kind == _SHORT else 'I'}", *values)
        if len(packed) > 4:
            entry = struct.pack("<I", after + len(more))
            more += packed + b"\0" * (len(packed) % 2)
        else:
            entry = packed.ljust(4, b"\0")
        entries.append(struct.pack("<HHI", tag, kind, len(values)) + entry)
    return struct.pack("<H", len(tags)) + b"".join(entries) + struct.pack("<I", 0) + more


def _read_tags(data: bytes) -> tuple[str, dict[int, tuple[int, ...]]]:
    if data[:4] not in MAGIC:
        raise ValueError("no TIFF")
    order = "<" if data[:2] == b"II" else ">"
    (at,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, at)
    tags: dict[int, tuple[int, ...]] = {}
    for k in range(count):
        tag, kind, n = struct.unpack_from(order + "HHI", data, at + 2 + 12 * k)
        if kind not in (_SHORT, _LONG):
            continue
        place = at + 10 + 12 * k
        if n * _SIZES[kind] > 4:
            (place,) = struct.unpack_from(order + "I", data, place)
        tags[tag] = struct.unpack_from(f"{order}{n}{'H' if kind == _SHORT else 'I'}", data, place)
    return order, tags


def _layout(tags: Mapping[int, tuple[int, ...]]) -> _Layout:
    channels = tags.get(_CHANNELS, (1,))[0]
    bits, formats = set(tags.get(_BITS, (1,))), set(tags.get(_FORMAT, (1,)))
    compression = tags.get(_COMPRESSION, (_PLAIN,))[0]
    known = compression in (_PLAIN, _DEFLATE, _OLD_DEFLATE)
    predictor = tags.get(_PREDICTOR, (_NO_PREDICTOR,))[0]
    predictors: tuple[int, ...] = (_NO_PREDICTOR, _DIFFERENCES)
    if formats == {_FORMATS["f"]}:
        predictors = (*predictors, _OF_FLOATS)
    if (
        len(bits) > 1
        or len(formats) > 1
        or not bits <= {8, 16, 32}
        or (formats == {_FORMATS["f"]} and 8 in bits)
        or predictor not in predictors
        or not known
        or _STRIPS not in tags
    ):
        raise DataError(
            f"a TIFF file of {channels} channels is of a form that is not read",
            got=f"compression {compression}, bits {sorted(bits)}, sample formats {sorted(formats)}, "
            f"predictor {predictor}" + ("" if _STRIPS in tags else ", tiles"),
            allowed="strips of 8, 16 or 32 bits (floats of 16 or 32), plain or deflated, predictor 1 or 2 "
            "(floats also 3)",
            todo="write it again without tiles, with compression 'deflate' and predictor 1 or 2",
        )
    kind = f"{_KINDS[formats.pop()]}{bits.pop() // 8}"
    return _Layout(
        tags[_HEIGHT][0], tags[_WIDTH][0], channels, kind, tags.get(_PLANAR, (1,))[0] == 2
    )


def _read_strips(
    data: bytes, order: str, tags: Mapping[int, tuple[int, ...]], layout: _Layout
) -> Pixels:
    raw = [data[at : at + size] for at, size in zip(tags[_STRIPS], tags[_STRIP_BYTES])]
    if tags.get(_COMPRESSION, (_PLAIN,))[0] != _PLAIN:
        raw = [zlib.decompress(strip) for strip in raw]
    predictor = tags.get(_PREDICTOR, (_NO_PREDICTOR,))[0]
    if predictor == _OF_FLOATS:
        flat = _floats(b"".join(raw), layout)
    else:
        flat = np.frombuffer(b"".join(raw), order + layout.kind)
    shape = (layout.height, layout.width, layout.channels)
    if layout.is_planar:
        pixels = flat.reshape(layout.channels, *shape[:2]).transpose(1, 2, 0)
    else:
        pixels = flat.reshape(shape)
    if predictor == _DIFFERENCES:
        # The differences are those of the bits taken as whole numbers, of floats too.
        whole = np.ascontiguousarray(pixels).view(f"{order}u{pixels.dtype.itemsize}")
        pixels = np.cumsum(whole, axis=1, dtype=whole.dtype).view(pixels.dtype)
    native = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("="))
    return native[..., 0] if layout.channels == 1 else native


def _floats(data: bytes, layout: _Layout) -> Pixels:
    """Return the numbers of lines that hold all first bytes, then all second ones, each as a difference.

    Both ways of writing bytes have the most significant ones first here.
    """
    n_bytes = int(layout.kind[1:])
    together = 1 if layout.is_planar else layout.channels
    numbers = layout.width * together
    lines = np.frombuffer(data, np.uint8).reshape(-1, numbers * n_bytes // together, together)
    summed = np.cumsum(lines, axis=1, dtype=np.uint8).reshape(-1, n_bytes, numbers)
    return np.ascontiguousarray(summed.transpose(0, 2, 1)).view(f">f{n_bytes}").ravel()

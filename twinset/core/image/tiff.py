"""TIFF files by the library tifffile: any number of channels, 8 to 32 bits, several images in a file."""

from __future__ import annotations

import io
import itertools
import logging
import math
import struct
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.errors import DataError
from twinset.core.extras import optional
from twinset.core.limits import MAX_IMAGES_IN_A_FILE, check_image_size

Pixels = npt.NDArray[Any]

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""First bytes of TIFF files; the last two are those of BigTIFF."""

_LEVEL = 1  # zlib level: fixed, so that equal pixels give equal bytes; higher ones cost time, save little
_AXIS_NAMES = {"Z": "z", "T": "time", "C": "channel"}  # axis of tifffile -> its name in plane names
_COLOURS_TAG = 262  # PhotometricInterpretation
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE = range(4)  # its values that are read here
_INKS = 5  # its value for CMYK
_JPEG_COMPRESSIONS = (6, 7)  # their colours are RGB once decoded
_DAMAGE = (
    AttributeError,
    ValueError,
    RuntimeError,
    LookupError,
    TypeError,
    ArithmeticError,
    struct.error,
)


def encode_tiff(
    # uint8, uint16, uint32, int32 or float32, shape (h, w) or (h, w, channels), any number of them
    pixels: Pixels,
) -> bytes:
    """Return `pixels` as a TIFF file with one strip, deflated; equal arrays give equal bytes."""
    _check_type(pixels.dtype)
    n_channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    pixels = pixels.reshape(*pixels.shape[:2], *([n_channels] if n_channels > 1 else []))
    sink = io.BytesIO()
    with _tifffile().TiffWriter(sink, byteorder="<") as writer:
        writer.write(
            pixels,
            photometric="rgb" if n_channels in (3, 4) else "minisblack",
            planarconfig="contig" if n_channels > 1 else None,
            extrasamples=["unassalpha"] if n_channels == 4 else None,
            rowsperstrip=pixels.shape[0],
            compression="zlib",
            compressionargs={"level": _LEVEL},
            metadata=None,
            software=False,
        )
    return sink.getvalue()


def decode_tiff(data: bytes) -> Pixels | None:
    """Return the pixels of a TIFF file that holds one image, shape (h, w) or (h, w, channels).

    Channels come in the order of the file; those of an OME or ImageJ file are the channels of one image.
    None for a colour model that OpenCV converts, e.g. CMYK.

    Raises
    ------
    DataError
        The file is damaged, holds several images, or pixels of other types than 8 to 32 bits.
    MissingExtraError
        tifffile is not installed.
    """
    planes = list(itertools.islice(read_planes(data), 2))
    if len(planes) > 1:
        names = plane_names(io.BytesIO(data))
        raise DataError(
            f"a TIFF file holds {len(names)} images",
            got=", ".join(names[:4]) + (", ..." if len(names) > 4 else ""),
            allowed="one image, of any number of channels",
            todo="read it from a plain folder of images, where each becomes a row, or save each as a file",
        )
    return planes[0][1]


def holds_inks(data: bytes) -> bool:
    """Return whether the pixels of a TIFF file are inks (CMYK), which are converted when it is decoded."""
    try:
        with _tifffile().TiffFile(io.BytesIO(data)) as tiff:
            return int(tiff.pages[0].photometric) == _INKS
    except _DAMAGE as error:
        raise _damaged() from error


def plane_names(
    file: io.BufferedIOBase,  # open for reading
) -> list[str]:
    """Return the name of each image in a TIFF file, without decoding pixels; "" for a single one."""
    tifffile = _tifffile()
    try:
        with tifffile.TiffFile(file) as tiff:
            _check_directories(tiff)
            return [name for _, names in _series(tiff) for name in names]
    except (*_DAMAGE, tifffile.TiffFileError) as error:  # an Exception of its own before 2025
        raise _damaged() from error


def read_planes(data: bytes) -> Iterator[tuple[str, Pixels | None]]:
    """Yield (name, pixels) of each image in a TIFF file, in the order of `plane_names`.

    A plane is one image: the channels of an OME or ImageJ file belong to it, its depths (z) and times
    are images of their own. Reduced copies (pyramids) and transparency masks are no images. Pixels are
    None for colour models that are not read here.
    """
    tifffile = _tifffile()
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as tiff:
            _check_directories(tiff)
            for series, names in _series(tiff):
                _check_strips(series, len(data))
                yield from zip(names, _read_series(series, len(names)))
    except (*_DAMAGE, tifffile.TiffFileError) as error:  # an Exception of its own before 2025
        raise _damaged() from error


def _series(tiff: Any) -> list[tuple[Any, list[str]]]:
    """Return each series of a file, and the names of the images in it."""
    found = [one for one in tiff.series if not (one.keyframe.is_reduced or one.keyframe.is_mask)]
    found = found or list(tiff.series)
    named = []
    for k, series in enumerate(found, start=1):
        stack, _ = _split_axes(series.axes)
        _check_series(series, stack)
        prefix = [f"image={k}"] if len(found) > 1 else []
        sizes = [range(1, series.shape[axis] + 1) for axis in stack]
        axes = [_AXIS_NAMES.get(series.axes[axis], "page") for axis in stack]
        names = [
            ",".join([*prefix, *(f"{axis}={at}" for axis, at in zip(axes, place))])
            for place in itertools.product(*sizes)
        ]
        named.append((series, names if len(names) > 1 or prefix else [""]))
    if not named:
        raise ValueError("no image")
    return named


def _split_axes(axes: str) -> tuple[list[int], list[int]]:
    """Return the axes that count images, and those of channels."""
    letter = "S" if "S" in axes else "C"
    channels = [k for k, name in enumerate(axes) if name == letter]
    return [k for k, name in enumerate(axes) if name not in ("Y", "X", letter)], channels


def _read_series(series: Any, n_planes: int) -> Iterator[Pixels | None]:
    page = series.keyframe
    colours = int(page.photometric) if _COLOURS_TAG in page.tags else _BLACK_IS_ZERO
    if colours > _PALETTE and page.compression not in _JPEG_COMPRESSIONS:
        yield from itertools.repeat(None, n_planes)
        return
    stack, channels = _split_axes(series.axes)
    y, x = series.axes.index("Y"), series.axes.index("X")
    pixels = series.asarray().transpose([*stack, y, x, *channels])
    shape = pixels.shape[len(stack) :]
    pages = [page] * n_planes
    if colours == _PALETTE and len(series.pages) == n_planes:  # each page has a palette of its own
        pages = [one.aspage() for one in series.pages]
    for plane, own in zip(pixels.reshape(-1, *shape), pages):
        shown = _as_shown(plane, own, colours)
        shown = shown[..., 0] if shown.ndim == 3 and shown.shape[2] == 1 else shown
        _check_type(shown.dtype)
        yield np.ascontiguousarray(shown, shown.dtype.newbyteorder("="))


def _as_shown(plane: Pixels, page: Any, colours: int) -> Pixels:
    """Return numbers that grow with brightness: palettes, inverted and narrow numbers are converted."""
    if colours == _PALETTE:
        table = np.asarray(page.colormap).T
        # 16 bits a colour; a table without larger values than 255 is one of 8 bits, as libtiff reads it.
        return (table >> 8 if table.max() > 255 else table)[plane].astype(np.uint8)
    bits = page.bitspersample
    if bits < 8 and colours != _RGB:
        plane = plane.astype(np.uint8) * np.uint8(255 // (2**bits - 1))
    if colours == _WHITE_IS_ZERO and plane.dtype == np.uint8:  # deeper ones are ids or measurements
        return 255 - plane
    return plane


def _check_directories(tiff: Any) -> None:
    """Raise an error where the chain of directories, one a page, leads out of the file or back."""
    layout, file = tiff.tiff, tiff.filehandle

    def number(form: str, size: int, at: int) -> int:
        file.seek(at)
        return int(struct.unpack(form, file.read(size))[0])

    seen = set()
    at = number(layout.offsetformat, layout.offsetsize, layout.offsetsize)
    while at:
        if at in seen:
            raise _damaged()
        seen.add(at)
        if len(seen) > MAX_IMAGES_IN_A_FILE:
            raise DataError(
                "a TIFF file holds too many images",
                got=f"more than {MAX_IMAGES_IN_A_FILE:,}",
                allowed=f"up to {MAX_IMAGES_IN_A_FILE:,}",
                todo="save its images as several files",
            )
        count = number(layout.tagnoformat, layout.tagnosize, at)
        after = at + layout.tagnosize + count * layout.tagsize
        at = number(layout.offsetformat, layout.offsetsize, after)


def _check_series(series: Any, stack: list[int]) -> None:
    """Raise DataError for more pixels than are decoded; what a file claims is not believed."""
    n_images = math.prod(series.shape[axis] for axis in stack)
    y, x = series.axes.index("Y"), series.axes.index("X")
    rest = math.prod(series.shape) // max(n_images * series.shape[y] * series.shape[x], 1)
    shape = (series.shape[y], series.shape[x], rest)
    page = series.keyframe
    # A palette is turned into colours; a tile may be larger than the image.
    itemsize = series.dtype.itemsize * (3 if page.photometric == _PALETTE else 1)
    check_image_size(shape, itemsize, n_images)
    if page.is_tiled:
        check_image_size((page.tilelength, page.tilewidth, page.samplesperpixel), itemsize)


def _check_strips(series: Any, n_bytes: int) -> None:
    """Raise an error where pixels lie outside the file, or in another file of an OME set."""
    for page in series.pages:
        if page is None:
            raise DataError(
                "a TIFF file is one of several that hold an OME set",
                todo="save the set as one file, or without its OME metadata",
            )
        ends = [at + size for at, size in zip(page.dataoffsets, page.databytecounts)]
        if not ends or max(ends) > n_bytes:
            raise _damaged()


def _check_type(dtype: np.dtype[Any]) -> None:
    if dtype.kind not in "uif" or dtype.itemsize not in (1, 2, 4):
        raise DataError(
            "the pixels of a TIFF file are of a type that is not used",
            got=str(dtype),
            allowed="uint8, uint16, uint32, int32, float32",
        )


def _damaged() -> DataError:
    return DataError("a TIFF file is damaged", got="content that breaks off or contradicts itself")


@cache
def _tifffile() -> Any:
    """Return the module tifffile; imagecodecs, which decodes for it, must be there too."""
    optional("imagecodecs")
    tifffile = optional("tifffile")
    logging.getLogger("tifffile").addHandler(logging.NullHandler())  # errors here say what is wrong
    return tifffile

"""Read the pixels of a DICOM file, and nothing of its header, which describes a person."""

from __future__ import annotations

import io
import struct
import zlib
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.errors import DataError, without_values
from twinset.core.extras import optional
from twinset.core.image.codec import encode_lossless
from twinset.core.image.header import read_header
from twinset.core.limits import check_file_size, check_image_size

_MAX_UINT16 = 65_535  # whole values above it need float32, which holds them exactly up to 2^24

_VALUE_BYTES = 8  # of a pixel, while slope and intercept are applied
_GROUP_LENGTH = 132  # where the header says how long it is itself
_DEFLATED = b"1.2.840.10008.1.2.1.99"  # name of the syntax whose content is packed as a whole

_JPEG_2000 = b"\xff\x4f\xff\x51"  # first bytes of its images
_JPEG_SYNTAXES = ("1.2.840.10008.1.2.4.5", "1.2.840.10008.1.2.4.70")  # those of JPEG


def is_dicom(data: bytes) -> bool:
    """Return whether these are the bytes of a DICOM file."""
    return data[128:132] == b"DICM"


def image_of_dicom(data: bytes) -> bytes:
    """Return the image in a DICOM file as PNG, or as TIFF where its values are not whole and positive.

    Values are those of the modality (Hounsfield units of a CT): slope and intercept are applied, no window
    is. Where low values are bright (MONOCHROME1), values are inverted. Nothing of the header is kept:
    it holds names and dates of birth.
    """
    pydicom = optional("pydicom")
    apply_modality_lut = optional("pydicom.pixels").apply_modality_lut
    _check_packing(data)
    try:
        found = pydicom.dcmread(io.BytesIO(data))
        frames = int(getattr(found, "NumberOfFrames", 1) or 1)
        shape = (int(found.Rows), int(found.Columns), int(getattr(found, "SamplesPerPixel", 1)))
        check_image_size(shape, _VALUE_BYTES)
        _check_frame(found)
        values = found.pixel_array if frames == 1 else None
        if values is not None and values.ndim == 2:
            values = apply_modality_lut(values, found)
    except (
        pydicom.errors.InvalidDicomError,
        pydicom.errors.BytesLengthException,
        AttributeError,
        ValueError,
        RuntimeError,
        LookupError,
        struct.error,
        TypeError,
        ArithmeticError,
        StopIteration,
    ) as error:
        # The texts of these errors quote the header.
        raise DataError(
            "a DICOM file cannot be read as an image",
            got=type(error).__name__,
            todo="write it again without compression, or install pylibjpeg",
        ) from without_values(error)
    if values is None:
        raise DataError(
            "a DICOM file holds several images",
            got=f"{frames} frames",
            allowed="one",
            todo="write each frame as a file of its own",
        )
    values = np.asarray(values)
    if getattr(found, "PhotometricInterpretation", "") == "MONOCHROME1":
        # The sum of smallest and largest might not fit the type.
        values = np.asarray(values.max() - values + values.min())
    return encode_lossless(_as_stored(values))


def _check_packing(data: bytes) -> None:
    """Raise DataError for a file that unpacks to more than an image; the library unpacks all of it."""
    (length,) = struct.unpack_from("<I", data.ljust(_GROUP_LENGTH + 12), _GROUP_LENGTH + 8)
    start = _GROUP_LENGTH + 12 + length
    if _DEFLATED not in data[:start]:
        return
    inflate, rest, n_bytes = zlib.decompressobj(-zlib.MAX_WBITS), data[start:], 0
    with suppress(zlib.error):  # damage is reported by the library
        while rest and not inflate.eof:
            n_bytes += len(inflate.decompress(rest, 1 << 20))
            check_file_size(n_bytes, "its packed content")
            rest = inflate.unconsumed_tail


def _check_frame(found: Any) -> None:
    """Raise DataError where the packed image claims more pixels than can be decoded."""
    syntax = found.file_meta.TransferSyntaxUID
    if not syntax.is_encapsulated:
        return
    generate_frames = optional("pydicom.encaps").generate_frames
    frame = bytes(next(generate_frames(found.PixelData, number_of_frames=1)))
    if frame.startswith(_JPEG_2000):
        width, height = struct.unpack_from(">II", frame, 8)
        check_image_size((height, width), _VALUE_BYTES)
    elif syntax.startswith(_JPEG_SYNTAXES):
        read_header(frame)


def _as_stored(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return values as uint8 or uint16 if they are whole and fit, else as float32."""
    if values.dtype == np.uint8:
        return values
    whole = values.astype(np.int64)
    if (whole == values).all() and whole.min() >= 0 and whole.max() <= _MAX_UINT16:
        return whole.astype(np.uint16)
    return values.astype(np.float32)

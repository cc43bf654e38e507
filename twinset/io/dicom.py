"""Read the pixels of a DICOM file, and nothing of its header, which describes a person."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.errors import DataError, without_values
from twinset.core.extras import optional
from twinset.core.image.codec import encode_lossless

_MAX_UINT16 = 65_535  # whole values above it need float32, which holds them exactly up to 2^24


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
    try:
        found = pydicom.dcmread(io.BytesIO(data))
        frames = int(getattr(found, "NumberOfFrames", 1) or 1)
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


def _as_stored(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return values as uint8 or uint16 if they are whole and fit, else as float32."""
    if values.dtype == np.uint8:
        return values
    whole = values.astype(np.int64)
    if (whole == values).all() and whole.min() >= 0 and whole.max() <= _MAX_UINT16:
        return whole.astype(np.uint16)
    return values.astype(np.float32)

"""DICOM files are read as images: the modality's values, and nothing of the person."""

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest

from twinset.core.errors import DataError
from twinset.core.image.codec import decode_pixels
from twinset.core.limits import images_up_to
from twinset.core.seeding import rng_for
from twinset.io import read_dataset
from twinset.io.dicom import image_of_dicom

pydicom = pytest.importorskip("pydicom")
pytest.importorskip("cv2")


def dicom(pixels: np.ndarray, **more: object) -> bytes:
    meta = pydicom.dataset.FileMetaDataset()
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = pydicom.uid.SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    made = pydicom.dataset.Dataset()
    made.file_meta = meta
    made.SOPClassUID, made.SOPInstanceUID = meta.MediaStorageSOPClassUID, "1.2.3"
    made.PatientName, made.PatientBirthDate = "Doe^Jane", "19700101"
    made.Rows, made.Columns = pixels.shape[-2:]
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated = made.BitsStored = 8 * pixels.dtype.itemsize
    made.HighBit = made.BitsStored - 1
    made.PixelRepresentation = int(pixels.dtype.kind == "i")
    made.PixelData = pixels.tobytes()
    for name, value in more.items():
        setattr(made, name, value)
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, made, enforce_file_format=True)
    return stream.getvalue()


def read(folder: Path, data: bytes) -> np.ndarray:
    (folder / "a.dcm").write_bytes(data)
    (blob,) = read_dataset(folder).records["image"].to_pylist()
    assert blob["path"] == "a.dcm"
    assert b"Doe" not in blob["bytes"]
    return decode_pixels(blob["bytes"])


RAMP = np.arange(12).reshape(3, 4)


def test_values_are_those_of_the_modality(tmp_path: Path) -> None:
    deep = read(tmp_path, dicom((RAMP * 300).astype(np.uint16)))
    assert deep.dtype == np.uint16
    np.testing.assert_array_equal(deep, RAMP * 300)
    ct = read(tmp_path, dicom(RAMP.astype(np.int16), RescaleSlope=2, RescaleIntercept=-1024))
    assert ct.dtype == np.float32
    np.testing.assert_array_equal(ct, RAMP * 2 - 1024)
    grey = read(tmp_path, dicom(RAMP.astype(np.uint8)))
    assert grey.dtype in (np.uint8, np.uint16)
    np.testing.assert_array_equal(grey, RAMP)


def test_low_values_are_dark_whatever_the_file_says(tmp_path: Path) -> None:
    data = dicom(RAMP.astype(np.uint16), PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(read(tmp_path, data), RAMP[::-1, ::-1])


def test_turned_values_may_reach_the_last_number(tmp_path: Path) -> None:
    pixels = np.array([[65_535, 10], [10, 400]], np.uint16)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        made = read(tmp_path, dicom(pixels, PhotometricInterpretation="MONOCHROME1"))
    np.testing.assert_array_equal(made, [[10, 65_535], [65_535, 65_145]])


def test_what_is_no_single_image_is_reported_by_its_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'a\.dcm' .* a DICOM file holds several images; got 2"):
        read(tmp_path, dicom(np.stack([RAMP, RAMP]).astype(np.uint16), NumberOfFrames=2))
    with pytest.raises(DataError, match=r"'a\.dcm' .* cannot be read as an image"):
        read(tmp_path, dicom(RAMP.astype(np.uint16))[:-6])
    with pytest.raises(DataError, match=r"'a\.dcm' .* it is no DCM image"):
        read(tmp_path, b"hello" * 50)


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
def test_damage_to_a_header_is_reported_and_nothing_of_it_quoted() -> None:
    whole, rng, told = dicom(RAMP.astype(np.uint16)), rng_for(0, "damage"), list[str]()
    for _ in range(200):
        data = bytearray(whole)
        for place in rng.integers(132, len(data), 2):
            data[place] = rng.integers(256)
        try:
            image_of_dicom(bytes(data))
        except DataError as error:
            told.append(str(error))
    assert len(told) > 20
    assert not [words for words in told if "Doe" in words or "b'" in words]


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
def test_a_number_of_frames_that_is_none_is_not_quoted() -> None:
    data = dicom(RAMP.astype(np.uint16), NumberOfFrames=11).replace(b"11", b"xy")
    with pytest.raises(DataError, match="cannot be read as an image") as caught:
        image_of_dicom(data)
    assert "xy" not in str(caught.value)


def test_claims_of_a_header_are_refused_before_decoding() -> None:
    for rows, columns in ((65_535, 65_535), (0, 4)):
        with pytest.raises(DataError, match="size of an image"):
            image_of_dicom(dicom(RAMP.astype(np.uint8), Rows=rows, Columns=columns))


def test_a_packed_file_that_expands_too_far_is_refused() -> None:
    plain = dicom(RAMP.astype(np.uint8))
    syntax = pydicom.uid.ExplicitVRLittleEndian.encode()
    deflated = pydicom.uid.DeflatedExplicitVRLittleEndian.encode()
    at = plain.index(syntax)
    size = len(deflated) + len(deflated) % 2
    head = bytearray(plain[:at] + deflated.ljust(size, b"\0"))
    head[at - 2 : at] = size.to_bytes(2, "little")
    grown = size - len(syntax) - len(syntax) % 2
    rest = plain[at + len(syntax) + len(syntax) % 2 :]
    (length,) = struct.unpack_from("<I", head, 140)
    struct.pack_into("<I", head, 140, length + grown)
    meta_end = 144 + length + grown - len(head)
    pack = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    start = bytes(head) + rest[:meta_end]
    small = pack.copy()
    whole = start + small.compress(rest[meta_end:]) + small.flush()
    np.testing.assert_array_equal(decode_pixels(image_of_dicom(whole)), RAMP)
    body = pack.compress(rest[meta_end:]) + pack.compress(bytes(2_000_000)) + pack.flush()
    with images_up_to(1_000_000), pytest.raises(DataError, match="its packed content is too large"):
        image_of_dicom(start + body)

import struct

import numpy as np
import pytest

from twinset.core.errors import DataError
from twinset.core.image.codec import encode_jpeg, encode_lossless
from twinset.io.image_header import read_image_header

pytest.importorskip("cv2")


def turned_jpeg(orientation: int, order: str = "<") -> bytes:
    entry = struct.pack(order + "HHIH", 0x0112, 3, 1, orientation) + b"\0\0"
    exif = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, 1) + entry
    body = b"Exif\0\0" + exif
    plain = encode_jpeg(np.zeros((20, 30, 3), np.uint8))
    return plain[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + plain[2:]


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_turn_is_read_and_not_made(order):
    assert read_image_header(turned_jpeg(6, order)) == (20, 30, 6)
    assert read_image_header(turned_jpeg(99, order)) == (20, 30, 1)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_size_of_png_and_tiff(dtype):
    assert read_image_header(encode_lossless(np.zeros((3, 5, 3), dtype))) == (3, 5, 1)


@pytest.mark.parametrize("keep", [2, 3, 20, 60])
def test_a_broken_file_is_told(keep):
    with pytest.raises(DataError):
        read_image_header(turned_jpeg(3)[:keep])

import numpy as np
import pytest

from twinset.core.errors import DataError
from twinset.core.image.codec import decode_pixels, encode_png

cv2 = pytest.importorskip("cv2")


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((3, 4), np.uint8), ((3, 4), np.uint16), ((3, 4, 3), np.uint8), ((3, 4, 4), np.uint16)],
)
def test_pixels_come_back_as_they_were(shape, dtype):
    pixels = np.arange(np.prod(shape), dtype=dtype).reshape(shape)
    again = decode_pixels(encode_png(pixels))
    assert again.dtype == dtype
    np.testing.assert_array_equal(again, pixels)


def test_colours_are_rgb_in_the_file_too():
    red = np.zeros((1, 1, 3), np.uint8)
    red[0, 0, 0] = 200
    bgr = cv2.imdecode(np.frombuffer(encode_png(red), np.uint8), cv2.IMREAD_COLOR)
    assert bgr[0, 0].tolist() == [0, 0, 200]


@pytest.mark.parametrize("data", [b"", b"not an image", encode_png(np.ones((4, 4), np.uint8))[:20]])
def test_damaged_bytes_are_refused(data):
    with pytest.raises(DataError, match=r"cannot be decoded|breaks off"):
        decode_pixels(data)


def test_floats_are_refused():
    with pytest.raises(DataError, match="uint8, uint16"):
        encode_png(np.zeros((2, 2), np.float32))

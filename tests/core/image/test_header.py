"""Headers of images: what they claim is compared with the limits before a pixel is decoded."""

import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest

from twinset.core.errors import DataError
from twinset.core.image.codec import decode_ids, decode_pixels, encode_jpeg, encode_png
from twinset.core.image.tiff import encode_tiff, plane_names
from twinset.core.limits import images_up_to

cv2 = pytest.importorskip("cv2")
tifffile = pytest.importorskip("tifffile")
HUGE = 2_000_000_000


def png(width: int, height: int, depth: int = 8, colours: int = 2, more: bytes = b"") -> bytes:
    def part(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, depth, colours, 0, 0, 0)
    parts = (
        part(b"IHDR", head) + more + part(b"IDAT", zlib.compress(bytes(100))) + part(b"IEND", b"")
    )
    return b"\x89PNG\r\n\x1a\n" + parts


def jpeg(width: int, height: int) -> bytes:
    data = bytearray(encode_jpeg(np.zeros((8, 8, 3), np.uint8)))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def bmp(width: int, height: int) -> bytes:
    return b"BM" + struct.pack("<IIIIiiHHIIIIII", 200, 0, 54, 40, width, height, 1, 24, *[0] * 6)


def webp(kind: bytes, body: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", 100) + b"WEBP" + kind + struct.pack("<I", 80) + body


def tiff(shape: tuple[int, int], tag: int = 256, value: int = HUGE) -> bytes:
    data = bytearray(encode_tiff(np.zeros(shape, np.uint8)))
    (at,) = struct.unpack_from("<I", data, 4)
    for entry in range(at + 2, len(data) - 12, 12):
        if struct.unpack_from("<H", data, entry)[0] == tag:
            struct.pack_into("<HHII", data, entry, tag, 4, 1, value)
            return bytes(data)
    raise LookupError(tag)


CLAIMS = {
    "png": png(HUGE, HUGE),
    "png 16 bits": png(16_000, 16_000, depth=16),
    "png no height": png(8, 0),
    "png 3 bits": png(8, 8, depth=3),
    "png colours": png(8, 8, colours=5),
    "png no palette": png(8, 8, colours=3),
    "jpeg": jpeg(65_535, 65_535),
    "jpeg no height": jpeg(8, 0),
    "bmp": bmp(300_000, 300_000),
    "bmp downwards": bmp(300_000, -300_000),
    "webp": webp(b"VP8X", bytes(4) + b"\xff" * 6),
    "webp lossless": webp(b"VP8L", b"\x2f" + b"\xff" * 6),
    "webp lossy": webp(b"VP8 ", b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 0x3FFF, 0x3FFF)),
    "tiff width": tiff((4, 4)),
    "tiff height": tiff((4, 4), tag=257),
    "tiff no width": tiff((4, 4), value=0),
    "pgm": b"P5 100000 100000 255\n" + bytes(99),
    "gif": b"GIF89a" + struct.pack("<HHBBB", 65_535, 65_535, 0, 0, 0) + b";",
    "radiance": b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 40000 +X 40000\n" + bytes(99),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_claims_of_a_header_are_refused_before_decoding(name, monkeypatch) -> None:
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(DataError):
        decode_pixels(CLAIMS[name])
    if "palette" not in name:  # numbers need no colours
        with pytest.raises(DataError):
            decode_ids(CLAIMS[name])


def test_a_limit_counts_bytes_and_can_be_raised() -> None:
    data = encode_png(np.ones((10, 20, 3), np.uint16))
    with images_up_to(1_200):
        assert decode_pixels(data).shape == (10, 20, 3)
    with images_up_to(1_199), pytest.raises(DataError, match=r"1,200 bytes decoded; .*tiles"):
        decode_pixels(data)


def test_every_format_of_a_usual_size_is_decoded() -> None:
    pixels = np.full((20, 30, 3), 77, np.uint8)
    for ending in (".png", ".jpg", ".bmp", ".webp", ".tif"):
        data = cv2.imencode(ending, pixels)[1].tobytes()
        assert decode_pixels(data).shape == (20, 30, 3)
    lossless = cv2.imencode(".webp", pixels, [cv2.IMWRITE_WEBP_QUALITY, 101])[1].tobytes()
    assert decode_pixels(lossless).shape == (20, 30, 3)


@pytest.mark.parametrize("images", [10_001, HUGE])
def test_images_that_a_tiff_file_claims_are_not_listed(images, tmp_path) -> None:
    text = f'{{"shape": [{images}, 4, 4], "axes": "QYX"}}'
    claims = f"ImageJ=1.11a\nimages={images}\nframes={images}\n"
    for k, description in enumerate((text, claims)):
        file = tmp_path / f"{k}.tif"
        tifffile.imwrite(file, np.zeros((4, 4), np.uint8), description=description, metadata=None)
        with file.open("rb") as stream, suppress(DataError):
            assert len(plane_names(stream)) == 1


def test_pages_that_share_their_pixels_are_counted() -> None:
    page = bytearray(encode_tiff(np.zeros((64, 64), np.uint8)))
    (at,) = struct.unpack_from("<I", page, 4)
    (n_tags,) = struct.unpack_from("<H", page, at)
    directory = bytes(page[at : at + 2 + 12 * n_tags])
    page[at + len(directory) : at + len(directory) + 4] = struct.pack("<I", len(page))
    for number in range(1, 10_002):
        following = len(page) + len(directory) + 4 if number < 10_001 else 0
        page += directory + struct.pack("<I", following)
    with pytest.raises(DataError, match="too many images"):
        decode_pixels(bytes(page))

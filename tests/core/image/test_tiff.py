import struct
import zlib

import numpy as np
import pytest

from twinset.core.errors import DataError
from twinset.core.image.codec import (
    decode_ids,
    decode_pixels,
    encode_jpeg,
    encode_lossless,
    encode_png,
)
from twinset.core.image.tiff import decode_tiff, encode_tiff

cv2 = pytest.importorskip("cv2")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [None, 2, 3, 4, 5, 12])
def test_all_depths_and_channels_come_back(dtype, channels):
    shape = (5, 7) if channels is None else (5, 7, channels)
    pixels = np.random.default_rng(0).integers(0, 250, shape).astype(dtype)
    if dtype is np.float32:
        pixels = pixels / np.float32(-7)
    data = encode_lossless(pixels)
    again = decode_pixels(data)
    assert again.dtype == dtype
    np.testing.assert_array_equal(again, pixels)
    assert encode_lossless(again) == data


def test_opencv_reads_what_we_write_and_we_what_it_writes():
    pixels = np.arange(2 * 3 * 3, dtype=np.float32).reshape(2, 3, 3)
    seen = cv2.imdecode(np.frombuffer(encode_tiff(pixels), np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(seen[..., ::-1], pixels)
    _, data = cv2.imencode(".tif", pixels[..., ::-1], [cv2.IMWRITE_TIFF_COMPRESSION, 1])
    np.testing.assert_array_equal(decode_tiff(bytes(data)), pixels)


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32, np.int32])
def test_id_maps_may_be_of_32_bits(dtype):
    ids = np.array([[0, 1], [70_000 if dtype != np.uint16 else 7, 3]], dtype)
    np.testing.assert_array_equal(decode_ids(encode_lossless(ids)), ids)


def by_hand(order: str, tags: dict[int, list[int]], body: bytes) -> bytes:
    """A file whose directory comes last and whose values fit in two shorts."""
    entries = b""
    for tag, values in sorted(tags.items()):
        entries += struct.pack(order + "HHI", tag, 3, len(values))
        entries += struct.pack(f"{order}{len(values)}H", *values).ljust(4, b"\0")
    magic = b"II*\0" if order == "<" else b"MM\0*"
    at = struct.pack(order + "I", 8 + len(body))
    return magic + at + body + struct.pack(order + "H", len(tags)) + entries + b"\0\0\0\0"


def test_planes_big_ends_and_predictors_are_read():
    body = bytes([1, 2, 3, 4, 9, 8, 7, 6])
    tags = {256: [2], 257: [2], 258: [8, 8], 273: [8, 12], 277: [2], 279: [4, 4], 284: [2]}
    found = decode_pixels(by_hand(">", tags, body))
    assert found.tolist() == [[[1, 9], [2, 8]], [[3, 7], [4, 6]]]
    squeezed = zlib.compress(bytes([1, 5, 1, 1]))  # the second pixel as a difference: 1 + 1, 5 + 1
    tags = {256: [2], 257: [1], 258: [8, 8], 259: [8], 273: [8], 277: [2], 279: [len(squeezed)]}
    assert decode_pixels(by_hand("<", {**tags, 317: [2]}, squeezed)).tolist() == [[[1, 5], [2, 6]]]


def test_differences_of_floats_are_those_of_their_bits():
    values = np.array([[1.5, -2.25, 1e30]], "<f4")
    bits = values.view("<u4")
    steps = np.diff(bits, axis=1, prepend=np.uint32(0))
    body = zlib.compress(steps.astype("<u4").tobytes())
    tags = {256: [3], 257: [1], 258: [32], 259: [8], 273: [8], 279: [len(body)], 317: [2], 339: [3]}
    np.testing.assert_array_equal(decode_tiff(by_hand("<", tags, body)), values)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_the_predictor_of_floats_is_read_as_opencv_writes_it(channels):
    pixels = np.random.default_rng(0).normal(size=(13, 17, channels)).astype(np.float32)
    settings = [cv2.IMWRITE_TIFF_COMPRESSION, 8, cv2.IMWRITE_TIFF_PREDICTOR, 3]
    settings += [cv2.IMWRITE_TIFF_ROWSPERSTRIP, 4]
    _, data = cv2.imencode(".tif", pixels, settings)
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[channels]
    read = decode_tiff(data.tobytes())
    np.testing.assert_array_equal(read.reshape(13, 17, channels), pixels[..., order])


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("planar", [1, 2])
def test_the_predictor_of_floats_is_read_of_any_number_of_channels(order, planar):
    pixels = np.random.default_rng(0).normal(size=(2, 3, 5)).astype(np.float32)
    lines = pixels.reshape(2, 15) if planar == 1 else pixels.transpose(2, 0, 1).reshape(10, 3)
    together = 5 if planar == 1 else 1
    body = b""
    for line in lines:  # the first bytes of all numbers, then the second ones, as steps
        planes = line.astype(">f4").view(np.uint8).reshape(-1, 4).T.ravel().reshape(-1, together)
        body += np.diff(planes, axis=0, prepend=np.uint8(0)).astype(np.uint8).tobytes()
    tags = {256: [3], 257: [2], 258: [32], 259: [1], 273: [8], 277: [5], 279: [len(body)],
            284: [planar], 317: [3], 339: [3]}  # fmt: skip
    np.testing.assert_array_equal(decode_pixels(by_hand(order, tags, body)), pixels)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({258: [32], 317: [4]}, r"is not read; got .*predictor 4; allowed: .*predictor 1 or 2"),
        ({258: [32], 317: [3], 339: [1]}, r"is not read; got .*predictor 3; .*floats also 3"),
        ({258: [8]}, r"is not read; got .*bits \[8\], sample formats \[3\].*floats of 16 or 32"),
    ],
)
def test_floats_of_other_forms_are_refused(more, sentence):
    body = zlib.compress(bytes(16))
    tags = {256: [2], 257: [2], 259: [8], 273: [8], 277: [1], 279: [len(body)], 339: [3]}
    with pytest.raises(DataError, match=sentence):
        decode_tiff(by_hand("<", tags | more, body))


def test_other_forms_and_damage_are_told():
    body = bytes(8)
    tags = {256: [2], 257: [2], 258: [8, 8], 277: [2], 279: [8], 273: [8], 259: [5]}
    with pytest.raises(DataError, match="compression 5"):
        decode_pixels(by_hand("<", tags, body))
    whole = encode_tiff(np.zeros((30, 30, 5), np.uint8))
    with pytest.raises(DataError, match="damaged"):
        decode_tiff(whole[:40])
    with pytest.raises(DataError, match="float64"):
        encode_lossless(np.zeros((2, 2)))
    with pytest.raises(DataError, match="uint16, 1 channels"):
        encode_jpeg(np.zeros((2, 2), np.uint16))


def palette_png(indices: np.ndarray, bits: int) -> bytes:
    """A PNG with the palette of `bits`, whose colours are not those of its indices."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    height, width = indices.shape
    wide = (indices[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    lines = np.packbits(wide.reshape(height, -1).astype(np.uint8), axis=1)
    body = b"".join(b"\0" + line.tobytes() for line in lines)
    header = struct.pack(">IIBBBBB", width, height, bits, 3, 0, 0, 0)
    colours = bytes((37 * k + 11) % 256 for k in range(3 * 2**bits))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [
            chunk(b"IHDR", header),
            chunk(b"PLTE", colours),
            chunk(b"IDAT", zlib.compress(body)),
            chunk(b"IEND", b""),
        ]
    )


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_palette_mask_is_read_as_numbers(bits):
    ids = np.random.default_rng(bits).integers(0, 2**bits, (5, 9))
    np.testing.assert_array_equal(decode_ids(palette_png(ids, bits)), ids)


def test_a_mask_of_colours_is_refused():
    with pytest.raises(DataError, match="colours, not numbers"):
        decode_ids(encode_png(np.zeros((2, 2, 3), np.uint8)))

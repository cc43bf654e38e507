import io
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
from twinset.core.image.tiff import decode_tiff, encode_tiff, plane_names, read_planes

cv2 = pytest.importorskip("cv2")
tifffile = pytest.importorskip("tifffile")
RNG = np.random.default_rng(0)
STACK = RNG.integers(0, 60_000, (3, 20, 30)).astype(np.uint16)
RGB = RNG.integers(0, 255, (20, 30, 3)).astype(np.uint8)


def tiff(pixels, **settings):
    sink = io.BytesIO()
    tifffile.imwrite(sink, pixels, **settings)
    return sink.getvalue()


def planes(data):
    """Names and pixels, where both functions agree on the names."""
    found = list(read_planes(data))
    assert [name for name, _ in found] == plane_names(io.BytesIO(data))
    return found


def test_all_depths_and_channels_come_back():
    for channels in [None, 2, 3, 4, 12]:
        for dtype in [np.uint8, np.uint16, np.float32]:
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
    settings = [cv2.IMWRITE_TIFF_COMPRESSION, 8, cv2.IMWRITE_TIFF_PREDICTOR, 3]
    _, data = cv2.imencode(".tif", pixels[..., ::-1], settings)
    np.testing.assert_array_equal(decode_tiff(bytes(data)), pixels)


def test_id_maps_may_be_of_32_bits():
    for dtype in [np.uint16, np.uint32, np.int32]:
        ids = np.array([[0, 1], [70_000 if dtype != np.uint16 else 7, 3]], dtype)
        np.testing.assert_array_equal(decode_ids(encode_lossless(ids)), ids)


@pytest.mark.parametrize(
    "settings",
    [
        {"tile": (16, 16), "compression": "lzw", "predictor": True},
        {"compression": "zstd", "rowsperstrip": 3},
        {"bigtiff": True, "byteorder": ">"},
        {"ome": True, "tile": (16, 16)},
        {"imagej": True},
    ],
)
def test_forms_of_one_image(settings):
    np.testing.assert_array_equal(decode_pixels(tiff(STACK[0], **settings)), STACK[0])


def test_bands_of_floats_with_a_predictor():
    for order in "<>":
        for planar in ["contig", "separate"]:
            bands = RNG.normal(size=(9, 8, 5)).astype(np.float32)
            stored = bands if planar == "contig" else np.ascontiguousarray(bands.transpose(2, 0, 1))
            data = tiff(stored, planarconfig=planar, photometric="minisblack", compression="lzw",
                        predictor=3, byteorder=order)  # fmt: skip
            np.testing.assert_array_equal(decode_pixels(data), bands)


def test_colours_are_those_that_opencv_shows():
    table = RNG.integers(0, 65_535, (3, 256)).astype(np.uint16)
    files = [
        tiff(RGB, compression="jpeg"),
        tiff(RGB[..., 0], photometric="palette", colormap=table),
        tiff(RGB[..., 0], photometric="miniswhite"),
        tiff(RGB[..., 0] > 99),
        tiff(np.dstack([RGB, RGB[..., :1]]), photometric="separated"),  # CMYK
    ]
    for data in files:
        shown = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        if shown.ndim == 3:
            shown = shown[..., [2, 1, 0, *range(3, shown.shape[2])]]
        np.testing.assert_array_equal(decode_pixels(data), shown)


def test_each_page_is_an_image_with_a_name():
    found = planes(tiff(STACK, photometric="minisblack", metadata=None, compression="lzw"))
    assert [name for name, _ in found] == ["page=1", "page=2", "page=3"]
    np.testing.assert_array_equal([pixels for _, pixels in found], STACK)
    ((name, rgb),) = planes(tiff(RGB))
    assert name == ""
    np.testing.assert_array_equal(rgb, RGB)


def test_pages_of_several_sizes_are_images():
    sink = io.BytesIO()
    with tifffile.TiffWriter(sink) as writer:
        for page in (STACK[0], STACK[1, :9, :9].copy()):
            writer.write(page, metadata=None)
    found = planes(sink.getvalue())
    assert [name for name, _ in found] == ["image=1", "image=2"]
    assert [pixels.shape for _, pixels in found] == [(20, 30), (9, 9)]


@pytest.mark.parametrize("form", ["ome", "imagej"])
def test_channels_of_a_microscope_are_channels_and_depths_are_images(form):
    slices = np.stack([STACK, STACK[::-1]])  # two depths of three channels
    settings = {form: True, "metadata": {"axes": "ZCYX"}}
    found = planes(tiff(slices, photometric="minisblack", **settings))
    assert [name for name, _ in found] == ["z=1", "z=2"]
    np.testing.assert_array_equal([p.transpose(2, 0, 1) for _, p in found], slices)
    one = tiff(STACK, photometric="minisblack", **(settings | {"metadata": {"axes": "CYX"}}))
    np.testing.assert_array_equal(decode_pixels(one).transpose(2, 0, 1), STACK)


def test_smaller_copies_and_transparency_are_no_images():
    sink = io.BytesIO()
    with tifffile.TiffWriter(sink) as writer:
        writer.write(RGB, photometric="rgb", metadata=None)
        writer.write(RGB[::2, ::2].copy(), photometric="rgb", subfiletype=1, metadata=None)
        writer.write(RGB[..., 0] > 9, subfiletype=4, metadata=None)
    np.testing.assert_array_equal(decode_pixels(sink.getvalue()), RGB)


def test_several_images_are_refused_where_one_is_expected():
    with pytest.raises(DataError, match="holds 3 images; got page=1, page=2, page=3; allowed: one"):
        decode_pixels(tiff(STACK, photometric="minisblack", metadata=None))


@pytest.mark.parametrize(
    "settings", [{"compression": "lzw", "tile": (16, 16)}, {"metadata": None}, {"ome": True}]
)
def test_a_file_that_breaks_off_loses_no_page_silently(settings):
    whole = tiff(STACK, photometric="minisblack", **settings)
    n_planes = len(planes(whole))
    for length in range(4, len(whole), 97):
        try:
            # Without its description, the last part of a file, the pages of an OME set are plain ones.
            assert len(list(read_planes(whole[:length]))) in (n_planes, len(STACK))
        except DataError as error:
            assert "damaged" in str(error)  # noqa: PT017 - most lengths raise, not all


def test_what_cannot_be_held_is_refused():
    with pytest.raises(DataError, match="float64"):
        encode_lossless(np.zeros((2, 2)))
    with pytest.raises(DataError, match="float64"):
        decode_pixels(tiff(np.zeros((2, 2))))
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


def test_a_palette_mask_is_read_as_numbers():
    for bits in [1, 2, 4, 8]:
        ids = np.random.default_rng(bits).integers(0, 2**bits, (5, 9))
        np.testing.assert_array_equal(decode_ids(palette_png(ids, bits)), ids)


def test_a_mask_of_colours_is_refused():
    with pytest.raises(DataError, match="colours, not numbers"):
        decode_ids(encode_png(np.zeros((2, 2, 3), np.uint8)))

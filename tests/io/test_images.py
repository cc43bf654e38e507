import struct
from pathlib import Path
from zlib import compress, crc32

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from twinset.core.data.dataset import Dataset
from twinset.core.errors import DataError
from twinset.core.image.codec import decode_pixels, encode_jpeg, encode_png
from twinset.core.image.tiff import encode_tiff
from twinset.io import read_dataset, stream_dataset

PNG = encode_png(np.zeros((2, 2), np.uint8))
JPEG = encode_jpeg(np.zeros((2, 2), np.uint8))


def lay_out(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_sub_folders_are_labels_and_bytes_are_kept(tmp_path: Path) -> None:
    folder = lay_out(
        tmp_path,
        {"b/2.JPG": JPEG + b"2", "a/1.png": PNG + b"1", "a/x/3.jpeg": JPEG, "a/notes.txt": b"n"},
    )
    data = read_dataset(folder)
    assert [(f.name, f.kind) for f in data.schema.fields] == [
        ("image", "image"),
        ("label", "category"),
    ]
    assert data.records.column("image").to_pylist() == [
        {"bytes": PNG + b"1", "path": "a/1.png"},
        {"bytes": JPEG, "path": "a/x/3.jpeg"},
        {"bytes": JPEG + b"2", "path": "b/2.JPG"},
    ]
    assert data.records.column("label").to_pylist() == ["a", "a", "b"]


def test_labels_file_is_joined_by_name(tmp_path: Path) -> None:
    table = b"age,file,label\n31,1.png,cat\n47,sub/2.png,dog\n"
    folder = lay_out(
        tmp_path, {"1.png": PNG, "sub/2.png": PNG, "sub/3.png": PNG, "labels.csv": table}
    )
    data = read_dataset(folder)
    assert data.schema.names == ("image", "age", "label")
    assert data.records.column("age").to_pylist() == [31, 47, None]
    assert data.records.column("label").to_pylist() == ["cat", "dog", None]


FAULTY_FOLDERS_CASES = [
    ({"a.txt": b"x"}, "holds no image"),
    ({"a.png": JPEG}, "'a.png' cannot be used: it is no PNG image; got another"),
    ({"a/b.jpg": b""}, "'a/b.jpg' .* it is no JPG image; got an empty file"),
    ({"a.png": PNG, "labels.csv": b"file,x\nb.png,1\n"}, "names 1 files that are not in"),
    ({"a.png": PNG, "labels.csv": b"file,x\na.png,1\na.png,2\n"}, "names a file twice"),
]


def test_faulty_folders(tmp_path: Path) -> None:
    for number, (files, sentence) in enumerate(FAULTY_FOLDERS_CASES):
        folder = tmp_path / str(number)
        folder.mkdir()
        with pytest.raises(DataError, match=sentence):
            read_dataset(lay_out(folder, files))


def test_links_may_not_leave_the_folder(tmp_path: Path) -> None:
    lay_out(tmp_path, {"out.png": PNG, "in/a.png": PNG})
    (tmp_path / "in" / "b.png").symlink_to(tmp_path / "out.png")
    with pytest.raises(DataError, match="leads out of its folder"):
        read_dataset(tmp_path / "in")


def test_a_file_that_breaks_off_is_refused_by_name(tmp_path: Path) -> None:
    for number, (name, whole) in enumerate([("1.png", PNG), ("1.jpg", JPEG)]):
        folder = tmp_path / str(number)
        folder.mkdir()
        folder = lay_out(folder, {name: whole[:-1]})

        with pytest.raises(DataError, match=f"'{name}' .*breaks off before its end") as caught:
            read_dataset(folder)
        assert caught.value.todo == f"replace or remove the file in '{folder}'"


def test_pages_of_a_tiff_file_are_rows_that_share_its_labels(tmp_path: Path) -> None:
    tifffile, np = pytest.importorskip("tifffile"), pytest.importorskip("numpy")
    stack = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)
    (tmp_path / "a").mkdir()
    tifffile.imwrite(tmp_path / "a" / "stack.tif", stack, photometric="minisblack", metadata=None)
    tifffile.imwrite(tmp_path / "one.tif", stack[0])
    (tmp_path / "labels.csv").write_text("file,dose\na/stack.tif,3\none.tif,5\n")

    for data in (read_dataset(tmp_path), Dataset.concat(list(stream_dataset(tmp_path)))):
        rows = data.records.to_pylist()
        assert [row["image"]["path"] for row in rows] == [
            "a/stack.tif#page=1",
            "a/stack.tif#page=2",
            "one.tif",
        ]
        assert [row["dose"] for row in rows] == [3, 3, 5]
        for row, pixels in zip(rows, [*stack, stack[0]]):
            np.testing.assert_array_equal(decode_pixels(row["image"]["bytes"]), pixels)
    assert rows[2]["image"]["bytes"] == (tmp_path / "one.tif").read_bytes()


def test_a_damaged_tiff_file_is_named(tmp_path: Path) -> None:
    pytest.importorskip("tifffile")
    folder = lay_out(tmp_path, {"a.tif": b"II*\0" + b"\xff" * 9})
    with pytest.raises(DataError, match=r"'a\.tif' cannot be used: a TIFF file is damaged"):
        read_dataset(folder)


def test_palettes_of_a_tiff_file_belong_to_their_pages_and_may_have_eight_bits(
    tmp_path: Path,
) -> None:
    tifffile, np = pytest.importorskip("tifffile"), pytest.importorskip("numpy")
    numbers = np.arange(24, dtype=np.uint8).reshape(4, 6)
    deep = np.arange(768, dtype=np.uint16).reshape(3, 256) * 85
    palettes = [deep, deep[:, ::-1], np.arange(768, dtype=np.uint16).reshape(3, 256) % 251]
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for palette in palettes:
            file.write(numbers, photometric="palette", colormap=palette, metadata=None)
    images = read_dataset(tmp_path).records["image"].to_pylist()
    shown = [(palette.T >> shift)[numbers] for palette, shift in zip(palettes, (8, 8, 0))]
    for image, expected in zip(images, shown, strict=True):
        np.testing.assert_array_equal(decode_pixels(image["bytes"]), expected)


def chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc32(kind + content))
    )


def with_chunk(png: bytes, kind: bytes, content: bytes) -> bytes:
    """A PNG with one more part behind its header."""
    return png[:33] + chunk(kind, content) + png[33:]


GREY = encode_png(np.arange(64, dtype=np.uint8).reshape(8, 8))
PHOTO = encode_jpeg(np.arange(192, dtype=np.uint8).reshape(8, 8, 3))
TURNED = b"\xff\xe1\x00\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
INKS = PHOTO.replace(
    b"\xff\xc0\x00\x11\x08\x00\x08\x00\x08\x03", b"\xff\xc0\x00\x11\x08\x00\x08\x00\x08\x04"
)
LOST = {
    "no bytes": ("a.png", b"", "an empty file"),
    "no pixels": ("a.png", GREY[:33] + chunk(b"IDAT", b"x") + chunk(b"IEND", b""), "decoded"),
    "cut pixels": ("a.png", GREY[:33] + chunk(b"IDAT", compress(b"0" * 9)) + GREY[-12:], "decoded"),
    "a cut PNG": ("a.png", GREY[:-20], "breaks off"),
    "a cut JPEG": ("a.jpg", PHOTO[: len(PHOTO) // 2], "breaks off"),
    "a damaged TIFF": ("a.tif", encode_tiff(np.zeros((8, 8), np.float32))[:-60], "damaged"),
    "a TIFF without a directory": ("a.tif", b"II*\0\xff\xff\0\0" + bytes(20), "damaged"),
    "another format": ("a.png", PHOTO, "no PNG"),
    "an animation": ("a.png", with_chunk(GREY, b"acTL", bytes(8)), "an animation"),
    "a transparent grey": ("a.png", with_chunk(GREY, b"tRNS", b"\0\1"), "transparent"),
    "four inks": ("a.jpg", INKS, "CMYK"),
    "a turn": (
        "a.jpg",
        PHOTO[:2] + TURNED + PHOTO[2:],
        "turned",
    ),
    "a GIF": ("a.gif", b"GIF89a" + bytes(20), "not read"),
    "a WebP": ("a.webp", b"RIFF\0\0\0\0WEBPVP8X", "not read"),
}


@pytest.mark.parametrize("case", LOST)
def test_what_pixels_would_not_show_is_refused(tmp_path: Path, case: str) -> None:
    name, content, words = LOST[case]
    folder = lay_out(tmp_path, {"whole.png": GREY, name: content})
    with pytest.raises(DataError, match=words) as caught:
        read_dataset(folder)
    assert name in str(caught.value)
    with pytest.raises(DataError, match=words):
        list(stream_dataset(folder))


def test_faults_of_a_folder_are_counted(tmp_path: Path) -> None:
    damaged = {f"{k:02d}.png": GREY[:-20] for k in range(9)}
    with pytest.raises(
        DataError, match=r"9 of 10 image files cannot be used; got '00.png' .*'04.png' "
    ) as caught:
        read_dataset(lay_out(tmp_path, {"whole.png": GREY, **damaged}))
    assert "05.png" not in str(caught.value)


def test_images_in_a_file_of_rows_are_decoded_too(tmp_path: Path) -> None:
    damaged = GREY[:33] + chunk(b"IDAT", b"x") + chunk(b"IEND", b"")
    images = [{"bytes": one, "path": None} for one in (GREY, damaged, PHOTO)]
    pq.write_table(pa.table({"image": images}), tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"1 of 3 images in the column 'image'.*row 1"):
        read_dataset(tmp_path / "t.parquet")


def test_depth_palette_and_transparency_are_kept(tmp_path: Path) -> None:
    deep = np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000
    clear = np.arange(256, dtype=np.uint8).reshape(8, 8, 4)
    lay_out(tmp_path, {"a.png": encode_png(deep), "b.png": encode_png(clear)})
    blobs = [cell["bytes"] for cell in read_dataset(tmp_path).records.column("image").to_pylist()]
    assert np.array_equal(decode_pixels(blobs[0]), deep)
    assert np.array_equal(decode_pixels(blobs[1]), clear)

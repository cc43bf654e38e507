"""Faulty sets are refused with file and line, or read without what is faulty when that is asked."""

import io
import itertools
import json
import struct
import tarfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from twinset.core.errors import DataError
from twinset.core.image.codec import decode_pixels, encode_jpeg, encode_lossless
from twinset.io import read_dataset

pytest.importorskip("cv2")

PNG = encode_lossless(np.zeros((30, 40, 3), np.uint8))
JPEG = encode_jpeg(np.zeros((30, 40, 3), np.uint8))
BMP_HUGE = b"BM" + struct.pack("<IHHI", 100, 0, 0, 54)
BMP_HUGE += struct.pack("<IiiHHIIiiII", 40, 200_000, 200_000, 1, 24, *[0] * 6) + bytes(100)


def lay_out(folder: Path, files: dict[str, bytes | str]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def voc(*boxes: tuple[float, float, float, float], size: str = "", more: str = "") -> str:
    items = "".join(
        f"<object><name>RBC</name>{more}\n<bndbox><xmin>{a}</xmin><ymin>{b}</ymin>"
        f"<xmax>{c}</xmax><ymax>{d}</ymax></bndbox></object>\n"
        for a, b, c, d in boxes
    )
    return f"<annotation>\n<filename>a.png</filename>{size}\n{items}</annotation>"


def coco(annotations: list[dict], **image) -> str:
    return json.dumps(
        {
            "images": [{"id": 5, "file_name": "a.png"} | image],
            "annotations": annotations,
            "categories": [{"id": 0, "name": "cell"}],
        }
    )


def test_voc_boxes_are_counted_from_one_and_include_both_ends(tmp_path: Path) -> None:
    lay_out(
        tmp_path, {"Annotations/a.xml": voc((1, 1, 40, 30), (3, 4, 3, 9)), "JPEGImages/a.png": PNG}
    )
    first, second = read_dataset(tmp_path).records["objects"].to_pylist()[0]
    assert first["box"] == [0, 0, 40, 30]
    assert second["box"] == [2, 3, 3, 9]
    assert second["area"] == 6


FAULTS = [
    ({"Annotations/a.xml": voc((5, 5, 9, 9), (7, 8, 7, 8)), "JPEGImages/a.png": PNG},
     r"Annotations/a.xml, line 6: the box of a RBC is one point, \(7, 8\)", 1),
    ({"Annotations/a.xml": voc((5, 5, 9, 9), (9, 5, 5, 9)), "JPEGImages/a.png": PNG},
     "line 6: .* holds nothing", 1),
    ({"Annotations/a.xml": voc((5, 5, 9, 9), (5, 5, 41, 9)), "JPEGImages/a.png": PNG},
     r"line 6: the box \[4, 4, 41, 9\) leaves its image of 40 x 30", 1),
    ({"Annotations/a.xml": voc((5, 5, 9, 9), ("x", 5, 41, 9)), "JPEGImages/a.png": PNG},
     "line 6: it cannot", 1),
    ({"data.yaml": "names: [cell]", "images/a.png": PNG, "labels/a.txt": "0 .5 .5 .1 .1\n0 .5 .5 .1 0\n"},
     "labels/a.txt, line 2: .* holds nothing", 1),
    ({"data.yaml": "names: [cell]", "images/a.png": PNG, "labels/a.txt": "0 .5 .5 .1 .1\n\n3 0 0 0 0\n"},
     "labels/a.txt, line 3: the class 3 has no name", 1),
    ({"data.yaml": "names: [cell]", "images/a.png": PNG, "labels/a.txt": "0 .5 .5 .1 .1\n0 .5 .5\n"},
     "line 2: it holds 3 numbers", 1),
    ({"data.yaml": "names: [cell]", "images/a.png": PNG, "labels/a.txt": "0 .5 .5 .1 .1\n0 .5 .5 .1 nan\n"},
     "line 2: .* no box of numbers", 1),
    ({"annotations.json": coco([{"id": 1, "image_id": 5, "category_id": 0, "bbox": [1, 1, 5, 5]},
                                {"id": 2, "image_id": 5, "category_id": 0, "bbox": [1, 1, 0, 5]}]),
      "images/a.png": PNG}, r"annotations.json, annotations\[1\] \(id 2\): .* holds nothing", 1),
    ({"annotations.json": coco([{"id": 1, "image_id": 5, "category_id": 0, "bbox": [1, 1, 5, 5]},
                                {"id": 2, "image_id": 5, "category_id": 9, "bbox": [1, 1, 5, 5]}]),
      "a.png": PNG}, "its category_id 9 is that of no category", 1),
    ({"annotations.json": coco([{"id": 1, "image_id": 5, "category_id": 0, "bbox": [1, 1, 5, 5]},
                                {"id": 2, "image_id": 6, "category_id": 0, "bbox": [1, 1, 5, 5]}]),
      "a.png": PNG}, "its image_id is that of no image", 1),
    ({"annotations.json": coco([{"id": 1, "image_id": 5, "category_id": 0, "bbox": [1, 1, 5, 5]},
                                {"id": 2, "image_id": 5, "category_id": 0, "bbox": [1, 1, 5, 5],
                                 "segmentation": {"size": [30, 40], "counts": [3]}}]),
      "a.png": PNG}, "do not fill their image", 1),
]  # fmt: skip


def test_a_faulty_label_is_reported_with_its_line_or_left_out(tmp_path: Path) -> None:
    for number, (files, sentence, left) in enumerate(FAULTS):
        folder = tmp_path / str(number)
        folder.mkdir()
        lay_out(folder, files)
        with pytest.raises(DataError, match=sentence):
            read_dataset(folder)
        data = read_dataset(folder, on_fault="skip")
        assert len(data.records["objects"].to_pylist()[0]) == left
        (note,) = data.card.notes
        assert note.startswith("left out when read: ")


TURNED = JPEG[:2] + bytes.fromhex(
    "ffe1002245786966000049492a00080000000100120103000100000006000000"
) + b"\0\0\0\0" + JPEG[2:]  # fmt: skip


def png_head(width: int, height: int) -> bytes:
    """A PNG that says to be of this size, and whose pixels are missing."""
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IEND", b"")]
    told = [
        struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in parts
    ]
    return PNG[:8] + b"".join(told)


FLIPPED = PNG[:60] + bytes([PNG[60] ^ 1]) + PNG[61:]
SPLIT = JPEG[:-40] + b"\xff\xd8" + JPEG[-38:]  # a picture that begins within the data of another


A_FAULTY_PICTURE_IS_TOLD_BY_NAME_OR_LEFT_OUT_CASES = [
    (JPEG[: len(JPEG) // 2], "a.jpg", "breaks off before its end"),
    (SPLIT, "a.jpg", "is damaged; got no part of a JPEG"),
    (JPEG[:3] + b"\xff\xd9", "a.jpg", "breaks off in its first lines"),
    (FLIPPED, "a.png", "is damaged; got a wrong checksum of the part at byte 33"),
    (PNG[:50] + PNG[-12:], "a.png", "is damaged"),
    (png_head(200_000, 100_000), "a.png", "got 200,000 x 100,000 pixels, .*cut it into tiles"),
    (png_head(0, 30), "a.png", "got 0 x 30 pixels"),
    (BMP_HUGE, "a.bmp", "cut it into tiles"),
    (PNG[:-8], "a.png", "breaks off before its end"),
    (b"", "a.png", "is empty"),
    (b"hello", "a.png", "cannot be decoded"),
    (TURNED, "a.jpg", "stored turned .EXIF orientation 6"),
]


def test_a_faulty_image_is_reported_by_name_or_left_out(tmp_path: Path) -> None:
    for number, (picture, name, sentence) in enumerate(
        A_FAULTY_PICTURE_IS_TOLD_BY_NAME_OR_LEFT_OUT_CASES
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        files = {"data.yaml": "names: [cell]", f"images/{name}": picture, "images/b.png": PNG}
        lay_out(folder, files | {"labels/b.txt": ""})
        with pytest.raises(DataError, match=f"images/{name}: .*{sentence}"):
            read_dataset(folder)
        data = read_dataset(folder, on_fault="skip")
        assert [row["path"] for row in data.records["image"].to_pylist()] == ["images/b.png"]
        assert data.records["objects"].to_pylist() == [[]]


def test_all_faults_are_counted_and_the_first_reported(tmp_path: Path) -> None:
    lines = "0 .5 .5 .1 0\n" * 14
    lay_out(tmp_path, {"data.yaml": "names: [cell]", "images/a.png": PNG, "labels/a.txt": lines})
    with pytest.raises(DataError, match=r"14 faults.*line 3: .*; and 11 more; repair them"):
        read_dataset(tmp_path)


def test_sizes_must_agree(tmp_path: Path) -> None:
    size = "<size><width>99</width><height>30</height></size>"
    lay_out(
        tmp_path / "v", {"Annotations/a.xml": voc((1, 1, 5, 5), size=size), "JPEGImages/a.png": PNG}
    )
    with pytest.raises(DataError, match="line 2: it says 99 x 30, the image is 40 x 30"):
        read_dataset(tmp_path / "v")
    lay_out(tmp_path / "c", {"annotations.json": coco([], width=99, height=30), "a.png": PNG})
    with pytest.raises(DataError, match=r"it says 99 x 30, but 'a.png' is 40 x 30"):
        read_dataset(tmp_path / "c")
    wrong = encode_lossless(np.zeros((30, 41), np.uint16))
    lay_out(tmp_path / "m", {"images/a.png": PNG, "masks/a.png": wrong})
    with pytest.raises(DataError, match=r"masks/a.png: its id map is 41 x 30, its image 40 x 30"):
        read_dataset(tmp_path / "m")


def test_files_that_are_no_such_set_are_reported(tmp_path: Path) -> None:
    lay_out(tmp_path / "two", {"a.json": coco([]), "b.json": coco([]), "a.png": PNG})
    with pytest.raises(DataError, match="several COCO files"):
        read_dataset(tmp_path / "two")
    assert len(read_dataset(tmp_path / "two" / "a.json")) == 1
    lay_out(tmp_path / "y", {"images/a.png": PNG, "labels/a.txt": "0 .5 .5 .1 .1"})
    with pytest.raises(DataError, match=r"has no data\.yaml"):
        read_dataset(tmp_path / "y")


def test_a_shard_that_breaks_off_is_reported(tmp_path: Path) -> None:
    lay_out(tmp_path, {"a.tar": b"\1" * 900})
    with pytest.raises(DataError, match=r"'a\.tar' is damaged"):
        read_dataset(tmp_path)


def test_blood_cells_hold_one_box_without_extent(shared_data: Path) -> None:
    folder = shared_data / "vision" / "bccd" / "BCCD"
    with pytest.raises(
        DataError, match=r"holds one fault; got Annotations/BloodImage_00338\.xml, line 163"
    ):
        read_dataset(folder)
    data = read_dataset(folder, on_fault="skip")
    assert len(data) == 267
    assert [x.name for x in data.schema["objects"].taxonomy.labels] == ["Platelets", "RBC", "WBC"]
    assert sum(map(len, data.records["objects"].to_pylist())) == 3588


def test_nuclei_are_read_with_their_maps(shared_data: Path) -> None:
    data = read_dataset(shared_data / "vision" / "nuclei")
    assert len(data) == 42
    assert data.schema.names == ("image", "instances", "objects")


def _palette() -> bytes:
    lines = b"".join(b"\0" + bytes(40) for _ in range(30))
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", 40, 30, 8, 3, 0, 0, 0)),
        (b"PLTE", bytes([10, 20, 30, 200, 100, 0])),
        (b"IDAT", zlib.compress(lines)),
        (b"IEND", b""),
    ]
    told = [
        struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in parts
    ]
    return PNG[:8] + b"".join(told)


PALETTE = _palette()


def tar(members: dict[str, bytes | str]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:") as archive:
        for name, content in members.items():
            data = content.encode() if isinstance(content, str) else content
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def sets_of(bad: bytes, good: bytes = PNG) -> dict[str, dict[str, bytes | str]]:
    """Two pictures, of which the first is `bad`, in every layout; nothing is in either."""
    empty = encode_lossless(np.zeros((30, 40), np.uint16))
    images = [{"id": k, "file_name": f"{k}.png"} for k in (1, 2)]
    return {
        "coco": {"a.json": json.dumps({"images": images, "annotations": [], "categories": []}),
                 "1.png": bad, "2.png": good},
        "yolo": {"data.yaml": "names: [cell]", "images/1.png": bad, "images/2.png": good,
                 "labels/2.txt": ""},
        "voc": {f"Annotations/{k}.xml": voc().replace("a.png", f"{k}.png") for k in (1, 2)}
        | {"JPEGImages/1.png": bad, "JPEGImages/2.png": good},
        "masks": {"images/1.png": bad, "images/2.png": good, "masks/1.png": empty,
                  "masks/2.png": empty},
        "webdataset": {"s.tar": tar({"1.png": bad, "2.png": good, "2.json": "{}"})},
    }  # fmt: skip


def test_every_layout_tells_a_bad_image_by_its_file(tmp_path: Path) -> None:
    for number, (bad, layout) in enumerate(
        itertools.product(
            [FLIPPED, png_head(200_000, 100_000), TURNED, JPEG[:200]],
            ["coco", "yolo", "voc", "masks", "webdataset"],
        )
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        lay_out(folder, sets_of(bad)[layout])
        place = "s.tar, 1: " if layout == "webdataset" else "1.png: "
        with pytest.raises(DataError, match=f"holds one fault; got [^;]*{place}"):
            read_dataset(folder)
        assert len(read_dataset(folder, on_fault="skip")) == 1


def test_images_without_annotations_stay_and_palettes_are_colours(tmp_path: Path) -> None:
    for number, layout in enumerate(["coco", "yolo", "voc", "masks", "webdataset"]):
        folder = tmp_path / str(number)
        folder.mkdir()
        lay_out(folder, sets_of(PALETTE)[layout])
        data = read_dataset(folder)
        assert data.records["objects"].to_pylist() == [[], []]
        blob = next(x for x in data.records["image"].to_pylist() if "1.png" in x["path"])
        pixels = decode_pixels(blob["bytes"])
        assert pixels.shape == (30, 40, 3)
        assert pixels[0, 0].tolist() == [10, 20, 30]


A_LIST_OF_OBJECTS_THAT_CANNOT_BE_READ_IS_TOLD_CASES = [
    ("image,id,category\na.png,1,z\xe9bre\n".encode("latin-1"), "objects.csv is not UTF-8"),
    (b"image,id,category\na.png,1\n", "objects.csv cannot be read; .*shorter than the first"),
    (b"image,id,category\na.png,one,cell\n", "objects.csv cannot be read; .*whole number"),
    (b"picture,id,category\na.png,1,cell\n", "objects.csv cannot be read; got 'image'"),
]


def test_a_list_of_objects_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    for number, (content, sentence) in enumerate(
        A_LIST_OF_OBJECTS_THAT_CANNOT_BE_READ_IS_TOLD_CASES
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        ids = np.zeros((30, 40), np.uint16)
        ids[3:9, 4:9] = 1
        files = {"images/a.png": PNG, "masks/a.png": encode_lossless(ids), "objects.csv": content}
        lay_out(folder, files)
        with pytest.raises(DataError, match=sentence):
            read_dataset(folder)


def test_numbers_of_objects_come_back_and_clashing_ones_are_faults(tmp_path: Path) -> None:
    def annotation(number: int, **more) -> dict:
        return {"id": number, "image_id": 5, "category_id": 0, "bbox": [1, 1, 5, 5], **more}

    told = [annotation(1), annotation(2, attributes={"instance_id": 9}), annotation(3)]
    lay_out(tmp_path / "good", {"annotations.json": coco(told), "a.png": PNG})
    (objects,) = read_dataset(tmp_path / "good").records["objects"].to_pylist()
    assert [item["id"] for item in objects] == [1, 9, 3]
    told.append(annotation(4, attributes={"instance_id": 9}))
    told.append(annotation(5, attributes={"instance_id": "x"}))
    lay_out(tmp_path / "bad", {"annotations.json": coco(told), "a.png": PNG})
    with pytest.raises(
        DataError, match=r"annotations\[3\] .*instance_id cannot be used; got 9"
    ) as all_:
        read_dataset(tmp_path / "bad")
    assert "annotations[4]" in str(all_.value)

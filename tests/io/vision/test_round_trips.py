"""What each format can hold comes back to a hundredth of a pixel, through every other one too."""

import itertools
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import BLOB, OBJECT, Field, Label, Schema, Taxonomy
from twinset.core.image.codec import decode_ids, decode_pixels, encode_jpeg, encode_lossless
from twinset.core.image.instance_maps import objects_from_ids
from twinset.io import read_dataset, write_dataset

pytest.importorskip("cv2")

CELL = Label("cell", number=0)
DOG = Label("dog & co", number=17)


def id_map() -> np.ndarray:
    ids = np.zeros((40, 50), np.uint16)
    ids[3:12, 5:20] = 1
    ids[5:8, 8:12] = 0  # a hole
    ids[20:30, 30:50] = 2
    ids[30:35, 2:6] = ids[33:40, 10:12] = 7  # two pieces
    return ids


def with_maps(labels=(CELL, DOG)) -> Dataset:
    names = {1: labels[0].name, 2: labels[1].name, 7: labels[0].name}
    maps = [id_map(), np.zeros((40, 50), np.uint16), id_map()[:, ::-1].copy()]
    rng = np.random.default_rng(0)
    pictures = [encode_lossless(rng.integers(0, 255, (40, 50, 3)).astype(np.uint8)) for _ in maps]
    pictures[1] = encode_jpeg(np.full((40, 50, 3), 90, np.uint8))
    table = {
        "image": pa.array([{"bytes": p, "path": None} for p in pictures], BLOB),
        "instances": pa.array([{"bytes": encode_lossless(m), "path": None} for m in maps], BLOB),
        "objects": pa.array([objects_from_ids(m, names) for m in maps], pa.list_(OBJECT)),
    }
    return dataset(table, labels)


def dataset(table: dict, labels) -> Dataset:
    kinds = {"image": "image", "instances": "mask", "objects": "boxes"}
    fields = [Field(name=n, kind=kinds[n]) for n in table]
    fields[-1] = Field(name="objects", kind="boxes", taxonomy=Taxonomy(tuple(labels)))
    return Dataset.from_arrow(pa.table(table), Schema(tuple(fields)))


def boxes_alone() -> Dataset:
    rng = np.random.default_rng(1)
    rows = []
    for _ in range(5):
        x, y = rng.uniform(0, 300, 4), rng.uniform(0, 200, 4)
        w, h = rng.uniform(1, 339, 4), rng.uniform(1, 279, 4)
        objects = []
        for k in range(4):
            box = [x[k], y[k], x[k] + w[k], y[k] + h[k]]
            objects.append(
                {"id": k + 1, "category": ("cell", "dog & co")[k % 2], "box": box, "area": w[k] * h[k],
                 "visible_fraction": None, "truncated": k == 1, "keypoints": []}
            )  # fmt: skip
        rows.append(objects)
    picture = encode_lossless(np.zeros((480, 640), np.uint8))
    table = {
        "image": pa.array([{"bytes": picture, "path": None}] * 5, BLOB),
        "objects": pa.array(rows, pa.list_(OBJECT)),
    }
    return dataset(table, (CELL, DOG))


def through(data: Dataset, folder: Path, *formats: str) -> Dataset:
    for k, name in enumerate(formats):
        place = folder / f"{k}-{name}"
        write_dataset([data.slice(0, 1), data.slice(1, len(data))], place, name)
        data = read_dataset(place)
    return data


def masks_of(data: Dataset) -> list[list[tuple[str, bytes]]]:
    """The category and the pixels of every object, in order."""
    found = []
    for row in data.records.to_pylist():
        ids = decode_ids(row["instances"]["bytes"]) if row["instances"] else np.zeros((1, 1))
        found.append([(o["category"], (ids == o["id"]).tobytes()) for o in row["objects"]])
    return found


def assert_same_boxes(data: Dataset, other: Dataset) -> None:
    for row, again in zip(
        data.records["objects"].to_pylist(), other.records["objects"].to_pylist()
    ):
        assert [o["category"] for o in row] == [o["category"] for o in again]
        for item, same in zip(row, again):
            assert same["box"] == pytest.approx(item["box"], abs=0.01)
            assert same["area"] == pytest.approx(item["area"], rel=1e-3)


def test_masks_come_back_pixel_for_pixel(tmp_path: Path) -> None:
    for number, name in enumerate(["coco", "yolo", "voc", "masks", "webdataset"]):
        folder = tmp_path / str(number)
        folder.mkdir()
        data = with_maps()
        again = through(data, folder, name)
        assert masks_of(again) == masks_of(data)
        assert_same_boxes(data, again)
        for row, same in zip(data.records["image"].to_pylist(), again.records["image"].to_pylist()):
            assert row["bytes"] == same["bytes"]  # the file itself, whatever its encoding


def test_masks_survive_the_whole_tour(tmp_path: Path) -> None:
    data = with_maps()
    again = through(data, tmp_path, "coco", "yolo", "voc", "masks", "webdataset", "coco")
    assert masks_of(again) == masks_of(data)
    assert_same_boxes(data, again)


def test_fractional_boxes_come_back_to_a_hundredth(tmp_path: Path) -> None:
    for number, tour in enumerate(
        [("coco",), ("yolo",), ("voc",), ("coco", "yolo", "voc", "coco")]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        data = boxes_alone()
        again = through(data, folder, *tour)
        assert_same_boxes(data, again)
        if "yolo" not in tour:
            truncated = [
                o["truncated"] for row in again.records["objects"].to_pylist() for o in row
            ]
            assert truncated == [False, True, False, False] * 5


def test_category_numbers_from_zero_are_kept(tmp_path: Path) -> None:
    again = through(with_maps(), tmp_path, "coco")
    assert [(x.name, x.number) for x in again.schema["objects"].taxonomy.labels] == [
        ("cell", 0), ("dog & co", 17),
    ]  # fmt: skip
    content = json.loads((tmp_path / "0-coco" / "annotations.json").read_text())
    assert [c["id"] for c in content["categories"]] == [0, 17]
    assert {a["category_id"] for a in content["annotations"]} == {0, 17}


def test_outlines_with_fractions_stay_as_they_are(tmp_path: Path) -> None:
    outline = [10.25, 4.5, 40.125, 6.0, 33.0, 30.75]
    objects = [
        {"id": 1, "category": "cell", "box": [10.25, 4.5, 40.125, 30.75], "area": 380.0,
         "visible_fraction": None, "truncated": False, "keypoints": [], "polygons": [outline]}
    ]  # fmt: skip
    picture = encode_lossless(np.zeros((40, 50), np.uint8))
    table = {
        "image": pa.array([{"bytes": picture, "path": None}], BLOB),
        "objects": pa.array([objects], pa.list_(OBJECT)),
    }
    for tour in (("coco",), ("yolo",), ("yolo", "coco", "yolo")):
        again = through(dataset(table, (CELL,)), tmp_path / "-".join(tour), *tour)
        (found,) = again.records["objects"].to_pylist()[0]
        assert found["polygons"][0] == pytest.approx(outline, abs=0.01)
        ids = decode_ids(again.records["instances"][0].as_py()["bytes"])
        assert abs(int((ids == 1).sum()) - 380) < 15


def test_poses_come_back(tmp_path: Path) -> None:
    label = Label("person", number=0, keypoints=("head", "foot"), skeleton=((0, 1),))
    points = [
        {"name": "head", "x": 12.5, "y": 7.25, "v": 2},
        {"name": "foot", "x": 0.0, "y": 0.0, "v": 0},
    ]
    objects = [
        {"id": 1, "category": "person", "box": [5.0, 5.0, 30.0, 39.0], "area": 850.0,
         "visible_fraction": None, "truncated": False, "keypoints": points}
    ]  # fmt: skip
    picture = encode_lossless(np.zeros((40, 50), np.uint8))
    table = {
        "image": pa.array([{"bytes": picture, "path": None}], BLOB),
        "objects": pa.array([objects], pa.list_(OBJECT)),
    }
    for tour in (("coco",), ("yolo",), ("coco", "yolo", "webdataset", "coco")):
        again = through(dataset(table, (label,)), tmp_path / "-".join(tour), *tour)
        (found,) = again.records["objects"].to_pylist()[0]
        assert [(p["name"], p["v"]) for p in found["keypoints"]] == [("head", 2), ("foot", 0)]
        assert found["keypoints"][0]["x"] == pytest.approx(12.5, abs=0.01)
        assert again.schema["objects"].taxonomy.labels[0].skeleton == ((0, 1),)


def test_deep_images_of_many_bands_come_back(tmp_path: Path) -> None:
    for number, (dtype, name) in enumerate(
        itertools.product([np.uint16, np.float32], ["coco", "masks", "webdataset"])
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        bands = (np.arange(40 * 50 * 6).reshape(40, 50, 6) / 7).astype(dtype)
        blob = {"bytes": encode_lossless(bands), "path": None}
        table = {
            "image": pa.array([blob], BLOB),
            "instances": pa.array([{"bytes": encode_lossless(id_map()), "path": None}], BLOB),
            "objects": pa.array(
                [objects_from_ids(id_map(), dict.fromkeys((1, 2, 7), "cell"))], pa.list_(OBJECT)
            ),
        }
        again = through(dataset(table, (CELL,)), folder, name)
        np.testing.assert_array_equal(
            decode_pixels(again.records["image"][0].as_py()["bytes"]), bands
        )


def test_equal_rows_give_equal_shards(tmp_path: Path) -> None:
    for place, cut in (("a", 1), ("b", 2)):
        data = with_maps()
        write_dataset([data.slice(0, cut), data.slice(cut, 9)], tmp_path / place, "webdataset")
    files = [sorted((tmp_path / place).iterdir()) for place in ("a", "b")]
    assert [f.name for f in files[0]] == ["dataset.json", "shard-000000.tar"]
    assert [f.read_bytes() for f in files[0]] == [f.read_bytes() for f in files[1]]


def test_other_columns_are_kept_where_there_is_room(tmp_path: Path) -> None:
    data = with_maps()
    records = data.records.append_column("light", pa.array(["day", "night", None]))
    schema = Schema((*data.schema.fields, Field(name="light", kind="category")))
    for name in ("coco", "webdataset"):
        again = through(Dataset.from_arrow(records, schema), tmp_path / name, name)
        assert again.records["light"].to_pylist() == ["day", "night", None]

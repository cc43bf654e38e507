from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from twinset.augment.image.add_defects import AddDefects
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import BLOB, OBJECT
from twinset.core.errors import DataError, ParameterError, SchemaError, UnknownNameError
from twinset.core.image.codec import decode_ids, decode_pixels, encode_lossless
from twinset.core.image.instance_maps import extents_of, objects_from_ids
from twinset.core.seeding import rng_for
from twinset.io import read_dataset

pytest.importorskip("cv2")


def good_folder(folder: Path, dtype=np.uint8) -> Dataset:
    """Three faultless pictures and an older defect, as a folder of masks."""
    (folder / "images").mkdir()
    (folder / "masks").mkdir()
    ids = np.zeros((60, 80), np.uint16)
    ids[20:40, 30:60] = 1
    for name in ("a", "b", "c", "old"):
        picture = np.full((60, 80, 3), 120 if dtype == np.uint8 else 30_000, dtype)
        (folder / "images" / f"{name}.png").write_bytes(encode_lossless(picture))
    (folder / "masks" / "old.png").write_bytes(encode_lossless(ids))
    (folder / "objects.csv").write_text("image,id,category\nold.png,1,rust\n")
    data = read_dataset(folder)
    # The labels that a set of its own has need not know the kinds of defect.
    records = data.records.rename_columns(data.schema.names)
    return Dataset.from_arrow(records).with_reserved(ids=list("abcd"))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_defects_are_labelled_and_older_ones_lose_what_they_cover(dtype, tmp_path: Path) -> None:
    data = good_folder(tmp_path, dtype)
    assert [len(row) for row in data.records["objects"].to_pylist()] == [0, 0, 0, 1]
    add = AddDefects(
        kinds_of_defect=["hole", "stain"], n_defects_range=(2, 3), side_range=(0.3, 0.5)
    )
    out = add.apply(data, add.draw(data, rng_for(0, "test")))
    for row in out.records.to_pylist():
        ids, image = decode_ids(row["instances"]["bytes"]), decode_pixels(row["image"]["bytes"])
        assert image.dtype == dtype
        seen, boxes, areas = extents_of(ids)
        assert [o["id"] for o in row["objects"]] == seen.tolist()
        assert [o["box"] for o in row["objects"]] == boxes.tolist()
        assert [o["area"] for o in row["objects"]] == areas.tolist()
        for label in row["objects"]:
            if label["category"] == "hole":
                middle = np.median(image[ids == label["id"]])
                assert middle < 0.6 * np.median(image[ids == 0])
    kinds = {o["category"] for row in out.records["objects"].to_pylist() for o in row}
    assert {"hole", "stain"} <= kinds <= {"hole", "stain", "rust"}


def test_without_a_place_for_labels_it_is_refused() -> None:
    blob = {"bytes": encode_lossless(np.zeros((20, 20), np.uint8)), "path": None}
    data = Dataset.from_arrow(pa.table({"image": [blob]}))
    with pytest.raises(SchemaError, match="columns of id maps and of objects"):
        AddDefects().apply(data, {"seed": np.array([1])})


def test_labels_of_a_closed_list_must_know_the_defects(tmp_path: Path) -> None:
    good_folder(tmp_path)
    data = read_dataset(tmp_path)  # its only label is rust
    with pytest.raises(SchemaError, match="unknown label 'hole'"):
        AddDefects(kinds_of_defect=["hole"]).apply(data, {"seed": np.arange(4)})


def test_wrong_settings() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'dent'"):
        AddDefects(kinds_of_defect=["dnt"])
    with pytest.raises(ParameterError, match="amount_range"):
        AddDefects(amount_range=(0.5, 2))
    for nothing in ({"scratch": 0}, []):
        with pytest.raises(ParameterError, match="nothing a weight above 0"):
            AddDefects(kinds_of_defect=nothing)
    with pytest.raises(ParameterError, match="weight of 'hole'"):
        AddDefects(kinds_of_defect={"hole": -1, "dent": 2})


def with_id(number: int, dtype, *, points=()) -> Dataset:
    """One picture that an object of that id fills but for its edge."""
    ids = np.zeros((60, 80), dtype)
    ids[5:55, 5:75] = number
    labels = objects_from_ids(ids, {number: "rust"})
    labels[0]["keypoints"] = [{"name": f"{x},{y}", "x": x, "y": y, "v": 2} for x, y in points]
    picture = {"bytes": encode_lossless(np.full((60, 80, 3), 120, np.uint8)), "path": None}
    table = {
        "image": pa.array([picture], BLOB),
        "instances": pa.array([{"bytes": encode_lossless(ids), "path": None}], BLOB),
        "objects": pa.array([labels], pa.list_(OBJECT)),
    }
    return Dataset.from_arrow(pa.table(table))


def test_high_ids_do_not_wrap() -> None:
    for number, dtype in [(1, np.uint8), (255, np.uint8), (65_535, np.uint16), (70_000, np.uint32)]:
        add = AddDefects(kinds_of_defect=["hole"], n_defects_range=(1, 1), side_range=(0.3, 0.5))
        row = add.apply(with_id(number, dtype), {"seed": np.array([1])}).records.to_pylist()[0]
        ids = decode_ids(row["instances"]["bytes"])
        assert set(np.unique(ids)) - {0} == {number, number + 1}
        assert {o["id"] for o in row["objects"]} == {number, number + 1}


def test_ids_that_leave_no_number_are_refused() -> None:
    with pytest.raises(DataError, match="no number for a defect"):
        AddDefects().apply(with_id(2**31 - 1, np.uint32), {"seed": np.array([1])})


def test_keypoints_under_a_defect_are_hidden() -> None:
    points = [(x + 0.5, y + 0.5) for x in range(8, 72, 4) for y in range(8, 52, 4)]
    add = AddDefects(kinds_of_defect=["hole"], n_defects_range=(1, 1), side_range=(0.4, 0.5))
    data = with_id(1, np.uint8, points=points)
    row = add.apply(data, {"seed": np.array([1])}).records.to_pylist()[0]
    ids = decode_ids(row["instances"]["bytes"])
    (rust,) = (o for o in row["objects"] if o["category"] == "rust")
    seen = {(p["x"], p["y"]): p["v"] for p in rust["keypoints"]}
    assert set(seen.values()) == {1, 2}
    for (x, y), v in seen.items():
        row_, column = int(y), int(x)
        near = ids[row_ - 1 : row_ + 2, column - 1 : column + 2]
        assert v == (2 if (near == 1).any() else 1)

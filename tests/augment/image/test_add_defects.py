from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from twinset.augment.image.add_defects import AddDefects
from twinset.core.dataset import Dataset
from twinset.core.errors import ParameterError, SchemaError, UnknownNameError
from twinset.core.instances import extents_of
from twinset.core.pixels import decode_ids, decode_pixels, encode_lossless
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

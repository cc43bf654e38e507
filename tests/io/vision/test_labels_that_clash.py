"""Labels of two meanings, or of forms no reader knows, are told and never guessed at."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.dataset import Dataset
from twinset.core.errors import DataError
from twinset.core.pixels import decode_ids, encode_lossless
from twinset.core.schema import BLOB, OBJECT, Field, Schema
from twinset.io import read_dataset
from twinset.io.vision.samples import new_object

cv2 = pytest.importorskip("cv2")

PNG = encode_lossless(np.zeros((30, 40, 3), np.uint8))
CATEGORY = {"id": 0, "name": "cell"}
GOOD = {"id": 1, "image_id": 5, "category_id": 0, "bbox": [1, 1, 5, 5]}


def lay_out(folder: Path, files: dict[str, bytes | str]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def coco(annotations: list, images: list[dict] | None = None, categories=(CATEGORY,)) -> str:
    images = images or [{"id": 5, "file_name": "a.png"}]
    return json.dumps(
        {"images": images, "annotations": annotations, "categories": list(categories)}
    )


def told(folder: Path, sentence: str) -> Dataset:
    """Check that the set is refused with this sentence, and return what is left without its faults."""
    with pytest.raises(DataError, match=sentence):
        read_dataset(folder)
    data = read_dataset(folder, on_fault="skip")
    assert all(note.startswith("left out when read: ") for note in data.card.notes)
    return data


def categories(data: Dataset) -> list[list[str]]:
    return [[item["category"] for item in row] for row in data.records["objects"].to_pylist()]


def test_overlapping_parts_of_one_object_are_united(tmp_path: Path) -> None:
    parts = [[2, 2, 10, 2, 10, 10, 2, 10], [6, 6, 14, 6, 14, 14, 6, 14]]
    whole = GOOD | {"bbox": [2, 2, 12, 12], "segmentation": parts}
    lay_out(tmp_path, {"annotations.json": coco([whole]), "a.png": PNG})
    (blob,) = read_dataset(tmp_path).records["instances"].to_pylist()
    assert (decode_ids(blob["bytes"]) == 1).sum() == 112


def test_a_cutout_holds_overlapping_parts_whole() -> None:
    from generators.image._cutouts import ImageColumns, cut_out

    item = new_object(1, "cell", [5, 5, 17, 17])
    item["polygons"] = [[5, 5, 13, 5, 13, 13, 5, 13], [9, 9, 17, 9, 17, 17, 9, 17]]
    table = pa.table(
        {
            "image": pa.array([{"bytes": PNG, "path": None}], BLOB),
            "objects": pa.array([[item]], pa.list_(OBJECT)),
        }
    )
    fields = (Field(name="image", kind="image"), Field(name="objects", kind="boxes"))
    real = Dataset.from_arrow(table, Schema(fields))
    (cutout,) = cut_out(real, ImageColumns.of(real.schema), "refuse")
    assert cutout.mask.sum() == 112

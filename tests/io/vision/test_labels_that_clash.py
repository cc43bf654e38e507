"""Labels of two meanings, or of forms no reader knows, are told and never guessed at."""

import itertools
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import BLOB, OBJECT, Field, Label, Schema, Taxonomy
from twinset.core.errors import DataError
from twinset.core.image.codec import decode_ids, encode_lossless
from twinset.core.image.header import ImageHeader
from twinset.io import read_dataset, write_dataset
from twinset.io.vision.samples import Sample

cv2 = pytest.importorskip("cv2")

PNG = encode_lossless(np.zeros((30, 40, 3), np.uint8))
new_object = Sample("a.png", PNG, ImageHeader(30, 40, 1)).new_object
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


def test_overlapping_parts_survive_yolo(tmp_path: Path) -> None:
    parts = [[2, 2, 10, 2, 10, 10, 2, 10], [6, 6, 14, 6, 14, 14, 6, 14]]
    apart = [[20, 2, 24, 2, 24, 6.25, 20, 6.25], [26, 2, 30, 2, 30, 6, 26, 6]]
    both = [
        GOOD | {"bbox": [2, 2, 12, 12], "segmentation": parts},
        GOOD | {"id": 2, "bbox": [20, 2, 10, 4.25], "segmentation": apart},
    ]
    lay_out(tmp_path / "coco", {"annotations.json": coco(both), "a.png": PNG})
    data = read_dataset(tmp_path / "coco")
    write_dataset([data], tmp_path / "yolo", "yolo")
    again = read_dataset(tmp_path / "yolo")
    maps = [decode_ids(d.records["instances"].to_pylist()[0]["bytes"]) for d in (data, again)]
    assert (maps[1] == 1).sum() == 112
    assert (maps[0] == maps[1]).all()
    # Parts that keep apart stay as they were told, to the fraction of a pixel.
    assert again.records["objects"].to_pylist()[0][1]["box"] == pytest.approx([20, 2, 30, 6.25])


def test_a_cutout_holds_overlapping_parts_whole() -> None:
    from twinset.generators.image._copy_paste.cutouts import ImageColumns, cut_out

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
    (cutout,) = cut_out(real, ImageColumns.from_schema(real.schema), "refuse")
    assert cutout.mask.sum() == 112


def test_images_of_other_forms_come_back(tmp_path: Path) -> None:
    for number, (layout, ending) in enumerate(
        itertools.product(["webdataset", "yolo", "voc", "coco"], [".bmp", ".webp"])
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        picture = bytes(cv2.imencode(ending, np.zeros((30, 40, 3), np.uint8))[1])
        table = {
            "image": pa.array([{"bytes": picture, "path": None}], BLOB),
            "objects": pa.array([[new_object(1, "cell", [5, 5, 9, 9])]], pa.list_(OBJECT)),
        }
        fields = (Field(name="image", kind="image"), Field(name="objects", kind="boxes"))
        data = Dataset.from_arrow(pa.table(table), Schema(fields))
        write_dataset([data], folder / "a", layout)
        (again,) = read_dataset(folder / "a").records["image"].to_pylist()
        assert again["bytes"] == picture
        assert again["path"].endswith(ending)


def test_attributes_of_mixed_kinds_are_reported(tmp_path: Path) -> None:
    values = [1, 2.5, "three", 2**70]
    images = [
        {"id": k, "file_name": f"{k}.png", "attributes": {"dose": value}}
        for k, value in enumerate(values)
    ]
    lay_out(tmp_path, {"annotations.json": coco([], images)} | {f"{k}.png": PNG for k in range(4)})
    data = told(tmp_path, r"2\.png: its 'dose' is 'three'.*3\.png: its 'dose' is 118")
    assert data.records["dose"].to_pylist() == [1, 2.5, None, None]


def test_two_categories_or_images_of_one_id_are_reported(tmp_path: Path) -> None:
    two = (CATEGORY, {"id": 0, "name": "dust"}, {"id": 1, "name": "hair"})
    labels = [GOOD, GOOD | {"category_id": 1}]
    lay_out(tmp_path / "c", {"annotations.json": coco(labels, categories=two), "a.png": PNG})
    left = told(tmp_path / "c", "categories: 2 of them have the id 0, and all are left out")
    assert categories(left) == [["hair"]]
    images = [{"id": k, "file_name": f"{name}.png"} for k, name in ((5, "a"), (5, "b"), (6, "c"))]
    labels = [GOOD, GOOD | {"image_id": 6}]
    files = {f"{name}.png": PNG for name in "abc"}
    lay_out(tmp_path / "i", {"annotations.json": coco(labels, images)} | files)
    left = told(tmp_path / "i", "images: 2 of them have the id 5, and all are left out")
    assert categories(left) == [["cell"]]
    assert left.records["image"].to_pylist()[0]["path"] == "c.png"


AN_ANNOTATION_OF_ANOTHER_FORM_IS_TOLD_CASES = [
    5,
    GOOD | {"attributes": [1]},
    GOOD | {"attributes": {"visible_fraction": "much"}},
    GOOD | {"image_id": [5]},
    GOOD | {"category_id": [0]},
    GOOD | {"segmentation": [[1, 1, 5, 1, 5, float("nan")]]},
    GOOD | {"segmentation": {"size": [30, 40], "counts": [10**30]}},
    GOOD | {"segmentation": {"size": [30, 40], "counts": [2**62] * 3 + [2**62 + 1200]}},
    GOOD | {"area": 10**400},
]


def test_an_annotation_of_another_form_is_reported(tmp_path: Path) -> None:
    for number, wrong in enumerate(AN_ANNOTATION_OF_ANOTHER_FORM_IS_TOLD_CASES):
        folder = tmp_path / str(number)
        folder.mkdir()
        lay_out(folder, {"annotations.json": coco([GOOD, wrong]), "a.png": PNG})
        assert categories(told(folder, r"annotations\.json, annotations\[1\]")) == [["cell"]]


def test_what_is_null_in_coco_is_not_there(tmp_path: Path) -> None:
    image = {"id": 5, "file_name": "a.png", "attributes": None}
    category = CATEGORY | {"skeleton": None, "keypoints": None}
    content = coco([GOOD | {"attributes": None}], [image], [category])
    lay_out(tmp_path, {"annotations.json": content, "a.png": PNG})
    assert categories(read_dataset(tmp_path)) == [["cell"]]


def test_a_category_or_attributes_of_another_form_are_reported(tmp_path: Path) -> None:
    bad = {"id": 1, "name": "hair", "skeleton": [[1, "x"]]}
    lay_out(tmp_path / "c", {"a.json": coco([GOOD], categories=[CATEGORY, bad]), "a.png": PNG})
    assert categories(told(tmp_path / "c", r"a\.json, category 1: it cannot be read")) == [["cell"]]
    images = [{"id": 5, "file_name": "a.png", "attributes": [3]}]
    lay_out(tmp_path / "i", {"a.json": coco([GOOD], images), "a.png": PNG})
    assert categories(told(tmp_path / "i", "its attributes are no object")) == [["cell"]]


VOC = (
    "<annotation><filename>a.png</filename><object><name>cell</name><bndbox><xmin>2</xmin>"
    "<ymin>2</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>"
)


def numbered(*numbers: int) -> bytes:
    ids = np.zeros((30, 40), np.uint8)
    for k, number in enumerate(numbers):
        ids[1:9, 1 + 9 * k : 9 + 9 * k] = number
    return encode_lossless(ids)


A_FAULTY_MAP_OF_VOC_IS_TOLD_BY_NAME_CASES = [
    (numbered(1, 7), "it holds the number 7, but its image has 1 objects"),
    (PNG, "a mask holds colours"),
    (PNG[:40], ""),
]


def test_a_faulty_map_of_voc_is_reported_by_name(tmp_path: Path) -> None:
    for number, (ids, sentence) in enumerate(A_FAULTY_MAP_OF_VOC_IS_TOLD_BY_NAME_CASES):
        folder = tmp_path / str(number)
        folder.mkdir()
        files = {"Annotations/a.xml": VOC, "JPEGImages/a.png": PNG, "SegmentationObject/a.png": ids}
        lay_out(folder, files)
        left = told(folder, rf"SegmentationObject/a\.png: .*{sentence}")
        assert categories(left) == [["cell"]]
        assert "instances" not in left.schema.names


def test_the_border_of_voc_is_nobodys(tmp_path: Path) -> None:
    ids = numbered(1, 255)
    files = {"Annotations/a.xml": VOC, "JPEGImages/a.png": PNG, "SegmentationObject/a.png": ids}
    (blob,) = read_dataset(lay_out(tmp_path, files)).records["instances"].to_pylist()
    assert set(decode_ids(blob["bytes"]).ravel().tolist()) == {0, 1}


def test_an_object_that_the_list_does_not_name_is_reported(tmp_path: Path) -> None:
    files = {"images/a.png": PNG, "images/b.png": PNG, "masks/a.png": numbered(1)}
    lay_out(tmp_path, files | {"masks/b.png": numbered(1)})
    lay_out(tmp_path, {"objects.csv": "image,id,category\nb.png,1,cell\n"})
    assert categories(told(tmp_path, r"masks/a\.png: .*not in the list of objects")) == [["cell"]]


POSES = "names: [cell]\nkpt_shape: [1, 3]"


def test_a_keypoint_that_is_no_number_is_reported(tmp_path: Path) -> None:
    for number, point in enumerate([".5 .5 nan", "nan .5 2", ".5 .5 7", ".5 .5 inf"]):
        folder = tmp_path / str(number)
        folder.mkdir()
        lines = f"0 .5 .5 .1 .1 .5 .5 2\n0 .5 .5 .1 .1 {point}\n"
        lay_out(folder, {"data.yaml": POSES, "images/a.png": PNG, "labels/a.txt": lines})
        assert categories(told(folder, r"labels/a\.txt, line 2: its keypoint")) == [["cell"]]


def test_labels_that_are_not_utf_8_are_reported(tmp_path: Path) -> None:
    lay_out(tmp_path, {"data.yaml": "names: [cell]", "labels/a.txt": b"\xff\xfe0"})
    lay_out(tmp_path, {"images/a.png": PNG, "images/b.png": PNG, "labels/b.txt": ""})
    assert categories(told(tmp_path, r"labels/a\.txt: it is not UTF-8")) == [[]]


A_FAULTY_DATA_YAML_IS_TOLD_CASES = [
    ("names: {a: cell}", "does not say what the classes are"),
    (POSES + "\nkpt_names: [head, foot]", "2 names in kpt_names"),
    ("names: [cell]\nkpt_shape: [1, 1]", r"\[1, 1\]"),
]


def test_a_faulty_data_yaml_is_reported(tmp_path: Path) -> None:
    for number, (content, sentence) in enumerate(A_FAULTY_DATA_YAML_IS_TOLD_CASES):
        folder = tmp_path / str(number)
        folder.mkdir()
        lay_out(folder, {"data.yaml": content, "images/a.png": PNG, "labels/a.txt": ""})
        with pytest.raises(DataError, match=sentence):
            read_dataset(folder)


def posed(*labels: Label) -> Dataset:
    item = new_object(1, "person", [5, 5, 15, 15])
    item["keypoints"] = [{"name": "head", "x": 8.0, "y": 6.0, "v": 2}]
    table = {
        "image": pa.array([{"bytes": PNG, "path": None}], BLOB),
        "objects": pa.array([[item, new_object(2, "ball", [20, 5, 25, 9])]], pa.list_(OBJECT)),
    }
    objects = Field(name="objects", kind="boxes", taxonomy=Taxonomy(labels))
    schema = Schema((Field(name="image", kind="image"), objects))
    return Dataset.from_arrow(pa.table(table), schema)


def test_poses_are_written_whichever_class_has_them(tmp_path: Path) -> None:
    data = posed(Label("ball", number=0), Label("person", number=1, keypoints=("head",)))
    write_dataset([data], tmp_path / "a", "yolo")
    (row,) = read_dataset(tmp_path / "a").records["objects"].to_pylist()
    assert [(p["name"], p["v"]) for item in row for p in item["keypoints"]] == [
        ("head", 2),
        ("head", 0),
    ]
    assert row[0]["keypoints"][0]["x"] == pytest.approx(8, abs=0.01)


def test_classes_of_different_keypoints_are_refused_by_yolo(tmp_path: Path) -> None:
    two = Label("person", keypoints=("head",)), Label("ball", keypoints=("top", "bottom"))
    with pytest.raises(DataError, match="one list of keypoints for all classes; got 1 of 'person'"):
        write_dataset([posed(*two)], tmp_path / "a", "yolo")
    assert not (tmp_path / "a").exists()

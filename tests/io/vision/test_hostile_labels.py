"""Files of labels that no annotator writes: another root, deep values, names that are none."""

import json
from pathlib import Path

import numpy as np
import pytest

from twinset.core.errors import DataError
from twinset.core.image.codec import encode_lossless
from twinset.io import read_dataset
from twinset.io.tfrecord import encode_example, pack_record

pytest.importorskip("cv2")

PNG = encode_lossless(np.zeros((30, 40, 3), np.uint8))
DEEP = 20_000
VOC = "<annotation><filename>a.png</filename>{}</annotation>"
BOX = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [2, 3, 10, 8]}


def lay_out(folder: Path, files: dict[str, bytes | str]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def check_refused(folder: Path, cases: list[tuple[dict[str, bytes | str], str]]) -> None:
    for number, (files, sentence) in enumerate(cases):
        place = lay_out(folder / str(number), files)
        with pytest.raises(DataError, match=sentence) as caught:
            read_dataset(place)
        assert len(str(caught.value)) < 600


VOC_FAULTS = [
    ("<annotation><b></annotation>", "mismatched tag"),
    ("<rss><channel/></rss>", "its root element is <rss>; allowed: <annotation>"),
    ("<" + "n" * 9_000 + "/>", "its root element is <nnn"),
    (VOC.format("<part>" * DEEP + "</part>" * DEEP), "line 1: elements are nested too deep; allowed: 64"),
    ('<!DOCTYPE a [<!ENTITY e "eeee">]>' + VOC.format("&e;"), "declares entities"),
    ('<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + VOC.format("&e;"), "declares entities"),
    ('<?xml version="1.0" encoding="klingon"?>' + VOC.format(""), "declared encoding cannot be read"),
    ('<?xml version="1.0" encoding="shift_jis"?>' + VOC.format(""), "declared encoding cannot be read"),
    ('<?xml version="1.0" encoding="hex"?>' + VOC.format(""), "declared encoding cannot be read"),
    ("", "no element found"),
]  # fmt: skip


def test_xml_that_is_no_annotation_is_refused(tmp_path: Path) -> None:
    sets = [({"Annotations/a.xml": xml, "JPEGImages/a.png": PNG}, s) for xml, s in VOC_FAULTS]
    check_refused(tmp_path, sets)


YOLO_FAULTS = [
    ("names: cell", "'names' of data.yaml does not say what the classes are"),
    ("names: [cell, null]", "'names' of data.yaml"),
    ("names: [cell, [nucleus]]", "'names' of data.yaml"),
    ("names: [yes, no]", "in quotes"),
    ("names: {0: cell, 1.5: nucleus}", "'names' of data.yaml"),
    ("names: {-1: cell}", "'names' of data.yaml"),
    ("names: []", "'names' of data.yaml"),
    ("names: 3", "'names' of data.yaml"),
    ("- cell", "'names' of data.yaml"),
    ("", "'names' of data.yaml"),
    ("names: [cell]\nnc: 5", "nc of data.yaml is not the number of its names; got 5 and 1"),
    ("names: [cell]\nnc: many", "nc of data.yaml is not the number"),
    ("names: [cell]\nnames: [other]", "line 2: the key 'names' stands twice"),
    ("names: " + "[" * DEEP + "]" * DEEP, "data.yaml cannot be read; got line 1: .*too deep"),
    ("a: &a [x, x]\nb: &b [" + "*a, " * 30 + "]\nnames: *b", "line 2: there are too many aliases"),
    ("names: [cell", "data.yaml cannot be read; got line 2: this is not YAML"),
    (b"names: [\xff]", "data.yaml cannot be read; got another encoding"),
    ("names: [cell]\nkpt_shape: [1000000000, 3]", "kpt_shape of data.yaml does not fit"),
    ("names: [cell]\nkpt_shape: [2.5, 3]", "kpt_shape of data.yaml does not fit"),
    ("names: [cell]\nkpt_shape: [2, 3]\nkpt_names: [[a], b]", "kpt_shape of data.yaml does not fit"),
    ("names: [cell]\nkpt_shape: [2, 3]\nskeleton: [[0, 7]]", "something else than pairs of keypoints"),
    ("names: [cell]\nkpt_shape: [2, 3]\nskeleton: all", "something else than pairs of keypoints"),
]  # fmt: skip


def test_class_names_that_are_none_are_refused(tmp_path: Path) -> None:
    check_refused(tmp_path, [({"data.yaml": y, "images/a.png": PNG}, s) for y, s in YOLO_FAULTS])


def test_class_names_are_a_list_or_numbered(tmp_path: Path) -> None:
    lines = {"images/a.png": PNG, "labels/a.txt": "1 .5 .5 .1 .1\n"}
    given = ("names: [cell, '1']\nnc: 2", "names:\n  0: cell\n  1: 1\nnc: 2", "names: {1: 1, 7: x}")
    for number, content in enumerate(given):
        data = read_dataset(lay_out(tmp_path / str(number), lines | {"data.yaml": content}))
        assert data.records["objects"].to_pylist()[0][0]["category"] == "1"


def coco(*annotations: object, name: str = "a.png", **lists: object) -> str:
    content = {
        "images": [{"id": 1, "file_name": name}],
        "annotations": list(annotations),
        "categories": [{"id": 1, "name": "cell"}],
    }
    return json.dumps(content | lists)


OUTSIDE = r"a polygon of it lies outside of its image; got x from .* allowed: 0 to 40 and 0 to 30"
COCO_FAULTS = [
    (coco(BOX | {"segmentation": [[200, 300, 1200, 300, 1200, 1100]]}), OUTSIDE),
    (coco(BOX | {"segmentation": [[2, 3, 9, 3, 9, 9], [-9, -9, -1, -9, -1, -1]]}), OUTSIDE),
    (coco(BOX | {"segmentation": [[2, 30, 9, 30, 9, 90]]}), OUTSIDE),
    (coco(BOX, name="n" * 300), "a name of 300 bytes"),
    (coco(BOX, info="?").replace('"?"', "[" * DEEP + "]" * DEEP), "'a.json' is no JSON; got .*deep"),
    (coco(BOX)[:-1] + ', "images": []}', "the key 'images' stands twice"),
    (coco(BOX).replace("[2, 3", "[1" + "0" * 5_000 + ", 3"), "a number of too many digits"),
    (coco(BOX)[:-1], "'a.json' is no JSON"),
    ('{"more": {"images": [], "annotations": []}}', "'a.json' is no COCO file; got no list 'images'"),
]  # fmt: skip


def test_coco_files_beyond_the_limits_are_refused(tmp_path: Path) -> None:
    check_refused(tmp_path, [({"a.json": text, "a.png": PNG}, s) for text, s in COCO_FAULTS])


def test_a_polygon_that_is_partly_outside_is_read(tmp_path: Path) -> None:
    text = coco(BOX | {"segmentation": [[-5, 3, 45, 3, 45, 35]]})
    data = read_dataset(lay_out(tmp_path, {"a.json": text, "a.png": PNG}))
    assert len(data.records["objects"].to_pylist()[0]) == 1


def test_other_json_beside_a_coco_file_is_no_second_one(tmp_path: Path) -> None:
    other = json.dumps({"note": {"images": [], "annotations": []}})
    lay_out(tmp_path, {"a.json": coco(BOX), "b.json": other, "a.png": PNG})
    assert len(read_dataset(tmp_path)) == 1


def test_objects_of_a_tfrecord_that_are_none_are_refused(tmp_path: Path) -> None:
    image = {"image/encoded": PNG, "image/format": b"png"}
    wrong = '{"a": 1}', "[1]", '[{"category": "a"}]', '[{"category": 1, "box": [1, 2, 3, 4]}]', "3"
    faults = [(text, "its JSON is no list of objects") for text in wrong]
    faults += [("[" * DEEP + "]" * DEEP, "line 1: values are nested too deep"), ("{", "Expecting")]
    for number, (text, sentence) in enumerate(faults):
        file = tmp_path / f"{number}.tfrecord"
        file.write_bytes(pack_record(encode_example(image | {"objects/json": text.encode()})))
        with pytest.raises(DataError, match=f"'objects' in record 0 .*{sentence}"):
            read_dataset(file)
    file.write_bytes(pack_record(encode_example(image | {"note/json": b"[1]"})))
    assert read_dataset(file).records["note/json"].to_pylist() == ["[1]"]

"""Faulty samples of shards are told by shard and name, or left out when that is asked."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from twinset.core.data.dataset import Dataset
from twinset.core.errors import DataError
from twinset.core.image.codec import decode_ids, encode_jpeg, encode_lossless
from twinset.io import read_dataset

pytest.importorskip("cv2")

PNG = encode_lossless(np.zeros((30, 40, 3), np.uint8))


def told(folder: Path, sentence: str) -> Dataset:
    """Check that the set is refused with this sentence, and return what is left without its faults."""
    with pytest.raises(DataError, match=sentence):
        read_dataset(folder)
    return read_dataset(folder, on_fault="skip")


def categories(data: Dataset) -> list[list[str]]:
    return [[item["category"] for item in row] for row in data.records["objects"].to_pylist()]


def shard(folder: Path, members: dict[str, bytes | str | list | dict]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(folder / "a.tar", "w:") as tar:
        for name, content in members.items():
            told = content if isinstance(content, bytes | str) else json.dumps(content)
            data = told.encode() if isinstance(told, str) else told
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return folder


TURNED = encode_jpeg(np.zeros((30, 40, 3), np.uint8))
TURNED = TURNED[:2] + bytes.fromhex(
    "ffe1002245786966000049492a00080000000100120103000100000006000000"
) + b"\0\0\0\0" + TURNED[2:]  # fmt: skip
BOX = {"category": "cell", "box": [5, 5, 9, 9]}


A_FAULTY_SAMPLE_OF_A_SHARD_IS_TOLD_CASES = [
    ({"b.jpg": TURNED}, r"a\.tar, b: .*EXIF orientation 6"),
    ({"b.png": PNG, "b.ids.png": encode_lossless(np.zeros((3, 4), np.uint8))},
     r"a\.tar, b: its id map is 4 x 3, its image 40 x 30"),
    ({"b.png": PNG, "b.json": [1]}, r"a\.tar, b: its JSON is no object"),
    ({"b.png": PNG, "b.json": '{"a":' * 9_999 + "1" + "}" * 9_999},
     r"a\.tar, b: its JSON cannot be read; .*nested too deep"),
    ({"b.png": PNG, "b.json": {"objects": 3}}, r"a\.tar, b: its 'objects' are no list"),
    ({"b.png": PNG, "b.cls": b"\xff"}, r"a\.tar, b: its text is not UTF-8"),
]  # fmt: skip


def test_a_faulty_sample_of_a_shard_is_reported(tmp_path: Path) -> None:
    for number, (members, sentence) in enumerate(A_FAULTY_SAMPLE_OF_A_SHARD_IS_TOLD_CASES):
        folder = tmp_path / str(number)
        folder.mkdir()
        shard(folder, {"a.png": PNG, "a.json": {"objects": [BOX]}} | members)
        assert categories(told(folder, sentence)) == [["cell"]]


A_FAULTY_OBJECT_OF_A_SHARD_IS_TOLD_CASES = [
    (BOX | {"box": [-50, 5, 900, 3]}, "holds nothing"),
    (BOX | {"box": [-50, 5, 900, 9]}, "leaves its image of 40 x 30"),
    (BOX | {"box": [1, 2, "x", 4]}, "could not convert"),
    ({"box": [5, 5, 9, 9]}, "it has no 'category'"),
    ({"category": "cell"}, "it has no 'box'"),
    (BOX | {"truncated": "no"}, "of another kind"),
    (7, "it is no object"),
]


def test_a_faulty_object_of_a_shard_is_reported(tmp_path: Path) -> None:
    for number, (item, sentence) in enumerate(A_FAULTY_OBJECT_OF_A_SHARD_IS_TOLD_CASES):
        folder = tmp_path / str(number)
        folder.mkdir()
        shard(folder, {"a.png": PNG, "a.json": {"objects": [BOX, item]}})
        assert categories(told(folder, rf"a\.tar, a, objects\[1\]: .*{sentence}")) == [["cell"]]


def ids_of(*numbers: int) -> bytes:
    ids = np.zeros((30, 40), np.uint16)
    for k, number in enumerate(numbers):
        ids[5:9, 5 + 6 * k : 9 + 6 * k] = number
    return encode_lossless(ids)


NUMBERS_OF_A_MAP_THAT_NO_OBJECT_HAS_ARE_TOLD_CASES = [
    ({"objects": [BOX | {"id": 3}]}, r"a\.tar, a: its id map holds 4, 9, which is no object"),
    ({}, r"a\.tar, a: its id map holds 3, 4, 9, which is no object"),
    (None, r"a\.tar, a: its id map holds 3, 4, 9, which is no object"),
]


def test_numbers_of_a_map_that_no_object_has_are_reported(tmp_path: Path) -> None:
    for number, (told_of, sentence) in enumerate(
        NUMBERS_OF_A_MAP_THAT_NO_OBJECT_HAS_ARE_TOLD_CASES
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        members = {"a.png": PNG, "a.ids.png": ids_of(3, 4, 9)}
        shard(folder, members if told_of is None else members | {"a.json": told_of})
        data = told(folder, sentence)
        (blob,) = data.records["instances"].to_pylist()
        kept = {item["id"] for item in data.records["objects"].to_pylist()[0]}
        assert set(np.unique(decode_ids(blob["bytes"])).tolist()) - {0} == kept


def test_two_objects_of_one_number_are_reported(tmp_path: Path) -> None:
    objects = [BOX | {"id": 3}, BOX | {"id": 3}]
    shard(tmp_path, {"a.png": PNG, "a.ids.png": ids_of(3), "a.json": {"objects": objects}})
    data = told(tmp_path, r"a\.tar, a, objects\[1\]: its id 3 is that of an earlier object")
    assert len(data.records["objects"].to_pylist()[0]) == 1
    (blob,) = data.records["instances"].to_pylist()
    assert (decode_ids(blob["bytes"]) == 3).sum() == 16


def test_a_broken_list_of_classes_is_reported(tmp_path: Path) -> None:
    for number, content in enumerate(["[", "[]", '{"labels": [3]}', '{"labels": [{}]}']):
        folder = tmp_path / str(number)
        folder.mkdir()
        shard(folder, {"a.png": PNG, "a.json": {"objects": [BOX]}})
        (folder / "dataset.json").write_text(content)
        assert categories(told(folder, r"dataset\.json: it does not state the classes")) == [
            ["cell"]
        ]


def test_members_in_folders_stay_samples_of_their_own(tmp_path: Path) -> None:
    names = ["./0001.png", "./0002.png", "d.v1/0001.png", "d.v2/0001.png"]
    data = read_dataset(shard(tmp_path, dict.fromkeys(names, PNG)))
    paths = [row["path"] for row in data.records["image"].to_pylist()]
    assert paths == ["0001.png", "0002.png", "d.v1/0001.png", "d.v2/0001.png"]

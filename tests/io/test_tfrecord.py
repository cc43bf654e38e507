"""TFRecord files: against bytes worked out by hand, and there and back."""

from __future__ import annotations

import gzip
import math
import warnings
import zlib
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import BLOB, OBJECT, SPAN, Field, Schema
from twinset.core.errors import DataError, FormatLossWarning, SchemaError
from twinset.core.image.codec import encode_lossless
from twinset.io import open_writer, read_dataset, read_table, write_dataset
from twinset.io.tfrecord import crc32c, decode_example, encode_example, pack_record

# Example{features{feature{key: "a" value{int64_list{value: 1}}}}}, worked out from the .proto files.
ONE = bytes.fromhex("0a0c 0a0a 0a0161 1205 1a03 0a0101")
PNG = encode_lossless(np.arange(8 * 10 * 3, dtype=np.uint8).reshape(8, 10, 3))


CRC32C_CASES = [
    (b"123456789", 0xE3069283),
    (bytes(32), 0x8A9136AA),
    (b"\xff" * 32, 0x62A8AB43),
    (bytes(range(32)), 0x46DD794E),
    (b"", 0),
]


def test_crc32c() -> None:
    for data, crc in CRC32C_CASES:
        assert crc32c(data) == crc


@given(st.binary(max_size=2_100))
@settings(max_examples=40, deadline=None)
def test_crc32c_is_that_of_the_bitwise_definition(data: bytes) -> None:
    state = 0xFFFFFFFF
    for byte in data:
        state ^= byte
        for _ in range(8):
            state = state >> 1 ^ (0x82F63B78 if state & 1 else 0)
    assert crc32c(data) == state ^ 0xFFFFFFFF


def test_a_record_by_hand(tmp_path: Path) -> None:
    def masked(data: bytes) -> bytes:
        crc = crc32c(data)
        return (((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF).to_bytes(4, "little")

    length = (len(ONE)).to_bytes(8, "little")
    assert encode_example({"a": np.array([1])}) == ONE
    assert pack_record(ONE) == length + masked(length) + ONE + masked(ONE)
    write_dataset(
        [Dataset.from_arrow(pa.table({"a": [1]}), _schema(a="integer"))],
        tmp_path / "x.tfrecord",
        "tfrecord",
    )
    assert (tmp_path / "x.tfrecord").read_bytes() == pack_record(ONE)


def test_every_type_of_feature_by_hand() -> None:
    features = {"b": [b"x", b""], "f": np.array([1.0]), "i": np.array([-1, 300])}
    assert encode_example(features) == bytes.fromhex(
        "0a34"  # features, 52 bytes
        "0a0c 0a0162 1207 0a05 0a0178 0a00"  # b: bytes_list
        "0a0d 0a0166 1208 1206 0a04 0000803f"  # f: float_list, packed
        "0a15 0a0169 1210 1a0e 0a0c ffffffffffffffffff01 ac02"  # i: int64_list, packed
    )
    back = decode_example(encode_example(features))
    assert back["b"] == [b"x", b""]
    assert np.asarray(back["f"]).tolist() == [1.0]
    assert np.asarray(back["i"]).tolist() == [-1, 300]


def _schema(**kinds: Any) -> Schema:
    return Schema(tuple(Field(name=name, kind=kind) for name, kind in kinds.items()))


def _span(text: str, at: int) -> dict[str, Any]:
    return {"start": at, "end": at + 1, "label": "ab"[at], "value": text[at]}


def _round_trip(data: Dataset, folder: Path) -> Dataset:
    write_dataset([data], folder / "x.tfrecord", "tfrecord")
    return read_dataset(folder / "x.tfrecord", data.schema)


def _rows(data: Dataset) -> list[dict[str, Any]]:
    return list(data.records.select(list(data.schema.names)).to_pylist())


def _image_set() -> Dataset:
    item = {"id": 1, "category": "cat", "box": [1.0, 2.0, 5.0, 6.0], "area": 16.0}
    item |= {"polygons": [[1.0, 2.0, 5.0, 2.0, 5.0, 6.0]], "flags": ["crowd"]}
    table = pa.table(
        {
            "image": pa.array([{"bytes": PNG, "path": "a.png"}] * 2, BLOB),
            "instances": pa.array([{"bytes": PNG, "path": None}, None], BLOB),
            "objects": pa.array([[item], []], pa.list_(OBJECT)),
            "site": ["north", None],
        }
    )
    return Dataset.from_arrow(
        table, _schema(image="image", instances="mask", objects="boxes", site="category")
    )


def test_boxes_stand_as_object_detection_expects_them(tmp_path: Path) -> None:
    write_dataset([_image_set()], tmp_path / "x.tfrecord", "tfrecord")
    data = (tmp_path / "x.tfrecord").read_bytes()
    first = decode_example(data[12 : 12 + int.from_bytes(data[:8], "little")])
    assert first["image/encoded"] == [PNG]
    assert first["image/format"] == [b"png"]
    sizes = [np.asarray(first[f"image/{side}"]).tolist() for side in ("height", "width")]
    assert sizes == [[8], [10]]
    sides = [
        np.asarray(first[f"image/object/bbox/{s}"]).tolist()
        for s in ("xmin", "ymin", "xmax", "ymax")
    ]
    assert np.allclose(sides, [[0.1], [0.25], [0.5], [0.75]])
    assert first["image/object/class/text"] == [b"cat"]
    assert np.asarray(first["image/object/class/label"]).tolist() == [1]


def test_images_and_objects_come_back(tmp_path: Path) -> None:
    data = _image_set()
    assert _rows(_round_trip(data, tmp_path)) == _rows(data)


def test_objects_of_other_programs_are_read(tmp_path: Path) -> None:
    features: dict[str, Any] = {"image/encoded": PNG, "image/object/class/text": [b"dog"]}
    for side, value in (("xmin", 0.1), ("ymin", 0.25), ("xmax", 0.5), ("ymax", 0.75)):
        features[f"image/object/bbox/{side}"] = np.array([value])
    (tmp_path / "x.tfrecord").write_bytes(pack_record(encode_example(features)))
    found = read_dataset(tmp_path / "x.tfrecord").records["objects"].to_pylist()[0][0]
    assert found["category"] == "dog"
    assert np.allclose(found["box"], [1, 2, 5, 6], atol=1e-5)


def test_boxes_without_an_image_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="fractions of their image"):
        _round_trip(_image_set().select(["objects"]), tmp_path)


CELLS = {
    "whole": (st.integers(-(2**63), 2**63 - 1), "integer"),
    "exact": (st.floats(width=32, allow_nan=False, allow_infinity=False), "number"),
    "label": (st.text(max_size=5), "category"),
    "ok": (st.booleans(), "boolean"),
    "when": (st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)), "datetime"),
    "key": (st.text(max_size=5), "id"),
    "said": (st.text(min_size=2, max_size=20), "text"),
}


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                name: cells if name == "said" else st.none() | cells
                for name, (cells, _) in CELLS.items()
            }
        ),
        min_size=1,
        max_size=6,
    ),
    st.lists(st.none() | st.integers(0, 2), min_size=6, max_size=6),
)
@settings(max_examples=30, deadline=None)
def test_cells_and_spans_come_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], marks: list[Any]
) -> None:
    schema = _schema(**{name: kind for name, (_, kind) in CELLS.items()}, spans="spans")
    spans = [
        None if n is None else [_span(row["said"], k) for k in range(n)]
        for row, n in zip(rows, marks, strict=False)
    ]
    columns = {
        name: pa.array([row[name] for row in rows], schema[name].stored_type) for name in CELLS
    }
    data = Dataset.from_arrow(
        pa.table({**columns, "spans": pa.array(spans, pa.list_(SPAN))}), schema
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        back = _round_trip(data, tmp_path_factory.mktemp("t"))
    assert _rows(back) == _rows(data)


def test_rounded_numbers_are_counted_by_row(tmp_path: Path) -> None:
    data = Dataset.from_arrow(pa.table({"x": [0.5, 0.1, math.pi]}), _schema(x="number"))
    with (
        pytest.warns(FormatLossWarning, match=r"'x' is rounded to float32 \(2 rows.*: 1, 2\)"),
        open_writer(tmp_path / "x.tfrecord", "tfrecord") as writer,
    ):
        writer.write(data)
    assert writer.losses is not None
    assert writer.losses.to_json()["losses"][0]["count"] == 2


def test_lineage_comes_back(tmp_path: Path) -> None:
    data = Dataset.from_arrow(pa.table({"a": [5, 7]}), _schema(a="integer"))
    rows = data.with_reserved(ids=["r-0", "r-1"], parents=[["p", "q"], []])
    back = _round_trip(rows, tmp_path).records
    assert back["_parents"].to_pylist() == [["p", "q"], []]
    assert back["_id"].to_pylist() == ["r-0", "r-1"]


def _file(folder: Path, *records: dict[str, Any] | bytes) -> Path:
    parts = [one if isinstance(one, bytes) else encode_example(one) for one in records]
    (folder / "x.tfrecord").write_bytes(b"".join(map(pack_record, parts)))
    return folder / "x.tfrecord"


def _masked(length: int) -> bytes:
    head = length.to_bytes(8, "little")
    crc = crc32c(head)
    return head + (((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF).to_bytes(4, "little")


DAMAGED_FILES_ARE_REFUSED_CASES = {
    "cut in the head": pack_record(ONE)[:7],
    "cut in the data": pack_record(ONE)[:-3],
    "length": bytes([*pack_record(ONE)[:5], 1, *pack_record(ONE)[6:]]),
    "data": bytes([*pack_record(ONE)[:15], 0xFF, *pack_record(ONE)[16:]]),
    "length beyond the file": _masked(2**63 + 5) + b"xx",
}.values()


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    for number, record in enumerate(DAMAGED_FILES_ARE_REFUSED_CASES):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "x.tfrecord").write_bytes(pack_record(ONE) + record)
        with pytest.raises(DataError, match=r"record 1 of 'x\.tfrecord', .* is damaged"):
            read_dataset(folder / "x.tfrecord")


def test_compressed_files_are_read_and_refused_when_they_break_off(tmp_path: Path) -> None:
    for number, pack in enumerate([gzip.compress, zlib.compress]):
        folder = tmp_path / str(number)
        folder.mkdir()
        packed = pack(_file(folder, {"a": np.array([1])}, {"a": np.array([2])}).read_bytes())
        (folder / "x.tfrecord").write_bytes(packed)
        assert read_table(folder / "x.tfrecord")["a"].to_pylist() == [1, 2]
        (folder / "x.tfrecord").write_bytes(packed[:-9])
        with pytest.raises(DataError, match="is damaged"):
            read_table(folder / "x.tfrecord")


BOX = {f"image/object/bbox/{side}": np.array([0.5]) for side in ("xmin", "ymin", "xmax", "ymax")}
SPAN_PARTS: dict[str, Any] = {"s/start": np.array([0]), "s/end": np.array([1]), "s/label": [b"a"]}


NO_FEATURE_IS_LOST_OR_MISREAD_SILENTLY_CASES = [
    ([{"v": np.array([1, 2])}], r"'v' .* several values"),
    ([{"v": np.array([2**24 + 1])}, {"v": np.array([0.5])}], r"'v' .* changes its type"),
    ([{"v": np.array([1])}, {"v": b"x"}], r"'v' .* got int64 and text"),
    ([{"v": b"\xff"}], r"'v' .* neither text in UTF-8"),
    ([{"_parents": [b"\xff"]}], r"'_parents' .* neither text in UTF-8"),
    ([{"image/encoded": PNG}, {"image/encoded": [PNG, PNG]}], r"'image' in record 1"),
    ([{"image/encoded": PNG, **BOX}], r"'objects' in record 0"),  # boxes without classes
    (
        [{"image/encoded": PNG}, {**BOX, "image/object/class/text": [b"a"]}],
        r"'objects' in record 1",
    ),
    ([SPAN_PARTS | {"s/label": [b"\xff"]}], r"'s' in record 0"),
    ([SPAN_PARTS | {"s/start": np.array([0.5])}], r"'s' in record 0"),
    # A SequenceExample, a float list that holds an integer, a feature of two values.
    ([ONE, ONE + bytes.fromhex("1200")], r"record 1 .* no tf\.train\.Example"),
    ([bytes.fromhex("0a0b 0a09 0a0161 1204 1202 0807")], r"no tf\.train\.Example"),
    ([bytes.fromhex("0a18" + 2 * "0a0a 0a0161 1205 1a03 0a0101")], r"no tf\.train\.Example"),
]


def test_no_feature_is_lost_or_misread_silently(tmp_path: Path) -> None:
    for number, (records, sentence) in enumerate(NO_FEATURE_IS_LOST_OR_MISREAD_SILENTLY_CASES):
        folder = tmp_path / str(number)
        folder.mkdir()
        with pytest.raises(DataError, match=sentence):
            read_table(_file(folder, *records))


def test_other_features_of_an_image_are_columns_or_reported(tmp_path: Path) -> None:
    objects = {"image/object/class/text": [b"a", b"b"], "image/object/is_crowd": np.array([0, 1])}
    boxes = {key: np.array([0.25, 0.5]) + ("max" in key) * 0.25 for key in BOX}
    image = {"image/encoded": PNG, "image/class/label": np.array([7]), **objects, **boxes}
    with pytest.warns(FormatLossWarning, match="not read: image/object/is_crowd"):
        table = read_table(_file(tmp_path, image))
    assert table["image/class/label"].to_pylist() == [7]
    assert [item["category"] for item in table["objects"].to_pylist()[0]] == ["a", "b"]


def test_columns_that_need_one_feature_are_refused(tmp_path: Path) -> None:
    table = pa.table({"image": _image_set().records["image"], "image/height": [1, 2]})
    data = Dataset.from_arrow(table, _schema(image="image", **{"image/height": "integer"}))
    with pytest.raises(SchemaError, match="two columns need the feature 'image/height'"):
        _round_trip(data, tmp_path)

"""TFRecord files: against bytes worked out by hand, and there and back."""

from __future__ import annotations

import math
import warnings
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
from twinset.io import open_writer, read_dataset, write_dataset
from twinset.io.formats.tfrecord import crc32c, decode_example, encode_example, pack_record

# Example{features{feature{key: "a" value{int64_list{value: 1}}}}}, worked out from the .proto files.
ONE = bytes.fromhex("0a0c 0a0a 0a0161 1205 1a03 0a0101")
PNG = encode_lossless(np.arange(8 * 10 * 3, dtype=np.uint8).reshape(8, 10, 3))


@pytest.mark.parametrize(
    ("data", "crc"),  # RFC 3720, appendix B.4, and the check value of the CRC catalogue
    [
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (b"", 0),
    ],
)
def test_crc32c(data: bytes, crc: int) -> None:
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
@settings(max_examples=60, deadline=None)
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


@pytest.mark.parametrize("damage", ["cut", "length", "data"])
def test_damaged_files_are_refused(tmp_path: Path, damage: str) -> None:
    record = bytearray(pack_record(ONE))
    if damage == "cut":
        record = record[:-3]
    else:
        record[{"length": 5, "data": 15}[damage]] ^= 1
    (tmp_path / "x.tfrecord").write_bytes(pack_record(ONE) + bytes(record))
    with pytest.raises(DataError, match=r"record 1 of 'x\.tfrecord'"):
        read_dataset(tmp_path / "x.tfrecord")


def test_lists_that_are_no_column_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.tfrecord").write_bytes(pack_record(encode_example({"v": np.array([1, 2])})))
    with pytest.raises(DataError, match=r"'v' .* several values"):
        read_dataset(tmp_path / "x.tfrecord")

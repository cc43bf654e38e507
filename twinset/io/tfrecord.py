"""TFRecord files of `tf.train.Example`, as TensorFlow reads them, written without TensorFlow.

A row is one record: its length (u64), the masked CRC-32C of the length, the `Example`, the masked CRC-32C
of the `Example`, all little endian. Features are named as the columns:

- integer and boolean: `int64_list`; number: `float_list` (float32; rounded values are counted);
- category, id, text and datetime: `bytes_list` of UTF-8;
- image and mask: `<column>/encoded`, `/format`, `/height`, `/width` and `/filename`;
- boxes: the features of the TF Object Detection API under `<image column>/object/`: `bbox/xmin`, `ymin`,
  `xmax`, `ymax` as fractions of the image, `class/text`, `class/label` (the class's number, else its
  position counted from 1) and `area`; and the whole list as JSON in `<column>/json`;
- spans: `<column>/start`, `/end`, `/label` and `/value`, one value for each span.

A missing value is an absent feature. Files that are compressed as a whole (gzip, zlib) are read too.

References
----------
TensorFlow, "TFRecord and tf.train.Example"; TF Object Detection API, "Preparing Inputs". CRC-32C: RFC 3720,
appendix B.4.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from operator import index
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import BLOB, OBJECT, RESERVED, SPAN, Field, Schema
from twinset.core.errors import DataError, FormatLossWarning, SchemaError
from twinset.core.image.codec import read_image_header
from twinset.core.image.instance_maps import check_box
from twinset.core.untrusted import parse_json
from twinset.io.files import image_ending
from twinset.io.text_tables import cell_texts, plain
from twinset.io.unpacking import check_expansion
from twinset.io.writer import RoundTripLosses, Target, Writer

_CASTAGNOLI = 0x82F63B78  # the polynomial of CRC-32C, bits reversed
# Added to a rotated CRC, so that a CRC of data with CRCs differs from them.
_MASK_DELTA = 0xA282EAD8
_BLOCK = 1024  # bytes that one NumPy operation covers; the table has 256 entries for each of them
_UINT64 = 0xFFFFFFFFFFFFFFFF  # the bits of an integer of protocol buffers
_LONG_NAMES = {"jpg": "jpeg", "tif": "tiff"}
_BYTES, _FLOATS, _INTEGERS = 1, 2, 3  # field numbers of `tf.train.Feature`
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5  # wire types of protocol buffers
_EDGES = ("xmin", "ymin", "xmax", "ymax")
# Features that are one column together; the first of them is there wherever the column has a value.
_IMAGE_PARTS = ("encoded", "format", "height", "width", "filename")
_SPAN_PARTS = ("start", "end", "label", "value")
_BOX_PARTS = tuple(f"object/bbox/{side}" for side in _EDGES)
_OBJECT_PARTS = (*_BOX_PARTS, "object/class/text", "object/class/label", "object/area")

_Features = dict[str, Any]  # bytes, a list of bytes, or an array of numbers


def crc32c(data: bytes) -> int:
    """Return the CRC-32C (Castagnoli) of some bytes.

    Examples
    --------
    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    tables, places = _crc_tables(), np.arange(_BLOCK)[::-1]
    state = 0xFFFFFFFF
    values = np.frombuffer(data, np.uint8)
    for start in range(0, len(values), _BLOCK):
        block = values[start : start + _BLOCK].copy()
        n = len(block)
        head = min(n, 4)  # the state so far acts as if it were added to the first four bytes
        block[:head] ^= np.frombuffer(state.to_bytes(4, "little"), np.uint8)[:head]
        parts = tables[places[_BLOCK - n :], block]
        state = int(np.bitwise_xor.reduce(parts)) ^ (state >> (8 * n) if n < 4 else 0)
    return state ^ 0xFFFFFFFF


@cache
def _crc_tables() -> npt.NDArray[np.uint32]:
    """Return the CRC of each byte followed by k zero bytes, shape (block, 256)."""
    first = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        first = np.where(first & 1, (first >> 1) ^ np.uint32(_CASTAGNOLI), first >> 1)
    tables = np.empty((_BLOCK, 256), np.uint32)
    tables[0] = first
    for k in range(1, _BLOCK):
        tables[k] = (tables[k - 1] >> 8) ^ first[tables[k - 1] & 0xFF]
    return tables


def _masked_crc(data: bytes) -> bytes:
    crc = crc32c(data)
    rotated = (crc >> 15 | crc << 17) & 0xFFFFFFFF
    return struct.pack("<I", (rotated + _MASK_DELTA) & 0xFFFFFFFF)


def pack_record(data: bytes) -> bytes:
    """Return the bytes of one record that holds `data`."""
    length = struct.pack("<Q", len(data))
    return b"".join((length, _masked_crc(length), data, _masked_crc(data)))


def _read_records(path: Path) -> Iterator[bytes]:
    """Yield the content of each record of a file; raise DataError for one that is damaged."""
    with _open_unpacked(path) as stream:
        end = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        number = 0
        while head := stream.read(12):
            # The checksum is tested first: a damaged length must not be taken for a size.
            is_whole = len(head) == 12 and _masked_crc(head[:8]) == head[8:]
            size = struct.unpack("<Q", head[:8])[0] if is_whole else 0
            data = stream.read(size) if size <= end else b""
            if not is_whole or len(data) < size or _masked_crc(data) != stream.read(4):
                raise DataError(
                    f"record {number} of '{path.name}', counted from 0, is damaged",
                    allowed="a whole TFRecord file",
                    todo="write or fetch the file again",
                )
            yield data
            number += 1


def _open_unpacked(path: Path) -> BinaryIO:
    """Return the file, or its unpacked content where it is compressed as a whole."""
    stream = path.open("rb")
    head = stream.read(12)
    stream.seek(0)
    if len(head) == 12 and _masked_crc(head[:8]) == head[8:]:
        return stream
    is_zlib = head[:1] == b"\x78" and int.from_bytes(head[:2], "big") % 31 == 0  # RFC 1950
    if head[:2] == b"\x1f\x8b" or is_zlib:
        check_expansion(path)
        with stream:
            packed = stream.read()
        return io.BytesIO(zlib.decompress(packed) if is_zlib else gzip.decompress(packed))
    return stream


def _varint(value: int) -> bytes:
    value &= _UINT64  # negative numbers are written as their two's complement
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def _field(number: int, data: bytes) -> bytes:
    """Return a length-delimited field of a protocol buffer."""
    return _varint(number << 3 | _LENGTH) + _varint(len(data)) + data


def encode_example(features: Mapping[str, Any]) -> bytes:
    """Return a `tf.train.Example` with these features, in the order of their names.

    A feature is bytes or a list of them, or a NumPy array of integers or floats, shape (k,).

    Examples
    --------
    >>> encode_example({"a": np.array([1])}).hex(" ")
    '0a 0c 0a 0a 0a 01 61 12 05 1a 03 0a 01 01'
    """
    entries = []
    for name in sorted(features):
        value = features[name]
        if isinstance(value, bytes | list):
            items = [value] if isinstance(value, bytes) else value
            feature = _field(_BYTES, b"".join(_field(1, item) for item in items))
        elif value.dtype.kind == "f":
            packed = value.astype("<f4").tobytes()
            feature = _field(_FLOATS, _field(1, packed) if packed else b"")
        else:
            packed = b"".join(map(_varint, value.tolist()))
            feature = _field(_INTEGERS, _field(1, packed) if packed else b"")
        entries.append(_field(1, _field(1, name.encode()) + _field(2, feature)))
    return _field(1, b"".join(entries))


def decode_example(data: bytes) -> _Features:
    """Return name -> values of a `tf.train.Example`: a list of bytes, or an array of numbers."""
    features: _Features = {}
    for part in _submessages(data):
        for entry in _submessages(part):
            pair = {number: content for number, wire, content in _fields(entry) if wire == _LENGTH}
            name = bytes(pair[1]).decode()
            if name in features or not pair.keys() <= {1, 2}:
                raise ValueError("a feature has two values")
            for number, wire, content in _fields(bytes(pair.get(2, b""))):
                if wire != _LENGTH or name in features:
                    raise ValueError("a feature has no list")
                features[name] = _decode_list(number, bytes(content))
    return features


def _decode_list(kind: int, content: bytes) -> list[bytes] | npt.NDArray[Any]:
    found = list(_fields(content))
    wires = {_BYTES: {_LENGTH}, _FLOATS: {_LENGTH, _FIXED32}, _INTEGERS: {_LENGTH, _VARINT}}
    if any(number != 1 or wire not in wires.get(kind, ()) for number, wire, _ in found):
        raise ValueError("a value is not of the type of its list")
    values = [value for _, _, value in found]
    if kind == _BYTES:
        return [bytes(value) for value in values]
    if kind == _FLOATS:
        return np.frombuffer(b"".join(bytes(value) for value in values), "<f4")
    if kind != _INTEGERS:
        raise ValueError("a list is of an unknown type")
    numbers: list[int] = []
    for value in values:
        if isinstance(value, int):  # written one by one, not packed
            numbers.append(value)
            continue
        at = 0
        while at < len(value):
            number, at = _read_varint(value, at)
            numbers.append(number)
    return np.array(numbers, np.uint64).astype(np.int64)


def _submessages(data: bytes) -> Iterator[bytes]:
    """Yield the messages in field 1 of a message that has no other fields."""
    for number, wire, content in _fields(data):
        if number != 1 or wire != _LENGTH:
            raise ValueError("there is a field that is not read")
        yield bytes(content)


def _fields(data: bytes) -> Iterator[tuple[int, int, bytes | int]]:
    """Yield (number, wire type, content) of the fields of a message."""
    at = 0
    while at < len(data):
        key, at = _read_varint(data, at)
        number, wire = key >> 3, key & 7
        value: bytes | int
        if wire == _VARINT:
            value, at = _read_varint(data, at)
        else:
            size = {_FIXED64: 8, _FIXED32: 4}.get(wire, -1)
            if wire == _LENGTH:
                size, at = _read_varint(data, at)
            if size < 0 or at + size > len(data):
                raise ValueError("a field breaks off")
            value, at = data[at : at + size], at + size
        yield number, wire, value


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 70:  # ten bytes of seven bits hold 64 bits
        byte = data[at]
        value, shift, at = value | (byte & 0x7F) << shift, shift + 7, at + 1
        if byte < 0x80:
            return value & _UINT64, at
    raise ValueError("a number breaks off")


class TfrecordWriter(Writer):
    """Writes a set as one TFRecord file and counts the values that are rounded to float32."""

    losses: RoundTripLosses

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self.losses = RoundTripLosses("tfrecord")
        self._stream = self.draft.open("wb")
        self._classes: list[str] = []

    def write(self, chunk: Dataset) -> None:
        """Append the rows of `chunk`."""
        table = plain(chunk.to_arrow())
        for position, field in enumerate(table.schema):
            if pa.types.is_temporal(field.type):  # as text, which includes nanoseconds
                texts = cell_texts(table.column(position), None)
                table = table.set_column(position, field.name, texts)
        for start in range(len(chunk)):  # one row at a time: images are large
            row = table.slice(start, 1).to_pylist()[0]
            self._stream.write(pack_record(encode_example(self._features(row, chunk.schema))))
            self.losses.n_rows += 1

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def _features(self, row: Mapping[str, Any], schema: Schema) -> _Features:
        features: _Features = {}
        for name, value in row.items():
            if value is None:
                continue
            kind = schema[name].kind if name in schema.names else "id"
            if kind in ("image", "mask"):
                own = _image_features(name, value)
            elif kind == "boxes":
                own = self._box_features(schema[name], value, row, schema)
            elif kind == "spans":
                own = _span_features(name, value)
            else:
                own = {name: self._cell(name, value)}
            if shared := features.keys() & own.keys():
                raise SchemaError(
                    f"two columns need the feature '{min(shared)}' of TFRecord", todo="rename one"
                )
            features |= own
        return features

    def _cell(self, name: str, value: Any) -> bytes | list[bytes] | npt.NDArray[Any]:
        if isinstance(value, list):  # the parents of a row
            return [str(one).encode() for one in value]
        if isinstance(value, bool | int):
            if not -(2**63) <= value < 2**63:
                raise SchemaError(f"the column '{name}' holds an integer of more than 64 bits")
            return np.array([value], np.int64)
        if isinstance(value, str):
            return value.encode()
        with np.errstate(over="ignore"):
            rounded = np.array([float(value)]).astype(np.float32)
        if float(rounded[0]) != value:
            self.losses.add(self.losses.n_rows, f"a value of '{name}' is rounded to float32")
        return rounded

    def _box_features(
        self, field: Field, objects: Sequence[Any], row: Mapping[str, Any], schema: Schema
    ) -> _Features:
        images = [one.name for one in schema.of_kind("image") if row[one.name] is not None]
        if not images:
            raise SchemaError(
                "boxes in TFRecord are fractions of their image",
                got="a row with boxes and no image",
                todo="write parquet or jsonl instead",
            )
        header = read_image_header(row[images[0]]["bytes"])
        boxes = np.array([one["box"] for one in objects], np.float64).reshape(-1, 4)
        boxes /= [header.width, header.height, header.width, header.height]
        names = [one["category"] for one in objects]
        prefix = f"{images[0]}/object"
        features: _Features = {
            f"{prefix}/bbox/{side}": boxes[:, k].astype(np.float32) for k, side in enumerate(_EDGES)
        }
        features[f"{prefix}/class/text"] = [name.encode() for name in names]
        features[f"{prefix}/class/label"] = self._class_numbers(field, names)
        areas = [one.get("area") for one in objects]
        if None not in areas:
            features[f"{prefix}/area"] = np.array(areas, np.float32)
        features[f"{field.name}/json"] = json.dumps(objects, ensure_ascii=False).encode()
        return features

    def _class_numbers(self, field: Field, names: Sequence[str]) -> npt.NDArray[np.int64]:
        """Return the numbers of classes: those of the taxonomy, else positions counted from 1."""
        labels = field.taxonomy.labels if field.taxonomy is not None else ()
        numbers = {label.name: label.number for label in labels}
        if labels and None not in numbers.values():
            return np.array([numbers[name] for name in names], np.int64)
        for name in (*numbers, *names):
            if name not in self._classes:
                self._classes.append(name)
        return np.array([self._classes.index(name) + 1 for name in names], np.int64)


def _image_features(name: str, blob: Mapping[str, Any]) -> _Features:
    data = blob["bytes"]
    if data is None:
        return {}
    header = read_image_header(data)
    ending = image_ending(data)[1:]
    features: _Features = {
        f"{name}/encoded": data,
        f"{name}/format": _LONG_NAMES.get(ending, ending).encode(),
        f"{name}/height": np.array([header.height]),
        f"{name}/width": np.array([header.width]),
    }
    if blob.get("path") is not None:
        features[f"{name}/filename"] = blob["path"].encode()
    return features


def _span_features(name: str, spans: Sequence[Mapping[str, Any]]) -> _Features:
    return {
        f"{name}/start": np.array([span["start"] for span in spans], np.int64),
        f"{name}/end": np.array([span["end"] for span in spans], np.int64),
        f"{name}/label": [(span["label"] or "").encode() for span in spans],
        f"{name}/value": [(span["value"] or "").encode() for span in spans],
    }


def read_tfrecord(path: Path, text_columns: Sequence[str] = ()) -> pa.Table:
    """Return the table in a TFRecord file; a feature that is absent from a record is a missing value."""
    rows = []
    for number, data in enumerate(_read_records(path)):
        try:
            rows.append(decode_example(data))
        except (ValueError, LookupError, TypeError) as error:
            raise DataError(
                f"record {number} of '{path.name}', counted from 0, is no tf.train.Example"
            ) from error
    return _ColumnBuilder(rows, path.name).table()


class _ColumnBuilder:
    """Brings the features of all records to columns; those of images, boxes and spans are joined."""

    def __init__(self, rows: Sequence[_Features], file: str) -> None:
        self.rows, self.file = rows, file
        self.names = dict.fromkeys(key for row in rows for key in row)
        self.columns: dict[str, pa.Array] = {}
        self.used: set[str] = set()

    def table(self) -> pa.Table:
        """Return the table, columns sorted by name."""
        images = [key.removesuffix("/encoded") for key in self.names if key.endswith("/encoded")]
        boxed = [image for image in images if f"{image}/object/bbox/xmin" in self.names]
        for image in images:
            self._add(image, image, _IMAGE_PARTS, _blob, BLOB)
        has_json = False
        for key in self.names:
            column, _, part = key.rpartition("/")
            if part == "json" and (boxed or (images and column == "objects")):
                self._add(column, column, (part,), _json_objects, pa.list_(OBJECT))
                has_json = True
            elif part == "start" and {f"{column}/end", f"{column}/label"} <= self.names.keys():
                self._add(column, column, _SPAN_PARTS, _spans, pa.list_(SPAN))
        for image in boxed:
            if has_json:  # the same objects, and more of each
                self.used.update(f"{image}/{part}" for part in _OBJECT_PARTS)
            else:
                name = "objects" if image == boxed[0] else f"{image}/objects"
                self._add(name, image, (*_OBJECT_PARTS, "encoded"), _objects, pa.list_(OBJECT))
        self._add_plain_columns(tuple(f"{image}/object/" for image in boxed))
        return pa.table({key: self.columns[key] for key in sorted(self.columns)})

    def _add(
        self,
        column: str,
        prefix: str,
        parts: Sequence[str],
        cell: Callable[[_Features], Any],
        kind: pa.DataType,
    ) -> None:
        """Add a column of cells that are built from the features `<prefix>/<part>` of each record."""
        cells = []
        for number, row in enumerate(self.rows):
            try:
                own = {part: row[f"{prefix}/{part}"] for part in parts if f"{prefix}/{part}" in row}
                cells.append(cell(own) if parts[0] in own else None)
                pa.array(cells[-1:], kind)
            except (ValueError, LookupError, TypeError, AttributeError, DataError) as error:
                raise DataError(
                    f"the features of '{column}' in record {number} of '{self.file}', counted from 0, "
                    "cannot be used",
                    got=error.message if isinstance(error, DataError) else type(error).__name__,
                    allowed="those of an image, of objects or of spans, as twinset writes them",
                ) from error
        self.columns[column] = pa.array(cells, kind)
        self.used.update(f"{prefix}/{part}" for part in parts)

    def _add_plain_columns(self, of_objects: tuple[str, ...]) -> None:
        unread = []
        for key in self.names:
            if key in self.used:
                continue
            values = [row.get(key) for row in self.rows]
            if key == RESERVED[2]:
                texts = [None if v is None else [self._text(key, one) for one in v] for v in values]
                self.columns[key] = pa.array(texts, pa.list_(pa.string()))
            elif all(v is None or len(v) <= 1 for v in values):
                self.columns[key] = self._plain_column(key, values)
            elif key.startswith(of_objects):
                unread.append(key)
            else:
                raise DataError(
                    f"the feature '{key}' of '{self.file}' has several values in one record",
                    allowed="one value for each feature; images, boxes and spans as twinset writes them",
                )
        if unread:
            warnings.warn(
                f"{self.file}: features of objects that are not read: {', '.join(unread)}",
                FormatLossWarning,
                stacklevel=6,
            )

    def _plain_column(self, key: str, values: Sequence[Any]) -> pa.Array:
        """Return a column of single values; an empty list is a missing value."""
        present = [value for value in values if value is not None and len(value)]
        kinds = {"text" if isinstance(v, list) else str(v.dtype) for v in present}
        if len(kinds) > 1:
            raise DataError(
                f"the feature '{key}' of '{self.file}' changes its type between records",
                got=" and ".join(sorted(kinds)),
                allowed="text, integers or floats in all records",
            )
        single = [value[0] if value is not None and len(value) else None for value in values]
        if kinds == {"text"}:
            texts = [None if one is None else self._text(key, one) for one in single]
            return pa.array(texts, pa.string())
        if not kinds:
            return pa.nulls(len(values))
        return pa.array(single, pa.int64() if kinds == {"int64"} else pa.float32())

    def _text(self, key: str, value: Any) -> str:
        try:
            return str(bytes.decode(value))
        except (UnicodeDecodeError, TypeError) as error:
            raise DataError(
                f"the feature '{key}' of '{self.file}' is neither text in UTF-8 nor an image",
                allowed="text, numbers, or images under '.../encoded'",
            ) from error


def _blob(parts: _Features) -> dict[str, Any]:
    (data,) = parts["encoded"]
    path = parts.get("filename")
    stated = [int(one) for side in ("height", "width") for one in parts.get(side, ())]
    if len(stated) == 2:
        header = read_image_header(bytes(data))
        if stated != [header.height, header.width]:
            raise DataError(
                f"it says {stated[1]} x {stated[0]}, but its image is {header.width} x {header.height}"
            )
    return {"bytes": data, "path": path[0].decode() if path else None}


def _json_objects(parts: _Features) -> Any:
    try:
        objects = parse_json(parts["json"][0])
    except ValueError as error:
        raise DataError(f"its JSON cannot be read: {error}") from None
    for item in objects if isinstance(objects, list) else [None]:
        own = item if isinstance(item, dict) else {}
        box = own.get("box")
        is_box = isinstance(box, list) and len(box) == len(_EDGES)
        if not is_box or not isinstance(own.get("category"), str):
            raise DataError("its JSON is no list of objects with 'category' and 'box'")
    return objects


def _spans(parts: _Features) -> list[dict[str, Any]]:
    values: Any = parts.get("value", [b""] * len(parts["start"]))
    places = zip(parts["start"], parts["end"], parts["label"], values, strict=True)
    return [
        {"start": index(a), "end": index(b), "label": c.decode(), "value": v.decode() or None}
        for a, b, c, v in places
    ]


def _objects(parts: _Features) -> list[dict[str, Any]]:
    """Return the objects of a record that another program wrote."""
    header = read_image_header(bytes(parts["encoded"][0]))
    boxes = np.column_stack([np.asarray(parts[f"object/bbox/{s}"], np.float64) for s in _EDGES])
    boxes *= [header.width, header.height, header.width, header.height]
    for box in boxes:
        check_box(box, (header.height, header.width))
    numbers: Any = parts.get("object/class/label", ())
    names: Any = parts.get("object/class/text", [str(one).encode() for one in numbers])
    areas: Any = parts.get("object/area", (boxes[:, 2:] - boxes[:, :2]).prod(axis=1))
    return [
        {"id": k, "category": name.decode(), "box": box.tolist(), "area": float(area)}
        for k, (name, box, area) in enumerate(zip(names, boxes, areas, strict=True), start=1)
    ]

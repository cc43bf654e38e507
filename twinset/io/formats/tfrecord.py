"""TFRecord files of `tf.train.Example`, as TensorFlow reads them, written without TensorFlow.

A row is one record: its length (u64), the masked CRC-32C of the length, the `Example`, the masked CRC-32C
of the `Example`, all little endian. Features are named as the columns:

- integer and boolean: `int64_list`; number: `float_list` (float32; rounded values are counted);
- category, id, text and datetime: `bytes_list` of UTF-8;
- image and mask: `<column>/encoded`, `/format`, `/height`, `/width` and `/filename`;
- boxes: the features of the TF Object Detection API under `<image column>/object/`: `bbox/xmin`, `ymin`,
  `xmax`, `ymax` as fractions of the image, `class/text`, `class/label` (the class's number, else its
  position counted from 1) and `area`; besides, the whole list as JSON in `<column>/json`;
- spans: `<column>/start`, `/end`, `/label` and `/value`, one value for each span.

A missing value is an absent feature.

References
----------
TensorFlow, "TFRecord and tf.train.Example"; TF Object Detection API, "Preparing Inputs". CRC-32C: RFC 3720,
appendix B.4.
"""

from __future__ import annotations

import json
import struct
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from twinset.core.errors import DataError, FormatLossWarning, SchemaError
from twinset.io.formats._format import Format

if TYPE_CHECKING:
    import pyarrow as pa

    from twinset.core.data.dataset import Dataset
    from twinset.core.data.schema import Field, Schema

_CASTAGNOLI = 0x82F63B78  # the polynomial of CRC-32C, bits reversed
_MASK_DELTA = (
    0xA282EAD8  # added to a rotated CRC, so that a CRC of data with CRCs differs from them
)
_BLOCK = 1024  # bytes that one NumPy operation covers; the table has 256 entries for each of them
_NAMES_OF_CONTENT = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg", b"BM": "bmp", b"RIFF": "webp"}

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
    """Return the CRC of each byte with k zero bytes behind it, shape (block, 256)."""
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


def read_records(stream: BinaryIO, name: str) -> Iterator[bytes]:
    """Yield the content of each record of a file.

    Raises
    ------
    DataError
        The file breaks off, or a checksum does not fit.
    """
    number = 0
    while head := stream.read(12):
        size = struct.unpack("<Q", head[:8])[0] if len(head) == 12 else 0
        # The checksum is tested first: a damaged length must not be taken for a size.
        if len(head) < 12 or _masked_crc(head[:8]) != head[8:]:
            raise _damaged(name, number)
        data, check = stream.read(size), stream.read(4)
        if len(data) < size or _masked_crc(data) != check:
            raise _damaged(name, number)
        yield data
        number += 1


def _damaged(name: str, number: int) -> DataError:
    return DataError(
        f"record {number} of '{name}', counted from 0, is damaged",
        allowed="a whole TFRecord file, not compressed",
        todo="write or fetch the file again",
    )


def _varint(value: int) -> bytes:
    value &= 0xFFFFFFFFFFFFFFFF  # negative numbers are written as their two's complement
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def _field(number: int, data: bytes) -> bytes:
    """Return a length-delimited field of a protocol buffer."""
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def encode_example(features: Mapping[str, Any]) -> bytes:
    """Return a `tf.train.Example` with these features, in the order of their names.

    Parameters
    ----------
    features : mapping
        Name -> bytes or a list of them, or a NumPy array of integers or floats, shape (k,).

    Examples
    --------
    >>> encode_example({"a": np.array([1])}).hex(" ")
    '0a 0c 0a 0a 0a 01 61 12 05 1a 03 0a 01 01'
    """
    entries = []
    for name in sorted(features):
        value = features[name]
        if isinstance(value, bytes | list):
            parts = [value] if isinstance(value, bytes) else value
            feature = _field(1, b"".join(_field(1, part) for part in parts))
        elif value.dtype.kind == "f":
            packed = value.astype("<f4").tobytes()
            feature = _field(2, _field(1, packed) if packed else b"")
        else:
            packed = b"".join(map(_varint, value.tolist()))
            feature = _field(3, _field(1, packed) if packed else b"")
        entries.append(_field(1, _field(1, name.encode()) + _field(2, feature)))
    return _field(1, b"".join(entries))


def decode_example(data: bytes) -> _Features:
    """Return name -> values of a `tf.train.Example`: a list of bytes, or an array of numbers.

    Raises
    ------
    ValueError
        The bytes are no such message.
    """
    features: _Features = {}
    for _, part in _fields(data, 1):
        for _, entry in _fields(bytes(part), 1):
            pair = dict(_fields(bytes(entry)))
            for kind, content in _fields(bytes(pair.get(2, b""))):
                features[bytes(pair[1]).decode()] = _decode_list(kind, bytes(content))
    return features


def _decode_list(kind: int, content: bytes) -> list[bytes] | npt.NDArray[Any]:
    values = [value for _, value in _fields(content, 1)]
    if kind == 1:
        return [bytes(value) for value in values]
    if kind == 2:
        return np.frombuffer(b"".join(bytes(value) for value in values), "<f4")
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


def _fields(data: bytes, only: int = 0) -> Iterator[tuple[int, bytes | int]]:
    """Yield (number, content) of the fields of a message; `only` those of one number."""
    at = 0
    while at < len(data):
        key, at = _read_varint(data, at)
        number, wire = key >> 3, key & 7
        value: bytes | int
        if wire == 0:
            value, at = _read_varint(data, at)
        else:
            size = {1: 8, 5: 4}.get(wire, -1)
            if wire == 2:
                size, at = _read_varint(data, at)
            if size < 0 or at + size > len(data):
                raise ValueError("a field breaks off")
            value, at = data[at : at + size], at + size
        if only in (0, number):
            yield number, value


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        value, shift, at = value | (byte & 0x7F) << shift, shift + 7, at + 1
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
    raise ValueError("a number breaks off")


class TFRecordWriter:
    """Write the chunks of one set to a TFRecord file and count what is rounded to float32."""

    def __init__(self, stream: BinaryIO) -> None:
        from twinset.io.text.losses import RoundTripLosses

        self._stream = stream
        self._classes: list[str] = []
        self.losses = RoundTripLosses("tfrecord")

    def write(self, chunk: Dataset) -> None:
        """Append the rows of `chunk`.

        Raises
        ------
        SchemaError
            An integer does not fit 64 bits, or a set has boxes but no image to measure them by.
        """
        import pyarrow as pa

        from twinset.io.cells import cell_texts
        from twinset.io.parquet import plain

        table = plain(chunk.to_arrow())
        for position, field in enumerate(table.schema):
            if pa.types.is_temporal(field.type):  # as text, of which nanoseconds are a part
                texts = cell_texts(table.column(position), None)
                table = table.set_column(position, field.name, texts)
        for start in range(len(chunk)):  # one row at a time: images are large
            row = table.slice(start, 1).to_pylist()[0]
            self._stream.write(pack_record(encode_example(self._features(row, chunk.schema))))
            self.losses.n_rows += 1

    def _features(self, row: Mapping[str, Any], schema: Schema) -> _Features:
        features: _Features = {}
        for name, value in row.items():
            if value is None:
                continue
            kind = schema[name].kind if name in schema.names else "id"
            if kind in ("image", "mask"):
                features |= _image_features(name, value)
            elif kind == "boxes":
                features |= self._box_features(schema[name], value, row, schema)
            elif kind == "spans":
                features |= _span_features(name, value)
            else:
                features[name] = self._cell(name, value)
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
            self.losses.note(self.losses.n_rows, f"a value of '{name}' is rounded to float32")
        return rounded

    def _box_features(
        self, field: Field, objects: Sequence[Any], row: Mapping[str, Any], schema: Schema
    ) -> _Features:
        from twinset.io.image_header import read_image_header

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
            f"{prefix}/bbox/{side}": boxes[:, k].astype(np.float32)
            for k, side in enumerate(("xmin", "ymin", "xmax", "ymax"))
        }
        features[f"{prefix}/class/text"] = [name.encode() for name in names]
        features[f"{prefix}/class/label"] = self._numbers(field, names)
        areas = [one.get("area") for one in objects]
        if None not in areas:
            features[f"{prefix}/area"] = np.array(areas, np.float32)
        features[f"{field.name}/json"] = json.dumps(objects, ensure_ascii=False).encode()
        return features

    def _numbers(self, field: Field, names: Sequence[str]) -> npt.NDArray[np.int64]:
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
    from twinset.io.image_header import read_image_header

    data = blob["bytes"]
    if data is None:
        return {}
    header = read_image_header(data)
    kinds = (kind for magic, kind in _NAMES_OF_CONTENT.items() if data.startswith(magic))
    features: _Features = {
        f"{name}/encoded": data,
        f"{name}/format": next(kinds, "tiff").encode(),
        f"{name}/height": np.array([header.height]),
        f"{name}/width": np.array([header.width]),
    }
    if blob.get("path") is not None:
        features[f"{name}/filename"] = blob["path"].encode()
    return features


def _span_features(name: str, spans: Sequence[Mapping[str, Any]]) -> _Features:
    features: _Features = {
        f"{name}/{end}": np.array([span[end] for span in spans], np.int64)
        for end in ("start", "end")
    }
    for key in ("label", "value"):
        features[f"{name}/{key}"] = [(span[key] or "").encode() for span in spans]
    return features


@contextmanager
def open_tfrecord(path: Path, escape_formulas: bool) -> Iterator[TFRecordWriter]:
    """Open a TFRecord file for chunks of one set; what is rounded is reported as a warning."""
    from twinset.io.files import replacing

    with replacing(path) as draft, draft.open("wb") as stream:
        writer = TFRecordWriter(stream)
        yield writer
        stream.flush()
    if lost := writer.losses.told():
        warnings.warn(f"{path.name}: {lost}", FormatLossWarning, stacklevel=3)


def read_tfrecord(path: Path, text_columns: Sequence[str] = ()) -> pa.Table:
    """Return the table in a TFRecord file; a feature that a record lacks is a missing value.

    Raises
    ------
    DataError
        A record is damaged or no `tf.train.Example`, or a feature is a list that is no column here.
    """
    rows = []
    with path.open("rb") as stream:
        for number, data in enumerate(read_records(stream, path.name)):
            try:
                rows.append(decode_example(data))
            except (ValueError, KeyError, TypeError) as error:
                raise DataError(
                    f"record {number} of '{path.name}', counted from 0, is no tf.train.Example"
                ) from error
    return _columns(rows, path.name)


def _columns(rows: Sequence[_Features], name: str) -> pa.Table:
    """Return the features of all records as columns, those of images, boxes and spans joined."""
    import pyarrow as pa

    from twinset.core.data.schema import BLOB, OBJECT, SPAN

    names = list(dict.fromkeys(key for row in rows for key in row))
    columns: dict[str, pa.Array] = {}
    for key in names:
        column, _, part = key.rpartition("/")
        if part == "encoded" and column:
            columns[column] = pa.array([_blob(row, column) for row in rows], BLOB)
        elif part == "json" and column:
            lists = [json.loads(row[key][0]) if key in row else None for row in rows]
            columns[column] = pa.array(lists, pa.list_(OBJECT))
        elif part == "start" and f"{column}/label" in names:
            columns[column] = pa.array([_spans(row, column) for row in rows], pa.list_(SPAN))
        elif part == "xmin" and column.endswith("/object/bbox"):
            image = column.removesuffix("/object/bbox")
            if not any(one.endswith("/json") for one in names):
                found = [_objects(row, image) for row in rows]
                columns.setdefault("objects", pa.array(found, pa.list_(OBJECT)))
    known = tuple(f"{column}/" for column in columns) + tuple(
        f"{image}/object/" for image in columns
    )
    for key in names:
        if not key.startswith(known):
            columns[key] = _plain_column([row.get(key) for row in rows], key, name)
    return pa.table({key: columns[key] for key in sorted(columns)})


def _plain_column(values: Sequence[Any], key: str, name: str) -> pa.Array:
    import pyarrow as pa

    present = [value for value in values if value is not None]
    if key == "_parents":
        lists = [None if v is None else [one.decode() for one in v] for v in values]
        return pa.array(lists, pa.list_(pa.string()))
    if any(len(value) > 1 for value in present):
        raise DataError(
            f"the feature '{key}' of '{name}' has several values in one record",
            allowed="one value for each feature; images, boxes and spans as this program writes them",
        )
    single = [value[0] if value is not None and len(value) else None for value in values]
    try:
        texts = [one.decode() if isinstance(one, bytes) else one for one in single]
    except UnicodeDecodeError as error:
        raise DataError(
            f"the feature '{key}' of '{name}' is neither text in UTF-8 nor an image",
            allowed="text, numbers, or images under '.../encoded'",
        ) from error
    kinds = {np.asarray(value).dtype.kind for value in present if len(value)}
    is_text = any(isinstance(one, str) for one in texts)
    if is_text and kinds != {"S"}:
        raise DataError(
            f"the feature '{key}' of '{name}' is text in some records and not in others"
        )
    return pa.array(texts, None if is_text or not kinds else _number_type(kinds))


def _number_type(kinds: Iterable[str]) -> pa.DataType:
    import pyarrow as pa

    return pa.int64() if set(kinds) == {"i"} else pa.float32()


def _blob(row: _Features, column: str) -> dict[str, Any] | None:
    if f"{column}/encoded" not in row:
        return None
    path = row.get(f"{column}/filename")
    return {"bytes": row[f"{column}/encoded"][0], "path": path[0].decode() if path else None}


def _spans(row: _Features, column: str) -> list[dict[str, Any]] | None:
    if f"{column}/start" not in row:
        return None
    parts: list[Any] = [row[f"{column}/{key}"] for key in ("start", "end", "label")]
    values: Any = row.get(f"{column}/value", [b""] * len(parts[0]))
    return [
        {"start": int(a), "end": int(b), "label": c.decode(), "value": v.decode() or None}
        for a, b, c, v in zip(*parts, values, strict=True)
    ]


def _objects(row: _Features, image: str) -> list[dict[str, Any]] | None:
    """Return the objects of a record that another program wrote."""
    from twinset.io.image_header import read_image_header

    prefix = f"{image}/object"
    if f"{prefix}/bbox/xmin" not in row or f"{image}/encoded" not in row:
        return None
    header = read_image_header(bytes(row[f"{image}/encoded"][0]))
    sides = [row[f"{prefix}/bbox/{side}"] for side in ("xmin", "ymin", "xmax", "ymax")]
    boxes = np.column_stack([np.asarray(side, np.float64) for side in sides])
    boxes *= [header.width, header.height, header.width, header.height]
    numbers: Any = row.get(f"{prefix}/class/label", ())
    names: Any = row.get(f"{prefix}/class/text", [str(one).encode() for one in numbers])
    return [
        {
            "id": k,
            "category": name.decode(),
            "box": box.tolist(),
            "area": float((box[2] - box[0]) * (box[3] - box[1])),
        }
        for k, (name, box) in enumerate(zip(names, boxes, strict=True), start=1)
    ]


FORMATS = (
    Format(
        name="tfrecord",
        read_endings=(".tfrecord", ".tfrecords"),
        for_tiles=True,
        omits_missing=True,
        read_table=read_tfrecord,
        open=open_tfrecord,
    ),
)

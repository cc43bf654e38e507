"""Build the files of a trial from compact declarations.

A declaration is a text, a list (its members are joined) or a mapping ``{builder: argument}``, for
instance ``{rows: {n: 40, head: "a,b", line: "{i},{b}", b: [x, y]}}``. ``BUILDERS`` holds all builders.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import sqlite3
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tifffile

Spec = Any  # a declaration, as YAML holds it


def expand(text: str) -> str:
    """Return a text with each ``⟨x*300⟩`` written out."""
    return re.sub("⟨([^⟨⟩]+)\\*(\\d+)⟩", lambda match: match[1] * int(match[2]), text)


def build(spec: Spec) -> bytes:
    """Return the bytes of a declared file."""
    if isinstance(spec, str):
        return expand(spec).encode()
    if isinstance(spec, list):
        return b"".join(map(build, spec))
    [(builder, argument)] = spec.items()
    return BUILDERS[builder](argument)


def place(folder: Path, name: str, spec: Spec) -> None:
    """Write a declared file below `folder`, or one of the things that are no plain files."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(spec, dict) and "symlink" in spec:
        path.symlink_to(spec["symlink"])
    elif isinstance(spec, dict) and "hardlink" in spec:
        os.link(folder / spec["hardlink"], path)
    elif spec == {"fifo": None}:
        os.mkfifo(path)
    elif spec == {"folder": None}:
        path.mkdir()
    elif isinstance(spec, dict) and "copies" in spec:
        for i in range(spec["copies"]["n"]):
            place(folder, name.format(i=i), spec["copies"]["file"])
    elif isinstance(spec, dict) and "sparse" in spec:
        with path.open("wb") as file:
            file.truncate(spec["sparse"])
    else:
        path.write_bytes(build(spec))


# What a table has that says nothing else: a good one of four columns.
TABLE: dict[str, Any] = {
    "n": 40,
    "head": "account,height,town,price",
    "line": "{i},{height},{town},{x}",
    "height": [170, 182, 165, 191, 177, 158, 169],
    "town": ["Bern", "Oslo", "Rome"],
}


def rows(spec: Mapping[str, Any]) -> bytes:
    """Return the lines of a table; `head` may be null, lists fill the fields of their name in turn.

    In a `line`, `i` is the number of the row, `j` a day of a month and `x` a number.
    """
    spec = TABLE | dict(spec)
    cycles = {key: value for key, value in spec.items() if isinstance(value, list)}
    text = [spec["head"]] if spec["head"] is not None else []
    for i in range(spec["n"]):
        values = {key: cycle[i % len(cycle)] for key, cycle in cycles.items()}
        text.append(spec["line"].format(i=i, j=i % 28 + 1, x=f"{i * 7 % 40}.{i % 10}", **values))
    for at, line in sorted(spec.get("put", {}).items(), key=lambda item: int(item[0])):
        text.insert(int(at), line)  # line 0 is the head
    end: str = spec.get("end", "\n")
    return expand(end.join(text) + end).encode("utf-8", "surrogatepass")


RECIPE = {
    "name": "r",
    "seed": "1",
    "brief": "{task: other}",
    "source": "{path: a.csv, licence: CC0-1.0}",
    "generate": "[{use: tabular.marginals, rows: 30}]",
    "evaluate": "{metrics: [gap.marginals]}",
    "deliver": "{to: out, formats: [csv]}",
}


def recipe(spec: Mapping[str, str | None]) -> bytes:
    """Return a good recipe with some keys changed, or left out where null; `also` follows them."""
    changed = RECIPE | {key: value for key, value in spec.items() if key != "also"}
    lines = [f"{key}: {value}\n" for key, value in changed.items() if value is not None]
    return expand("".join(lines) + str(spec.get("also", ""))).encode()


def wide(spec: Mapping[str, int]) -> bytes:
    """Return a CSV file of many columns."""
    n_columns = spec["columns"]
    lines = [",".join(f"c{k}" for k in range(n_columns))]
    lines += [",".join(str((i * k) % 97) for k in range(n_columns)) for i in range(spec["rows"])]
    return ("\n".join(lines) + "\n").encode()


def nested(spec: Mapping[str, Any]) -> bytes:
    """Return `open` n times, `inside`, and `close` n times."""
    opened, closed = str(spec["open"]) * spec["n"], str(spec["close"]) * spec["n"]
    return f"{opened}{spec.get('inside', '')}{closed}".encode()


def patched(spec: Mapping[str, Any]) -> bytes:
    """Return a file with bytes overwritten (`at`, `hex`), or everything behind `keep` cut off."""
    data = bytearray(build(spec["file"]))
    if "keep" in spec:
        keep = spec["keep"]
        data = data[: int(len(data) * keep)] if isinstance(keep, float) else data[:keep]
    for at, content in spec.get("put", {}).items():
        at, content = int(at), bytes.fromhex(content)
        at = at if at >= 0 else len(data) + at
        data[at : at + len(content)] = content
    return bytes(data)


def zipped(spec: Mapping[str, Spec]) -> bytes:
    """Return a zip archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, member in spec.items():
            archive.writestr(name, build(member))
    return out.getvalue()


def tarred(spec: list[list[Any]]) -> bytes:
    """Return a tar archive of ``[name, declaration]``, or ``[name, {link: target}]``."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, member in spec:
            info = tarfile.TarInfo(name)
            if isinstance(member, dict) and "link" in member:
                info.type, info.linkname = tarfile.SYMTYPE, member["link"]
                archive.addfile(info)
                continue
            data = build(member)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def sqlite(tables: Mapping[str, int]) -> bytes:
    """Return a database with tables of whole numbers, of the declared lengths."""
    database = sqlite3.connect(":memory:")
    for name, n_rows in tables.items():
        database.execute(f'CREATE TABLE "{name}" (a INTEGER)')
        database.executemany(f'INSERT INTO "{name}" VALUES (?)', [(i,) for i in range(n_rows)])
    database.commit()
    return bytes(database.serialize())


def parquet(spec: Mapping[str, Any]) -> bytes:
    """Return a Parquet file of columns; a column may be ``{type, values}``."""
    columns = {}
    for name, cells in spec["columns"].items():
        declared = None
        if isinstance(cells, dict):  # an Arrow type, e.g. "pa.list_(pa.int8())"
            declared, cells = eval(cells["type"], {"pa": pa}), cells["values"]
        columns[name] = pa.array(cells * spec.get("n", 1), declared)
    names = spec.get("names", list(columns))
    table = pa.Table.from_arrays(list(columns.values()), names=names)
    if "metadata" in spec:
        table = table.replace_schema_metadata(spec["metadata"])
    out = io.BytesIO()
    pq.write_table(table, out, **spec.get("write", {}))
    return out.getvalue()


# ---- TFRecord -------------------------------------------------------------------------------------
def _crc_table() -> list[int]:
    """Return the table of CRC-32C (Castagnoli)."""
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_CRC = _crc_table()


def masked_crc(data: bytes) -> int:
    """Return the masked CRC-32C that TFRecord files hold."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def varint(value: int) -> bytes:
    """Return a number in base 128."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def message(number: int, data: bytes) -> bytes:
    """Return a field of bytes of a protocol buffer."""
    return varint(number << 3 | 2) + varint(len(data)) + data


def example(features: Mapping[str, Any]) -> bytes:
    """Return a ``tf.train.Example``; a feature is a number, a text, a list of these or ``{hex: ...}``."""
    entries = b""
    for name, value in features.items():
        if isinstance(value, dict):  # the bytes of a tf.train.Feature, or of one value
            feature = (
                bytes.fromhex(value["hex"])
                if "hex" in value
                else message(1, message(1, build(value)))
            )
        else:
            values = value if isinstance(value, list) else [value]
            if all(isinstance(one, str) for one in values):
                feature = message(1, b"".join(message(1, one.encode()) for one in values))
            elif all(isinstance(one, int) for one in values):
                packed = b"".join(varint(one & 0xFFFFFFFFFFFFFFFF) for one in values)
                feature = message(3, message(1, packed))
            else:
                feature = message(2, message(1, struct.pack(f"<{len(values)}f", *values)))
        entries += message(1, message(1, name.encode()) + message(2, feature))
    return message(1, entries)


def tfrecord(spec: Mapping[str, Any]) -> bytes:
    """Return `n` records: each ``{features}``, ``{hex}`` or ``{raw}``, with optional `length`, `crc`."""
    out = b""
    for record in spec["records"] * spec.get("n", 1):
        if "hex" in record:
            data = bytes.fromhex(record["hex"])
        else:
            data = build(record["raw"]) if "raw" in record else example(record["features"])
        length = struct.pack("<Q", record.get("length", len(data)))
        crc = record.get("crc", masked_crc(data))
        out += length + struct.pack("<I", record.get("length_crc", masked_crc(length)))
        out += data + struct.pack("<I", crc)
    return out


# ---- images ---------------------------------------------------------------------------------------
def pixels(spec: Mapping[str, Any]) -> np.ndarray[Any, Any]:
    """Return an image of stripes: `size` [height, width], `channels`, `dtype`, and a `seed`."""
    height, width = spec.get("size", [24, 32])
    channels = spec.get("channels", 3)
    shape = (height, width, *([channels] if channels > 1 else []))
    shape = (*spec.get("stack", []), *shape)
    rng = np.random.default_rng(spec.get("seed", 1))
    dtype = np.dtype(spec.get("dtype", "uint8"))
    if dtype.kind == "f":
        return rng.random(shape).astype(dtype)
    return rng.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def encoded(suffix: str) -> Callable[[Mapping[str, Any]], bytes]:
    """Return a builder of images that OpenCV encodes."""

    def encode(spec: Mapping[str, Any]) -> bytes:
        ok, data = cv2.imencode(suffix, pixels(spec))
        assert ok
        return bytes(data)

    return encode


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def raw_png(spec: Mapping[str, Any]) -> bytes:
    """Return a PNG whose header may claim anything: `size`, `depth`, `color`, `chunks`, `data`."""
    height, width = spec.get("size", [8, 8])
    depth, color = spec.get("depth", 8), spec.get("color", 2)
    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(color, 1)
    if "data" in spec:
        data = build(spec["data"])
    else:
        n_bytes, below = (width * samples * depth + 7) // 8, spec.get("below", 256)
        line = b"\0" + bytes((i * 37) % below for i in range(n_bytes))
        data = line * spec.get("lines", height)
    head = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, spec.get("interlace", 0))
    extra = b"".join(chunk(kind.encode(), build(data)) for kind, data in spec.get("chunks", []))
    late = b"".join(chunk(kind.encode(), build(data)) for kind, data in spec.get("late", []))
    body = chunk(b"IDAT", zlib.compress(data, 9)) if spec.get("idat", True) else b""
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + body + late + chunk(b"IEND", b"")


def exif(tags: Mapping[int, Any]) -> bytes:
    """Return an EXIF block (little-endian TIFF) of orientation and texts."""
    entries, tail = b"", b""
    start = 8 + 2 + 12 * len(tags) + 4
    for tag, value in sorted((int(tag), value) for tag, value in tags.items()):
        if isinstance(value, int):
            entries += struct.pack("<HHIHH", tag, 3, 1, value, 0)
        else:
            text = value.encode() + b"\0"
            text = text.ljust(5, b"\0")
            entries += struct.pack("<HHII", tag, 2, len(text), start + len(tail))
            tail += text
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + b"\0\0\0\0" + tail


def exif_jpeg(spec: Mapping[str, Any]) -> bytes:
    """Return a JPEG with EXIF `tags`, a `comment` or an XMP packet."""
    data = encoded(".jpg")(spec)
    segments = b""
    for marker, body in (
        (0xE1, b"Exif\0\0" + exif(spec["tags"]) if "tags" in spec else b""),
        (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + spec["xmp"].encode() if "xmp" in spec else b""),
        (0xFE, spec["comment"].encode() if "comment" in spec else b""),
    ):
        segments += struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body if body else b""
    return data[:2] + segments + data[2:]


def tiff(spec: Mapping[str, Any]) -> bytes:
    """Return a TIFF that tifffile writes: `write` holds its options, `file` those of the file."""
    out = io.BytesIO()
    options = dict(spec.get("write", {}))
    if "tile" in options:
        options["tile"] = tuple(options["tile"])
    with tifffile.TiffWriter(out, **spec.get("file", {})) as writer:
        for k in range(spec.get("pages", 1)):
            writer.write(pixels({**spec, "seed": k}), **options)
    return out.getvalue()


def gif(spec: Mapping[str, Any]) -> bytes:
    """Return a GIF of 2 x 2 pixels with a number of frames."""
    frame = bytes.fromhex("21f904000a000000 2c0000000002000200000002 02 8453 00".replace(" ", ""))
    head = (
        b"GIF89a"
        + struct.pack("<HH", *spec.get("size", [2, 2]))
        + bytes.fromhex("800000000000ffffff")
    )
    frames: int = spec.get("frames", 1)
    return head + frame * frames + b";"


def id_map(spec: Mapping[str, Any]) -> bytes:
    """Return an id map as PNG: `boxes` maps ids to [x0, y0, x1, y1]."""
    height, width = spec.get("size", [24, 32])
    ids = np.zeros((height, width), spec.get("dtype", "uint16"))
    for number, (x0, y0, x1, y1) in spec.get("boxes", {}).items():
        ids[y0:y1, x0:x1] = int(number)
    data: bytes = cv2.imencode(spec.get("suffix", ".png"), ids)[1].tobytes()
    return data


BUILDERS: dict[str, Callable[[Any], bytes]] = {
    "hex": bytes.fromhex,
    "json": lambda spec: expand(json.dumps(spec, ensure_ascii=False)).encode(),
    "encode": lambda spec: build(spec[0]).decode().encode(spec[1], "replace"),
    "repeat": lambda spec: build(spec[0]) * spec[1],
    "random": lambda n: np.random.default_rng(1).bytes(n),
    "gzip": lambda spec: gzip.compress(build(spec), mtime=0),
    "rows": rows,
    "recipe": recipe,
    "wide": wide,
    "nested": nested,
    "patch": patched,
    "zip": zipped,
    "tar": tarred,
    "sqlite": sqlite,
    "parquet": parquet,
    "tfrecord": tfrecord,
    "png": encoded(".png"),
    "jpeg": encoded(".jpg"),
    "webp": encoded(".webp"),
    "bmp": encoded(".bmp"),
    "raw_png": raw_png,
    "exif_jpeg": exif_jpeg,
    "tiff": tiff,
    "gif": gif,
    "ids": id_map,
}

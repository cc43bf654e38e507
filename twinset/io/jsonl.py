"""JSON Lines: one object a row."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as arrow_json

from twinset.core.data.schema import Schema
from twinset.core.errors import DataError
from twinset.io.cells import cell_texts

_BLOCK = 16 << 20
_NULL_ROW = re.compile(rb"\n[ \t\r]*null")


def read_jsonl(path: Path) -> pa.Table:
    """Return the table in a file of one JSON object a line; `.gz` files are unpacked on the way.

    A key that a row lacks is a missing value.

    Raises
    ------
    DataError
        A line is no JSON object, a key changes its type between rows, or the text is not UTF-8.
    """
    compression = "gzip" if path.suffix == ".gz" else None
    options = arrow_json.ReadOptions(block_size=_BLOCK)
    if _has_null_row(path, compression):
        raise _not_json_lines(path, "")
    try:
        with pa.input_stream(str(path), compression=compression) as stream:
            table = arrow_json.read_json(stream, options)
    except pa.ArrowInvalid as error:
        raise _not_json_lines(path, str(error)) from error
    try:
        table.validate(full=True)
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise DataError(
            f"the file '{path}' is not encoded in UTF-8", todo="convert it to UTF-8"
        ) from error
    return table


def _has_null_row(path: Path, compression: str | None) -> bool:
    """Return whether a row is the word null: where such a row begins a block, Arrow breaks down."""
    with pa.input_stream(str(path), compression=compression) as stream:
        before = b"\n"
        while block := stream.read(_BLOCK):
            if _NULL_ROW.search(before + block):
                return True
            before = block[-64:]
    return False


def _not_json_lines(path: Path, message: str) -> DataError:
    if "Empty JSON" in message:
        return DataError(f"the file '{path}' is empty", todo="give one JSON object a line")
    # Arrow counts rows from 0 within a block, so the number holds for files of one block.
    row = re.search(r"in row (\d+)", message)
    place = f", line {int(row[1]) + 1}" if row and path.stat().st_size <= _BLOCK else ""
    changed = re.search(r"Column\(/(.+)\) changed from (\w+) to (\w+)", message)
    if changed:
        return DataError(
            f"the key '{changed[1]}' changes its type in '{path}'{place}",
            got=f"{changed[3]} after {changed[2]}",
            todo="write one type of value under each key",
        )
    twice = re.search(r"Column\(/(.+)\) was specified twice", message)
    if twice:
        return DataError(f"the key '{twice[1]}' stands twice in a row of '{path}'{place}")
    return DataError(
        f"'{path}'{place} cannot be read as JSON Lines",
        allowed="one JSON object a line",
        todo="check that the file is whole and not one large JSON array",
    )


class JsonlWriter:
    """Write chunks of a table as JSON Lines, keys in the order of the columns."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, table: pa.Table, schema: Schema) -> None:
        """Append the rows of `table`."""
        if table.num_rows == 0:
            return
        parts: list[pa.StringArray | str] = []
        for position, name in enumerate(table.column_names):
            start = "{" if position == 0 else ", "
            parts.append(f"{start}{json.dumps(name, ensure_ascii=False)}: ")
            parts.append(_literals(table.column(name), name, schema))
        lines = pc.binary_join_element_wise(*parts, "}", "")
        self._stream.write(("\n".join(lines.to_pylist()) + "\n").encode())


def _literals(column: pa.ChunkedArray, name: str, schema: Schema) -> pa.StringArray:
    texts = cell_texts(column, schema[name] if name in schema.names else None)
    kind = column.type
    if pa.types.is_timestamp(kind):
        texts = pc.replace_substring(texts, " ", "T", max_replacements=1)
    bare = pa.types.is_boolean(kind) or pa.types.is_nested(kind)
    numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    if not bare and not numeric:
        texts = _json_strings(texts)
    return pc.fill_null(texts, "null")


def _json_strings(texts: pa.StringArray) -> pa.StringArray:
    special = pc.match_substring_regex(texts, r'["\\\x00-\x1f\x7f]')
    quoted = pc.binary_join_element_wise('"', texts, '"', "")
    if not pc.any(special).as_py():
        return quoted
    escaped = (json.dumps(v, ensure_ascii=False) for v in texts.filter(special).to_pylist())
    return pc.replace_with_mask(
        quoted, pc.fill_null(special, False), pa.array(escaped, pa.string())
    )

"""Tables as text: CSV and TSV with a header, and JSON Lines; images lie in a folder beside the file."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as arrow_json

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import RESERVED, Field, Schema
from twinset.core.errors import DataError
from twinset.core.untrusted import MAX_DEPTH, first_deep_line, is_flat, plain_rows
from twinset.io.csv_tables import BLOCK_BYTES
from twinset.io.csv_tables import read_csv as read_csv
from twinset.io.files import flush_file, flush_folder, image_ending
from twinset.io.formulas import escape_formulas
from twinset.io.reading.cells import one_array
from twinset.io.reading.layout import not_utf8, refuse_other_files
from twinset.io.unpacking import check_expansion
from twinset.io.writer import Target, Writer

_GLANCE = 1 << 18  # bytes whose brackets are counted at once: they stay in the processor's cache
_HEADER_BYTES = 1 << 16  # enough to recognise another format
_ROWS_AT_ONCE = 16_384  # rows whose texts are in memory together; the file does not depend on it
_NULL_ROW = re.compile(rb"\n[ \t\r]*null")


def cell_texts(column: pa.ChunkedArray, field: Field | None) -> pa.StringArray:
    """Return the values of a column as texts, shape (n,); missing stays missing.

    A number is written with at most `field.decimals` digits after the point.

    Examples
    --------
    >>> import pyarrow as pa
    >>> field = Field(name="price", kind="number", decimals=2)
    >>> cell_texts(pa.chunked_array([[2.0, 0.125, None]]), field).to_pylist()
    ['2.0', '0.12', None]
    """
    kind = column.type
    if pa.types.is_floating(kind):
        return _float_texts(column, field.decimals if field else None)
    if pa.types.is_timestamp(kind):
        texts = one_array(pc.cast(column, pa.string()))
        shorter = pc.replace_substring_regex(texts, r"(\.[0-9]*?)0+(Z|[+-][0-9]{4})?$", r"\1\2")
        return pc.replace_substring_regex(shorter, r"\.(Z|[+-][0-9]{4})?$", r"\1")
    if pa.types.is_nested(kind):
        values = (
            None if v is None else json.dumps(v, ensure_ascii=False) for v in column.to_pylist()
        )
        return pa.array(values, pa.string())
    if pa.types.is_date64(kind):
        column = pc.cast(column, pa.date32())
    return one_array(pc.cast(column, pa.string()))


def _float_texts(column: pa.ChunkedArray, decimals: int | None) -> pa.StringArray:
    values = one_array(column)
    if pa.types.is_float16(values.type):
        values = pc.cast(values, pa.float32())
    if decimals is not None:
        values = pc.round(values, ndigits=decimals)
    # Adding zero turns -0.0, which rounding can leave, into 0.0.
    values = pc.if_else(pc.is_nan(values), None, pc.add(values, pa.scalar(0.0, values.type)))
    texts = pc.cast(values, pa.string())
    if decimals == 0:
        return texts
    # 5 would come back as an integer: a number with a fractional part keeps its point.
    whole = pc.match_substring_regex(texts, "^-?[0-9]+$")
    return pc.if_else(whole, pc.binary_join_element_wise(texts, ".0", ""), texts)


def plain(table: pa.Table) -> pa.Table:
    """Return `table` with its dictionaries written out and without metadata."""
    columns = [
        pc.cast(column, column.type.value_type) if pa.types.is_dictionary(column.type) else column
        for column in table.columns
    ]
    return pa.table(columns, names=table.column_names)


def read_jsonl(path: Path, text_columns: Sequence[str] = ()) -> pa.Table:
    """Return the table in a file of one JSON object a line; `.gz` files are unpacked while they are read.

    A key that a row does not have is a missing value.
    """
    options = arrow_json.ReadOptions(block_size=BLOCK_BYTES)
    if path.suffix == ".gz":
        check_expansion(path)
    with pa.input_stream(str(path), compression=_compression(path)) as stream:
        refuse_other_files(path, stream.read(_HEADER_BYTES), "jsonl")
    _check_lines(path)
    try:
        with pa.input_stream(str(path), compression=_compression(path)) as stream:
            table = arrow_json.read_json(stream, options)
    except pa.ArrowInvalid as error:
        raise _not_json_lines(path, str(error)) from error
    try:
        table.validate(full=True)
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise not_utf8(path) from error
    return table


def _compression(path: Path) -> str | None:
    return "gzip" if path.suffix == ".gz" else None


def _check_lines(path: Path) -> None:
    """Raise DataError for rows at which Arrow crashes: deep ones, and the word null in front of a block."""
    before = 0
    with (gzip.open if _compression(path) else open)(path, "rb") as stream:
        while lines := stream.read(_GLANCE):
            lines += stream.readline(BLOCK_BYTES)
            n_rows = plain_rows(lines)
            if not n_rows:
                deep = None
                if not is_flat(lines):  # a value may go on in the lines behind
                    lines += stream.read(BLOCK_BYTES) + stream.readline(BLOCK_BYTES)
                    deep = first_deep_line(lines)
                if deep is not None:
                    raise DataError(
                        f"'{path}', line {before + deep + 1}: values are nested too deep, or earlier "
                        "ones are not closed",
                        allowed=f"{MAX_DEPTH} levels, and one JSON object a line",
                    )
                if _NULL_ROW.search(b"\n" + lines):
                    raise _not_json_lines(path, "")
                n_rows = lines.count(b"\n")
            before += n_rows


def _not_json_lines(path: Path, message: str) -> DataError:
    """Return the error for a message of Arrow's, which has no codes."""
    if "Empty JSON" in message:
        return DataError(f"the file '{path}' is empty", todo="give one JSON object a line")
    # Arrow counts rows from 0 within a block, so the number holds for files of one block.
    row = re.search(r"in row (\d+)", message)
    place = f", line {int(row[1]) + 1}" if row and path.stat().st_size <= BLOCK_BYTES else ""
    if changed := re.search(r"Column\(/(.+)\) changed from (\w+) to (\w+)", message):
        return DataError(
            f"the key '{changed[1]}' changes its type in '{path}'{place}",
            got=f"{changed[3]} after {changed[2]}",
            todo="write one type of value under each key",
        )
    if twice := re.search(r"Column\(/(.+)\) was specified twice", message):
        return DataError(f"the key '{twice[1]}' stands twice in a row of '{path}'{place}")
    return DataError(
        f"'{path}'{place} cannot be read as JSON Lines",
        allowed="one JSON object a line",
        todo="check that the file is whole and not one large JSON array",
    )


class TextTableWriter(Writer):
    """Writes a table as lines of text, and its images as files of the folder `<stem>_files` beside it."""

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._stream = self.draft.open("wb")
        self._images = target.place.with_name(f"{target.place.name.partition('.')[0]}_files")
        self._image_draft = self.draft.with_name(f"{self.draft.name}_files")
        self._n_images: dict[str, int] = {}

    def write(self, chunk: Dataset) -> None:
        """Append the rows of `chunk`."""
        table = plain(chunk.to_arrow())
        blobs = {field.name for field in chunk.schema.of_kind("image", "mask")}
        # One piece also for a chunk without rows: it brings the header.
        for start in range(0, max(1, table.num_rows), _ROWS_AT_ONCE):
            piece = table.slice(start, _ROWS_AT_ONCE)
            for position, name in enumerate(piece.column_names):
                if name in blobs:
                    paths = self._save_images(piece.column(position), name, position)
                    piece = piece.set_column(position, name, paths)
            lines = self.lines_of(piece, chunk.schema)
            if lines:
                self._stream.write(("\n".join(lines) + "\n").encode())

    @abstractmethod
    def lines_of(self, table: pa.Table, schema: Schema) -> list[str]:
        """Return the lines of a piece of the set."""

    def finish(self) -> None:
        """Move the folder of images to its place if there are any; it replaces an earlier one."""
        self._stream.close()
        if self._image_draft.exists():
            shutil.rmtree(self._images, ignore_errors=True)
            os.replace(self._image_draft, self._images)
            flush_folder(self._images.parent)

    def close(self) -> None:
        """Close the file and remove images that were not moved."""
        self._stream.close()
        shutil.rmtree(self._image_draft, ignore_errors=True)

    def _save_images(self, column: pa.ChunkedArray, name: str, position: int) -> pa.ChunkedArray:
        """Write the images of a column; return their paths relative to the table, shape (n,)."""
        folder = name if re.fullmatch(r"[A-Za-z0-9_-]{1,80}", name) else f"column-{position}"
        (self._image_draft / folder).mkdir(parents=True, exist_ok=True)
        paths: list[str | None] = []
        for blob in column.to_pylist():
            at = self._n_images.get(name, 0)
            self._n_images[name] = at + 1
            if blob is None or blob["bytes"] is None:
                paths.append(None)
                continue
            # Numbered by row: a source's own file name may reveal who is in the image.
            file = f"{folder}/{at:07d}{image_ending(blob['bytes'])}"
            (self._image_draft / file).write_bytes(blob["bytes"])
            flush_file(self._image_draft / file)
            paths.append(f"{self._images.name}/{file}")
        return pa.chunked_array([pa.array(paths, pa.string())])


class CsvWriter(TextTableWriter):
    """Writes CSV: commas, Unix line ends, quotes only where they are needed."""

    _has_header = False

    def lines_of(self, table: pa.Table, schema: Schema) -> list[str]:
        """Return the lines of a piece of the set; the first one brings the header."""
        lines: list[str] = []
        if not self._has_header:
            lines.append(
                ",".join(self._quoted(pa.array(table.column_names, pa.string())).to_pylist())
            )
            self._has_header = True
        if table.num_rows == 0:
            return lines
        columns = [self._cells(table.column(name), name, schema) for name in table.column_names]
        if len(columns) == 1:
            # A line with nothing on it is no row to any reader.
            columns = [pc.if_else(pc.equal(columns[0], ""), '""', columns[0])]
        return lines + list(pc.binary_join_element_wise(*columns, ",").to_pylist())

    def _cells(self, column: pa.ChunkedArray, name: str, schema: Schema) -> pa.StringArray:
        if name == RESERVED[2]:
            texts = pc.binary_join(column.combine_chunks(), " ")
        else:
            texts = cell_texts(column, schema[name] if name in schema.names else None)
        if pa.types.is_string(column.type) or pa.types.is_nested(column.type):
            texts = self._quoted(texts)
        return pc.fill_null(texts, "")

    def _quoted(self, texts: pa.StringArray) -> pa.StringArray:
        if self.target.escape_formulas:
            texts = escape_formulas(texts)
        doubled = pc.binary_join_element_wise('"', pc.replace_substring(texts, '"', '""'), '"', "")
        return pc.if_else(pc.match_substring_regex(texts, r'[",\r\n]|^$|^\s|\s$'), doubled, texts)


class JsonlWriter(TextTableWriter):
    """Writes JSON Lines, keys in the order of the columns."""

    def lines_of(self, table: pa.Table, schema: Schema) -> list[str]:
        """Return the lines of a piece of the set."""
        if table.num_rows == 0:
            return []
        parts: list[pa.StringArray | str] = []
        for position, name in enumerate(table.column_names):
            start = "{" if position == 0 else ", "
            parts.append(f"{start}{json.dumps(name, ensure_ascii=False)}: ")
            parts.append(_json_values(table.column(name), name, schema))
        return list(pc.binary_join_element_wise(*parts, "}", "").to_pylist())


def _json_values(column: pa.ChunkedArray, name: str, schema: Schema) -> pa.StringArray:
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

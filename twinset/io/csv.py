"""CSV and TSV: read by Arrow, written in one fixed form."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv

from twinset.core.data.schema import RESERVED, Schema
from twinset.core.errors import DataError, without_values
from twinset.io.cells import cell_texts

_BLOCK = 16 << 20
_HEADER_BYTES = 1 << 20
_EXACT_INTEGERS = 2**53


def read_csv(path: Path, text_columns: Sequence[str] = ()) -> pa.Table:
    """Return the table in a CSV file with a header; `.gz` files are unpacked on the way.

    An empty cell is a missing value, in every column. Whole numbers that are no quantities, such as
    "00123" or those too long for an exact number, stay texts.

    Parameters
    ----------
    path : Path
        The file: UTF-8, with or without a byte order mark. Columns are parted by commas, or by the
        tab, semicolon or bar that the header holds instead.
    text_columns : sequence of str
        Columns to be read as text whatever they look like.

    Raises
    ------
    DataError
        The file is not UTF-8, rows differ in length, or the header names a column twice or not at
        all.
    """
    delimiter, names = _read_header(path)
    types = {name: pa.string() for name in text_columns if name in names}
    table = _read(path, delimiter, arrow_csv.ConvertOptions(column_types=types))
    if any(pa.types.is_binary(kind) for kind in table.schema.types):
        raise _not_utf8(path)
    table = _keep_codes(table, path, delimiter)
    columns = [_empty_as_missing(column) for column in table.columns]
    return pa.table(columns, names=table.column_names)


def _read(path: Path, delimiter: str, convert: arrow_csv.ConvertOptions) -> pa.Table:
    try:
        return arrow_csv.read_csv(path, _options(), _parsing(delimiter), convert)
    except pa.ArrowInvalid as error:
        fault = _ragged_row(path, delimiter)
        if fault is None:
            raise
        row, expected, found = fault
        raise DataError(
            f"the rows of '{path}' differ in length",
            got=f"{found} cells in row {row}, under a header of {expected}",
            todo="quote cells that hold the delimiter, or complete the row",
        ) from without_values(error)


def _ragged_row(path: Path, delimiter: str) -> tuple[int, int, int] | None:
    """Return the number of the first row of another length (the header is row 1) and both lengths."""
    seen: list[tuple[int, int, int]] = []

    def stop(row: arrow_csv.InvalidRow) -> str:
        seen.append((row.number, row.expected_columns, row.actual_columns))
        return "error"

    # Rows are numbered in one thread only, hence this second reading.
    with suppress(pa.ArrowInvalid):
        arrow_csv.read_csv(path, _options(use_threads=False), _parsing(delimiter, stop))
    return seen[0] if seen else None


def _options(use_threads: bool = True) -> arrow_csv.ReadOptions:
    return arrow_csv.ReadOptions(block_size=_BLOCK, use_threads=use_threads)


def _parsing(
    delimiter: str, stop: Callable[[arrow_csv.InvalidRow], str] | None = None
) -> arrow_csv.ParseOptions:
    return arrow_csv.ParseOptions(
        delimiter=delimiter, newlines_in_values=True, invalid_row_handler=stop
    )


def _read_header(path: Path) -> tuple[str, list[str]]:
    compression = "gzip" if path.suffix == ".gz" else None
    with pa.input_stream(str(path), compression=compression) as stream:
        head = stream.read(_HEADER_BYTES)
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise _not_utf8(path, "UTF-16")
    line = head.lstrip(b"\r\n").split(b"\n", 1)[0]
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _not_utf8(path) from error
    if not text.strip():
        raise DataError(f"the file '{path}' is empty", todo="give a file with a header and rows")
    counts = {mark: text.count(mark) for mark in (",", "\t", ";", "|")}
    delimiter = max(counts, key=lambda mark: counts[mark]) if not counts[","] else ","
    delimiter = "\t" if ".tsv" in path.suffixes else delimiter
    names = next(csv.reader(io.StringIO(text.strip("\r")), delimiter=delimiter), [])
    for position, name in enumerate(names):
        if not name.strip():
            raise DataError(
                f"column {position + 1} of '{path}' has no name",
                todo="name it in the header (pandas: to_csv(..., index=False))",
            )
    return delimiter, names


def _not_utf8(path: Path, encoding: str = "") -> DataError:
    return DataError(
        f"the file '{path}' is not encoded in UTF-8",
        got=encoding,
        todo="convert it, e.g.: iconv -f "
        f"{encoding or 'WINDOWS-1252'} -t UTF-8 '{path.name}' > 'utf8-{path.name}'",
    )


def _keep_codes(table: pa.Table, path: Path, delimiter: str) -> pa.Table:
    """Read columns of digits once more as text, and keep them so where a number would lose some."""
    if len(set(table.column_names)) < table.num_columns:
        return table  # Two columns of one name: refused where every format is checked.
    suspects = [name for name in table.column_names if _may_be_codes(table.column(name))]
    if not suspects:
        return table
    convert = arrow_csv.ConvertOptions(
        include_columns=suspects, column_types={name: pa.string() for name in suspects}
    )
    texts = _read(path, delimiter, convert)
    for name in suspects:
        pattern = "^[+-]?0[0-9]+$|^[0-9]{17,}$"
        if pc.any(pc.match_substring_regex(texts.column(name), pattern)).as_py():
            at = table.schema.get_field_index(name)
            table = table.set_column(at, name, texts.column(name))
    return table


def _may_be_codes(column: pa.ChunkedArray) -> bool:
    if pa.types.is_integer(column.type):
        return True
    if not pa.types.is_floating(column.type):
        return False
    largest = pc.max(pc.abs(column)).as_py()
    return largest is not None and largest >= _EXACT_INTEGERS


def _empty_as_missing(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pa.types.is_string(column.type):
        return column
    return pc.if_else(pc.equal(column, ""), None, column)


class CsvWriter:
    """Write chunks of a table as CSV: commas, Unix line ends, quotes only where they are needed."""

    def __init__(self, stream: BinaryIO, *, escape_formulas: bool = False) -> None:
        self._stream = stream
        self._escape = escape_formulas
        self._begun = False

    def write(self, table: pa.Table, schema: Schema) -> None:
        """Append the rows of `table`; the first call writes the header."""
        if not self._begun:
            header = pa.array(table.column_names, pa.string())
            cells = _quoted(_without_formulas(header) if self._escape else header)
            self._stream.write((",".join(cells.to_pylist()) + "\n").encode())
            self._begun = True
        if table.num_rows == 0:
            return
        columns = [self._cells(table, name, schema) for name in table.column_names]
        if len(columns) == 1:
            # A line with nothing on it is no row to any reader.
            columns = [pc.if_else(pc.equal(columns[0], ""), '""', columns[0])]
        lines = pc.binary_join_element_wise(*columns, ",")
        self._stream.write(("\n".join(lines.to_pylist()) + "\n").encode())

    def _cells(self, table: pa.Table, name: str, schema: Schema) -> pa.StringArray:
        column = table.column(name)
        if name == RESERVED[2]:
            texts = pc.binary_join(column.combine_chunks(), " ")
        else:
            texts = cell_texts(column, schema[name] if name in schema.names else None)
        if pa.types.is_string(column.type) or pa.types.is_nested(column.type):
            texts = _quoted(_without_formulas(texts) if self._escape else texts)
        return pc.fill_null(texts, "")


def _quoted(texts: pa.StringArray) -> pa.StringArray:
    doubled = pc.binary_join_element_wise('"', pc.replace_substring(texts, '"', '""'), '"', "")
    return pc.if_else(pc.match_substring_regex(texts, r'[",\r\n]|^$|^\s|\s$'), doubled, texts)


def _without_formulas(texts: pa.StringArray) -> pa.StringArray:
    """Put an apostrophe before what a spreadsheet would run; plain numbers stay as they are."""
    formula = pc.match_substring_regex(texts, r"^[=+\-@\t\r]")
    number = pc.match_substring_regex(texts, r"^[+-]?[0-9]+([.,][0-9]+)?$")
    return pc.if_else(
        pc.and_not(formula, number), pc.binary_join_element_wise("'", texts, ""), texts
    )

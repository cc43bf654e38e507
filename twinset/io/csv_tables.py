"""CSV and TSV: a table from a file whose cells say what its columns are, or the cells alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv

from twinset.core.data.reading import Reason, Remark
from twinset.core.data.schema import RESERVED, Schema
from twinset.core.errors import DataError, without_values
from twinset.io.formulas import are_formulas_escaped, escape_formulas, unescape_formulas
from twinset.io.reading.layout import (
    UNNAMED,
    BytesFound,
    Layout,
    RawText,
    check_header,
    check_quotes,
    find_layout,
    not_utf8,
)
from twinset.io.reading.notation import interpret
from twinset.io.reading.options import ReadOptions

BLOCK_BYTES = 16 << 20  # parsed at once: a row must fit, e.g. one with a long text or boxes
_EXACT_INTEGERS = 2**53  # from here float64 no longer holds every integer


def read_csv(
    path: Path,
    text_columns: Sequence[str] = (),
    options: ReadOptions | None = None,
    remarks: list[Remark] | None = None,
) -> pa.Table:
    """Return the table in a CSV file with a header; `.gz` files are unpacked while they are read.

    An empty cell is a missing value, in every column. Formulas that were escaped, as the options or the
    card of the file say, are texts as before. Whole numbers that are no quantities, such as
    "00123" or those too long for an exact number, stay texts. Numbers and dates in a national notation
    are read where every cell allows one reading only. The file is UTF-8, with or without a byte order
    mark; cells are separated by commas, tabs, semicolons or bars.

    Parameters
    ----------
    path : Path
        The file.
    text_columns : sequence of str
        Columns whose cells are returned as they are.
    options : ReadOptions, optional
        How to read what allows several readings.
    remarks : list of Remark, optional
        Gets a remark for each decision.

    Raises
    ------
    DataError
        The file is no text, no table, or its quotes, rows or header do not fit.
    """
    options = options or ReadOptions()
    has_escapes = options.escaped_formulas
    if has_escapes is None:
        has_escapes = are_formulas_escaped(path)
    if has_escapes and text_columns:
        escaped = escape_formulas(pa.array(text_columns, pa.string())).to_pylist()
        text_columns = [*text_columns, *escaped]
    raw = RawText.from_file(path)
    layout = find_layout(raw, options)
    known = [*text_columns, *options.text, *options.category]
    _check_names(path, layout, (*options.text, *options.number, *options.category))
    found = _scanned(raw, layout)
    table = _parse_csv(raw, layout, _convert_options(layout, known, options))
    if any(pa.types.is_binary(kind) for kind in table.schema.types):
        raise not_utf8(path)
    notes = [*layout.remarks, *_requested(options)]
    if len(set(table.column_names)) == table.num_columns:  # else refused where every format is
        if options.header is None:
            notes += check_header(path, table, layout.names)
        check_quotes(raw, layout, table, found.n_quotes)
        table = _keep_codes(table, raw, layout, found, known, notes)
        table = _interpret_texts(table, path, layout, known, options, notes)
        if layout.delimiter == ";" and options.decimal != ".":
            table = _check_dots(table, raw, layout, known, options, notes)
    if remarks is not None:
        remarks += notes
    if has_escapes:
        table = unescape_formulas(table)
    columns = [
        pc.if_else(pc.equal(column, ""), None, column)
        if pa.types.is_string(column.type)
        else column
        for column in table.columns
    ]
    return pa.table(columns, names=table.column_names)


class CellTable(NamedTuple):
    """The cells of a CSV file as texts, and how its lines are written."""

    cells: pa.Table
    delimiter: str
    encoding: str  # Empty for UTF-8


def read_cells(path: Path, schema: Schema, options: ReadOptions) -> CellTable:
    """Return the cells of a CSV file as they are, whatever its encoding; empty ones are missing.

    `schema` is that of the columns that are expected: where the options say that these were numbered, a
    first line without any of their names is a row.

    Raises
    ------
    DataError
        As `read_csv`, except for the encoding and for columns without a name.
    """
    raw = RawText.from_file(path).in_utf8()
    layout = find_layout(raw, replace(options, header=True), may_be_unnamed=True)
    if options.header is False and not set(layout.names) & set(schema.names):
        layout = find_layout(raw, options)
    found = _scanned(raw, layout)
    convert = arrow_csv.ConvertOptions(
        column_types=dict.fromkeys(layout.names, pa.string()),
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=True,
    )
    table = _parse_csv(raw, layout, convert)
    own = {field.name: field.stored_type for field in schema.fields}
    kinds = [own.get(name, pa.string()) for name in table.column_names]
    check_quotes(raw, layout, table, found.n_quotes, kinds)
    has_escapes = options.escaped_formulas
    if are_formulas_escaped(path) if has_escapes is None else has_escapes:
        table = unescape_formulas(table)
    return CellTable(table, layout.delimiter, raw.encoding)


def find_delimiter(path: Path, options: ReadOptions) -> str:
    """Return the character between the cells of a CSV file."""
    return find_layout(RawText.from_file(path), options).delimiter


def _scanned(raw: RawText, layout: Layout) -> BytesFound:
    """Return which bytes of a text occur; raise DataError for zero bytes."""
    found = raw.scan(layout.delimiter)
    if found.has_null:
        raise DataError(
            f"the file '{raw.path}' holds bytes that are no text",
            got="zero bytes",
            todo="write or fetch the file again: it may have been cut off",
        )
    return found


def _requested(options: ReadOptions) -> list[Remark]:
    """Return a remark for each column whose kind was requested; numbers are counted where they are read."""
    kinds = dict.fromkeys(options.text, "text") | dict.fromkeys(options.category, "category")
    return [Remark(reason=Reason.REQUESTED, column=n, sign=kind) for n, kind in kinds.items()]


def _check_names(path: Path, layout: Layout, named: Sequence[str]) -> None:
    for name in named:
        if name not in layout.names:
            raise DataError.unknown(f"'{path}' has no column '{name}'", name, layout.names)


def _convert_options(
    layout: Layout, text_columns: Sequence[str], options: ReadOptions
) -> arrow_csv.ConvertOptions:
    types = {name: pa.string() for name in text_columns if name in layout.names}
    convert = arrow_csv.ConvertOptions(column_types=types)
    if options.missing:
        convert.null_values = [*convert.null_values, *options.missing]
    return convert


def _parse_csv(raw: RawText, layout: Layout, convert: arrow_csv.ConvertOptions) -> pa.Table:
    try:
        return arrow_csv.read_csv(
            pa.BufferReader(raw.data), _read_options(layout), _parse_options(layout), convert
        )
    except pa.ArrowInvalid as error:
        fault = _first_ragged_row(raw, layout)
        if fault is None:
            raise
        row, expected, actual = fault
        raise DataError(
            f"the rows of '{raw.path}' differ in length",
            got=f"{actual} cells in row {row}, under a header of {expected}",
            todo="quote cells that hold the delimiter, or complete the row",
        ) from without_values(error)


def _first_ragged_row(raw: RawText, layout: Layout) -> tuple[int, int, int] | None:
    """Return the number of the first row of another length (the header is row 1) and both lengths."""
    seen: list[tuple[int, int, int]] = []

    def stop(row: arrow_csv.InvalidRow) -> str:
        seen.append((row.number, row.expected_columns, row.actual_columns))
        return "error"

    # Rows are numbered in one thread only, hence this second reading.
    with suppress(pa.ArrowInvalid):
        arrow_csv.read_csv(
            pa.BufferReader(raw.data), _read_options(layout, False), _parse_options(layout, stop)
        )
    return seen[0] if seen else None


def _read_options(layout: Layout, use_threads: bool = True) -> arrow_csv.ReadOptions:
    # Names of our own stand in the place of the first line.
    is_numbered = any(name.startswith(UNNAMED) for name in layout.names)
    return arrow_csv.ReadOptions(
        block_size=BLOCK_BYTES,
        use_threads=use_threads,
        skip_rows=layout.skip + is_numbered,
        column_names=list(layout.names) if is_numbered or not layout.header else None,
    )


def _parse_options(
    layout: Layout, stop: Callable[[arrow_csv.InvalidRow], str] | None = None
) -> arrow_csv.ParseOptions:
    return arrow_csv.ParseOptions(
        delimiter=layout.delimiter, newlines_in_values=True, invalid_row_handler=stop
    )


def _as_texts(raw: RawText, layout: Layout, names: Sequence[str]) -> pa.Table:
    """Return columns with their cells as they are."""
    convert = arrow_csv.ConvertOptions(
        include_columns=names, column_types={name: pa.string() for name in names}
    )
    return _parse_csv(raw, layout, convert)


def _keep_codes(
    table: pa.Table,
    raw: RawText,
    layout: Layout,
    found: BytesFound,
    known: Sequence[str],
    notes: list[Remark],
) -> pa.Table:
    """Return the table with columns of digits as text where a number would lose some of the digits."""
    suspects = [
        name
        for name in table.column_names
        if name not in known and _may_be_codes(table.column(name), found.has_codes)
    ]
    if not suspects:
        return table
    texts = _as_texts(raw, layout, suspects)
    for name in suspects:
        pattern = "^[ \t]*([+-]?(0[0-9]+|0[xX].*|[0-9]{17,}|[0-9]+[eE][0-9]+)|[+][0-9]{8,})[ \t]*$"
        if pc.any(pc.match_substring_regex(texts.column(name), pattern)).as_py():
            at = table.schema.get_field_index(name)
            table = table.set_column(at, name, texts.column(name))
            notes.append(Remark(reason=Reason.DIGITS_KEPT, column=name))
    return table


def _may_be_codes(column: pa.ChunkedArray, has_leading_zeros: bool) -> bool:
    """Return whether a number may have lost digits: a zero before it, or those beyond exact numbers."""
    is_whole = pa.types.is_integer(column.type)
    if not is_whole and not pa.types.is_floating(column.type):
        return False
    if is_whole and has_leading_zeros:
        return True
    if not is_whole and pc.all(pc.equal(column, pc.floor(column))).as_py():
        return True
    ends = pc.min_max(column).as_py()
    return ends["max"] is not None and max(-ends["min"], ends["max"]) >= _EXACT_INTEGERS


def _interpret_texts(
    table: pa.Table,
    path: Path,
    layout: Layout,
    known: Sequence[str],
    options: ReadOptions,
    notes: list[Remark],
) -> pa.Table:
    """Return the table with numbers and dates in another notation as such."""
    codes = {one.column for one in notes if one.reason is Reason.DIGITS_KEPT}
    mixed: list[Remark] = []
    n_columns = table.num_columns
    for at, name in enumerate(table.column_names):
        column = table.column(at)
        if name in known or name in codes or name in RESERVED:
            continue
        if pa.types.is_string(column.type):
            if options.missing:
                is_missing = pc.is_in(column, pa.array(options.missing))
                column = pc.if_else(is_missing, pa.scalar(None, pa.string()), column)
            found = interpret(column, name, options, comma_delimited=layout.delimiter != ";")
            table = table.set_column(at, name, found.column)
            notes += found.remarks
            mixed += [one for one in found.remarks if one.reason is Reason.NUMBERS_MIXED]
    first = [one for one in mixed if one.row == 2 and one.rows == 1]
    if len(first) > 1 or (first and n_columns == 1):
        raise DataError(
            f"the row below the header of '{path}' is no row of the table",
            got=f"texts above numbers in {len(first)} columns",
            allowed="one header",
            todo="remove the second header, or the units, or name the columns with "
            "--read text=COLUMN,... if they are texts",
        )
    return table


def _check_dots(
    table: pa.Table,
    raw: RawText,
    layout: Layout,
    known: Sequence[str],
    options: ReadOptions,
    notes: list[Remark],
) -> pa.Table:
    """Return the table with 1.234 as 1234 where other columns show that commas precede decimals.

    A file with semicolons comes from a country where they do.
    """
    read = {one.column for one in notes}
    has_commas = options.decimal == "," or Reason.DECIMAL_COMMA in {one.reason for one in notes}
    names = [
        name
        for name, column in zip(table.column_names, table.columns)
        if pa.types.is_floating(column.type) and name not in read and name not in known
    ]
    texts = _as_texts(raw, layout, names) if names else table
    forced = replace(options, decimal=",")
    for name in names:
        found = interpret(texts.column(name), name, forced, comma_delimited=False)
        are_groups = not pa.types.is_string(found.column.type)
        if are_groups and has_commas:
            at = table.schema.get_field_index(name)
            table = table.set_column(at, name, found.column)
        if are_groups:
            sign = ". groups" if has_commas else ". decimals"
            notes.append(Remark(reason=Reason.GROUPS_OR_DECIMALS, column=name, sign=sign))
        elif has_commas:
            notes.append(Remark(reason=Reason.DOT_DECIMALS, column=name))
    return table

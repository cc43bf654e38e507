"""Tables as text: CSV and TSV with a header, and JSON Lines; images lie in a folder beside the file."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
import pyarrow.json as arrow_json

from twinset.core.data.dataset import Dataset
from twinset.core.data.reading import Reason, Remark
from twinset.core.data.schema import RESERVED, Field, Schema
from twinset.core.errors import DataError, without_values
from twinset.core.untrusted import MAX_DEPTH, first_deep_line, is_flat, plain_rows
from twinset.io.files import flush_file, flush_folder, image_ending
from twinset.io.formulas import are_formulas_escaped, escape_formulas, unescape_formulas
from twinset.io.reading.layout import (
    BytesFound,
    Layout,
    RawText,
    check_header,
    check_quotes,
    find_layout,
    not_utf8,
    refuse_other_files,
)
from twinset.io.reading.notation import interpret
from twinset.io.reading.options import ReadOptions
from twinset.io.unpacking import check_expansion
from twinset.io.writer import Target, Writer

_BLOCK = (
    16 << 20
)  # bytes that Arrow parses at once: a row must fit, e.g. one with a long text or boxes
_GLANCE = 1 << 18  # bytes whose brackets are counted at once: they stay in the processor's cache
_HEADER_BYTES = 1 << 16  # enough to recognise another format
_EXACT_INTEGERS = 2**53  # from here float64 no longer holds every integer
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
        texts = _one_array(pc.cast(column, pa.string()))
        shorter = pc.replace_substring_regex(texts, r"(\.[0-9]*?)0+(Z|[+-][0-9]{4})?$", r"\1\2")
        return pc.replace_substring_regex(shorter, r"\.(Z|[+-][0-9]{4})?$", r"\1")
    if pa.types.is_nested(kind):
        values = (
            None if v is None else json.dumps(v, ensure_ascii=False) for v in column.to_pylist()
        )
        return pa.array(values, pa.string())
    if pa.types.is_date64(kind):
        column = pc.cast(column, pa.date32())
    return _one_array(pc.cast(column, pa.string()))


def _float_texts(column: pa.ChunkedArray, decimals: int | None) -> pa.StringArray:
    values = _one_array(column)
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


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks()
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def plain(table: pa.Table) -> pa.Table:
    """Return `table` with its dictionaries written out and without metadata."""
    columns = [
        pc.cast(column, column.type.value_type) if pa.types.is_dictionary(column.type) else column
        for column in table.columns
    ]
    return pa.table(columns, names=table.column_names)


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
    found = raw.scan(layout.delimiter)
    if found.has_null:
        raise DataError(
            f"the file '{path}' holds bytes that are no text",
            got="zero bytes",
            todo="write or fetch the file again: it may have been cut off",
        )
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
    return arrow_csv.ReadOptions(
        block_size=_BLOCK,
        use_threads=use_threads,
        skip_rows=layout.skip,
        column_names=None if layout.header else list(layout.names),
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


def read_jsonl(path: Path, text_columns: Sequence[str] = ()) -> pa.Table:
    """Return the table in a file of one JSON object a line; `.gz` files are unpacked while they are read.

    A key that a row does not have is a missing value.
    """
    options = arrow_json.ReadOptions(block_size=_BLOCK)
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
            lines += stream.readline(_BLOCK)
            n_rows = plain_rows(lines)
            if not n_rows:
                deep = None
                if not is_flat(lines):  # a value may go on in the lines behind
                    lines += stream.read(_BLOCK) + stream.readline(_BLOCK)
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
    place = f", line {int(row[1]) + 1}" if row and path.stat().st_size <= _BLOCK else ""
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

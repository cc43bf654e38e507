"""Texts in CSV that a spreadsheet would run as formulas: escape them, and read them back."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

ESCAPED = "in CSV, an apostrophe stands before each text that a spreadsheet would run as a formula"
"""Note on the card of a set whose CSV file has escaped formulas; it is read back by this note."""

# The characters that OWASP names (CSV injection), also in their wide and small forms, and behind blanks
# and quotes, which spreadsheets may drop. Behind apostrophes too: then the reader knows which to remove.
_FORMULA = (
    r"""^[\s\v\p{Z}\p{Cf}"'`\x{2018}-\x{201F}\x{FF02}\x{FF07}]*"""
    r"[=+\-@\t\r\n\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}\x{FE66}\x{FE62}\x{FE63}\x{FE6B}]"
)
_NUMBER = r"^[+-]?[0-9]+([.,][0-9]+)?$"
_RECORD_BYTES = 16 << 20  # a larger file is no card: one has a few KB


def escape_formulas(texts: pa.StringArray) -> pa.StringArray:
    """Return texts with an apostrophe before what a spreadsheet would run, plain numbers unchanged.

    Examples
    --------
    >>> escape_formulas(pa.array(["=1+1", "-5", " @x", "a-b"])).to_pylist()
    ["'=1+1", '-5', "' @x", 'a-b']
    """
    return pc.if_else(_is_formula(texts), pc.binary_join_element_wise("'", texts, ""), texts)


def unescape_formulas(table: pa.Table) -> pa.Table:
    """Return a table whose names and texts are those before `escape_formulas`."""
    columns = [
        _unescaped(column) if pa.types.is_string(column.type) else column
        for column in table.columns
    ]
    names = _unescaped(pa.array(table.column_names, pa.string())).to_pylist()
    return pa.table(columns, names=names)


def are_formulas_escaped(path: Path) -> bool:
    """Return whether the card of a delivered CSV file, or the note beside a twin, says so."""
    records = (path.with_name("cards.json"), path.with_name(f"{path.name}.twin.json"))
    return any(
        os.path.isfile(record)
        and os.path.getsize(record) <= _RECORD_BYTES
        and ESCAPED.encode() in record.read_bytes()
        for record in records
    )


def _is_formula(texts: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    return pc.and_not(
        pc.match_substring_regex(texts, _FORMULA), pc.match_substring_regex(texts, _NUMBER)
    )


def _unescaped(texts: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    rest = pc.utf8_slice_codeunits(texts, 1)
    return pc.if_else(pc.and_(pc.starts_with(texts, "'"), _is_formula(rest)), rest, texts)

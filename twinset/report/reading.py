"""Sentences on how a table was read: what each decision rests on, and what to write to overrule it."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from twinset.core.data.reading import ColumnReading, Reason, Remark, TableReading

_AS_TEXT = "--read text={name}"
_AS_NUMBER = "--read number={name} (any other cell is then missing)"
_AS_CATEGORY = "--read category={name}"
_IN_SOURCE = "change the column in the source"

# Reason -> what the decision rests on, and what to write to overrule it
_SENTENCES: Mapping[Reason, tuple[str, str]] = {
    Reason.DELIMITER: ("cells are separated by {mark}", "--read delimiter=CHARACTER"),
    Reason.TWO_DELIMITERS: (
        "{mark} and another character both separate the cells of all rows evenly; {mark} is taken",
        "--read delimiter=CHARACTER",
    ),
    Reason.HEADER_ABSENT: ("there is no header, so columns are numbered", "--read header=yes"),
    Reason.NUMBER_NAMES: (
        "names of columns in row 1 are numbers; if row 1 is a row, it is not among the rows",
        "--read header=no",
    ),
    Reason.COMMENT_NAME: (
        "the header begins with #, which is taken as part of a name",
        "--read skip=1",
    ),
    Reason.EMPTY_LINES: (
        "empty lines are no rows",
        'write "" for a missing value in a file of one column',
    ),
    Reason.LINEAGE_NAMES: (
        "{mark}: no columns of the data, as twinset keeps the lineage of rows under these names",
        "rename them in the file",
    ),
    Reason.TOTALS_ROW: (
        "row {row}, the last one, holds the sums of the numbers above it; it is read as a row",
        "remove the row from the source",
    ),
    Reason.DECIMAL_COMMA: ("numbers with decimal commas", _AS_TEXT),
    Reason.GROUPS: ("{mark} is taken as a separator of thousands", _AS_TEXT),
    Reason.GROUPS_OR_DECIMALS: (
        "its numbers can be thousands or have three decimals; {mark} is taken as {role}",
        "--read decimal=. or --read decimal=, or " + _AS_TEXT,
    ),
    Reason.SIGN: ("the sign {mark} of all numbers is left out", _AS_TEXT),
    Reason.BRACKETS: ("numbers in brackets or before a minus are read as negative", _AS_TEXT),
    Reason.MARKER_MISSING: (
        "{rows} cells{marked} among numbers or dates are read as missing",
        _AS_TEXT,
    ),
    Reason.DATE_NOTATION: ("dates, {mark}", _AS_TEXT),
    Reason.DIGITS_KEPT: ("digits that a number would lose", _AS_NUMBER),
    Reason.REQUESTED: ("as requested{others}", "leave out --read {role}"),
    Reason.NUMBERS_MIXED: (
        "{rows} cells are no numbers, the first in row {row}, so all are read as texts",
        _AS_NUMBER,
    ),
    Reason.NOTATIONS_MIXED: (
        "numbers in more than one notation, so all are read as texts",
        "write all like 1234.5 in the source, or " + _AS_NUMBER,
    ),
    Reason.DATES_MIXED: (
        "dates in two notations, or cells that are none{at}; all are read as texts",
        "write all as 2024-12-31 in the source",
    ),
    Reason.DATE_ORDER: (
        "dates that fit both orders of day and month, so they are read as texts",
        "--read dates=day-first or --read dates=month-first",
    ),
    Reason.SHORT_YEARS: (
        "dates with years of two digits, which are read as texts",
        "write them as 2024-12-31 in the source",
    ),
    Reason.NUMBERS_IN_TEXT: (
        "its texts are numbers, and the file declares texts",
        "convert them to numbers such as 1234.5 in the source",
    ),
    Reason.DATES_IN_TEXT: (
        "its texts are dates, and the file declares texts",
        "convert them to dates such as 2024-12-31 in the source",
    ),
    Reason.DOT_DECIMALS: (
        "a point precedes its decimals, while other columns have commas there",
        "--read decimal=. or " + _AS_TEXT,
    ),
    Reason.MARKER_LEVEL: (
        "{rows} cells{marked} may stand for missing values; they are a label of their own",
        "--read missing={value}",
    ),
    Reason.MARKER_NUMBER: (
        "{rows} cells{marked} lie far from all others and may stand for missing values",
        "--read missing={value}",
    ),
    Reason.ROW_NUMBERS: (
        "its numbers count the rows; they are drawn like any number",
        "remove the column",
    ),
    Reason.TIME_NUMBERS: (
        "its numbers can be {role} since 1970; they are read as numbers",
        "write dates in the source",
    ),
    Reason.DAY_NUMBERS: (
        "its numbers can be days such as 20241231; they are read as numbers",
        "write dates as 2024-12-31 in the source",
    ),
    Reason.LARGE_NUMBERS: (
        "its integers are too large for exact arithmetic, and may have lost digits",
        "write them as texts in the source, or " + _AS_TEXT,
    ),
    Reason.LEVELS_ALIKE: (
        "labels have spaces around them or differ in upper and lower case only ({rows}); all are kept",
        _IN_SOURCE,
    ),
    Reason.TRUTH_MIXED: (
        "true and false in more than one spelling; each spelling is a label of its own",
        _IN_SOURCE,
    ),
    Reason.PADDED_NAME: ("the name of the column has spaces around it", _IN_SOURCE),
    Reason.NOT_REPEATED: (
        "short texts that seldom repeat; new ones are made up in their place",
        _AS_CATEGORY + " or " + _AS_NUMBER,
    ),
    Reason.NO_VALUES: ("no cell has a value", "remove the column"),
    Reason.NUMBER_CELLS: ("every cell is a number", _AS_TEXT),
    Reason.DATE_CELLS: ("every cell is a date or time", _AS_TEXT),
    Reason.TRUTH_CELLS: ("true and false", _AS_TEXT),
    Reason.TWO_NUMBERS: ("one or two whole numbers", "--read number={name}"),
    Reason.KEY_NAME: ("named like a key", _AS_CATEGORY),
    Reason.KEY_CELLS: ("looks like keys", _AS_CATEGORY),
    Reason.LONG_TEXTS: ("texts of several words", _AS_CATEGORY),
    Reason.FEW_LEVELS: ("labels that repeat", _AS_TEXT),
    Reason.STORED_TYPE: ("type in the file", _IN_SOURCE),
    Reason.ONE_VALUE: ("one value in all rows", "remove the column"),
}
_MARKS = {
    "\t": "the tab",
    " ": "a space",
    ",": "a comma",
    ";": "a semicolon",
    "|": "a bar",
    ".": "a point",
}
_MAX_CERTAIN = 20  # certain columns that are listed: a screen; the uncertain ones are all listed
_MAX_NAME = 24  # characters of a name in the table; longer ones push all columns off the screen


@dataclass(frozen=True)
class ReadingLine:
    """One column or fact of the table that a command prints."""

    cells: tuple[str, ...]  # column, kind, role, missing, distinct, what the decision rests on
    sentences: tuple[str, ...] = ()  # of an uncertain one: below it
    is_sure: bool = True


HEAD = ("column", "kind", "role", "missing", "distinct", "rests on")


def remark_sentence(remark: Remark) -> str:
    """Return what a remark says, and for an uncertain one what to write to overrule it.

    Examples
    --------
    >>> remark_sentence(Remark(reason=Reason.SIGN, column="price", sign="€"))
    'the sign € of all numbers is left out. To overrule: --read text=price'
    """
    reason, todo = (_filled(text, remark) for text in _SENTENCES[remark.reason])
    return reason if remark.is_sure else f"{reason}. To overrule: {todo}"


def reading_lines(reading: TableReading) -> list[ReadingLine]:
    """Return the lines of the table on how a file was read: uncertain ones first."""
    lines = [
        ReadingLine(("(the file)", "", "", "", "", ""), (remark_sentence(one),), False)
        for one in reading.remarks
        if not one.is_sure
    ]
    certain = [one for one in reading.columns if one.is_sure]
    lines += [_column_line(one) for one in reading.columns if not one.is_sure]
    return lines + [_column_line(one) for one in certain[:_MAX_CERTAIN]]


def rest_sentence(reading: TableReading) -> str:
    """Return how many certain columns the table leaves out, by kind; empty where there is none."""
    rest = [one for one in reading.columns if one.is_sure][_MAX_CERTAIN:]
    if not rest:
        return ""
    kinds = ", ".join(
        f"{n:,} {kind}" for kind, n in Counter(one.kind for one in rest).most_common()
    )
    return f"and {len(rest):,} more columns without doubt: {kinds}"


def file_sentence(reading: TableReading) -> str:
    """Return what is certain of the file as a whole."""
    sure = [remark_sentence(one) for one in reading.remarks if one.is_sure]
    n_doubts = len(reading.remarks) - len(sure) + sum(not one.is_sure for one in reading.columns)
    facts = [f"{reading.n_rows:,} rows, {len(reading.columns):,} columns", *sure]
    facts.append(f"{n_doubts:,} uncertain, listed first" if n_doubts else "none uncertain")
    return "; ".join(facts)


def reading_notes(reading: TableReading, known: Collection[str | None] = ()) -> list[str]:
    """Return one sentence for each uncertain decision, except on columns that the user named."""
    notes = [remark_sentence(one) for one in reading.remarks if not one.is_sure]
    for column in reading.columns:
        if column.name in known:
            continue
        notes += [f"'{column.name}': {remark_sentence(r)}" for r in column.remarks if not r.is_sure]
    return notes


def _column_line(one: ColumnReading) -> ReadingLine:
    name = one.name if len(one.name) <= _MAX_NAME else one.name[: _MAX_NAME - 3] + "..."
    missing = _percent(one.missing_share)
    distinct = "-" if one.n_distinct is None else f"{one.n_distinct:,}"
    if one.n_distinct is not None and not one.is_counted:
        distinct += "+"
    reason = _brief(one.remarks) if one.is_sure else ""
    doubts = tuple(remark_sentence(r) for r in one.remarks if not r.is_sure)
    cells = (name, one.kind, one.role, missing, distinct, reason)
    return ReadingLine(cells, doubts, one.is_sure)


def _brief(remarks: Sequence[Remark]) -> str:
    return "; ".join(remark_sentence(one) for one in remarks)


def _percent(share: float) -> str:
    if share == 0:
        return "0 %"
    return "< 1 %" if share < 0.01 else f"{min(100 * share, 99) if share < 1 else 100:.0f} %"


def _filled(text: str, remark: Remark) -> str:
    """Return a sentence with the facts of a remark."""
    mark, _, role = remark.sign.partition(" ") if remark.sign.strip() else (remark.sign, "", "")
    if remark.reason in (Reason.DATE_NOTATION, Reason.LINEAGE_NAMES):
        mark = remark.sign
    elif remark.reason in (Reason.TIME_NUMBERS, Reason.REQUESTED):
        role = remark.sign
    roles = {"groups": "a separator of thousands", "decimals": "the decimal mark"}
    filled = text.format(
        name=shlex.quote(remark.column),
        rows=f"{remark.rows or 0:,}",
        row=f"{remark.row or 0:,}",
        mark=_MARKS.get(mark, mark),
        role=roles.get(role, role),
        marked=f" with {remark.sign}" if remark.sign else "",
        value=shlex.quote(remark.sign) if remark.sign else "VALUE",
        others=f"; {remark.rows:,} other cells are missing" if remark.rows else "",
        at=f", the first in row {remark.row:,}" if remark.row else "",
    )
    if remark.rows == 1:
        for many, single in (
            ("1 cells are no numbers", "1 cell is no number"),
            ("1 cells", "1 cell"),
            ("are read as missing", "is read as missing"),
        ):
            filled = filled.replace(many, single)
    return filled

"""Sentences on how a candidate's file is written otherwise than the real one, and what was understood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twinset.core.reading_faults import ReadingFault, ReadingFaultKind, ReadingFaults
from twinset.report.answers.phrases import capitalize, count
from twinset.report.answers.sentences import describe

_MAX_SHOWN = 4  # faults in a sentence; all of them stand in the JSON
_MAX_ROWS = 5  # rows that a sentence names
_MARKS = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "bars", " ": "spaces"}

_SENTENCES: Mapping[ReadingFaultKind, str] = {
    ReadingFaultKind.MISSING_COLUMN: "the column '{column}' is missing, so it is not compared",
    ReadingFaultKind.ADDED_COLUMN: "the real set has no column '{column}', so it is not compared",
    ReadingFaultKind.COLUMN_NAME: "the column '{column}' is named '{sign}'",
    ReadingFaultKind.COLUMN_ORDER: "the columns stand in another order than in the real set",
    ReadingFaultKind.DELIMITER: "cells are separated by {mark}, unlike those of the real file",
    ReadingFaultKind.ENCODING: "the file is not encoded in UTF-8 and was read as {sign}",
    ReadingFaultKind.UNREADABLE: "'{column}' has no value of its kind {rows}; compared as missing",
    ReadingFaultKind.MISSING_MARK: "'{column}' has {mark} {rows}; compared as missing",
    ReadingFaultKind.FRACTIONS: "'{column}' holds integers in real rows, and other numbers {rows}; "
    "compared as numbers",
    ReadingFaultKind.FLOATS: "integers of '{column}' are written as floats, like 1.0, {rows}",
    ReadingFaultKind.NUMBERS: "numbers of '{column}' are written with {sign} {rows}",
    ReadingFaultKind.SIGN: "numbers of '{column}' have the sign {sign}, which was left out, {rows}",
    ReadingFaultKind.TEXTS: "'{column}' holds {sign} in the place of numbers or dates {rows}",
    ReadingFaultKind.DATES: "dates of '{column}' are written otherwise ({sign}) {rows}",
    ReadingFaultKind.ZONE: "times of '{column}' {zone} {rows}",
    ReadingFaultKind.TRUTH: "'{column}' has {sign} in the place of the real labels {rows}",
    ReadingFaultKind.LEVELS: "labels of '{column}' differ from the real ones in {sign} {rows}",
}
"""Kind of fault -> its clause."""


def reading_fault_sentence(fault: ReadingFault, n: int) -> str:
    """Return what is written otherwise in a set of `n` rows, with the first of the rows.

    >>> fault = ReadingFault(kind=ReadingFaultKind.UNREADABLE, column="age", n_rows=1, rows=(7,))
    >>> reading_fault_sentence(fault, 500)
    "'age' has no value of its kind in 1 of 500 rows (row 7); compared as missing"
    """
    said = _SENTENCES[fault.kind]
    if fault.sign == "empty cells":
        said = "'{column}' is empty {rows}, where real rows have a label that says so; read as that label"
    shown = ", ".join(f"{row:,}" for row in fault.rows[:_MAX_ROWS])
    shown += ", ..." if fault.n_rows > _MAX_ROWS else ""
    numbers = f"{'row' if fault.n_rows == 1 else 'rows'} {shown}"
    rows = "in all rows" if fault.n_rows == n else f"in {fault.n_rows:,} of {n:,} rows ({numbers})"
    zone = f"have the zone {fault.sign} and are read as the clock there shows"
    return said.format(
        column=fault.column,
        sign=fault.sign,
        mark=_MARKS.get(fault.sign, f"'{fault.sign}'" if fault.sign else "blank cells"),
        rows=rows,
        zone="have no zone and are read as UTC" if fault.sign == "none" else zone,
    )


def reading_notes(faults: Sequence[ReadingFault], n: int) -> list[str]:
    """Return one sentence for each fault of a file of `n` rows."""
    return [f"{capitalize(reading_fault_sentence(one, n))}." for one in faults]


@describe.register
def _(found: ReadingFaults) -> str:
    if not found.faults:
        return "cells are written like those of the real set"
    said = [reading_fault_sentence(one, found.n_synthetic) for one in found.faults[:_MAX_SHOWN]]
    left = len(found.faults) - len(said)
    more = [f"And {count(left, 'further difference')}"] if left else []
    return ". ".join([said[0], *map(capitalize, said[1:]), *more])

"""The sheet that texts are written on, and the steps that write: text, values, choices, marks."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from twinset.core.errors import ParameterError

from .pairwise_order import Buckets
from .values import Entry, Records, Source, Uniform, bucket_of

_TRIES = 200
_BATCH = 4_096


@dataclass
class TextBuffer:
    """What was written so far, column by column; and the state of the text that is being written.

    Parameters
    ----------
    u : callable
        The stream of numbers in [0, 1).
    n_watched : int
        How many slots and tables are watched for coverage.
    """

    u: Uniform
    n_watched: int
    texts: list[str] = field(default_factory=list)
    row_ends: list[int] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    values: list[str] = field(default_factory=list)
    meant: list[str | None] = field(default_factory=list)
    records: list[dict[tuple[str, int], int]] = field(default_factory=list)
    seen: list[int] = field(default_factory=list)
    # The text that is being written:
    parts: list[str] = field(default_factory=list)
    length: int = 0
    place: int = 0
    cell: int = -1
    ends_blank: bool = True
    bound: dict[tuple[str, int], Entry] = field(default_factory=dict)
    rows: dict[tuple[str, int], int] = field(default_factory=dict)

    def begin(self, place: int, cell: int = -1) -> None:
        """Start the text at a place of the set; `cell` is that of the design, or -1."""
        self.parts, self.length, self.ends_blank = [], 0, True
        self.place, self.cell = place, cell
        self.bound, self.rows = {}, {}
        self.seen += [-1] * self.n_watched

    def finish(self, *, loose: bool, capital: bool) -> None:
        """End the text: behind a part that lacks no blank is left, and it may begin with a capital."""
        text = "".join(self.parts)
        if loose and self.ends_blank:
            text = text.rstrip(" ")
        if capital:
            first = self.row_ends[-1] if self.row_ends else 0
            text = _with_capital(text, self.starts[first] if len(self.starts) > first else None)
        self.texts.append(text)
        self.row_ends.append(len(self.starts))
        self.records.append(self.rows)

    def drop(self) -> None:
        """Forget the last text."""
        self.row_ends.pop()
        first = self.row_ends[-1] if self.row_ends else 0
        for column in (self.starts, self.ends, self.marks, self.values, self.meant):
            del column[first:]
        del self.seen[len(self.seen) - self.n_watched :]
        self.texts.pop()
        self.records.pop()


_OPENING = "¿¡„“\"'«("


def _with_capital(text: str, marked: int | None) -> str:
    """Return the text with its first letter as a capital, unless a mark begins there."""
    at = len(text) - len(text.lstrip(_OPENING))
    upper = text[at : at + 1].upper()
    # A capital of two letters would move what follows.
    if len(upper) != 1 or (marked is not None and marked <= at):
        return text
    return text[:at] + upper + text[at + 1 :]


Emit = Callable[[TextBuffer], None]
Fetch = Callable[[TextBuffer], Entry]


def uniforms(rng: np.random.Generator, batch: int = _BATCH) -> Iterator[float]:
    """Yield numbers in [0, 1) without end; they are drawn `batch` at a time.

    Examples
    --------
    >>> rng, same = np.random.default_rng(0), np.random.default_rng(0)
    >>> next(uniforms(rng)) == same.random()
    True
    """
    while True:
        yield from rng.random(batch).tolist()


def text_step(text: str, *, loose: bool) -> Emit:
    """Return the step that writes plain text.

    Parameters
    ----------
    text : str
        The text.
    loose : bool
        Whether a blank is left out at the start of the text and behind another blank, as is needed
        where the part before may be lacking.
    """
    n, ends_blank = len(text), text.endswith(" ")

    def write(sheet: TextBuffer) -> None:
        sheet.parts.append(text)
        sheet.length += n

    if not loose:
        return write
    bare = text.lstrip(" ")
    n_bare = len(bare)

    def write_loose(sheet: TextBuffer) -> None:
        if not sheet.ends_blank:
            sheet.parts.append(text)
            sheet.length += n
        elif n_bare:
            sheet.parts.append(bare)
            sheet.length += n_bare
        else:
            return
        sheet.ends_blank = ends_blank

    return write_loose


def maybe_step(steps: list[Emit], probability: float) -> Emit:
    """Return the step that takes other steps with a probability."""

    def write(sheet: TextBuffer) -> None:
        if sheet.u() < probability:
            for step in steps:
                step(sheet)

    return write


def choice_step(options: list[tuple[Emit, ...]], bounds: tuple[float, ...]) -> Emit:
    """Return the step that takes one of several ways; `bounds` are their cumulated weights."""

    def write(sheet: TextBuffer) -> None:
        for step in options[bisect_right(bounds, sheet.u())]:
            step(sheet)

    return write


def value_step(fetch: Fetch, mark: int | None) -> Emit:
    """Return the step that writes a value, and notes where it stands if it has a mark."""

    def write(sheet: TextBuffer) -> None:
        entry = fetch(sheet)
        sheet.parts.append(entry[0])
        sheet.length += entry[1]
        sheet.ends_blank = False

    if mark is None:
        return write

    def write_marked(sheet: TextBuffer) -> None:
        entry = fetch(sheet)
        start = sheet.length
        sheet.length = end = start + entry[1]
        sheet.parts.append(entry[0])
        sheet.ends_blank = False
        sheet.starts.append(start)
        sheet.ends.append(end)
        sheet.marks.append(mark)
        sheet.values.append(entry[0])
        sheet.meant.append(entry[2])

    return write_marked


def marked_step(inner: Emit, mark: int) -> Emit:
    """Return the step that marks what another step writes, without blanks at its ends."""

    def write(sheet: TextBuffer) -> None:
        at, start, first = len(sheet.parts), sheet.length, len(sheet.starts)
        inner(sheet)
        text = "".join(sheet.parts[at:])
        bare = text.strip()
        if not bare:
            # An empty value is no entity.
            return
        start += len(text) - len(text.lstrip())
        # The outer mark stands before those inside it.
        sheet.starts.insert(first, start)
        sheet.ends.insert(first, start + len(bare))
        sheet.marks.insert(first, mark)
        sheet.values.insert(first, bare)
        sheet.meant.insert(first, None)

    return write


def drawn_once(pick: Fetch, key: tuple[str, int], watched: int | None) -> Fetch:
    """Return what draws a value at its first use in a text and gives the same one later."""

    def fetch(sheet: TextBuffer) -> Entry:
        entry = sheet.bound.get(key)
        if entry is None:
            entry = sheet.bound[key] = pick(sheet)
            if watched is not None:
                sheet.seen[watched - sheet.n_watched] = entry[3]
        return entry

    return fetch


def draw_distinct(draw: Callable[[Uniform], Entry], names: frozenset[str], what: str) -> Fetch:
    """Return what draws until the value is none of those that these slots have in the same text."""

    def pick(sheet: TextBuffer) -> Entry:
        taken = [entry for (name, _), entry in sheet.bound.items() if name in names]
        known = {entry[0] for entry in taken} | {entry[2] for entry in taken if entry[2]}
        for _ in range(_TRIES):
            entry = draw(sheet.u)
            if entry[0] not in known and (entry[2] is None or entry[2] not in known):
                return entry
        raise too_alike(what)

    return pick


def drawn_by_design(source: Source, buckets: Buckets, column: int) -> Fetch:
    """Return what draws a value from the bucket that the design asks for, or any value."""
    at, draw, pick_in = source.at, source.draw, buckets.pick

    def pick(sheet: TextBuffer) -> Entry:
        number = pick_in(sheet.cell, column, sheet.u) if sheet.cell >= 0 else None
        return draw(sheet.u) if number is None else at(number)

    return pick


def changed(fetch: Fetch, change: Callable[[str], str]) -> Fetch:
    """Return what gives the same value in another way of writing; its canonical value stays."""

    def fetch_changed(sheet: TextBuffer) -> Entry:
        text, _, meant, bucket = fetch(sheet)
        other = change(text)
        return other, len(other), text if meant is None and other != text else meant, bucket

    return fetch_changed


def record_once(
    pick: Callable[[TextBuffer], int], key: tuple[str, int], watched: int | None, n_rows: int
) -> Callable[[TextBuffer], int]:
    """Return what draws a record at its first use in a text and gives the same one later."""

    def row_of(sheet: TextBuffer) -> int:
        row = sheet.rows.get(key)
        if row is None:
            row = sheet.rows[key] = pick(sheet)
            if watched is not None:
                sheet.seen[watched - sheet.n_watched] = bucket_of(row, n_rows)
        return row

    return row_of


def draw_distinct_record(draw: Callable[[Uniform], int], table: str) -> Callable[[TextBuffer], int]:
    """Return what draws until the record is none that the text already holds."""

    def pick(sheet: TextBuffer) -> int:
        if not sheet.rows:
            return draw(sheet.u)
        taken = [row for (name, _), row in sheet.rows.items() if name == table]
        for _ in range(_TRIES):
            row = draw(sheet.u)
            if row not in taken:
                return row
        raise too_alike(f"the table '{table}'")

    return pick


def record_by_design(
    records: Records, buckets: Buckets, column: int
) -> Callable[[TextBuffer], int]:
    """Return what draws a record from the bucket that the design asks for, or any record."""

    def pick(sheet: TextBuffer) -> int:
        row = buckets.pick(sheet.cell, column, sheet.u) if sheet.cell >= 0 else None
        return records.draw(sheet.u) if row is None else row

    return pick


def cell_of(row_of: Callable[[TextBuffer], int], column: tuple[Entry, ...]) -> Fetch:
    """Return what gives the cell of the record that a text is bound to."""
    return lambda sheet: column[row_of(sheet)]


def too_alike(what: str) -> ParameterError:
    """Return the error for a source that cannot give another value."""
    return ParameterError(
        f"{what} has too few values that differ from those in the same text",
        todo="give it more values, or drop 'distinct_from' and '#2'",
    )

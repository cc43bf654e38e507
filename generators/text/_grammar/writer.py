"""A buffer of texts, and the compiled steps that write into it: text, values, choices, spans."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from twinset.core.errors import ParameterError

from .values import CELLS, Buckets, Entry, Permutation, Uniform, bucket_of

_MAX_TRIES = (
    200  # draws until a value differs: with 4 % of the weight free, 1 in 3,500 searches fails
)
_BATCH = 4_096  # random numbers drawn at a time


@dataclass
class TextBuffer:
    """The texts written so far, column by column, and the state of the current text."""

    u: Uniform  # Stream of numbers in [0, 1)
    n_tracked: int  # Number of slots and tables that are tracked for coverage
    texts: list[str] = field(default_factory=list)
    row_ends: list[int] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    values: list[str] = field(default_factory=list)
    canonical: list[str | None] = field(default_factory=list)
    records: list[dict[tuple[str, int], int]] = field(default_factory=list)
    seen: list[int] = field(default_factory=list)
    # The current text:
    parts: list[str] = field(default_factory=list)
    length: int = 0
    place: int = 0
    cell: int = -1
    ends_blank: bool = True
    bound: dict[tuple[str, int], Entry] = field(default_factory=dict)
    rows: dict[tuple[str, int], int] = field(default_factory=dict)

    def begin(self, place: int, cell: int = -1) -> None:
        """Start the text of row `place`; `cell` is its cell of the design, or -1."""
        self.parts, self.length, self.ends_blank = [], 0, True
        self.place, self.cell = place, cell
        self.bound, self.rows = {}, {}
        self.seen += [-1] * self.n_tracked

    def finish(self, *, loose: bool, capital: bool) -> None:
        """End the text: drop a space at its end where parts are optional, set a capital if asked for."""
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
        """Remove the last text."""
        self.row_ends.pop()
        first = self.row_ends[-1] if self.row_ends else 0
        for column in (self.starts, self.ends, self.marks, self.values, self.canonical):
            del column[first:]
        del self.seen[len(self.seen) - self.n_tracked :]
        self.texts.pop()
        self.records.pop()


_OPENING = "¿¡„“\"'«("


def _with_capital(text: str, marked: int | None) -> str:
    """Return the text with a capital first letter, unless a span begins there."""
    at = len(text) - len(text.lstrip(_OPENING))
    upper = text[at : at + 1].upper()
    # A capital of two code points, e.g. of ß, would move the spans.
    if len(upper) != 1 or (marked is not None and marked <= at):
        return text
    return text[:at] + upper + text[at + 1 :]


T = TypeVar("T")
Emit = Callable[[TextBuffer], None]
Fetch = Callable[[TextBuffer], Entry]


@dataclass(frozen=True)
class Program:
    """A compiled template."""

    steps: tuple[Emit, ...]  # Steps that write a text
    # Whether spaces around optional parts are dropped, and whether texts begin with a capital
    loose: bool
    capital: bool
    cells: Permutation  # Order of the cells of the design

    def write(self, buffer: TextBuffer, place: int, n_before: int = CELLS) -> None:
        """Write the text of row `place`; the first 529 texts of a template follow the design."""
        buffer.begin(place, self.cells.at(n_before) if n_before < CELLS else -1)
        for step in self.steps:
            step(buffer)
        buffer.finish(loose=self.loose, capital=self.capital)


def uniforms(rng: np.random.Generator, batch: int = _BATCH) -> Iterator[float]:
    """Yield numbers in [0, 1), drawn `batch` at a time.

    Examples
    --------
    >>> rng, same = np.random.default_rng(0), np.random.default_rng(0)
    >>> next(uniforms(rng)) == same.random()
    True
    """
    while True:
        yield from rng.random(batch).tolist()


def text_step(text: str, *, loose: bool) -> Emit:
    """Return the step that writes fixed text."""
    n, ends_blank = len(text), text.endswith(" ")

    def write(buffer: TextBuffer) -> None:
        buffer.parts.append(text)
        buffer.length += n

    if not loose:
        return write
    bare = text.lstrip(" ")
    n_bare = len(bare)

    def write_loose(buffer: TextBuffer) -> None:
        if not buffer.ends_blank:
            buffer.parts.append(text)
            buffer.length += n
        elif n_bare:
            buffer.parts.append(bare)
            buffer.length += n_bare
        else:
            return
        buffer.ends_blank = ends_blank

    return write_loose


def maybe_step(steps: list[Emit], probability: float) -> Emit:
    """Return the step that runs other steps with a probability."""

    def write(buffer: TextBuffer) -> None:
        if buffer.u() < probability:
            for step in steps:
                step(buffer)

    return write


def choice_step(options: list[tuple[Emit, ...]], bounds: tuple[float, ...]) -> Emit:
    """Return the step that runs one of several options; `bounds` are their cumulated weights."""

    def write(buffer: TextBuffer) -> None:
        for step in options[bisect_right(bounds, buffer.u())]:
            step(buffer)

    return write


def value_step(fetch: Fetch, mark: int | None) -> Emit:
    """Return the step that writes a value, and its span if it has a mark."""

    def write(buffer: TextBuffer) -> None:
        entry = fetch(buffer)
        buffer.parts.append(entry[0])
        buffer.length += entry[1]
        buffer.ends_blank = False

    if mark is None:
        return write

    def write_marked(buffer: TextBuffer) -> None:
        entry = fetch(buffer)
        start = buffer.length
        buffer.length = end = start + entry[1]
        buffer.parts.append(entry[0])
        buffer.ends_blank = False
        buffer.starts.append(start)
        buffer.ends.append(end)
        buffer.marks.append(mark)
        buffer.values.append(entry[0])
        buffer.canonical.append(entry[2])

    return write_marked


def marked_step(inner: Emit, mark: int) -> Emit:
    """Return the step that marks the text of another step as a span, without spaces at its ends."""

    def write(buffer: TextBuffer) -> None:
        at, start, first = len(buffer.parts), buffer.length, len(buffer.starts)
        inner(buffer)
        text = "".join(buffer.parts[at:])
        bare = text.strip()
        if not bare:
            # An empty text is no span.
            return
        start += len(text) - len(text.lstrip())
        # An outer span comes before those inside it.
        buffer.starts.insert(first, start)
        buffer.ends.insert(first, start + len(bare))
        buffer.marks.insert(first, mark)
        buffer.values.insert(first, bare)
        buffer.canonical.insert(first, None)

    return write


def drawn_once(pick: Fetch, key: tuple[str, int], tracked: int | None) -> Fetch:
    """Return a function that draws a value at its first use in a text and repeats it later."""

    def fetch(buffer: TextBuffer) -> Entry:
        entry = buffer.bound.get(key)
        if entry is None:
            entry = buffer.bound[key] = pick(buffer)
            if tracked is not None:
                buffer.seen[tracked - buffer.n_tracked] = entry[3]
        return entry

    return fetch


def draw_distinct(draw: Callable[[Uniform], Entry], names: frozenset[str], subject: str) -> Fetch:
    """Return a function that draws a value other than those of these slots in the same text."""

    def pick(buffer: TextBuffer) -> Entry:
        taken = [entry for (name, _), entry in buffer.bound.items() if name in names]
        known = {entry[0] for entry in taken} | {entry[2] for entry in taken if entry[2]}
        for _ in range(_MAX_TRIES):
            entry = draw(buffer.u)
            if entry[0] not in known and (entry[2] is None or entry[2] not in known):
                return entry
        raise _too_few_values(subject)

    return pick


def draw_by_design(
    draw: Callable[[Uniform], T], at: Callable[[int], T], buckets: Buckets, column: int
) -> Callable[[TextBuffer], T]:
    """Return a function that draws from the bucket that the cell of the design names, if any."""

    def pick(buffer: TextBuffer) -> T:
        index = buckets.pick(buffer.cell, column, buffer.u) if buffer.cell >= 0 else None
        return draw(buffer.u) if index is None else at(index)

    return pick


def with_change(fetch: Fetch, change: Callable[[str], str]) -> Fetch:
    """Return a function that changes the letters of a value; its canonical value stays."""

    def fetch_changed(buffer: TextBuffer) -> Entry:
        text, _, canonical, bucket = fetch(buffer)
        other = change(text)
        return other, len(other), text if canonical is None and other != text else canonical, bucket

    return fetch_changed


def record_once(
    pick: Callable[[TextBuffer], int], key: tuple[str, int], tracked: int | None, n_rows: int
) -> Callable[[TextBuffer], int]:
    """Return a function that draws a record at its first use in a text and repeats it later."""

    def row_of(buffer: TextBuffer) -> int:
        row = buffer.rows.get(key)
        if row is None:
            row = buffer.rows[key] = pick(buffer)
            if tracked is not None:
                buffer.seen[tracked - buffer.n_tracked] = bucket_of(row, n_rows)
        return row

    return row_of


def draw_distinct_record(draw: Callable[[Uniform], int], table: str) -> Callable[[TextBuffer], int]:
    """Return a function that draws a record other than those of the same text."""

    def pick(buffer: TextBuffer) -> int:
        if not buffer.rows:
            return draw(buffer.u)
        taken = [row for (name, _), row in buffer.rows.items() if name == table]
        for _ in range(_MAX_TRIES):
            row = draw(buffer.u)
            if row not in taken:
                return row
        raise _too_few_values(f"the table '{table}'")

    return pick


def _too_few_values(subject: str) -> ParameterError:
    return ParameterError(
        f"{subject} has too few values that differ from those in the same text",
        todo="give it more values, or drop 'distinct_from' and '#2'",
    )

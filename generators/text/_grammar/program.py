"""Compiled templates: every decision that does not depend on the row is taken before the first text."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from twinset.core.errors import ParameterError, Place

from .grammar import Grammar, Mark, Template
from .plan import UniqueSource
from .sources import Sources
from .syntax import Choice, Literal, Maybe, Node, Nodes, SlotUse
from .values import (
    CELLS,
    Buckets,
    Entry,
    Permutation,
    Records,
    Source,
    Uniform,
    buckets_of,
    cumulated,
)

# Draws until a value differs: with 4 % of the weight free, 1 in 3,500 searches fails.
_MAX_TRIES = 200
_BATCH = 4_096  # random numbers drawn at a time
_CHANGES: Mapping[str, Callable[[str], str]] = {
    "upper": str.upper,
    "lower": str.lower,
    "capital": lambda text: text[:1].upper() + text[1:],
}


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
    # By text: its values and records, by name and number
    drawn: list[dict[tuple[str, int], Entry]] = field(default_factory=list)
    seen: list[int] = field(default_factory=list)
    # The current text:
    parts: list[str] = field(default_factory=list)
    length: int = 0
    place: int = 0
    cell: int = -1
    ends_blank: bool = True
    bound: dict[tuple[str, int], Entry] = field(default_factory=dict)

    def begin(self, place: int, cell: int = -1) -> None:
        """Start the text of row `place`; `cell` is its cell of the design, or -1."""
        self.parts, self.length, self.ends_blank = [], 0, True
        self.place, self.cell = place, cell
        self.bound = {}
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
        self.drawn.append(self.bound)

    def drop(self) -> None:
        """Remove the last text."""
        self.row_ends.pop()
        first = self.row_ends[-1] if self.row_ends else 0
        for column in (self.starts, self.ends, self.marks, self.values, self.canonical):
            del column[first:]
        del self.seen[len(self.seen) - self.n_tracked :]
        self.texts.pop()
        self.drawn.pop()


_OPENING = "¿¡„“\"'«("


def _with_capital(text: str, marked: int | None) -> str:
    """Return the text with a capital first letter, unless a span begins there."""
    at = len(text) - len(text.lstrip(_OPENING))
    upper = text[at : at + 1].upper()
    # A capital of two code points, e.g. of ß, would move the spans.
    if len(upper) != 1 or (marked is not None and marked <= at):
        return text
    return text[:at] + upper + text[at + 1 :]


Emit = Callable[[TextBuffer], None]
Fetch = Callable[[TextBuffer], Entry]
Write = Callable[..., None]
"""Writes the text of row `place`, the template's text number `n_before`, into a buffer; `n_before` is 529
for a text that does not follow the design."""


def uniforms(rng: np.random.Generator, batch: int = _BATCH) -> Iterator[float]:
    """Yield numbers in [0, 1), drawn `batch` at a time."""
    while True:
        yield from rng.random(batch).tolist()


@dataclass(frozen=True)
class Compiler:
    """Compiles the templates of one part of a set."""

    grammar: Grammar  # A checked grammar
    # All sources, and those of the part
    whole: Sources
    opened: Sources
    marks: tuple[Mark, ...]  # Kinds of spans
    tracked: tuple[str, ...]  # Slots and tables that are tracked for coverage
    seed: int  # Seed of the order of unique values
    capital: bool  # Whether texts begin with a capital

    def compile(self, template: Template) -> Write:
        """Return the function that writes texts of a template; the first 529 follow the design."""
        loose = any(not isinstance(node, Literal | SlotUse) for node in template.nodes)
        steps = tuple(self._steps(template.nodes, loose))
        # Templates begin at different cells of one design and together go through it once.
        n_templates = len(self.grammar.templates)
        first = self.grammar.templates.index(template) * CELLS // n_templates
        cells = Permutation.from_seed(CELLS, self.seed, "cells")
        cells = replace(cells, shift=cells.at(first))

        def write(buffer: TextBuffer, place: int, n_before: int = CELLS) -> None:
            buffer.begin(place, cells.at(n_before) if n_before < CELLS else -1)
            for step in steps:
                step(buffer)
            buffer.finish(loose=loose, capital=self.capital)

        return write

    def _steps(self, nodes: Nodes, loose: bool) -> list[Emit]:
        return [self._step(node, loose) for node in _joined(nodes)]

    def _step(self, node: Node, loose: bool) -> Emit:
        if isinstance(node, Literal):
            return _text_step(node.text, loose=loose)
        if isinstance(node, SlotUse):
            return self._slot(node)
        if isinstance(node, Maybe):
            steps, probability = self._steps(node.nodes, loose), node.probability

            def write_maybe(buffer: TextBuffer) -> None:
                if buffer.u() < probability:
                    for step in steps:
                        step(buffer)

            return write_maybe
        if isinstance(node, Choice):
            options = [tuple(self._steps(option, loose)) for option in node.options]
            bounds = cumulated(node.weights)

            def write_choice(buffer: TextBuffer) -> None:
                for step in options[bisect_right(bounds, buffer.u())]:
                    step(buffer)

            return write_choice
        rule = self.grammar.rules[node.rule]
        inner = self._step(rule.choice, loose)
        if rule.label is None:
            return inner
        return _marked_step(inner, self.marks.index((rule.label, None, None)))

    def _slot(self, use: SlotUse) -> Emit:
        bound = self.grammar.binding(use)
        fetch = self._value(use) if bound is None else self._cell(use, *bound)
        if use.change:
            fetch = _changed(fetch, _CHANGES[use.change])
        mark = self.grammar.mark_of(use)
        return _value_step(fetch, None if mark is None else self.marks.index(mark))

    def _cell(self, use: SlotUse, table: str, column: str) -> Fetch:
        record = self._value(SlotUse(table, number=use.number))
        records = self.opened[table]
        assert isinstance(records, Records)
        cells = records.columns[column]
        return lambda buffer: cells[record(buffer)[1]]

    def _value(self, use: SlotUse) -> Fetch:
        """Return a function that draws a value of a slot, or a record of a table, once in a text."""
        source, others = self.opened[use.name], self._distinct_from(use.name)
        is_unique, subject, _ = self._promises(use.name)
        is_tracked = use.number == 1 and use.name in self.tracked
        column = self.tracked.index(use.name) if is_tracked else None
        if is_unique:
            number = self._number(use, source.size)
            return _drawn_once(lambda buffer: source.at(number(buffer)), use.key, column)
        if others:
            return _drawn_once(_draw_distinct(source.draw, others, subject), use.key, column)
        buckets = None if column is None else buckets_of(source, self.whole[use.name].size)
        if column is None or buckets is None:
            draw = source.draw
            return _drawn_once(lambda buffer: draw(buffer.u), use.key, column)
        return _drawn_once(_draw_by_design(source, buckets, column), use.key, column)

    def _number(self, use: SlotUse, size: int) -> Callable[[TextBuffer], int]:
        """Return a function that numbers the values of a set without repeats."""
        order = Permutation.from_seed(size, self.seed, use.name)
        n_uses, own = self.n_uses[use.name], use.number - 1
        # Chunks are written whole: rows after the last requested one may wrap around.
        return lambda buffer: order.at((buffer.place * n_uses + own) % size)

    def _promises(self, name: str) -> tuple[bool, str, Place]:
        """Return whether values of a slot or table do not repeat, and its name and place in errors."""
        own = self.grammar.slots.get(name) or self.grammar.tables[name]
        subject = own.subject if name in self.grammar.slots else f"the table '{name}'"
        return own.settings.unique, subject, own.place

    def unique_sources(self) -> Iterator[UniqueSource]:
        """Yield the sources whose values must not repeat, with the number of texts they are enough for."""
        for name, source in self.opened.items():
            is_unique, subject, place = self._promises(name)
            if is_unique:
                yield UniqueSource(source.n_texts // self.n_uses[name], subject, place)

    @cached_property
    def n_uses(self) -> dict[str, int]:
        """Slot or table -> its highest number in a text, e.g. 2 for ``{city#2}``."""
        found: dict[str, int] = {}
        for template in self.grammar.templates:
            for use in self.grammar.uses(template):
                bound = self.grammar.binding(use)
                name = use.name if bound is None else bound[0]
                found[name] = max(found.get(name, 0), use.number)
        return found

    def _distinct_from(self, name: str) -> frozenset[str]:
        """Return the slots that have another value than `name` in the same text."""
        slots = self.grammar.slots
        found = {other for other, slot in slots.items() if name in slot.settings.distinct_from}
        found |= set(slots[name].settings.distinct_from) if name in slots else set()
        return frozenset(found | ({name} if self.n_uses[name] > 1 else set()))


def _joined(nodes: Nodes) -> Iterator[Node]:
    """Yield the nodes with neighbouring texts joined."""
    text = ""
    for node in nodes:
        if isinstance(node, Literal):
            text += node.text
            continue
        if text:
            yield Literal(text)
            text = ""
        yield node
    if text:
        yield Literal(text)


def _text_step(text: str, *, loose: bool) -> Emit:
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


def _value_step(fetch: Fetch, mark: int | None) -> Emit:
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


def _marked_step(inner: Emit, mark: int) -> Emit:
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


def _drawn_once(pick: Fetch, key: tuple[str, int], tracked: int | None) -> Fetch:
    """Return a function that draws a value at its first use in a text and repeats it later."""

    def fetch(buffer: TextBuffer) -> Entry:
        entry = buffer.bound.get(key)
        if entry is None:
            entry = buffer.bound[key] = pick(buffer)
            if tracked is not None:
                buffer.seen[tracked - buffer.n_tracked] = entry[3]
        return entry

    return fetch


def _draw_distinct(draw: Callable[[Uniform], Entry], names: frozenset[str], subject: str) -> Fetch:
    """Return a function that draws a value other than those of these slots in the same text."""

    def pick(buffer: TextBuffer) -> Entry:
        taken = [entry for (name, _), entry in buffer.bound.items() if name in names]
        known = {entry[0] for entry in taken} | {entry[2] for entry in taken if entry[2]}
        for _ in range(_MAX_TRIES):
            entry = draw(buffer.u)
            if entry[0] not in known and (entry[2] is None or entry[2] not in known):
                return entry
        raise ParameterError(
            f"{subject} has too few values that differ from those in the same text",
            todo="give it more values, or drop 'distinct_from' and '#2'",
        )

    return pick


def _draw_by_design(source: Source, buckets: Buckets, column: int) -> Fetch:
    """Return a function that draws from the bucket that the cell of the design names, if any."""

    def pick(buffer: TextBuffer) -> Entry:
        index = buckets.pick(buffer.cell, column, buffer.u) if buffer.cell >= 0 else None
        return source.draw(buffer.u) if index is None else source.at(index)

    return pick


def _changed(fetch: Fetch, change: Callable[[str], str]) -> Fetch:
    """Return a function that changes the letters of a value; its canonical value stays."""

    def fetch_changed(buffer: TextBuffer) -> Entry:
        text, _, canonical, bucket = fetch(buffer)
        other = change(text)
        return other, len(other), text if canonical is None and other != text else canonical, bucket

    return fetch_changed

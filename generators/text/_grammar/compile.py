"""Compile templates: every decision that can be taken before a text is written is taken here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from .grammar import Grammar, Template
from .nodes import Choice, Literal, Maybe, Node, Nodes, Place, SlotUse
from .open_grammar import OpenedSources, binding
from .pairwise_order import CELLS, buckets_of
from .values import Shuffle, cumulated
from .writer import (
    Emit,
    Fetch,
    TextBuffer,
    cell_of,
    changed,
    choice_step,
    draw_distinct,
    draw_distinct_record,
    drawn_by_design,
    drawn_once,
    marked_step,
    maybe_step,
    record_by_design,
    record_once,
    text_step,
    value_step,
)

Mark = tuple[str, str | None, str | None]
"""Label, role and group of a span."""

_CHANGES: Mapping[str, Callable[[str], str]] = {
    "upper": str.upper,
    "lower": str.lower,
    "capital": lambda text: text[:1].upper() + text[1:],
}


@dataclass(frozen=True)
class Room:
    """For how many texts the values of a source are enough that must not repeat."""

    n_texts: int
    what: str
    place: Place


@dataclass(frozen=True)
class Program:
    """A compiled template."""

    steps: tuple[Emit, ...]
    loose: bool
    capital: bool
    cells: Shuffle

    def write(self, sheet: TextBuffer, place: int, turn: int = CELLS) -> None:
        """Write one text onto the sheet; the first turns of a template go through a design."""
        sheet.begin(place, self.cells.at(turn) if turn < CELLS else -1)
        for step in self.steps:
            step(sheet)
        sheet.finish(loose=self.loose, capital=self.capital)


def marks_of(grammar: Grammar) -> tuple[Mark, ...]:
    """Return every kind of span that texts can hold, sorted by label."""
    found: set[Mark] = {
        (rule.label, None, None) for rule in grammar.rules.values() if rule.label is not None
    }
    for template in grammar.templates:
        for use in grammar.uses(template):
            mark = _mark(use, grammar)
            if mark is not None:
                found.add(mark)
    return tuple(sorted(found, key=lambda mark: tuple(part or "" for part in mark)))


@dataclass(frozen=True)
class Compiler:
    """Turns the templates of one part of a set into programs.

    Parameters
    ----------
    grammar : Grammar
        Checked.
    whole, opened : Opened
        All sources, and those of the part.
    marks : tuple of Mark
        Kinds of spans.
    watched : tuple of str
        Slots and tables that are watched for coverage.
    seed : int
        Decides the order of unique values.
    capital : bool
        Whether texts begin with a capital.
    """

    grammar: Grammar
    whole: OpenedSources
    opened: OpenedSources
    marks: tuple[Mark, ...]
    watched: tuple[str, ...]
    seed: int
    capital: bool

    def program(self, template: Template) -> Program:
        """Return the program of a template."""
        loose = any(not isinstance(node, Literal | SlotUse) for node in template.nodes)
        # Templates begin at other cells of one design, so that together they go through it once.
        n_templates = len(self.grammar.templates)
        first = self.grammar.templates.index(template) * CELLS // n_templates
        cells = Shuffle.of(CELLS, self.seed, "cells")
        cells = replace(cells, shift=cells.at(first))
        return Program(tuple(self._steps(template.nodes, loose)), loose, self.capital, cells)

    def _steps(self, nodes: Nodes, loose: bool) -> list[Emit]:
        return [self._step(node, loose) for node in _joined(nodes)]

    def _step(self, node: Node, loose: bool) -> Emit:
        if isinstance(node, Literal):
            return text_step(node.text, loose=loose)
        if isinstance(node, SlotUse):
            return self._slot(node)
        if isinstance(node, Maybe):
            return maybe_step(self._steps(node.nodes, loose), node.probability)
        if isinstance(node, Choice):
            options = [tuple(self._steps(option, loose)) for option in node.options]
            return choice_step(options, cumulated(node.weights))
        rule = self.grammar.rules[node.rule]
        inner = self._step(rule.choice, loose)
        if rule.label is None:
            return inner
        return marked_step(inner, self.marks.index((rule.label, None, None)))

    def _slot(self, use: SlotUse) -> Emit:
        bound = binding(use, self.grammar)
        fetch = self._value(use) if bound is None else self._cell(use, *bound)
        if use.change:
            fetch = changed(fetch, _CHANGES[use.change])
        mark = _mark(use, self.grammar)
        return value_step(fetch, None if mark is None else self.marks.index(mark))

    def _value(self, use: SlotUse) -> Fetch:
        slot, source = self.grammar.slots[use.name], self.opened.sources[use.name]
        apart = self._apart(use.name)
        if slot.unique:
            number = self._number(use, source.size)
            return drawn_once(lambda sheet: source.at(number(sheet)), use.key, self._column(use))
        if apart:
            return drawn_once(
                draw_distinct(source.draw, apart, slot.what), use.key, self._column(use)
            )
        column = self._column(use)
        buckets = None if column is None else buckets_of(source, self.whole.sources[use.name].size)
        if column is None or buckets is None:
            draw = source.draw
            return drawn_once(lambda sheet: draw(sheet.u), use.key, column)
        return drawn_once(drawn_by_design(source, buckets, column), use.key, column)

    def _cell(self, use: SlotUse, table: str, column: str) -> Fetch:
        records = self.opened.records[table]
        row = SlotUse(table, number=use.number)
        pick = draw_distinct_record(records.draw, table)
        if self.grammar.tables[table].unique:
            number = self._number(row, records.size)

            def pick_next(sheet: TextBuffer) -> int:
                return records.at(number(sheet))

            pick = pick_next
        watched = self._column(row)
        if watched is not None and not self.grammar.tables[table].unique:
            buckets = buckets_of(records, len(records.columns[column]))
            if buckets is not None and self.n_uses[table] == 1:
                pick = record_by_design(records, buckets, watched)
        cells = records.columns[column]
        row_of = record_once(pick, row.key, watched, len(cells))
        return cell_of(row_of, cells)

    def _number(self, use: SlotUse, size: int) -> Callable[[TextBuffer], int]:
        """Return what numbers the values of a set so that none comes twice."""
        shuffle = Shuffle.of(size, self.seed, use.name)
        n_uses, own = self.n_uses[use.name], use.number - 1
        # Rows behind the last that is wanted are written too, and may go round.
        return lambda sheet: shuffle.at((sheet.place * n_uses + own) % size)

    def rooms(self) -> Iterator[Room]:
        """Yield how far each source goes whose values must not repeat."""
        for name, slot in self.grammar.slots.items():
            if slot.unique and name in self.opened.sources:
                n_values = self.opened.sources[name].n_texts
                yield Room(n_values // self.n_uses[name], slot.what, slot.place)
        for name, records in self.opened.records.items():
            table = self.grammar.tables[name]
            if table.unique:
                yield Room(records.size // self.n_uses[name], f"the table '{name}'", table.place)

    @cached_property
    def n_uses(self) -> dict[str, int]:
        """Slot or table -> the highest number that it is used by in a text."""
        found: dict[str, int] = {}
        for use in self._uses():
            bound = binding(use, self.grammar)
            name = use.name if bound is None else bound[0]
            found[name] = max(found.get(name, 0), use.number)
        return found

    def _uses(self) -> Iterator[SlotUse]:
        for template in self.grammar.templates:
            yield from self.grammar.uses(template)

    def _apart(self, name: str) -> frozenset[str]:
        """Return the slots whose value in the same text is another one than that of `name`."""
        slots = self.grammar.slots
        found = set(slots[name].distinct_from)
        found |= {other for other, slot in slots.items() if name in slot.distinct_from}
        return frozenset(found | ({name} if self.n_uses[name] > 1 else set()))

    def _column(self, use: SlotUse) -> int | None:
        is_watched = use.number == 1 and use.name in self.watched
        return self.watched.index(use.name) if is_watched else None


def _mark(use: SlotUse, grammar: Grammar) -> Mark | None:
    if use.name in grammar.tables:
        label = grammar.tables[use.name].label_of(use.column)
        return None if label is None else (label, None, None)
    slot = grammar.slots[use.name]
    return None if slot.label is None else (slot.label, slot.role, slot.group)


def _joined(nodes: Nodes) -> Iterator[Node]:
    """Yield the nodes with neighbouring texts as one."""
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

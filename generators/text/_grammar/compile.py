"""Compile templates: every decision that does not depend on the row is taken here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from .grammar import Grammar, Mark, Template
from .plan import UniqueSource
from .sources import OpenedSources
from .syntax import Choice, Literal, Maybe, Node, Nodes, SlotUse
from .values import CELLS, Permutation, buckets_of, cumulated
from .writer import (
    Emit,
    Fetch,
    Program,
    TextBuffer,
    choice_step,
    draw_by_design,
    draw_distinct,
    draw_distinct_record,
    drawn_once,
    marked_step,
    maybe_step,
    record_once,
    text_step,
    value_step,
    with_change,
)

_CHANGES: Mapping[str, Callable[[str], str]] = {
    "upper": str.upper,
    "lower": str.lower,
    "capital": lambda text: text[:1].upper() + text[1:],
}


@dataclass(frozen=True)
class Compiler:
    """Compiles the templates of one part of a set."""

    grammar: Grammar  # A checked grammar
    # All sources, and those of the part
    whole: OpenedSources
    opened: OpenedSources
    marks: tuple[Mark, ...]  # Kinds of spans
    tracked: tuple[str, ...]  # Slots and tables that are tracked for coverage
    seed: int  # Seed of the order of unique values
    capital: bool  # Whether texts begin with a capital

    def program(self, template: Template) -> Program:
        """Return the program of a template."""
        loose = any(not isinstance(node, Literal | SlotUse) for node in template.nodes)
        # Templates begin at different cells of one design and together go through it once.
        n_templates = len(self.grammar.templates)
        first = self.grammar.templates.index(template) * CELLS // n_templates
        cells = Permutation.from_seed(CELLS, self.seed, "cells")
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
        bound = self.grammar.binding(use)
        fetch = self._value(use) if bound is None else self._cell(use, *bound)
        if use.change:
            fetch = with_change(fetch, _CHANGES[use.change])
        mark = self.grammar.mark_of(use)
        return value_step(fetch, None if mark is None else self.marks.index(mark))

    def _value(self, use: SlotUse) -> Fetch:
        slot, source = self.grammar.slots[use.name], self.opened.sources[use.name]
        others = self._distinct_from(use.name)
        if slot.settings.unique:
            number = self._number(use, source.size)
            return drawn_once(lambda buffer: source.at(number(buffer)), use.key, self._column(use))
        column = self._column(use)
        if others:
            return drawn_once(draw_distinct(source.draw, others, slot.subject), use.key, column)
        buckets = None if column is None else buckets_of(source, self.whole.sources[use.name].size)
        if column is None or buckets is None:
            draw = source.draw
            return drawn_once(lambda buffer: draw(buffer.u), use.key, column)
        return drawn_once(draw_by_design(source.draw, source.at, buckets, column), use.key, column)

    def _cell(self, use: SlotUse, table: str, column: str) -> Fetch:
        records = self.opened.records[table]
        row = SlotUse(table, number=use.number)
        pick = draw_distinct_record(records.draw, table)
        if self.grammar.tables[table].unique:
            number = self._number(row, records.size)

            def pick_next(buffer: TextBuffer) -> int:
                return records.at(number(buffer))

            pick = pick_next
        tracked = self._column(row)
        if tracked is not None and not self.grammar.tables[table].unique:
            buckets = buckets_of(records, len(records.columns[column]))
            if buckets is not None and self.n_uses[table] == 1:
                pick = draw_by_design(records.draw, lambda row: row, buckets, tracked)
        cells = records.columns[column]
        row_of = record_once(pick, row.key, tracked, len(cells))
        return lambda buffer: cells[row_of(buffer)]

    def _number(self, use: SlotUse, size: int) -> Callable[[TextBuffer], int]:
        """Return a function that numbers the values of a set without repeats."""
        order = Permutation.from_seed(size, self.seed, use.name)
        n_uses, own = self.n_uses[use.name], use.number - 1
        # Chunks are written whole: rows after the last requested one may wrap around.
        return lambda buffer: order.at((buffer.place * n_uses + own) % size)

    def unique_sources(self) -> Iterator[UniqueSource]:
        """Yield the sources whose values must not repeat, with the number of texts they are enough for."""
        for name, slot in self.grammar.slots.items():
            if slot.settings.unique and name in self.opened.sources:
                n_values = self.opened.sources[name].n_texts
                yield UniqueSource(n_values // self.n_uses[name], slot.subject, slot.place)
        for name, records in self.opened.records.items():
            table = self.grammar.tables[name]
            if table.unique:
                n_texts = records.size // self.n_uses[name]
                yield UniqueSource(n_texts, f"the table '{name}'", table.place)

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
        found = set(slots[name].settings.distinct_from)
        found |= {other for other, slot in slots.items() if name in slot.settings.distinct_from}
        return frozenset(found | ({name} if self.n_uses[name] > 1 else set()))

    def _column(self, use: SlotUse) -> int | None:
        is_tracked = use.number == 1 and use.name in self.tracked
        return self.tracked.index(use.name) if is_tracked else None


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

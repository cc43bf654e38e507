"""The sources of a grammar, opened: values of every slot and table in each part of a set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from twinset.core.errors import ParameterError
from twinset.core.seeding import rng_for

from .grammar import PARTS, Grammar, Template
from .settings import FormatSettings
from .slots import Slot, open_slot
from .syntax import Call, Choice, Maybe, Node, Nodes, SlotUse
from .tables import BoundTable
from .values import Source, ValuePool

_Keys = frozenset[tuple[str, int]]


Sources = Mapping[str, Source]
"""Slot or table -> its values, or its records."""


def open_sources(grammar: Grammar, locale: str, seed: int, calls: int) -> Sources:
    """Return the sources of all used slots and tables."""
    used = grammar.used()
    columns: dict[str, set[str]] = {}
    sources: dict[str, Source] = {}
    tables = dict(grammar.tables)
    for template in grammar.templates:
        for use in grammar.uses(template):
            if use.name in grammar.tables:
                columns.setdefault(use.name, set()).add(use.column)
                tables[use.name].check_column(use.column, template.subject, template.place)
    for name in used:
        slot = grammar.slots.get(name)
        if slot is None:
            continue
        if slot.kind == "column":
            table, column = slot.table_and_column
            tables[table].check_column(column, slot.subject, slot.place)
            columns.setdefault(table, set()).add(column)
            tables[table] = _formatted(tables[table], column, slot)
        else:
            own = grammar.slots[str(slot.settings.like)] if slot.kind == "like" else slot
            sources[name] = open_slot(own, locale, seed, calls)
    records = {name: tables[name].records(own, locale) for name, own in columns.items()}
    return sources | records


def check_slots(grammar: Grammar, locale: str) -> None:
    """Raise ParameterError when a used slot without a table cannot be opened."""
    for name in grammar.used():
        slot = grammar.slots.get(name)
        if slot is not None and slot.kind not in ("like", "column"):
            open_slot(slot, locale, 0, 1)


def split_sources(
    opened: Sources, slots: tuple[str, ...], fraction: float, seed: int
) -> dict[str, Sources]:
    """Return the sources of train set and holdout; values of `slots` are in one of them."""
    train, holdout = dict(opened), dict(opened)
    for name in slots:
        source = opened.get(name)
        if not isinstance(source, ValuePool):
            pools = sorted(own for own, other in opened.items() if isinstance(other, ValuePool))
            raise ParameterError(
                f"the slot '{name}' has no list of values that could be held out",
                allowed=", ".join(pools) or "no slot of this grammar",
                place=("holdout", "slots"),
            )
        n_holdout = round(fraction * source.size)
        if not 0 < n_holdout < source.size:
            raise ParameterError(
                f"the {source.size} values of the slot '{name}' cannot be divided",
                got=f"a holdout of {fraction:g}",
                todo="give it more values, or hold out another fraction",
                place=("holdout", "slots"),
            )
        order = rng_for(seed, "holdout", name).permutation(source.size)
        train[name] = source.subset(sorted(order[n_holdout:].tolist()))
        holdout[name] = source.subset(sorted(order[:n_holdout].tolist()))
    return dict(zip(PARTS, (train, holdout)))


def count_texts(template: Template, grammar: Grammar, opened: Sources) -> int:
    """Return an upper bound of the number of distinct texts of a template, without listing them.

    A repeated use of a value counts once; equal texts of different derivations count twice.
    """
    sizes = {name: source.n_texts for name, source in opened.items()}

    def count_all(nodes: Nodes, bound: _Keys) -> tuple[int, _Keys]:
        total = 1
        for node in nodes:
            ways, bound = count_one(node, bound)
            total *= ways
        return total, bound

    def count_one(node: Node, bound: _Keys) -> tuple[int, _Keys]:
        if isinstance(node, SlotUse):
            table = grammar.binding(node)
            name = node.name if table is None else table[0]
            key = name, node.number
            earlier = sum(other == name for other, _ in bound)
            ways = 1 if key in bound else max(sizes[name] - earlier, 0)
            return ways, bound | {key}
        if isinstance(node, Call):
            return count_one(grammar.rules[node.rule].choice, bound)
        if isinstance(node, Maybe):
            ways, inside = count_all(node.nodes, bound)
            return ways + 1, inside
        if isinstance(node, Choice):
            found = [count_all(option, bound) for option in node.options]
            return sum(ways for ways, _ in found), bound.union(*(inside for _, inside in found))
        return 1, bound

    found, _ = count_all(template.nodes, frozenset())
    if not found:
        raise ParameterError(
            f"{template.subject} needs more different values of a slot than there are",
            todo="give the slot more values, or drop '#2'",
            place=template.place,
        )
    return found


def _formatted(table: BoundTable, column: str, slot: Slot) -> BoundTable:
    if not slot.settings.model_fields_set & {"format", "marks"}:
        return table
    form = FormatSettings(format=slot.settings.format or "{}", marks=slot.settings.marks)
    if table.formats.get(column, form) != form:
        problem = f"{slot.subject} writes the column '{column}' in another way than the table does"
        raise slot.fault(problem, todo="say the format in one place")
    return replace(table, formats={**table.formats, column: form})

"""The sources of a grammar, opened: values of every slot and table in each part of a set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from twinset.core.errors import ParameterError
from twinset.core.seeding import rng_for

from .grammar import PARTS, Grammar, Template
from .settings import FormatSettings
from .slots import Slot, open_slot
from .syntax import Call, Choice, GrammarRule, Maybe, Node, Nodes, SlotUse
from .tables import BoundTable
from .values import Records, Source, ValuePool

_Keys = frozenset[tuple[str, int]]


@dataclass(frozen=True)
class OpenedSources:
    """Sources of one part of a set: slot -> its values, and table -> its records."""

    sources: Mapping[str, Source]
    records: Mapping[str, Records]

    @property
    def sizes(self) -> dict[str, int]:
        """Slot or table -> number of its distinct values."""
        slots = {name: source.n_texts for name, source in self.sources.items()}
        return slots | {name: own.size for name, own in self.records.items()}


def open_sources(grammar: Grammar, locale: str, seed: int, calls: int) -> OpenedSources:
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
    return OpenedSources(sources, records)


def check_slots(grammar: Grammar, locale: str) -> None:
    """Raise ParameterError when a used slot without a table cannot be opened."""
    for name in grammar.used():
        slot = grammar.slots.get(name)
        if slot is not None and slot.kind not in ("like", "column"):
            open_slot(slot, locale, 0, 1)


def split_sources(
    opened: OpenedSources, slots: tuple[str, ...], fraction: float, seed: int
) -> dict[str, OpenedSources]:
    """Return the sources of train set and holdout; values of `slots` are in one of them."""
    parts = {}
    places: dict[str, dict[str, list[int]]] = {}
    for name in slots:
        source = opened.sources.get(name) or opened.records.get(name)
        if not isinstance(source, ValuePool | Records):
            raise ParameterError(
                f"the slot '{name}' has no list of values that could be held out",
                allowed=", ".join(_divisible(opened)) or "no slot of this grammar",
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
        places[name] = {
            "train": sorted(order[n_holdout:].tolist()),
            "holdout": sorted(order[:n_holdout].tolist()),
        }
    for part in PARTS:
        sources, records = dict(opened.sources), dict(opened.records)
        for name, chosen_in in places.items():
            source = sources.get(name)
            if isinstance(source, ValuePool):
                sources[name] = source.subset(chosen_in[part])
            else:
                records[name] = records[name].subset(chosen_in[part])
        parts[part] = OpenedSources(sources, records)
    return parts


@dataclass(frozen=True)
class TextCounts:
    """Numbers of texts that nodes can become, counted without listing them."""

    rules: Mapping[str, GrammarRule]  # Rules by name, without cycles
    sizes: Mapping[str, int]  # Slot or table -> number of its distinct values
    owners: Mapping[str, str]  # Slot of kind column -> its table

    def count(self, nodes: Nodes) -> int:
        """Return an upper bound of the number of texts that `nodes` can become.

        A repeated use of a value counts once; equal texts of different derivations count twice.

        Examples
        --------
        >>> from twinset.generators.text._grammar.syntax import Literal
        >>> tea = SlotUse("tea")
        >>> TextCounts({}, {"tea": 7}, {}).count((Maybe((Literal("a "),), 0.5), tea, tea))
        14
        """
        return self._all(nodes, frozenset())[0]

    def _all(self, nodes: Nodes, bound: _Keys) -> tuple[int, _Keys]:
        total = 1
        for node in nodes:
            ways, bound = self._one(node, bound)
            total *= ways
        return total, bound

    def _one(self, node: Node, bound: _Keys) -> tuple[int, _Keys]:
        if isinstance(node, SlotUse):
            name = self.owners.get(node.name, node.name)
            key = name, node.number
            earlier = sum(other == name for other, _ in bound)
            ways = 1 if key in bound else max(self.sizes[name] - earlier, 0)
            return ways, bound | {key}
        if isinstance(node, Call):
            return self._one(self.rules[node.rule].choice, bound)
        if isinstance(node, Maybe):
            ways, inside = self._all(node.nodes, bound)
            return ways + 1, inside
        if isinstance(node, Choice):
            found = [self._all(option, bound) for option in node.options]
            return sum(ways for ways, _ in found), bound.union(*(inside for _, inside in found))
        return 1, bound


def count_texts(template: Template, grammar: Grammar, opened: OpenedSources) -> int:
    """Return an upper bound of the number of distinct texts of a template."""
    owners = {
        name: slot.table_and_column[0]
        for name, slot in grammar.slots.items()
        if slot.kind == "column"
    }
    found = TextCounts(grammar.rules, opened.sizes, owners).count(template.nodes)
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
        raise ParameterError(
            f"{slot.subject} writes the column '{column}' in another way than the table does",
            todo="say the format in one place",
            place=slot.place,
        )
    return replace(table, formats={**table.formats, column: form})


def _divisible(opened: OpenedSources) -> list[str]:
    pools = [name for name, source in opened.sources.items() if isinstance(source, ValuePool)]
    return sorted([*pools, *opened.records])

"""A grammar with its sources opened: what every slot and table can give, in each part of a set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from twinset.core.errors import ParameterError
from twinset.core.seeding import rng_for

from .grammar import Grammar, Template
from .nodes import Counts, SlotUse, slots_of
from .slot import Slot
from .sources import open_slot
from .tables import BoundTable
from .values import Records, Source, ValuePool

PARTS = ("train", "holdout")


@dataclass(frozen=True)
class OpenedSources:
    """Sources of one part of a set.

    Parameters
    ----------
    sources : mapping of str to Pool or Ranked
        Slot -> its values.
    records : mapping of str to Records
        Table -> its rows.
    """

    sources: Mapping[str, Source]
    records: Mapping[str, Records]

    @property
    def sizes(self) -> dict[str, int]:
        """Slot or table -> how many different values it has."""
        slots = {name: source.n_texts for name, source in self.sources.items()}
        return slots | {name: own.size for name, own in self.records.items()}


def open_sources(grammar: Grammar, locale: str, seed: int, calls: int) -> OpenedSources:
    """Return the sources of all slots that texts can hold.

    Parameters
    ----------
    grammar : Grammar
        Checked.
    locale : str
        Locale of those slots that name none of their own.
    seed : int
        Decides the values of Faker.
    calls : int
        How often Faker is asked for the pool of a slot.

    Raises
    ------
    ParameterError
        A source cannot be opened, a cell is empty, or rows were not handed in.
    MissingExtraError
        Faker is needed and is not installed.
    """
    used = grammar.used()
    columns: dict[str, set[str]] = {}
    sources: dict[str, Source] = {}
    tables = dict(grammar.tables)
    for template in grammar.templates:
        for use in grammar.uses(template):
            if use.name in grammar.tables:
                columns.setdefault(use.name, set()).add(use.column)
                tables[use.name].check_column(use.column, template.what, template.place)
    for name in used:
        slot = grammar.slots.get(name)
        if slot is None:
            continue
        if slot.kind == "column":
            table, column = _column_of(slot)
            tables[table].check_column(column, slot.what, slot.place)
            columns.setdefault(table, set()).add(column)
            tables[table] = _formatted(tables[table], column, slot)
        else:
            own = grammar.slots[str(slot.said["like"])] if slot.kind == "like" else slot
            sources[name] = open_slot(own, locale, seed, calls)
    records = {name: tables[name].records(own, locale) for name, own in columns.items()}
    return OpenedSources(sources, records)


def check_slots(grammar: Grammar, locale: str) -> None:
    """Raise ParameterError when a slot that texts can hold, and that needs no table, cannot be opened."""
    for name in grammar.used():
        slot = grammar.slots.get(name)
        if slot is not None and slot.kind not in ("like", "column"):
            open_slot(slot, locale, 0, 1)


def split_sources(
    opened: OpenedSources, grammar: Grammar, held: tuple[str, ...], fraction: float, seed: int
) -> dict[str, OpenedSources]:
    """Return the sources of the train part and of the holdout: held values are in one of them only.

    Raises
    ------
    ParameterError
        A held slot has too few values to be divided, or they are too many to be listed.
    """
    parts = {}
    places: dict[str, dict[str, list[int]]] = {}
    for name in held:
        source = opened.sources.get(name) or opened.records.get(name)
        if not isinstance(source, ValuePool | Records):
            raise ParameterError(
                f"the slot '{name}' has no list of values that could be held out",
                allowed=", ".join(_divisible(opened)) or "no slot of this grammar",
                place=("holdout", "slots"),
            )
        n_held = round(fraction * source.size)
        if not 0 < n_held < source.size:
            raise ParameterError(
                f"the {source.size} values of the slot '{name}' cannot be divided",
                got=f"a holdout of {fraction:g}",
                todo="give it more values, or hold out another fraction",
                place=("holdout", "slots"),
            )
        order = rng_for(seed, "holdout", name).permutation(source.size)
        chosen = sorted(int(i) for i in order[:n_held])
        kept = sorted(int(i) for i in order[n_held:])
        places[name] = {"train": kept, "holdout": chosen}
    for part in PARTS:
        sources, records = dict(opened.sources), dict(opened.records)
        for name, chosen_in in places.items():
            source = sources.get(name)
            if isinstance(source, ValuePool):
                sources[name] = source.part(chosen_in[part])
            else:
                records[name] = records[name].part(chosen_in[part])
        parts[part] = OpenedSources(sources, records)
    return parts


def capacity(template: Template, grammar: Grammar, opened: OpenedSources) -> int:
    """Return about how many different texts a template can become.

    Raises
    ------
    ParameterError
        It needs more different values than a slot has.
    """
    owners = {
        name: _column_of(slot)[0] for name, slot in grammar.slots.items() if slot.kind == "column"
    }
    found = Counts(grammar.rules, opened.sizes, owners).of(template.nodes)
    if not found:
        raise ParameterError(
            f"{template.what} needs more different values of a slot than there are",
            todo="give the slot more values, or drop '#2'",
            place=template.place,
        )
    return found


def binding(use: SlotUse, grammar: Grammar) -> tuple[str, str] | None:
    """Return the table and the column that a use reads, or None for a slot with values of its own.

    Examples
    --------
    >>> binding(SlotUse("tea"), Grammar((), {}, {}, {"tea": Slot("tea", "values", {}, None)}, {}, ()))
    """
    if use.name in grammar.tables:
        return use.name, use.column
    slot = grammar.slots[use.name]
    return _column_of(slot) if slot.kind == "column" else None


def bindings(grammar: Grammar) -> tuple[tuple[str, int], ...]:
    """Return the records that texts can hold and name, as (table, number), in order of their names."""
    found = set()
    for template in grammar.templates:
        for use in slots_of(template.nodes, grammar.rules):
            bound = binding(use, grammar)
            if bound is not None and grammar.tables[bound[0]].names_records:
                found.add((bound[0], use.number))
    return tuple(sorted(found))


def _column_of(slot: Slot) -> tuple[str, str]:
    table, _, column = str(slot.said["column"]).partition(".")
    return table, column


def _formatted(table: BoundTable, column: str, slot: Slot) -> BoundTable:
    form = {key: slot.said[key] for key in ("format", "marks") if key in slot.said}
    if not form:
        return table
    if table.formats.get(column, form) != form:
        raise ParameterError(
            f"{slot.what} writes the column '{column}' in another way than the table does",
            todo="say the format in one place",
            place=slot.place,
        )
    return replace(table, formats={**table.formats, column: form})


def _divisible(opened: OpenedSources) -> list[str]:
    pools = [name for name, source in opened.sources.items() if isinstance(source, ValuePool)]
    return sorted([*pools, *opened.records])

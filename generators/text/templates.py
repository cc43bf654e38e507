"""Write short texts from templates with slots: exact labels, exact entity spans."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from itertools import chain
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from twinset.core.contracts import FittedGenerator, Generator, Progress, silent
from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.where import Where
from twinset.core.parameters import Ge
from twinset.core.seeding import draw_seed, rng_for

from ._grammar.demo_templates import SLOTS, TEMPLATES
from ._grammar.grammar import PARTS, Grammar, check_grammar, read_grammar
from ._grammar.plan import NoRoomError, split_templates
from ._grammar.program import Compiler
from ._grammar.settings import HoldoutSettings, grammar_schema, read_settings, unknown_name
from ._grammar.slots import CALLS
from ._grammar.sources import Sources, check_slots, count_texts, open_sources, split_sources
from ._grammar.text_set import TextSet, TextWriter, tracked_slots
from ._grammar.values import Entry, Records, ValuePool

_NAME = "text.templates"
_FEW_CALLS = 50  # of Faker in `check`: settings are checked in milliseconds


@dataclass(frozen=True, kw_only=True)
class Templates(Generator):
    """Write short texts from templates with slots: exact labels, exact entity spans.

    Needs no real data. Each row has a `text`, its `spans` (start, end, label, value; half-open, in code
    points), its `label`, its `template`, and every further key of the template. Split by `template`: a
    model that saw a template in training knows its sentence. Labels, and the templates of a label, have
    their exact shares over a whole set.

    In a template, ``{slot}`` is a value, ``[words ?0.3]`` come in three of ten texts (in half of them
    without a number), ``(one|other *2)`` are alternatives with weights, ``<rule>`` calls a rule, and
    ``{table.column}`` is a cell of one record. A backslash before a sign writes the sign. In a recipe,
    ``grammar: FILE`` names a YAML file with these settings and ``{lexicon: FILE}`` a list of values.

    Parameters
    ----------
    templates : mapping, optional
        Label -> its templates, e.g. ``{refund: ["Please refund {amount}."]}``, or ``{templates: [...],
        share: 2, sentiment: negative}``; a template is a text or ``{text: ..., weight: 2, name: ...}``;
        further keys become columns. By default a small set of support tickets.
    slots : mapping, optional
        Slot -> its values: a list, ``{faker: provider, ...}``, ``{date_range: [first, last]}``,
        ``{number: [low, high]}``, ``{pattern: "[A-Z]{2}-\\\\d{4}"}``, ``{mask: "??-####"}``,
        ``{column: table.column}`` or ``{like: slot}``; with `label`, `role`, `group`, `unique`,
        `distinct_from`. By default the slots of the built-in set.
    rules : mapping
        Rule -> texts that ``<rule>`` stands for; with ``{label: ..., any_of: [...]}`` they become spans.
    tables : mapping
        Table -> its rows, or the name of an asset of the recipe; all cells of a text are of one record.
    locale : str
        Locale of the Faker slots, e.g. en_US. One that Faker lacks is an error, never another country.
    shares : mapping of str to float, optional
        Label -> its weight; equal weights by default.
    unique_rows : bool
        Whether no text occurs twice in a set. If there are too few texts, the error gives the estimate.
    nested : bool
        Whether labelled rules may hold labelled slots, which gives spans inside spans.
    capitalise : bool
        Whether every text begins with a capital letter.
    max_depth : int
        Largest number of rules that call each other in a row, 1 or more.
    holdout : mapping, optional
        ``{fraction: 0.2, slots: [product]}``: holds out that share of the templates of each label, and
        of the values of these slots; the column `part` is train or holdout.

    Raises
    ------
    ParameterError
        A template is empty, has a bracket without partner, or names an unknown slot, rule or table; a
        slot has no usable source; a weight is not above 0; rules form a cycle; spans would overlap.

    Examples
    --------
    >>> from twinset.core.seeding import rng_for
    >>> tickets = Templates(templates={"ask": ["Where is the {thing}?"]}, slots={"thing": ["tea"]})
    >>> row = tickets.fit(None, rng_for(1, "fit")).sample(1, rng_for(1, "draw")).records.to_pylist()[0]
    >>> row["text"], row["spans"]
    ('Where is the tea?', [{'start': 13, 'end': 16, 'label': 'thing', 'value': 'tea'}])
    """

    kinds: ClassVar[frozenset[str]] = frozenset({"text", "spans", "category", "id"})
    chunk_rows: ClassVar[int] = 2_048
    needs_real: ClassVar[bool] = False
    extra: ClassVar[str | None] = "text"
    files: ClassVar[Mapping[str, Literal["settings", "values"]]] = {
        "grammar": "settings",
        "slots.*.lexicon": "values",
    }

    templates: Mapping[str, Any] | None = None
    slots: Mapping[str, Any] | None = None
    rules: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[str, Any] = field(default_factory=dict)
    locale: str = "en_US"
    shares: Mapping[str, float] | None = None
    unique_rows: bool = True
    nested: bool = False
    capitalise: bool = False
    max_depth: Annotated[int, Ge(1)] = 10
    holdout: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_grammar(self.grammar, max_depth=self.max_depth, nested=self.nested)
        self.holdout_split()

    @cached_property
    def grammar(self) -> Grammar:
        """The grammar that the settings describe."""
        return read_grammar(
            {
                "templates": TEMPLATES if self.templates is None else self.templates,
                "slots": SLOTS if self.slots is None else self.slots,
                "rules": self.rules,
                "tables": self.tables,
                "shares": self.shares,
            }
        )

    @staticmethod
    def settings_schema() -> dict[str, Any]:
        """Return the JSON Schema of the settings and of grammar files."""
        return grammar_schema()

    def with_assets(self, assets: Mapping[str, Dataset]) -> Templates:
        """Return the generator with the rows of its tables, taken from assets of the recipe."""
        tables = dict(self.tables)
        for name, table in self.grammar.tables.items():
            if not table.settings.asset:
                continue
            if table.settings.asset not in assets:
                asset, none = table.settings.asset, "none: the recipe names no assets"
                problem = f"the table '{name}' names an unknown asset"
                raise unknown_name(problem, asset, assets, table.place, got=asset, none=none)
            source = self.tables[name]
            settings = dict(source) if isinstance(source, Mapping) else {"asset": source}
            rows = assets[table.settings.asset].without_reserved().to_arrow()
            tables[name] = {**settings, "rows": rows}
        return replace(self, tables=tables)

    def check(self, rows: int | None = None) -> None:
        """Check that sources can be opened, and that `rows` distinct texts are available.

        Faker pools are small, unless larger ones are needed to find enough texts. Tables without rows
        are not checked.
        """
        rng = rng_for(0, "check")
        if any(table.rows is None for table in self.grammar.tables.values()):
            return check_slots(self.grammar, self.locale)
        try:
            _FittedTemplates(self, rng, _FEW_CALLS).open_set().begin(rows or 1)
        except NoRoomError:
            # Small pools may have too few values where full ones have enough.
            _FittedTemplates(self, rng_for(0, "check"), CALLS).open_set().begin(rows or 1)

    def fit(
        self, real: Dataset | None, rng: np.random.Generator, progress: Progress = silent
    ) -> FittedGenerator:
        """Return the generator with its sources opened; `real` is not used."""
        return _FittedTemplates(self, rng, CALLS)

    def card_settings(self) -> dict[str, Any]:
        """Return the settings for the card; tables of assets without their rows."""
        settings = {own.name: getattr(self, own.name) for own in fields(self)}
        settings["tables"] = {
            name: {k: v for k, v in source.items() if k != "rows"}
            if isinstance(source, Mapping) and self.grammar.tables[name].settings.asset
            else source
            for name, source in self.tables.items()
        }
        return settings

    def holdout_split(self) -> tuple[float, tuple[str, ...]] | None:
        """Return the share that is held out, and the slots whose values are."""
        if self.holdout is None:
            return None
        settings = read_settings(HoldoutSettings, self.holdout, ("holdout",))
        used = self.grammar.used()
        for name in settings.slots:
            if name not in used:
                problem = f"'holdout' names a slot that no template uses: '{name}'"
                raise unknown_name(problem, str(name), used, ("holdout", "slots"))
        return settings.fraction, tuple(settings.slots)


class _FittedTemplates(FittedGenerator):
    def __init__(self, settings: Templates, rng: np.random.Generator, calls: int) -> None:
        grammar, seed = settings.grammar, draw_seed(rng)
        opened = open_sources(grammar, settings.locale, seed, calls)
        marks, tracked = grammar.marks(), tracked_slots(grammar, opened)
        names = tuple(slot.name for slot in tracked)
        parts, by_part = _split(grammar, opened, settings.holdout_split(), seed)
        compilers = {
            part: Compiler(grammar, opened, own, marks, names, seed, settings.capitalise)
            for part, own in by_part.items()
        }
        placed = list(zip(grammar.templates, parts or ("train",) * len(grammar.templates)))
        counts = tuple(count_texts(own, grammar, by_part[part]) for own, part in placed)
        unique = [source for own in compilers.values() for source in own.unique_sources()]
        self._writer = TextWriter(
            grammar,
            {name: own.ids for name, own in opened.items() if isinstance(own, Records)},
            parts,
            has_facts=any(role or group for _, role, group in marks) or _has_canonical(opened),
            writers=[compilers[part].compile(own) for own, part in placed],
            card=Card(
                name=_NAME, origin="synthetic", component=_NAME, settings=settings.card_settings()
            ),
            tracked=tracked,
            counts=counts if settings.unique_rows else None,
            scarcest=min(unique, key=lambda source: source.n_texts, default=None),
            seed=seed,
        )
        self.schema = self._writer.schema

    def sample(self, n: int, rng: np.random.Generator, where: Where | None = None) -> Dataset:
        """Return `n` texts; the first rows do not depend on `n`.

        Texts of other calls are not known, and texts repeat where no new ones are left. Use `open_set`
        for a set that is drawn in chunks and has no text twice.
        """
        whole = TextSet(self._writer, strict=False)
        whole.begin(n, where)
        repair_rng = rng.spawn(1)[0]
        return whole.admit(whole.place(0, n, rng, where), 0, n, repair_rng, where)

    def open_set(self) -> TextSet:
        """Return the state of a new set with exact shares and no text twice."""
        return TextSet(self._writer)


def _split(
    grammar: Grammar, opened: Sources, holdout: tuple[float, tuple[str, ...]] | None, seed: int
) -> tuple[tuple[str, ...], Mapping[str, Sources]]:
    """Return the part of each template, if any are held out, and the sources of each part."""
    if holdout is None:
        return (), dict.fromkeys(PARTS, opened)
    fraction, slots = holdout
    order = rng_for(seed, "holdout", "templates").permutation(len(grammar.templates))
    parts = split_templates(grammar, fraction, order.tolist())
    return parts, split_sources(opened, slots, fraction, seed)


def _has_canonical(opened: Sources) -> bool:
    """Return whether a value may differ from its canonical value."""
    entries: list[Entry] = []
    for source in opened.values():
        if isinstance(source, Records):
            entries += chain(*source.columns.values())
        elif isinstance(source, ValuePool):
            entries += source.entries
        else:
            entries += (source.at(0), source.at(source.size - 1))
    return any(entry[2] is not None for entry in entries)

"""Templates ready to write: sources opened, templates compiled, rows drawn chunk by chunk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from twinset.core.contracts import FittedGenerator
from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.where import Where
from twinset.core.seeding import rng_for

from ..._conditions import outcomes_that_meet
from .compile import Compiler, Program, marks_of
from .coverage import PairCoverage, watched_slots
from .grammar import Grammar
from .open_grammar import PARTS, OpenedSources, bindings, capacity, open_sources, split_sources
from .plan import Codes, Places, TemplatePlan, split_templates
from .rows import Columns
from .set_constraints import Seen, TextSet
from .values import Source, Uniform, ValuePool
from .writer import TextBuffer, uniforms

_NAME = "text.templates"


class FittedTemplates(FittedGenerator):
    """What `Templates.fit` returns.

    Parameters
    ----------
    grammar : Grammar
        Checked.
    seed : int
        Decides the values of Faker, what is held out, and the order of equal turns.
    calls : int
        How often Faker is asked for the pool of a slot.
    locale : str
        Locale of the Faker slots.
    unique_rows, capitalise : bool
        As in the settings.
    held : tuple, optional
        Share of templates that is held out, and the slots whose values are.
    settings : mapping
        What the card tells.

    Raises
    ------
    ParameterError
        A source cannot be opened.
    MissingExtraError
        Faker is needed and is not installed.
    """

    def __init__(
        self,
        grammar: Grammar,
        *,
        seed: int,
        calls: int,
        locale: str,
        unique_rows: bool,
        capitalise: bool,
        held: tuple[float, tuple[str, ...]] | None,
        settings: Mapping[str, Any],
    ) -> None:
        self._grammar, self._seed, self._unique_rows = grammar, seed, unique_rows
        self._card = Card(name=_NAME, origin="synthetic", component=_NAME, settings=dict(settings))
        opened = open_sources(grammar, locale, seed, calls)
        marks = marks_of(grammar)
        self._watched = watched_slots(grammar, opened)
        watched = tuple(one.name for one in self._watched)
        parts, by_part = _divided(grammar, opened, held, seed)
        compilers = {
            part: Compiler(grammar, opened, own, marks, watched, seed, capitalise)
            for part, own in by_part.items()
        }
        placed = list(zip(grammar.templates, parts or ("train",) * len(grammar.templates)))
        self._programs: list[Program] = [compilers[part].program(own) for own, part in placed]
        self._counts = tuple(capacity(own, grammar, by_part[part]) for own, part in placed)
        rooms = [room for own in compilers.values() for room in own.rooms()]
        self._room = min(rooms, key=lambda room: room.n_texts, default=None)
        tells_facts = any(role or group for _, role, group in marks) or _has_meanings(opened)
        self._columns = Columns(grammar, marks, bindings(grammar), opened, parts, tells_facts)
        self.schema = self._columns.schema

    def sample(self, n: int, rng: np.random.Generator, where: Where | None = None) -> Dataset:
        """Return `n` texts; the first of them do not depend on how many are asked for.

        It knows nothing of texts that were drawn before; where no new ones are left they repeat. A set
        that is drawn in chunks and holds no text twice is the matter of `open_set`.
        """
        whole = self._text_set(strict=False)
        whole.begin(n, where)
        mending = rng.spawn(1)[0]
        return whole.admit(whole.place(0, n, rng, where), 0, n, mending, where)

    def open_set(self) -> TextSet:
        """Return what keeps the promises over one set: exact shares, and no text twice."""
        return self._text_set(strict=True)

    def plan(self, where: Where | None) -> TemplatePlan:
        """Return who comes when under a condition.

        Raises
        ------
        ParameterError
            The condition is on a column that is not chosen, or no template meets it.
        """
        fit = outcomes_that_meet(where, self._columns.outcomes, self.schema, _NAME)
        chosen = tuple(int(i) for i in np.flatnonzero(fit))
        counts = self._counts if self._unique_rows else None
        return TemplatePlan(self._grammar, chosen, counts, self._seed)

    def write(
        self, templates: Codes, places: Places, turns: Places, rng: np.random.Generator
    ) -> tuple[Dataset, Seen]:
        """Return one text per template, place and turn, and the buckets of what is watched, (n, w)."""
        sheet = TextBuffer(uniforms(rng).__next__, len(self._watched))
        programs = self._programs
        for template, place, turn in zip(templates.tolist(), places.tolist(), turns.tolist()):
            programs[template].write(sheet, place, turn)
        return self.rows(sheet, templates)

    def rows(self, sheet: TextBuffer, templates: Codes) -> tuple[Dataset, Seen]:
        """Return what stands on a sheet as rows, and the buckets of what is watched, (n, w)."""
        made = self._columns.rows(sheet, templates, self._card)
        seen = np.array(sheet.seen, dtype=np.int8).reshape(len(made), len(self._watched))
        return made, seen

    def retry(self) -> _Retry:
        """Return what writes single texts until one will do."""
        return _Retry(self, self._programs, TextBuffer(_nothing, len(self._watched)))

    def _text_set(self, *, strict: bool) -> TextSet:
        return TextSet(self, PairCoverage(self._watched), self._room, self._unique_rows, strict)


@dataclass
class _Retry:
    """Texts written one by one in the place of others."""

    fitted: FittedTemplates
    programs: Sequence[Program]
    sheet: TextBuffer
    templates: list[int] = field(default_factory=list)

    def write(self, template: int, place: int, u: Uniform) -> str:
        self.sheet.u = u
        self.programs[template].write(self.sheet, place)
        self.templates.append(template)
        return self.sheet.texts[-1]

    def drop(self) -> None:
        self.templates.pop()
        self.sheet.drop()

    def rows(self) -> tuple[Dataset, Seen]:
        return self.fitted.rows(self.sheet, np.array(self.templates, dtype=np.int32))


def _nothing() -> float:
    raise AssertionError("each text brings its own stream")


def _divided(
    grammar: Grammar, opened: OpenedSources, held: tuple[float, tuple[str, ...]] | None, seed: int
) -> tuple[tuple[str, ...], Mapping[str, OpenedSources]]:
    """Return the part of each template, if any are held out, and the sources of each part."""
    if held is None:
        return (), dict.fromkeys(PARTS, opened)
    fraction, slots = held
    order = rng_for(seed, "holdout", "templates").permutation(len(grammar.templates))
    parts = split_templates(grammar, fraction, order.tolist())
    return parts, split_sources(opened, grammar, slots, fraction, seed)


def _has_meanings(opened: OpenedSources) -> bool:
    """Whether a value may be written otherwise than it is meant."""

    def differs(source: Source) -> bool:
        if isinstance(source, ValuePool):
            return any(entry[2] is not None for entry in source.entries)
        return source.at(0)[2] is not None or source.at(source.size - 1)[2] is not None

    cells = (c for records in opened.records.values() for c in records.columns.values())
    return any(map(differs, opened.sources.values())) or any(
        entry[2] is not None for column in cells for entry in column
    )

"""Templates ready to write: sources opened, templates compiled, rows drawn chunk by chunk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from twinset.core.contracts import FittedGenerator
from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.where import Where
from twinset.core.seeding import rng_for

from ..._conditions import outcomes_that_meet
from .compile import Compiler
from .grammar import PARTS, Grammar
from .plan import TemplatePlan, split_templates
from .rows import TextColumns, TextWriter
from .sources import OpenedSources, count_texts, open_sources, split_sources
from .text_set import TextSet, tracked_slots
from .values import Source, ValuePool

_NAME = "text.templates"


class FittedTemplates(FittedGenerator):
    """Fitted `text.templates`."""

    def __init__(
        self,
        grammar: Grammar,
        *,
        seed: int,
        calls: int,
        locale: str,
        unique_rows: bool,
        capitalise: bool,
        holdout: tuple[float, tuple[str, ...]] | None,
        settings: Mapping[str, Any],
    ) -> None:
        self._grammar, self._seed, self._unique_rows = grammar, seed, unique_rows
        opened = open_sources(grammar, locale, seed, calls)
        marks = grammar.marks()
        self._tracked = tracked_slots(grammar, opened)
        tracked = tuple(slot.name for slot in self._tracked)
        parts, by_part = _split(grammar, opened, holdout, seed)
        compilers = {
            part: Compiler(grammar, opened, own, marks, tracked, seed, capitalise)
            for part, own in by_part.items()
        }
        placed = list(zip(grammar.templates, parts or ("train",) * len(grammar.templates)))
        self._counts = tuple(count_texts(own, grammar, by_part[part]) for own, part in placed)
        unique = [source for own in compilers.values() for source in own.unique_sources()]
        self._scarcest = min(unique, key=lambda source: source.n_texts, default=None)
        has_facts = any(role or group for _, role, group in marks) or _has_canonical(opened)
        ids = {name: records.ids for name, records in opened.records.items()}
        self._columns = TextColumns(grammar, marks, ids, parts, has_facts)
        self.schema = self._columns.schema
        self._writer = TextWriter(
            [compilers[part].program(own) for own, part in placed],
            self._columns,
            Card(name=_NAME, origin="synthetic", component=_NAME, settings=dict(settings)),
            len(self._tracked),
        )

    def sample(self, n: int, rng: np.random.Generator, where: Where | None = None) -> Dataset:
        """Return `n` texts; the first rows do not depend on `n`.

        Texts of other calls are not known, and texts repeat where no new ones are left. Use `open_set`
        for a set that is drawn in chunks and has no text twice.
        """
        whole = self._text_set(strict=False)
        whole.begin(n, where)
        repair_rng = rng.spawn(1)[0]
        return whole.admit(whole.place(0, n, rng, where), 0, n, repair_rng, where)

    def open_set(self) -> TextSet:
        """Return the state of a new set with exact shares and no text twice."""
        return self._text_set(strict=True)

    def _plan(self, where: Where | None) -> TemplatePlan:
        """Return the order of the templates under a condition."""
        fit = outcomes_that_meet(where, self._columns.outcomes, self.schema, _NAME)
        chosen = tuple(int(i) for i in np.flatnonzero(fit))
        counts = self._counts if self._unique_rows else None
        return TemplatePlan(self._grammar, chosen, counts, self._seed)

    def _text_set(self, *, strict: bool) -> TextSet:
        return TextSet(
            self._writer, self._plan, self._tracked, self._scarcest, self._unique_rows, strict
        )


def _split(
    grammar: Grammar,
    opened: OpenedSources,
    holdout: tuple[float, tuple[str, ...]] | None,
    seed: int,
) -> tuple[tuple[str, ...], Mapping[str, OpenedSources]]:
    """Return the part of each template, if any are held out, and the sources of each part."""
    if holdout is None:
        return (), dict.fromkeys(PARTS, opened)
    fraction, slots = holdout
    order = rng_for(seed, "holdout", "templates").permutation(len(grammar.templates))
    parts = split_templates(grammar, fraction, order.tolist())
    return parts, split_sources(opened, slots, fraction, seed)


def _has_canonical(opened: OpenedSources) -> bool:
    """Return whether a value may differ from its canonical value."""

    def differs(source: Source) -> bool:
        if isinstance(source, ValuePool):
            return any(entry[2] is not None for entry in source.entries)
        return source.at(0)[2] is not None or source.at(source.size - 1)[2] is not None

    cells = (c for records in opened.records.values() for c in records.columns.values())
    return any(map(differs, opened.sources.values())) or any(
        entry[2] is not None for column in cells for entry in column
    )

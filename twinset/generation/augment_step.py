"""Vary rows as one step of a recipe asks: real training rows, or those that an earlier step made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from twinset.core.contracts import KeepsAccount, Progress
from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.rule import Rule
from twinset.core.data.schema import Schema
from twinset.core.data.value_protection import named_values
from twinset.core.data.where import Where, counted
from twinset.core.errors import DataError, RecipeError
from twinset.core.rules.enforce import EnforcedRows, RuleEnforcer, RuleTally
from twinset.core.rules.protected_rows import protect_rows
from twinset.core.seeding import rng_for
from twinset.generation.sampling import UNPROTECTED, label_of_interest
from twinset.generation.step import Base, GenerationStep, OpenStep, part_card, stamped
from twinset.recipe import AugmentStep
from twinset.registry import build

_VARIED = "varies real records: treat as the source data"


@dataclass(frozen=True)
class _Rows:
    """The rows that are varied: how many, and their chunks of a given size, as often as asked for."""

    n: int
    chunks: Callable[[int], Iterator[Dataset]]


def open_augment_step(part: GenerationStep, progress: Progress) -> OpenStep:
    """Return an augmenting step that is ready to make its rows.

    Raises
    ------
    DataError
        No row meets the condition of the step.
    RecipeError
        There is no real set to vary.
    """
    step = cast(AugmentStep, part.step)
    augmenter: Any = build("augmenter", step.use, step.settings, part.name)
    varies_cells = type(augmenter).varies_cells and part.base is None
    rows = _rows(part, step, protects=varies_cells and step.value_protection)
    card = _card(part, step, type(augmenter).note)
    if varies_cells and not step.value_protection:
        card = replace(card, notes=(*card.notes, UNPROTECTED))
    train = part.train
    rules = [] if train is None else _rules(train.schema, part.base)
    keeper = None if train is None else RuleEnforcer.learn(train, rules)
    tally = RuleTally(rules)
    account = augmenter.open_account() if isinstance(augmenter, KeepsAccount) else None

    def vary(chunk: Dataset, rng: np.random.Generator) -> EnforcedRows:
        conditions = augmenter if account is None else account
        varied = conditions.apply(chunk, conditions.draw(chunk, rng))
        if keeper is None:
            return EnforcedRows.untouched(varied)

        def more(n: int) -> Dataset:
            again = chunk.take(rng.integers(0, len(chunk), n))
            found: Dataset = augmenter.apply(again, augmenter.draw(again, rng))
            return found

        return keeper.enforce(varied, rng, redraw=more)

    total, size = rows.n * step.copies, type(augmenter).chunk_rows
    part.room.check(total, part.train)

    def chunks(skip: int) -> Iterator[Dataset]:
        start = 0
        for copy in range(step.copies):
            for k, chunk in enumerate(rows.chunks(size)):
                if start + len(chunk) <= skip and account is None:
                    start += len(chunk)  # a varied row comes of each
                    continue
                rng = rng_for(part.recipe.seed, "augment", part.name, f"copy-{copy}", f"chunk-{k}")
                varied = vary(chunk, rng)
                tally.add(varied)
                made = stamped(varied.dataset, card, start)
                start += len(made)
                yield made.slice(max(0, len(made) - (start - skip)), len(made))
                progress(f"augment {part.name}", start, total)

    def final() -> Card:
        conditions = () if account is None else account.notes()
        return replace(card, notes=(*card.notes, *conditions, *tally.notes()))

    return OpenStep(total, chunks, final, is_seekable=keeper is None and account is None)


def _rows(part: GenerationStep, step: AugmentStep, *, protects: bool) -> _Rows:
    where = Where.from_value(step.where)
    if part.base is not None:
        stream = part.base.stream

        def filtered() -> Iterator[Dataset]:
            return (chunk.where(where) for chunk in stream())

        rows = _Rows(sum(map(len, filtered())), lambda size: _resized(filtered(), size))
    elif part.train is not None:
        meant = None if where is None else part.train.mask(where)
        real = _protected(part, where) if protects else part.train
        real = real if meant is None else real.filter(meant)
        n = len(real)
        rows = _Rows(n, lambda size: (real.slice(first, size) for first in range(0, n, size)))
    else:
        raise RecipeError(
            f"the step '{part.name}' varies real rows and there is no real set",
            todo="give the recipe a source, say of: STEP to vary what a step made, or remove the step",
        )
    if rows.n == 0:
        noun = "training row" if part.base is None else f"row of the step '{step.of}'"
        raise DataError(f"no {noun} meets the condition of '{part.name}'", got=str(step.where))
    return rows


def _protected(part: GenerationStep, where: Where | None) -> Dataset:
    """Return the train rows without values of single persons in the columns that are varied."""
    real, brief = part.train, part.recipe.brief
    assert real is not None
    named = named_values([where, label_of_interest(brief.target, brief.positive)])
    # The stream of generate steps: all steps of a recipe see the same rows.
    shown = protect_rows(real, rng_for(part.recipe.seed, "value protection"), named)
    records, schema = shown.records, shown.schema
    for field in real.schema.fields:
        if field.role not in ("feature", "sensitive"):  # labels, keys and times are the parents'
            at = records.column_names.index(field.name)
            records = records.set_column(at, field.name, real.records.column(field.name))
            schema = schema.with_field(field)
    return replace(real, records=records, schema=schema)


def _rules(real: Schema, base: Base | None) -> list[Rule]:
    """Return the rules that varied rows keep: of made ones those on columns that these hold, too."""
    rules = [rule for rule in real.rules if rule.kind != "unique"]
    if base is None:
        return rules
    made = {field.name: field.kind for field in next(base.stream()).schema.fields}
    alike = {field.name for field in real.fields if made.get(field.name) == field.kind}
    return [rule for rule in rules if set(rule.columns) <= alike]


def _resized(chunks: Iterator[Dataset], size: int) -> Iterator[Dataset]:
    """Yield the rows in chunks of one size: what comes of a row hangs on the chunk that it is in."""
    kept: list[Dataset] = []
    for chunk in chunks:
        kept.append(chunk)
        while sum(map(len, kept)) >= size:
            whole = Dataset.concat(kept)
            yield whole.slice(0, size)
            kept = [whole.slice(size, len(whole) - size)]
    if sum(map(len, kept)):
        yield Dataset.concat(kept)


def _card(part: GenerationStep, step: AugmentStep, note: str) -> Card:
    """Return the card; augmented rows of a synthetic set are synthetic."""
    base, where = part.base, Where.from_value(step.where)
    origin, first = ("augmented", _VARIED) if base is None else (base.card.origin, "")
    card = part_card(part, origin, step.use, step.settings, first, where)
    notes = [*card.notes, *((note,) if note else ())]
    if base is not None:
        those = f" that meet {where}" if where is not None else ""
        notes = [*base.card.notes, f"varies the rows of the step '{step.of}'{those}", *notes]
        card = replace(card, where=_still_met(base.card.where, card.where, part.train))
    return replace(card, notes=tuple(dict.fromkeys(notes)))


def _still_met(
    requested: Mapping[str, Any] | None, own: Mapping[str, Any] | None, real: Dataset | None
) -> dict[str, Any] | None:
    """Return the conditions that varied rows meet, their parents' among them.

    They are measured against real rows of the same kind, so those on columns that only synthetic rows have
    are left out where there are real ones.
    """
    conditions = {**(requested or {}), **(own or {})}
    if real is not None:
        names = real.schema.names
        conditions = {
            c: v
            for c, v in conditions.items()
            if c in names or counted(real.records, real.schema, c) is not None
        }
    return conditions or None

"""Make rows as one step of a recipe asks: draw from a generator, or vary rows that are there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import cast

from twinset.core.contracts import Progress, TakesAssets
from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.where import Where
from twinset.core.data.window_features import recomputed
from twinset.core.errors import DataError, SchemaError
from twinset.core.stats.hypothesis_tests import declared_columns
from twinset.generation.augment_step import open_augment_step
from twinset.generation.requests import list_requests, read_assets
from twinset.generation.sampling import UNPROTECTED, OpenSet, fit_source, is_protectable
from twinset.generation.step import GenerationStep, OpenStep, part_card, stamped
from twinset.measurement.leakage import require_clean_sets
from twinset.recipe import GenerateStep, Recipe
from twinset.registry import build

_LABELLED = ("category", "boolean")
_MAX_SHOWN = 20  # labels in an error: more would hide the sentence


def open_part(part: GenerationStep, workers: int, progress: Progress) -> OpenStep:
    """Return a step of a recipe that is ready to make its rows; `workers` threads draw them.

    The card reports how often each rule was repaired.

    Raises
    ------
    DataError
        The train set lacks rows that the step needs.
    RecipeError
        There is no real set to vary.
    """
    with part.recipe.faults_of(part.name):
        making = (
            _open_generating(part, workers, progress)
            if isinstance(part.step, GenerateStep)
            else open_augment_step(part, progress)
        )
        part.room.check(making.n_rows, part.train)

    def chunks(skip: int) -> Iterator[Dataset]:
        with part.recipe.faults_of(part.name):
            yield from making.chunks(skip)

    return replace(making, chunks=chunks)


def _open_generating(part: GenerationStep, workers: int, progress: Progress) -> OpenStep:
    step = cast(GenerateStep, part.step)
    generator = build("generator", step.use, step.settings, part.name)
    if isinstance(generator, TakesAssets):
        generator = generator.with_assets(read_assets(part.recipe, step.use))
    requests, plan = list_requests(step, part.name, part.recipe, part.train)
    part.room.check(sum(rows for _, rows in requests), part.train)
    wheres = {str(where): where for where, _ in requests}
    of_step = Where.from_value(step.where)
    asked = of_step or (next(iter(wheres.values())) if len(wheres) == 1 else None)
    # Counts are conditions on sampling: a generator learns less from the rows of a slice than from all.
    fit_where = of_step if step.counts or plan is not None else asked

    def report_step(_: str, done: int, total: int) -> None:
        progress(f"generate {part.name}", done, total)

    train = part.train.without_parents() if part.train is not None else None
    source = fit_source(
        generator,
        train,
        seed=part.recipe.seed,
        path=("generate", part.name),
        where=fit_where,
        known=part.known,
        named=[*(where for where, _ in requests), _label_of_interest(part.recipe)],
        value_protection=step.value_protection,
        progress=progress,
    )
    card = part_card(part, "synthetic", step.use, step.settings, type(generator).note, asked)
    if is_protectable(generator) and not step.value_protection:
        card = replace(card, notes=(*card.notes, UNPROTECTED))
    made = source.open_set()

    def chunks(skip: int) -> Iterator[Dataset]:
        start = 0
        _account_for(part.earlier, made)
        for i, (where, rows) in enumerate(requests):
            left_out = min(max(0, skip - start), rows)
            drawn = source.draw(
                rows,
                where=where,
                start=part.first + start,
                part=f"part-{i}",
                into=made,
                skip=left_out,
                workers=workers,
                progress=report_step,
            )
            start += left_out
            for chunk in drawn:
                yield stamped(chunk, card, start)
                start += len(chunk)

    def final() -> Card:
        plan_notes = () if plan is None else (plan.summary,)
        return replace(card, notes=(*card.notes, *plan_notes, *made.notes()))

    aggregates = train is not None and bool(train.schema.aggregates)
    return OpenStep(
        sum(rows for _, rows in requests),
        lambda skip: with_aggregates(chunks(skip), train),
        final,
        is_seekable=made.ledger is None and made.whole is None and not aggregates,
    )


def _label_of_interest(recipe: Recipe) -> Where | None:
    """Return the positive label of the brief as a condition: it is drawn however few rows have it."""
    brief = recipe.brief
    if brief.target is None or brief.positive is None:
        return None
    return Where({brief.target: brief.positive})


def _account_for(earlier: Iterable[Dataset], state: OpenSet) -> None:
    """Record the rows of earlier steps where keys or the set as a whole depend on them."""
    account = state.ledger if state.ledger is not None and state.has_keys else state.whole
    if account is not None:
        for rows in earlier:
            account.record(rows)


def with_aggregates(chunks: Iterator[Dataset], train: Dataset | None) -> Iterator[Dataset]:
    """Yield the chunks with every declared aggregate computed from all of them and the train rows."""
    if train is None or not train.schema.aggregates:
        yield from chunks
        return
    # A row's window may reach into any chunk: this step alone is held in memory.
    parts = list(chunks)
    if parts:
        whole, start = recomputed(Dataset.concat(parts), [train]), 0
        for part in parts:
            yield whole.slice(start, len(part))
            start += len(part)


def check_brief(recipe: Recipe, train: Dataset | None, synthetic: Dataset | None = None) -> None:
    """Raise for a brief that speaks of columns or labels which the sets do not have.

    Raises
    ------
    SchemaError
        A column whose population is declared does not exist, or rows per label are wanted of a target
        without labels.
    DataError
        No training row has the positive label.
    """
    brief = recipe.brief
    for key in brief.population:
        for dataset in (train, synthetic):
            if dataset is not None:
                for column in declared_columns(key, dataset.schema.names):
                    dataset.schema[column]
    if train is None or brief.target is None:
        return
    field = train.schema[brief.target]
    if brief.want and not field.has_levels:
        raise SchemaError(
            f"brief.want speaks of labels, and the target '{brief.target}' has none",
            got=f"a column of kind {field.kind}",
            allowed=", ".join(_LABELLED),
            todo="say rows: in the step, or declare the column a category",
        )
    if brief.positive is not None:
        labels = train.codes(brief.target)[1]
        if brief.positive not in labels:
            raise DataError(
                f"no training row of the target '{brief.target}' has the positive label "
                f"'{brief.positive}'",
                allowed=", ".join(labels[:_MAX_SHOWN]) if field.has_levels else "",
                todo="correct brief.positive, or split another way",
            )


def refuse_leaks(
    recipe: Recipe, train: Dataset, holdout: Dataset, sets: Mapping[str, Dataset] | None = None
) -> list[str]:
    """Return what to note of leaks that the recipe allows.

    Raises
    ------
    LeakError
        The holdout overlaps the train set or the synthetic set.
    """
    return require_clean_sets(
        train,
        holdout,
        sets or {},
        target=recipe.brief.target,
        split_by=recipe.split.by,
        split_on=recipe.split.on if recipe.split.by == "time" else None,
        allow=recipe.evaluate.allow_leaks,
        seed=recipe.seed,
    )

"""Make rows as one step of a recipe asks: draw from a generator, or vary rows that are there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import cast

from twinset.core.contracts import Generator, Progress, TakesAssets
from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.where import Where
from twinset.core.data.window_features import recomputed
from twinset.core.errors import SchemaError
from twinset.core.stats.hypothesis_tests import declared_columns
from twinset.generation.augment_step import open_augment_step
from twinset.generation.requests import label_counts, list_requests, no_rows, read_assets
from twinset.generation.sampling import (
    UNPROTECTED,
    OpenSet,
    RowSource,
    fit_source,
    is_protectable,
    label_of_interest,
)
from twinset.generation.step import GenerationStep, OpenStep, part_card, stamped
from twinset.measurement.leakage import require_clean_sets
from twinset.recipe import GenerateStep, Recipe
from twinset.registry import build

_LABELLED = ("category", "boolean")


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

    def report_step(_: str, done: int, total: int) -> None:
        progress(f"generate {part.name}", done, total)

    # Counts are conditions on sampling: a generator learns less from the rows of a slice than from all.
    fit_where = of_step if step.counts or plan is not None else asked
    train = part.train.without_parents() if part.train is not None else None
    source = _fit(part, generator, train, fit_where, [where for where, _ in requests], progress)
    card = _card_of_generated(part, generator, asked)
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


def _fit(
    part: GenerationStep,
    generator: Generator,
    train: Dataset | None,
    where: Where | None,
    requests: list[Where | None],
    progress: Progress,
) -> RowSource:
    """Return the generator of a step fitted on the rows of `train` that `where` means."""
    step, recipe = cast(GenerateStep, part.step), part.recipe
    return fit_source(
        generator,
        train,
        seed=recipe.seed,
        path=("generate", part.name),
        where=where,
        known=part.known,
        named=[*requests, label_of_interest(recipe.brief.target, recipe.brief.positive)],
        value_protection=step.value_protection,
        progress=progress,
    )


def _card_of_generated(part: GenerationStep, generator: Generator, requested: Where | None) -> Card:
    """Return the card of a step's rows; it says where values of single persons are not protected."""
    step = cast(GenerateStep, part.step)
    card = part_card(part, "synthetic", step.use, step.settings, type(generator).note, requested)
    if is_protectable(generator) and not step.value_protection:
        card = replace(card, notes=(*card.notes, UNPROTECTED))
    return card


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
        No training row has the positive label, or one that is wanted and not declared.
    """
    brief = recipe.brief
    for key in brief.population:
        for dataset in (train, synthetic):
            if dataset is not None:
                for column in declared_columns(key, dataset.schema.names):
                    dataset.schema[column]
    evaluated = recipe.evaluate
    for column in (*evaluated.ignore, *evaluated.quasi_identifiers):
        for dataset in (train, synthetic):
            if dataset is not None:
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
    counts = (
        label_counts(train, brief.target) if field.has_levels or brief.positive is not None else {}
    )
    declared = field.taxonomy.names if field.taxonomy is not None else ()
    for label in brief.want:
        if label not in counts and label not in declared:
            raise no_rows(
                f"brief.want names the label '{label}', and no training row of the target "
                f"'{brief.target}' has it",
                label,
                train,
                brief.target,
                "correct brief.want, or split another way",
            )
    if brief.positive is not None and brief.positive not in counts:
        raise no_rows(
            f"no training row of the target '{brief.target}' has the positive label "
            f"'{brief.positive}'",
            brief.positive,
            train,
            brief.target,
            "correct brief.positive, or split another way",
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

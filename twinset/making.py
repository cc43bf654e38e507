"""Make rows as one step of a recipe asks: draw from a generator, or vary real training rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import pyarrow as pa

from twinset.catalog import Version
from twinset.core.aggregates import declared, recomputed
from twinset.core.contracts import Progress
from twinset.core.dataset import Card, Dataset
from twinset.core.errors import DataError, RecipeError, SchemaError
from twinset.core.rule_repair import Held, RuleKeeper, RuleTally
from twinset.core.seeding import rng_for
from twinset.core.shares import declared_columns
from twinset.core.where import Where
from twinset.core.whole_sets import KeepsAccount, TakesAssets
from twinset.leaks import refuse_sets
from twinset.recipe import AugmentStep, GenerateStep, Recipe
from twinset.registry import build
from twinset.sampling import fit_source
from twinset.wanted import wanted_rows

_VARIED = "varies real records: treat as the source data"
_LABELLED = ("category", "boolean")
_MOST_SHOWN = 20


@dataclass(frozen=True)
class Part:
    """One making step with everything it needs.

    `train` is all that a component sees. `known` holds all real rows where there are identifiers, so
    that no fresh one is a real one of the holdout. `first` is how many rows earlier steps made: fresh
    identifiers count on from there, so that no two steps make the same ones. `earlier` gives those
    rows: keys that they hold are not made again. `assets` are the sets that the recipe names for
    components; `predictions` are a model's, for a plan that begins where it errs.
    """

    name: str
    address: str
    step: GenerateStep | AugmentStep
    recipe: Recipe
    parent: Version | None
    train: Dataset | None
    known: Dataset | None = None
    first: int = 0
    earlier: Iterable[Dataset] = ()
    assets: Mapping[str, Dataset] = field(default_factory=dict)
    predictions: Dataset | None = None

    @property
    def is_generated(self) -> bool:
        """Whether the step draws new rows (rather than varying real ones)."""
        return isinstance(self.step, GenerateStep)


@dataclass(frozen=True)
class Making:
    """A step that is ready to make its rows, from any of them on.

    Parameters
    ----------
    n_rows : int
        Rows that it makes.
    chunks : callable
        Yields them, without the first of a given number; those are not made where none depends on them.
    card : callable
        Returns the card of all rows that have been made.
    is_seekable : bool
        Whether rows do not depend on those before them.
    """

    n_rows: int
    chunks: Callable[[int], Iterator[Dataset]]
    card: Callable[[], Card]
    is_seekable: bool


def open_part(part: Part, workers: int, progress: Progress) -> Making:
    """Return a step of a recipe that is ready to make its rows; `workers` threads draw them.

    The card tells how often each rule was mended.

    Raises
    ------
    DataError
        The training part lacks rows that the step needs.
    RecipeError
        There is no real set to vary.
    """
    with part.recipe.faults_of(part.name):
        making = (
            _open_generating(part, workers, progress)
            if part.is_generated
            else _open_varying(part, progress)
        )

    def chunks(skip: int) -> Iterator[Dataset]:
        with part.recipe.faults_of(part.name):
            yield from making.chunks(skip)

    return replace(making, chunks=chunks)


def _open_generating(part: Part, workers: int, progress: Progress) -> Making:
    step = cast(GenerateStep, part.step)
    generator = build("generator", step.use, step.settings, part.name)
    if isinstance(generator, TakesAssets):
        generator = generator.with_assets(part.assets)
    requests, plan = wanted_rows(step, part.name, part.recipe, part.train, part.predictions)
    wheres = {str(where): where for where, _ in requests}
    asked = Where.of(step.where) or (next(iter(wheres.values())) if len(wheres) == 1 else None)
    # Counts are conditions on what is drawn: few rows of a slice alone teach less than all rows do.
    fit_where = Where.of(step.where) if step.counts or plan is not None else asked
    path = ("generate", part.name)

    def told(_: str, done: int, total: int) -> None:
        progress(f"generate {part.name}", done, total)

    train = part.train.without_parents() if part.train is not None else None
    source = fit_source(
        generator,
        train,
        seed=part.recipe.seed,
        path=path,
        where=fit_where,
        known=part.known,
        progress=progress,
    )
    card = _card(part, "synthetic", step.use, step.settings, type(generator).note, asked)
    made = source.open_set()

    def chunks(skip: int) -> Iterator[Dataset]:
        start = 0
        # Only what keeps account of rows reads the earlier ones: they may be many.
        account = made.ledger if made.ledger is not None and made.has_keys else made.whole
        if account is not None:
            for rows_before in part.earlier:
                account.record(rows_before)
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
                progress=told,
            )
            start += left_out
            for chunk in drawn:
                yield _stamp(chunk, card, start)
                start += len(chunk)

    def final() -> Card:
        told_plan = () if plan is None else (plan.summary,)
        return replace(card, notes=(*card.notes, *told_plan, *made.notes()))

    aggregates = train is not None and bool(declared(train.schema))
    return Making(
        sum(rows for _, rows in requests),
        lambda skip: with_aggregates(chunks(skip), train),
        final,
        is_seekable=made.ledger is None and made.whole is None and not aggregates,
    )


def with_aggregates(chunks: Iterator[Dataset], train: Dataset | None) -> Iterator[Dataset]:
    """Yield the chunks with every declared aggregate computed from all of them and the train part."""
    if train is None or not declared(train.schema):
        yield from chunks
        return
    # A row's window may reach into any chunk: this step alone is held in memory.
    parts = list(chunks)
    if parts:
        whole, start = recomputed(Dataset.concat(parts), [train]), 0
        for part in parts:
            yield whole.slice(start, len(part))
            start += len(part)


def _open_varying(part: Part, progress: Progress) -> Making:
    step = cast(AugmentStep, part.step)
    if part.train is None:
        raise RecipeError(
            f"the step '{part.name}' varies real rows and there is no real set",
            todo="give the recipe a source, or remove the step",
        )
    augmenter = build("augmenter", step.use, step.settings, part.name)
    rows = part.train.where(Where.of(step.where))
    if len(rows) == 0:
        raise DataError(
            f"no training row meets the condition of '{part.name}'", got=str(step.where)
        )
    card = _card(part, "augmented", step.use, step.settings, _VARIED, Where.of(step.where))
    if type(augmenter).note:
        card = replace(card, notes=(*card.notes, type(augmenter).note))
    rules = [rule for rule in part.train.schema.rules if rule.kind != "unique"]
    keeper = RuleKeeper.learn(part.train, rules)
    tally = RuleTally(rules)

    account = augmenter.open_account() if isinstance(augmenter, KeepsAccount) else None

    def vary(chunk: Dataset, rng: np.random.Generator) -> Held:
        told = augmenter if account is None else account
        varied = told.apply(chunk, told.draw(chunk, rng))
        if keeper is None:
            return Held.untouched(varied)

        def more(n: int) -> Dataset:
            again = chunk.take(rng.integers(0, len(chunk), n))
            return augmenter.apply(again, augmenter.draw(again, rng))

        return keeper.hold(varied, rng, redraw=more)

    total, size = len(rows) * step.copies, type(augmenter).chunk_rows

    def chunks(skip: int) -> Iterator[Dataset]:
        start = 0
        for copy in range(step.copies):
            for k, first in enumerate(range(0, len(rows), size)):
                chunk = rows.slice(first, size)
                if start + len(chunk) <= skip and account is None:
                    start += len(chunk)  # a varied row comes of each
                    continue
                rng = rng_for(part.recipe.seed, "augment", part.name, f"copy-{copy}", f"chunk-{k}")
                varied = vary(chunk, rng)
                tally.add(varied)
                made = _stamp(varied.dataset, card, start)
                start += len(made)
                yield made.slice(max(0, len(made) - (start - skip)), len(made))
                progress(f"augment {part.name}", start, total)

    def final() -> Card:
        told = () if account is None else account.notes()
        return replace(card, notes=(*card.notes, *told, *tally.notes()))

    return Making(total, chunks, final, is_seekable=keeper is None and account is None)


def check_brief(recipe: Recipe, train: Dataset | None, made: Dataset | None = None) -> None:
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
        for dataset in (train, made):
            if dataset is not None:
                for column in declared_columns(key, dataset.schema.names):
                    dataset.schema[column]
    if train is None or brief.target is None:
        return
    field = train.schema[brief.target]
    if brief.want and field.kind not in _LABELLED:
        raise SchemaError(
            f"brief.want speaks of labels, and the target '{brief.target}' has none",
            got=f"a column of kind {field.kind}",
            allowed=", ".join(_LABELLED),
            todo="say rows: in the step, or declare the column a category",
        )
    if brief.positive_label is not None:
        labels = train.codes(brief.target)[1]
        if brief.positive_label not in labels:
            raise DataError(
                f"no training row of the target '{brief.target}' has the positive label "
                f"'{brief.positive_label}'",
                allowed=", ".join(labels[:_MOST_SHOWN]) if field.kind in _LABELLED else "",
                todo="correct brief.positive, or split another way",
            )


def refuse_leaks(
    recipe: Recipe, train: Dataset, holdout: Dataset, made: Mapping[str, Dataset] | None = None
) -> list[str]:
    """Return what to note of leaks that the recipe allows.

    Raises
    ------
    LeakError
        The holdout does not stand apart from the train part, or from what was made.
    """
    return refuse_sets(
        train,
        holdout,
        made or {},
        target=recipe.brief.target,
        split_by=recipe.split.by,
        split_on=recipe.split.on if recipe.split.by == "time" else None,
        allow=recipe.evaluate.allow_leaks,
        seed=recipe.seed,
    )


def _card(
    part: Part, origin: Any, use: str, settings: dict[str, Any], note: str, where: Where | None
) -> Card:
    source = part.recipe.source
    return Card(
        name=f"{part.recipe.name}.{part.name}",
        origin=origin,
        parents=(part.parent.digest,) if part.parent is not None else (),
        seed=part.recipe.seed,
        recipe_digest=part.address,
        licence=source.licence if source is not None else "",
        component=use,
        settings=settings,
        where=where.to_json() if where is not None else None,
        notes=(note,) if note else (),
    )


def _stamp(chunk: Dataset, card: Card, start: int) -> Dataset:
    """Give every row its id, origin and parents."""
    parents: list[list[str]] | pa.ChunkedArray | None = None
    if "_parents" in chunk.records.column_names:
        parents = chunk.records.column("_parents").to_pylist()
    ids = [f"{card.name}-{start + i}" for i in range(len(chunk))]
    return replace(chunk, card=card).with_reserved(ids=ids, parents=parents)

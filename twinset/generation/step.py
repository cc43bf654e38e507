"""One generation step of a recipe: its inputs, and the step opened for sampling."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pyarrow as pa

from twinset.catalog import Catalog, Version
from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.where import Where
from twinset.recipe import AugmentStep, GenerateStep, Recipe


@dataclass(frozen=True)
class Base:
    """A set that an earlier step made, to be varied.

    Parameters
    ----------
    card : Card
        Its card.
    stream : callable
        Gives its rows, in chunks, as often as it is called.
    """

    card: Card
    stream: Callable[[], Iterator[Dataset]]


@dataclass(frozen=True)
class GenerationStep:
    """One generation step with its inputs.

    `train` is all that a component sees. `known` holds all real rows where there are identifiers, so
    that no fresh one is a real one of the holdout. `first` is how many rows earlier steps made: fresh
    identifiers count on from there, so that no two steps make the same ones. `earlier` gives those
    rows: keys that they hold are not made again. `assets` are the sets that the recipe names for
    components; `predictions` are a model's, for a plan that begins where it errs. `base` is the set
    whose rows are varied, where these are not real ones; `parent` is its version then.
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
    base: Base | None = None

    @property
    def is_generated(self) -> bool:
        """Whether the step draws new rows (rather than varying real ones)."""
        return isinstance(self.step, GenerateStep)


@dataclass(frozen=True)
class OpenStep:
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


def find_base(
    step: GenerateStep | AugmentStep,
    earlier: Mapping[str, Version],
    train: Version | None,
    catalog: Catalog,
) -> tuple[Version | None, Base | None]:
    """Return what the rows of a step come from, and the set of an earlier step that it augments."""
    if not isinstance(step, AugmentStep) or step.of is None:
        return train, None
    version = earlier[step.of]
    return version, Base(catalog.card(version), partial(catalog.stream, version))


def part_card(
    part: GenerationStep,
    origin: Any,
    use: str,
    settings: dict[str, Any],
    note: str,
    where: Where | None,
) -> Card:
    """Return the card of what a part makes."""
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


def stamped(chunk: Dataset, card: Card, start: int) -> Dataset:
    """Give every row its id, origin and parents."""
    parents: list[list[str]] | pa.ChunkedArray | None = None
    if "_parents" in chunk.records.column_names:
        parents = chunk.records.column("_parents").to_pylist()
    ids = [f"{card.name}-{start + i}" for i in range(len(chunk))]
    return replace(chunk, card=card).with_reserved(ids=ids, parents=parents)

"""One generation step of a recipe: its inputs, the step opened for sampling, and the cards of its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from twinset.catalog import Catalog, Version
from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.where import Where
from twinset.core.untrusted import parse_json
from twinset.generation.room import CHECKED, Room
from twinset.recipe import AugmentStep, GenerateStep, Recipe

_HOLDS_REAL = "holds real records (those whose _origin is real): treat as the source data"


@dataclass(frozen=True)
class Base:
    """A set that an earlier step made, to be varied."""

    card: Card
    stream: Callable[[], Iterator[Dataset]]  # Gives its rows, in chunks, as often as it is called


@dataclass(frozen=True)
class GenerationStep:
    """One generation step with its inputs."""

    name: str
    address: str
    step: GenerateStep | AugmentStep
    recipe: Recipe
    parent: Version | None  # What its rows come from: the train set, or the version of `base`
    train: Dataset | None  # All that a component sees
    # All real rows, where there are identifiers: no fresh one is a real one of the holdout
    known: Dataset | None = None
    first: int = 0  # Rows that earlier steps made: fresh identifiers count on from there
    earlier: Iterable[Dataset] = ()  # Those rows: keys that they hold are not made again
    base: Base | None = None  # The set whose rows are varied, where these are not real ones
    room: Room = CHECKED  # Where the rows go


@dataclass(frozen=True)
class OpenStep:
    """A step that is ready to make its rows, from any of them on."""

    n_rows: int
    # Yields them, without the first of a given number; those are not made where none depends on them
    chunks: Callable[[int], Iterator[Dataset]]
    card: Callable[[], Card]  # Returns the card of all rows that have been made
    is_seekable: bool  # Whether rows do not depend on those before them


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


def shared_where(cards: Sequence[Card]) -> Where | None:
    """Return the condition that every synthetic row meets, if all cards agree."""
    asked = [Where.from_value(card.where) for card in cards]
    return asked[0] if asked and all(where == asked[0] for where in asked) else None


def joint_card(cards: Sequence[Card]) -> Card:
    """Return the card of a set that holds the rows of several: it tells what is true of all of them.

    Rows varied from real ones make the whole set an augmented one, and all notes are kept.
    """
    first = cards[0]
    augmented = any(card.origin == "augmented" for card in cards)
    same = all((c.component, c.settings) == (first.component, first.settings) for c in cards)
    where = shared_where(cards)
    return replace(
        first,
        origin="augmented" if augmented else first.origin,
        component=first.component if same else "",
        settings=first.settings if same else {},
        where=where.to_json() if where is not None else None,
        notes=tuple(dict.fromkeys(note for card in cards for note in card.notes)),
    )


def cards_beside(file: Path) -> tuple[Card, ...]:
    """Return the cards of the delivered folder that a file lies in; none of any other folder."""
    place = file.parent / "cards.json"
    if not place.is_file():
        return ()
    try:
        content = parse_json(place.read_text("utf-8"))
        return tuple(Card.from_json(card) for card in content.values())
    except (ValueError, TypeError, AttributeError):
        return ()  # another program's file of that name


def training_set_card(candidate: Card, parents: Sequence[Version]) -> Card:
    """Return the card of the real training rows with the made ones behind them."""
    return replace(
        candidate,
        name="training_set",
        origin="real",
        parents=tuple(version.digest for version in parents),
        component="",
        settings={},
        where=None,
        notes=tuple(dict.fromkeys((_HOLDS_REAL, *candidate.notes))),
    )

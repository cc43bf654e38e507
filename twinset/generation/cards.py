"""The cards of sets that hold the rows of several steps, or of the real set too."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from twinset.catalog import Version
from twinset.core.data.dataset import Card
from twinset.core.data.where import Where

_HOLDS_REAL = "holds real records (those whose _origin is real): treat as the source data"


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
        content = json.loads(place.read_text("utf-8"))
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

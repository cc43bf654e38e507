"""Ways to make synthetic texts: hand-written templates, learned rows, and the same rows again."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from benchmarks.datasets import TextRow, text_dataset, text_rows
from benchmarks.runner import load_yaml
from twinset.core.seeding import rng_for
from twinset.registry import component_class

Make = Callable[
    [Sequence[TextRow], int], Sequence[TextRow]
]  # real rows and a seed -> synthetic rows
TEMPLATES: dict[str, list[str]] = load_yaml(__file__, "snips_templates.yaml")
_WORDS = load_yaml(__file__, "snips_words.yaml")
SLOTS: dict[str, list[str]] = _WORDS["slots"]
PARTS: dict[str, list[str]] = {
    **_WORDS["parts"],
    "first_small": [name.lower() for name in _WORDS["parts"]["first"]],
    "last_small": [name.lower() for name in _WORDS["parts"]["last"]],
    "date": list(map(str, range(1, 29))),
    "month_number": list(map(str, range(1, 13))),
    "hour": list(map(str, range(1, 13))),
    "year": list(map(str, range(1950, 2040))),
}
# First phrase of a list -> phrases that may stand for each other.
BANKING: dict[str, list[str]] = {p[0]: p for p in load_yaml(__file__, "banking_words.yaml")}
_PART = re.compile(r"\{(\w+)\}")
VALUES = 400  # a slot: more hardly bring new ones
LOWERCASE_SHARE = 0.3  # share of texts in lowercase, about that of the train set of SNIPS


class Arm(NamedTuple):
    """Synthetic rows that are added to real ones."""

    name: str  # on the page
    make: Make
    weight: float = 1.0  # of a row when a model of intents is trained; a real row has 1


def templates(n: int) -> Arm:
    """Return `n` rows from the hand-written templates; the real rows are not used."""
    return Arm("templates by hand", lambda real, seed: template_rows(n, seed))


def learned(per_row: int, lexicon: Mapping[str, Sequence[str]] | None, name: str) -> Arm:
    """Return `per_row` rows a real one from `text.learned`; together they weigh as much as those."""

    def make(real: Sequence[TextRow], seed: int) -> Sequence[TextRow]:
        settings: dict[str, Any] = {"lexicon": lexicon}
        generator: Any = component_class("generator", "text.learned")(**settings)
        fitted = generator.fit(text_dataset(real), rng_for(seed, "fit"))
        return text_rows(fitted.sample(per_row * len(real), rng_for(seed, "draw")))

    return Arm(name, make, 1 / per_row)


def copies(per_row: int) -> Arm:
    """Return the real rows again: the control, which cannot bring anything new."""
    return Arm("the same rows again", lambda real, seed: [*real] * per_row, 1 / per_row)


def template_rows(n: int, seed: int) -> list[TextRow]:
    """Return `n` texts from the templates and word lists, every intent as often as the others."""
    slots = {
        slot: {"values": phrases(slot, VALUES, rng_for(seed, slot)), "label": slot.split("__")[0]}
        for slot in SLOTS
    }
    settings = {"templates": TEMPLATES, "slots": slots, "unique_rows": False}
    generator: Any = component_class("generator", "text.templates")(**settings)
    made = generator.fit(None, rng_for(seed, "fit")).sample(n, rng_for(seed, "draw"))
    rng = rng_for(seed, "letters")
    return [_small(row) if rng.random() < LOWERCASE_SHARE else row for row in text_rows(made)]


def snips_words() -> dict[str, list[str]]:
    """Return the word lists of the templates as a lexicon, label -> values."""
    slots = [slot for slot in SLOTS if "__" not in slot]
    return {slot: sorted(set(phrases(slot, VALUES, rng_for(0, slot)))) for slot in slots}


def phrases(slot: str, n: int, rng: np.random.Generator) -> list[str]:
    """Return the values of a slot: its list, or where that has patterns, those of `n` draws from it."""
    known = SLOTS[slot]
    if not any(_PART.search(value) for value in known):
        return list(known)
    found = []
    for _ in range(n):
        text = known[int(rng.integers(len(known)))]
        while _PART.search(text):
            text = _PART.sub(lambda m: PARTS[m[1]][int(rng.integers(len(PARTS[m[1]])))], text)
        found.append(text)
    return found


def _small(row: TextRow) -> TextRow:
    said = row["said"].lower()
    if len(said) != len(row["said"]):
        return row
    marks = [{**mark, "value": said[mark["start"] : mark["end"]]} for mark in row["marks"]]
    return {"said": said, "about": row["about"], "marks": marks}

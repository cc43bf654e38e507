"""Texts of the intents of SNIPS from templates and word lists that were written by hand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from twinset.core.seeding import rng_for
from twinset.registry import component_class

from .sets import Row, rows_of

_HERE = Path(__file__).parent
TEMPLATES: dict[str, list[str]] = yaml.safe_load(
    (_HERE / "snips_templates.yaml").read_text("utf-8")
)
_WORDS = yaml.safe_load((_HERE / "snips_words.yaml").read_text("utf-8"))
SLOTS: dict[str, list[str]] = _WORDS["slots"]
_PARTS: dict[str, list[str]] = {
    **_WORDS["parts"],
    "first_small": [name.lower() for name in _WORDS["parts"]["first"]],
    "last_small": [name.lower() for name in _WORDS["parts"]["last"]],
    "date": list(map(str, range(1, 29))),
    "month_number": list(map(str, range(1, 13))),
    "hour": list(map(str, range(1, 13))),
    "year": list(map(str, range(1950, 2040))),
}
_PART = re.compile(r"\{(\w+)\}")
_VALUES = 400
_SMALL_LETTERS = 0.3


def write(n: int, seed: int) -> list[Row]:
    """Return `n` texts from the templates and word lists, intents alike; three in ten in small letters."""
    slots = {
        slot: {"values": phrases(slot, _VALUES, rng_for(seed, slot)), "label": slot.split("__")[0]}
        for slot in SLOTS
    }
    settings = {"templates": TEMPLATES, "slots": slots, "unique_rows": False}
    writer: Any = component_class("generator", "text.templates")(**settings)
    made = writer.fit(None, rng_for(seed, "fit")).sample(n, rng_for(seed, "draw"))
    rng = rng_for(seed, "letters")
    return [_small(row) if rng.random() < _SMALL_LETTERS else row for row in rows_of(made)]


def phrases(slot: str, n: int, rng: np.random.Generator) -> list[str]:
    """Return the values of a slot: its list, or where that has patterns, those of `n` draws from it.

    Parameters
    ----------
    slot : str
        Name of the slot, and after ``__`` that of the intent, e.g. ``object_type__RateBook``.
    n : int
        Values to draw; equal ones come as often as they are drawn.
    rng : numpy.random.Generator
        Draws.
    """
    known = SLOTS[slot]
    if not any(_PART.search(value) for value in known):
        return list(known)
    return [_filled(known[int(rng.integers(len(known)))], rng) for _ in range(n)]


def _filled(pattern: str, rng: np.random.Generator) -> str:
    def one(found: re.Match[str]) -> str:
        values = _PARTS[found[1]]
        return values[int(rng.integers(len(values)))]

    while _PART.search(pattern):
        pattern = _PART.sub(one, pattern)
    return pattern


def _small(row: Row) -> Row:
    said = row["said"].lower()
    if len(said) != len(row["said"]):
        return row
    marks = [{**mark, "value": said[mark["start"] : mark["end"]]} for mark in row["marks"]]
    return {"said": said, "about": row["about"], "marks": marks}

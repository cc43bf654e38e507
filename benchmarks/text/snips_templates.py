"""Texts of the intents of SNIPS from templates and word lists that were written by hand."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import numpy as np
import yaml

from twinset.core.seeding import rng_for
from twinset.generators.text.templates import Templates

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
_ALTERNATIVES = re.compile(r"\(([^()]*)\)")
_SLOT = re.compile(r"\{(\w+)\}")
_MOST_FORMS = 40
_VALUES = 400
_SMALL_LETTERS = 0.3


def forms(template: str) -> list[str]:
    """Return all that a template can say: one of each of its alternatives.

    Examples
    --------
    >>> forms("(Play|Start) {track}( now|)")
    ['Play {track} now', 'Play {track}', 'Start {track} now', 'Start {track}']
    """
    pieces = _ALTERNATIVES.split(template)
    choices = [piece.split("|") if i % 2 else [piece] for i, piece in enumerate(pieces)]
    return [" ".join("".join(chosen).split()) for chosen in product(*choices)]


def write(n: int, seed: int) -> list[Row]:
    """Return `n` texts from the templates and word lists, intents alike; three in ten in small letters."""
    rng = rng_for(seed, "snips templates")
    templates = {
        intent: [_named(form, intent) for text in texts for form in _some(forms(text), rng)]
        for intent, texts in TEMPLATES.items()
    }
    used = {slot for texts in templates.values() for text in texts for slot in _SLOT.findall(text)}
    slots = {slot: phrases(slot, _VALUES, rng_for(seed, slot)) for slot in sorted(used)}
    made = Templates(templates=templates, slots=slots).fit(None, rng_for(seed, "fit"))
    return [_cased(row, rng) for row in rows_of(made.sample(n, rng_for(seed, "draw")))]


def phrases(slot: str, n: int, rng: np.random.Generator) -> list[str]:
    """Return the values of a slot: its list, or where that has patterns, `n` values drawn from it.

    Parameters
    ----------
    slot : str
        Name of the slot, and after ``__`` that of the intent, e.g. ``object_type__RateBook``.
    n : int
        Values to draw; equal ones come as often as they are drawn.
    rng : numpy.random.Generator
        Draws.
    """
    known = SLOTS.get(slot) or SLOTS[slot.split("__")[0]]
    if not any(_SLOT.search(value) for value in known):
        return list(known)
    return [_filled(known[int(rng.integers(len(known)))], rng) for _ in range(n)]


def _filled(pattern: str, rng: np.random.Generator) -> str:
    def one(found: re.Match[str]) -> str:
        values = _PARTS[found[1]]
        return values[int(rng.integers(len(values)))]

    while _SLOT.search(pattern):
        pattern = _SLOT.sub(one, pattern)
    return pattern


def _some(texts: list[str], rng: np.random.Generator) -> list[str]:
    return [texts[int(i)] for i in rng.permutation(len(texts))[:_MOST_FORMS]]


def _named(text: str, intent: str) -> str:
    """Return a template that says whose list a slot takes: `object_type` means another in each intent."""
    return _SLOT.sub(lambda found: "{" + f"{found[1]}__{intent}" + "}", text)


def _cased(row: Row, rng: np.random.Generator) -> Row:
    small = rng.random() < _SMALL_LETTERS and len(row["said"].lower()) == len(row["said"])
    said = row["said"].lower() if small else row["said"]
    marks = [
        {**mark, "label": mark["label"].split("__")[0], "value": said[mark["start"] : mark["end"]]}
        for mark in row["marks"]
    ]
    return {"said": said, "about": row["about"], "marks": marks}

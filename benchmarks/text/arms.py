"""The ways of making rows that are tried: hand-written templates, learned ones, and the same rows again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from twinset.core.seeding import rng_for
from twinset.registry import component_class

from . import snips_templates
from .learners import Make
from .sets import Row, dataset, rows_of

BANKING: dict[str, list[str]] = {
    phrases[0]: phrases
    for phrases in yaml.safe_load((Path(__file__).parent / "banking_words.yaml").read_text("utf-8"))
}
"""First phrase of a list -> phrases that may stand for each other."""

_WORDS_PER_SLOT = 400


@dataclass(frozen=True)
class Arm:
    """A way of making rows.

    Parameters
    ----------
    name : str
        How the page calls it.
    make : callable
        Makes the rows.
    weight : float
        What one of them counts when a model of intents is trained, real ones counting 1.
    """

    name: str
    make: Make
    weight: float = 1.0


def templates(n: int) -> Arm:
    """Return `n` rows from the hand-written templates; the real rows are not looked at."""
    return Arm("templates by hand", lambda real, seed: snips_templates.write(n, seed))


def learned(per_row: int, lexicon: Mapping[str, Sequence[str]] | None, name: str) -> Arm:
    """Return `per_row` rows a real one from `text.learned`; together they count as much as those."""

    def make(real: Sequence[Row], seed: int) -> Sequence[Row]:
        settings: dict[str, Any] = {"lexicon": lexicon}
        writer: Any = component_class("generator", "text.learned")(**settings)
        fitted = writer.fit(dataset(real), rng_for(seed, "fit"))
        return rows_of(fitted.sample(per_row * len(real), rng_for(seed, "draw")))

    return Arm(name, make, 1 / per_row)


def copies(per_row: int) -> Arm:
    """Return the real rows again: the control, which cannot bring anything new."""
    return Arm("the same rows again", lambda real, seed: [*real] * per_row, 1 / per_row)


def snips_words() -> dict[str, list[str]]:
    """Return the word lists of the hand-written templates as a lexicon, label -> values."""
    return {
        slot: sorted(set(snips_templates.phrases(slot, _WORDS_PER_SLOT, rng_for(0, slot))))
        for slot in snips_templates.SLOTS
        if "__" not in slot
    }

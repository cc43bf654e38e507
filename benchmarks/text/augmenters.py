"""Whether swapping entities, mixing and noise help a tagger that has few real sentences.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python -m benchmarks.text.augmenters

SNIPS, 7 intents and 39 kinds of entities: a few sentences drawn at random from the train part, one draw
a seed; copies made of them; the project's tagger trained on both; exact F1 of entities in the 700 real
validation sentences. Beside each the same sentences given again as often, as the tagger learns a little
from seeing them more often alone. Writes the second half of NOISE.md.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.text.sets import Row, dataset, snips
from twinset.core.contracts import Augmenter
from twinset.core.data.dataset import Dataset
from twinset.core.errors import FewRowsWarning
from twinset.core.seeding import rng_for
from twinset.registry import build

PAGE = Path(__file__).with_name("NOISE.md")
SIZES, SEEDS = (70, 350), 10
MOST_VALUES = 100
_STUDENT = 2.262
"""97.5 % quantile of Student's t with nine degrees of freedom, for ten seeds."""

# The tagger of the metrics is no component of its own.
TAGGER: Any = importlib.import_module("twinset.evaluation.utility._entities")

Make = Callable[[Dataset, Mapping[str, Sequence[str]], int], list[Dataset]]


def _noise() -> Augmenter:
    return build("augmenter", "text.noise", {})


def _mix(**settings: object) -> Augmenter:
    return build("augmenter", "text.mix", settings)


def _swap(**settings: object) -> Augmenter:
    return build("augmenter", "text.entity_swap", settings)


def copies(augmenter: Augmenter, data: Dataset, n: int, seed: int) -> list[Dataset]:
    """Return `n` varied copies of a set."""
    made = []
    for k in range(n):
        rng = rng_for(seed, type(augmenter).__name__, k)
        made.append(augmenter.apply(data, augmenter.draw(data, rng)))
    return made


WAYS: Mapping[str, Make] = {
    "the same again, 9 times": lambda data, _, seed: [data] * 9,
    "noise as it comes, 9 copies": lambda data, _, seed: copies(_noise(), data, 9, seed),
    "mix, 9 copies": lambda data, _, seed: copies(_mix(), data, 9, seed),
    "entity_swap, 9 copies": lambda data, _, seed: copies(_swap(), data, 9, seed),
    "mix with swap_rate 1, 20 copies": lambda data, _, seed: copies(
        _mix(swap_rate=1.0), data, 20, seed
    ),
    "entity_swap, mix with swap_rate 1 and noise, 9 copies each": lambda data, _, seed: [
        made
        for augmenter in (_swap(), _mix(swap_rate=1.0), _noise())
        for made in copies(augmenter, data, 9, seed)
    ],
    "entity_swap with a lexicon, 20 copies": lambda data, lexicon, seed: copies(
        _swap(lexicon=lexicon, lexicon_share=0.8), data, 20, seed
    ),
}


def lexicon_of(rows: Sequence[Row]) -> dict[str, list[str]]:
    """Return up to 100 values of each label, as a list that a user might have: without sentences."""
    found: dict[str, dict[str, None]] = {}
    for row in rows:
        for span in row["marks"]:
            if span["value"].strip():
                found.setdefault(span["label"], {})[span["value"].strip()] = None
    return {label: list(values)[:MOST_VALUES] for label, values in found.items()}


def measured(size: int) -> dict[str, list[float]]:
    """Return by way the F1 of each seed; "real" is that of the real sentences alone."""
    train, held = snips("train"), TAGGER.Marked.of(_texts(snips("validation")), _labels())
    found: dict[str, list[float]] = {}
    for seed in range(SEEDS):
        order = rng_for(seed, "cut").permutation(len(train))
        real = _texts([train[i] for i in order[:size]])
        lexicon = lexicon_of([train[i] for i in order[size:3_000]])
        sets = {"real": [real]}
        sets |= {name: [real, *make(real, lexicon, seed)] for name, make in WAYS.items()}
        for name, parts in sets.items():
            found.setdefault(name, []).append(_f1(parts, held, seed))
    return found


def _labels() -> tuple[str, ...]:
    return tuple(sorted({span["label"] for row in snips("train") for span in row["marks"]}))


def _texts(rows: Sequence[Row]) -> Dataset:
    made = dataset(rows)
    return made.with_schema(made.schema.with_target("about"))


def _f1(parts: Sequence[Dataset], held: Any, seed: int) -> float:
    marked = [TAGGER.Marked.of(part, held.labels) for part in parts]
    whole = [(part, np.arange(part.tokens.n_texts)) for part in marked]
    return float(TAGGER.found_by(whole, held, seed).f1(np.ones(held.tokens.n_texts))[0])


def page() -> str:
    """Return the second half of the page."""
    lines = [
        "# Do they help a tagger?",
        "",
        "SNIPS: exact F1 of entities in 700 real validation sentences, mean of ten draws of the real",
        "sentences; gain over these alone with its 95 % interval. The lexicon: up to 100 values a label",
        "out of other train sentences, as lists that a user might have; it says more than the sentences,",
        "so its gain is not that of augmentation alone. Made by `python -m benchmarks.text.augmenters`.",
        "",
        "| real sentences | added | F1 | gain |",
        "|---|---|---|---|",
    ]
    for size in SIZES:
        found = measured(size)
        base = np.array(found["real"])
        for name, scores in found.items():
            gain = np.array(scores) - base
            half = _STUDENT * gain.std(ddof=1) / SEEDS**0.5
            told = "" if name == "real" else f"{gain.mean():+.3f} ± {half:.3f}"
            lines.append(
                f"| {size} | {name if told else 'nothing'} | {np.mean(scores):.3f} | {told} |"
            )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write the half of the page."""
    warnings.simplefilter("ignore", FewRowsWarning)
    first = PAGE.read_text(encoding="utf-8").partition("\n# Do they")[0] if PAGE.exists() else ""
    PAGE.write_text(f"{first}\n{page()}", encoding="utf-8")


if __name__ == "__main__":
    main()

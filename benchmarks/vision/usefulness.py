"""Do our synthetic images help small nets that have few real ones? Trials on real pictures.

    python -m benchmarks.vision.usefulness nuclei               # also: cells, slice, copies; --seeds 0 1
    python -m benchmarks.vision.usefulness tell                 # writes USEFULNESS.md

Each round draws its own real training pictures from the open part, makes synthetic ones of them and has
`utility.image_segmentation` or `utility.image_detection` say what they change on the locked part. The
generators, the tuning of the augmentation and the nets see the round's training pictures alone. Rounds are
lines of usefulness.jsonl; those that are there are not run again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.vision.usefulness_page import WORDS, page
from benchmarks.vision.usefulness_sets import blood_cells, nuclei, opened, with_platelets
from twinset.core.contracts import Comparison
from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.core.seeding import rng_for
from twinset.generation.coverage_plan import plan_scenes
from twinset.registry import build

OUT = Path(__file__).parent / "usefulness.jsonl"
N_OPEN_NUCLEI = 20

CROWDED: Mapping[str, Any] = {
    "n_pastes_range": [10, 40], "scale_range": [0.6, 1.6], "blend": "mixed",
}  # fmt: skip
TURNED_LIGHT: Mapping[str, Any] = {"transforms": [{"InvertImg": {"p": 0.2}}]}
"""Stains are dark on light or light on dark; four pictures may hold one kind alone."""

N_REAL_NUCLEI = 4

N_OPEN_CELLS = 167
N_REAL_CELLS = 19  # 10 % of the 187 pictures that a recipe with a holdout of 30 % would learn from
RARE: Mapping[str, Any] = {
    "classes": {"Platelets": 2, "WBC": 1}, "n_pastes_range": [2, 5], "masks_from_boxes": "ellipse",
    "blend": "mixed", "max_hidden_fraction": 0.1,
}  # fmt: skip

N_WITH, N_WITHOUT = 5, 25
AT_LEAST = 80
PLATELETS: Mapping[str, Any] = {**RARE, "classes": ["Platelets"], "n_pastes_range": [1, 4]}


def nuclei_round(seed: int) -> dict[str, Any]:
    """Return what 120 synthetic pictures add to four real ones of nuclei."""
    open_part, unseen = opened(nuclei(), N_OPEN_NUCLEI, "nuclei")
    real = drawn_rows(open_part, N_REAL_NUCLEI, "nuclei", seed)
    made = made_rows("image.copy_paste", CROWDED, real, 120, seed)
    augmenter = build("augmenter", "image.albumentations", TURNED_LIGHT)
    turned = augmenter.apply(made, augmenter.draw(made, rng_for(seed, "light")))
    return _said("utility.image_segmentation", {}, real, turned, unseen, seed)


def cells_round(seed: int) -> dict[str, Any]:
    """Return what 100 smears with pasted platelets and white cells add to 19 real ones."""
    open_part, unseen = opened(blood_cells(), N_OPEN_CELLS, "cells")
    real = drawn_rows(open_part, N_REAL_CELLS, "cells", seed)
    made = made_rows("image.copy_paste", RARE, real, 100, seed)
    return _said("utility.image_detection", {"longest": 256}, real, made, unseen, seed)


def copies_round(seed: int) -> dict[str, Any]:
    """Return what copies of the few real pictures of the slice add, as many as the plan asks for."""
    return slice_round(seed, copies=True)


def slice_round(seed: int, *, copies: bool = False) -> dict[str, Any]:
    """Return what a planned filling adds where few real pictures show platelets.

    The plan asks for as many pictures of the slice that the training part lacks; they are tested on real
    pictures of that slice.
    """
    open_part, unseen = (
        with_platelets(part) for part in opened(blood_cells(), N_OPEN_CELLS, "cells")
    )
    parts = [
        drawn_rows(open_part.where(Where({"platelets": level})), n, "slice", seed)
        for level, n in (("some", N_WITH), ("none", N_WITHOUT))
    ]
    real = Dataset.concat(parts)
    factors = {"platelets": ["some", "none"]}
    plan = plan_scenes(factors, strength=1, at_least=AT_LEAST, real=real, seed=seed)
    wanted = [one for one in plan.counts() if one[0] == Where({"platelets": "some"})]
    made = Dataset.concat(
        [made_rows("image.copy_paste", PLATELETS, real, n, seed, where) for where, n in wanted]
    )
    if copies:
        made = real.where(Where({"platelets": "some"})).take(np.arange(len(made)) % N_WITH)
    inside = unseen.where(Where({"platelets": "some"}))
    settings = {"longest": 256, "steps": 200, "seeds": 1, "augmentation": "moderate"}
    found = _said("utility.image_detection", settings, real, made, inside, seed)
    return {**found, "plan": plan.summary, "slice_rows": {"real": N_WITH, "made": len(made)}}


TRIALS: Mapping[str, Callable[[int], dict[str, Any]]] = {
    "nuclei": nuclei_round,
    "cells": cells_round,
    "slice": slice_round,
    "copies": copies_round,
}


def drawn_rows(rows: Dataset, n: int, name: str, seed: int) -> Dataset:
    """Return the real training pictures of a round."""
    return rows.take(np.sort(rng_for(seed, name, "real").permutation(len(rows))[:n]))


def made_rows(
    name: str,
    settings: Mapping[str, Any],
    real: Dataset | None,
    n: int,
    seed: int,
    where: Where | None = None,
) -> Dataset:
    """Return `n` rows, chunk by chunk as a run makes them."""
    generator = build("generator", name, settings)
    fitted = generator.fit(real, rng_for(seed, "fit", name))
    chunks = []
    for start in range(0, n, generator.chunk_rows):
        size = min(generator.chunk_rows, n - start)
        chunks.append(fitted.sample(size, rng_for(seed, "sample", name, start), where))
    return Dataset.concat([chunk.without_reserved() for chunk in chunks])


def _said(
    name: str,
    settings: Mapping[str, Any],
    real: Dataset,
    made: Dataset,
    unseen: Dataset,
    seed: int,
) -> dict[str, Any]:
    metric = build("metric", name, {"seeds": 2, "device": "cpu", **settings})
    return dict(metric.compute(Comparison(real, made, unseen), rng_for(seed, "metric")).details)


def main() -> None:
    """Run the rounds that the command line asks for, or write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("trial", choices=[*TRIALS, "tell"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    args = parser.parse_args()
    lines = OUT.read_text().splitlines() if OUT.is_file() else []
    rounds = [json.loads(line) for line in lines]
    if args.trial == "tell":
        OUT.with_name("USEFULNESS.md").write_text(page(rounds, WORDS))
        return
    for seed in args.seeds:
        if any(one["trial"] == args.trial and one["seed"] == seed for one in rounds):
            continue
        started = time.process_time()
        found = TRIALS[args.trial](seed)
        seconds = round(time.process_time() - started)
        line = {"trial": args.trial, "seed": seed, **found, "cpu_seconds": seconds}
        with OUT.open("a") as file:
            file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()

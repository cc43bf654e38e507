"""Do our synthetic images help small nets that have few real ones? Trials on real images.

    python -m benchmarks.vision.usefulness --trials nuclei cells slice copies --seeds 0 1 2 3 4
    python -m benchmarks.vision.usefulness --page    # the tables of USEFULNESS.md from what is measured

Each round draws its own real training images from the open part, makes synthetic ones of them, and
`utility.image_segmentation` or `utility.image_detection` measures the change on the locked part.
Generators, tuning of the augmentation and nets see the round's training images alone.
Results: USEFULNESS.md and usefulness.jsonl; rounds that are there are not run again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.datasets import blood_cells, data_folder, png_cell
from benchmarks.intervals import student
from benchmarks.markdown import bullets, table
from benchmarks.runner import Benchmark, Row, crossed, grouped
from twinset.core.contracts import Comparison
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field, Schema
from twinset.core.data.where import Where
from twinset.core.findings import ModelComparison, TrainingData
from twinset.core.image.codec import decode_ids, decode_pixels
from twinset.core.image.instance_maps import objects_from_ids
from twinset.core.seeding import rng_for
from twinset.generation.coverage_plan import plan_scenes
from twinset.io import read_dataset
from twinset.registry import build
from twinset.report.answers.sentences import describe

HERE = Path(__file__).parent
Settings = Mapping[str, Any]
WINDOW = 256  # pixels of a nuclei image that are used: its middle

N_OPEN_NUCLEI, N_REAL_NUCLEI = 20, 4  # of 42: 22 are locked
CROWDED: Settings = {"n_pastes_range": [10, 40], "scale_range": [0.6, 1.6], "blend": "mixed"}
# Stains are dark on light or light on dark; four images may hold one kind alone.
TURNED_LIGHT: Settings = {"transforms": [{"InvertImg": {"p": 0.2}}]}
N_OPEN_CELLS = 167  # of 267: 100 are locked
N_REAL_CELLS = 19  # 10 % of the 187 images that a recipe with a holdout of 30 % would learn from
RARE: Settings = {
    "classes": {"Platelets": 2, "WBC": 1}, "n_pastes_range": [2, 5], "masks_from_boxes": "ellipse",
    "blend": "mixed", "max_hidden_fraction": 0.1,
}  # fmt: skip
# Real images with and without platelets where the slice is under-represented.
N_WITH, N_WITHOUT = 5, 25
AT_LEAST = 80  # images a level that the plan asks for
PLATELETS: Settings = {**RARE, "classes": ["Platelets"], "n_pastes_range": [1, 4]}
SHORT: Settings = {"longest": 256, "steps": 200, "seeds": 1, "augmentation": "moderate"}
SOME = Where({"platelets": "some"})


def nuclei() -> Dataset:
    """Return the middle of each nuclei image, at most 256 pixels wide and high, with its id map."""
    rows = read_dataset(data_folder("vision", "nuclei"))
    image, mask, boxes = (rows.schema.of_kind(k)[0].name for k in ("image", "mask", "boxes"))
    columns: dict[str, list[object]] = {image: [], mask: [], boxes: []}
    for row in rows.records.select([image, mask]).to_pylist():
        pixels, ids = decode_pixels(row[image]["bytes"]), decode_ids(row[mask]["bytes"])
        top, left = (max(side - WINDOW, 0) // 2 for side in ids.shape)
        place = slice(top, top + WINDOW), slice(left, left + WINDOW)
        own = np.ascontiguousarray(ids[place].astype(np.uint16))
        names = dict.fromkeys(np.unique(own[own > 0]).tolist(), "object")
        columns[image].append(png_cell(pixels[place][..., :3]))
        columns[mask].append(png_cell(own))
        columns[boxes].append(objects_from_ids(own, names))
    records = rows.records
    for name, values in columns.items():
        column = pa.array(values, rows.schema[name].arrow_type)
        records = records.set_column(records.schema.get_field_index(name), name, column)
    return Dataset.from_arrow(records.select(list(columns)), rows.schema.select(list(columns)))


def with_platelets(rows: Dataset) -> Dataset:
    """Return blood smears with a column that says whether an image shows platelets: some or none."""
    objects = rows.records.column("objects").to_pylist()
    seen = ["some" if any(o["category"] == "Platelets" for o in row) else "none" for row in objects]
    records = rows.records.append_column("platelets", pa.array(seen).dictionary_encode())
    schema = Schema((*rows.schema.fields, Field(name="platelets", kind="category")))
    return Dataset.from_arrow(records, schema)


def opened(rows: Dataset, n: int, name: str) -> tuple[Dataset, Dataset]:
    """Return `n` images to design a trial on and to learn from, and the locked ones."""
    order = rng_for(2026, name, "locked").permutation(len(rows))
    return rows.take(np.sort(order[:n])), rows.take(np.sort(order[n:]))


def nuclei_round(seed: int) -> dict[str, Any]:
    """Return what 120 synthetic images add to four real ones of nuclei."""
    open_part, unseen = opened(nuclei(), N_OPEN_NUCLEI, "nuclei")
    real = drawn_rows(open_part, N_REAL_NUCLEI, "nuclei", seed)
    synthetic = synthetic_rows(CROWDED, real, 120, seed)
    augmenter = build("augmenter", "image.albumentations", TURNED_LIGHT)
    turned = augmenter.apply(synthetic, augmenter.draw(synthetic, rng_for(seed, "light")))
    return _measured("utility.image_segmentation", {}, real, turned, unseen, seed)


def cells_round(seed: int) -> dict[str, Any]:
    """Return what 100 smears with pasted platelets and white cells add to 19 real ones."""
    open_part, unseen = opened(blood_cells(), N_OPEN_CELLS, "cells")
    real = drawn_rows(open_part, N_REAL_CELLS, "cells", seed)
    synthetic = synthetic_rows(RARE, real, 100, seed)
    return _measured("utility.image_detection", {"longest": 256}, real, synthetic, unseen, seed)


def slice_round(seed: int, *, copies: bool = False) -> dict[str, Any]:
    """Return what a planned filling, or as many copies, adds where few real images show platelets.

    The plan asks for as many images of the slice as the train set lacks; they are tested on real
    images of that slice.
    """
    open_part, unseen = map(with_platelets, opened(blood_cells(), N_OPEN_CELLS, "cells"))
    parts = [
        drawn_rows(open_part.where(Where({"platelets": level})), n, "slice", seed)
        for level, n in (("some", N_WITH), ("none", N_WITHOUT))
    ]
    real = Dataset.concat(parts)
    factors = {"platelets": ["some", "none"]}
    plan = plan_scenes(factors, strength=1, at_least=AT_LEAST, real=real, seed=seed)
    wanted = [one for one in plan.counts() if one[0] == SOME]
    synthetic = Dataset.concat(
        [synthetic_rows(PLATELETS, real, n, seed, where) for where, n in wanted]
    )
    if copies:
        synthetic = real.where(SOME).take(np.arange(len(synthetic)) % N_WITH)
    found = _measured("utility.image_detection", SHORT, real, synthetic, unseen.where(SOME), seed)
    return {
        **found,
        "plan": plan.summary,
        "slice_rows": {"real": N_WITH, "synthetic": len(synthetic)},
    }


TRIALS: Mapping[str, Callable[[int], dict[str, Any]]] = {
    "nuclei": nuclei_round,
    "cells": cells_round,
    "slice": slice_round,
    "copies": lambda seed: slice_round(seed, copies=True),
}


def drawn_rows(rows: Dataset, n: int, name: str, seed: int) -> Dataset:
    return rows.take(np.sort(rng_for(seed, name, "real").permutation(len(rows))[:n]))


def synthetic_rows(
    settings: Settings, real: Dataset, n: int, seed: int, where: Where | None = None
) -> Dataset:
    """Return `n` rows of `image.copy_paste`, chunk by chunk as a run makes them."""
    name = "image.copy_paste"
    generator = build("generator", name, settings)
    fitted = generator.fit(real, rng_for(seed, "fit", name))
    chunks = []
    for start in range(0, n, generator.chunk_rows):
        size = min(generator.chunk_rows, n - start)
        chunks.append(fitted.sample(size, rng_for(seed, "sample", name, start), where))
    return Dataset.concat([chunk.without_reserved() for chunk in chunks])


def _measured(
    name: str, settings: Settings, real: Dataset, synthetic: Dataset, unseen: Dataset, seed: int
) -> dict[str, Any]:
    metric = build("metric", name, {"seeds": 2, "device": "cpu", **settings})
    found = metric.compute(Comparison(real, synthetic, unseen), rng_for(seed, "metric"))
    models = found.finding(ModelComparison)
    assert models is not None
    return {**found.facts, **model_row(models)}


def model_row(models: ModelComparison) -> dict[str, Any]:
    """Return the networks on all measures, and whether synthetic images help real ones.

    Examples
    --------
    >>> from twinset.core.findings import Effect, ModelScore, TrainedModel
    >>> scores = (ModelScore(0.5),), (ModelScore(0.7, 0.2, (0.1, 0.3)),)
    >>> kinds = TrainingData.REAL, TrainingData.MIXED
    >>> models = [TrainedModel(k, s, 9, Effect.HELPS) for k, s in zip(kinds, scores)]
    >>> row = model_row(ModelComparison(("F1",), tuple(models)))
    >>> row["measures"], row["finding"]
    ({'F1': {'real': 0.5, 'mixed': 0.7}}, 'helps')
    """
    mixed = next(m for m in models.models if m.data == TrainingData.MIXED)
    assert mixed.effect
    return {
        "rows": {model.data.value: model.n_rows for model in models.models},
        "holdout_rows": models.n_test_rows,
        "measures": {
            measure: {model.data.value: model.scores[i].value for model in models.models}
            for i, measure in enumerate(models.measures)
        },
        "finding": mixed.effect.value,
        "summary": describe(models),
    }


def measure(job: Row) -> Row:
    started = time.process_time()
    found = TRIALS[job["trial"]](job["seed"])
    return {**job, **found, "cpu_seconds": round(time.process_time() - started)}


PRECISION = "average precision of {}"
OF_PLATELETS = {
    "recall of platelets": ["recall of Platelets"],
    "AP of platelets": [PRECISION.format("Platelets")],
}
MEASURES: Mapping[str, Mapping[str, Sequence[str]]] = {
    # trial: title of a table -> measures whose mean it shows
    "nuclei": {"F1 at IoU 0.5": ["F1 at IoU 0.5"]},
    "cells": {
        "AP of platelets and white cells": [PRECISION.format("Platelets"), PRECISION.format("WBC")],
        "AP of red cells": [PRECISION.format("RBC")],
    },
    "slice": OF_PLATELETS,
    "copies": OF_PLATELETS,
}


def blocks(rows: Sequence[Row]) -> dict[str, str]:
    found = {}
    for name, own in grouped(rows, "trial").items():
        rounds = sorted(own, key=lambda row: int(row["seed"]))
        parts = [
            f"**{title}**\n\n{round_table(rounds, measures)}"
            for title, measures in MEASURES[name].items()
        ]
        seconds = [row["cpu_seconds"] for row in rounds]
        parts.append(f"A round took {min(seconds)} to {max(seconds)} CPU seconds on one thread.")
        if name == "copies":
            parts.append(_beyond_copies(rows))
        found[name] = "\n\n".join(parts)
    return found


def round_table(rounds: Sequence[Row], measures: Sequence[str]) -> str:
    """Return the rounds without and with synthetic images, and their mean with Student's interval."""
    real, mixed = (_values(rounds, measures, side) for side in ("real", "mixed"))
    lines = [
        [one["seed"], one["augmentation"], f"{a:.3f}", f"{b:.3f}", f"{b - a:+.3f}", one["finding"]]
        for one, a, b in zip(rounds, real, mixed)
    ]
    if len(rounds) > 1:
        change = student(mixed - real)
        answer = "helps" if change.low > 0 else "hurts" if change.high < 0 else "no evidence"
        before, after = float(real.mean()), float(mixed.mean())
        # A relative change of next to nothing means nothing.
        relative = f", {after / before - 1:+.1%}" if before > 0.1 else ""
        lines.append([
            "**mean**", "", f"**{before:.3f}**", f"**{after:.3f}**",
            f"**{change.mean:+.3f}** ({change.low:+.3f} to {change.high:+.3f}){relative}",
            f"**{answer}**",
        ])  # fmt: skip
    head = ["round", "augmentation", "real alone", "with synthetic", "change",
            "the metric's own answer"]  # fmt: skip
    return table(head, lines)


def _values(rounds: Sequence[Row], measures: Sequence[str], side: str) -> Any:
    return np.array([np.mean([one["measures"][m][side] for m in measures]) for one in rounds])


def _beyond_copies(rows: Sequence[Row]) -> str:
    """Return what synthetic images bring more than copies do, round by round."""
    by = {(row["trial"], row["seed"]): row for row in rows}
    seeds = [seed for trial, seed in by if trial == "copies" and ("slice", seed) in by]
    if len(seeds) < 2:
        return ""
    lines = []
    for name, measures in OF_PLATELETS.items():
        copies, synthetic = (
            _values([by[trial, seed] for seed in seeds], measures, "mixed")
            for trial in ("copies", "slice")
        )
        lines.append(
            f"{name}, {len(seeds)} rounds: {copies.mean():.3f} with copies, {synthetic.mean():.3f} "
            f"with synthetic images, {student(synthetic - copies)}"
        )
    return bullets(lines)


BENCHMARK = Benchmark(
    results=HERE / "usefulness.jsonl",
    page=HERE / "USEFULNESS.md",
    key=("trial", "seed"),
    jobs=lambda options: crossed(trial=options.trials, seed=options.seeds),
    measure=measure,
    blocks=blocks,
    settings={"trials": list(TRIALS), "seeds": [0, 1, 2, 3, 4]},
)

if __name__ == "__main__":
    BENCHMARK.run()

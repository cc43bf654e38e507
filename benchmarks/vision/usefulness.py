"""Do our synthetic images help small nets that have few real ones? Trials on real images.

Each round draws its own real training images from the open part, makes synthetic ones of them, and
`utility.image_segmentation` or `utility.image_detection` measures the change on the locked part.
Generators, tuning of the augmentation and nets see the round's training images alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.datasets import blood_cells, data_folder, png_cell
from benchmarks.intervals import student
from benchmarks.markdown import bullets, table
from benchmarks.runner import Row, grouped, load_yaml
from twinset.core.contracts import Comparison
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field, Schema
from twinset.core.data.where import Where
from twinset.core.image.codec import decode_ids, decode_pixels
from twinset.core.image.instance_maps import objects_from_ids
from twinset.core.model_findings import ModelComparison, TrainingData
from twinset.core.seeding import rng_for
from twinset.generation.coverage_plan import plan_scenes
from twinset.io import read_dataset
from twinset.registry import build
from twinset.report.answers.sentences import describe

Settings = Mapping[str, Any]
WINDOW = 256  # pixels of a nuclei image that are used: its middle
_YAML = load_yaml(__file__, "usefulness.yaml")
TRIALS: dict[str, dict[str, Any]] = _YAML["trials"]
SOME, NONE = Where({"platelets": "some"}), Where({"platelets": "none"})


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
    schema = rows.schema.select(list(columns))
    arrays = {name: pa.array(values, schema[name].arrow_type) for name, values in columns.items()}
    return Dataset.from_arrow(pa.table(arrays), schema)


def with_platelets(rows: Dataset) -> Dataset:
    """Return blood smears with a column that says whether an image shows platelets: some or none."""
    objects = rows.records.column("objects").to_pylist()
    seen = ["some" if any(o["category"] == "Platelets" for o in row) else "none" for row in objects]
    records = rows.records.append_column("platelets", pa.array(seen).dictionary_encode())
    schema = Schema((*rows.schema.fields, Field(name="platelets", kind="category")))
    return Dataset.from_arrow(records, schema)


def opened(rows: Dataset, name: str) -> tuple[Dataset, Dataset]:
    """Return images to design a trial on and to learn from, and the locked ones."""
    order, n = rng_for(2026, name, "locked").permutation(len(rows)), _YAML["open"][name]
    return rows.take(np.sort(order[:n])), rows.take(np.sort(order[n:]))


def nuclei_round(seed: int, trial: Settings) -> Row:
    """Return what synthetic images, a part of them turned light for dark, add to a few of nuclei."""
    open_part, unseen = opened(nuclei(), "nuclei")
    real = drawn_rows(open_part, trial["real"], "nuclei", seed)
    synthetic = synthetic_rows(trial["pastes"], real, trial["synthetic"], seed)
    augmenter = build("augmenter", "image.albumentations", trial["turned"])
    turned = augmenter.apply(synthetic, augmenter.draw(synthetic, rng_for(seed, "light")))
    return _measured(trial, real, turned, unseen, seed)


def cells_round(seed: int, trial: Settings) -> Row:
    """Return what smears with pasted platelets and white cells add to a few real ones."""
    open_part, unseen = opened(blood_cells(), "cells")
    real = drawn_rows(open_part, trial["real"], "cells", seed)
    synthetic = synthetic_rows(trial["pastes"], real, trial["synthetic"], seed)
    return _measured(trial, real, synthetic, unseen, seed)


def slice_round(seed: int, trial: Settings, *, copies: bool = False) -> Row:
    """Return what a planned filling, or as many copies, adds where few real images show platelets."""
    open_part, unseen = map(with_platelets, opened(blood_cells(), "cells"))
    n_with, n_without = trial["real"]
    parts = [
        drawn_rows(open_part.where(where), n, "slice", seed)
        for where, n in ((SOME, n_with), (NONE, n_without))
    ]
    real = Dataset.concat(parts)
    # The plan asks for as many images of the slice as the train set lacks.
    factors = {"platelets": ["some", "none"]}
    plan = plan_scenes(factors, strength=1, at_least=trial["at_least"], real=real, seed=seed)
    made = [
        synthetic_rows(trial["pastes"], real, n, seed, w) for w, n in plan.counts() if w == SOME
    ]
    synthetic = Dataset.concat(made)
    if copies:
        synthetic = real.where(SOME).take(np.arange(len(synthetic)) % n_with)
    found = _measured(trial, real, synthetic, unseen.where(SOME), seed)
    return {
        **found,
        "plan": plan.summary,
        "slice_rows": {"real": n_with, "synthetic": len(synthetic)},
    }


ROUNDS: Mapping[str, Callable[[int, Settings], Row]] = {
    "nuclei": nuclei_round,
    "cells": cells_round,
    "slice": slice_round,
    "copies": partial(slice_round, copies=True),
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
    trial: Settings, real: Dataset, synthetic: Dataset, unseen: Dataset, seed: int
) -> Row:
    metric = build("metric", trial["metric"], {"seeds": 2, "device": "cpu", **trial["nets"]})
    found = metric.compute(Comparison(real, synthetic, unseen), rng_for(seed, "metric"))
    models = found.finding(ModelComparison)
    assert models is not None
    return {**found.facts, **model_row(models)}


def model_row(models: ModelComparison) -> Row:
    """Return the networks on all measures, and whether synthetic images help real ones."""
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
    started, trial = time.process_time(), job["trial"]
    found = ROUNDS[trial](job["seed"], TRIALS["slice" if trial == "copies" else trial])
    return {**job, **found, "cpu_seconds": round(time.process_time() - started)}


def blocks(rows: Sequence[Row]) -> dict[str, str]:
    found = {}
    for name, own in grouped(rows, "trial").items():
        rounds = sorted(own, key=lambda row: int(row["seed"]))
        tables: dict[str, list[str]] = _YAML["measures"][name]
        parts = [f"**{title}**\n\n{round_table(rounds, of)}" for title, of in tables.items()]
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
    for name, measures in _YAML["measures"]["copies"].items():
        copies, synthetic = (
            _values([by[trial, seed] for seed in seeds], measures, "mixed")
            for trial in ("copies", "slice")
        )
        lines.append(
            f"{name}, {len(seeds)} rounds: {copies.mean():.3f} with copies, {synthetic.mean():.3f} "
            f"with synthetic images, {student(synthetic - copies)}"
        )
    return bullets(lines)

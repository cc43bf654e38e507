"""Put generators that memorise, and honest ones, through the attack with shadow models.

    python -m benchmarks.evaluation.shadows                      # 10 seeds, some minutes
    python -m benchmarks.evaluation.shadows --seeds 2 --out /tmp

Each seed draws 5,000 train, 5,000 holdout and 5,000 fresh rows of Adult. The frame keeps half of the
holdout for the baseline; 5,000 members and 2,500 control rows are attacked, with 16 shadow generators,
each made on a random half of all of them. *Plain* is `privacy.membership`, which has no shadow models.
"Copy" hands out its rows, "copy ±1" adds -1, 0 or 1 to every number, "fresh real rows" learns nothing.
Writes SHADOWS.md and shadows.json.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.evaluation.memorisers import N_ROWS, Draw
from benchmarks.evaluation.versions import versions
from benchmarks.tabular.sets import DataAbsentError, load
from twinset.core.contracts import Generator, Remake
from twinset.core.data.dataset import Dataset
from twinset.core.seeding import rng_for
from twinset.generation.refit import remake_of
from twinset.measurement.harness import measure
from twinset.registry import build

METRICS = ("privacy.shadow_models", "privacy.membership")
GENERATORS = ("tabular.copula", "tabular.trees", "minority.smote")


def candidates(draw: Draw) -> Mapping[str, Remake]:
    """Return what makes each candidate, on any real rows, by its name."""

    def copied(real: Dataset, most: int, rng: np.random.Generator) -> Dataset:
        return real

    def jittered(real: Dataset, most: int, rng: np.random.Generator) -> Dataset:
        frame = real.to_pandas().copy()
        for name in draw.roles.numbers:
            frame[name] += rng.integers(-1, 2, len(frame))
        return draw.read(frame)

    def unrelated(real: Dataset, most: int, rng: np.random.Generator) -> Dataset:
        return draw.fresh.take(rng.integers(0, len(draw.fresh), len(real)))

    made: dict[str, Remake] = {
        "copy": copied,
        "copy ±1": jittered,
        "fresh real rows": unrelated,
    }
    for name in GENERATORS:
        generator = build("generator", name, {})
        assert isinstance(generator, Generator)
        made[name] = remake_of(generator, N_ROWS)
    return made


def look(draw: Draw, name: str, remake: Remake) -> dict[str, Any]:
    """Return what both attacks say of one candidate."""
    if name == "fresh real rows":
        released = draw.fresh
    else:
        released = remake(draw.train, N_ROWS, rng_for(draw.seed, "shadows", name))
    start = time.process_time()
    found = measure(
        train=draw.train,
        synthetic=released,
        holdout=draw.holdout,
        metrics=[(metric, build("metric", metric, {})) for metric in METRICS],
        seed=draw.seed,
        remake=remake,
    )
    shadow, plain = (next(s for s in found if s.metric == metric) for metric in METRICS)
    return {
        "candidate": name,
        "seed": draw.seed,
        "cpu": time.process_time() - start,
        "verdict": shadow.verdict,
        "plain": plain.value,
        **{key: shadow.details[key] for key in ("auc", "upper_bound", "canaries")},
    }


def main() -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="benchmarks.evaluation.shadows", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    options = parser.parse_args()
    try:
        adult = load("adult")
    except DataAbsentError as absent:
        print(absent, file=sys.stderr)
        return 2
    frame = pd.concat([adult.train, adult.holdout], ignore_index=True)
    schema = Dataset.from_arrow(frame).schema
    rows = []
    for seed in range(options.seeds):
        draw = Draw(frame, schema, adult.roles, seed)
        for name, remake in candidates(draw).items():
            rows.append(look(draw, name, remake))
            print(rows[-1], flush=True)
            _write(options.out, rows)
    return 0


def _write(out: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    content = {"versions": versions(), "rows": rows}
    (out / "shadows.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    lines = [
        "# Shadow models",
        "",
        (__doc__ or "").split("\n\n", 2)[2].strip(),
        "",
        "| generator | AUC, least to greatest | greatest upper bound | plain | different | "
        "as good as real | canaries back | CPU s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(row["candidate"] for row in rows):
        own = [row for row in rows if row["candidate"] == name]
        auc = np.array([row["auc"] for row in own])
        verdicts = [row["verdict"] for row in own]
        back = np.mean([row["canaries"]["recall"] for row in own])
        lines.append(
            f"| {name} | {auc.mean():.3f} ({auc.min():.3f}-{auc.max():.3f}) "
            f"| {max(row['upper_bound'] for row in own):.3f} "
            f"| {np.mean([row['plain'] for row in own]):.3f} "
            f"| {verdicts.count('different')}/{len(own)} "
            f"| {verdicts.count('as good as real')}/{len(own)} "
            f"| {100 * back:.0f} % | {np.median([row['cpu'] for row in own]):.0f} |"
        )
    told = ", ".join(f"{key} {value}" for key, value in versions().items())
    lines += ["", f"Machine: 2 shared x86-64 cores. {told}."]
    (out / "SHADOWS.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())

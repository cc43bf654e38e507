"""What measuring costs: ours beside SDMetrics' reports on 200,000 rows, and whole evaluations.

    python -m benchmarks.evaluation.speed

Rows of Adult are drawn with replacement to 200,000 a side. Ours: `gap.marginals` and `gap.pairs`
as in one evaluation: once for the synthetic rows, once for the baseline, with 200 bootstrap
replicates each, all rows. SDMetrics: `QualityReport` and `DiagnosticReport`, contingency tables on a
sample of 50,000 rows as it has them. CPU seconds of one process each, data already loaded. Single
columns are held against each other where definitions agree: SDMetrics leaves missing cells out.

A whole evaluation has as many synthetic as train rows and half as many in the holdout, draws of
Adult with replacement; a quick look leaves out the metrics that take a while.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.evaluation.tables import PLACES, Cut, every_row
from benchmarks.evaluation.versions import versions
from benchmarks.tabular.jobs import VENVS
from twinset.core.contracts import Comparison, Measurement
from twinset.core.data.dataset import Dataset
from twinset.core.seeding import rng_for
from twinset.measurement.harness import measure
from twinset.registry import build, default_metrics

HERE = Path(__file__).parent
ROWS = 200_000
REPEATS = 3


def main() -> None:
    """Run the command line."""
    os.environ["OMP_NUM_THREADS"] = "1"
    parser = argparse.ArgumentParser(prog="benchmarks.evaluation.speed", description=__doc__)
    parser.add_argument("--out", default=str(HERE), help="folder of the results")
    parser.add_argument("--sizes", default="32000,1000000", help="rows of the whole evaluations")
    parser.add_argument("--whole", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--job", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.whole:
        Path(options.job).write_text(json.dumps(_evaluate(options.whole, options.quick)))
        return
    rows = every_row("adult")
    sides = [
        rows.iloc[np.random.default_rng(seed).integers(0, len(rows), ROWS)].reset_index(drop=True)
        for seed in range(3)
    ]
    sizes = [int(size) for size in options.sizes.split(",")]
    found = {
        "versions": versions(),
        "sides": _beside_sdmetrics(sides),
        "whole": _whole(rows, sizes),
    }
    out = Path(options.out)
    (out / "speed.json").write_text(json.dumps(found, indent=1))
    (out / "SPEED.md").write_text(_markdown(found))
    print(_markdown(found))


def _beside_sdmetrics(sides: list[pd.DataFrame]) -> dict[str, Any]:
    cut = Cut.of(sides[0], PLACES["adult"].target, 0)
    real, synthetic, baseline = (cut.dataset(side) for side in sides)
    ours = {}
    for name in ("gap.marginals", "gap.pairs"):
        spent = [_timed(name, synthetic, baseline, real) for _ in range(REPEATS)]
        ours[name] = {
            "once": float(np.median([one for one, _, _ in spent])),
            "with_baseline": float(np.median([both for _, both, _ in spent])),
        }
        if name == "gap.marginals":
            columns = spent[0][2].details["columns"]
    theirs = _sdmetrics(sides, [f.name for f in real.schema.of_kind("category", "boolean")])
    if theirs:
        full = [n for n in theirs["shape"] if not (sides[0][n].isna() | sides[1][n].isna()).any()]
        apart = [abs(theirs["shape"][name] - columns[name]) for name in full]
        theirs = {**theirs, "shape_apart": max(apart), "columns": len(full)}
    return {"ours": ours, "sdmetrics": theirs}


def _timed(
    name: str, synthetic: Dataset, baseline: Dataset, real: Dataset
) -> tuple[float, float, Measurement]:
    """Return CPU seconds of the synthetic side, and of both sides, and the measurement."""
    metric = build("metric", name, {})
    cache: dict[str, Any] = {}  # an evaluation keeps one for all that a metric compares
    start = time.process_time()
    measured = metric.compute(Comparison(real, synthetic, real, cache=cache), rng_for(0, "speed"))
    once = time.process_time() - start
    metric.compute(Comparison(real, baseline, real, cache=cache), rng_for(0, "speed"))
    return once, time.process_time() - start, measured


def _sdmetrics(sides: list[pd.DataFrame], categories: list[str]) -> dict[str, Any]:
    python = VENVS / "sdv" / "bin" / "python"
    if not python.exists():
        return {}
    with tempfile.TemporaryDirectory() as folder:
        paths = {key: Path(folder) / key for key in ("real", "synthetic", "out", "job")}
        sides[0].to_parquet(paths["real"])
        sides[1].to_parquet(paths["synthetic"])
        job = {key: str(path) for key, path in paths.items()} | {"categories": categories}
        paths["job"].write_text(json.dumps(job))
        adapter = HERE / "adapters" / "for_sdmetrics.py"
        spent = []
        for _ in range(REPEATS):
            subprocess.run([str(python), str(adapter), str(paths["job"])], check=True)
            spent.append(json.loads(paths["out"].read_text()))
    return {**spent[0], "cpu": float(np.median([one["cpu"] for one in spent]))}


def _whole(rows: pd.DataFrame, sizes: Sequence[int]) -> list[dict[str, Any]]:
    """Return what whole evaluations cost, quick ones and full ones, each in a process of its own."""
    found = []
    for n in sizes:
        for quick in (True, False):
            with tempfile.TemporaryDirectory() as folder:
                job = Path(folder) / "job.json"
                command = [
                    sys.executable,
                    "-m",
                    __spec__.name,
                    "--whole",
                    str(n),
                    "--job",
                    str(job),
                ]
                subprocess.run([*command, *(["--quick"] if quick else [])], check=True)
                found.append(json.loads(job.read_text()))
            print(found[-1], flush=True)
    return found


def _evaluate(n: int, quick: bool) -> dict[str, Any]:
    """Return CPU seconds of every metric and the largest memory of this process."""
    places, every = PLACES["adult"], every_row("adult")
    big = every.iloc[np.random.default_rng(0).integers(0, len(every), 2 * n)]
    cut = Cut.of(big, places.target, 0)
    train, holdout = cut.dataset(cut.train), cut.dataset(cut.holdout)
    synthetic = cut.dataset(every.iloc[np.random.default_rng(1).integers(0, len(every), n)])
    del big, every, cut
    start, wall, metrics = time.process_time(), time.perf_counter(), {}
    for name, metric in default_metrics({f.kind for f in train.schema.fields}, quick=quick):
        before = time.process_time()
        measure(
            train=train, synthetic=synthetic, holdout=holdout, metrics=[(name, metric)],
            target=places.target, positive=places.rare,
        )  # fmt: skip
        metrics[name] = time.process_time() - before
    return {
        "rows": n,
        "quick": quick,
        "cpu": time.process_time() - start,
        "wall": time.perf_counter() - wall,
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2,
        "metrics": metrics,
    }


def _markdown(found: dict[str, Any]) -> str:
    ours, theirs = found["sides"]["ours"], found["sides"]["sdmetrics"]
    once = sum(one["once"] for one in ours.values())
    both = sum(one["with_baseline"] for one in ours.values())
    lines = [
        "# What measuring costs",
        "",
        (__doc__ or "").split("\n\n", 2)[2].strip(),
        "",
        "Machine: 2 shared x86-64 cores. "
        + ", ".join(f"{name} {number}" for name, number in found["versions"].items())
        + ".",
        "",
        "| 200,000 x 15 a side | CPU s | ratio |",
        "|---|---|---|",
        f"| ours, synthetic side | {once:.2f} | 1 |",
        f"| ours, synthetic side and baseline | {both:.2f} | {both / once:.1f} |",
    ]
    if theirs:
        lines += [
            f"| SDMetrics {theirs['version']}, no baseline, no interval | {theirs['cpu']:.2f} | "
            f"{theirs['cpu'] / once:.1f} |",
            "",
            f"Ours with the baseline is {theirs['cpu'] / both:.1f} times as fast as SDMetrics. "
            f"The {theirs['columns']} columns without missing cells agree to "
            f"{theirs['shape_apart']:.1e}.",
        ]
    for n in dict.fromkeys(row["rows"] for row in found["whole"]):
        quick, full = (row for row in found["whole"] if row["rows"] == n)
        lines += ["", f"| {n:,} rows x 15, one thread | CPU s | of a quick look |", "|---|---|---|"]
        for metric, cpu in full["metrics"].items():
            of_quick = quick["metrics"].get(metric)
            lines.append(
                f"| {metric} | {cpu:.1f} | {'–' if of_quick is None else f'{of_quick:.1f}'} |"
            )
        lines.append(f"| all | {full['cpu']:.1f} | {quick['cpu']:.1f} |")
        lines.append(f"| peak memory, GB | {full['peak_gb']:.2f} | {quick['peak_gb']:.2f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()

"""CPU seconds of measuring: ours beside SDMetrics' reports on 200,000 rows, and whole evaluations."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.evaluation import peer_sdmetrics
from benchmarks.evaluation.table_faults import PLACES, TableCut, every_row
from benchmarks.markdown import NOTHING, table
from benchmarks.runner import Row, Settings, crossed, grouped, memory_mb
from twinset.core.contracts import Comparison
from twinset.core.data.dataset import Dataset
from twinset.core.findings import ColumnDistances
from twinset.core.seeding import rng_for
from twinset.measurement.harness import measure as measure_metrics
from twinset.registry import build, default_metrics

ROWS = 200_000  # a side: enough that the cost a row decides
REPEATS = 3  # the median of three: the machine is shared


def jobs(options: Settings) -> list[Row]:
    whole = crossed(rows=options.sizes, look=("quick", "full"))
    return [{"look": "sides", "rows": ROWS}, *whole]


def measure(job: Row) -> Row:
    n, quick = job["rows"], job["look"] == "quick"
    return job | (compare_with_sdmetrics() if job["look"] == "sides" else evaluate(n, quick))


def drawn(n: int, seed: int) -> pd.DataFrame:
    """Return `n` rows of Adult, drawn with replacement."""
    rows = every_row("adult")
    picked = np.random.default_rng(seed).integers(0, len(rows), n)
    return rows.iloc[picked].reset_index(drop=True)


def compare_with_sdmetrics() -> dict[str, Any]:
    """Return CPU seconds of both, and how far their distances of single columns differ."""
    parts = [drawn(ROWS, seed) for seed in range(3)]
    cut = TableCut.draw(parts[0], PLACES["adult"].target, 0)
    real, synthetic, baseline = (cut.dataset(side) for side in parts)
    spent = {
        name: [_timed(name, synthetic, baseline, real) for _ in range(REPEATS)]
        for name in ("gap.marginals", "gap.pairs")
    }
    ours = {
        name: {"once": median(x[0] for x in runs), "with_baseline": median(x[1] for x in runs)}
        for name, runs in spent.items()
    }
    if not peer_sdmetrics.python().exists():
        return {"ours": ours, "sdmetrics": {}}
    columns = spent["gap.marginals"][0][2]
    labels = [f.name for f in real.schema.of_kind("category", "boolean")]
    runs = [peer_sdmetrics.scores_of(parts[0], parts[1], labels) for _ in range(REPEATS)]
    shape = runs[0]["shape"]
    # SDMetrics leaves missing cells out, so only columns without any are compared.
    full = [name for name in shape if not (parts[0][name].isna() | parts[1][name].isna()).any()]
    theirs = {
        "version": runs[0]["version"],
        "cpu": median(run["cpu"] for run in runs),
        "shape_apart": max(abs(shape[name] - columns[name]) for name in full),
        "columns": len(full),
    }
    return {"ours": ours, "sdmetrics": theirs}


def _timed(
    name: str, synthetic: Dataset, baseline: Dataset, real: Dataset
) -> tuple[float, float, dict[str, float]]:
    """Return CPU seconds of the synthetic rows, of these and the baseline, and column distances."""
    metric = build("metric", name, {})
    cache: dict[str, Any] = {}  # an evaluation keeps one for all that a metric compares
    start = time.process_time()
    found = metric.compute(Comparison(real, synthetic, real, cache=cache), rng_for(0, "speed"))
    once = time.process_time() - start
    metric.compute(Comparison(real, baseline, real, cache=cache), rng_for(0, "speed"))
    by_column = found.finding(ColumnDistances)
    return once, time.process_time() - start, dict(by_column.distances) if by_column else {}


def evaluate(n: int, quick: bool) -> dict[str, Any]:
    """Return CPU seconds of every metric and the peak memory of this process."""
    places = PLACES["adult"]
    cut = TableCut.draw(drawn(2 * n, 0), places.target, 0)
    parts: Any = {"train": cut.dataset(cut.train), "holdout": cut.dataset(cut.holdout)}
    parts |= {"synthetic": cut.dataset(drawn(n, 1)), "target": places.target}
    del cut
    start, wall, metrics = time.process_time(), time.perf_counter(), {}
    for name, metric in default_metrics(parts["train"].schema.kinds, quick=quick):
        before = time.process_time()
        measure_metrics(**parts, metrics=[(name, metric)], positive=places.rare)
        metrics[name] = time.process_time() - before
    return {
        "cpu": time.process_time() - start,
        "wall": time.perf_counter() - wall,
        "peak_gb": memory_mb("VmHWM") / 1024,
        "metrics": metrics,
    }


def blocks(rows: Sequence[Row]) -> dict[str, str]:
    looks = grouped(rows, "look")
    parts = []
    for quick, full in zip(looks["quick"], looks["full"]):
        lines = [
            [name, f"{cpu:.1f}", f"{quick['metrics'][name]:.1f}" if name in quick["metrics"] else NOTHING]
            for name, cpu in full["metrics"].items()
        ]  # fmt: skip
        lines.append(["all", *(f"{one['cpu']:.1f}" for one in (full, quick))])
        lines.append(["peak memory, GB", *(f"{one['peak_gb']:.2f}" for one in (full, quick))])
        head = [f"{full['rows']:,} rows x 15, one thread", "CPU s", "of a quick look"]
        parts.append(table(head, lines))
    return {"sides": _comparison(looks["sides"][0]), "whole": "\n\n".join(parts)}


def _comparison(row: Row) -> str:
    ours, theirs = row["ours"], row["sdmetrics"]
    once, both = (sum(x[side] for x in ours.values()) for side in ("once", "with_baseline"))
    lines: list[list[object]] = [
        ["ours, synthetic side", f"{once:.2f}", 1],
        ["ours, synthetic side and baseline", f"{both:.2f}", f"{both / once:.1f}"],
    ]
    text = ""
    if theirs:
        title = f"SDMetrics {theirs['version']}, no baseline, no interval"
        lines.append([title, f"{theirs['cpu']:.2f}", f"{theirs['cpu'] / once:.1f}"])
        text = (
            f"\n\nOurs with the baseline is {theirs['cpu'] / both:.1f} times as fast as SDMetrics. "
            f"The {theirs['columns']} columns without missing cells agree to "
            f"{theirs['shape_apart']:.1e}."
        )
    return table(["200,000 x 15 a side", "CPU s", "ratio"], lines) + text

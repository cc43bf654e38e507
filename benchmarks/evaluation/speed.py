"""CPU seconds of measuring: ours beside SDMetrics' reports on 200,000 rows, and whole evaluations.

    python -m benchmarks.evaluation.speed --sizes 32000 1000000

Results: SPEED.md and speed.json.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.evaluation import peer_sdmetrics
from benchmarks.evaluation.table_faults import PLACES, TableCut, every_row
from benchmarks.markdown import NOTHING, listed, table, write_page
from benchmarks.results import environment, write_json
from benchmarks.timing import in_own_process, peak_mb
from twinset.core.contracts import Comparison, Measurement
from twinset.core.data.dataset import Dataset
from twinset.core.findings import ColumnDistances
from twinset.core.seeding import rng_for
from twinset.measurement.harness import measure
from twinset.registry import build, default_metrics

HERE = Path(__file__).parent
ROWS = 200_000  # a side: enough that the cost a row decides
REPEATS = 3  # the median of three: the machine is shared


def compare_with_sdmetrics(parts: Sequence[pd.DataFrame]) -> dict[str, Any]:
    """Return CPU seconds of both, and how far their distances of single columns differ."""
    cut = TableCut.draw(parts[0], PLACES["adult"].target, 0)
    real, synthetic, baseline = (cut.dataset(side) for side in parts)
    ours = {}
    for name in ("gap.marginals", "gap.pairs"):
        spent = [_timed(name, synthetic, baseline, real) for _ in range(REPEATS)]
        ours[name] = {
            "once": median(once for once, _, _ in spent),
            "with_baseline": median(both for _, both, _ in spent),
        }
        if name == "gap.marginals":
            by_column = spent[0][2].finding(ColumnDistances)
            columns = by_column.distances if by_column else {}
    if not peer_sdmetrics.is_installed():
        return {"ours": ours, "sdmetrics": {}}
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
) -> tuple[float, float, Measurement]:
    """Return CPU seconds of the synthetic rows, of these and the baseline, and the measurement."""
    metric = build("metric", name, {})
    cache: dict[str, Any] = {}  # an evaluation keeps one for all that a metric compares
    start = time.process_time()
    found = metric.compute(Comparison(real, synthetic, real, cache=cache), rng_for(0, "speed"))
    once = time.process_time() - start
    metric.compute(Comparison(real, baseline, real, cache=cache), rng_for(0, "speed"))
    return once, time.process_time() - start, found


def evaluate(n: int, quick: bool) -> dict[str, Any]:
    """Return CPU seconds of every metric and the peak memory of this process."""
    places, every = PLACES["adult"], every_row("adult")
    big = every.iloc[np.random.default_rng(0).integers(0, len(every), 2 * n)]
    cut = TableCut.draw(big, places.target, 0)
    train, holdout = cut.dataset(cut.train), cut.dataset(cut.holdout)
    synthetic = cut.dataset(every.iloc[np.random.default_rng(1).integers(0, len(every), n)])
    del big, every, cut
    start, wall, metrics = time.process_time(), time.perf_counter(), {}
    for name, metric in default_metrics(train.schema.kinds, quick=quick):
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
        "peak_gb": peak_mb() / 1024,
        "metrics": metrics,
    }


def blocks(found: dict[str, Any]) -> dict[str, str]:
    """Return the blocks of SPEED.md."""
    ours, theirs = found["sides"]["ours"], found["sides"]["sdmetrics"]
    once = sum(one["once"] for one in ours.values())
    both = sum(one["with_baseline"] for one in ours.values())
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
    parts = []
    for n in dict.fromkeys(row["rows"] for row in found["whole"]):
        quick, full = (row for row in found["whole"] if row["rows"] == n)
        costs = [
            [
                name,
                f"{cpu:.1f}",
                f"{quick['metrics'][name]:.1f}" if name in quick["metrics"] else NOTHING,
            ]
            for name, cpu in full["metrics"].items()
        ]
        costs += [
            ["all", f"{full['cpu']:.1f}", f"{quick['cpu']:.1f}"],
            ["peak memory, GB", f"{full['peak_gb']:.2f}", f"{quick['peak_gb']:.2f}"],
        ]
        parts.append(table([f"{n:,} rows x 15, one thread", "CPU s", "of a quick look"], costs))
    return {
        "environment": listed(found["versions"]),
        "sides": table(["200,000 x 15 a side", "CPU s", "ratio"], lines) + text,
        "whole": "\n\n".join(parts),
    }


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE, help="folder of the results")
    parser.add_argument("--sizes", type=int, nargs="+", default=[32_000, 1_000_000])
    parser.add_argument(
        "--one", nargs=2, help="rows and 'quick' or 'full': one run in this process"
    )
    options = parser.parse_args()
    if options.one:
        print(json.dumps(evaluate(int(options.one[0]), options.one[1] == "quick")))
        return
    rows = every_row("adult")
    parts = [
        rows.iloc[np.random.default_rng(seed).integers(0, len(rows), ROWS)].reset_index(drop=True)
        for seed in range(3)
    ]
    whole = [
        in_own_process("benchmarks.evaluation.speed", "--one", n, look)
        for n in options.sizes
        for look in ("quick", "full")
    ]
    facts = {"versions": environment(), "sides": compare_with_sdmetrics(parts), "whole": whole}
    write_json(options.out / "speed.json", facts)
    write_page(options.out / "SPEED.md", blocks(facts), HERE / "SPEED.md")


if __name__ == "__main__":
    main()

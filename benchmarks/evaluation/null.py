"""Compare real rows with real rows: how often is chance called different, do intervals cover 0?

    python -m benchmarks.evaluation.null --repeats 1000 --workers 2

Every repeat draws 3,000 rows of Adult (6 % of it): half are train, a quarter the candidate, a
quarter the holdout. The candidate is as good as real by construction, so every "different" is
false, and an interval of value minus baseline should hold 0 in 95 of 100 repeats. Why those of several
metrics hold it more often, and are left so: [INTERVALS.md](INTERVALS.md).
"""

from __future__ import annotations

import argparse
import json
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.evaluation.log import Log
from benchmarks.evaluation.tables import PLACES, Cut, every_row
from benchmarks.evaluation.versions import versions
from twinset.measurement.harness import measure
from twinset.registry import default_metrics

HERE = Path(__file__).parent
ROWS = 3_000


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.evaluation.null", description=__doc__)
    parser.add_argument("--repeats", type=int, default=1_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--families", default="gap,coverage,privacy")
    parser.add_argument("--out", default=str(HERE), help="folder of the results")
    parser.add_argument("--resume", default="", help="folder of the log, to go on from it")
    options = parser.parse_args()
    log = Log.open(options.resume, "null")
    jobs = [(seed, options.families) for seed in range(options.repeats)]
    left = log.missing(jobs)
    with ProcessPoolExecutor(options.workers) as pool:
        for job, scores in zip(left, pool.map(compare, left)):
            log.add(job, scores)
            if len(log.rows) % 20 == 0:
                print(f"{len(log.rows)} of {options.repeats}", flush=True)
                _write(Path(options.out), list(log.rows.values()))
    _write(Path(options.out), list(log.rows.values()))


def _write(out: Path, found: Sequence[dict[str, tuple[str, float | None, float]]]) -> None:
    rows = [_row(name, [one[name] for one in found]) for name in found[0]]
    (out / "null.json").write_text(json.dumps({"versions": versions(), "rows": rows}, indent=1))
    (out / "NULL.md").write_text(_markdown(found, rows))


def compare(job: tuple[int, str]) -> dict[str, tuple[str, float | None, float]]:
    """Return verdict, difference and half the interval's width of every metric, by its name."""
    os.environ["OMP_NUM_THREADS"] = "1"
    warnings.filterwarnings("ignore", category=UserWarning, module="sklearn")
    seed, families = job[0], job[1].split(",")
    places = PLACES["adult"]
    cut = Cut.of(every_row("adult"), places.target, seed, n=ROWS)
    chosen = default_metrics({field.kind for field in cut.schema.fields})
    scores = measure(
        train=cut.dataset(cut.train),
        synthetic=cut.dataset(cut.fresh),
        holdout=cut.dataset(cut.holdout),
        metrics=[pair for pair in chosen if pair[1].family in families],
        target=places.target,
        positive=places.rare,
        seed=seed,
    )
    out: dict[str, tuple[str, float | None, float]] = {}
    for score in scores:
        low, high = score.interval or (np.nan, np.nan)
        middle = None if score.interval is None else (low + high) / 2
        out[score.metric] = (score.verdict, middle, (high - low) / 2)
    return out


def _row(name: str, found: Sequence[tuple[str, float | None, float]]) -> dict[str, Any]:
    verdicts = [verdict for verdict, _, _ in found]
    pairs = [(middle, half) for _, middle, half in found if middle is not None]
    wide = [(middle, half) for middle, half in pairs if half > 0]
    return {
        "metric": name,
        "repeats": len(found),
        "different": verdicts.count("different"),
        "as good as real": verdicts.count("as good as real"),
        "cannot tell": verdicts.count("cannot tell"),
        "not measurable": verdicts.count("not measurable"),
        "mean": float(np.mean([middle for middle, _ in pairs])) if pairs else None,
        "covers_0": float(np.mean([abs(m) <= h for m, h in wide])) if wide else None,
    }


def _markdown(
    found: Sequence[dict[str, tuple[str, float | None, float]]], rows: Sequence[dict[str, Any]]
) -> str:
    false = [any(verdict == "different" for verdict, _, _ in one.values()) for one in found]
    lines = [
        "# Real rows against real rows",
        "",
        (__doc__ or "").split("\n\n", 2)[2].strip(),
        "",
        "Machine: 2 shared x86-64 cores. "
        + ", ".join(f"{k} {v}" for k, v in versions().items())
        + ".",
        "",
        f"{sum(false)} of {len(found)} comparisons ({100 * np.mean(false):.1f} %) had any metric that "
        "said different.",
        "",
        "| metric | different | as good as real | cannot tell | not measurable | mean difference | "
        "interval covers 0 |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        mean = "–" if row["mean"] is None else f"{row['mean']:+.4f}"
        covers = "–" if row["covers_0"] is None else f"{100 * row['covers_0']:.1f} %"
        counts = [f"{row[key]}" for key in ("different", "as good as real", "cannot tell")]
        lines.append(
            f"| {row['metric']} | {' | '.join(counts)} | {row['not measurable']} | {mean} | {covers} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()

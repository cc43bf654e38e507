"""Compare real rows with real rows: how often is chance called different, do intervals cover 0?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.evaluation.scores import family_scores
from benchmarks.evaluation.table_faults import PLACES, TableCut, every_row
from benchmarks.markdown import NOTHING, table
from benchmarks.runner import Row

ROWS = 3_000  # 6 % of Adult: repeats share few rows, and a thousand of them take hours, not days
ANY = "any metric"
VERDICTS = ("different", "as good as real", "cannot tell", "not measurable")


def measure(job: Row) -> Row:
    """Return verdict, difference to the baseline and half the interval's width of every metric."""
    places, seed = PLACES["adult"], job["seed"]
    cut = TableCut.draw(every_row("adult"), places.target, seed, n=ROWS)
    parts = (cut.dataset(cut.train), cut.dataset(cut.fresh), cut.dataset(cut.holdout))
    found = {}
    for score in family_scores(
        parts, job["families"], target=places.target, positive=places.rare, seed=seed
    ):
        low, high = score.interval or (np.nan, np.nan)
        middle = None if score.interval is None else (low + high) / 2
        found[score.metric] = [score.verdict, middle, (high - low) / 2]
    return {**job, "scores": found}


def summary(rows: Sequence[Row]) -> list[Row]:
    """Return one row a metric: verdicts, mean difference, and how often its interval covers 0."""
    found = [_sums(name, [row["scores"][name] for row in rows]) for name in rows[0]["scores"]]
    alarms = [any(one[0] == "different" for one in row["scores"].values()) for row in rows]
    return [*found, {"metric": ANY, "repeats": len(rows), "different": sum(alarms)}]


def _sums(name: str, found: Sequence[Any]) -> Row:
    pairs = [(middle, half) for _, middle, half in found if middle is not None]
    wide = [abs(middle) <= half for middle, half in pairs if half > 0]
    verdicts = [verdict for verdict, _, _ in found]
    return {
        "metric": name,
        "repeats": len(found),
        **{verdict: verdicts.count(verdict) for verdict in VERDICTS},
        "mean": float(np.mean([middle for middle, _ in pairs])) if pairs else None,
        "covers_0": float(np.mean(wide)) if wide else None,
    }


def blocks(rows: Sequence[Row]) -> dict[str, str]:
    *metrics, alarms = rows
    lines = []
    for row in metrics:
        mean = NOTHING if row["mean"] is None else f"{row['mean']:+.4f}"
        covers = NOTHING if row["covers_0"] is None else f"{100 * row['covers_0']:.1f} %"
        lines.append([row["metric"], *(row[verdict] for verdict in VERDICTS), mean, covers])
    n, false = alarms["repeats"], alarms["different"]
    said = (
        f"{false} of {n} comparisons ({100 * false / n:.1f} %) had any metric that said different."
    )
    head = ["metric", *VERDICTS, "mean difference", "interval covers 0"]
    return {"alarms": said, "metrics": table(head, lines)}

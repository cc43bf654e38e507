"""Plant faults into fresh real images and see whether they are found, by what, and from which strength on.

    python -m benchmarks.evaluation.image_planted --sets cells,shapes --seeds 3 --workers 2

Three tenths of a set are train, the rest is cut in two: a holdout, and fresh images that are perfect
until a fault is planted into them. "Found" means that a metric of gap or coverage says "different".
Images that nothing was planted into are compared just the same, with other cuts: what is called
different among them is a false alarm.
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

from benchmarks.evaluation.image_faults import image_faults
from benchmarks.evaluation.image_sets import SETS
from benchmarks.evaluation.log import Log
from benchmarks.evaluation.versions import versions
from twinset.core.contracts import Score
from twinset.core.dataset import Dataset
from twinset.core.embedders import Classical, Embedding, SmallNet, with_vectors
from twinset.core.image_properties import box_labels, with_properties
from twinset.measure import default_metrics, measure

HERE = Path(__file__).parent
_TRAIN, _HOLDOUT = 0.3, 0.65
_FIRST_NULL = 1_000


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.evaluation.image_planted", description=__doc__
    )
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--nulls", type=int, default=20, help="comparisons with nothing planted, a set"
    )
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", default="", help="parts of names of faults, separated by ;")
    parser.add_argument("--out", default=str(HERE), help="folder of the results")
    parser.add_argument("--resume", default="", help="folder of the log, to go on from it")
    options = parser.parse_args()
    names = [
        fault.name
        for fault in image_faults()
        if any(part in fault.name for part in options.only.split(";"))
    ]
    log = Log.open(options.resume, "image_planted")
    jobs = [
        (s, seed, tuple(names)) for seed in range(options.seeds) for s in options.sets.split(",")
    ]
    nulls = range(_FIRST_NULL, _FIRST_NULL + options.nulls)
    jobs += [(s, seed, ("",)) for seed in nulls for s in options.sets.split(",")]
    left = [
        (name, seed, missing)
        for name, seed, wanted in jobs
        if (missing := tuple(k[2] for k in log.missing([(name, seed, w) for w in wanted])))
    ]
    with ProcessPoolExecutor(options.workers) as pool:
        for rows in pool.map(look, left):
            for row in rows:
                log.add((row["set"], row["seed"], row["fault"]), row)
                print(_line(row), flush=True)
            _write(Path(options.out), list(log.rows.values()))


def look(job: tuple[str, int, tuple[str, ...]]) -> list[dict[str, Any]]:
    """Return what the metrics say of each fault in one cut of one set; "" plants nothing."""
    os.environ["OMP_NUM_THREADS"] = "1"
    warnings.filterwarnings("ignore", category=UserWarning, module="sklearn")
    name, seed, faults = job
    held = SETS[name]
    every = held.rows(0 if name == "cells" else seed)
    order = np.random.default_rng(seed).permutation(len(every))
    cuts = [int(_TRAIN * len(order)), int(_HOLDOUT * len(order))]
    train, fresh, holdout = (every.take(rows) for rows in np.split(order, cuts))
    labels = train.codes(held.label)[0].astype(np.int64)
    column = train.records.column("image")
    eyes = [one.fit(column, labels, seed) for one in (Classical(), SmallNet(device="cpu"))]
    words = box_labels(train)
    train, holdout = (
        with_properties(with_vectors(part, {"image": eyes}), words) for part in (train, holdout)
    )
    plants = {fault.name: fault.plant for fault in image_faults()}
    rows = []
    for fault in faults:
        made = fresh
        if fault:
            made = plants[fault](fresh, held, np.random.default_rng(seed))
        scores = _scores(train, made, holdout, eyes, held.label, seed)
        told = sorted((s for s in scores if s.verdict == "different"), key=_harm, reverse=True)
        rows.append(
            {
                "set": name,
                "fault": fault,
                "seed": seed,
                "found_by": [score.metric for score in told],
                "named": {s.metric: s.details["different"]["names"][:3] for s in told if _named(s)},
                "plain": _plain(scores),
            }
        )
    return rows


def _scores(
    train: Dataset,
    made: Dataset,
    holdout: Dataset,
    eyes: Sequence[Embedding],
    label: str,
    seed: int,
) -> list[Score]:
    chosen = default_metrics({field.kind for field in train.schema.fields})
    return measure(
        train=train,
        synthetic=with_properties(with_vectors(made, {"image": eyes}), box_labels(train)),
        holdout=holdout,
        metrics=[pair for pair in chosen if pair[1].family in ("gap", "coverage")],
        target=label,
        seed=seed,
    )


def _named(score: Score) -> bool:
    return bool(score.details.get("different", {}).get("names"))


def _harm(score: Score) -> float:
    """Return by how many margins a score is bad, larger is worse."""
    assert score.value is not None
    assert score.baseline is not None
    worse = score.value - score.baseline
    return (-worse if score.higher_is_better else worse) / max(score.margin, 1e-9)


def _plain(scores: Sequence[Score]) -> bool | None:
    """Return whether a plain classifier test finds a difference; None where it was not made."""
    for score in scores:
        if score.metric == "gap.classifier" and score.value is not None and score.detectable:
            error = score.detectable / 2.8
            return bool(score.details["auc"] - 1.96 * error > 0.5)
    return None


def _line(row: dict[str, Any]) -> str:
    found = ", ".join(row["found_by"]) or "nothing"
    named = "; ".join(f"{k}: {', '.join(v)}" for k, v in row["named"].items())
    return f"{row['set']}: {row['fault'] or 'nothing planted'} ({row['seed']}): {found} [{named}]"


def _write(out: Path, rows: Sequence[dict[str, Any]]) -> None:
    order = ["", *(fault.name for fault in image_faults())]
    rows = sorted(rows, key=lambda r: (order.index(r["fault"]) or len(order), r["set"], r["seed"]))
    data = {"versions": versions(), "rows": rows}
    (out / "image_planted.json").write_text(json.dumps(data, indent=1))
    (out / "IMAGE_PLANTED.md").write_text(_markdown(rows))


def _markdown(rows: Sequence[dict[str, Any]]) -> str:
    stated = {fault.name for fault in image_faults() if fault.stated}
    planted = [row for row in rows if row["fault"]]
    strong = [row for row in planted if row["fault"] in stated]
    nothing = [bool(row["found_by"]) for row in rows if not row["fault"]]
    lines = [
        "# Planted faults in images",
        "",
        (__doc__ or "").split("\n\n", 2)[2].strip(),
        "",
        "Machine: 2 shared x86-64 cores. "
        + ", ".join(f"{k} {v}" for k, v in versions().items())
        + ".",
        "",
        f"Found at the stated strengths: {_share([bool(r['found_by']) for r in strong])} of "
        f"{len(strong)}. Nothing planted: {sum(nothing)} of {len(nothing)} called different "
        f"({_share(nothing)}). A plain classifier test on the same features finds "
        f"{_share([r['plain'] for r in strong if r['plain'] is not None])}.",
        "",
        "Faults in italics are weaker than stated: they tell from where on a fault is found.",
        "",
        "| fault | " + " | ".join(sorted({r["set"] for r in rows})) + " | plain classifier | "
        "found by, worst first |",
        "|---|" + "---|" * len({r["set"] for r in rows}) + "---|---|",
    ]
    for fault in dict.fromkeys(row["fault"] for row in rows):
        own = [row for row in rows if row["fault"] == fault]
        by: dict[str, int] = {}
        for row in own:
            for place, metric in enumerate(row["found_by"]):
                by[metric] = by.get(metric, 0) + 10 - min(place, 9)
        title = fault if fault in stated else f"*{fault or 'nothing planted'}*"
        counts = [
            f"{sum(bool(r['found_by']) for r in own if r['set'] == name)}/"
            f"{sum(r['set'] == name for r in own)}"
            for name in sorted({r["set"] for r in rows})
        ]
        plain = _share([r["plain"] for r in own if r["plain"] is not None])
        metrics = ", ".join(sorted(by, key=lambda m: -by[m])[:4]) or "–"
        lines.append(f"| {title} | {' | '.join(counts)} | {plain} | {metrics} |")
    missed = [row for row in strong if not row["found_by"]]
    if missed:
        lines += ["", "Not found:", "", *(f"- {_line(row)}" for row in missed)]
    false = [row for row in rows if not row["fault"] and row["found_by"]]
    if false:
        lines += ["", "False alarms:", "", *(f"- {_line(row)}" for row in false)]
    return "\n".join(lines) + "\n"


def _share(found: Sequence[bool]) -> str:
    return f"{100 * np.mean(found):.0f} %" if len(found) else "–"


if __name__ == "__main__":
    main()

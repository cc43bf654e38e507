"""Plant faults into fresh real images and see whether they are found, by what, and from which strength on.

    python -m benchmarks.evaluation.image_planted --sets cells,shapes --seeds 3 --workers 2

Three tenths of a set are train, the rest is cut in two: a holdout, and fresh images that are perfect
until a fault is planted into them. "Found" means that a metric of gap or coverage says "different".
Images that nothing was planted into are compared just the same, what is left of train cut anew each
time: what is called different among them is a false alarm.
"""

from __future__ import annotations

import argparse
import json
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.evaluation.image_faults import image_faults
from benchmarks.evaluation.image_sets import SETS
from benchmarks.evaluation.log import Log
from benchmarks.evaluation.versions import versions
from twinset.core.contracts import Score
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import BLOB
from twinset.core.features.embedders import Classical, Embedding, SmallNet, with_vectors
from twinset.core.features.image_statistics import box_labels, with_properties
from twinset.measurement.harness import measure
from twinset.registry import default_metrics
from twinset.report.answers.ordering import worst_first

HERE = Path(__file__).parent
_TRAIN = 0.3
_CUTS_OF_TRAIN = 10


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
    sets = options.sets.split(",")
    jobs = [(one, seed, name) for seed in range(options.seeds) for one in sets for name in names]
    jobs += [(one, seed, "") for one in sets for seed in range(options.nulls)]
    left = log.missing(jobs)
    with ProcessPoolExecutor(options.workers) as pool:
        for job, row in zip(left, pool.map(look, left)):
            log.add(job, row)
            print(_line(row), flush=True)
            _write(Path(options.out), list(log.rows.values()))
    _write(Path(options.out), list(log.rows.values()))


@dataclass(frozen=True)
class Prepared:
    """One cut of a set: train, and all that is left, with the embeddings that train has taught."""

    train: Dataset
    rest: Dataset
    eyes: tuple[Embedding, ...]


@lru_cache(maxsize=2)
def prepared(name: str, seed: int) -> Prepared:
    """Return the cut of a set that belongs to a seed, its vectors and properties measured."""
    held = SETS[name]
    every = held.rows(seed)
    order = np.random.default_rng(seed).permutation(len(every))
    train, rest = (every.take(rows) for rows in np.split(order, [int(_TRAIN * len(order))]))
    labels = train.codes(held.label)[0].astype(np.int64)
    column = train.records.column("image")
    eyes = tuple(one.fit(column, labels, seed) for one in (Classical(), SmallNet(device="cpu")))
    words = box_labels(train)
    train, rest = (
        with_properties(with_vectors(part, {"image": eyes}), words) for part in (train, rest)
    )
    return Prepared(train, rest, eyes)


def look(job: tuple[str, int, str]) -> dict[str, Any]:
    """Return what the metrics say of one fault in one cut of one set; "" plants nothing.

    Cuts with nothing planted share train, which a seed in ten changes; what is left is cut anew.
    """
    os.environ["OMP_NUM_THREADS"] = "1"
    warnings.filterwarnings("ignore", category=UserWarning, module="sklearn")
    name, seed, fault = job
    held = SETS[name]
    cut = prepared(name, seed if fault else seed // _CUTS_OF_TRAIN)
    order = np.random.default_rng([7, seed]).permutation(len(cut.rest))
    made, holdout = (cut.rest.take(rows) for rows in np.array_split(order, 2))
    if fault:
        plant = {one.name: one.plant for one in image_faults()}[fault]
        made = plant(_bare(made), held, np.random.default_rng(seed))
        made = with_properties(with_vectors(made, {"image": cut.eyes}), box_labels(cut.train))
    scores = _scores(cut.train, made, holdout, held.label, seed)
    told = worst_first(s for s in scores if s.verdict == "different")
    return {
        "set": name,
        "fault": fault,
        "seed": seed,
        "found_by": [score.metric for score in told],
        "named": {s.metric: s.details["different"]["names"][:3] for s in told if _named(s)},
        "plain": _plain(scores),
    }


def _bare(rows: Dataset) -> Dataset:
    """Return rows whose pictures carry neither vectors nor properties."""
    column = rows.records.column("image").combine_chunks()
    parts = [column.field(part.name) for part in BLOB]
    plain = pa.StructArray.from_arrays(parts, [part.name for part in BLOB])
    place = rows.records.schema.get_field_index("image")
    return replace(rows, records=rows.records.set_column(place, "image", pa.chunked_array([plain])))


def _scores(train: Dataset, made: Dataset, holdout: Dataset, label: str, seed: int) -> list[Score]:
    chosen = default_metrics({field.kind for field in train.schema.fields})
    return measure(
        train=train,
        synthetic=made,
        holdout=holdout,
        metrics=[pair for pair in chosen if pair[1].family in ("gap", "coverage")],
        target=label,
        seed=seed,
    )


def _named(score: Score) -> bool:
    return bool(score.details.get("different", {}).get("names"))


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
        by_set = [[r for r in own if r["set"] == name] for name in sorted({r["set"] for r in rows})]
        counts = [f"{sum(bool(r['found_by']) for r in p)}/{len(p)}" if p else "–" for p in by_set]
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

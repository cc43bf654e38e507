"""Plant faults into fresh real rows and see whether they are found, by what, and where.

    python -m benchmarks.evaluation.planted --tables adult,shoppers,magic --seeds 2 --workers 2

Half of a table is train, a quarter the holdout, and a quarter fresh rows that are perfect until a
fault is planted into them. "Found" means that a metric of the family that should find it says
"different"; "named" that the worst of those scores that name columns names the right one among its
first two. A plain classifier test stands beside it: boosted trees, out-of-fold AUC whose 95 %
interval lies above one half.

SDMetrics stands beside it where the environment of that peer is installed: `QualityReport` and
`DiagnosticReport` of the same rows, up to 12,000 a side. It finds a fault when one of its two overall
scores lies below all that fresh real rows get in 20 cuts of the same table; in brackets, when an
overall score or one of the properties under it does. These reports do not look for leaks.
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

from benchmarks.evaluation.beside_sdmetrics import OVERALL, look_beside, moved
from benchmarks.evaluation.faults import faults
from benchmarks.evaluation.log import Log
from benchmarks.evaluation.tables import PLACES, Cut, every_row
from benchmarks.evaluation.versions import versions
from twinset.core.contracts import Score
from twinset.measurement.harness import measure
from twinset.registry import default_metrics
from twinset.report.answers.ordering import worst_first

HERE = Path(__file__).parent
_NAMED = 2


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.evaluation.planted", description=__doc__)
    parser.add_argument("--tables", default=",".join(PLACES))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", default="", help="parts of names of faults, separated by ;")
    parser.add_argument("--out", default=str(HERE), help="folder of the results")
    parser.add_argument("--resume", default="", help="folder of the log, to go on from it")
    options = parser.parse_args()
    tables, seeds = options.tables.split(","), range(options.seeds)
    names = [
        fault.name
        for fault in faults()
        if any(part in fault.name for part in options.only.split(";"))
    ]
    jobs = [
        (table, name, seed)
        for seed in seeds
        for name in [*names, ""]
        for table in tables
        if _has_place(table, name)
    ]
    log, beside = (Log.open(options.resume, name) for name in ("planted", "sdmetrics"))
    look_beside(jobs, beside)
    left = log.missing(jobs)
    with ProcessPoolExecutor(options.workers) as pool:
        for job, row in zip(left, pool.map(look, left)):
            log.add(job, row)
            print(_line(row), flush=True)
            _write(Path(options.out), _rows(log, beside))
    _write(Path(options.out), _rows(log, beside))


def _rows(log: Log, beside: Log) -> list[dict[str, Any]]:
    """Return what is known of each comparison, with what SDMetrics says of it."""
    return [
        {**row, "sdmetrics": moved((row["table"], row["fault"], row["seed"]), beside)}
        for row in log.rows.values()
    ]


def _has_place(table: str, name: str) -> bool:
    """Return whether a table has a column that the fault goes into."""
    return all(fault.columns(PLACES[table]) != ("",) for fault in faults() if fault.name == name)


def _write(out: Path, rows: Sequence[dict[str, Any]]) -> None:
    order = ["", *(fault.name for fault in faults())]
    # Nothing planted comes last.
    rows = sorted(rows, key=lambda row: (order.index(row["fault"]) or len(order), row["table"]))
    (out / "planted.json").write_text(json.dumps({"versions": versions(), "rows": rows}, indent=1))
    (out / "PLANTED.md").write_text(_markdown(rows))


def look(job: tuple[str, str, int]) -> dict[str, Any]:
    """Return what the metrics say of one fault in one table; without a name nothing is planted."""
    os.environ["OMP_NUM_THREADS"] = "1"
    warnings.filterwarnings("ignore", category=UserWarning, module="sklearn")
    table, name, seed = job
    places = PLACES[table]
    cut = Cut.of(every_row(table), places.target, seed)
    fault = next((f for f in faults() if f.name == name), None)
    rows = cut.fresh
    if fault is not None:
        rows = fault.plant(rows, cut.train, places, np.random.default_rng(seed))
    family = "privacy" if fault is not None and fault.leak else "gap"
    families = ("privacy",) if family == "privacy" else ("gap", "coverage")
    synthetic = cut.dataset(rows)
    chosen = default_metrics({field.kind for field in synthetic.schema.fields})
    scores = measure(
        train=cut.dataset(cut.train),
        synthetic=synthetic,
        holdout=cut.dataset(cut.holdout),
        metrics=[pair for pair in chosen if pair[1].family in families],
        target=places.target,
        positive=places.rare,
        seed=seed,
    )
    wanted = () if fault is None else fault.columns(places)
    told = worst_first(score for score in scores if score.verdict == "different")
    names = _named_first(told)
    return {
        "table": table,
        "fault": name,
        "seed": seed,
        "found_by": [score.metric for score in told],
        "wanted": list(wanted),
        "named": names,
        "right": bool(set(wanted) & set(names)) if wanted else None,
        "plain": _plain(scores),
    }


def _named_first(told: Sequence[Score]) -> list[str]:
    """Return the columns that the worst score with a name says first."""
    for score in told:
        details = score.details
        slices = [*details.get("under_covered", []), *details.get("over_covered", [])]
        broken = [one for one in details.get("broken", []) if one["beyond_real"]]
        named = [
            *(part.split()[0] for one in slices[:1] for part in one["words"].split(" and ")),
            *details.get("different", {}).get("names", [])[:_NAMED],
            *list(details.get("columns_that_tell", ()))[:_NAMED],
            *(column for one in broken[:1] for column in one["columns"]),
        ]
        if named:
            # "age (upper tail)" names age.
            return [one.split(" (")[0] for name in named for one in name.split(" with ")]
    return []


def _plain(scores: Sequence[Score]) -> bool | None:
    """Return whether a plain classifier test finds a difference; None where it was not made."""
    for score in scores:
        if score.metric == "gap.classifier" and score.value is not None and score.detectable:
            error = score.detectable / 2.8
            return bool(score.details["auc"] - 1.96 * error > 0.5)
    return None


def _line(row: dict[str, Any]) -> str:
    found = ", ".join(row["found_by"]) or "nothing"
    return f"{row['table']}: {row['fault'] or 'nothing planted'} ({row['seed']}): {found}; {row['named']}"


def _markdown(rows: Sequence[dict[str, Any]]) -> str:
    planted = [row for row in rows if row["fault"]]
    untouched = [bool(row["found_by"]) for row in rows if not row["fault"]]
    lines = [
        "# Planted faults",
        "",
        __doc__.split("\n\n", 2)[2].strip() if __doc__ else "",
        "",
        "Machine: 2 shared x86-64 cores. "
        + ", ".join(f"{k} {v}" for k, v in versions().items())
        + ".",
        "",
        f"Run so far: {len(planted)} comparisons, tables {', '.join(sorted({r['table'] for r in rows}))}.",
        "",
        f"Found: {_share([bool(r['found_by']) for r in planted])} of {len(planted)}. The right place "
        f"named: {_known(planted, 'right')} of those about a column. A plain classifier test finds "
        f"{_known(planted, 'plain')}, SDMetrics {_beside(planted)}. Nothing planted: {sum(untouched)} of "
        f"{len(untouched)} called different, by SDMetrics {_beside([r for r in rows if not r['fault']])}.",
        "",
        "| fault | found | named | plain classifier | SDMetrics | found by, worst first |",
        "|---|---|---|---|---|---|",
    ]
    for fault in dict.fromkeys(row["fault"] for row in rows):
        own = [row for row in rows if row["fault"] == fault]
        by: dict[str, int] = {}
        for row in own:
            for place, metric in enumerate(row["found_by"]):
                by[metric] = by.get(metric, 0) + 10 - min(place, 9)
        lines.append(
            f"| {fault or '*nothing planted*'} | {sum(bool(r['found_by']) for r in own)}/{len(own)} | "
            f"{_known(own, 'right')} | "
            f"{_known(own, 'plain')} | "
            f"{_beside(own)} | "
            f"{', '.join(sorted(by, key=lambda m: -by[m])[:4]) or '–'} |"
        )
    missed = [row for row in planted if not row["found_by"] or row["right"] is False]
    if missed:
        lines += ["", "Not found, or the right place not named:", ""]
        lines += [f"- {_line(row)}" for row in missed]
    return "\n".join(lines) + "\n"


def _beside(rows: Sequence[dict[str, Any]]) -> str:
    """Return how often an overall score of SDMetrics moves, in brackets a property too."""
    known = [row["sdmetrics"] for row in rows if row["sdmetrics"] is not None]
    if not known:
        return "–"
    return f"{_share([bool(OVERALL & set(names)) for names in known])} ({_share([bool(n) for n in known])})"


def _known(rows: Sequence[dict[str, Any]], key: str) -> str:
    return _share([row[key] for row in rows if row[key] is not None])


def _share(found: Sequence[bool]) -> str:
    return f"{100 * np.mean(found):.0f} %" if len(found) else "–"


if __name__ == "__main__":
    main()

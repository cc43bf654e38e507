"""Run cases: plant a fault, evaluate with defaults, and score the report's JSON.

python -m benchmarks.independent --area tables --only 'adult.*' --family integrity,gap --show
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import yaml

import twinset as tw
from benchmarks.datasets import DataAbsentError
from benchmarks.independent import leakage
from benchmarks.independent.changes import change
from benchmarks.independent.intervals import coverage, figures
from benchmarks.independent.scoring import findings, rate
from benchmarks.independent.sets import Splits, Table, draw, whole_columns, write
from twinset.registry import default_metrics

Row = dict[str, Any]
HERE = Path(__file__).parent
AREAS = ("tables", "texts", "images", "copies", "nulls", "leaks")  # intervals only where named


def read_cases(files: Sequence[Path], areas: Sequence[str], only: str) -> list[Row]:
    """Return the cases of YAML files, named by their area, that are asked for."""
    chosen = [
        (path.stem, trial) for path in files for trial in yaml.safe_load(path.read_text("utf-8"))
    ]
    cases = [{"area": area, **trial} for area, trial in chosen if re.search(only, trial["id"])]
    return [trial for trial in cases if trial["area"] in areas]


def report(parts: Splits, candidate: Table, families: Sequence[str]) -> Row:
    """Return the JSON of an evaluation with defaults, of some families of metrics or of all."""

    def chosen(*args: Any, **kwargs: Any) -> Any:
        every = default_metrics(*args, **kwargs)
        return [(n, m) for n, m in every if not families or n.partition(".")[0] in families]

    sets = {"real": parts.train, "unseen": parts.holdout, "made": candidate}
    whole = whole_columns(parts.train)
    with (
        TemporaryDirectory() as folder,
        patch("twinset.workflows.evaluate.default_metrics", chosen),
    ):
        real, unseen, made = (write(rows, Path(folder) / n, whole) for n, rows in sets.items())
        found = tw.evaluate(real, made, holdout=unseen, target=parts.target)
    return dict(json.loads(found.to_json()))


@cache
def code_stamp() -> int:
    """Return the time of the newest change of the code, so that kept reports are of this code."""
    root = Path(tw.__file__).parents[1]
    files = (p for part in ("twinset", "evaluation") for p in (root / part).rglob("*.py"))
    return max(int(path.stat().st_mtime) for path in files)


def clean_report(parts: Splits, seed: int, families: Sequence[str], out: Path) -> Row:
    """Return the report on the candidate without a fault, measured once."""
    sizes = f"{len(parts.train)}-{seed}-{'+'.join(families) or 'all'}"
    path = out / "clean" / f"{parts.name}-{sizes}-{code_stamp()}.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report(parts, parts.candidate, families)), "utf-8")
    return dict(json.loads(path.read_text("utf-8")))


def run_case(trial: Row, settings: argparse.Namespace) -> Row:
    """Return the outcome of one trial."""
    began = time.process_time()
    row: Row = {key: trial[key] for key in ("id", "area", "kind", "seed")}
    try:
        row |= leakage.outcome(trial) if trial["area"] == "leaks" else outcome(trial, settings)
    except DataAbsentError as error:
        row["skipped"] = str(error)
    except tw.TwinsetError as error:
        row |= {"found": False, "right": False, "refused": str(error)[:300]}
    return {**row, "cpu": round(time.process_time() - began, 1)}


def outcome(trial: Row, settings: argparse.Namespace) -> Row:
    """Return what the report on one candidate says."""
    families = [name for name in settings.family.split(",") if name]
    parts = draw(trial["data"], trial["seed"], settings.rows or trial.get("rows"))
    candidate, planted = change(parts, trial.get("steps", ()), trial["seed"])
    columns = list(parts.train.columns)
    measured = report(parts, candidate, families)
    if trial["area"] == "intervals":
        return {"found": True, "right": True, "figures": figures(measured)}
    found = findings(measured, columns)
    if settings.show:
        lines = (f"\n  {a.metric} | {a.place[:150]} | {a.sentence[:250]}" for a in found)
        print(trial["id"], *lines, flush=True)
    if trial["area"] == "nulls":
        by = [f"{a.metric}: {a.sentence[:200]}" for a in found]
        return {"found": bool(found), "right": not found, "by": by}
    known = findings(clean_report(parts, trial["seed"], families, settings.out), columns)
    return rate(trial, found, known, planted)


def summary(rows: Iterable[Row], hide: bool) -> str:
    """Return counts by area and kind, and the names (or only the kinds) of what went wrong."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        for kind in (row["kind"], "ALL"):
            groups.setdefault((row["area"], kind), []).append(row)
    lines = []
    for (area, kind), members in sorted(groups.items()):
        done = [row for row in members if "found" in row]
        found, right = (sum(row[key] for row in done) for key in ("found", "right"))
        lines.append(f"{area:8}{kind:24}{len(done):4} found {found:4} right {right:4}")
        for row in members if kind != "ALL" else ():
            note = next((f"{k}: {row[k]}" for k in ("skipped", "refused") if k in row), "")
            wrong = not row.get("found") if area == "copies" else not row.get("right")
            if (note or wrong) and not hide:
                state = "finding" if row.get("found") else "no finding"
                lines.append(
                    f"    {row['id']} seed {row['seed']}: {state} {row.get('by', '')} {note}"
                )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--cases", type=Path, nargs="*", help="files AREA.yaml; by default those here"
    )
    parser.add_argument("--area", default=",".join(AREAS))
    parser.add_argument("--only", default="", help="regular expression on the names of cases")
    parser.add_argument(
        "--family", default="", help="families of metrics to measure, by default all"
    )
    parser.add_argument("--repeat", type=int, default=1, help="seeds of every trial")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", type=int, help="rows of each part, e.g. 9000")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("out/independent"))
    parser.add_argument("--hide", action="store_true", help="name kinds only")
    parser.add_argument("--show", action="store_true", help="print every finding")
    settings = parser.parse_args(arguments)
    files = settings.cases or [HERE / f"{area}.yaml" for area in settings.area.split(",")]
    chosen = read_cases(files, settings.area.split(","), settings.only)
    seeds = range(settings.seed, settings.seed + settings.repeat)
    cases = [{**trial, "seed": seed} for trial in chosen for seed in seeds]
    settings.out.mkdir(parents=True, exist_ok=True)
    rows = []
    with (settings.out / f"rows-{time.time_ns()}.jsonl").open("w", encoding="utf-8") as log:
        for row in outcomes(cases, settings):
            rows.append(row)
            print(json.dumps(row), file=log, flush=True)
            print(
                f"{len(rows)}/{len(cases)} {row['kind' if settings.hide else 'id']}",
                file=sys.stderr,
            )
    print(summary(rows, settings.hide), *coverage(rows), sep="\n")
    return 0


def outcomes(cases: Sequence[Row], settings: argparse.Namespace) -> Iterator[Row]:
    """Yield the outcome of every trial, in their order."""
    run = partial(run_case, settings=settings)
    if settings.workers == 1:
        yield from map(run, cases)
        return
    with ProcessPoolExecutor(settings.workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(run, cases)

"""Run the benchmark: fit, sample, score, write RESULTS.md and results.json.

    python -m benchmarks.tabular.run --methods tabular.trees --sets adult,magic --seeds 3 --peers none

Results are cached in ``benchmarks/tabular/cache``: a run that is stopped continues where it was. Rows of
the committed results are put into the cache first, so that a run adds to them. ``--report-only`` writes
the results from the cache, ``--install sdv`` creates the virtual environment of a peer first.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.datasets import DataAbsentError
from benchmarks.tabular import jobs, report
from benchmarks.tabular.score import VERSION, Scorer, Scores
from benchmarks.tabular.sets import SETS, halves, load

OURS = ("tabular.trees", "tabular.network", "tabular.gan", "tabular.copula", "tabular.marginals")
PEERS = tuple(jobs.PEERS)
REAL = ("real.train", "real.holdout", "real.halves")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    options = _parser().parse_args(arguments)
    for name in options.install:
        jobs.install(name)
    ours = _names(options.methods, OURS)
    peers = _names(options.peers, PEERS)
    report.restore(Path(__file__).with_name("results.json"), jobs.CACHE)
    try:
        for name in _names(options.sets, tuple(SETS)):
            scorer = Scorer(load(name))
            for row in _rows(scorer, ours, peers, options):
                print(_line(row), flush=True)
    except DataAbsentError as absent:
        print(absent, file=sys.stderr)
        return 2
    report.write(jobs.CACHE, Path(options.out))
    return 0


def _rows(
    scorer: Scorer, ours: tuple[str, ...], peers: tuple[str, ...], options: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    table = scorer.table
    if options.real:
        for name in REAL:
            yield _cached(table.name, name, 0, partial(_real, scorer, name))
    for label in (*ours, *peers):
        method = jobs.Method(label)
        if not method.installed:
            print(f"{label}: not installed (see --install)")
            continue
        for seed in range(1 if method.is_peer else options.seeds):
            outcomes = {
                part: jobs.outcome(
                    method,
                    table,
                    seed,
                    part,  # type: ignore[arg-type]
                    cap_minutes=options.cap_minutes,
                    threads=options.threads,
                    cached_only=options.report_only,
                    keep_stale=options.keep_stale,
                )
                for part in (("full",) if options.no_privacy else ("full", "half"))
            }
            yield from _scored(scorer, method, seed, outcomes)


def _scored(
    scorer: Scorer, method: jobs.Method, seed: int, outcomes: dict[str, jobs.Outcome | None]
) -> Iterator[dict[str, Any]]:
    costs = {part: found.costs for part, found in outcomes.items() if found is not None}
    if not costs:
        return

    def score() -> dict[str, Any]:
        scores: Scores = {}
        for part, found in outcomes.items():
            if found is not None and found.rows is not None:
                scores |= (
                    scorer.fidelity(found.rows, seed=seed)
                    if part == "full"
                    else scorer.leakage(found.rows)
                )
        return {"scores": scores, "costs": costs}

    has_rows = any(found is not None and found.rows is not None for found in outcomes.values())
    row = None if has_rows else _known(scorer.table.name, method.label, seed)
    yield row or _cached(scorer.table.name, method.label, seed, score, inputs=costs)


def _known(table: str, method: str, seed: int) -> dict[str, Any] | None:
    """Return a row whose synthetic table is no longer there, with the scores it had."""
    path = jobs.CACHE / table / jobs.Method(method).folder / str(seed) / "row.json"
    row: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return row if row.get("version") == VERSION and row["scores"] else None


def _cached(
    table: str,
    method: str,
    seed: int,
    make: Callable[[], dict[str, Any]],
    inputs: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the scored row, from the cache where the same inputs were scored by this version."""
    path = jobs.CACHE / table / jobs.Method(method).folder / str(seed) / "row.json"
    if path.exists():
        row: dict[str, Any] = json.loads(path.read_text())
        if row["version"] == VERSION and row.get("costs") == inputs:
            return row
    row = {"set": table, "method": method, "seed": seed, "version": VERSION} | make()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(row, indent=1))
    return row


def _real(scorer: Scorer, name: str) -> dict[str, Any]:
    table = scorer.table
    if name == "real.train":
        members = table.train.iloc[halves(len(table.train))[0]]
        return {"scores": scorer.fidelity(table.train) | scorer.leakage(members)}
    if name == "real.holdout":
        return {"scores": scorer.holdout()}
    return {"scores": scorer.floor()}


def _line(row: dict[str, Any]) -> str:
    figures = " ".join(f"{k}={v:.4f}" for k, v in row["scores"].items() if isinstance(v, float))
    full = (row.get("costs") or {}).get("full", {})
    return (
        f"{row['set']} {row['method']} seed {row['seed']}: {figures} {full.get('unfinished', '')}"
    )


def _names(given: str, every: tuple[str, ...]) -> tuple[str, ...]:
    if given == "none":
        return ()
    return every if given == "all" else tuple(name for name in given.split(",") if name)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks.tabular.run", description=__doc__)
    parser.add_argument("--methods", default="tabular.trees", help="ours: names, 'all' or 'none'")
    parser.add_argument("--peers", default="none", help=f"'none', 'all' or of {', '.join(PEERS)}")
    parser.add_argument(
        "--install", nargs="*", default=(), choices=tuple(jobs.PACKAGES), help="peers to install"
    )
    parser.add_argument("--sets", default="all", help=f"'all' or of {', '.join(SETS)}")
    parser.add_argument("--seeds", type=int, default=3, help="fit seeds of ours (peers: one)")
    parser.add_argument("--threads", type=int, default=2, help="most threads of a generator")
    parser.add_argument("--cap-minutes", type=float, default=30, help="CPU minutes of one fit")
    parser.add_argument("--no-privacy", action="store_true", help="skip the fits on half of train")
    parser.add_argument("--real", action="store_true", help="score the real ceiling and floor rows")
    parser.add_argument(
        "--keep-stale", action="store_true", help="do not refit ours after a change of the source"
    )
    parser.add_argument("--report-only", action="store_true", help="fit nothing")
    parser.add_argument("--out", default=str(Path(__file__).parent), help="folder of the results")
    return parser


if __name__ == "__main__":
    sys.exit(main())

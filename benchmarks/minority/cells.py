"""Does `advise` choose well? Every strategy tested on every cell (set x judge), beside real extra rows.

    python -m benchmarks.minority.cells run --results benchmarks/minority/cells.jsonl
    python -m benchmarks.minority.cells tell --results benchmarks/minority/cells.jsonl

The first goes on where it stopped, one line a split; the second writes cells.json and CELLS.md.
A split holds test rows apart, and as many rare rows again as there are in the train part (the oracle).
The race of `advise` sees the train part alone; each candidate is then fitted on it and tested.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.minority.cell_sets import SETS, CellParts, CellSet, data_folder, parts_of
from twinset.core.seeding import draw_seed, rng_for
from twinset.workflows.advise import strategies
from twinset.workflows.advise.cross_validation import Bench, FoldResult
from twinset.workflows.advise.folds import GAP_DAYS, GAP_SHARE, Cut
from twinset.workflows.advise.labelled_table import Case
from twinset.workflows.advise.models import fit, view_of
from twinset.workflows.advise.ranking_metrics import Ranking, average_precision, log_loss
from twinset.workflows.advise.select_strategy import Race, race, restored
from twinset.workflows.advise.strategies import Strategy, candidates
from twinset.workflows.advise.test_results import Drawn

JUDGES = ("boosted", "linear")
ALERT_RATE = 0.01
GENERATORS = tuple(names[0] for _, names in strategies.GENERATORS)
N_DRAWS = 200
FULL = (Strategy("smote 1", "rows", ratio=1.0, component="minority.smote"),)


def cell(one: CellSet, case: Case, judge: str, split: int, folds: list[Any]) -> dict[str, Any]:
    """Return what one split of one cell says: the choice, and the test figures of every strategy."""
    parts = parts_of(one, case, rng_for(split, "cells", one.name))
    bench = Bench(case, seed=100 + split)
    tried = candidates(GENERATORS, None, float(case.truth[parts.train].mean()))
    gap = 0.0
    if case.time is not None:
        span = float(np.ptp(case.time[parts.train]))
        gap = min(GAP_SHARE * span, GAP_DAYS if case.in_days else np.inf)
    started = time.process_time()
    found = race(bench, parts.train, tried, judge, gap)
    seconds = time.process_time() - started
    folds.append(_fold_changes(found, one, judge, split))
    (tested,) = bench.try_all([("final", Cut(parts.train, parts.test))], [*tried, *FULL], judge)
    scores = {name: result.scores for name, result in tested.items()}
    scores["oracle"] = _oracle(bench, parts, judge)
    return {
        "set": one.name,
        "judge": judge,
        "split": split,
        "train": [len(parts.train), int(case.truth[parts.train].sum())],
        "test": [len(parts.test), int(case.truth[parts.test].sum())],
        "aside": len(parts.aside),
        "chosen": found.chosen,
        "challenger": found.challenger,
        "is_chance": found.is_chance,
        "inner": {
            name: [d.mean, d.error, d.shrunk, name in found.finalists]
            for name, d in found.differences.items()
        },
        "test_figures": _figures(scores, case.truth[parts.test], split),
        "log_loss_ratio": _restored(found, tested, case, parts),
        "fitted_rows": bench.fitted_rows,
        "race_seconds": seconds,
    }


def _figures(
    scores: Mapping[str, npt.NDArray[np.float64]], truth: npt.NDArray[np.bool_], split: int
) -> dict[str, list[float]]:
    """Return for each strategy: average precision, its difference to none, the standard error of that by
    a paired bootstrap, recall at the alert rate."""
    drawn = Drawn.of(truth, N_DRAWS, rng_for(split, "cells", "draws"))
    weights = np.array(list(drawn.weights()))
    rankings = {name: Ranking(s, truth) for name, s in scores.items()}
    draws = {
        name: np.array([r.measures(w, ALERT_RATE)[0] for w in weights])
        for name, r in rankings.items()
    }
    ones = np.ones(len(truth))
    base = average_precision(scores["none"], truth)
    return {
        name: [
            (ap := average_precision(s, truth)),
            ap - base,
            float((draws[name] - draws["none"]).std(ddof=1)),
            rankings[name].measures(ones, ALERT_RATE)[1],
        ]
        for name, s in scores.items()
    }


def _oracle(bench: Bench, parts: CellParts, judge: str) -> npt.NDArray[np.float64]:
    """Return the test scores of a model that was given the rare rows held aside as well."""
    rows = np.concatenate([parts.train, parts.aside])
    raw = bench.raw.take(parts.train)
    view = view_of(judge, raw)
    seed = draw_seed(rng_for(bench.seed, "advise", "final", "model"))
    x = view.transform(bench.raw.take(rows))
    predict = fit(judge, x, bench.case.truth[rows], None, seed)
    return predict(view.transform(bench.raw.take(parts.test)))


def _restored(
    found: Race, tested: Mapping[str, FoldResult], case: Case, parts: CellParts
) -> dict[str, float]:
    """Return for each finalist its log-loss after restoring over that of none as it is."""
    truth = case.truth[parts.test]
    base = log_loss(tested["none"].scores, truth)
    out = {}
    for name in found.finalists:
        honest = restored(found, name, case).apply(tested[name].scores)
        out[name] = log_loss(honest, truth) / base
    return out


def _fold_changes(found: Race, one: CellSet, judge: str, split: int) -> dict[str, Any]:
    """Return the changes against none of every positive in every fold, to try other rules on."""
    return {
        "set": one.name,
        "judge": judge,
        "split": split,
        "sizes": [[len(cut.train), len(cut.test)] for _, cut in found.folds],
        "changes": {
            name: [
                np.round(fold[name].precision - fold["none"].precision, 4).tolist()
                for fold in found.results
            ]
            for name in found.finalists
        },
    }


def _jobs(
    splits: Sequence[int], sets: Sequence[str], judges: Sequence[str]
) -> Iterator[tuple[int, CellSet, str]]:
    for split in splits:
        for one in SETS:
            if not sets or one.name in sets:
                for judge in judges:
                    yield split, one, judge


def run(
    results: Path, folder: Path, splits: Sequence[int], sets: Sequence[str], judges: Sequence[str]
) -> None:
    """Run every cell that the file of results does not hold yet."""
    done = set()
    if results.exists():
        lines = [json.loads(line) for line in results.read_text().splitlines()]
        done = {(line["set"], line["judge"], line["split"]) for line in lines}
    opened: dict[str, Case] = {}
    for split, one, judge in _jobs(splits, sets, judges):
        if (one.name, judge, split) in done:
            continue
        if one.name not in opened:
            opened[one.name] = one.open(folder)
        folds: list[Any] = []
        line = cell(one, opened[one.name], judge, split, folds)
        for place, value in ((results, line), (results.with_suffix(".folds.jsonl"), folds[0])):
            with place.open("a") as file:
                file.write(json.dumps(value) + "\n")
        print(one.name, judge, split, line["chosen"], f"{line['race_seconds']:.1f} s", flush=True)


def main() -> None:
    """Read the arguments and run, or tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("run", "tell"))
    parser.add_argument("--results", type=Path, nargs="+", required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--splits", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--sets", nargs="*", default=[])
    parser.add_argument("--judges", nargs="*", default=JUDGES)
    given = parser.parse_args()
    if given.what == "run":
        run(given.results[0], data_folder(given.data), given.splits, given.sets, given.judges)
    else:
        from benchmarks.minority.cell_page import tell

        tell(given.results)


if __name__ == "__main__":
    main()

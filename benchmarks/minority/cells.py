"""Does `advise` choose well? Every strategy on every cell (set x model), beside real extra rows.

    python -m benchmarks.minority.cells                      # goes on with cells.jsonl, writes CELLS.md
    python -m benchmarks.minority.cells --page               # CELLS.md and cells.json from what is measured
    python -m benchmarks.minority.cells noise --tables 60    # tables whose label is drawn by lot

A split holds test rows apart, and as many rare rows again as the train set has (the oracle). The selection
of `advise` sees the train set alone; each candidate is then fitted on it and tested.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from sklearn.metrics import average_precision_score

from benchmarks.markdown import table
from benchmarks.minority.cell_figures import LEARNERS, cells_of, figures, is_beyond
from benchmarks.minority.real_sets import SOURCES, handbook_with_history, ulb
from benchmarks.results import Row, grouped
from benchmarks.runner import Benchmark, Settings
from twinset.core.seeding import draw_seed, rng_for
from twinset.registry import component_names
from twinset.workflows.advise import strategies
from twinset.workflows.advise.labelled_table import (
    GAP_DAYS,
    GAP_SHARE,
    LabelledTable,
    TrainTestSplit,
    read_labelled_table,
    split_test_set,
)
from twinset.workflows.advise.ranking_metrics import BootstrapDraws, WeightedRanking, log_loss
from twinset.workflows.advise.select_strategy import (
    FoldResult,
    ModelSelection,
    StrategyTrials,
    calibrate_strategy,
    select_strategies,
)
from twinset.workflows.advise.strategies import Strategy, candidates, fit, fit_encoder
from twinset.workflows.options import AdviseOptions

HERE = Path(__file__).parent
MODELS = ("boosted", "linear")
ALERT_RATE = 0.01  # share of rows that can be looked at; recall is reported there
GENERATORS = tuple(names[0] for _, names in strategies.GENERATORS)
N_DRAWS = 200  # of test rows, for the standard error of a difference
FULL = (Strategy("smote 1", "rows", ratio=1.0, component="minority.smote"),)
MOST_TRAIN, MOST_TEST = 8_000, 30_000  # rows: thinned so that a cell costs minutes
NOISE_SHAPES = ((1_500, 0.06), (3_000, 0.03), (6_000, 0.02), (2_500, 0.1))
# Rows and share of rare ones of the tables of noise, in turn.


@dataclass(frozen=True)
class CellSet:
    """One table, with the numbers of rare rows for training and for testing.

    Parameters
    ----------
    load : callable
        Returns the data frame.
    target, positive : str
        Column and rare label.
    n_train, n_test : int
        Rare rows in the train and the test part; up to `n_train` more are held aside, to see what
        real rows would bring.
    time : str, optional
        Column of the time: the latest rows are tested on.
    """

    load: Callable[[], pd.DataFrame]
    target: str
    positive: str
    n_train: int
    n_test: int
    time: str | None = None


def _source(name: str, n_train: int, n_test: int) -> CellSet:
    source = SOURCES[name]
    return CellSet(source.read, source.target, source.rare, n_train, n_test)


SETS: dict[str, CellSet] = {
    "ulb": CellSet(lambda: ulb(with_time=False), "Class", "1", 150, 190),
    "ulb, 40 frauds": CellSet(lambda: ulb(with_time=False), "Class", "1", 40, 300),
    "ulb, by time": CellSet(ulb, "Class", "1", 140, 190, "Time"),
    "handbook, by time": CellSet(handbook_with_history, "fraud", "1", 100, 500, "when"),
    "mammography": _source("mammography", 75, 105),
    "polish": _source("polish", 120, 170),
    "wilt": _source("wilt", 75, 110),
    "us_crime": _source("us_crime", 45, 60),
    "ozone": _source("ozone_level_8hr", 48, 64),
    "wine": _source("wine_quality", 55, 73),
    "pc1": _source("pc1", 25, 30),
    "churn": _source("churn", 60, 400),
    "jm1": _source("jm1", 60, 500),
    "adult": _source("adult", 100, 500),
    "adult, 30 rare": _source("adult", 30, 500),
    "default": _source("default", 100, 500),
    "shoppers": _source("shoppers", 100, 400),
    "magic": _source("magic", 100, 500),
}


@dataclass(frozen=True)
class CellParts:
    """Positions of the rows for training, for testing, and held aside (rare ones only)."""

    train: npt.NDArray[np.int64]
    test: npt.NDArray[np.int64]
    aside: npt.NDArray[np.int64]


def parts_of(one: CellSet, labelled: LabelledTable, rng: np.random.Generator) -> CellParts:
    """Return the parts of one split; train and test have the same share of rare rows.

    With a time, the first 60 % of the rare rows are for training, and the common rows go with the times.
    """
    if labelled.time is None:
        early_rare = late_rare = rng.permutation(np.flatnonzero(labelled.truth))
        early = late = rng.permutation(np.flatnonzero(~labelled.truth))
    else:
        split = np.quantile(labelled.time[labelled.truth], 0.6)
        early_rare, late_rare, early, late = (
            rng.permutation(
                np.flatnonzero((labelled.truth == rare) & ((labelled.time <= split) == before))
            )
            for rare in (True, False)
            for before in (True, False)
        )
    test_rare = late_rare[: one.n_test]
    left = rng.permutation(np.setdiff1d(early_rare, test_rare, assume_unique=True))
    train_rare, aside = left[: one.n_train], left[one.n_train : 2 * one.n_train]
    room = len(early) / (len(train_rare) + len(test_rare) * (labelled.time is None))
    times = min(MOST_TRAIN / len(train_rare), MOST_TEST / len(test_rare), room)
    if labelled.time is not None:
        times = min(times, len(late) / len(test_rare))
    n_train, n_test = int(times * len(train_rare)), int(times * len(test_rare))
    train = early[:n_train]
    test = (late[n_train:] if labelled.time is None else late)[:n_test]
    return CellParts(
        np.sort(np.concatenate([train_rare, train])),
        np.sort(np.concatenate([test_rare, test])),
        np.sort(aside),
    )


@cache
def _labelled_table(name: str) -> LabelledTable:
    one = SETS[name]
    return read_labelled_table(
        one.load(), AdviseOptions(target=one.target, positive=one.positive, time=one.time)
    )


def measure_cell(job: Row) -> Row:
    """Return the choice of `advise` in one split of one cell, and test figures of every strategy."""
    name, model, split = job["set"], job["model"], job["split"]
    labelled = _labelled_table(name)
    parts = parts_of(SETS[name], labelled, rng_for(split, "cells", name))
    bench = StrategyTrials(labelled, seed=100 + split)
    tried = candidates(GENERATORS, None, float(labelled.truth[parts.train].mean()))
    gap = 0.0
    if labelled.time is not None:
        span = float(np.ptp(labelled.time[parts.train]))
        gap = min(GAP_SHARE * span, GAP_DAYS if labelled.in_days else np.inf)
    started = time.process_time()
    found = select_strategies(bench, parts.train, tried, model, gap)
    seconds = time.process_time() - started
    (tested,) = bench.try_all(
        [("final", TrainTestSplit(parts.train, parts.test))], [*tried, *FULL], model
    )
    scores = {name: result.scores for name, result in tested.items()}
    scores["oracle"] = _oracle(bench, parts, model)
    return {
        **job,
        "train": [len(parts.train), int(labelled.truth[parts.train].sum())],
        "test": [len(parts.test), int(labelled.truth[parts.test].sum())],
        "aside": len(parts.aside),
        "chosen": found.chosen,
        "tested": found.tested,
        "is_chance": found.is_chance,
        "inner": {
            name: [d.mean, d.error, d.shrunk, name in found.shortlist]
            for name, d in found.differences.items()
        },
        "test_figures": _test_figures(scores, labelled.truth[parts.test], split),
        "log_loss_ratio": _loss_ratios(found, tested, labelled, parts),
        "fitted_rows": bench.fitted_rows,
        "race_seconds": seconds,
    }


def _test_figures(
    scores: Mapping[str, npt.NDArray[np.float64]], truth: npt.NDArray[np.bool_], split: int
) -> dict[str, list[float]]:
    """Return for each strategy: average precision, its difference to none, the standard error of that
    by a paired bootstrap, recall at the alert rate."""
    weights = list(
        BootstrapDraws.from_rows(truth, N_DRAWS, rng_for(split, "cells", "draws")).weights()
    )
    rankings = {name: WeightedRanking(s, truth) for name, s in scores.items()}
    draws = {
        name: np.array([r.measures(w, ALERT_RATE)[0] for w in weights])
        for name, r in rankings.items()
    }
    base, found = average_precision_score(truth, scores["none"]), {}
    for name, ranking in rankings.items():
        precision = average_precision_score(truth, scores[name])
        error = float((draws[name] - draws["none"]).std(ddof=1))
        recall = ranking.measures(np.ones(len(truth)), ALERT_RATE)[1]
        found[name] = [precision, precision - base, error, recall]
    return found


def _oracle(bench: StrategyTrials, parts: CellParts, model: str) -> npt.NDArray[np.float64]:
    """Return the test scores of a model that is given the rare rows held aside as well."""
    rows = np.concatenate([parts.train, parts.aside])
    view = fit_encoder(model, bench.raw.take(parts.train))
    seed = draw_seed(rng_for(bench.seed, "advise", "final", "model"))
    x = view.transform(bench.raw.take(rows))
    predict = fit(model, x, bench.labelled.truth[rows], None, seed)
    return predict(view.transform(bench.raw.take(parts.test)))


def _loss_ratios(
    found: ModelSelection,
    tested: Mapping[str, FoldResult],
    labelled: LabelledTable,
    parts: CellParts,
) -> dict[str, float]:
    """Return the log-loss of each strategy of the last round, restored, over that of none as it is."""
    truth = labelled.truth[parts.test]
    base = log_loss(tested["none"].scores, truth)
    return {
        name: log_loss(calibrate_strategy(found, name, labelled).apply(tested[name].scores), truth)
        / base
        for name in found.shortlist
    }


def measure_noise(job: Row) -> Row:
    """Return the choice of `advise` on one table of noise."""
    number = job["table"]
    labelled = read_labelled_table(noise_table(number), AdviseOptions(target="fraud", positive="1"))
    split = split_test_set(labelled, 0.3, None, rng_for(number, "advise", "split"))
    share = float(labelled.truth[split.train].mean())
    tried = candidates(component_names("generator"), None, share)
    found = select_strategies(StrategyTrials(labelled, number), split.train, tried, job["model"])
    train = [len(split.train), int(labelled.truth[split.train].sum())]
    return {**job, "train": train, "chosen": found.chosen, "is_chance": found.is_chance}


def noise_table(number: int) -> pa.Table:
    """Return three normal and three lognormal columns, a category, and a label by lot."""
    rng = rng_for(number, "noise")
    n, share = NOISE_SHAPES[number % len(NOISE_SHAPES)]
    normal = {f"x{i}": rng.normal(size=n) for i in range(3)}
    skewed = {f"y{i}": rng.lognormal(size=n) for i in range(3)}
    kind = rng.choice(list("abcdef"), n)
    label = (rng.random(n) < share).astype(int)
    return pa.table({**normal, **skewed, "kind": kind, "fraud": label})


def cell_blocks(rows: Sequence[Row]) -> dict[str, str]:
    """Return the blocks of CELLS.md."""
    cells, found = cells_of(rows), group_figures(rows)
    sums = [
        [name, *(_with_interval(found[group][name]) for group in found), entry["goal"]]
        for name, entry in found["all"].items()
    ]
    lines = []
    for one in cells:
        first = one.splits[0]
        gains = {name: one.differences[name][0] for name in one.names if name != "none"}
        best = max(gains, key=gains.__getitem__)
        lines.append([
            one.set, one.model, f"{first['train'][1]}, {first['test'][1]}",
            f"{one.precision('none'):.3f}", _starred(*one.advised), ", ".join(one.chosen),
            f"{_starred(*one.differences[best])} {best}",
            *(_starred(*one.differences[name]) for name in ("smote 1", "oracle")),
        ])  # fmt: skip
    head = ["set", "model", "rare rows: train, test", "none", "advise", "took", "best", "SMOTE 1:1",
            "oracle"]  # fmt: skip
    return {"figures": table(["figure", *found, "goal"], sums), "cells": table(head, lines)}


def group_figures(rows: Sequence[Row]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the figures over all cells and over groups of them."""
    cells = cells_of(rows)
    groups = {
        "all": cells,
        "balancing alone": cells_of(rows, LEARNERS),
        "later splits": cells_of(rows, first_split=1),
        **{model: [one for one in cells if one.model == model] for model in MODELS},
    }
    return {name: figures(own) for name, own in groups.items() if own}


def cell_sums(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the content of cells.json."""
    found = group_figures(rows)
    cells = [
        {
            "set": one.set,
            "model": one.model,
            "splits": len(one.splits),
            "train_positives": one.splits[0]["train"][1],
            "test_positives": one.splits[0]["test"][1],
            "base_rate": one.splits[0]["train"][1] / one.splits[0]["train"][0],
            "none": one.precision("none"),
            "advise": one.advised,
            "chosen": one.chosen,
            "differences": one.differences,
            "helping": one.helping,
        }
        for one in cells_of(rows)
    ]
    others = {name: own for name, own in found.items() if name != "all"}
    return {"figures": found["all"], "other_figures": others, "cells": cells}


def noise_blocks(rows: Sequence[Row]) -> dict[str, str]:
    """Return the sentence of CELLS.md about tables of noise."""
    parts = []
    for model, own in sorted(grouped(rows, "model").items()):
        parts.append(f"{model}: {sum(row['chosen'] != 'none' for row in own)} of {len(own)}")
    rare = [row["train"][1] for row in rows]
    text = (
        f"Tables of noise, {min(rare)} to {max(rare)} rare training rows, on which anything but none is "
        f"taken (`python -m benchmarks.minority.cells noise`): {'; '.join(parts)}."
    )
    return {"noise": text}


def _with_interval(entry: Mapping[str, Any]) -> str:
    low, high = entry["interval"]
    return f"{entry['value']:.3g} ({low:.3g} to {high:.3g})"


def _starred(mean: float, error: float) -> str:
    return f"{mean:+.3f}" + ("\\*" if is_beyond(mean, error) else "")


def _cell_jobs(options: Settings) -> list[Row]:
    return [
        {"set": name, "model": model, "split": split}
        for split in options.splits
        for name in options.sets
        for model in options.models
    ]


CELLS = Benchmark(
    about=__doc__,
    results=HERE / "cells.jsonl",
    page=HERE / "CELLS.md",
    key=("set", "model", "split"),
    jobs=_cell_jobs,
    measure=measure_cell,
    blocks=cell_blocks,
    sums={"cells.json": cell_sums},
    settings={"splits": [0, 1, 2], "sets": list(SETS), "models": list(MODELS)},
)
NOISE = Benchmark(
    about=__doc__,
    results=HERE / "noise.jsonl",
    page=HERE / "CELLS.md",
    key=("table", "model"),
    jobs=lambda options: [
        {"table": number, "model": options.model} for number in range(options.tables)
    ],
    measure=measure_noise,
    blocks=noise_blocks,
    settings={"tables": 60, "model": "linear"},
)

if __name__ == "__main__":
    if sys.argv[1:2] == ["noise"]:
        NOISE.run(sys.argv[2:])
    else:
        CELLS.run()

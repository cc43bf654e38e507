"""Does `advise` choose well? Every strategy on every cell (set x model), beside real extra rows.

A split holds test rows apart, and as many rare rows again as the train set has (the oracle). The selection
of `advise` sees the train set alone; each candidate is then fitted on it and tested.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from sklearn.metrics import average_precision_score

from benchmarks.markdown import table
from benchmarks.minority.cell_figures import LEARNERS, cells_of, figures, is_beyond
from benchmarks.minority.real_sets import SOURCES, handbook_with_history, ulb
from benchmarks.runner import Row, grouped, load_yaml
from twinset.core.seeding import draw_seed, rng_for
from twinset.registry import component_names
from twinset.workflows.advise import labelled_table, select_strategy, strategies
from twinset.workflows.advise.ranking_metrics import BootstrapDraws, WeightedRanking, log_loss
from twinset.workflows.advise.strategies import Strategy, candidates, fit, fit_encoder
from twinset.workflows.options import AdviseOptions

ALERT_RATE = 0.01  # share of rows that can be looked at; recall is reported there
GENERATORS = tuple(names[0] for _, names in strategies.GENERATORS)
N_DRAWS = 200  # of test rows, for the standard error of a difference
FULL = (Strategy("smote 1", "rows", ratio=1.0, component="minority.smote"),)
MOST_TRAIN, MOST_TEST = 8_000, 30_000  # rows: thinned so that a cell costs minutes
# Rows and share of rare ones of the tables of noise, in turn.
NOISE_SHAPES = ((1_500, 0.06), (3_000, 0.03), (6_000, 0.02), (2_500, 0.1))


@dataclass(frozen=True)
class CellSet:
    """One table, with the numbers of rare rows for training and for testing."""

    load: Callable[[], pd.DataFrame]
    target: str  # column
    positive: str  # rare label
    # Rare train rows; up to as many more are held aside, to see what real rows would bring.
    n_train: int
    n_test: int  # rare rows in the test part
    time: str | None = None  # column of the time: the latest rows are tested on


def _cell_set(name: str, n_train: int, n_test: int, time: str | None = None) -> CellSet:
    """Return one of `SOURCES`, named before a comma, or a set that has a function of its own."""
    first = name.split(",")[0]
    if first == "ulb":
        load = partial(ulb, with_time=time is not None)
        return CellSet(load, "Class", "1", n_train, n_test, time)
    if first == "handbook":
        return CellSet(handbook_with_history, "fraud", "1", n_train, n_test, time)
    source = SOURCES[{"ozone": "ozone_level_8hr", "wine": "wine_quality"}.get(first, first)]
    return CellSet(source.read, source.target, source.rare, n_train, n_test)


SETS = {name: _cell_set(name, *how) for name, how in load_yaml(__file__, "cells.yaml").items()}


@dataclass(frozen=True)
class CellParts:
    """Positions of the rows for training, for testing, and held aside (rare ones only)."""

    train: npt.NDArray[np.int64]
    test: npt.NDArray[np.int64]
    aside: npt.NDArray[np.int64]


def parts_of(
    one: CellSet, labelled: labelled_table.LabelledTable, rng: np.random.Generator
) -> CellParts:
    """Return the parts of one split; train and test have the same share of rare rows.

    With a time, the first 60 % of the rare rows are for training, and the common rows go with the times.
    """
    timed = labelled.time is not None
    if labelled.time is None:
        early_rare = late_rare = rng.permutation(np.flatnonzero(labelled.truth))
        early = late = rng.permutation(np.flatnonzero(~labelled.truth))
    else:
        before = labelled.time <= np.quantile(labelled.time[labelled.truth], 0.6)
        early_rare, late_rare, early, late = (
            rng.permutation(np.flatnonzero((labelled.truth == rare) & (before == side)))
            for rare in (True, False)
            for side in (True, False)
        )
    test_rare = late_rare[: one.n_test]
    left = rng.permutation(np.setdiff1d(early_rare, test_rare, assume_unique=True))
    train_rare, aside = left[: one.n_train], left[one.n_train : 2 * one.n_train]
    room = len(early) / (len(train_rare) + len(test_rare) * (not timed))
    times = min(MOST_TRAIN / len(train_rare), MOST_TEST / len(test_rare), room)
    if timed:
        times = min(times, len(late) / len(test_rare))
    n_train, n_test = int(times * len(train_rare)), int(times * len(test_rare))
    test = (late if timed else late[n_train:])[:n_test]
    parts = ([train_rare, early[:n_train]], [test_rare, test], [aside])
    return CellParts(*(np.sort(np.concatenate(part)) for part in parts))


@cache
def _labelled_table(name: str) -> labelled_table.LabelledTable:
    one = SETS[name]
    return labelled_table.read_labelled_table(
        one.load(), AdviseOptions(target=one.target, positive=one.positive, time=one.time)
    )


def measure(job: Row) -> Row:
    """Return the choice of `advise` in one split of one cell, and test figures of every strategy."""
    name, model, split = job["set"], job["model"], job["split"]
    labelled = _labelled_table(name)
    parts = parts_of(SETS[name], labelled, rng_for(split, "cells", name))
    bench = select_strategy.StrategyTrials(labelled, seed=100 + split)
    tried = candidates(GENERATORS, None, float(labelled.truth[parts.train].mean()))
    gap = 0.0
    if labelled.time is not None:
        span = float(np.ptp(labelled.time[parts.train]))
        gap = min(
            labelled_table.GAP_SHARE * span, labelled_table.GAP_DAYS if labelled.in_days else np.inf
        )
    started = time.process_time()
    found = select_strategy.select_strategies(bench, parts.train, tried, model, gap)
    seconds = time.process_time() - started
    (tested,) = bench.try_all(
        [("final", labelled_table.TrainTestSplit(parts.train, parts.test))], [*tried, *FULL], model
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
    """Return average precision, difference to none, its bootstrapped error, recall at the alert rate."""
    rng = rng_for(split, "cells", "draws")
    weights = list(BootstrapDraws.from_rows(truth, N_DRAWS, rng).weights())
    draws, found = {}, {}
    base = average_precision_score(truth, scores["none"])
    for name, own in scores.items():
        ranking, precision = WeightedRanking(own, truth), average_precision_score(truth, own)
        draws[name] = np.array([ranking.measures(w, ALERT_RATE)[0] for w in weights])
        recall = ranking.measures(np.ones(len(truth)), ALERT_RATE)[1]
        found[name] = [precision, precision - base, 0.0, recall]
    for name, own in draws.items():
        found[name][2] = float((own - draws["none"]).std(ddof=1))
    return found


def _oracle(
    bench: select_strategy.StrategyTrials, parts: CellParts, model: str
) -> npt.NDArray[np.float64]:
    """Return the test scores of a model that is given the rare rows held aside as well."""
    rows = np.concatenate([parts.train, parts.aside])
    view = fit_encoder(model, bench.raw.take(parts.train))
    seed = draw_seed(rng_for(bench.seed, "advise", "final", "model"))
    x = view.transform(bench.raw.take(rows))
    predict = fit(model, x, bench.labelled.truth[rows], None, seed)
    return predict(view.transform(bench.raw.take(parts.test)))


def _loss_ratios(
    found: select_strategy.ModelSelection,
    tested: Mapping[str, select_strategy.FoldResult],
    labelled: labelled_table.LabelledTable,
    parts: CellParts,
) -> dict[str, float]:
    """Return the log-loss of each strategy of the last round, restored, over that of none as it is."""
    truth, restored = labelled.truth[parts.test], {}
    for name in found.shortlist:
        restored[name] = select_strategy.calibrate_strategy(found, name, labelled).apply(
            tested[name].scores
        )
    base = log_loss(tested["none"].scores, truth)
    return {name: log_loss(scores, truth) / base for name, scores in restored.items()}


def measure_noise(job: Row) -> Row:
    """Return what `advise` chooses in a table whose label is drawn by lot."""
    number = job["table"]
    labelled = labelled_table.read_labelled_table(
        noise_table(number), AdviseOptions(target="fraud", positive="1")
    )
    split = labelled_table.split_test_set(labelled, 0.3, None, rng_for(number, "advise", "split"))
    share = float(labelled.truth[split.train].mean())
    tried = candidates(component_names("generator"), None, share)
    found = select_strategy.select_strategies(
        select_strategy.StrategyTrials(labelled, number), split.train, tried, job["model"]
    )
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


def blocks(rows: Sequence[Row]) -> dict[str, str]:
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
            f"{one.precision('none'):.3f}", _starred(*one.differences["advise"]), ", ".join(one.chosen),
            f"{_starred(*one.differences[best])} {best}",
            *(_starred(*one.differences[name]) for name in ("smote 1", "oracle")),
        ])  # fmt: skip
    head = ["set", "model", "rare rows: train, test", "none", "advise", "took", "best", "SMOTE 1:1",
            "oracle"]  # fmt: skip
    return {"figures": table(["figure", *found, "goal"], sums), "cells": table(head, lines)}


def group_figures(rows: Sequence[Row]) -> dict[str, dict[str, dict[str, Any]]]:
    cells = cells_of(rows)
    groups = {
        "all": cells,
        "balancing alone": cells_of(rows, LEARNERS),
        "later splits": cells_of(rows, first_split=1),
        **{m: [one for one in cells if one.model == m] for m in ("boosted", "linear")},
    }
    return {name: figures(own) for name, own in groups.items() if own}


def blocks_noise(rows: Sequence[Row]) -> dict[str, str]:
    parts = [
        f"{model}: {sum(row['chosen'] != 'none' for row in own)} of {len(own)}"
        for model, own in sorted(grouped(rows, "model").items())
    ]
    rare = [row["train"][1] for row in rows]
    text = (
        f"Tables of noise, {min(rare)} to {max(rare)} rare training rows, on which anything but none is "
        f"taken (`python -m benchmarks minority.cells.noise`): {'; '.join(parts)}."
    )
    return {"noise": text}


def _with_interval(entry: Mapping[str, Any]) -> str:
    low, high = entry["interval"]
    return f"{entry['value']:.3g} ({low:.3g} to {high:.3g})"


def _starred(mean: float, error: float) -> str:
    return f"{mean:+.3f}" + ("\\*" if is_beyond(mean, error) else "")

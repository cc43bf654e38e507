"""The race on folds that hold too little, refuse a generator, or are the same in every repeat."""

from __future__ import annotations

import threading
import time

import numpy as np
import pyarrow as pa
import pytest
from threadpoolctl import threadpool_limits

import twinset as tw
from twinset.core.data.dataset import Dataset
from twinset.core.errors import FitError
from twinset.core.seeding import rng_for
from twinset.report.advice import advice_sentence
from twinset.workflows.advise import advise as face
from twinset.workflows.advise.labelled_table import Rows, TrainTestSplit, read_labelled_table
from twinset.workflows.advise.select_strategy import (
    FoldResult,
    StrategyTrials,
    random_ranking,
    select_strategies,
)
from twinset.workflows.advise.strategies import NONE, Strategy
from twinset.workflows.options import AdviseOptions

QUICK = {"models": ("linear",), "ratios": (0.3,)}
COPULA = Strategy("copula 0.3", "rows", ratio=0.3, component="minority.copula")


def shops(n_with_frauds: int) -> pa.Table:
    """30 shops of 100 payments, of which the first so many have 50 frauds each."""
    shop = np.arange(3_000) // 100
    fraud = (shop < n_with_frauds) & (np.arange(3_000) % 2 == 0)
    x = rng_for(1, "shops").normal(1.0 * fraud, 1.0)
    return pa.table({"x": x, "shop": [f"s{s:02d}" for s in shop], "fraud": fraud})


def test_positives_of_too_few_groups_are_reported_and_nothing_is_ranked() -> None:
    found = tw.advise(shops(2), target="fraud", group="shop", **QUICK)
    assert (found.verdict, found.chosen, found.candidates) == ("too few to tell", "none", ())
    assert "belong to 1 group," in found.sentence
    assert "belong to 1 group," in found.to_html()


def test_few_groups_are_reported_with_how_many_there_are_and_how_many_it_takes() -> None:
    found = tw.advise(shops(12), target="fraud", group="shop", **QUICK)
    assert (found.verdict, found.chosen, found.candidates) == ("too few to tell", "none", ())
    assert "to test on belong to 4 groups, those to learn from to 8 groups" in found.sentence
    assert "nothing is ranked below 8 groups on either side" in found.sentence
    assert "about 24 groups with positive rows in the file" in found.sentence


def test_two_folds_that_hold_both_classes_are_enough() -> None:
    """Positives of one time make one of three stretches empty."""
    rng = rng_for(2, "stretches")
    day = np.sort(rng.uniform(0, 1_000, 3_000))
    fraud = rng.random(3_000) < 0.08
    train = np.flatnonzero(fraud & (day < 650))
    day[train[int(0.35 * len(train)) : int(0.7 * len(train))]] = day[train[len(train) // 2]]
    table = pa.table({"x": rng.normal(1.0 * fraud), "day": day, "fraud": fraud})
    found = tw.advise(table, target="fraud", positive="true", time="day", delay=0, **QUICK)
    assert found.candidates
    assert all(np.isfinite(measure.interval).all() for measure in found.measures)


def test_positives_of_one_time_are_reported() -> None:
    rng = rng_for(2, "times")
    fraud = rng.random(2_000) < 0.08
    day = np.where(
        fraud, np.where(np.arange(2_000) < 1_400, 700.5, 1_900.5), np.arange(2_000) + 0.5
    )
    table = pa.table({"x": rng.normal(1.0 * fraud), "day": day, "fraud": fraud})
    found = tw.advise(table, target="fraud", time="day", delay=0, **QUICK)
    assert found.verdict == "too few to tell"
    assert "too few times" in found.sentence


@pytest.mark.parametrize("refused", ["repeat-1/fold-0", "final"])
def test_a_generator_that_refuses_late_is_not_chosen(
    monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    synthetic_rows = StrategyTrials.synthetic_rows

    def picky(self: StrategyTrials, component: str, train: Rows, n: int, path: str) -> Dataset:
        if path == refused:
            raise FitError("these rows are too few")
        return synthetic_rows(self, component, train, n, path)

    monkeypatch.setattr(StrategyTrials, "synthetic_rows", picky)
    monkeypatch.setattr(face, "candidates", lambda *_: (NONE, COPULA))
    found = tw.advise(shops(30), target="fraud", positive="true", **QUICK)
    assert (found.chosen, found.tested, found.recipe) == ("none", "none", "")
    notes = " ".join(found.notes)
    assert "minority.copula could not be tried: these rows are too few" in notes
    assert ("could not be made of all training rows" in notes) == (refused == "final")


def test_by_time_no_fold_counts_twice(table: pa.Table) -> None:
    labelled = read_labelled_table(table, AdviseOptions(target="fraud", time="day"))
    tried = (NONE, Strategy("sqrt weights", "weights", power=0.5))
    found = select_strategies(StrategyTrials(labelled, 1), np.arange(3_000), tried, "linear", 1.0)
    assert [path for path, _ in found.folds] == [f"repeat-0/fold-{k}" for k in range(3)]
    assert len(found.results) == 3
    by_chance = read_labelled_table(table, AdviseOptions(target="fraud"))
    assert (
        len(
            select_strategies(StrategyTrials(by_chance, 1), np.arange(3_000), tried, "linear").folds
        )
        == 12
    )


def test_the_reason_of_a_refusal_is_that_of_the_first_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    is_later = threading.Event()

    def picky(self: StrategyTrials, component: str, train: Rows, n: int, path: str) -> Dataset:
        if path == "fold-0":
            assert is_later.wait(20)
            # What the other worker says must stand before the first fold goes on.
            time.sleep(0.2)
        else:
            is_later.set()
        raise FitError(f"refused on {path}")

    bench = StrategyTrials(
        read_labelled_table(shops(30), AdviseOptions(target="fraud", positive="true")), 1, workers=2
    )
    monkeypatch.setattr(StrategyTrials, "synthetic_rows", picky)
    bench.try_all(two_folds(), (NONE, COPULA), "linear")
    assert "fold-0" in bench.refused["minority.copula"]


def test_each_worker_has_one_thread_for_its_own_numerics(monkeypatch: pytest.MonkeyPatch) -> None:
    openmp = pytest.importorskip("sklearn.utils._openmp_helpers")
    seen: list[int] = []

    def look(self: StrategyTrials, *_: object) -> dict[str, FoldResult]:
        seen.append(openmp._openmp_effective_n_threads())
        return {}

    monkeypatch.setattr(StrategyTrials, "_try", look)
    bench = StrategyTrials(
        read_labelled_table(shops(30), AdviseOptions(target="fraud", positive="true")), 1, workers=2
    )
    with threadpool_limits(limits=4, user_api="openmp"):
        bench.try_all(two_folds(), (NONE,), "linear")
    assert seen == [1, 1]


def two_folds() -> list[tuple[str, TrainTestSplit]]:
    even, odd = np.arange(0, 3_000, 3), np.arange(1, 3_000, 3)
    return [("fold-0", TrainTestSplit(even, odd)), ("fold-1", TrainTestSplit(odd, even))]


def test_where_nothing_ranks_better_than_chance_nothing_is_taken() -> None:
    rng = rng_for(7, "noise")
    n = 1_500
    noise = {f"x{i}": rng.normal(size=n) for i in range(5)}
    table = pa.table({**noise, "fraud": rng.random(n) < 0.08})
    labelled = read_labelled_table(table, AdviseOptions(target="fraud", positive="true"))
    ways = (NONE, Strategy("balanced weights", "weights", power=1.0), COPULA)
    found = [
        select_strategies(StrategyTrials(labelled, seed), np.arange(1_000), ways, "linear")
        for seed in range(4)
    ]
    assert all(one.is_chance and one.chosen == "none" for one in found)
    sentence = advice_sentence(
        "no evidence", "", is_chance=True, is_chosen=False, is_balancing=True
    )
    assert "no better than chance" in sentence


def test_a_random_order_reaches_what_chance_does() -> None:
    """Two positives among four rows, all six orders: (1 + 5/6 + 3/4 + 7/12 + 1/2 + 5/12) / 6, and half."""
    labelled = read_labelled_table(
        pa.table({"x": [0.5, 1.5, 2.5, 3.5], "fraud": [1, 1, 0, 0]}),
        AdviseOptions(target="fraud", positive="1"),
    )
    drawn = [random_ranking(labelled, np.arange(4), rng_for(i)) for i in range(40)]
    precision, area = np.mean(drawn, axis=(0, 2))
    assert precision == pytest.approx(49 / 72, abs=0.01)
    assert area == pytest.approx(0.5, abs=0.02)


def test_a_ratio_that_thinned_rows_have_anyway_is_tried_in_the_last_round() -> None:
    """Folds hold 100 rare rows of 20,000; of the 10,000 that are left of them, 1 in 100 is rare."""
    rng = rng_for(6, "long")
    fraud = np.arange(30_000) % 200 == 0
    table = pa.table({"x": rng.normal(1.5 * fraud), "z": rng.normal(size=30_000), "fraud": fraud})
    labelled = read_labelled_table(table, AdviseOptions(target="fraud", positive="true"))
    ways = [Strategy(f"repeat {ratio:g}", "repeat", ratio=ratio) for ratio in (0.01, 0.1)]
    found = select_strategies(
        StrategyTrials(labelled, 1), np.arange(30_000), [NONE, *ways], "linear"
    )
    assert found.shortlist == ("none", "repeat 0.1", "repeat 0.01")
    assert found.differences["repeat 0.01"].error > 0

"""Scores, strategies, views, calibration and the rule of choice, on answers worked out by hand."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinset.core.seeding import rng_for
from twinset.workflows.advise.labelled_table import TrainTestSplit, read_labelled_table
from twinset.workflows.advise.ranking_metrics import (
    BootstrapDraws,
    HeldOut,
    Prices,
    WeightedRanking,
    calibrate,
    precision_at_positives,
    reliability,
    set_back,
    small_sample_factors,
)
from twinset.workflows.advise.select_strategy import (
    Difference,
    FoldResult,
    ModelSelection,
    choose,
    compare,
    pick_model,
)
from twinset.workflows.advise.strategies import (
    NONE,
    BinnedEncoder,
    RawRows,
    ScaledEncoder,
    Strategy,
    candidates,
    extra_rows,
    training_rows,
)
from twinset.workflows.options import AdviseOptions

SKLEARN = pytest.importorskip("sklearn.metrics")


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([3, 10, 1000]))
def test_average_precision_is_that_of_scikit_learn_with_ties_too(seed: int, levels: int) -> None:
    rng = rng_for(seed, "scores")
    score, truth = rng.integers(0, levels, 60) / levels, rng.random(60) < 0.2
    truth[0] = True
    expected = SKLEARN.average_precision_score(truth, score)
    assert precision_at_positives(score, truth).mean() == pytest.approx(expected)
    drawn = rng.integers(0, 3, 60).astype(float)
    drawn[truth] += 1
    expected = SKLEARN.average_precision_score(truth, score, sample_weight=drawn)
    assert WeightedRanking(score, truth).measures(drawn, 0.1)[0] == pytest.approx(expected)


def test_recall_and_precision_at_the_alert_rate() -> None:
    score = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    truth = np.array([True, False, True, False, True])
    # Two alerts of five rows find one of the three positives.
    _, recall, precision = WeightedRanking(score, truth).measures(np.ones(5), 0.4)
    assert recall == pytest.approx(1 / 3)
    assert precision == pytest.approx(1 / 2)
    assert precision_at_positives(score, truth).round(3).tolist() == [1.0, 0.667, 0.6]


def test_a_row_is_worth_an_alert_when_its_expected_loss_is_greater_than_the_price() -> None:
    prices = Prices(2.0, np.array([10.0, 100.0, 10.0]))
    probability = np.array([0.3, 0.01, 0.1])
    assert prices.alerts(probability).tolist() == [True, False, False]
    costs = prices.row_costs(probability, np.array([False, True, False]))
    assert costs.tolist() == [2.0, 100.0, 0.0]


def test_ratios_that_the_table_has_anyway_are_passed_over() -> None:
    names = [s.name for s in candidates(["minority.smote"], None, 0.02)]
    assert names == [
        "none", "finer model", "smoother model", "sqrt weights", "balanced weights",
        "repeat 0.03", "repeat 0.1", "smote 0.03", "smote 0.1", "thin",
    ]  # fmt: skip
    assert max(s.ratio for s in candidates(["minority.smote"], None, 0.001)) == 0.1


def test_every_strategy_makes_the_rows_it_says() -> None:
    x = np.arange(100.0)[:, None]
    truth = np.arange(100) < 4
    synthetic = np.full((50, 1), -1.0)

    def rows(strategy: Strategy) -> object:
        return training_rows(
            strategy, x, truth, synthetic=synthetic, hardness=np.arange(100.0), rng=rng_for(1, "r")
        )

    assert rows(NONE).x is x
    balanced = rows(Strategy("balanced weights", "weights", power=1.0))
    assert balanced.weight[truth].sum() == pytest.approx(balanced.weight[~truth].sum())
    assert balanced.odds_factor == 24.0
    repeated = rows(Strategy("repeat 0.25", "repeat", ratio=0.25))
    assert repeated.truth.sum() == 24
    assert set(repeated.x[100:, 0]) <= {0.0, 1.0, 2.0, 3.0}
    added = rows(Strategy("smote 0.25", "rows", ratio=0.25, component="minority.smote"))
    assert (added.x[100:] == -1).all()
    assert added.odds_factor == 6.0
    thinned = rows(Strategy("thin", "thin"))
    # 96 common rows: the 9 hardest, and 17 of the other 87, which stand for all 87.
    assert len(thinned.x) == 4 + 9 + 17
    assert set(range(91, 100)) <= set(thinned.x[:, 0])
    assert thinned.weight[~thinned.truth].sum() == pytest.approx(96)
    assert extra_rows(Strategy("repeat 0.03", "repeat", ratio=0.03), truth) == 0


def test_bins_are_those_of_the_train_rows_and_missing_stays_missing() -> None:
    train = RawRows(
        np.array([[1.0], [2.0], [2.0], [np.nan]]), np.array([[1], [1], [0], [-1]], np.int32)
    )
    view = BinnedEncoder(train)
    test = RawRows(np.array([[0.0], [9.0], [np.nan]]), np.array([[1], [0], [7]], np.int32))
    out = view.transform(test)
    assert out[:2, 0].tolist() == [0.0, 1.0]
    assert np.isnan(out[2, 0])
    # Level 1 is the commonest, level 7 was never seen.
    assert out[:, 1].tolist() == [0.0, 1.0, 2.0]


def test_the_scaled_view_is_free_of_missing_values() -> None:
    train = RawRows(np.array([[1.0], [3.0], [np.nan]]), np.array([[0], [1], [-1]], np.int32))
    out = ScaledEncoder(train).transform(train)
    assert out[:, 0].tolist() == [-1.0, 1.0, 0.0]
    assert out[:, 1].tolist() == [0.0, 0.0, 1.0]
    assert out[2, 2:].tolist() == [0.0, 0.0, 0.0]


def test_setting_odds_back_undoes_weights() -> None:
    assert set_back(np.array([0.75]), 3.0)[0] == pytest.approx(0.5)


def test_restoring_brings_a_raised_model_back_to_the_truth() -> None:
    rng = rng_for(3, "restore")
    true_p = rng.beta(0.3, 8, 30_000)
    truth = rng.random(30_000) < true_p
    raised = true_p * 20 / (1 - true_p + 20 * true_p)
    # The odds are known to be raised tenfold; in truth the model went twentyfold.
    folds = [HeldOut(raised[k::3], true_p[k::3], truth[k::3], 10.0) for k in range(3)]
    honest = calibrate(folds).apply(raised)
    assert honest.sum() / truth.sum() == pytest.approx(1.0, abs=0.06)
    assert raised.sum() / truth.sum() > 3
    assert (np.argsort(honest, kind="stable") == np.argsort(raised, kind="stable")).mean() > 0.9


def test_reliability_bins_hold_all_rows_and_equally_many_positives() -> None:
    probability = np.linspace(0.9, 0.0, 1_000)
    truth = np.arange(1_000) < 40
    bins = reliability(probability, truth, 8)
    assert sum(b["rows"] for b in bins) == 1_000
    assert [b["positive"] for b in bins] == [5] * 8


def _fold(**precision: list[float]) -> dict[str, FoldResult]:
    return {
        name: FoldResult(np.empty(0), np.array(values), 1.0, 10)
        for name, values in precision.items()
    }


def test_the_standard_error_is_that_of_nadeau_and_bengio() -> None:
    folds = [
        ("a", TrainTestSplit(np.arange(20), np.arange(10))),
        ("b", TrainTestSplit(np.arange(20), np.arange(10))),
    ]
    results = [_fold(none=[0.5, 0.5], x=[0.6, 0.8]), _fold(none=[0.5, 0.5], x=[0.5, 0.5])]
    found = compare(results, [NONE, Strategy("x", "weights")], folds)["x"]
    # Changes 0.1, 0.3, 0, 0: mean 0.1, variance 0.02; of a fold of two 0.01; times 1/2 + 10/20.
    assert found.mean == pytest.approx(0.1)
    assert found.error == pytest.approx(0.1)


def test_positives_of_one_group_count_as_one() -> None:
    folds = [
        ("a", TrainTestSplit(np.arange(20), np.arange(2))),
        ("b", TrainTestSplit(np.arange(20), np.arange(2, 4))),
    ]
    results = [_fold(none=[0.5, 0.5], x=[0.7, 0.7]), _fold(none=[0.5, 0.5], x=[0.5, 0.5])]
    table = pa.table({"x": [0.5] * 5, "card": list("aabbc"), "fraud": [1, 1, 1, 1, 0]})
    labelled = read_labelled_table(table, AdviseOptions(target="fraud", group="card", positive="1"))
    found = compare(results, [NONE, Strategy("x", "weights")], folds, labelled)["x"]
    # Mean 0.1; each of two cards is 0.2 off in sum: (0.04 + 0.04) * 2 / 1 / 4^2 = 0.01 for the mean of
    # two folds; times 1 + 2 * 2/20.
    assert found.error == pytest.approx(np.sqrt(0.01 * 1.2))
    alone = read_labelled_table(table, AdviseOptions(target="fraud", positive="1"))
    (_, other) = compare(results, [NONE, Strategy("x", "weights")], folds, alone).values()
    assert other.error < 0.7 * found.error


def test_test_rows_are_drawn_by_whole_groups_and_never_all_at_once() -> None:
    truth = np.array([True, False, True, False, False, False])
    group = np.array([7, 7, 3, 3, 9, 4])
    drawn = BootstrapDraws.from_rows(truth, 50, rng_for(1, "draws"), group)
    weights = np.array(list(drawn.weights()))
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 2] == weights[:, 3]).all()
    # Groups with positives, and those without, each keep their number.
    assert (weights[:, 0] + weights[:, 2] == 2).all()
    assert (weights[:, 4] + weights[:, 5] == 2).all()
    assert len(np.unique(weights, axis=0)) > 4
    assert np.array_equal(weights[:20], np.array(list(drawn.weights(20))))


def test_draws_of_a_long_table_need_little_memory() -> None:
    tracemalloc.start()
    try:
        drawn = BootstrapDraws.from_rows(np.arange(50_000) < 50, 300, rng_for(1, "draws"))
        assert sum(weight.sum() for weight in drawn.weights(5)) == 5 * 50_000
        # One draw is 0.4 MB; all of them at two bytes would be 30.
        assert tracemalloc.get_traced_memory()[1] < 8e6
    finally:
        tracemalloc.stop()


def test_none_is_kept_unless_another_is_ahead_by_more_than_an_error() -> None:
    tried = [NONE, Strategy("a", "weights"), Strategy("b", "thin")]
    none = Difference(0.0, 0.0, 0.0, 0.5)
    close = {
        "none": none,
        "a": Difference(0.01, 0.02, 0.01, 0.5),
        "b": Difference(0.0, 0.1, 0.0, 0.5),
    }
    assert choose(tried, close) == ("none", "a")
    clear = {**close, "b": Difference(0.03, 0.02, 0.03, 0.5)}
    assert choose(tried, clear) == ("b", "b")
    assert choose([NONE], {"none": none}) == ("none", "none")


def test_intervals_small_sample_factors_groups_are_widened_by_hand() -> None:
    assert small_sample_factors(2) == pytest.approx((2.0, 12.706), abs=1e-3)
    assert small_sample_factors(8) == pytest.approx((8 / 7, 2.3646), abs=1e-4)
    assert small_sample_factors(100_000)[1] == pytest.approx(1.96, abs=1e-3)


def test_a_difference_and_its_error_by_hand() -> None:
    folds = [(f"repeat-0/fold-{k}", TrainTestSplit(np.arange(20), np.arange(10))) for k in range(2)]
    results = [_fold(none=[0.2, 0.5], a=[0.3, 0.5]), _fold(none=[0.6, 0.1], a=[0.6, 0.3])]
    found = compare(results, [NONE, Strategy("a", "thin")], folds)["a"]
    assert found.mean == pytest.approx(0.075)
    # Nadeau and Bengio's factor is 1 + 2 x 10 / 20.
    error = np.array([0.1, 0.0, 0.0, 0.2]).std(ddof=1) / 2 * np.sqrt(2)
    assert found.error == pytest.approx(error)


def _selection(model_name: str, *folds: list[float]) -> ModelSelection:
    splits = [
        (f"repeat-1/fold-{k}", TrainTestSplit(np.arange(20), np.arange(10)))
        for k in range(len(folds))
    ]
    results = [_fold(none=values) for values in folds]
    return ModelSelection(
        model_name, {"none": NONE}, {}, ("none",), "none", "none", splits, results
    )


def test_the_first_model_is_kept_unless_another_is_clearly_ahead() -> None:
    first = _selection("boosted", [0.5, 0.4], [0.5, 0.6])
    assert pick_model([first, _selection("linear", [0.6, 0.4], [0.5, 0.6])]) is first
    clear = _selection("linear", [0.8, 0.7], [0.8, 0.9])
    assert pick_model([first, clear]) is clear

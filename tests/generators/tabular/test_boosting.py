"""Boosted symmetric trees: odds learnt, offsets respected, nothing grown where nothing is to learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from twinset.generators.tabular._trees.refinement import (
    SymmetricTrees,
    average_models,
    bin_edges,
    bin_values,
    fit_boosted_trees,
)


def _sigmoid(odds: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-odds))


def test_a_row_goes_to_the_leaf_that_its_answers_spell() -> None:
    feature = np.array([[0, 1, 0, 0, 0, 0]], dtype=np.int16)
    threshold = np.array([[3, 7, 9, 9, 9, 9]], dtype=np.uint8)
    value = np.arange(64.0)[None, :]
    trees = SymmetricTrees(feature, threshold, value, base=100.0, gain=0.0)
    bins = np.array([[3, 7], [4, 7], [3, 8], [4, 8], [10, 8]], dtype=np.uint8)

    # Answers yes count 32, 16, 8, 4, 2, 1: the first column is asked in all levels but the second.
    assert trees.log_odds(bins).tolist() == [100, 132, 116, 148, 163]


def test_odds_of_two_cells_are_learnt() -> None:
    rng = np.random.default_rng(0)
    bins = rng.integers(0, 2, (20_000, 1)).astype(np.uint8)
    hits = rng.random(20_000) < np.where(bins[:, 0] == 1, 0.8, 0.1)

    told = _sigmoid(
        fit_boosted_trees(bins, hits, rng).log_odds(np.array([[0], [1]], dtype=np.uint8))
    )

    assert told == pytest.approx([0.1, 0.8], abs=0.02)


def test_a_library_ranks_no_better() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(8_000, 5)).astype(np.float32)
    odds = 1.5 * x[:, 0] * (x[:, 1] > 0) + np.abs(x[:, 2]) - 1
    hits = rng.random(8_000) < _sigmoid(odds)
    train, test = slice(0, 5_000), slice(5_000, None)
    bins = bin_values(x, bin_edges(x[train]))

    ours = fit_boosted_trees(bins[train], hits[train], rng).log_odds(bins[test])
    library = HistGradientBoostingClassifier(random_state=0).fit(x[train], hits[train])

    theirs = library.predict_proba(x[test])[:, 1]
    assert roc_auc_score(hits[test], ours) >= roc_auc_score(hits[test], theirs) - 0.005


def test_nothing_is_grown_where_the_start_is_right() -> None:
    rng = np.random.default_rng(2)
    bins = rng.integers(0, 50, (5_000, 4)).astype(np.uint8)
    odds = np.where(bins[:, 0] > 25, 1.0, -2.0)
    hits = rng.random(5_000) < _sigmoid(odds)

    grown = [
        len(fit_boosted_trees(bins, hits, np.random.default_rng(s), odds).value) for s in range(10)
    ]
    from_nothing = fit_boosted_trees(bins, hits, rng, np.zeros(5_000))

    assert sorted(grown)[7] == 0
    assert len(from_nothing.value) > 0
    assert from_nothing.gain > 0.05


def test_signed_trees_tell_what_differs_and_not_what_is_common() -> None:
    rng = np.random.default_rng(7)
    bins = rng.integers(0, 2, (40_000, 2)).astype(np.uint8)
    side = np.where(np.arange(40_000) < 20_000, 0.5, -0.5)
    apart = np.where(bins[:, 1] == 1, 1.2, 0.0)
    hits = rng.random(40_000) < _sigmoid(2.0 * bins[:, 0] - 1.0 + side * apart)

    # The start knows nothing of the first column; both groups have it, so it is no difference.
    trees = fit_boosted_trees(bins, hits, rng, np.zeros(40_000), side)

    # Averaged over the column that the start does not know, odds of 1.2 look like 0.95.
    shares = [(_sigmoid(1 + half) + _sigmoid(-1 + half)) / 2 for half in (0.6, -0.6)]
    apart = float(np.log(shares[0] / (1 - shares[0])) - np.log(shares[1] / (1 - shares[1])))
    told = trees.log_odds(np.array([[0, 0], [1, 0], [0, 1], [1, 1]], dtype=np.uint8))
    assert told == pytest.approx([0, 0, apart, apart], abs=0.15)


def test_what_is_not_worth_it_stops_early() -> None:
    rng = np.random.default_rng(3)
    bins = rng.integers(0, 50, (20_000, 8)).astype(np.uint8)
    hits = rng.random(20_000) < _sigmoid(0.2 * (bins / 25.0 - 1).sum(1))

    full = fit_boosted_trees(bins, hits, np.random.default_rng(4), np.zeros(20_000))
    asked = fit_boosted_trees(bins, hits, np.random.default_rng(4), np.zeros(20_000), min_gain=0.1)

    assert len(asked.value) <= 16 < len(full.value)
    assert 0 < full.gain < 0.05


def test_frequent_and_far_values_have_bins_of_their_own() -> None:
    column = np.concatenate([np.zeros(9_000), np.arange(1, 1_001) ** 2]).astype(np.float32)
    features = column[:, None]

    bins = bin_values(features, bin_edges(features))[:, 0]

    assert bins[0] < bins[9_000] < bins[9_500] < bins[-1]
    assert len(np.unique(bins)) > 50
    assert bins.max() < 255


def test_the_same_generator_gives_the_same_trees() -> None:
    rng = np.random.default_rng(5)
    bins = rng.integers(0, 9, (2_000, 3)).astype(np.uint8)
    hits = rng.random(2_000) < 0.2 + 0.5 * (bins[:, 0] > 4)

    one, two = (fit_boosted_trees(bins, hits, np.random.default_rng(6)) for _ in range(2))

    assert one.value.tobytes() == two.value.tobytes()
    assert one.feature.tobytes() == two.feature.tobytes()


def test_an_average_tells_the_mean_of_its_models_odds() -> None:
    rng = np.random.default_rng(3)
    bins = rng.integers(0, 9, (2_000, 2)).astype(np.uint8)
    hits = rng.random(2_000) < np.where(bins[:, 0] > 4, 0.7, 0.2)
    models = [fit_boosted_trees(bins, hits, np.random.default_rng(seed)) for seed in (0, 1)]
    nothing = SymmetricTrees(
        models[0].feature[:0], models[0].threshold[:0], models[0].value[:0], 0.0, 0.0
    )

    both = average_models([*models, nothing]).log_odds(bins)

    assert both == pytest.approx((models[0].log_odds(bins) + models[1].log_odds(bins)) / 3)

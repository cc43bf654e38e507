"""Samplers that keep real rows only: hard negatives, and the cleaners of imbalanced-learn."""

import numpy as np
import pandas as pd
import pytest
from sklearn.naive_bayes import GaussianNB

from benchmarks.minority.dtype_cases import cases, labels
from twinset.sklearn import HardNegatives, ImblearnSampler


def overlapping(n: int = 3000, n_rare: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of which those with a large x0 may be frauds."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], [n - n_rare, n_rare])
    return rng.normal(size=(n, 3)) + 2.0 * y[:, None] * [1, 0, 0], y


def test_hard_rows_and_a_share_of_the_rest_are_kept() -> None:
    X, y = overlapping()
    sampler = HardNegatives(hard_fraction=0.1, rest_fraction=0.2, random_state=0)
    few, out = sampler.fit_resample(X, y)
    rows = sampler.sample_indices_
    assert np.array_equal(few, X[rows])
    assert np.array_equal(out, y[rows])
    assert (np.diff(rows) > 0).all()
    assert out.sum() == 60
    # 294 hard ones of 2,940, and about 529 of the other 2,646, each for five.
    assert sampler.sampling_strategy_ == {0: 823}
    negatives = out == 0
    assert (sampler.sample_weight_[negatives] == 1).sum() == 294
    assert negatives.sum() == pytest.approx(823, abs=4 * np.sqrt(2646 * 0.2 * 0.8))
    assert set(sampler.sample_weight_) == {1, 5}
    hard = rows[(sampler.sample_weight_ == 1) & negatives]
    left = np.setdiff1d(np.flatnonzero(y == 0), hard)
    assert sampler.hardness_[hard].min() >= sampler.hardness_[left].max()
    assert X[hard, 0].mean() > 1
    assert not sampler.is_synthetic_.any()


def test_weighted_sums_are_right_on_average() -> None:
    X, y = overlapping()
    means = []
    for seed in range(12):
        sampler = HardNegatives(random_state=seed, n_folds=2, model=GaussianNB())
        few, out = sampler.fit_resample(X, y)
        negatives = out == 0
        means.append(np.average(few[negatives], axis=0, weights=sampler.sample_weight_[negatives]))
        assert sampler.odds_factor_ == pytest.approx([1, 1], rel=0.15)
    assert np.mean(means, axis=0) == pytest.approx(X[y == 0].mean(axis=0), abs=0.04)


def test_the_choice_does_not_depend_on_order() -> None:
    X, y = overlapping(800)
    order = np.random.default_rng(1).permutation(800)
    one, other = HardNegatives(random_state=3), HardNegatives(random_state=3)
    one.fit_resample(X, y)
    other.fit_resample(X[order], y[order])
    assert np.array_equal(np.sort(order[other.sample_indices_]), one.sample_indices_)


def test_a_model_of_ones_own() -> None:
    from sklearn.linear_model import LogisticRegression

    X, y = overlapping(800)
    sampler = HardNegatives(model=LogisticRegression(), random_state=0)
    sampler.fit_resample(X, y)
    assert np.corrcoef(sampler.hardness_[y == 0], X[y == 0, 0])[0, 1] > 0.7


def test_rows_come_back_as_they_are() -> None:
    for case in cases().values():
        real = case()
        sampler = HardNegatives(random_state=0, n_folds=2)
        few, y = sampler.fit_resample(real, labels())
        rows = sampler.sample_indices_
        assert type(few) is type(real)
        if isinstance(real, pd.DataFrame):
            assert few.equals(real.iloc[rows])
        assert (y == labels()[rows]).all()


@pytest.mark.parametrize(
    "name", ["TomekLinks", "RandomUnderSampler", "NearMiss", "OneSidedSelection"]
)
def test_cleaners_choose_what_imbalanced_learn_chooses(name: str) -> None:
    imblearn = pytest.importorskip("imblearn.under_sampling", reason="'imbalanced' not installed")
    X, y = overlapping(400)
    scaled = (X - X.mean(axis=0)) / X.std(axis=0)
    theirs = getattr(imblearn, name)()
    if "random_state" in theirs.get_params():
        theirs.set_params(random_state=0)
    theirs.fit_resample(scaled, y)
    mine = ImblearnSampler(name, random_state=0)
    few, _ = mine.fit_resample(X, y)
    assert np.array_equal(mine.sample_indices_, np.sort(theirs.sample_indices_))
    assert np.array_equal(few, X[mine.sample_indices_])


def test_strategies_speak_of_the_callers_labels() -> None:
    pytest.importorskip("imblearn", reason="the extra 'imbalanced' is not installed")
    X, y = overlapping(400, 60)
    words = np.array(["good", "bad"])[y]
    for strategy in ({"good": 100}, lambda y: {"good": 100}):
        sampler = ImblearnSampler("RandomUnderSampler", sampling_strategy=strategy, random_state=0)
        _, out = sampler.fit_resample(X, words)
        assert (out == "good").sum() == 100
        assert sampler.sampling_strategy_ == {"good": 100}


@pytest.mark.parametrize(
    ("name", "todo"),
    [("SMOTENC", "finds columns"), ("SMOTEENN", "pipeline"), ("Tomek", "TomekLinks")],
)
def test_what_is_not_offered_says_what_to_take(name: str, todo: str) -> None:
    X, y = overlapping(100, 20)
    with pytest.raises(ValueError, match=todo):
        ImblearnSampler(name).fit_resample(X, y)

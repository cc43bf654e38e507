"""Every new row satisfies the rules; rows depend neither on order, nor on request size, nor on threads."""

import numpy as np
import pandas as pd
import pytest

from twinset.core.data.rule import Rule
from twinset.sklearn import (
    ROSE,
    SMOTE,
    BorderlineSMOTE,
    CopulaSampler,
    FilteredSampler,
    NothingToAdd,
    RandomOverSampler,
    RulesExcludedWarning,
    TreesSampler,
    restore_probabilities,
)

SAMPLERS = [
    SMOTE,
    RandomOverSampler,
    ROSE,
    BorderlineSMOTE,
    CopulaSampler,
    TreesSampler,
    FilteredSampler,
]


def ruled(n: int = 600, n_rare: int = 90) -> tuple[pd.DataFrame, np.ndarray]:
    """Return a table with a sum, a one-hot group, an order, cents and counts."""
    rng = np.random.default_rng(3)
    y = np.repeat([0, 1], [n - n_rare, n_rare])
    net = np.round(rng.gamma(2, 30 + 40 * y), 2)
    tax = np.round(net * rng.choice([0.07, 0.19], n), 2)
    kind = rng.integers(0, 4, n)
    start = rng.integers(0, 300, n)
    table = {"net": net, "tax": tax, "total": np.round(net + tax, 2)}
    table |= {f"is_{i}": (kind == i).astype(np.uint8) for i in range(4)}
    table |= {"start": start, "end": start + rng.integers(0, 90, n), "items": rng.poisson(3, n)}
    return pd.DataFrame(table), y


def test_rules_are_found_and_hold() -> None:
    X, y = ruled()
    sampler = SMOTE(random_state=0)
    made, _ = sampler.fit_resample(X, y)
    assert {rule.kind for rule in sampler.rules_} >= {"sum", "one_hot", "order"}
    new = made[sampler.is_synthetic_]
    assert len(new) == 420
    assert np.allclose(new["total"], new["net"] + new["tax"], atol=1e-6)
    assert (new[[f"is_{i}" for i in range(4)]].sum(axis=1) == 1).all()
    assert (new["start"] <= new["end"]).all()
    for name in ("net", "tax", "total"):
        assert np.allclose(new[name], new[name].round(2), atol=1e-9)
    assert made.dtypes.equals(X.dtypes)
    again, _ = SMOTE(random_state=0, rules=[]).fit_resample(X, y)
    assert not np.allclose(again["total"][600:], (again["net"] + again["tax"])[600:], atol=1e-6)


def test_rules_may_be_declared_on_arrays() -> None:
    X, y = ruled()
    array = X[["net", "tax", "total"]].to_numpy()
    for rules in (
        [{"kind": "sum", "columns": ["x2", "x0", "x1"]}],
        [Rule("sum", ("x2", "x0", "x1"))],
    ):
        made, _ = SMOTE(random_state=0, rules=rules).fit_resample(array, y)
        assert np.allclose(made[:, 2], made[:, 0] + made[:, 1], atol=1e-6)
    with pytest.raises(ValueError, match="keys of new rows"):
        SMOTE(rules=[Rule("unique", ("x0",))]).fit_resample(array, y)
    with pytest.raises(ValueError, match="x9"):
        SMOTE(rules=[Rule("order", ("x0", "x9"))]).fit_resample(array, y)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_new_rows_do_not_depend_on_order(sampler) -> None:
    every, y = ruled()
    order = np.random.default_rng(1).permutation(len(every))
    for columns in (["net", "tax", "total", "items"], ["net", "items"]):
        X = every[columns]
        first, other = sampler(random_state=5), sampler(random_state=5)
        one, _ = first.fit_resample(X, y)
        two, _ = other.fit_resample(X.iloc[order].reset_index(drop=True), y[order])
        assert one[600:].equals(two[600:])
        # The parents are other positions, and the same rows.
        known = other.parents_ >= 0
        assert np.array_equal(np.where(known, order[other.parents_], -1), first.parents_)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_twice_as_many_rows_begin_with_the_first(sampler) -> None:
    X, y = ruled()
    for more in ({},) if sampler is RandomOverSampler else ({"rules": None}, {"rules": []}):
        few, _ = sampler(random_state=5, sampling_strategy={1: 490}, **more).fit_resample(X, y)
        many, _ = sampler(random_state=5, sampling_strategy={1: 890}, **more).fit_resample(X, y)
        assert len(few) == 1000
        assert len(many) == 1400
        assert few.equals(many[:1000])


@pytest.mark.parametrize("rules", [None, []])
def test_threads_change_nothing(rules) -> None:
    X, y = ruled()
    settings = {"random_state": 5, "sampling_strategy": {1: 3000}, "rules": rules}
    one, _ = SMOTE(**settings).fit_resample(X, y)
    other, _ = SMOTE(**settings, n_jobs=4).fit_resample(X, y)
    assert one.equals(other)


@pytest.mark.parametrize("rules", [None, []])
def test_parents_are_the_rows_between_which_new_ones_lie(rules) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2))
    y = np.repeat([0, 1], [180, 20])
    order = rng.permutation(200)
    X, y = X[order], y[order]
    sampler = SMOTE(random_state=0, rules=rules)
    made, _ = sampler.fit_resample(X, y)
    seed, neighbour = X[sampler.parents_[:, 0]], X[sampler.parents_[:, 1]]
    assert (y[sampler.parents_] == 1).all()
    along = (made[200:] - seed) / (neighbour - seed)
    assert along.min() >= -1e-5
    assert along.max() <= 1 + 1e-5
    assert along[:, 0] == pytest.approx(along[:, 1], abs=1e-4)


def test_integers_are_not_biased() -> None:
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"n": rng.poisson(2.75, 2000), "x": rng.normal(size=2000)})
    y = np.repeat([0, 1], [1600, 400])
    made, _ = SMOTE(random_state=0, sampling_strategy={1: 60_000}).fit_resample(X, y)
    exact = SMOTE(random_state=0, sampling_strategy={1: 60_000})
    free, _ = exact.fit_resample(X.assign(n=X["n"] + 1e-7 * rng.random(2000)), y)
    assert made["n"].dtype == X["n"].dtype
    assert made["n"][2000:].mean() == pytest.approx(free["n"][2000:].mean(), rel=0.02)


def test_weights_keep_the_mass_of_each_class() -> None:
    X, y = ruled()
    plain = SMOTE(random_state=0, sampling_strategy=0.5)
    plain.fit_resample(X, y)
    assert (plain.sample_weight_ == 1).all()
    # 90 of 510 became 255 of 510.
    assert plain.odds_factor_ == pytest.approx([1, 255 / 90])
    kept = SMOTE(random_state=0, sampling_strategy=0.5, preserve_mass=True)
    _, out = kept.fit_resample(X, y)
    assert np.bincount(out, kept.sample_weight_) == pytest.approx([510, 90])
    assert kept.odds_factor_ == pytest.approx([1, 1])


def test_probabilities_are_restored() -> None:
    # With odds 9 times too high, 1 of 2 stands for 1 of 10.
    assert restore_probabilities([[0.5, 0.5], [1, 0]], [1, 9]).tolist() == [
        pytest.approx([0.9, 0.1]),
        [1, 0],
    ]


def test_nothing_to_add_is_said() -> None:
    X = np.random.default_rng(0).normal(size=(40, 2))
    with pytest.warns(NothingToAdd):
        made, _ = SMOTE(random_state=0).fit_resample(X, [0, 1] * 20)
    assert np.array_equal(made, X)


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("auto", {"b": 4, "c": 5}),
        ("not majority", {"b": 4, "c": 5}),
        ("minority", {"c": 5}),
        ("not minority", {"a": 0, "b": 4}),
        ("all", {"a": 0, "b": 4, "c": 5}),
        ({"b": 5}, {"b": 2}),
        (lambda y: {"c": len(y)}, {"c": 10}),
    ],
)
def test_strategies_mean_what_they_mean_in_imbalanced_learn(strategy, expected) -> None:
    y = list("aaaaaaa" + "bbb" + "cc")
    X = [[float(i)] for i in range(12)]
    mine = RandomOverSampler(sampling_strategy=strategy).fit(X, y)
    assert mine.sampling_strategy_ == expected
    imblearn = pytest.importorskip("imblearn.over_sampling")
    theirs = imblearn.RandomOverSampler(sampling_strategy=strategy).fit(X, y)
    assert {str(label): n for label, n in theirs.sampling_strategy_.items()} == expected


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        (0.1, "increase the ratio"),
        ({"b": 1}, "greater"),
        ({"d": 9}, "not present"),
        ("majority", "sampling_strategy"),
        (1.5, "sampling_strategy"),
    ],
)
def test_strategies_that_cannot_be(strategy, message: str) -> None:
    X, y = [[float(i)] for i in range(9)], list("aaaaaa" + "bbb")
    with pytest.raises(ValueError, match=message):
        RandomOverSampler(sampling_strategy=strategy).fit_resample(X, y)


def test_one_hot_groups_of_floats_in_an_array_are_kept() -> None:
    X, y = ruled()
    array = X[[f"is_{i}" for i in range(4)] + ["net"]].to_numpy(dtype=float)
    sampler = SMOTE(random_state=0)
    made, _ = sampler.fit_resample(array, y)
    assert Rule("one_hot", ("x0", "x1", "x2", "x3")) in sampler.rules_
    assert (made[:, :4].sum(axis=1) == 1).all()
    assert set(np.unique(made[:, :4])) == {0, 1}


def test_keys_are_copied_and_not_made_up() -> None:
    rng = np.random.default_rng(0)
    card = rng.choice(10**9, 150, replace=False)[rng.integers(0, 150, 600)]
    X = pd.DataFrame({"card_id": card, "amount": rng.normal(size=600)})
    y = np.repeat([0, 1], [500, 100])
    made, _ = SMOTE(random_state=0).fit_resample(X, y)
    assert made["card_id"].dtype == card.dtype
    assert set(made["card_id"][600:]) <= set(card[500:])


def test_rules_that_cannot_be_enforced_are_left_out_with_a_warning(monkeypatch) -> None:
    from twinset.core.errors import RecipeError
    from twinset.core.rules.enforce import RuleEnforcer

    def refuse(*_: object) -> None:
        raise RecipeError("no row can be made")

    monkeypatch.setattr(RuleEnforcer, "enforce", refuse)
    X, y = ruled()
    sampler = SMOTE(random_state=0)
    with pytest.warns(RulesExcludedWarning):
        made, _ = sampler.fit_resample(X, y)
    assert len(made) == 1020
    assert sampler.rules_ == ()
    with pytest.raises(ValueError, match="no row can be made"):
        SMOTE(rules=[Rule("sum", ("total", "net", "tax"))]).fit_resample(X, y)

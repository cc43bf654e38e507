"""Outcomes of groups, by hand and on planted biases."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.contracts import Comparison, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.findings import GroupResults
from twinset.evaluation.coverage._group_models import (
    Subgroups,
    TargetOutcome,
    choose_group_columns,
    find_members,
)
from twinset.evaluation.coverage.group_outcomes import GroupOutcomes


def rows(**columns: Any) -> Dataset:
    return Dataset.from_arrow(pa.table(columns))


def people(n: int, seed: int, *, women: float = 0.3) -> Dataset:
    """Women get the loan with the given chance, men in three cases of ten; both if they earn much."""
    rng = np.random.default_rng(seed)
    sex, pay = rng.integers(0, 2, n), rng.normal(size=n)
    chance = np.clip(np.where(sex == 0, women, 0.3) + 0.2 * pay, 0, 1)
    loan = np.where(rng.random(n) < chance, "yes", "no")
    return rows(sex=np.array(["f", "m"])[sex], pay=pay, loan=loan)


def test_differences_by_hand() -> None:
    # Groups of 12: real f 3 of 12 and m 6 of 12, synthetic f 9 of 12 and m 6 of 12.
    sex = ["f"] * 12 + ["m"] * 12
    real = rows(sex=sex, won=["y"] * 3 + ["n"] * 9 + ["y", "n"] * 6)
    made = rows(sex=sex, won=["y"] * 9 + ["n"] * 3 + ["y", "n"] * 6)
    told = Comparison(real, made, real, target="won", positive="y")
    found = GroupOutcomes(min_rows=11, replicates=10).compute(told, np.random.default_rng(0))
    assert found.value == 0.25
    assert found.components is not None
    assert dict(zip(found.components.names, found.components.values)) == {
        "sex = f": 0.5,
        "sex = m": 0.0,
    }
    assert found.facts["groups"]["sex = f"]["real"] == 0.25
    assert found.facts["groups"]["sex = f"]["synthetic"] == 0.75


def test_missing_values_belong_to_no_group_and_have_no_outcome() -> None:
    real = rows(sex=["f", None] * 12, won=["y", None, "n", "y"] * 6)
    assert TargetOutcome.from_comparison(Comparison(real, real, real, target="won")).classes == (
        "y",
        "n",
    )
    outcome = TargetOutcome.from_comparison(
        Comparison(real, real, real, target="won", positive="y")
    )
    assert len(outcome.known(real)) == 18
    assert find_members(real, [("sex", "m")]).sum() == 0
    assert find_members(real, [("sex", "f")]).sum() == 12


def test_of_several_classes_the_total_variation_counts() -> None:
    real = rows(x=["a", "a", "b", "c"])
    outcome = TargetOutcome.from_comparison(Comparison(real, real, real, target="x"))
    assert outcome.classes == ("a", "b", "c")
    ours, theirs = (
        outcome.matrix(part).mean(axis=0).reshape(1, 1, -1)
        for part in (rows(x=["a", "b", "b", "c"]), rows(x=["a", "a", "a", "c"]))
    )
    assert outcome.differences(ours, theirs).tolist() == [[0.5]]


def test_of_a_number_means_are_compared_in_standard_deviations() -> None:
    real = rows(g=["u", "v"] * 2, y=[0.0, 2.0, 0.0, 2.0])
    outcome = TargetOutcome.from_comparison(Comparison(real, real, real, target="y"))
    assert (outcome.mean, outcome.scale) == (1.0, 1.0)
    assert outcome.matrix(real).ravel().tolist() == [-1, 1, -1, 1]
    assert [outcome.summary(np.array([mean])) for mean in (-1.0, 0.5)] == [0.0, 1.5]


def test_declared_columns_are_crossed_and_small_groups_are_named() -> None:
    real = rows(a=["x", "y"] * 20, b=["p"] * 30 + ["q"] * 10, c=["k"] * 40)
    groups = Subgroups.find(real, real.take(range(20)), ["a", "b"], {"a", "b"}, 10)
    assert groups.names == ("a = x", "a = y", "b = p", "a = x and b = p", "a = y and b = p")
    assert groups.too_few == ("b = q",)
    assert groups.real.sum(axis=1).tolist() == [20, 20, 30, 15, 15]
    told = Comparison(real, real, real, population={"b": {"p": 0.5}})
    assert choose_group_columns(told, (), 6) == ("b",)
    assert choose_group_columns(Comparison(real, real, real), (), 6) == ("a", "b")
    assert choose_group_columns(told, ("a",), 6) == ("a",)


def test_a_group_that_is_treated_otherwise_is_named_and_served_worst() -> None:
    real, held, made = people(3000, 0), people(3000, 1), people(3000, 2, women=0.05)
    told = Comparison(real, made, held, target="loan", positive="yes")
    found = GroupOutcomes(replicates=50).compute(told, np.random.default_rng(0))
    assert found.components is not None
    off = dict(zip(found.components.names, found.components.values))
    assert off["sex = f"] > 0.12 > 0.05 > off["sex = m"]
    assert found.finding(GroupResults).worst.name == "sex = f"
    f = found.facts["groups"]["sex = f"]
    assert f["forecast_above_truth"]["synthetic"] < -0.08 < f["forecast_above_truth"]["real"]
    low, high = np.quantile(found.components.replicates[:, 0], [0.025, 0.975])
    assert low < off["sex = f"] < high


def test_real_rows_are_as_good_as_real() -> None:
    for seed in range(2):
        sides = [people(2000, 3 * seed + k) for k in range(3)]
        found = GroupOutcomes(replicates=20).compute(
            Comparison(*sides, target="loan"), np.random.default_rng(0)
        )
        assert found.value < 0.04
        assert found.finding(GroupResults).worst is None


@pytest.mark.parametrize(
    ("comparison", "sentence"),
    [
        (Comparison(people(60, 0), people(60, 1), people(60, 2)), "no target"),
        (Comparison(*[rows(x=[1.0] * 30, y=["a", "b"] * 15)] * 3, target="y"), "no category"),
        (
            Comparison(*[rows(x=["u", "v"] * 15, y=["a"] * 30)] * 3, target="y"),
            "has 1 classes",
        ),
        (Comparison(*[people(40, 0)] * 3, target="loan"), "no group has 50 rows"),
    ],
)
def test_what_cannot_be_measured_is_reported(comparison: Comparison, sentence: str) -> None:
    with pytest.raises(NotMeasurable, match=sentence):
        GroupOutcomes(replicates=5).compute(comparison, np.random.default_rng(0))

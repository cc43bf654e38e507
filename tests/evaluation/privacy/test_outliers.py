import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import fisher_exact

from twinset.core.contracts import Comparison, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.seeding import rng_for
from twinset.evaluation.privacy.outliers import Outliers, outlier_attack, rank_outliers
from twinset.measurement.harness import measure


@given(st.integers(2, 40), st.integers(1, 5), st.integers(0, 10**6))
def test_the_short_search_finds_what_the_long_one_finds(n: int, k: int, seed: int) -> None:
    rows = np.round(rng_for(seed, "rows").normal(size=(n, 2)), 1)
    apart = np.linalg.norm(rows[:, None] - rows, axis=2) + np.where(np.eye(n), np.inf, 0)
    expected = -np.sort(-apart.min(axis=1))[: min(k, n)]
    positions, distances = rank_outliers(rows, min(k, n), rng_for(seed, "probes"))
    assert distances == pytest.approx(expected, abs=1e-4)
    assert apart.min(axis=1)[positions] == pytest.approx(distances, abs=1e-4)


def test_more_rows_than_probes_change_nothing(rng) -> None:
    rows = rng.normal(size=(3000, 2))
    brute = [np.sort(np.linalg.norm(rows - row, axis=1))[1] for row in rows]
    assert rank_outliers(rows, 30, rng)[1] == pytest.approx(
        -np.sort(np.negative(brute))[:30], abs=1e-4
    )


def test_equally_isolated_rows_are_taken_from_all_places() -> None:
    rows = np.arange(100.0)[:, None]
    taken = np.concatenate([rank_outliers(rows, 5, rng_for(i, "ties"))[0] for i in range(60)])
    assert (taken < 50).mean() == pytest.approx(0.5, abs=0.15)


def attack(near: list[float], member: list[int], parts: list[int], **more: float):
    return outlier_attack(np.array(near), np.array(member) > 0, parts, rng_for(3, "attack"), **more)


def test_the_value_is_the_mean_of_near_parts_and_ranking() -> None:
    # Near, first two rows: 1 of 1 v 0 of 1, AUC 1. All: 1 of 2 v 0 of 2, AUC .75. Ranking: 3 of 4 pairs.
    value, replicates, decided = attack([0.2, 0.9, 0.8, 0.6], [1, 0, 1, 0], [2, 4])
    assert value == pytest.approx(((1 + 0.75) / 2 + 0.75) / 2)
    assert replicates.shape == (200,)
    assert not decided


def test_nearer_control_rows_are_no_leak() -> None:
    assert attack([0.9, 0.1, 0.9, 0.1], [1, 0, 1, 0], [2, 4])[0] == 0.5


@given(st.integers(0, 20), st.integers(0, 20))
def test_rows_that_come_back_decide_exactly_when_fishers_test_says_so(
    back: int, other: int
) -> None:
    near = [0.05] * back + [2.0] * (20 - back) + [0.05] * other + [2.0] * (20 - other)
    counts = [[back, 20 - back], [other, 20 - other]]
    significant = fisher_exact(counts, alternative="greater").pvalue < 0.01
    value, replicates, decided = attack(near, [1] * 20 + [0] * 20, [40])
    assert decided == significant
    if decided:
        right, wrong = back * (20 - other), other * (20 - back)
        assert value == pytest.approx(right / (right + wrong))
    assert np.isfinite(replicates).all()


def test_few_rows_never_look_certain() -> None:
    # All alike, so that only the rows not yet seen make a spread.
    spread = [attack([2.0] * 2 * n, [1, 0] * n, [2 * n])[1].std() for n in (10, 100, 1000)]
    assert spread[0] > 0.045
    assert 0.02 > spread[1] > 0.004 > spread[2] > 0.0004


def test_doubt_is_not_paired_away() -> None:
    # Nothing comes near in either: the rows drawn agree, the luck of the row not yet seen must not.
    first, second = (attack([far] * 80, [1, 0] * 40, [80])[1] for far in (2.0, 2.1))
    assert np.std(first - second) > 0.7 * first.std() > 0


def test_members_and_control_are_treated_alike(people) -> None:
    train, holdout, made = people(600, 1), people(600, 2), people(500, 3)
    one, other = (
        Outliers().compute(Comparison(*sides), rng_for(1, "x")).facts
        for sides in ((train, made, holdout), (holdout, made, train))
    )
    assert one["ranking_auc"] == pytest.approx(1 - other["ranking_auc"], abs=0.02)
    assert one["near"]["train"] == other["near"]["control"]


def wide(n: int, seed: int) -> Dataset:
    """Draw rows of eight numbers with heavy tails, so that some stand alone."""
    table = rng_for(seed, "wide").standard_t(4, size=(n, 8)).round(3)
    return Dataset.from_arrow(pa.table({f"x{i}": column for i, column in enumerate(table.T)}))


def verdict(train: Dataset, made: Dataset, holdout: Dataset, seed: int) -> str:
    found = measure(
        train=train,
        synthetic=made,
        holdout=holdout,
        seed=seed,
        metrics=[("privacy.outliers", Outliers())],
    )
    return found[0].verdict


@pytest.mark.parametrize("seed", range(3))
def test_one_row_in_a_hundred_that_stands_alone_is_enough(seed: int) -> None:
    train, holdout, fresh = (wide(n, 10 * seed + i) for i, n in enumerate((2500, 2500, 2500)))
    values = np.column_stack([train.values(name) for name in train.schema.names])
    most = np.argsort(-np.abs(values).max(axis=1))[:25]
    leaking = Dataset.concat([fresh.slice(0, 2475), train.take(most)])
    assert verdict(train, leaking, holdout, seed) == "different"
    assert verdict(train, fresh, holdout, seed) != "different"


def test_few_isolated_rows_do_not_pass() -> None:
    sides = [wide(200, i) for i in range(3)]
    assert verdict(*sides, 1) == "cannot tell"


def test_small_counts_are_not_reported(people, compare, rng) -> None:
    found = Outliers().compute(compare(people(400, 1), people(400, 2), people(400, 3)), rng)
    counts = [
        found.facts[name][side] for name in ("near", "exact") for side in ("train", "control")
    ]
    assert all(count is None or count == 0 or count > 10 for count in counts)
    assert None in counts
    assert len(json.dumps(found.facts)) < 900


def test_rows_with_twins_do_not_stand_alone(people, compare, rng) -> None:
    everyone = people(60, 1)
    with pytest.raises(NotMeasurable, match="too few outliers"):
        Outliers().compute(compare(people(60, 2), everyone, everyone), rng)

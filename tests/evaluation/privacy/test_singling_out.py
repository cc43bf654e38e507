import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinset.core.contracts import NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.errors import ParameterError
from twinset.core.seeding import rng_for
from twinset.evaluation.privacy.singling_out import (
    Combinations,
    SinglingOut,
    count_matches,
    estimate_match_probability,
    find_unique_combinations,
)

KNOWN = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0], [1.0, 1.0]])


def test_only_combinations_that_one_known_row_meets_are_kept() -> None:
    found = find_unique_combinations(
        KNOWN, np.array([True, True]), np.arange(5),
        conditions=2, width=0, draws=3, rng=rng_for(1, "x"),
    )  # fmt: skip
    met = {tuple(low[np.argsort(columns)]) for columns, low in zip(found.columns, found.low)}
    assert met == {(0.0, 0.0), (0.0, 1.0), (1.0, 1.0)}


def test_an_interval_takes_in_its_share_of_rows_on_each_set() -> None:
    known = np.column_stack([np.arange(100.0), np.zeros(100)])
    found = find_unique_combinations(
        known, np.array([False, True]), np.array([50]),
        conditions=2, width=0.0, draws=1, rng=rng_for(1, "x"),
    )  # fmt: skip
    place = int(np.flatnonzero(found.columns[0] == 0)[0])
    assert (found.low[0, place], found.high[0, place]) == (50, 50)
    wide = find_unique_combinations(
        known, np.array([False, True]), np.array([50]),
        conditions=2, width=0.03, draws=1, rng=rng_for(1, "x"),
    )  # fmt: skip
    assert len(wide) == 0, "seven rows lie within three places of row 50"


@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(2, 4))
def test_matches_are_counted_as_one_by_one(seed: int, n: int, conditions: int) -> None:
    rng = rng_for(seed, "count")
    rows = rng.integers(0, 4, (n, 5)).astype(float)
    columns = np.stack([rng.permutation(5)[:conditions] for _ in range(7)])
    low = rng.integers(0, 4, (7, conditions)).astype(float)
    attacks = Combinations(columns, low, low + rng.integers(0, 2, low.shape))
    slow = [
        int(((rows[:, c] >= lo) & (rows[:, c] <= hi)).all(axis=1).sum())
        for c, lo, hi in zip(attacks.columns, attacks.low, attacks.high)
    ]
    assert count_matches(rows, attacks).tolist() == slow


@given(st.integers(2, 12), st.integers(0, 12), st.integers(1, 12))
def test_a_subset_of_the_larger_set_is_counted_exactly(n: int, meet: int, size: int) -> None:
    from itertools import combinations

    meet, size = min(meet, n), min(size, n)
    subsets = list(combinations(range(n), size))
    drawn = np.mean([sum(i < meet for i in subset) == 1 for subset in subsets])
    share, _ = estimate_match_probability(np.array([meet]), n, np.array([0]), size)
    assert share[0] == pytest.approx(drawn)


def test_missing_values_are_a_level_and_lie_in_no_interval(people, compare, rng) -> None:
    train = people(600, 1)
    assert SinglingOut(conditions=3).compute(compare(train, people(600, 2), train), rng).value > 0.3


def test_where_no_row_is_rare_there_is_nothing_to_try(people, compare, rng) -> None:
    same = people(50, 1).take(np.repeat(np.arange(5), 10))
    with pytest.raises(NotMeasurable, match="single synthetic row"):
        SinglingOut().compute(compare(same, same), rng)


def test_settings_out_of_range_are_refused() -> None:
    for settings in ({"conditions": 1}, {"conditions": 5}, {"width": 0.6}, {"max_attacks": 0}):
        with pytest.raises(ParameterError):
            SinglingOut(**settings)


def test_intervals_are_narrowed_until_enough_combinations_are_found(compare, rng) -> None:
    """With an interval of half the rows hardly any of 500 points is alone, with a narrow one most."""
    where = rng_for(1, "points").normal(size=(1000, 3))
    train, control = (
        Dataset.from_arrow(pa.table(dict(zip("xyz", part.T))))
        for part in (where[:500], where[500:])
    )
    found = SinglingOut(width=0.5).compute(compare(train, control, train), rng)
    assert found.facts["width"] < 0.5
    assert found.facts["rows"]["attacks"] >= 125
    assert found.value > 0.3

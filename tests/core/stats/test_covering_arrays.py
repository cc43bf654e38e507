import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinset.core.errors import ParameterError
from twinset.core.stats.covering_arrays import Coverage, can_be_completed, covering_rows

EIGHT_FACTORS = [4, 4, 3, 3, 3, 4, 3, 2]  # 294 pairs, 1,888 triples


@pytest.mark.parametrize(("strength", "n_wanted", "most"), [(2, 294, 25), (3, 1888, 100)])
def test_eight_conditions_need_few_scenes(strength, n_wanted, most):
    coverage = Coverage(EIGHT_FACTORS, strength)
    assert coverage.n_required == n_wanted
    rows = covering_rows(coverage)
    assert len(rows) <= most
    assert coverage.n_met == n_wanted
    for group in itertools.combinations(range(8), strength):
        held = {tuple(row[f] for f in group) for row in rows}
        assert len(held) == np.prod([EIGHT_FACTORS[f] for f in group])


@given(
    st.lists(st.integers(1, 4), min_size=2, max_size=5),
    st.integers(1, 2),
    st.integers(1, 3),
    st.data(),
)
def test_every_allowed_combination_comes_often_enough(sizes, strength, at_least, data):
    bans = []
    for _ in range(data.draw(st.integers(0, 2))):
        factors = data.draw(st.sets(st.integers(0, len(sizes) - 1), min_size=1, max_size=3))
        bans.append({f: data.draw(st.integers(0, sizes[f] - 1)) for f in factors})
    legal = [
        row
        for row in itertools.product(*(range(size) for size in sizes))
        if not any(all(row[f] == v for f, v in ban.items()) for ban in bans)
    ]
    coverage = Coverage(sizes, strength, at_least, bans)
    rows = covering_rows(coverage)
    assert set(rows) <= set(legal)
    for group in itertools.combinations(range(len(sizes)), strength):
        for cell in {tuple(row[f] for f in group) for row in legal}:
            assert sum(tuple(row[f] for f in group) == cell for row in rows) >= at_least


def test_what_came_already_need_not_come_again():
    coverage = Coverage([2, 2], 2)
    coverage.add_codes(np.array([[0, 0], [0, 1], [1, 2]], np.int32))  # 2 is any other value
    assert coverage.n_met == 2
    assert sorted(covering_rows(coverage)) == [(1, 0), (1, 1)]


def test_heavy_levels_come_first():
    weights = [np.array([0.1, 0.1, 5.0]), np.array([0.1, 4.0])]
    rows = covering_rows(Coverage([3, 2], 2), weights=weights)
    assert rows[0] == (2, 1)
    assert covering_rows(Coverage([3, 2], 2), weights=weights, limit=1) == rows[:1]


def test_equal_seeds_give_equal_plans():
    first, again = (covering_rows(Coverage(EIGHT_FACTORS, 2), seed=3) for _ in range(2))
    assert first == again


def test_bans_that_leave_nothing():
    assert not can_be_completed({}, [2, 2], [{0: 0}, {0: 1}])
    assert Coverage([2, 2], 1, bans=[{0: 0}, {0: 1}]).n_required == 0
    assert can_be_completed({0: 1}, [2, 2], [{0: 0}])


@pytest.mark.parametrize(("strength", "at_least"), [(0, 1), (4, 1), (3, 1), (2, 0)])
def test_wrong_numbers(strength, at_least):
    with pytest.raises(ParameterError, match="out of its range"):
        Coverage([2, 2], strength, at_least)

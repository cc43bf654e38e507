"""Pairs stay within an entity and a window of time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinset.core.errors import ParameterError
from twinset.generators.minority._entities import may_pair, neighbours_within

ENTITIES = np.array([0, 0, 0, 1, 1, -1, -1])
TIMES = np.array([0.0, 5.0, 50.0, 0.0, np.nan, 0.0, 0.0])


def test_pairs_by_hand() -> None:
    seeds, near = np.array([0, 3, 5]), np.array([[1, 2, 3], [4, 0, -1], [6, 5, 0]])
    same = may_pair(seeds, near, entities=ENTITIES)
    assert same.tolist() == [[True, True, False], [True, False, False], [False, False, False]]
    timed = may_pair(seeds, near, entities=ENTITIES, times=TIMES, window=10.0)
    assert timed.tolist() == [[True, False, False], [False] * 3, [False] * 3]
    asked = may_pair(seeds, near, entities=ENTITIES, across_entities=True)
    assert asked.tolist() == [[True] * 3, [True, True, False], [True] * 3]


def test_a_window_needs_times_and_is_not_negative() -> None:
    with pytest.raises(ParameterError, match="needs times"):
        may_pair(np.array([0]), np.array([[1]]), window=1.0)
    with pytest.raises(ParameterError, match="out of range"):
        may_pair(np.array([0]), np.array([[1]]), times=TIMES, window=-1.0)


def test_neighbours_by_hand() -> None:
    points = np.array([[0.0], [3.0], [1.0], [0.0], [0.5], [9.0], [9.0]])
    found = neighbours_within(points, 2, entities=ENTITIES)
    assert found.tolist() == [[2, 1], [2, 0], [0, 1], [4, -1], [3, -1], [-1, -1], [-1, -1]]
    near = neighbours_within(points, 1, entities=ENTITIES, times=TIMES, window=10.0)
    assert near[:, 0].tolist() == [1, 0, -1, -1, -1, -1, -1]


@given(st.integers(0, 10_000), st.integers(1, 5), st.floats(0, 20))
def test_no_pair_ever_leaves_its_entity_or_its_window(seed: int, k: int, window: float) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 30))
    points, entities = rng.normal(size=(n, 2)), rng.integers(-1, 4, n)
    times = rng.uniform(0, 30, n)
    found = neighbours_within(points, k, entities=entities, times=times, window=window)
    for i, row in enumerate(found):
        kept = row[row >= 0]
        assert i not in kept
        assert (entities[kept] == entities[i]).all()
        assert (np.abs(times[kept] - times[i]) <= window).all()
        others = (entities == entities[i]) & (np.abs(times - times[i]) <= window)
        possible = 0 if entities[i] < 0 else int(others.sum()) - 1
        assert len(kept) == min(k, possible)

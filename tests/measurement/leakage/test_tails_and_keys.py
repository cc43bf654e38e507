"""The arithmetic under the guard: tails, keys, decimals, lines."""

from __future__ import annotations

from math import comb

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinset.core.data.dataset import Dataset
from twinset.measurement.leakage.decimals import count_decimals
from twinset.measurement.leakage.evidence import (
    RowKeys,
    SplitRows,
    log_tail,
    split_probabilities,
)
from twinset.measurement.leakage.interpolation import FinePoints


@given(st.integers(1, 60), st.floats(0.01, 0.99), st.integers(0, 60))
def test_the_bound_lies_above_the_binomial_tail_and_is_not_loose(n: int, p: float, k: int) -> None:
    exact = sum(comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1))
    bound = log_tail(k, np.array([p]), np.array([n]))
    assert bound >= (np.log(exact) if exact > 0 else -np.inf) - 1e-9
    if k > n * p and exact > 0 and k < n:
        assert bound <= np.log(exact) + 4.0


def test_trials_of_several_sorts_add_up() -> None:
    one = log_tail(5, np.array([0.5]), np.array([5]))
    two = log_tail(5, np.array([0.5, 0.5]), np.array([2, 3]))
    assert one == pytest.approx(5 * np.log(0.5))
    assert two == pytest.approx(one)
    assert log_tail(6, np.array([0.5]), np.array([5])) == -np.inf


def test_a_cluster_is_cut_in_two_as_coins_fall() -> None:
    rng = np.random.default_rng(0)
    held = rng.random((20_000, 3)) < 0.3
    share = (held.any(axis=1) & ~held.all(axis=1)).mean()
    assert split_probabilities(np.array([3]), 0.3)[0][0] == pytest.approx(share, abs=0.01)


def test_keys_agree_where_rows_do_whatever_the_kinds() -> None:
    one = Dataset.from_arrow(pa.table({"n": [1, 2], "c": ["a", None], "x": [0.0, 1.5]}))
    other = Dataset.from_arrow(pa.table({"n": [2.0, 1.0], "c": [None, "a"], "x": [1.5, -0.0]}))
    key = RowKeys.from_datasets((one, other), ("n", "c", "x")).key(("n", "c", "x"))
    assert key[0] == key[3]
    assert key[1] == key[2]
    assert key[0] != key[1]
    keys = RowKeys.from_datasets((one, other), ("n", "c", "x"))
    assert (key - keys.cells["n"] == keys.key(("c", "x"))).all()


def test_decimals_by_hand() -> None:
    found = count_decimals(np.array([12.0, 0.5, 1e9 + 0.25, 1234.567, 2 / 3, np.nan]))
    assert found.tolist() == [0, 1, 2, 3, 7, 0]


def lines(points: np.ndarray, held: list[int]) -> int:
    table = {f"x{i}": column for i, column in enumerate(points.T)}
    data = Dataset.from_arrow(pa.table(table))
    names = tuple(table)
    side = np.zeros(len(points), np.int8)
    side[held] = 1
    cut = SplitRows(RowKeys.from_datasets((data,), names), side, None, (), names, names)
    fine = FinePoints.from_split(cut)
    assert fine is not None
    return fine.count_on_lines(side == 1, side == 0, np.random.default_rng(0))[0]


def test_rows_on_a_line_are_seen_and_near_pairs_are_not_taken_for_one() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(60, 5))
    held = list(range(20))
    assert lines(points, held) == 0
    between = points.copy()
    for i in range(8):
        between[i] = points[20 + i] + 0.3 * (points[40 + i] - points[20 + i])
    # Lines along which two columns change most are left aside: such rows are common by nature.
    assert 4 <= lines(between, held) <= 8
    pairs = points.copy()
    pairs[40:] = pairs[20:40] + 1e-7
    assert lines(pairs, held) == 0

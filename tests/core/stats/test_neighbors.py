import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinset.core.errors import ParameterError
from twinset.core.seeding import rng_for
from twinset.core.stats.neighbors import nearest, squared_distances


def brute_force(query: np.ndarray, reference: np.ndarray) -> np.ndarray:
    apart = query[:, None, :].astype(float) - reference[None, :, :]
    return np.sqrt((apart**2).sum(axis=2))


@given(
    m=st.integers(1, 30),
    n=st.integers(1, 40),
    d=st.integers(1, 6),
    block=st.integers(1, 50),
    seed=st.integers(0, 1000),
)
def test_distances_are_those_of_brute_force_in_any_block_size(
    m: int, n: int, d: int, block: int, seed: int
) -> None:
    rng = rng_for(seed, "neighbours")
    query = rng.normal(size=(m, d)).astype(np.float32)
    reference = rng.normal(size=(n, d)).astype(np.float32)
    k = int(rng.integers(1, n + 1))
    distances, indices = nearest(query, reference, k, block=block)
    every = brute_force(query, reference)
    assert distances == pytest.approx(np.sort(every, axis=1)[:, :k], abs=1e-5)
    assert np.take_along_axis(every, indices, axis=1) == pytest.approx(distances, abs=1e-5)
    assert all(len(set(row)) == k for row in indices.tolist())
    blocks = list(squared_distances(query, reference, block=block))
    assert np.concatenate([b for _, b in blocks]) == pytest.approx(every**2, abs=1e-9)


def test_a_row_finds_itself_at_exactly_0_even_far_from_the_origin() -> None:
    rows = (rng_for(1, "far").normal(size=(500, 8)) + 1e4).astype(np.float32)
    distances, indices = nearest(rows, rows, 3)
    assert (distances[:, 0] == 0).all()
    assert (indices[:, 0] == np.arange(500)).all()
    assert distances[:, 1] == pytest.approx(
        np.sort(brute_force(rows, rows), axis=1)[:, 1], rel=1e-4
    )


def test_of_equally_near_rows_the_first_comes_first() -> None:
    distances, indices = nearest(np.zeros((1, 2)), np.ones((4, 2)), 4)
    assert indices.tolist() == [[0, 1, 2, 3]]
    assert distances[0] == pytest.approx([np.sqrt(2)] * 4)


def test_no_query_rows_give_no_neighbours() -> None:
    distances, indices = nearest(np.zeros((0, 3)), np.zeros((5, 3)), 2)
    assert distances.shape == indices.shape == (0, 2)


@pytest.mark.parametrize("k", [0, 4])
def test_an_impossible_number_of_neighbours_is_refused(k: int) -> None:
    with pytest.raises(ParameterError, match="1 to 3"):
        nearest(np.zeros((1, 1)), np.zeros((3, 1)), k)


def test_neighbours_among_many_equal_rows_are_those_of_brute_force() -> None:
    rng = rng_for(2, "ties")
    reference = rng.integers(0, 3, size=(1_003, 5)).astype(np.float32)
    query = rng.integers(0, 3, size=(40, 5)).astype(np.float32)
    distances, indices = nearest(query, reference, 6, block=7)
    every = brute_force(query, reference)
    assert distances == pytest.approx(np.sort(every, axis=1)[:, :6], abs=1e-6)
    assert np.take_along_axis(every, indices, axis=1) == pytest.approx(distances, abs=1e-6)
    assert all(len(set(row)) == 6 for row in indices.tolist())

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from twinset.generators._quotas import allocate


@given(
    st.lists(st.integers(0, 20), min_size=1, max_size=7).filter(any),
    st.integers(1, 200),
    st.integers(0, 3),
)
def test_every_prefix_is_within_one_row_of_its_shares(weights, n, seed):
    turns = list(itertools.islice(allocate(weights, np.random.default_rng(seed)), n))
    share = np.array(weights) / sum(weights)
    for t in range(1, n + 1):
        counts = np.bincount(turns[:t], minlength=len(weights))
        assert np.abs(counts - share * t).max() < 1
        assert counts[share == 0].sum() == 0


def test_equal_shares_alternate():
    turns = list(itertools.islice(allocate([1, 1, 1], np.random.default_rng(1)), 9))
    assert [sorted(turns[i : i + 3]) for i in (0, 3, 6)] == [[0, 1, 2]] * 3

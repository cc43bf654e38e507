import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinset.core.contracts import NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.seeding import rng_for
from twinset.evaluation.privacy.linkability import Linkability, find_linked, split_columns


def test_a_row_links_only_where_it_is_near_in_both_sets() -> None:
    known = np.array([[0.0], [1.0], [2.0]]), np.array([[5.0], [3.0], [4.0]])
    targets = np.array([[0.1], [0.1], [1.9]]), np.array([[5.1], [3.0], [4.1]])
    assert find_linked(targets, known, 1).tolist() == [True, False, True]
    assert find_linked(targets, known, 3).all()


def test_rows_that_are_equally_near_count_together() -> None:
    known = np.zeros((4, 1)), np.array([[1.0], [2.0], [3.0], [4.0]])
    targets = np.zeros((4, 1)), np.array([[1.0], [2.0], [3.0], [4.0]])
    assert find_linked(targets, known, 1).all(), "the order of the known rows must not decide"


@given(st.integers(0, 1000), st.integers(1, 6))
def test_more_neighbours_link_no_less_and_order_does_not_matter(seed: int, k: int) -> None:
    rng = rng_for(seed, "link")
    known = rng.integers(0, 3, (9, 2)).astype(float), rng.integers(0, 3, (9, 2)).astype(float)
    targets = rng.integers(0, 3, (5, 2)).astype(float), rng.integers(0, 3, (5, 2)).astype(float)
    found = find_linked(targets, known, k)
    assert (find_linked(targets, known, k + 1) >= found).all()
    order = rng.permutation(9)
    assert (find_linked(targets, (known[0][order], known[1][order]), k) == found).all()


def test_both_halves_tell_about_equally_much() -> None:
    names = ["a", "b", "c", "d", "e"]
    values = [np.arange(64) % m for m in (64, 32, 16, 8, 4)]
    halves = split_columns(Dataset.from_arrow(pa.table(dict(zip(names, values)))), names)
    assert halves == (("a", "d", "e"), ("b", "c"))


def test_one_column_has_no_halves(people, compare, rng) -> None:
    one = people(50, 1).select(["x"])
    with pytest.raises(NotMeasurable, match="two columns"):
        Linkability().compute(compare(one, one), rng)

"""How often rows lie nearer to train, and how sure that is."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinset.core.contracts import NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.evaluation.privacy.nearest_record import NearestRecord, balanced_share


@given(st.floats(0, 1), st.integers(1, 1000))
def test_with_sets_of_equal_size_it_is_the_plain_share(nearer_to_holdout: float, n: int) -> None:
    assert balanced_share(nearer_to_holdout, n, n) == pytest.approx(1 - nearer_to_holdout)


@pytest.mark.parametrize("n_train", [300, 1500])
def test_fresh_rows_are_neutral_whatever_the_sizes(people, compare, rng, n_train: int) -> None:
    found = NearestRecord().compute(
        compare(people(1500, 1), people(300, 2), people(n_train, 3)), rng
    )
    assert found.value == pytest.approx(0.5, abs=0.08)
    assert found.replicates.mean() == pytest.approx(found.value, abs=0.02)


@pytest.mark.parametrize("n_train", [300, 1500])
def test_a_copy_of_train_is_never_nearer_to_the_holdout(people, compare, rng, n_train: int) -> None:
    train = people(n_train, 3)
    found = NearestRecord().compute(compare(train, people(300, 2), train), rng)
    assert found.value == pytest.approx(1.0, abs=0.01)
    assert found.facts["median_distance"]["to_train"] == 0


def test_ties_count_half(compare, rng, people) -> None:
    same = people(50, 1)
    assert NearestRecord().compute(compare(people(50, 2), same, same), rng).value == 0.5


def test_few_rows_without_an_event_are_not_certain(people, compare, rng) -> None:
    train = people(30, 3)
    assert (
        NearestRecord().compute(compare(train, people(30, 2), train), rng).replicates.std() > 0.01
    )


def test_nothing_to_look_at_is_said(people, compare, rng) -> None:
    empty: Dataset = people(5, 1).filter(np.zeros(5, dtype=bool))
    with pytest.raises(NotMeasurable):
        NearestRecord().compute(compare(empty, people(5, 2)), rng)


def test_rows_that_are_all_nearest_to_one_record_tell_nothing(compare, rng) -> None:
    # Far from all real rows, every synthetic row is nearest to the one real row on its side.
    def rows(*values: float) -> Dataset:
        return Dataset.from_arrow(pa.table({"a": list(values), "b": list(values)}))

    train, holdout = rows(*np.linspace(0, 1, 40)), rows(*np.linspace(0.01, 0.99, 40))
    found = NearestRecord().compute(compare(rows(*np.linspace(50, 60, 300)), holdout, train), rng)
    assert found.facts["nearest_records"] == 1
    assert np.quantile(found.replicates, 0.05) < 0.5

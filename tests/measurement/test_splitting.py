import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinset.core.data.dataset import Dataset
from twinset.core.errors import DataError, ParameterError, SchemaError
from twinset.core.seeding import rng_for
from twinset.measurement.comparison import split_rows


def split(
    data: Dataset, by: str, on: str | None = None, fraction: float = 0.3
) -> tuple[list, list]:
    train, holdout = split_rows(
        data,
        by=by,  # type: ignore[arg-type]
        on=on,
        holdout_fraction=fraction,
        rng=rng_for(1, "split"),
    )
    return train.tolist(), holdout.tolist()


def test_by_time_the_latest_rows_are_locked_and_one_instant_is_never_cut() -> None:
    data = Dataset.from_arrow(pa.table({"t": [5.0, 1.0, 3.0, 3.0, 4.0, 2.0]}))
    assert split(data, "time", "t", 0.5) == ([1, 2, 3, 5], [0, 4])


def test_by_group_no_group_is_in_both_sets() -> None:
    cards = [f"c{i % 7}" for i in range(100)]
    data = Dataset.from_arrow(pa.table({"card": cards}))
    train, holdout = split(data, "group", "card")
    assert {cards[i] for i in train}.isdisjoint({cards[i] for i in holdout})
    assert 0.2 < len(holdout) / 100 < 0.5


def test_given_parts_are_taken_as_they_are() -> None:
    data = Dataset.from_arrow(pa.table({"part": ["train", "holdout", "train"]}))
    assert split(data, "given", "part") == ([0, 2], [1])


@given(st.integers(20, 200), st.floats(0.1, 0.5), st.integers(5, 15))
def test_stratified_keeps_the_shares_of_the_labels(n: int, fraction: float, rare: int) -> None:
    labels = ["b"] * rare + ["a"] * (n - rare)
    data = Dataset.from_arrow(pa.table({"y": labels}))
    train, holdout = split(data, "stratified", "y", fraction)
    assert sorted(train + holdout) == list(range(n))
    assert abs(len(holdout) - fraction * n) <= 0.5
    found = sum(labels[i] == "b" for i in holdout)
    assert abs(found - fraction * rare) <= 1


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 2])
def test_a_fraction_outside_its_range_is_refused(fraction: float) -> None:
    with pytest.raises(ParameterError):
        split(Dataset.from_arrow(pa.table({"x": [1.0, 2.0]})), "stratified", None, fraction)


def test_an_empty_part_is_refused() -> None:
    with pytest.raises(DataError, match="no row"):
        split(Dataset.from_arrow(pa.table({"t": [1.0, 1.0]})), "time", "t")


def test_a_time_column_must_be_named_and_complete() -> None:
    data = Dataset.from_arrow(pa.table({"t": [1.0, None]}))
    with pytest.raises(SchemaError, match=r"split\.on"):
        split(data, "time")
    with pytest.raises(DataError, match="missing"):
        split(data, "time", "t")


def test_streams_depend_on_their_path_alone() -> None:
    first = rng_for(3, "a", "chunk-0").integers(1 << 40, size=4)
    assert np.array_equal(first, rng_for(3, "a", "chunk-0").integers(1 << 40, size=4))
    for other in (rng_for(3, "a", "chunk-1"), rng_for(4, "a", "chunk-0"), rng_for(3, "achunk-0")):
        assert not np.array_equal(first, other.integers(1 << 40, size=4))

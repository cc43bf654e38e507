import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinset.core.data.dataset import Dataset
from twinset.evaluation.gap._columns import (
    PooledColumn,
    compute_roundness,
    compute_value_roundness,
    cut_at,
    places_of,
    quantile_places,
)

values = st.one_of(st.none(), st.integers(-6, 6).map(float), st.sampled_from([0.1, 0.3, -2.5, 1e9]))
sides = st.lists(values, min_size=1, max_size=40)


def _sets(x: list[float | None], y: list[float | None]) -> tuple[Dataset, Dataset]:
    made, real = (pa.table({"x": pa.array(side, pa.float64())}) for side in (x, y))
    known = Dataset.from_arrow(pa.table({"x": [0.5, 1.5, 2.5]})).schema
    return Dataset.from_arrow(made, known), Dataset.from_arrow(real, known)


@given(sides, sides)
def test_codes_give_the_numbers_back(x: list[float | None], y: list[float | None]) -> None:
    made, real = _sets(x, y)
    column = PooledColumn.from_sets(made, real, "x")
    table = np.append(column.values, np.nan)
    assert (np.diff(column.values) > 0).all()
    places = column.rows(np.arange(len(table)))
    for codes, counts, side in zip(places, (column.synthetic, column.reference), (made, real)):
        assert np.array_equal(table[codes], side.values("x"), equal_nan=True)
        assert counts.tolist() == np.bincount(codes, minlength=len(table)).tolist()


def test_whole_numbers_are_counted_and_decimals_sorted_to_the_same_codes() -> None:
    whole = [3.0, 1.0, None, 7.0, 3.0]
    made, real = _sets(whole, whole[::-1])
    halves = _sets(
        *([None if v is None else v + 0.5 for v in side] for side in (whole, whole[::-1]))
    )
    one, other = PooledColumn.from_sets(made, real, "x"), PooledColumn.from_sets(*halves, "x")
    assert one.values.tolist() == (other.values - 0.5).tolist() == [1.0, 3.0, 7.0]
    places = np.arange(4)
    assert one.rows(places)[0].tolist() == other.rows(places)[0].tolist() == [1, 0, 3, 2, 1]


def test_labels_of_both_sets_are_coded_and_missing_comes_last() -> None:
    made = Dataset.from_arrow(pa.table({"c": ["b", None, "z"]}))
    real = Dataset.from_arrow(pa.table({"c": ["a", "b", "b"]}))
    column = PooledColumn.from_sets(made, real, "c")
    assert column.rows(np.arange(4))[0].tolist() == [1, 3, 2]
    assert column.reference.tolist() == [1.0, 2.0, 0.0, 0.0]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=60), st.integers(2, 30))
def test_quantiles_are_those_of_numpy(x: list[int], n: int) -> None:
    shares = np.linspace(0, 1, n + 1)
    counts = np.bincount(x).astype(float)
    expected = np.quantile(np.array(x), shares, method="inverted_cdf")
    assert quantile_places(counts, shares).tolist() == expected.tolist()
    assert places_of(counts, np.arange(len(x))).tolist() == sorted(x)


@given(sides, sides)
def test_roundness_of_distinct_values_is_that_of_the_rows(
    x: list[float | None], y: list[float | None]
) -> None:
    made, real = _sets(x, y)
    column = PooledColumn.from_sets(made, real, "x")
    by_row, by_value = compute_roundness(real, [made], "x"), compute_value_roundness(column)
    assert (by_row is None) == (by_value is None)
    if by_row is not None and by_value is not None:
        table = np.append(by_value, np.nan)
        for found, expected in zip(column.rows(table), by_row[::-1]):
            assert np.array_equal(found, expected, equal_nan=True)


def test_roundness_of_dates_is_in_steps_of_time() -> None:
    days = pa.array([0, 86_400_000_000, 3_600_000_000], pa.int64()).cast(pa.timestamp("us"))
    data = Dataset.from_arrow(pa.table({"t": days}))
    found = compute_value_roundness(PooledColumn.from_sets(data, data, "t"))
    assert found == pytest.approx([5.0, 4.0, 5.0])


@given(st.sets(st.integers(0, 20)), st.integers(21, 30))
def test_places_are_cut_as_numpy_searches_them(edges: set[int], k: int) -> None:
    rising = np.array(sorted(edges), dtype=np.int64)
    assert cut_at(rising, k).tolist() == np.searchsorted(rising, np.arange(k)).tolist()


def test_the_reference_is_coded_once_where_it_is_kept() -> None:
    made, real = _sets([0.5, 2.5], [1.5, None])
    cache: dict[str, object] = {}
    first = PooledColumn.from_sets(made, real, "x", cache)
    second = PooledColumn.from_sets(real, real, "x", cache)
    assert first.coded[1] is second.coded[1]
    assert second.values.tolist() == [1.5]
    assert first.values.tolist() == [0.5, 1.5, 2.5]

"""Tables become floats and come back as they were."""

from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinset.core.data.dataset import Dataset
from twinset.core.data.encoding import TableEncoding, round_to_step
from twinset.core.data.schema import Field, Schema
from twinset.core.errors import DataError, SchemaError


def mixed() -> Dataset:
    noon = datetime(2024, 1, 2, 12, tzinfo=UTC)
    table = pa.table(
        {
            "price": [1.25, None, 3.5, 2.0],
            "free": [0.1 + 1e-9, 1 / 3, 2.0, -7.0],
            "half": pa.array([0.5, 1.5, None, 2.5], pa.float32()),
            "cents": pa.array([Decimal("1.10"), Decimal("2.05"), None, Decimal("0.01")]),
            "age": pa.array([3, None, 200, 7], pa.uint8()),
            "big": pa.array([2**62, 5, -(2**62), 0], pa.int64()),
            "sex": ["f", "m", None, "m"],
            "ok": [True, None, False, True],
            "day": pa.array([noon, noon, None, noon], pa.timestamp("us", tz="UTC")),
            "empty": pa.array([None] * 4, pa.string()),
        }
    )
    return Dataset.from_arrow(table)


def test_decode_undoes_encode_for_every_kind_and_type() -> None:
    real = mixed()
    encoding = TableEncoding.from_dataset(real)
    matrix = encoding.encode(real)
    assert np.isfinite(matrix).all()
    back = encoding.decode(matrix)
    assert back.schema == real.schema
    assert back.to_arrow().to_pylist() == real.to_arrow().to_pylist()
    assert encoding.decode(matrix, np.random.default_rng(0)).digest == back.digest


def test_matrix_by_hand() -> None:
    real = Dataset.from_arrow(pa.table({"n": [4, None, 8, 9], "c": ["b", "a", "b", None]}))
    matrix = TableEncoding.from_dataset(real).encode(real)
    # value, missing, code, missing; fills are the median 8 and the commonest code 1 ("b").
    expected = [[4, 0, 1, 0], [8, 1, 0, 0], [8, 0, 1, 0], [9, 0, 1, 1]]
    assert matrix.tolist() == expected


def test_values_are_put_on_their_grid_inside_the_range_seen() -> None:
    real = Dataset.from_arrow(pa.table({"price": [1.25, 3.5, 3.0], "n": [1, 5, 9]}))
    back = TableEncoding.from_dataset(real).decode(np.array([[2.3449, 5.4], [99.0, -3.0]]))
    assert back.records.to_pylist() == [{"price": 2.34, "n": 5}, {"price": 3.5, "n": 1}]


def test_whole_days_stay_whole_days() -> None:
    days = pa.array([datetime(2024, 1, 1), datetime(2024, 1, 9), None], pa.timestamp("us"))
    encoding = TableEncoding.from_dataset(Dataset.from_arrow(pa.table({"d": days})))
    middle = np.array([[datetime(2024, 1, 4, 15, tzinfo=UTC).timestamp() * 1e6, 0.0]])
    assert encoding.decode(middle).records.column("d").to_pylist() == [datetime(2024, 1, 5)]


@given(st.floats(-1e6, 1e6), st.sampled_from([1.0, 0.1, 0.01, 60e6]))
def test_rounding_at_random_takes_a_neighbouring_grid_point(value: float, step: float) -> None:
    drawn = round_to_step(np.full(20, value), step, np.random.default_rng(0))
    assert np.all(np.abs(drawn - value) <= step * (1 + 1e-9) + 1e-9)
    assert np.allclose(drawn / step, np.rint(drawn / step), atol=1e-6)


def test_rounding_at_random_keeps_the_mean_and_rounding_down_would_not() -> None:
    drawn = round_to_step(np.full(100_000, 2.75), 1.0, np.random.default_rng(0))
    assert drawn.mean() == pytest.approx(2.75, abs=0.01)


def test_only_the_named_fields_are_decoded() -> None:
    real = mixed()
    encoding = TableEncoding.from_dataset(real)
    some = encoding.decode(encoding.encode(real), names=["sex", "age"])
    assert some.records.to_pylist() == real.select(["sex", "age"]).records.to_pylist()


def test_what_was_not_seen_is_refused_without_naming_it() -> None:
    encoding = TableEncoding.from_dataset(Dataset.from_arrow(pa.table({"c": ["a", "b"] * 3})))
    with pytest.raises(DataError, match="labels that the train set did not have") as caught:
        encoding.encode(Dataset.from_arrow(pa.table({"c": ["secret", "a"] * 3})))
    assert "secret" not in str(caught.value)
    with pytest.raises(DataError, match="missing values"):
        encoding.encode(Dataset.from_arrow(pa.table({"c": ["a", None] * 3})))


def test_texts_cannot_be_encoded() -> None:
    schema = Schema((Field(name="note", kind="text"),))
    with pytest.raises(SchemaError, match="'note'"):
        TableEncoding.from_dataset(Dataset.from_arrow(pa.table({"note": ["hello"]}), schema))

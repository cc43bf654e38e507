"""Conditions are met exactly, and what cannot be met ends in a sentence."""

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.data.conditions import column_masks, keep_drawing, parents_of, rows_to_learn_from
from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.core.errors import FitError, ParameterError, SchemaError

REAL = Dataset.from_arrow(pa.table({"a": [1, 2, 3, 4], "c": ["x", "x", "y", "y"]}))


def counter(start: int = 0) -> tuple[list[int], object]:
    """Return the sizes asked for so far, and a drawer of ever the same ten values of `a`."""
    asked: list[int] = []

    def draw(size: int) -> Dataset:
        asked.append(size)
        values = np.arange(start, start + size) % 10
        return Dataset(pa.table({"a": values}), REAL.schema.select(["a"]))

    return asked, draw


def test_masks_by_hand() -> None:
    masks = column_masks(REAL, Where({"a": {"ge": 3}, "c": "x"}))
    assert masks["a"].tolist() == [False, False, True, True]
    assert masks["c"].tolist() == [True, True, False, False]


def test_a_condition_that_no_row_meets_names_its_column() -> None:
    with pytest.raises(ParameterError, match="'a'") as caught:
        column_masks(REAL, Where({"c": "x", "a": {"gt": 4}}))
    assert "'c'" not in str(caught.value)
    with pytest.raises(SchemaError, match="'b'"):
        column_masks(REAL, Where({"b": 1}))


@pytest.mark.parametrize("n", [0, 1, 7, 500])
def test_drawing_goes_on_until_there_are_exactly_n(n: int) -> None:
    _, draw = counter()
    made = keep_drawing(draw, n, Where({"a": {"ge": 9}}))
    assert len(made) == n
    assert set(made.values("a")) <= {9.0}


def test_drawing_gives_up() -> None:
    asked, draw = counter()
    with pytest.raises(ParameterError, match="'a'"):
        keep_drawing(draw, 5, Where({"a": 11}), rounds=6)
    assert len(asked) == 6
    assert max(asked) <= 65_536


def test_a_set_to_learn_from_is_checked() -> None:
    assert rows_to_learn_from(REAL, {"integer", "category"}, component="x") is REAL
    with pytest.raises(FitError, match="needs a real set"):
        rows_to_learn_from(None, {"integer"}, component="x")
    with pytest.raises(FitError, match="4 rows"):
        rows_to_learn_from(REAL, {"integer", "category"}, component="x", min_rows=5)
    with pytest.raises(SchemaError, match="'c'"):
        rows_to_learn_from(REAL, {"integer"}, component="x")


def test_parents_are_the_ids_of_the_rows() -> None:
    stamped = REAL.with_reserved(ids=["p", "q", "r", "s"])
    assert parents_of(stamped, np.array([2, 0])).to_pylist() == [["r"], ["p"]]
    assert parents_of(stamped, np.array([], dtype=int)).to_pylist() == []
    assert parents_of(REAL, np.array([0])) is None


def test_an_impossible_condition_names_what_is_nearest() -> None:
    towns = ["Bern", "Basel", "Bern", "Thule", "Bern", "Basel"]
    table = pa.table({"amount": [12.5, 987.0, 3.0] * 2, "town": towns})
    train = Dataset.from_arrow(table)
    with pytest.raises(ParameterError, match=r"values from about 3 to 990"):
        column_masks(train, Where({"amount": {"gt": 5000}}))
    with pytest.raises(
        ParameterError, match=r"Basel, Bern, and 1 further level .*; did you mean 'Basel'"
    ):
        column_masks(train, Where({"town": "Basle"}))

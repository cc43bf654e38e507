import pyarrow as pa
import pytest

from twinset.core.contracts import Comparison, NotMeasurable
from twinset.core.dataset import Dataset
from twinset.evaluation.coverage.population import Population, declared_shares


def measured(table: dict, population: dict, rng):
    made = Dataset.from_arrow(pa.table(table))
    empty = made.slice(0, 0)
    return Population().compute(Comparison(empty, made, empty, population=population), rng)


def test_the_worst_column_counts_and_every_level_is_told(rng) -> None:
    table = {"sex": ["f", "f", "f", "m"], "town": ["a", "b", "a", "b"]}
    shares = {"town": {"a": 0.5, "b": 0.5}, "sex": {"f": 0.5, "m": 0.5}}
    found = measured(table, shares, rng)
    assert found.value == 0.25
    assert found.details["columns"] == {"sex": 0.25, "town": 0.0}
    assert found.details["levels"]["sex"]["m"] == {"found": 0.25, "declared": 0.5}


def test_a_declared_group_that_is_absent_is_missing_in_full(rng) -> None:
    found = measured({"sex": ["f"] * 4}, {"sex": {"f": 0.75, "m": 0.25}}, rng)
    assert found.value == 0.25
    assert found.details["levels"]["sex"]["m"]["found"] == 0


def test_undeclared_levels_and_missing_values_are_any_other(rng) -> None:
    found = measured({"c": ["a", "x", None, "a"]}, {"c": {"a": 0.5}}, rng)
    assert found.value == 0
    assert found.details["levels"]["c"]["(any other)"] == {"found": 0.5, "declared": 0.5}


def test_numbers_and_booleans_are_matched_as_text(rng) -> None:
    shares = {"n": {1: 0.25, 2: 0.25, 3: 0.5}, "b": {"true": 0.75, "false": 0.25}}
    found = measured({"n": [1, 2, 3, 3], "b": [True, True, True, False]}, shares, rng)
    assert found.value == 0


def test_rounded_shares_are_stretched_to_one() -> None:
    shares = declared_shares("c", {"a": 0.33, "b": 0.33, "c": 0.33})
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["(any other)"] == 0


@pytest.mark.parametrize("shares", [{"a": 0.8, "b": 0.7}, {"a": -0.1, "b": 0.5}])
def test_impossible_shares_are_named(shares: dict, rng) -> None:
    with pytest.raises(NotMeasurable, match="'c'"):
        measured({"c": ["a", "b"]}, {"c": shares}, rng)


def test_nothing_declared_is_said(rng) -> None:
    with pytest.raises(NotMeasurable, match="no population declared in the brief"):
        measured({"c": ["a", "b"]}, {}, rng)
    with pytest.raises(NotMeasurable, match="none of the columns"):
        measured({"c": ["a", "b"]}, {"d": {"a": 1.0}}, rng)

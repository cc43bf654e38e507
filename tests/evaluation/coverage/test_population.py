import pyarrow as pa
import pytest

from twinset.core.contracts import Comparison, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.findings import ColumnDistances, LevelShare, LevelShares
from twinset.evaluation.coverage.population import Population, declared_shares


def measured(table: dict, population: dict, rng):
    made = Dataset.from_arrow(pa.table(table))
    empty = made.slice(0, 0)
    return Population().compute(Comparison(empty, made, empty, population=population), rng)


def test_the_worst_column_counts_and_every_level_is_reported(rng) -> None:
    table = {"sex": ["f", "f", "f", "m"], "town": ["a", "b", "a", "b"]}
    shares = {"town": {"a": 0.5, "b": 0.5}, "sex": {"f": 0.5, "m": 0.5}}
    found = measured(table, shares, rng)
    assert found.value == 0.25
    assert found.finding(ColumnDistances).distances == {"sex": 0.25, "town": 0.0}
    assert LevelShare("sex", "m", 0.25, 0.5) in found.finding(LevelShares).levels


def test_a_declared_group_that_is_absent_is_missing_in_full(rng) -> None:
    found = measured({"sex": ["f"] * 4}, {"sex": {"f": 0.75, "m": 0.25}}, rng)
    assert found.value == 0.25
    assert LevelShare("sex", "m", 0.0, 0.25) in found.finding(LevelShares).levels


def test_undeclared_levels_and_missing_values_are_any_other(rng) -> None:
    found = measured({"c": ["a", "x", None, "a"]}, {"c": {"a": 0.5}}, rng)
    assert found.value == 0
    assert LevelShare("c", "(any other)", 0.5, 0.5) in found.finding(LevelShares).levels


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


def test_groups_of_two_columns_are_declared_together_and_the_worst_off_is_named(rng) -> None:
    table = {"sex": ["f", "f", "m", "m"] * 25, "town": ["a", "a", "a", "b"] * 25}
    shares = {"f and a": 0.25, "f and b": 0.25, "m and a": 0.25, "m and b": 0.25}
    found = measured(table, {"sex and town": shares, "sex": {"f": 0.5, "m": 0.5}}, rng)
    assert found.value == 0.25
    assert found.finding(ColumnDistances).distances == {"sex and town": 0.25, "sex": 0.0}
    assert found.finding(LevelShares).lowest == LevelShare("sex and town", "f and b", 0.0, 0.25)


def test_rows_without_one_of_the_levels_are_in_no_group(rng) -> None:
    table = {"sex": ["f", None, "m", "m"], "town": ["a", "a", None, "b"]}
    found = measured(table, {"sex and town": {"f and a": 0.25, "m and b": 0.25}}, rng)
    assert found.value == 0
    assert found.finding(LevelShares).levels[-1].found == 0.5


def test_intersections_are_reported_beside_independence_and_not_assessed(rng) -> None:
    table = {"sex": ["f", "m"] * 100, "town": ["a", "b"] * 100}
    shares = {"sex": {"f": 0.5, "m": 0.5}, "town": {"a": 0.5, "b": 0.5}}
    found = measured(table, shares, rng)
    assert found.value == 0
    assert [one["group"] for one in found.facts["intersections"]] == [
        "sex = f and town = b",
        "sex = m and town = a",
        "sex = f and town = a",
        "sex = m and town = b",
    ]
    few = measured({name: column[:60] for name, column in table.items()}, shares, rng)
    assert few.facts["intersections"] == []


def test_a_column_whose_name_holds_and_is_one_column(rng) -> None:
    found = measured({"bed and board": ["y", "n"]}, {"bed and board": {"y": 0.5, "n": 0.5}}, rng)
    assert found.value == 0
    assert found.finding(LevelShares).found_nothing

"""Columns of a candidate are read by what the real ones hold; what is written otherwise is named."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow as pa
import pytest

from twinset.core.data.schema import Field
from twinset.io.reading.expected import MAX_ROWS_NAMED, Expectation, named_faults, read_column

NUMBER, INTEGER, TIME, TRUTH = (
    Field(name="x", kind=kind) for kind in ("number", "integer", "datetime", "boolean")
)
LABEL = Field(name="x", kind="category", stored="string")
FLAG = Field(name="x", kind="category", stored="int64")
IN_2024 = (1.70e15, 1.74e15)  # microseconds since 1970


def read(
    cells: list[Any], field: Field, **expected: Any
) -> tuple[list[Any], list[tuple[str, str, int]]]:
    found = read_column(pa.chunked_array([pa.array(cells)]), Expectation(field, **expected))
    assert found.column.type == found.field.arrow_type
    faults = [(one.kind.value, one.sign, int(one.rows.sum())) for one in found.faults]
    return found.column.to_pylist(), faults


@pytest.mark.parametrize(
    ("cells", "bounds", "values", "sign"),
    [
        (["1,5", "7", ",25"], (0, 9), [1.5, 7, 0.25], "decimal commas"),
        (
            ["1.234,5", "7,25"],
            (0, 5000),
            [1234.5, 7.25],
            "decimal commas, points between thousands",
        ),
        (["1,234.5", "12"], (0, 5000), [1234.5, 12], "commas between thousands"),
        (["1 234,5", "12"], (0, 5000), [1234.5, 12], "decimal commas, spaces between thousands"),
        (["12", "1'234"], (0, 5000), [12, 1234], "apostrophes between thousands"),
        (["(5)", "3"], (-9, 9), [-5, 3], "brackets"),
        # Both are numbers with three decimals and thousands: real values decide.
        (["1,234", "2,500"], (900, 9000), [1234, 2500], "commas between thousands"),
        (["1,234", "2,500"], (0.5, 9), [1.234, 2.5], "decimal commas"),
        (["1.234", "2.500"], (900, 9000), [1234, 2500], "points between thousands"),
    ],
)
def test_numbers_in_another_notation_are_understood(
    cells: list[str], bounds: tuple[float, float], values: list[float], sign: str
) -> None:
    found, faults = read(cells, NUMBER, bounds=bounds)
    assert found == values
    assert [(kind, said) for kind, said, _ in faults] == [("notation of numbers", sign)]


def test_plain_cells_of_every_kind_are_no_fault() -> None:
    for cells, field in (
        (["1.5", "-2e3", None], NUMBER), (["1", "2"], INTEGER), (["true", "False"], TRUTH),
        (["2024-01-31", "2024-02-01 10:30:00"], TIME), (["a", None], LABEL), ([1.5, None], NUMBER),
        ([3, 4], NUMBER), ([True, None], TRUTH),
    ):  # fmt: skip
        assert read(cells, field, levels=("a", "b"), bounds=IN_2024)[1] == []


def test_one_cell_in_another_notation_leaves_the_others_alone() -> None:
    values, faults = read(["1.5", "2.5", "3,5", "n/k", "?"], NUMBER, bounds=(0, 9))
    assert values == [1.5, 2.5, 3.5, None, None]
    assert faults == [
        ("mark of missing values", "?", 1),
        ("notation of numbers", "decimal commas", 1),
        ("unreadable", "", 1),
    ]


def test_fractions_make_integers_numbers_and_points_do_not() -> None:
    found = read_column(pa.chunked_array([["1", "2.5"]]), Expectation(INTEGER))
    assert (found.field.kind, found.column.to_pylist()) == ("number", [1.0, 2.5])
    assert named_faults("x", found.faults)[0].rows == (2,)
    assert read(["1.0", "2"], INTEGER) == ([1, 2], [("integers as floats", "", 1)])
    assert read([1.0, float("nan")], INTEGER) == ([1, None], [("integers as floats", "", 1)])
    # Digits of large integers are not lost on the way.
    assert read(["9007199254740993.0"], INTEGER)[0] == [9007199254740993]


def test_infinite_numbers_and_other_types_are_missing() -> None:
    assert read([1.0, float("inf")], NUMBER) == ([1.0, None], [("unreadable", "", 1)])
    assert read(["inf", "2"], NUMBER) == ([None, 2.0], [("unreadable", "", 1)])
    assert read([dt.date(2024, 1, 1)], NUMBER) == ([None], [("unreadable", "", 1)])


@pytest.mark.parametrize(
    ("cells", "day", "sign"),
    [
        (["31/01/2024", "05/02/2024"], 5, "slashes, day first"),
        (["01/31/2024", "02/05/2024"], 5, "slashes, month first"),
        (["1.2.2024", "31.1.2024"], 1, "dots, day first"),
        (["2024/02/05"], 5, "year first"),
        (["20240205"], 5, "digits"),
        (["5 Feb 2024"], 5, "day, month in words"),
        (["05.02.24"], 5, "years of two digits, day first, either order fits"),
        (["2024-02-05T00:00:00"], 5, "T before the time"),
        ([1_707_091_200], 5, "seconds since 1970"),
        ([1_707_091_200_000], 5, "milliseconds since 1970"),
    ],
)
def test_dates_in_another_notation_are_understood(cells: list[Any], day: int, sign: str) -> None:
    values, faults = read(cells, TIME, bounds=IN_2024)
    assert dt.datetime(2024, 2, day) in values
    assert faults == [("notation of dates", sign, len(cells))]


def test_days_of_no_calendar_are_missing() -> None:
    values, faults = read(["2024-02-30", "2024-02-29", "2024-02-28 25:00:00"], TIME, bounds=IN_2024)
    assert values == [None, dt.datetime(2024, 2, 29), None]
    assert faults == [("unreadable", "", 2)]


def test_a_zone_is_named_and_its_clock_is_read() -> None:
    values, faults = read(["2024-02-05 12:00:00+01:00"], TIME, bounds=IN_2024)
    assert (values, faults) == ([dt.datetime(2024, 2, 5, 12)], [("time zone", "+01:00", 1)])
    zoned = pa.array([dt.datetime(2024, 2, 5, 11)], pa.timestamp("us", "UTC"))
    there = pa.chunked_array([zoned.cast(pa.timestamp("us", "Europe/Berlin"))])
    found = read_column(there, Expectation(TIME))
    assert found.column.to_pylist() == [dt.datetime(2024, 2, 5, 12)]
    utc = Field(name="x", kind="datetime", stored="timestamp[us, tz=UTC]")
    assert read(["2024-02-05T12:00:00Z"], utc)[1] == []
    assert read(["2024-02-05 12:00:00"], utc)[1] == [("time zone", "none", 1)]


@pytest.mark.parametrize(
    ("cells", "field", "levels", "values", "fault"),
    [
        (["yes", "no"], TRUTH, (), [True, False], ("words for true and false", "no, yes", 2)),
        ([1, 0], TRUTH, (), [True, False], ("words for true and false", "0, 1", 2)),
        ([True, False], FLAG, ("0", "1"), ["1", "0"], ("words for true and false", "false, true", 2)),
        ([1.0, 0.0], FLAG, ("0", "1"), ["1", "0"], ("integers as floats", "", 2)),
        (["1.0", "0"], FLAG, ("0", "1"), ["1", "0"], ("integers as floats", "", 1)),
        (["MALE", "W"], LABEL, ("Male", "w"), ["Male", "w"], ("spelling of levels", "case", 2)),
        (["a ", "b"], LABEL, ("a", "c"), ["a", "b"], ("spelling of levels", "spaces", 1)),
        (["a", "NULL"], LABEL, ("a", "b"), ["a", None], ("mark of missing values", "null", 1)),
        (["a", None], LABEL, ("a", "?"), ["a", "?"], ("mark of missing values", "empty cells", 1)),
    ],
)  # fmt: skip
def test_levels_in_another_spelling_are_understood(
    cells: list[Any], field: Field, levels: tuple[str, ...], values: list[Any], fault: Any
) -> None:
    assert read(cells, field, levels=levels) == (values, [fault])


def test_single_cells_in_another_case_are_other_levels() -> None:
    """Some real sets hold both; that they are unknown levels is for the checks of rows to count."""
    assert read(["Male", "MALE"], LABEL, levels=("Male", "Female")) == (["Male", "MALE"], [])
    assert read(["None", "a"], LABEL, levels=("None", "a")) == (["None", "a"], [])


def test_texts_in_the_place_of_numbers_are_a_fault_where_values_have_types() -> None:
    assert read(["1", "2"], INTEGER, is_typed=True) == ([1, 2], [("numbers as texts", "texts", 2)])
    assert read(["17.0"], Field(name="x", kind="id", stored="int64")) == (
        ["17"],
        [("integers as floats", "", 1)],
    )


def test_a_wider_type_holds_what_the_real_one_does_not() -> None:
    narrow = Field(name="x", kind="integer", stored="int8")
    assert read([5, 300], narrow) == ([5, 300], [])


def test_rows_are_named_up_to_a_limit() -> None:
    found = read_column(pa.chunked_array([["x"] * 50]), Expectation(NUMBER))
    (fault,) = named_faults("x", found.faults)
    assert (fault.n_rows, fault.rows[0], len(fault.rows)) == (50, 1, MAX_ROWS_NAMED)

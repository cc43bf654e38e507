"""Dates are read where their order is certain."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest

from twinset.core.data.reading import Reason
from twinset.io.reading.notation import interpret
from twinset.io.reading.options import ReadOptions

DAY = dt.date(2021, 12, 31)
NOON = dt.datetime(2021, 12, 31, 13, 5)

READ = {
    "points": ("31.12.2021", DAY),
    "day first": ("31/12/2021", DAY),
    "month first": ("12/31/2021", DAY),
    "hyphens": ("31-12-2021", DAY),
    "year first": ("2021/12/31", DAY),
    "words": ("31 Dec 2021", DAY),
    "a hyphen and a word": ("31-Dec-2021", DAY),
    "a word first": ("December 31, 2021", DAY),
    "points and time": ("31.12.2021 13:05", NOON),
    "halves of the day": ("12/31/2021 1:05 PM", NOON),
    "seconds": ("31/12/2021 13:05:00", NOON),
}


@pytest.mark.parametrize("case", READ)
def test_dates_of_one_order_are_read(case: str) -> None:
    text, value = READ[case]
    found = interpret(pa.chunked_array([[text, None, text]]), "x", ReadOptions())
    assert found.column.to_pylist() == [value, None, value]
    assert [one.reason for one in found.remarks] == [Reason.DATE_NOTATION]


KEPT = {
    "either order": (["03/04/2021", "05/06/2021"], Reason.DATE_ORDER),
    "both orders": (["13/04/2021", "05/26/2021"], Reason.DATES_MIXED),
    "two notations": ([*["2021-01-05"] * 9, "13.01.2021"], Reason.DATES_MIXED),
    "another cell": ([*["2021-01-05"] * 9, "never"], Reason.DATES_MIXED),
    "no such day": ([*["2021-01-05"] * 9, "2021-02-30"], Reason.DATES_MIXED),
    "no such time": (["31.12.2021 25:00"], Reason.DATES_MIXED),
    "short years": (["31.12.21", "01.02.22"], Reason.SHORT_YEARS),
}


@pytest.mark.parametrize("case", KEPT)
def test_uncertain_dates_stay_texts_with_a_remark(case: str) -> None:
    cells, reason = KEPT[case]
    found = interpret(pa.chunked_array([cells]), "x", ReadOptions())
    assert found.column.to_pylist() == cells
    (remark,) = found.remarks
    assert remark.reason is reason
    assert not remark.is_sure


def test_a_requested_order_decides() -> None:
    column = pa.chunked_array([["03/04/2021"]])
    for order, day in (("day-first", dt.date(2021, 4, 3)), ("month-first", dt.date(2021, 3, 4))):
        assert interpret(column, "x", ReadOptions(dates=order)).column.to_pylist() == [day]


def test_a_requested_order_that_does_not_fit_leaves_texts() -> None:
    column = pa.chunked_array([["03/14/2021"]])
    found = interpret(column, "x", ReadOptions(dates="day-first"))
    assert found.column.to_pylist() == ["03/14/2021"]

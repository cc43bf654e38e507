"""Dates such as 31.12.2024, 12/31/2024 or 5 Jan 2021 in a column of texts."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.reading import Reason, Remark
from twinset.core.errors import DataError

_SECONDS_A_DAY = 86_400  # as Arrow counts time, without leap seconds
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}  # of each unit of Arrow
_FIRST_DAY, _END_DAY = -719_162, 2_932_897  # 1 January of the years 1 and 10000, from 1970
_MIN_SHARE = 0.8  # of sampled cells that look like dates
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_TIME = r"(?:[ T,]+(?P<H>[0-9]{1,2}):(?P<M>[0-9]{2})(?::(?P<S>[0-9]{2}))? ?(?P<p>[AaPp][Mm])?)?"
_YEAR = r"(?P<y>[0-9]{4})"
_MONTH_NAME = r"(?P<m>[A-Za-z]{3,9})\.?"
_FIRST, _SECOND = r"(?P<a>[0-9]{1,2})", r"(?P<b>[0-9]{1,2})"
DATES = {  # RE2 patterns; a and b are day and month in an order to be found
    "iso": rf"{_YEAR}-(?P<m>[0-9]{{1,2}})-(?P<d>[0-9]{{1,2}})",
    "year first": rf"{_YEAR}[/.](?P<m>[0-9]{{1,2}})[/.](?P<d>[0-9]{{1,2}})",
    "dots": rf"{_FIRST}\.{_SECOND}\.{_YEAR}",
    "slashes": rf"{_FIRST}/{_SECOND}/{_YEAR}",
    "hyphens": rf"{_FIRST}-{_SECOND}-{_YEAR}",
    "day, month in words": rf"(?P<d>[0-9]{{1,2}})[ -]{_MONTH_NAME}[ ,-]+{_YEAR}",
    "month in words, day": rf"{_MONTH_NAME} (?P<d>[0-9]{{1,2}}),? {_YEAR}",
}
_PATTERNS = {key: date + _TIME for key, date in DATES.items()}
_SHORT = r"[0-9]{1,2}[./-](?:[0-9]{1,2}|[A-Za-z]{3})[./-][0-9]{2}"
Markers = Callable[[pa.ChunkedArray], pa.ChunkedArray]
FoundDates = tuple[pa.ChunkedArray, tuple[Remark, ...]]


def find_dates(
    column: pa.ChunkedArray, name: str, sample: Sequence[str], order: str, markers: Markers
) -> FoundDates | None:
    """Return the column as dates or times with remarks, as it is with a remark, or None without dates.

    `sample` are some of its cells, `order` "day-first", "month-first" or empty.
    """
    compiled = {key: re.compile(pattern) for key, pattern in _PATTERNS.items()}
    counts = {
        key: sum(one.fullmatch(text) is not None for text in sample)
        for key, one in compiled.items()
    }
    n_short = sum(re.match(_SHORT + r"(?:$|[ T])", text) is not None for text in sample)
    if sum(counts.values()) + n_short < _MIN_SHARE * len(sample) or not sample:
        return None
    best = max(counts, key=lambda key: counts[key])
    if n_short > counts[best]:
        return column, (Remark(reason=Reason.SHORT_YEARS, column=name),)
    texts = pc.utf8_trim_whitespace(column)
    missing = pc.fill_null(pc.or_(markers(texts), pc.equal(texts, "")), True)
    fits = pc.match_substring_regex(texts, f"^{_PATTERNS[best]}$")
    bad = pc.and_(pc.invert(missing), pc.invert(pc.fill_null(fits, False)))
    values = None
    if not pc.any(bad).as_py():
        parts = pc.extract_regex(texts, f"^{_PATTERNS[best]}$").combine_chunks()
        found = _order(parts, best, order)
        if found is None:
            return column, (Remark(reason=Reason.DATE_ORDER, column=name),)
        values = _as_times(parts, found)
    if values is None:
        return column, (_mixed(bad, name),)
    n = int(pc.sum(pc.and_(missing, pc.fill_null(pc.not_equal(texts, ""), False))).as_py() or 0)
    remarks = [Remark(reason=Reason.MARKER_MISSING, column=name, rows=n)] if n else []
    remarks.append(Remark(reason=Reason.DATE_NOTATION, column=name, sign=best))
    return pa.chunked_array([values]), tuple(remarks)


def _mixed(bad: pa.ChunkedArray, name: str) -> Remark:
    rows = np.flatnonzero(bad.to_numpy(zero_copy_only=False).astype(bool))
    first = int(rows[0]) + 2 if len(rows) else None
    return Remark(reason=Reason.DATES_MIXED, column=name, rows=len(rows) or None, row=first)


def _order(parts: pa.StructArray, pattern: str, order: str) -> dict[str, str] | None:
    """Return the groups of day and month: {"d": group, "m": group}; None where either order fits."""
    names = {one.name for one in parts.type}
    if "a" not in names:
        return {"d": "d", "m": "m"}
    first, second = (_largest(parts, key) for key in "ab")
    if order:
        return {"d": "a", "m": "b"} if order == "day-first" else {"d": "b", "m": "a"}
    if first > 12 or second > 12:  # where both are, no order fits, and the conversion fails
        return {"d": "a", "m": "b"} if first > 12 else {"d": "b", "m": "a"}
    # With dots, the day comes first in every country that writes dates so.
    return {"d": "a", "m": "b"} if pattern == "dots" else None


def _largest(parts: pa.StructArray, key: str) -> int:
    return int(pc.max(pc.cast(_group(parts, key), pa.int64())).as_py() or 0)


def _group(parts: pa.StructArray, key: str) -> pa.Array:
    """Return a group of the pattern; missing where the row is, which the group itself does not show."""
    return pc.if_else(parts.is_valid(), parts.field(key), pa.scalar(None, pa.string()))


def _as_times(parts: pa.StructArray, groups: dict[str, str]) -> pa.Array | None:
    """Return dates, or times of whole seconds; None where one is not in the calendar."""
    month = _month_numbers(_group(parts, groups["m"]))
    if month is None:
        return None
    days = pc.binary_join_element_wise(
        _group(parts, "y"), _two_digits(month), _two_digits(_group(parts, groups["d"])), "-"
    )
    try:
        dates = pc.cast(days, pa.date32())
    except pa.ArrowInvalid:
        return None
    hours = _group(parts, "H")
    has_time = pc.any(pc.not_equal(hours, "")).as_py()
    if not has_time:
        return dates
    seconds = _seconds(
        hours, _group(parts, "M"), _group(parts, "S"), pc.utf8_lower(_group(parts, "p"))
    )
    if seconds is None:
        return None
    return pc.add(pc.cast(dates, pa.timestamp("s")), pc.cast(seconds, pa.duration("s")))


def _month_numbers(texts: pa.Array) -> pa.Array | None:
    if not pc.any(pc.match_substring_regex(texts, "[A-Za-z]")).as_py():
        return texts
    short = pc.utf8_slice_codeunits(pc.utf8_lower(texts), 0, 3)
    at = pc.index_in(short, pa.array(MONTHS))
    if at.null_count > texts.null_count:
        return None
    return pc.cast(pc.add(at, 1), pa.string())


def _two_digits(texts: pa.Array) -> pa.Array:
    return pc.utf8_lpad(texts, 2, "0")


def _seconds(
    hours: pa.Array, minutes: pa.Array, seconds: pa.Array, half: pa.Array
) -> pa.Array | None:
    """Return seconds of the day; None where there is no such time."""

    def number(texts: pa.Array) -> pa.Array:
        return pc.cast(pc.if_else(pc.equal(texts, ""), "0", texts), pa.int64())

    hour, minute, second = number(hours), number(minutes), number(seconds)
    limit = 12 if pc.any(pc.not_equal(half, "")).as_py() else 23
    tops = [pc.max(one).as_py() or 0 for one in (hour, minute, second)]
    if tops[0] > limit or tops[1] > 59 or tops[2] > 59:
        return None
    noon = pc.if_else(pc.equal(half, ""), hour, pc.if_else(pc.equal(hour, 12), 0, hour))
    hour = pc.if_else(pc.equal(half, "pm"), pc.add(noon, 12), noon)
    return pc.add(pc.add(pc.multiply(hour, 3600), pc.multiply(minute, 60)), second)


def check_years(table: pa.Table, path: Path) -> None:
    """Raise DataError for dates and times of a file beyond the years that can be written as text."""
    for name, column in zip(table.column_names, table.columns):
        if pa.types.is_timestamp(column.type):
            a_day = _SECONDS_A_DAY * _PER_SECOND[column.type.unit]
        elif pa.types.is_date(column.type):
            a_day = 1 if pa.types.is_date32(column.type) else _SECONDS_A_DAY * _PER_SECOND["ms"]
        else:
            continue
        whole = pa.int32() if pa.types.is_date32(column.type) else pa.int64()
        ends = pc.min_max(pc.cast(column, whole)).as_py()
        if ends["min"] is None:
            continue
        if ends["min"] < _FIRST_DAY * a_day or ends["max"] >= _END_DAY * a_day:
            raise DataError(
                f"the column '{name}' of '{path}' holds times that no calendar has",
                got=f"values of the type {column.type} beyond the years 1 to 9999",
                allowed="the years 1 to 9999",
                todo="check the unit that the file states for them, or set them missing",
            )

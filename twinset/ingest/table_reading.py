"""Say what the columns of a table were understood as, on what that rests, and what is uncertain."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.dataset import Dataset
from twinset.core.data.kinds import ColumnSample, plain_values
from twinset.core.data.kinds.id import KEY_NAME, holds_keys
from twinset.core.data.reading import (
    MIN_SHOWN_ROWS,
    ColumnReading,
    Reason,
    Remark,
    TableReading,
)
from twinset.core.data.schema import Field
from twinset.io.reading.notation import MARKERS, interpret
from twinset.io.reading.options import ReadOptions

# Numbers that stand for missing values in many tables; negative ones, too
_NINES = (99, 999, 9_999, 99_999, 999_999, 9_999_999, 99_999_999)
_TRUTHS = frozenset(
    ("true", "false", "yes", "no", "y", "n", "t", "f", "on", "off", "1", "0", "1.0", "0.0")
)
_MIN_REPEATS = 2  # a marker occurs in more than one row
_GAP = 2  # times the range of the other values between them and a marker
_MIN_ROWS = 5  # in fewer rows, any numbers count or add up
_EXACT = 2**53  # from here float64, in which models compute, no longer holds every integer
# Seconds and milliseconds since 1970, from 1990 to 2050
_SECONDS = (631_152_000, 2_524_608_000)
_TIME_NAME = re.compile(r"time|date|stamp|epoch|created|updated|(^|_)(ts|at|when)$", re.IGNORECASE)
# Rows whose distinct values are counted: a million of each of 15 columns would take as long as reading
_MAX_DISTINCT_ROWS = 200_000
_MAX_COUNTED = 64  # columns whose sums are compared with their last row; wider tables show it, too


def read_columns(dataset: Dataset, remarks: Iterable[Remark] = ()) -> TableReading:
    """Return what the columns of a set are understood as, with the remarks of the reader.

    Examples
    --------
    >>> table = pa.table({"age": [31, 47, 50], "sex": ["f", "m", "m"]})
    >>> [one.kind for one in read_columns(Dataset.from_arrow(table)).columns]
    ['integer', 'category']
    """
    given = list(remarks)
    columns = []
    for field in dataset.schema.fields:
        column = dataset.records.column(field.name)
        own = [one for one in given if one.column == field.name]
        own += _remarks_on(field, column, own)
        own.sort(key=lambda one: one.is_sure)
        columns.append(
            ColumnReading(
                name=field.name,
                kind=field.kind,
                role=field.role,
                missing_share=column.null_count / max(len(column), 1),
                n_distinct=_count_distinct(column),
                remarks=tuple(own),
                is_counted=len(column) <= _MAX_DISTINCT_ROWS or field.kind == "category",
            )
        )
    of_file = [one for one in given if not one.column]
    if (total := _find_totals(dataset)) is not None:
        of_file.append(total)
    of_file.sort(key=lambda one: one.is_sure)
    return TableReading(n_rows=len(dataset), remarks=tuple(of_file), columns=tuple(columns))


def _count_distinct(column: pa.ChunkedArray) -> int | None:
    if pa.types.is_nested(column.type):
        return None
    if pa.types.is_dictionary(column.type):
        return len(pc.unique(column.unify_dictionaries()).drop_null())
    return int(pc.count_distinct(column.slice(0, _MAX_DISTINCT_ROWS)).as_py())


def _remarks_on(field: Field, column: pa.ChunkedArray, given: Sequence[Remark]) -> list[Remark]:
    """Return what the values of a column show, and the reason for its kind where there is no other."""
    found: list[Remark] = []
    name = field.name
    if name != name.strip():
        found.append(Remark(reason=Reason.PADDED_NAME, column=name))
    if column.null_count == len(column):
        return [*found, Remark(reason=Reason.NO_VALUES, column=name)]
    if field.is_numeric:
        found += _numeric_remarks(field, column)
    elif field.kind in ("category", "id", "text"):
        found += _text_remarks(field, column, {one.reason for one in given})
    if not (found or given):
        found.append(_basis(field, column))
    return found


def _basis(field: Field, column: pa.ChunkedArray) -> Remark:
    """Return what the kind of a column rests on where nothing is uncertain."""
    text = "string" in field.stored
    reason = Reason.STORED_TYPE
    if field.is_numeric:
        reason = Reason.NUMBER_CELLS
    elif field.is_time:
        reason = Reason.DATE_CELLS
    elif field.kind == "boolean":
        reason = Reason.TRUTH_CELLS
    elif field.kind == "category":
        reason = Reason.FEW_LEVELS if text or not field.stored else Reason.TWO_NUMBERS
        if "dictionary" in field.stored:
            reason = Reason.STORED_TYPE
    elif field.kind == "id":
        sample = ColumnSample(field.name, column)
        if KEY_NAME.search(field.name) or not text:
            reason = Reason.KEY_NAME
        else:
            reason = Reason.KEY_CELLS if holds_keys(sample) else Reason.NOT_REPEATED
    elif field.kind == "text":
        long = ColumnSample(field.name, column).mean_words >= _MIN_WORDS
        reason = Reason.LONG_TEXTS if long else Reason.NOT_REPEATED
    return Remark(reason=reason, column=field.name)


_MIN_WORDS = 4  # of a running text: fewer are names, addresses or codes


def _numeric_remarks(field: Field, column: pa.ChunkedArray) -> Iterator[Remark]:
    values = plain_values(column).drop_null()
    name = field.name
    ends = pc.min_max(values).as_py()
    low, high = float(ends["min"]), float(ends["max"])
    if low == high:
        yield Remark(reason=Reason.ONE_VALUE, column=name)
        return
    for end in {low, high}:
        if abs(end) in _NINES and (remark := _find_marker(values, name, end)) is not None:
            yield remark
    if max(-low, high) >= _EXACT and (field.is_whole or field.decimals == 0):
        yield Remark(reason=Reason.LARGE_NUMBERS, column=name)
    if not field.is_whole:
        return
    in_seconds = low >= _SECONDS[0] and high <= _SECONDS[1]
    in_thousandths = low >= 1000 * _SECONDS[0] and high <= 1000 * _SECONDS[1]
    if (in_seconds or in_thousandths) and _TIME_NAME.search(name):
        unit = "seconds" if in_seconds else "milliseconds"
        yield Remark(reason=Reason.TIME_NUMBERS, column=name, sign=unit)
    if low >= 19_000_101 and high <= 21_001_231 and _are_days(values):
        yield Remark(reason=Reason.DAY_NUMBERS, column=name)
    if len(values) == len(column) >= _MIN_ROWS and low in (0, 1) and high - low == len(column) - 1:
        steps = np.diff(np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.int64))
        if (steps == 1).all():
            yield Remark(reason=Reason.ROW_NUMBERS, column=name)


def _are_days(values: pa.ChunkedArray) -> bool:
    """Return whether all numbers are days written as 20241231."""
    texts = pc.cast(values, pa.string())
    pattern = "^(19|20)[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])$"
    return bool(pc.all(pc.match_substring_regex(texts, pattern)).as_py())


def _find_marker(values: pa.ChunkedArray, name: str, end: float) -> Remark | None:
    """Return the remark on an extreme of nines that repeats, far from all other values."""
    others = values.filter(pc.not_equal(pc.cast(values, pa.float64(), safe=False), end))
    n = len(values) - len(others)
    if n < _MIN_REPEATS or not len(others):
        return None
    ends = pc.min_max(others).as_py()
    low, high = float(ends["min"]), float(ends["max"])
    if min(abs(end - low), abs(end - high)) <= _GAP * max(high - low, 1):
        return None
    shown = f"{end:.0f}" if n >= MIN_SHOWN_ROWS else ""
    return Remark(reason=Reason.MARKER_NUMBER, column=name, rows=n, sign=shown)


def _text_remarks(field: Field, column: pa.ChunkedArray, given: set[Reason]) -> Iterator[Remark]:
    """Yield remarks on levels that may be missing values, and on texts that hold numbers or dates."""
    name = field.name
    if field.kind == "category" and field.levels is not None:
        yield from _level_remarks(field, column)
    if "string" not in field.stored:
        return
    if not given:
        found = interpret(pc.cast(plain_values(column), pa.string()), name, ReadOptions())
        doubts = [one for one in found.remarks if not one.is_sure and one.row is not None]
        if found.column.type != pa.string():
            is_time = pa.types.is_temporal(found.column.type)
            reason = Reason.DATES_IN_TEXT if is_time else Reason.NUMBERS_IN_TEXT
            doubts = [Remark(reason=reason, column=name)]
        yield from doubts or found.remarks
        if found.remarks or doubts:
            return
    if given:  # it says why these are texts
        return
    if field.kind != "category" and (basis := _basis(field, column)).reason is Reason.NOT_REPEATED:
        yield basis


def _level_remarks(field: Field, column: pa.ChunkedArray) -> Iterator[Remark]:
    levels = list(field.levels or ())
    markers = [level for level in levels if level.strip().lower() in MARKERS]
    if markers and len(levels) > len(markers):
        cells = pc.cast(plain_values(column), pa.string())
        n = int(pc.sum(pc.is_in(cells, pa.array(markers))).as_py() or 0)
        shown = markers[0].strip() if len(markers) == 1 and n >= MIN_SHOWN_ROWS else ""
        yield Remark(reason=Reason.MARKER_LEVEL, column=field.name, rows=n, sign=shown)
    if len(levels) > 2 and {level.strip().casefold() for level in levels} <= _TRUTHS:
        yield Remark(reason=Reason.TRUTH_MIXED, column=field.name)
    plain = {level.strip().casefold() for level in levels}
    n_alike = len(levels) - len(plain)
    if n_alike or any(level != level.strip() for level in levels):
        yield Remark(reason=Reason.LEVELS_ALIKE, column=field.name, rows=n_alike)
    elif len(levels) == 1:
        yield Remark(reason=Reason.ONE_VALUE, column=field.name)


def _find_totals(dataset: Dataset) -> Remark | None:
    """Return the remark on a last row that sums up all numbers above it."""
    fields = [one for one in dataset.schema.fields if one.is_numeric][:_MAX_COUNTED]
    n = len(dataset)
    if n < _MIN_ROWS or not fields:
        return None
    sums = 0
    for field in fields:
        column = pc.cast(dataset.records.column(field.name), pa.float64(), safe=False)
        last = column[n - 1].as_py()
        total = pc.sum(column.slice(0, n - 1)).as_py() or 0.0
        if last is None or not total:
            continue
        # To the last digit that a sum of rounded numbers has.
        if abs(total - last) > 1e-6 * abs(total):
            return None
        sums += 1
    return Remark(reason=Reason.TOTALS_ROW, row=n + 1) if sums else None

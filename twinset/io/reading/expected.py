"""Columns of a candidate read as the kinds of the real set: values, and what is written otherwise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.dataset import Dataset
from twinset.core.data.kinds import plain_values
from twinset.core.data.kinds.kind import is_text, whole_floats
from twinset.core.data.schema import Field
from twinset.core.reading_faults import ReadingFault, ReadingFaultKind
from twinset.io.reading.cells import (
    Bounds,
    CellFault,
    as_instants,
    as_mask,
    one_array,
    read_dates,
    read_epochs,
    read_numbers,
    share_inside,
)
from twinset.io.reading.notation import MARKERS

MAX_ROWS_NAMED = 20  # rows of one fault that are named: as many as one looks up by hand
_MIN_MATCHED = 0.5  # of the rows of a column whose levels are all spelled otherwise
_EXACT = 2**53  # from here float64 no longer holds every integer
_MISSING = MARKERS | {""}  # texts that stand for a missing value among labels
_TRUTHS = {
    **dict.fromkeys(
        ("true", "t", "yes", "y", "on", "1", "1.0", "ja", "j", "oui", "si", "sí"), True
    ),
    **dict.fromkeys(("false", "f", "no", "n", "off", "0", "0.0", "nein", "non"), False),
}


class ReadColumn(NamedTuple):
    """A column of a candidate as it was understood."""

    column: pa.ChunkedArray  # in the canonical type of `field`
    field: Field  # that of the real column; of a wider kind where values do not fit it
    faults: list[CellFault]


@dataclass(frozen=True)
class Expectation:
    """What a real column holds, by which another one is read."""

    field: Field
    levels: tuple[str, ...] = ()  # of a column with levels
    bounds: Bounds | None = None  # of numbers and instants; None without any value
    marks: tuple[str, ...] = ()  # cells that are missing values by request
    order: str = ""  # of day and month, by request
    has_missing: bool = False
    is_typed: bool = False  # whether the other set has types of its own, unlike cells of CSV

    @classmethod
    def from_real(
        cls,
        real: Dataset,
        name: str,
        marks: Sequence[str] = (),
        order: str = "",
        is_typed: bool = False,
    ) -> Expectation:
        """Return the expectation of a column of real rows."""
        field, bounds, levels = real.schema[name], None, tuple[str, ...]()
        if field.has_order:
            column = real.records.column(name)
            column = column.cast(pa.int64()) if field.is_time else column
            ends = pc.min_max(column).as_py()
            if ends["min"] is not None:
                bounds = float(ends["min"]), float(ends["max"])
        elif field.has_levels:
            levels = real.codes(name)[1]
        missing = real.records.column(name).null_count > 0
        return cls(field, levels, bounds, tuple(marks), order, missing, is_typed)


def read_column(column: pa.ChunkedArray, expected: Expectation) -> ReadColumn:
    """Return a column read as a kind; cells that are no such value are missing, with a fault.

    Examples
    --------
    >>> age = Expectation(Field(name="age", kind="integer"), bounds=(18.0, 90.0))
    >>> found = read_column(pa.chunked_array([["31", "n/k", "47.0"]]), age)
    >>> found.column.to_pylist(), [one.kind.value for one in found.faults]
    ([31, None, 47], ['unreadable', 'integers as floats'])
    """
    plain = plain_values(column)
    if is_text(plain.type) and plain.type != pa.string():
        plain = plain.cast(pa.string())
    field = expected.field
    if field.is_numeric:
        return _read_numeric(plain, expected)
    if field.is_time:
        return _read_times(plain, expected)
    if field.has_levels:
        return _read_levels(plain, expected)
    return _read_keys(plain, expected)


def named_faults(name: str, faults: Sequence[CellFault]) -> list[ReadingFault]:
    """Return the faults of a column with their rows, from 1."""
    found = []
    for one in faults:
        rows = np.flatnonzero(one.rows)
        shown = tuple(int(row) + 1 for row in rows[:MAX_ROWS_NAMED])
        if len(rows):
            found.append(
                ReadingFault(
                    kind=one.kind, column=name, sign=one.sign, n_rows=len(rows), rows=shown
                )
            )
    return found


def _cast(column: pa.ChunkedArray, field: Field) -> pa.ChunkedArray:
    return field.column_kind.check(field.column_kind.cast(column, field.arrow_type), field.name)


def _tried(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray | None:
    """Return a column cast to a type; None where a value does not fit."""
    try:
        return pc.cast(column, kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None


def _are_plausible(column: pa.ChunkedArray, bounds: Bounds | None) -> bool:
    """Return whether numbers are finite, and not all so far off that 1.234 may be 1,234."""
    if pc.all(pc.is_finite(column)).as_py() is False:
        return False
    values = np.asarray(column.to_numpy(), dtype=float)
    return bounds is None or bool(np.isnan(values).all()) or share_inside(values, bounds) > 0


def _read_numeric(column: pa.ChunkedArray, expected: Expectation) -> ReadColumn:
    field, faults = expected.field, list[CellFault]()
    if pa.types.is_boolean(column.type):
        faults.append(CellFault(ReadingFaultKind.TRUTH, "true, false", as_mask(column.is_valid())))
        column = pc.cast(column, pa.int8())
    faults += _text_fault(column, expected)
    if is_text(column.type):
        fast = _tried(column, pa.int64() if field.is_whole else pa.float64())
        if fast is not None and (field.is_whole or _are_plausible(fast, expected.bounds)):
            return _fitted(fast, expected, faults)
        texts, own = read_numbers(one_array(column), expected.bounds, expected.marks)
        return _fitted_texts(pa.chunked_array([texts]), expected, [*faults, *own])
    if pa.types.is_temporal(column.type) or pa.types.is_nested(column.type):
        faults.append(CellFault(ReadingFaultKind.UNREADABLE, "", as_mask(column.is_valid())))
        return _fitted(pa.chunked_array([pa.nulls(len(column), pa.int64())]), expected, faults)
    if pa.types.is_floating(column.type):
        values = one_array(column).to_numpy(zero_copy_only=False)
        if (infinite := np.isinf(values)).any():
            faults.append(CellFault(ReadingFaultKind.UNREADABLE, "", infinite))
        column = pa.chunked_array([pa.array(np.where(infinite, np.nan, values), from_pandas=True)])
    return _fitted(column, expected, faults)


def _text_fault(column: pa.ChunkedArray, expected: Expectation) -> list[CellFault]:
    """Return the fault of texts in the place of other values, where a file or frame has types."""
    if not expected.is_typed or not is_text(column.type) or is_text(expected.field.stored_type):
        return []
    return [CellFault(ReadingFaultKind.TEXTS, "texts", as_mask(column.is_valid()))]


def _fitted_texts(
    texts: pa.ChunkedArray, expected: Expectation, faults: list[CellFault]
) -> ReadColumn:
    """Return numbers written as "-1234.5"; whole ones without a detour that loses digits."""
    if expected.field.is_whole:
        pointed = as_mask(pc.match_substring_regex(texts, r"[.eE]"))
        whole = _tried(pc.replace_substring_regex(texts, r"\.0*$", ""), pa.int64())
        if whole is not None:
            if pointed.any():
                faults.append(CellFault(ReadingFaultKind.FLOATS, "", pointed))
            return _fitted(whole, expected, faults)
    return _fitted(pc.cast(texts, pa.float64()), expected, faults)


def _fitted(column: pa.ChunkedArray, expected: Expectation, faults: list[CellFault]) -> ReadColumn:
    """Return numbers in the type of the real ones, or in a wider one where they do not fit."""
    field = expected.field
    if field.is_whole and not pa.types.is_integer(column.type):
        values = np.asarray(one_array(column).cast(pa.float64(), safe=False).to_numpy(False))
        known = ~np.isnan(values)
        fractions = known & (np.mod(np.where(known, values, 0.0), 1) != 0)
        if fractions.any() or (np.abs(values[known]) >= _EXACT).any():
            rows = fractions if fractions.any() else known & (np.abs(values) >= _EXACT)
            faults = [*faults, CellFault(ReadingFaultKind.FRACTIONS, "", rows)]
            wider = replace(field, kind="number", stored="double", decimals=None)
            return ReadColumn(_cast(column.cast(pa.float64(), safe=False), wider), wider, faults)
        named = any(one.kind == ReadingFaultKind.FLOATS for one in faults)
        if known.any() and pa.types.is_floating(column.type) and not named:
            faults = [*faults, CellFault(ReadingFaultKind.FLOATS, "", known)]
    try:
        return ReadColumn(_cast(column, field), field, faults)
    except pa.ArrowInvalid:  # beyond the width of the real column's type
        wide = replace(field, stored="int64" if field.is_whole else "double")
        return ReadColumn(_cast(column.cast(pa.float64(), safe=False), wide), wide, faults)


def _read_times(column: pa.ChunkedArray, expected: Expectation) -> ReadColumn:
    field, faults = expected.field, _text_fault(column, expected)
    zone = getattr(field.arrow_type, "tz", None)
    if pa.types.is_timestamp(column.type) and (own := column.type.tz) != zone:
        faults.append(CellFault(ReadingFaultKind.ZONE, own or "none", as_mask(column.is_valid())))
        column = pc.local_timestamp(column) if own and not zone else column
    elif pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        numbers = np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=float)
        values, faults = read_epochs(numbers, expected.bounds)
        if (lost := np.isnan(values) & ~np.isnan(numbers)).any():
            faults.append(CellFault(ReadingFaultKind.UNREADABLE, "", lost))
        column = pa.chunked_array([as_instants(values)])
    elif is_text(column.type):
        # A zone needs no look at the T before the time: both come from programs, not from people.
        is_clear = zone is not None or not _holds(column, "T")
        fast = _tried(column, pa.timestamp("us", zone)) if is_clear else None
        if fast is None:
            values, own = read_dates(
                one_array(column), expected.bounds, expected.order, expected.marks
            )
            faults += own if zone is None else _without_zone(values, own)
            fast = pa.chunked_array([values])
        column = fast
    elif not pa.types.is_temporal(column.type):
        faults.append(CellFault(ReadingFaultKind.UNREADABLE, "", as_mask(column.is_valid())))
        column = pa.chunked_array([pa.nulls(len(column), pa.timestamp("us"))])
    return ReadColumn(_cast(column, field), field, faults)


def _without_zone(values: pa.Array, faults: list[CellFault]) -> list[CellFault]:
    """Return the faults where real instants have a zone: cells without one are at fault."""
    zoned = np.zeros(len(values), dtype=bool)
    for one in faults:
        if one.kind == ReadingFaultKind.ZONE:
            zoned |= one.rows
    rest = [one for one in faults if one.kind != ReadingFaultKind.ZONE]
    return [*rest, CellFault(ReadingFaultKind.ZONE, "none", as_mask(values.is_valid()) & ~zoned)]


def _holds(column: pa.ChunkedArray, sign: str) -> bool:
    return bool(pc.any(pc.match_substring(column, sign)).as_py())


def _read_keys(column: pa.ChunkedArray, expected: Expectation) -> ReadColumn:
    """Return keys and running texts as they are; keys that real rows have as integers without a point."""
    field, faults = expected.field, list[CellFault]()
    if is_text(column.type):
        lost = as_mask(pc.is_in(column, pa.array(expected.marks, pa.string())))
        if lost.any():
            column = pc.if_else(pa.array(lost), pa.scalar(None, pa.string()), column)
        if field.column_kind.is_key and pa.types.is_integer(field.stored_type):
            floats = as_mask(pc.match_substring_regex(column, r"^[0-9]+\.0+$"))
            if floats.any():
                faults.append(CellFault(ReadingFaultKind.FLOATS, "", floats))
                column = pc.replace_substring_regex(column, r"^([0-9]+)\.0+$", r"\1")
    elif pa.types.is_floating(column.type):
        if pa.types.is_integer(field.stored_type):
            faults.append(CellFault(ReadingFaultKind.FLOATS, "", as_mask(column.is_valid())))
        column = whole_floats(column)
    return ReadColumn(_cast(column, field), field, faults)


def _read_levels(column: pa.ChunkedArray, expected: Expectation) -> ReadColumn:
    field = expected.field
    is_truth = pa.types.is_boolean(field.arrow_type)
    came_as_floats = pa.types.is_floating(column.type)
    texts = pc.cast(whole_floats(column) if came_as_floats else column, pa.string())
    texts = pc.utf8_lower(texts) if is_truth else texts
    encoded = pc.dictionary_encode(texts).unify_dictionaries()
    array = one_array(encoded)
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    codes = array.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    own = array.dictionary.to_pylist()
    counts = np.bincount(codes[codes >= 0], minlength=len(own))
    real = ("true", "false") if is_truth else expected.levels
    matched, found = _match_levels(own, counts, real, expected.marks)
    faults = [CellFault(kind, sign, np.isin(codes, at)) for kind, sign, at in found]
    if came_as_floats and pa.types.is_integer(field.stored_type):
        faults.append(CellFault(ReadingFaultKind.FLOATS, "", codes >= 0))
    texts = pa.array([*matched, None], pa.string()).take(
        pa.array(np.where(codes < 0, -1, codes) % (len(own) + 1))
    )
    filled = _unmarked(codes, own, expected)
    if filled is not None:
        faults.append(CellFault(ReadingFaultKind.MISSING_MARK, "empty cells", codes < 0))
        texts = pc.fill_null(texts, filled)
    if is_truth:
        lost = as_mask(texts.is_valid()) & ~as_mask(pc.is_in(texts, pa.array(["true", "false"])))
        if lost.any():
            faults.append(CellFault(ReadingFaultKind.UNREADABLE, "", lost))
        texts = pc.if_else(pc.is_valid(texts), pc.equal(texts, "true"), None)
        texts = pc.if_else(pa.array(lost), pa.scalar(None, pa.bool_()), texts)
    return ReadColumn(_cast(pa.chunked_array([texts]), field), field, faults)


class _LevelFault(NamedTuple):
    """Levels that are spelled otherwise, by their codes."""

    kind: ReadingFaultKind
    sign: str
    codes: list[int]


def _match_levels(
    own: Sequence[str],
    counts: npt.NDArray[np.int64],
    real: Sequence[str],
    marks: Sequence[str],
) -> tuple[list[str | None], list[_LevelFault]]:
    """Return the real level that each own level means, itself where it means none."""
    known = set(real)
    plain = {_plain(one) for one in real}
    matched: list[str | None] = [
        None if one not in known and (one in marks or _plain(one) in _MISSING - plain) else one
        for one in own
    ]
    lost = {_plain(one) for one, now in zip(own, matched) if now is None and one not in marks}
    faults = [
        _LevelFault(
            ReadingFaultKind.MISSING_MARK,
            mark,
            [i for i, one in enumerate(own) if matched[i] is None and _plain(one) == mark],
        )
        for mark in sorted(lost)
    ]
    for kind, sign, key in _SPELLINGS:
        unknown = [i for i, one in enumerate(matched) if one is not None and one not in known]
        if not unknown:
            break
        # Single cells in another case may be another level: they stay, and count as an unseen one.
        if kind == ReadingFaultKind.LEVELS and any(one in known for one in matched):
            continue
        meant: dict[object, list[str]] = {}
        for one in real:
            meant.setdefault(key(one), []).append(one)
        meant.pop(None, None)
        hits = [i for i in unknown if len(meant.get(key(own[i]), ())) == 1]
        n_hits, n_unknown = (sum(counts[i] for i in rows) for rows in (hits, unknown))
        if not hits or n_hits < _MIN_MATCHED * n_unknown:
            continue
        if kind == ReadingFaultKind.TRUTH:
            sign = ", ".join(sorted({_plain(own[i]) for i in hits}))
        faults.append(_LevelFault(kind, sign, hits))
        for i in hits:
            matched[i] = meant[key(own[i])][0]
    return matched, faults


def _plain(text: str) -> str:
    return text.strip().lower()


def _as_number(text: str) -> object:
    """Return the number that a level spells, to compare levels by; None for other texts."""
    try:
        return float(text)
    except ValueError:
        return None


def _as_truth(text: str) -> object:
    return _TRUTHS.get(_plain(text))


_SPELLINGS: tuple[tuple[ReadingFaultKind, str, Callable[[str], object]], ...] = (
    (ReadingFaultKind.FLOATS, "", _as_number),
    (ReadingFaultKind.LEVELS, "spaces", str.strip),
    (ReadingFaultKind.LEVELS, "case", str.casefold),
    (ReadingFaultKind.LEVELS, "case and spaces", lambda text: text.strip().casefold()),
    (ReadingFaultKind.TRUTH, "", _as_truth),
)
"""Ways to spell a level, in the order of trust: the fault, its sign, and a key that spellings share."""


def _unmarked(
    codes: npt.NDArray[np.int64], own: Sequence[str], expected: Expectation
) -> str | None:
    """Return the level that real rows have in the place of a missing value, where these have none."""
    marks = [one for one in expected.levels if _plain(one) in MARKERS]
    if len(marks) != 1 or expected.has_missing or marks[0] in own or not (codes < 0).any():
        return None
    return marks[0]

"""Numbers and dates read cell by cell, each in the notation that fits; what is expected decides ties."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.reading_faults import ReadingFaultKind
from twinset.io.reading.dates import DATES, MONTHS
from twinset.io.reading.notation import MARKERS, NOTATIONS, SIGNS, Marks

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Bounds = tuple[float, float]  # smallest and greatest real value

_MAX_NOTATIONS = 4  # notations in one column: a file of more is no table that one program wrote
_SIGN = "|".join(re.escape(one) for one in SIGNS)
_WIDER = 0.1  # of the real range on either side, in which a value is still as expected
_DAY, _SECOND = 86_400_000_000, 1_000_000  # in microseconds, as instants are counted
_CLOCK = (
    r"(?P<H>[0-9]{1,2}):(?P<M>[0-9]{2})(?::(?P<S>[0-9]{2})(?:[.,](?P<f>[0-9]{1,9}))?)?"
    r"(?: ?(?P<p>[AaPp]\.?[Mm]\.?))?"
)
_ZONE = (
    r"^(?P<at>.*[0-9]:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?) ?(?P<zone>Z|UTC|[+-][0-9]{2}:?[0-9]{2})$"
)
_FORMS = {
    **DATES,
    "digits": r"(?P<y>[0-9]{4})(?P<m>[0-9]{2})(?P<d>[0-9]{2})",
    "years of two digits": r"(?P<a>[0-9]{1,2})[./-](?P<b>[0-9]{1,2})[./-](?P<y>[0-9]{2})",
}
_EPOCHS = {  # number in the place of a date -> microseconds
    "seconds since 1970": 1e6,
    "milliseconds since 1970": 1e3,
    "microseconds since 1970": 1.0,
    "nanoseconds since 1970": 1e-3,
}


class CellFault(NamedTuple):
    """Cells that are written otherwise."""

    kind: ReadingFaultKind
    sign: str
    rows: Mask  # shape (n,)


class CellValues(NamedTuple):
    """Values of cells; one that cannot be read is missing."""

    values: pa.Array
    faults: list[CellFault]


def share_inside(values: Floats, bounds: Bounds | None) -> float:
    """Return the share of values in the real range and a little around it; NaN are none.

    >>> share_inside(np.array([1.0, 5.0, 1000.0]), (0.0, 10.0))
    0.6666666666666666
    """
    known = values[~np.isnan(values)]
    if bounds is None or not len(known):
        return 0.0
    wider = _WIDER * (bounds[1] - bounds[0])
    return float(np.mean((known >= bounds[0] - wider) & (known <= bounds[1] + wider)))


def as_mask(found: pa.Array | pa.ChunkedArray) -> Mask:
    """Return truth values as an array; missing is false."""
    return np.asarray(pc.fill_null(found, False).to_numpy(zero_copy_only=False), dtype=bool)


def one_array(column: pa.ChunkedArray) -> pa.Array:
    """Return a column in one piece."""
    whole = column.combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        return pa.concat_arrays(whole.chunks) if whole.num_chunks else pa.nulls(0, column.type)
    return whole


def split_missing(
    texts: pa.Array, marks: Sequence[str] = (), known: frozenset[str] = frozenset()
) -> tuple[pa.Array, list[CellFault]]:
    """Return texts without marks of missing values, and a fault for each mark that was found.

    `marks` stand for missing values by request, `known` are values though they look like marks.
    """
    lower = pc.utf8_lower(pc.utf8_trim_whitespace(texts))
    usual = sorted(MARKERS - known)
    found = as_mask(pc.is_in(lower, pa.array(usual)))
    faults = []
    for mark in pc.unique(lower.filter(pa.array(found))).to_pylist():
        faults.append(
            CellFault(ReadingFaultKind.MISSING_MARK, mark, as_mask(pc.equal(lower, mark)))
        )
    requested = as_mask(pc.is_in(texts, pa.array(list(marks), pa.string())))
    faults = [CellFault(k, s, rows & ~requested) for k, s, rows in faults]
    return _emptied(texts, found | requested), faults


def _emptied(texts: pa.Array, rows: Mask) -> pa.Array:
    return pc.if_else(pa.array(rows), pa.scalar(None, pa.string()), texts) if rows.any() else texts


def _tidy(texts: pa.Array) -> pa.Array:
    """Return texts without white space around them; blank ones are missing."""
    texts = pc.replace_substring_regex(texts, r"[\x{00A0}\x{2007}\x{2009}\x{202F}]", " ")
    texts = pc.utf8_trim_whitespace(texts)
    return _emptied(texts, as_mask(pc.equal(texts, "")))


def read_numbers(texts: pa.Array, bounds: Bounds | None, marks: Sequence[str] = ()) -> CellValues:
    """Return the numbers in texts as texts such as "-1234.5", and what is written otherwise.

    Examples
    --------
    >>> found = read_numbers(pa.array(["1.234,5", "7,25", "n/k", "?"]), (0.0, 2000.0))
    >>> found.values.to_pylist(), [(one.kind.value, one.sign) for one in found.faults]
    (['1234.5', '7.25', None, None], [('mark of missing values', '?'), \
('notation of numbers', 'decimal commas, points between thousands'), ('unreadable', '')])
    """
    work, faults = split_missing(_tidy(texts), marks)
    there = as_mask(work.is_valid())
    has_signs = pc.any(pc.match_substring_regex(work, _SIGN)).as_py()
    for kind, sign, pattern, plain in _dress(SIGNS if has_signs else ()):
        rows = as_mask(pc.match_substring_regex(work, pattern))
        if rows.any():
            faults += [CellFault(kind, sign, rows)] if sign else []
            work = pc.replace_substring_regex(work, pattern, plain)
    done = pa.nulls(len(work), pa.string())
    for _ in range(_MAX_NOTATIONS):
        best = _best_marks(work, bounds)
        if best is None:
            break
        fits = as_mask(pc.match_substring_regex(work, best.pattern))
        faults += _mark_faults(work, best, fits)
        done = pc.if_else(pa.array(fits), plain_texts(work, best), done)
        work = _emptied(work, fits)
    lost = there & ~as_mask(done.is_valid())
    if lost.any():
        faults.append(CellFault(ReadingFaultKind.UNREADABLE, "", lost))
    return CellValues(done, faults)


def _dress(signs: Sequence[str]) -> Iterator[tuple[ReadingFaultKind, str, str, str]]:
    """Yield what may stand around a number: kind, sign, pattern and what takes its place."""
    yield ReadingFaultKind.NUMBERS, "", "−", "-"
    yield ReadingFaultKind.NUMBERS, "", "’", "'"
    yield ReadingFaultKind.TEXTS, "quotes", r"""^["'] ?(.*?) ?["']$""", r"\1"
    yield ReadingFaultKind.NUMBERS, "brackets", r"^\((.*)\)$", r"-\1"
    for sign in signs:
        spelled = re.escape(sign)
        yield ReadingFaultKind.SIGN, sign, rf"^([+-]?) ?{spelled} ?([+-]?[0-9.,].*)$", r"\1\2"
        yield ReadingFaultKind.SIGN, sign, rf"^(.*[0-9.,]-?) ?{spelled}$", r"\1"
    yield ReadingFaultKind.NUMBERS, "minus at the end", r"^([0-9][0-9., ']*)-$", r"-\1"


def plain_texts(texts: pa.Array, marks: Marks) -> pa.Array:
    """Return numbers in a notation as texts such as "-1234.5"."""
    if marks.group:
        texts = pc.replace_substring(texts, marks.group, "")
    if marks.decimal != ".":
        texts = pc.replace_substring(texts, marks.decimal, ".")
    return pc.replace_substring_regex(pc.replace_substring_regex(texts, r"^\+", ""), r"\.$", "")


def _best_marks(texts: pa.Array, bounds: Bounds | None) -> Marks | None:
    """Return the notation of most cells; of several the one whose values are as expected."""
    counts = {}
    for one in NOTATIONS:
        fits = pc.match_substring_regex(texts, one.pattern)
        counts[one] = int(pc.sum(fits).as_py() or 0)
    most = max(counts.values())
    best = [one for one in NOTATIONS if counts[one] == most]
    if not most:
        return None
    shares = {}
    for one in best if len(best) > 1 else ():
        fits = pc.match_substring_regex(texts, one.pattern)
        numbers = pc.cast(plain_texts(texts.filter(pc.fill_null(fits, False)), one), pa.float64())
        shares[one] = share_inside(numbers.to_numpy(zero_copy_only=False), bounds)
    # The first of equal ones: digits alone fit all, and are plain numbers.
    return max(best, key=lambda one: round(shares.get(one, 0.0), 1))


def _mark_faults(texts: pa.Array, marks: Marks, fits: Mask) -> list[CellFault]:
    """Return the fault of cells with a decimal comma or a mark between thousands."""
    names = {",": "commas", ".": "points", " ": "spaces", "'": "apostrophes"}
    said, differs = [], np.zeros(len(fits), dtype=bool)
    for sign, name in ((marks.decimal, "decimal {}"), (marks.group, "{} between thousands")):
        if not sign or (sign == "." and name == "decimal {}"):
            continue
        has = fits & as_mask(pc.match_substring(texts, sign))
        if has.any():
            said.append(name.format(names[sign]))
            differs = differs | has
    return [CellFault(ReadingFaultKind.NUMBERS, ", ".join(said), differs)] if said else []


def read_dates(
    texts: pa.Array, bounds: Bounds | None, order: str = "", marks: Sequence[str] = ()
) -> CellValues:
    """Return the instants in texts in microseconds since 1970, and what is written otherwise.

    `bounds` are the real ones in microseconds, `order` is "day-first", "month-first" or empty. A time
    with a zone is read as the clock in that zone shows it.

    Examples
    --------
    >>> found = read_dates(pa.array(["31/01/2024", "05/02/2024"]), None)
    >>> found.values.cast(pa.date32()).to_pylist()[1], found.faults[0].sign
    (datetime.date(2024, 2, 5), 'slashes, day first')
    """
    work, faults = split_missing(_tidy(texts), marks)
    there = as_mask(work.is_valid())
    zoned = pc.extract_regex(work, _ZONE)
    has_zone = as_mask(zoned.is_valid())
    if has_zone.any():
        zones = pc.unique(zoned.field("zone").filter(pa.array(has_zone))).to_pylist()
        sign = zones[0] if len(zones) == 1 else "several"
        faults.append(CellFault(ReadingFaultKind.ZONE, sign, has_zone))
        work = pc.if_else(pa.array(has_zone), zoned.field("at"), work)
    found = np.full(len(work), np.nan)
    parts = pc.extract_regex(work, rf"^(?P<date>.*?)(?:(?P<T>[ T,]+){_CLOCK})?$")
    clock, after_t = _clock(parts), as_mask(pc.equal(pc.struct_field(parts, "T"), "T"))
    days = pc.if_else(as_arrow(there), pc.struct_field(parts, "date"), pa.scalar(None, pa.string()))
    for _ in range(_MAX_NOTATIONS):
        name, values = _best_dates(days, bounds, order)
        fits = ~np.isnan(values + clock)
        if not fits.any():
            break
        if name != "iso":
            faults.append(CellFault(ReadingFaultKind.DATES, name, fits))
        elif (fits & after_t).any():
            faults.append(CellFault(ReadingFaultKind.DATES, "T before the time", fits & after_t))
        found[fits] = (values + clock)[fits]
        days = _emptied(days, fits)
    lost = there & np.isnan(found)
    epochs = read_epochs(_numbers_of(work, lost), bounds)
    found = np.where(np.isnan(found), epochs.values, found)
    faults += epochs.faults
    if (lost := there & np.isnan(found)).any():
        faults.append(CellFault(ReadingFaultKind.UNREADABLE, "", lost))
    return CellValues(as_instants(found), faults)


def as_arrow(mask: Mask) -> pa.Array:
    """Return truth values as Arrow takes them."""
    return pa.array(mask)


def as_instants(values: Floats) -> pa.Array:
    """Return microseconds since 1970 as instants; NaN is missing."""
    missing = np.isnan(values)
    whole = np.where(missing, 0, values).astype(np.int64)
    return pa.array(whole, mask=missing).cast(pa.timestamp("us"))


class EpochValues(NamedTuple):
    """Instants that are written as numbers."""

    values: Floats  # microseconds since 1970, shape (n,)
    faults: list[CellFault]


def read_epochs(numbers: Floats, bounds: Bounds | None) -> EpochValues:
    """Return the instants in numbers that count from 1970, if they lie where real ones do."""
    shares = {name: share_inside(numbers * unit, bounds) for name, unit in _EPOCHS.items()}
    best = max(shares, key=lambda name: shares[name])
    if not shares[best]:
        return EpochValues(np.full(len(numbers), np.nan), [])
    values = numbers * _EPOCHS[best]
    fault = CellFault(ReadingFaultKind.DATES, best, ~np.isnan(values))
    return EpochValues(values, [fault])


def _numbers_of(texts: pa.Array, rows: Mask) -> Floats:
    """Return the numbers in these cells; others are NaN."""
    digits = rows & as_mask(pc.match_substring_regex(texts, r"^[0-9]{6,19}$"))
    cells = pc.if_else(as_arrow(digits), texts, pa.scalar(None, pa.string()))
    return np.asarray(pc.cast(cells, pa.float64()).to_numpy(zero_copy_only=False), dtype=float)


def _whole(texts: pa.Array) -> Floats:
    """Return the numbers in groups of a pattern; an empty one is NaN."""
    cells = pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)
    return np.asarray(pc.cast(cells, pa.float64()).to_numpy(zero_copy_only=False), dtype=float)


def _clock(parts: pa.Array) -> Floats:
    """Return the time of day in microseconds, 0 without one; NaN where there is no such time."""
    hour, minute, second = (np.nan_to_num(_whole(pc.struct_field(parts, key))) for key in "HMS")
    fraction = pc.utf8_rpad(pc.struct_field(parts, "f"), 6, "0")
    part = np.nan_to_num(_whole(pc.utf8_slice_codeunits(fraction, 0, 6)))
    half = pc.utf8_lower(pc.replace_substring(pc.struct_field(parts, "p"), ".", ""))
    is_half, is_pm = as_mask(pc.is_in(half, pa.array(["am", "pm"]))), as_mask(pc.equal(half, "pm"))
    wrong = (hour > np.where(is_half, 12, 23)) | (minute > 59) | (second > 59)
    hour = np.where(is_half, hour % 12 + 12 * is_pm, hour)
    return np.where(wrong, np.nan, ((hour * 60 + minute) * 60 + second) * _SECOND + part)


def _best_dates(days: pa.Array, bounds: Bounds | None, order: str) -> tuple[str, Floats]:
    """Return the notation of most dates, and their midnights; NaN where a date has another one."""
    counts = {
        name: int(pc.sum(pc.match_substring_regex(days, f"^{form}$")).as_py() or 0)
        for name, form in _FORMS.items()
    }
    name = max(counts, key=lambda one: counts[one])
    parts = pc.extract_regex(days, f"^{_FORMS[name]}$")
    fields = {field.name: pc.struct_field(parts, field.name) for field in parts.type}
    year = _whole(fields["y"])
    if name == "years of two digits":
        latest = np.inf if bounds is None else bounds[1] / _DAY / 365.25 + 1971
        year = np.where(year + 2000 <= min(latest, 2069), year + 2000, year + 1900)
    if "a" not in fields:
        return name, _midnights(year, _months(fields["m"]), _whole(fields["d"]))
    first, second = _whole(fields["a"]), _whole(fields["b"])
    readings = {
        "day-first": _midnights(year, second, first),
        "month-first": _midnights(year, first, second),
    }

    def fitness(one: str) -> tuple[bool, int, float, bool]:
        values = readings[one]
        n_read = int(np.sum(~np.isnan(values)))
        return order == one, n_read, round(share_inside(values, bounds), 2), one == "day-first"

    best = max(readings, key=fitness)
    clear = order or fitness("day-first")[1:3] != fitness("month-first")[1:3]
    doubt = "" if clear else ", either order fits"
    return f"{name}, {best.replace('-', ' ')}{doubt}", readings[best]


def _months(texts: pa.Array) -> Floats:
    """Return the numbers of months that are written as numbers or as words."""
    words = pc.utf8_slice_codeunits(pc.utf8_lower(texts), 0, 3)
    named = pc.cast(pc.index_in(words, pa.array(MONTHS)), pa.float64())
    digits = pc.if_else(pc.match_substring_regex(texts, "^[0-9]+$"), texts, "")
    by_name = np.asarray(named.to_numpy(zero_copy_only=False), dtype=float) + 1
    return np.where(np.isnan(by_name), _whole(digits), by_name)


def _midnights(year: Floats, month: Floats, day: Floats) -> Floats:
    """Return the beginning of days in microseconds since 1970; NaN for days of no calendar."""
    there = (month >= 1) & (month <= 12) & (day >= 1) & (year >= 1)
    months = np.where(there, (year - 1970) * 12 + month - 1, 0).astype(np.int64)
    start = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    after = (months + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    there &= np.where(there, day, 0) <= after - start
    return np.where(there, (start + np.where(there, day, 1) - 1) * float(_DAY), np.nan)

"""Columns that hold what was known only after the time of the row, recomputed from the later rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from twinset.measurement.leakage.encodings import SplitColumns
from twinset.measurement.leakage.evidence import Bools, Floats, Leak, first_rows, fit_line

Codes = npt.NDArray[np.int64]

_MAX_ROWS = 20_000  # rows of whole groups, or one stretch of time, that are recomputed
_MAX_VALUES = 16  # columns whose later values are aggregated
_MAX_GROUPS = 3  # columns that may say whose history a row belongs to
_MIN_ROWS = 40  # rows in which the later values and the earlier ones differ
_MIN_CORRELATION = (
    0.98  # of a column with what it may have been computed from, before it is compared
)
_MIN_FITTED = 0.95  # of the rows that the later values explain
_MAX_BY_PAST = 0.5  # of the rows that the earlier values may explain as well
_TOLERANCE = 1e-4  # of the column's spread: aggregates are written with five digits or so
_LOG_ROW = float(np.log(1e-3))  # a row fits by accident that often, at most
_HOUR = 3_600e6  # microseconds
_WINDOWS = {"hour": _HOUR, "day": 24 * _HOUR, "week": 168 * _HOUR, "30 days": 720 * _HOUR}
_ROW_WINDOWS = (
    1,
    2,
    3,
)  # rows before and after the row of a centred mean; forward means have as many


@dataclass(frozen=True)
class _History:
    """Rows in the order of group and time, with the first and last place of each row's group."""

    order: Codes
    time: Floats
    first: Codes
    last: Codes

    @classmethod
    def from_columns(
        cls, time: Floats, group: Codes | None, rng: np.random.Generator
    ) -> _History | None:
        """Return the history of whole groups, or of one stretch of time without groups."""
        known = np.isfinite(time) & (True if group is None else group >= 0)
        rows = np.flatnonzero(known)
        if group is None:
            rows = rows[np.argsort(time[rows], kind="stable")][:_MAX_ROWS]
            code = np.zeros(len(rows), dtype=np.int64)
        else:
            sizes = np.bincount(group[rows])
            chosen = rng.permutation(np.flatnonzero(sizes > 1))
            kept = chosen[np.cumsum(sizes[chosen]) <= _MAX_ROWS]
            rows = rows[np.isin(group[rows], kept)]
            rows = rows[np.lexsort((time[rows], group[rows]))]
            code = group[rows]
        if len(rows) < _MIN_ROWS:
            return None
        starts = np.flatnonzero(np.concatenate([[True], code[1:] != code[:-1]]))
        sizes = np.diff(np.append(starts, len(rows)))
        first = np.repeat(starts, sizes)
        return cls(rows, time[rows], first, first + np.repeat(sizes, sizes) - 1)

    def shift(self, values: Floats, steps: int) -> Floats:
        """Return the value so many rows later in the group; NaN where there is none."""
        place = np.arange(len(values)) + steps
        inside = (place >= self.first) & (place <= self.last)
        return np.where(inside, values[np.clip(place, 0, len(values) - 1)], np.nan)

    def sum(self, values: Floats, low: Codes, high: Codes) -> Floats:
        """Return the sum from place `low` to place `high`, both included, within the group."""
        total = np.concatenate([[0.0], np.cumsum(np.nan_to_num(values))])
        low, high = np.maximum(low, self.first), np.minimum(high, self.last)
        return np.where(high >= low, total[np.maximum(high, low - 1) + 1] - total[low], 0.0)

    def places_until(self, width: float) -> Codes:
        """Return the last place of the group within a time after each row."""
        span = float(np.ptp(self.time)) + 2 * width + 1.0
        offset = np.unique(self.first, return_inverse=True)[1] * span
        key = offset + self.time - self.time.min()
        return np.asarray(np.searchsorted(key, key + width, side="right") - 1)

    def places_since(self, width: float) -> Codes:
        """Return the first place of the group within a time before each row."""
        span = float(np.ptp(self.time)) + 2 * width + 1.0
        offset = np.unique(self.first, return_inverse=True)[1] * span
        key = offset + self.time - self.time.min()
        return np.asarray(np.searchsorted(key, key - width, side="left"))


@dataclass(frozen=True)
class _Statistic:
    """What a column may have been computed from: later values, and the same of earlier ones."""

    text: str
    future: Floats
    past: Floats
    basis: str = ""  # Column that was aggregated; it does not explain itself
    is_shift: bool = False  # Whether the basis could as well be an earlier value of the column


def find_future_columns(columns: SplitColumns, rng: np.random.Generator) -> list[Leak]:
    """Return the leak of columns that rows later than their own explain; or none without a time."""
    if columns.time is None or not columns.numbers:
        return []
    found: dict[str, tuple[str, int, Bools]] = {}
    groups: list[str | None] = [*columns.level_columns[:_MAX_GROUPS], None]
    for by in groups:
        codes = None if by is None else columns.levels[by]
        history = _History.from_columns(columns.time, codes, rng)
        if history is None:
            continue
        for statistic in _list_statistics(columns, history):
            for name, n, rows in _match_columns(columns, history, statistic):
                if name == by or not _is_ahead(columns, history, statistic, name):
                    continue
                text = statistic.text + ("" if by is None else f" by '{by}'")
                found.setdefault(name, (text, n, rows))
    if not found:
        return []
    name, (text, n, rows) = next(iter(found.items()))
    others = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    message = (
        f"the column '{name}' is {text} in {n:,} of {n:,} rows that tell the future from the past"
        f"{others}: it uses rows later than its own"
    )
    at = first_rows(rows[columns.in_test])
    n_test = int((rows & columns.in_test).sum())
    return [
        Leak("future", message, n_test, n * _LOG_ROW, at=at, expected=0.0, columns=tuple(found))
    ]


def _list_statistics(columns: SplitColumns, history: _History) -> Iterator[_Statistic]:
    """Yield statistics of the later rows of a group, with those of the earlier rows."""
    n = len(history.order)
    place, ones = np.arange(n), np.ones(n)
    until, since = history.last - place, place - history.first
    yield _Statistic("the number of later rows", until.astype(float), since.astype(float))
    later = history.shift(history.time, 1) - history.time
    yield _Statistic(
        "the time until the next row", later, history.time - history.shift(history.time, -1)
    )
    is_date = float(np.abs(history.time).max()) > 1e13  # microseconds since 1970
    windows = [
        (text, history.places_until(width), history.places_since(width))
        for text, width in (_WINDOWS.items() if is_date else ())
    ]
    for text, high, low in windows:
        count = history.sum(ones, place + 1, high)
        yield _Statistic(
            f"the number of rows in the next {text}", count, history.sum(ones, low, place - 1)
        )
    days = [_calendar(history, text) for text in (("day", "week", "month") if is_date else ())]
    for text, begin, end in days:
        total = history.sum(ones, begin, end)
        yield _Statistic(
            f"the number of rows of the {text}", total, history.sum(ones, begin, place)
        )
    values = dict(list(columns.value_columns.items())[:_MAX_VALUES])
    for name, whole in values.items():
        x = whole[history.order]
        for one in _list_of_value(f"'{name}'", x, history, place):
            yield replace(one, basis=name)
        for text, high, low in windows:
            yield _Statistic(
                f"the sum of '{name}' in the next {text}",
                history.sum(x, place + 1, high),
                history.sum(x, low, place - 1),
                name,
            )
        for text, begin, end in days:
            yield _Statistic(
                f"the sum of '{name}' over the {text}",
                history.sum(x, begin, end),
                history.sum(x, begin, place),
                name,
            )


def _list_of_value(name: str, x: Floats, history: _History, place: Codes) -> Iterator[_Statistic]:
    """Yield statistics of one value in the later rows of a group."""
    for steps in _ROW_WINDOWS:
        before = history.shift(x, -steps)
        ahead = np.where(history.shift(x, steps) != x, history.shift(x, steps), np.nan)
        yield _Statistic(f"the value of {name} {steps} row(s) later", ahead, before, name, True)
        yield _Statistic(
            f"the change of {name} to a later row",
            history.shift(x, steps) - x,
            x - before,
            name,
            True,
        )
    after, until = history.sum(x, place + 1, history.last), history.last - place
    before, since = history.sum(x, history.first, place - 1), place - history.first
    with np.errstate(divide="ignore", invalid="ignore"):
        # Without groups, the sum of changes is a value of its own time.
        yield _Statistic(f"the sum of {name} in later rows", after, before, name, True)
        yield _Statistic(f"the sum of {name} from the row on", after + x, before + x, name, True)
        yield _Statistic(f"the mean of {name} in later rows", after / until, before / since)
        yield _Statistic(
            f"the mean of {name} from the row on",
            (after + x) / (until + 1),
            (before + x) / (since + 1),
        )
        for width in _ROW_WINDOWS:
            size = (
                np.minimum(place + width, history.last)
                - np.maximum(place - width, history.first)
                + 1
            )
            centred = history.sum(x, place - width, place + width) / size
            own = np.minimum(place - history.first, 2 * width) + 1
            yield _Statistic(
                f"the mean of {name} in a window around the row",
                centred,
                history.sum(x, place - 2 * width, place) / own,
            )
            size = np.minimum(until, width)
            yield _Statistic(
                f"the mean of {name} in the next rows",
                history.sum(x, place + 1, place + width) / size,
                history.sum(x, place - width, place - 1) / np.minimum(since, width),
                name,
                width == 1,
            )
            yield _Statistic(
                f"the mean of {name} in the row and the next ones",
                history.sum(x, place, place + width) / (size + 1),
                history.sum(x, place - width, place) / (np.minimum(since, width) + 1),
            )


def _is_ahead(columns: SplitColumns, history: _History, statistic: _Statistic, name: str) -> bool:
    """Return whether a column was shifted ahead, not its basis back: the two fit alike.

    The target is no earlier value of a feature. Else the column that lacks values, or has one value, at the
    end of the groups is the one ahead.
    """
    if not statistic.is_shift or statistic.basis in columns.targets:
        return True
    first, last = np.unique(history.first), np.unique(history.last)
    ends = columns.numbers[name][history.order[last]]
    begins = columns.numbers[statistic.basis][history.order[first]]
    return _is_blank(ends) and not _is_blank(begins)


def _is_blank(values: Floats) -> bool:
    """Return whether nearly all values are missing or one and the same."""
    finite = values[np.isfinite(values)]
    if len(finite) < 0.1 * len(values):
        return True
    return len(finite) > 1 and float(np.mean(finite == np.median(finite))) > 0.9


def _calendar(history: _History, unit: str) -> tuple[str, Codes, Codes]:
    """Return the first and last place of each row's group in its calendar day, week or month."""
    time = history.time.astype("datetime64[us]")
    letter = {"day": "D", "week": "W", "month": "M"}[unit]
    period = time.astype(f"datetime64[{letter}]").astype(np.int64)
    new = np.concatenate(
        [[True], (period[1:] != period[:-1]) | (history.first[1:] != history.first[:-1])]
    )
    starts = np.flatnonzero(new)
    sizes = np.diff(np.append(starts, len(period)))
    begin = np.repeat(starts, sizes)
    return unit, begin, begin + np.repeat(sizes, sizes) - 1


def _match_columns(
    columns: SplitColumns, history: _History, statistic: _Statistic
) -> Iterator[tuple[str, int, Bools]]:
    """Yield (column, rows fitted, these rows) for columns that later rows explain and earlier ones not."""
    future, past = statistic.future, statistic.past
    spread = float(np.nanstd(future)) if np.isfinite(future).any() else 0.0
    if not np.isfinite(spread) or spread == 0:
        return
    informative = np.isfinite(future) & ~(np.abs(future - past) <= _TOLERANCE * spread)
    # The most frequent value fits by accident.
    levels, counts = np.unique(future[informative], return_counts=True)
    if len(levels) < 5:
        return
    if counts.max() > 0.2 * informative.sum():
        informative &= future != levels[np.argmax(counts)]
    at = np.flatnonzero(informative)
    if len(at) < _MIN_ROWS:
        return
    for name, whole in columns.numbers.items():
        if name == statistic.basis:
            continue
        e = whole[history.order[at]]
        finite = np.isfinite(e)
        if finite.sum() < max(_MIN_ROWS, 0.5 * len(at)) or np.std(e[finite]) == 0:
            continue
        if abs(np.corrcoef(e[finite], future[at][finite])[0, 1]) < _MIN_CORRELATION:
            continue
        fitted = _fits(e[finite], future[at][finite])
        by_past = _fits(e[finite], past[at][finite])
        if fitted.mean() >= _MIN_FITTED and by_past.mean() <= _MAX_BY_PAST:
            rows = np.zeros(len(columns.in_test), dtype=bool)
            rows[history.order[at][finite][fitted]] = True
            yield name, int(fitted.sum()), rows


def _fits(column: Floats, statistic: Floats) -> Bools:
    """Return the rows in which a column lies on the line of a statistic."""
    usable = np.isfinite(statistic)
    scale = float(np.std(column)) or 1.0
    if usable.sum() < _MIN_ROWS or np.std(statistic[usable]) == 0:
        return np.zeros(len(column), dtype=bool)
    fitted = usable
    for _ in range(2):
        if np.std(statistic[fitted]) == 0:
            break
        slope, base = fit_line(statistic[fitted], column[fitted])
        error = np.where(usable, np.abs(column - slope * np.nan_to_num(statistic) - base), np.inf)
        fitted = error <= max(_TOLERANCE * scale, float(np.quantile(error[usable], 0.9)))
    return np.asarray(error <= _TOLERANCE * scale)

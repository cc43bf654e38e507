"""Checks of the numbers and times of one column: range, sign, digits, rounding, repeated values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt

from twinset.core.data.kinds.datetime import MICROSECONDS
from twinset.core.integrity import FaultKind

from ._checks import Check, exact_p
from ._columns import Bools, Column, missing_check, repeat_checks

Floats = npt.NDArray[np.float64]
Unit = tuple[str, Callable[[Floats], Bools]]

# Rank of the value that shows how fast a tail falls: an exponential tail, or one of a power, goes as far
# again beyond its end once in this many samples
_TAIL_RANK = 20
_MIN_VALUES = 50  # present real values, fewer of which show neither a range nor a rounding
_MAX_OFF_UNIT = 0.01  # share of real values that may have more digits than the others
_FEW_VALUES = 8  # distinct values of a column of levels rather than amounts
_SEEN_VALUES = 20_000  # real values in which units are searched; all of them decide
_DIGITS = range(-6, 7)  # powers of ten of units; more decimals are those of floats
_MIN_EXCESS = (
    0.004  # share of rows that are rounded beyond the real share, from which it is a fault
)
_MIN_RISE = 1.15  # times the real share, from which it is a fault


def value_checks(column: Column) -> Iterator[Check]:
    """Yield the checks of a column of numbers or times."""
    yield from missing_check(column)
    real = column.sorted_real
    if len(real) < _MIN_VALUES:
        return
    yield column.check(
        FaultKind.RANGE, find_ends, is_beyond, _name_ends(column), expected_share=column.tail_share
    )
    if real[0] >= 0 and not column.field.is_time:
        yield column.count(FaultKind.RANGE, lambda values: values < 0, "negative")
    if 1 + np.count_nonzero(np.diff(real)) >= _FEW_VALUES:
        yield from _unit_checks(column)
    yield from repeat_checks(column.parts, FaultKind.REPEATED_VALUE, (column.name,))


def find_ends(values: Floats) -> tuple[float, float]:
    """Return how far the tails of real values may reach."""
    present = np.sort(values[~np.isnan(values)])
    if not len(present):
        return -np.inf, np.inf
    return -_upper_end(-present[::-1]), _upper_end(present)


def _upper_end(rising: Floats) -> float:
    """Return the largest value that the upper tail may have.

    The tail from the value of rank 20 to the last one is continued once, as a difference and, where
    both have one sign, as a ratio.
    """
    last = float(rising[-1])
    rank = float(rising[-min(_TAIL_RANK, max(len(rising) // 20, 1))])
    ends = [last + (last - rank)]
    if rank > 0 or last < 0:
        ends.append(last * (last / rank))
    return max(ends)


def is_beyond(ends: tuple[float, float], values: Floats) -> Bools:
    """Return which values lie beyond the ends; missing ones do not."""
    return np.asarray((values < ends[0]) | (values > ends[1]))


def _name_ends(column: Column) -> str:
    low, high = find_ends(column.real)
    own = column.parts.synthetic
    return " and ".join(
        name for name, beyond in (("below", own < low), ("above", own > high)) if beyond.any()
    )


def _is_multiple(unit: float, values: Floats) -> Bools:
    """Return which values are multiples of a unit, up to the rounding of floats; NaN is none."""
    ratio = values / unit
    slack = np.maximum(1e-6, 1e-15 * np.abs(ratio))
    return np.asarray(np.abs(ratio - np.rint(ratio)) <= slack)


def _starts(unit: str, values: Floats) -> Bools:
    """Return which times are the first instant of a month or year."""
    present = ~np.isnan(values)
    times = np.where(present, values, 0).astype(np.int64).astype("datetime64[us]")
    return np.asarray(present & (times.astype(f"datetime64[{unit}]") == times))


def _units(column: Column) -> list[Unit]:
    """Return the units that values may be multiples of, coarsest first."""
    if column.field.is_time:
        calendar: list[Unit] = [
            (f"first of a {name}", partial(_starts, unit))
            for name, unit in (("year", "Y"), ("month", "M"))
        ]
        whole = [
            (f"whole {name}s", partial(_is_multiple, size))
            for name, size in sorted(MICROSECONDS.items(), key=lambda pair: -pair[1])
        ]
        return [*calendar, *whole]
    spread = float(column.sorted_real[-1] - column.sorted_real[0])
    sizes = {round(f * 10.0**d, 8) for d in _DIGITS for f in (1, 2, 2.5, 5)}
    return [
        (f"multiples of {size:.12g}", partial(_is_multiple, size))
        for size in sorted(sizes, reverse=True)
        if 2 * size <= spread and (size < 2 or size == int(size))
    ]


def _unit_checks(column: Column) -> Iterator[Check]:
    """Yield the check of digits that real values lack, and that of values too often rounded."""
    real, units = column.sorted_real, _units(column)
    seen = real[:: max(len(real) // _SEEN_VALUES, 1)]
    fine = next(
        (
            i
            for i, (_, holds) in enumerate(units)
            if holds(seen).mean() >= 1 - _MAX_OFF_UNIT and holds(real).mean() >= 1 - _MAX_OFF_UNIT
        ),
        len(units),
    )
    if fine < len(units):
        name, holds = units[fine]
        yield column.count(FaultKind.PRECISION, lambda v: ~np.isnan(v) & ~holds(v), name)
    n, best, p_best = len(column.parts.synthetic), None, 1.0
    for name, holds in units[:fine]:
        one = column.count(FaultKind.ROUNDING, holds, name, n_tests=fine, is_chosen=True)
        k, m = sum(one.n_unseen), sum(one.n_real)
        is_more = len(one.rows) / n > k / m + max(_MIN_EXCESS, (_MIN_RISE - 1) * k / m)
        p = float(exact_p(len(one.rows), n, k, m)) if is_more else 1.0
        if best is None or p < p_best:
            best, p_best = one, p
    if best is not None:
        yield best if p_best < 1 else replace(best, rows=best.rows[:0])

"""A table as the variables of a chain, and the values of a number: bins, ties, mapping by rank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.dataset import Dataset
from twinset.core.data.encoding import EncodedColumn, TableEncoding, round_to_step
from twinset.core.data.kinds.datetime import MICROSECONDS
from twinset.core.data.schema import Field

Matrix = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

DAY = MICROSECONDS["day"]
_MIN_PAIRS = 2  # rows with both dates: the spread of one distance is 0 and would pass any test
# A date is counted from another one when their distance spreads less than this share of its own
# spread. At 1 two independent dates would be tied; near 0 a stay of varying length would not be.
_CLOSE = 0.5


@dataclass(frozen=True)
class Variable:
    """One variable of the chain; a column of a table has one to three of them."""

    name: str  # the column
    column: int  # position of the column in the encoding
    part: Literal["value", "missing", "day", "time"]  # a datetime is a day and a time of day
    n_levels: int = 0  # number of codes; 0 for a number
    step: float | None = None  # rounding step; None for a free number
    indicator: int | None = None  # variable that is 1 where this one is missing
    anchor: int | None = None  # variable that the value is counted from: the day of a column
    natural: tuple[float, ...] = ()  # the levels as numbers, where every level is a number

    @property
    def is_nominal(self) -> bool:
        """Whether the values are codes."""
        return self.n_levels > 0

    @property
    def needs(self) -> tuple[int, ...]:
        """Variables that must be drawn before this one."""
        return tuple(v for v in (self.indicator, self.anchor) if v is not None)


@dataclass(frozen=True)
class ChainTable:
    """A reversible map between rows and variables, shape (n, v)."""

    encoding: TableEncoding
    variables: tuple[Variable, ...]

    @classmethod
    def from_dataset(cls, dataset: Dataset) -> ChainTable:
        """Return the table whose variables hold all values of `dataset`."""
        encoding = TableEncoding.from_dataset(dataset)
        variables: list[Variable] = []
        for position, column in enumerate(encoding.columns):
            variables += _variables_of(column, position, len(variables))
        plain = cls(encoding, tuple(variables))
        return cls(encoding, _anchored(plain, plain.encode(dataset)))

    def encode(self, dataset: Dataset) -> Matrix:
        """Return the rows as variables, shape (n, v), free of NaN."""
        encoded = self.encoding.encode(dataset)
        matrix = np.empty((len(dataset), len(self.variables)), order="F")
        for position, variable in enumerate(self.variables):
            column = self.encoding.columns[variable.column]
            if variable.part == "missing":
                assert column.missing is not None
                matrix[:, position] = encoded[:, column.missing]
            else:
                local = _to_local_time(encoded[:, column.value], column.field)
                matrix[:, position] = _part_of(local, variable)
        for position, variable in enumerate(self.variables):
            if variable.anchor is not None:
                matrix[:, position] -= matrix[:, variable.anchor]
                if variable.indicator is not None:
                    matrix[matrix[:, variable.indicator] == 1, position] = self.fill(position)
        return matrix

    def decode(self, matrix: Matrix, names: list[str] | None = None) -> Dataset:
        """Return the rows of these variables, or the columns `names` of them."""
        encoded = np.zeros((len(matrix), self.encoding.width))
        for position, variable in enumerate(self.variables):
            column = self.encoding.columns[variable.column]
            values = matrix[:, position]
            if variable.part == "missing":
                assert column.missing is not None
                encoded[:, column.missing] = values
            elif variable.part == "day":
                days = values if variable.anchor is None else values + matrix[:, variable.anchor]
                encoded[:, column.value] += days * DAY
            else:
                encoded[:, column.value] += values
        for column in self.encoding.columns:
            if names is None or column.field.name in names:
                encoded[:, column.value] = _to_utc(encoded[:, column.value], column.field)
        return self.encoding.decode(encoded, names=names)

    def positions_of(self, name: str) -> list[int]:
        """Return the positions of the variables of one column, in the order they are drawn."""
        return [i for i, variable in enumerate(self.variables) if variable.name == name]

    def fill(self, position: int) -> float:
        """Return the value of a variable where its column is missing."""
        variable = self.variables[position]
        if variable.anchor is not None:
            return 0.0
        column = self.encoding.columns[variable.column]
        local = _to_local_time(np.array([column.fill]), column.field)
        return float(_part_of(local, variable)[0])


def is_there(matrix: Matrix, variable: Variable) -> Mask:
    """Return in which rows the variable's column is not missing, shape (n,)."""
    if variable.indicator is None:
        return np.ones(len(matrix), dtype=bool)
    return np.asarray(matrix[:, variable.indicator] == 0)


def _part_of(values: Matrix, variable: Variable) -> Matrix:
    if variable.part == "day":
        return np.asarray(np.floor(values / DAY))
    return values - DAY * np.floor(values / DAY) if variable.part == "time" else values


def _variables_of(column: EncodedColumn, position: int, first: int) -> list[Variable]:
    name, variables, indicator = column.field.name, [], None
    if column.missing is not None:
        variables.append(Variable(name, position, "missing", n_levels=2))
        indicator = first
    if column.is_nominal:
        n_levels, natural = max(len(column.levels), 1), _as_numbers(column.levels)
        value = Variable(name, position, "value", n_levels, indicator=indicator, natural=natural)
        variables.append(value)
    elif column.field.is_time:
        variables.append(Variable(name, position, "day", step=1.0, indicator=indicator))
        if column.step is None or column.step < DAY:
            step = column.step or 1.0
            variables.append(Variable(name, position, "time", step=step, indicator=indicator))
    else:
        variables.append(Variable(name, position, "value", step=column.step, indicator=indicator))
    return variables


def _as_numbers(levels: tuple[str, ...]) -> tuple[float, ...]:
    try:
        numbers = tuple(float(level) for level in levels)
    except ValueError:
        return ()
    return numbers if all(np.isfinite(numbers)) else ()


def _anchored(plain: ChainTable, matrix: Matrix) -> tuple[Variable, ...]:
    """Count each day from the earlier column's day that it stays closest to."""
    variables = list(plain.variables)
    free: list[int] = []
    for position, variable in enumerate(plain.variables):
        if variable.part != "day":
            continue
        there = is_there(matrix, variable)
        gaps = {}
        for other in free:
            both = there & is_there(matrix, variables[other])
            if both.sum() >= _MIN_PAIRS:
                gaps[other] = _spread(matrix[both, position] - matrix[both, other])
        nearest = min(gaps, key=lambda other: gaps[other], default=None)
        if nearest is not None and gaps[nearest] < _CLOSE * _spread(matrix[there, position]):
            variables[position] = replace(variable, anchor=nearest)
        else:
            free.append(position)
    return tuple(variables)


def _spread(values: Matrix) -> float:
    low, high = np.quantile(values, [0.1, 0.9]) if len(values) else (0.0, 0.0)
    return float(high - low)


def _to_local_time(microseconds: Matrix, field: Field) -> Matrix:
    """Return the local time of the field's zone: weekdays and hours are those of the place."""
    if (zone := _zone(field)) is None:
        return microseconds
    instants = pa.array(microseconds.astype(np.int64)).cast(pa.timestamp("us", zone))
    return np.asarray(pc.local_timestamp(instants).cast(pa.int64()).to_numpy(), dtype=np.float64)


def _to_utc(microseconds: Matrix, field: Field) -> Matrix:
    """Invert `_to_local_time`; an hour that occurs twice or never is the earlier one."""
    if (zone := _zone(field)) is None:
        return microseconds
    shown = pa.array(microseconds.astype(np.int64)).cast(pa.timestamp("us"))
    instants = pc.assume_timezone(shown, zone, ambiguous="earliest", nonexistent="earliest")
    return np.asarray(instants.cast(pa.int64()).to_numpy(), dtype=np.float64)


def _zone(field: Field) -> str | None:
    zone = getattr(field.arrow_type, "tz", None) if field.is_time else None
    return None if zone in (None, "UTC") else str(zone)


Codes = npt.NDArray[np.int64]

_WEEK = 7.0  # days move by whole weeks, so that weekdays stay
# Rows from which on a value is drawn as it is: certainly (as many as value protection takes for a shared
# value), or where it stands out among the values around it, as a price that ends in 95 does. Any other
# may be one individual's own value, which must not come oftener than those that nobody has.
_SHARED, _SHARED_PEAK = 11, 5
_AROUND, _PEAK = 5, 3.0  # values on either side that it is compared with; times their median
_BLUR = 10  # values on either side among which a number moves, as in value protection


@dataclass(frozen=True)
class NumberBins:
    """The distinct values of a number in narrow bins of the same weight.

    A value that is frequent enough to fill a bin is an atom: it has a bin of its own and is drawn
    as it is. Any other value represents its bin. Prices end in 95, sums are round: values that many
    rows share come as often as in the source, and only values between them are blurred.
    """

    values: Matrix  # distinct values, ascending, shape (k,)
    counts: Codes  # rows that have each of them, (k,)
    atom: Mask  # which of them are atoms, (k,)
    first: Codes  # positions in `values` of the two ends of each value's bin, (k,)
    last: Codes
    step: float | None  # rounding step
    by_week: bool = False  # values are days that move by whole weeks, to days that the source has

    @classmethod
    def from_values(
        cls, column: Matrix, n_bins: int, step: float | None, *, by_week: bool = False
    ) -> NumberBins:
        """Return the values of a column in `n_bins` bins of about equal weight."""
        values, counts = np.unique(column, return_counts=True)
        if not len(values):
            values, counts = np.zeros(1), np.ones(1, dtype=np.int64)
        bins, atom = quantile_bins(counts, n_bins)
        starts = np.flatnonzero(np.append(True, bins[1:] != bins[:-1]))
        ends = np.append(starts[1:] - 1, len(values) - 1)
        return cls(values, counts, atom, starts[bins], ends[bins], step, by_week)

    def codes(self, column: Matrix) -> Codes:
        """Return the position of each value, shape (n,); every value must be one of `values`."""
        return np.searchsorted(self.values, column)

    @cached_property
    def below(self) -> Matrix:
        """Rows with smaller values than each, and the number of all rows, shape (k + 1,)."""
        return np.append(0.0, np.cumsum(self.counts))

    @property
    def decimals(self) -> int | None:
        """Digits after the point; None for a number without a rounding step."""
        return None if self.step is None else max(0, round(-np.log10(self.step)))

    def moved(self, codes: npt.NDArray[np.integer[Any]], rng: np.random.Generator) -> Matrix:
        """Return the values of `codes`, moved inside their bins.

        Moved among the rows of the bin, by up to half of them, and reflected at its ends, so that the
        column keeps its distribution, also in the last bin of a long tail.
        """
        first, last = self.first[codes], self.last[codes]
        low, high = self.below[first], self.below[last + 1]
        own = self.below[codes] + rng.random(len(codes)) * self.counts[codes]
        place = own + (rng.random(len(codes)) - 0.5) * (high - low)
        place = np.where(place < low, 2 * low - place, place)
        place = np.where(place > high, 2 * high - place, place)
        code = self._code(place, first, last)
        part = (place - self.below[code]) / self.counts[code] - 0.5
        rank = np.clip(code + part, first, last)
        under = rank.astype(np.int64)
        over, part = np.minimum(under + 1, last), rank - under
        between = (1 - part) * self.values[under] + part * self.values[over]
        moved = np.where(self.shared[code], self.values[code], self.blurred(between, rng))
        if self.by_week:
            value = self.values[codes]
            moved = value + _WEEK * np.rint((moved - value) / _WEEK)
            at = np.minimum(np.searchsorted(self.values, moved), len(self.values) - 1)
            fits = (self.values[at] == moved) & (at >= first) & (at <= last)
            return np.asarray(np.where(fits, moved, value))
        return np.asarray(moved)

    def blurred(self, values: Matrix, rng: np.random.Generator) -> Matrix:
        """Return numbers moved by up to the distance of the tenth value on their nearer side, shape (n,).

        Numbers between two neighboring values are nearer to these than a fresh number is: rounded, they
        would often be the number of one row.
        """
        reach = np.interp(values, self.values, self._reach)
        return np.asarray(values + (2 * rng.random(len(values)) - 1) * reach)

    @cached_property
    def shared(self) -> Mask:
        """Values that are drawn as they are: many rows have them, or they are peaks, shape (k,)."""
        return (self.counts >= _SHARED) | (is_peak(self.counts) & (self.counts >= _SHARED_PEAK))

    @cached_property
    def _reach(self) -> Matrix:
        """How far a number at each value is blurred, shape (k,): not beyond one with a bin of its own."""
        at = np.arange(len(self.values))
        alone = self.first == self.last
        ends = np.flatnonzero(alone)
        low = np.append(-1, ends)[np.searchsorted(ends, at)] + 1
        high = np.append(ends, len(at))[np.searchsorted(ends, at)] - 1
        below = self.values - self.values[np.minimum(np.maximum(at - _BLUR, low), at)]
        above = self.values[np.maximum(np.minimum(at + _BLUR, high), at)] - self.values
        return np.where(alone, 0.0, np.minimum(below, above))

    def snap_to_shared(self, values: Matrix) -> Matrix:
        """Return arbitrary numbers with some moved to the shared values of their bins, shape (n,)."""
        at = np.clip(np.searchsorted(self.values, values, "right") - 1, 0, len(self.values) - 1)
        gap = self.values[np.minimum(at + 1, len(self.values) - 1)] - self.values[at]
        rank = at + (values - self.values[at]) / np.where(gap > 0, gap, 1.0)
        first, last = self.first[at], self.last[at]
        low, high = self.below[first], self.below[last + 1]
        share = (np.clip(rank, first, last) - first + 0.5) / (last - first + 1)
        code = self._code(low + share * (high - low), first, last)
        shared = self.shared[code] & (first < last)
        return np.asarray(np.where(shared, self.values[code], values))

    def _code(self, place: Matrix, first: Codes, last: Codes) -> Codes:
        """Return the value of the row at a place among all rows in ascending order, shape (n,)."""
        return np.clip(np.searchsorted(self.below, place, "right") - 1, first, last)

    def round(self, values: Matrix) -> Matrix:
        """Return the values rounded to the step and clipped to the range."""
        rounded = values if self.step is None else round_to_step(values, self.step)
        return np.clip(rounded, self.values[0], self.values[-1])


def is_peak(counts: Codes) -> Mask:
    """Return which values have more than thrice the median of the rows of 10 values around, shape (k,)."""
    around = np.pad(counts, _AROUND, mode="reflect" if len(counts) > _AROUND else "edge")
    local = np.median(np.lib.stride_tricks.sliding_window_view(around, 2 * _AROUND + 1), axis=1)
    return np.asarray(counts > _PEAK * local)


def quantile_bins(counts: Codes, n_bins: int) -> tuple[Codes, Mask]:
    """Return the bin of each of k distinct values, ascending from 0, and which are atoms."""
    total = counts.sum()
    if len(counts) <= n_bins:
        return np.arange(len(counts)), counts > 1
    atom = counts >= max(0.75 * total / n_bins, 2)
    rest = np.where(atom, 0, counts)
    below = np.cumsum(rest) - rest / 2
    n_rest = max(1, round(n_bins * rest.sum() / total))
    share = np.minimum((below / max(rest.sum(), 1) * n_rest).astype(np.int64), n_rest - 1)
    starts = np.ones(len(counts), dtype=bool)
    starts[1:] = atom[1:] | atom[:-1] | (share[1:] != share[:-1])
    return np.cumsum(starts) - 1, atom


_MIN_SHARE = 0.004  # of rows that a tie must explain: rarer ones are hardly seen and cost time
_MAX_TIES = 100  # of one number: codes of ties are 8-bit integers
_MAX_PAIR_PARENTS = 24  # latest parents searched for sums of two; all pairs grow as their square
_PROBE_ROWS = 4_000  # rows of the first search: 16 of them hold a tie of the smallest share
_MIN_ROWS = 20  # below, a tie in all rows may be chance
_RELATIVE_ERROR = 1e-9  # of a sum of floats without a rounding step: nine digits agree


@dataclass(frozen=True)
class Tie:
    """`first`, or `first + sign * second` where there is a second variable."""

    first: int
    second: int = -1
    sign: int = 1

    def value(self, matrix: Matrix, decimals: int | None) -> Matrix:
        """Return the number that the tie gives in each row, shape (n,)."""
        total = matrix[:, self.first]
        if self.second >= 0:
            total = total + self.sign * matrix[:, self.second]
        return np.asarray(total if decimals is None else np.round(total, decimals))

    def matches(self, matrix: Matrix, target: Matrix, decimals: int | None) -> Mask:
        """Return in which rows it gives the number: exactly, or to nine digits without a step."""
        value = self.value(matrix, decimals)
        if decimals is not None:
            return np.asarray(target == value)
        return np.asarray(np.abs(target - value) <= _RELATIVE_ERROR * np.abs(target).max(initial=0))


def find_ties(
    matrix: Matrix, target: Matrix, parents: Sequence[int], free: Mask, decimals: int | None
) -> tuple[tuple[Tie, ...], npt.NDArray[np.int8]]:
    """Return the ties of a number with its parents, most frequent first, and the tie of each row."""
    n = len(target)
    tie = np.full(n, -1, dtype=np.int8)
    probe = np.arange(0, n, max(1, n // _PROBE_ROWS))
    candidates = _probe_ties(matrix[probe], target[probe], parents, free[probe], decimals)
    for one, _, in_all in candidates:
        if in_all and n >= _MIN_ROWS and one.matches(matrix, target, decimals).all():
            return (one,), np.zeros(n, dtype=np.int8)
    likely = [one for one, count, _ in candidates if count >= 0.5 * _MIN_SHARE * len(probe)]
    matching = [_matches_nonzero(one, matrix, target, decimals) & free for one in likely]
    found: list[Tie] = []
    while likely and len(found) < _MAX_TIES:
        open_rows = tie < 0
        gains = [int((mask & open_rows).sum()) for mask in matching]
        best = int(np.argmax(gains))
        if gains[best] < max(_MIN_SHARE * n, 5):
            break
        tie[matching[best] & open_rows] = len(found)
        found.append(likely[best])
    return tuple(found), tie


def _probe_ties(
    matrix: Matrix, target: Matrix, parents: Sequence[int], free: Mask, decimals: int | None
) -> list[tuple[Tie, int, bool]]:
    """Return ties that match, up to rounding, any row: with the free rows, and whether in all."""
    slack = _RELATIVE_ERROR * np.abs(target).max(initial=0.0)
    if decimals is not None:
        slack += 0.5000001 * 10.0**-decimals
    found: list[tuple[Tie, int, bool]] = []

    def collect(values: Matrix, ties: list[Tie], counted: Mask) -> None:
        close = np.abs(values - target[:, None]) <= slack
        counts, in_all = (close & counted).sum(0), close.all(0)
        found.extend(
            (tie, int(count), bool(every))
            for tie, count, every in zip(ties, counts, in_all, strict=True)
            if count or every
        )

    collect(matrix[:, parents], [Tie(parent) for parent in parents], free[:, None])
    others = list(parents[-_MAX_PAIR_PARENTS:])
    block = matrix[:, others]
    for at, parent in enumerate(others):
        own = block[:, [at]]
        counted = free[:, None] & (own != 0) & (block != 0)
        rest = [i for i in range(len(others)) if i != at]
        collect(own - block[:, rest], [Tie(parent, others[i], -1) for i in rest], counted[:, rest])
        after = slice(at + 1, None)
        collect(own + block[:, after], [Tie(parent, b) for b in others[after]], counted[:, after])
    return found


def _matches_nonzero(tie: Tie, matrix: Matrix, target: Matrix, decimals: int | None) -> Mask:
    """Return where a tie matches; a sum with a zero is a copy of the other number, not a sum."""
    matches = tie.matches(matrix, target, decimals)
    if tie.second >= 0:
        matches &= (matrix[:, tie.second] != 0) & (matrix[:, tie.first] != 0)
    return matches


_MAX_KNOTS = 4_096  # of a mapping: finer than the error of a trial of 50,000 rows


@dataclass(frozen=True)
class QuantileMapping:
    """Maps drawn numbers to the real ones of the same rank.

    Where a number is nearly a function of others, its leaf decides on it, and no weight of donors
    repairs that synthetic parents lead to other leaves than real ones. A row then keeps its rank
    and takes the real number of that rank: atoms stay atoms, other values move in their bins.
    """

    drawn: Matrix  # numbers of a trial at even ranks, ascending, shape (k,)
    real: npt.NDArray[np.int32]  # positions in the bins' values of the real numbers there, (k,)

    @classmethod
    def from_numbers(cls, drawn: Matrix, real: npt.NDArray[np.integer]) -> QuantileMapping:
        """Return the mapping from the numbers of a trial, shape (n,), to real codes, shape (m,)."""
        k = min(_MAX_KNOTS, len(drawn), len(real))
        below = (np.arange(k) + 0.5) / k
        ends = [np.sort(part)[(below * len(part)).astype(np.int64)] for part in (drawn, real)]
        return cls(ends[0], ends[1].astype(np.int32))

    def apply(self, drawn: Matrix, bins: NumberBins, rng: np.random.Generator) -> Matrix:
        """Return the real numbers at the ranks of the drawn ones; equal ones get random ranks."""
        low, high = (np.searchsorted(self.drawn, drawn, side=side) for side in ("left", "right"))
        rank = low + rng.random(len(drawn)) * np.maximum(high - low, 1)
        codes = self.real[np.minimum(rank.astype(np.int64), len(self.real) - 1)]
        values = bins.values[codes]
        return np.where(bins.atom[codes], values, bins.round(bins.moved(codes, rng)))

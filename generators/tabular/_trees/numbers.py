"""The values of a number: bins, atoms, exact ties with other numbers, and mapping by rank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.data.encoding import round_to_step

from .table import Mask, Matrix

Codes = npt.NDArray[np.int64]

_WEEK = 7.0  # days move by whole weeks, so that weekdays stay
# Rows from which on a value is a habit of the source and is drawn as it is; below, it may be one
# individual's own value, which must not be repeated.
_SHARED = 5


@dataclass(frozen=True)
class NumberBins:
    """The distinct values of a number in narrow bins of the same weight.

    A value that is frequent enough to fill a bin is an atom: it has a bin of its own and is drawn
    as it is. Any other value represents its bin. Prices end in 95, sums are round: values that 5 or
    more rows share come as often as in the source, and only values between them are blurred.
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
        blurred = (1 - part) * self.values[under] + part * self.values[over]
        moved = np.where(self.counts[code] >= _SHARED, self.values[code], blurred)
        if self.by_week:
            value = self.values[codes]
            moved = value + _WEEK * np.rint((moved - value) / _WEEK)
            at = np.minimum(np.searchsorted(self.values, moved), len(self.values) - 1)
            fits = (self.values[at] == moved) & (at >= first) & (at <= last)
            return np.asarray(np.where(fits, moved, value))
        return np.asarray(moved)

    def snap_to_shared(self, values: Matrix) -> Matrix:
        """Return arbitrary numbers with some moved to the shared values of their bins, shape (n,)."""
        at = np.clip(np.searchsorted(self.values, values, "right") - 1, 0, len(self.values) - 1)
        gap = self.values[np.minimum(at + 1, len(self.values) - 1)] - self.values[at]
        rank = at + (values - self.values[at]) / np.where(gap > 0, gap, 1.0)
        first, last = self.first[at], self.last[at]
        low, high = self.below[first], self.below[last + 1]
        share = (np.clip(rank, first, last) - first + 0.5) / (last - first + 1)
        code = self._code(low + share * (high - low), first, last)
        shared = (self.counts[code] >= _SHARED) & (first < last)
        return np.asarray(np.where(shared, self.values[code], values))

    def _code(self, place: Matrix, first: Codes, last: Codes) -> Codes:
        """Return the value of the row at a place among all rows in ascending order, shape (n,)."""
        return np.clip(np.searchsorted(self.below, place, "right") - 1, first, last)

    def round(self, values: Matrix) -> Matrix:
        """Return the values rounded to the step and clipped to the range."""
        rounded = values if self.step is None else round_to_step(values, self.step)
        return np.clip(rounded, self.values[0], self.values[-1])


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

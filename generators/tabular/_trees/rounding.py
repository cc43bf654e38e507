"""How fine a number is: which of its values are kept as they are, and how far the others may move."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.data.encoding import round_to_step

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

_WEEK = 7.0
_SHARED = 5
"""Rows from which on a value is a habit of the source, not one row's own."""


@dataclass(frozen=True)
class NumberBins:
    """The distinct values of a number in narrow bins of the same weight.

    A value that is frequent enough to fill a bin is an atom: it has a bin of its own and is drawn
    as it is. Any other value stands for its bin. Prices end in 95, sums are round: so values that 5
    or more rows share come as often as in the source, and only what lies between them is blurred.

    Parameters
    ----------
    values : numpy.ndarray
        Distinct values, ascending, shape (k,).
    counts : numpy.ndarray
        Rows that have each of them, shape (k,).
    atom : numpy.ndarray
        Which of them are atoms, shape (k,).
    first, last : numpy.ndarray
        Positions in `values` of the ends of each value's bin, shape (k,).
    step : float or None
        Grid of the values.
    by_week : bool
        Whether values are days that move by whole weeks, to days that the source has.
    """

    values: Floats
    counts: Codes
    atom: npt.NDArray[np.bool_]
    first: npt.NDArray[np.int64]
    last: npt.NDArray[np.int64]
    step: float | None
    by_week: bool = False

    @classmethod
    def of(
        cls, column: Floats, n_bins: int, step: float | None, *, by_week: bool = False
    ) -> NumberBins:
        """Return the grain of a column in `n_bins` bins of about equal weight."""
        values, counts = np.unique(column, return_counts=True)
        if not len(values):
            values, counts = np.zeros(1), np.ones(1, dtype=np.int64)
        bins, atom = quantile_bins(counts, n_bins)
        own = np.arange(len(values))
        starts = own[np.append(True, bins[1:] != bins[:-1])]
        ends = np.append(starts[1:] - 1, len(values) - 1)
        first, last = starts[bins], ends[bins]
        return cls(values, counts, atom, first, last, step, by_week)

    def codes(self, column: Floats) -> Codes:
        """Return the position of each value, shape (n,); every value must be one of `values`."""
        return np.searchsorted(self.values, column)

    @cached_property
    def below(self) -> Floats:
        """Rows with smaller values than each, and with any in the end, shape (k + 1,)."""
        return np.append(0.0, np.cumsum(self.counts))

    def moved(self, codes: npt.NDArray[np.integer[Any]], rng: np.random.Generator) -> Floats:
        """Return the values of `codes`, moved inside their bins.

        A value moves among the rows of its bin, evenly by up to half of them to either side, and is
        turned back at the ends of the bin. So the column keeps its distribution, in the last bin of
        a long tail too, where a move by half the bin's width would lead far out.
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

    def habitual(self, values: Floats) -> Floats:
        """Return numbers that lie anywhere, laid on the shared values of their bins, shape (n,).

        Of the numbers that fall into a bin, evenly among its distinct values, each shared value
        takes as many as it has rows in the bin; the others stay where they are.
        """
        at = np.clip(np.searchsorted(self.values, values, "right") - 1, 0, len(self.values) - 1)
        gap = self.values[np.minimum(at + 1, len(self.values) - 1)] - self.values[at]
        rank = at + (values - self.values[at]) / np.where(gap > 0, gap, 1.0)
        first, last = self.first[at], self.last[at]
        low, high = self.below[first], self.below[last + 1]
        share = (np.clip(rank, first, last) - first + 0.5) / (last - first + 1)
        code = self._code(low + share * (high - low), first, last)
        shared = (self.counts[code] >= _SHARED) & (first < last)
        return np.asarray(np.where(shared, self.values[code], values))

    def _code(self, place: Floats, first: Codes, last: Codes) -> Codes:
        """Return the value that the row at a place has, of all rows in ascending order, shape (n,)."""
        return np.clip(np.searchsorted(self.below, place, "right") - 1, first, last)

    def on_grid(self, values: Floats) -> Floats:
        """Return the values rounded to the grid and held inside the range."""
        rounded = values if self.step is None else round_to_step(values, self.step)
        return np.clip(rounded, self.values[0], self.values[-1])


def quantile_bins(
    counts: npt.NDArray[np.int64], n_bins: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return the bin of each of k distinct values, ascending from 0, and which are atoms.

    A value that holds three quarters of an even share, and that occurs twice or more, is an atom
    with a bin of its own; the values between atoms share out what is left evenly. With no more
    values than bins each value has its own.

    Examples
    --------
    >>> bins, atom = quantile_bins(np.array([50, 1, 1, 1, 1, 1, 1]), 4)
    >>> bins.tolist(), atom.tolist()[:2]
    ([0, 1, 1, 1, 1, 1, 1], [True, False])
    """
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

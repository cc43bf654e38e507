"""How fine a number is: which of its values are kept as they are, and how far the others may move."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.encoding import round_to_step

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

_WEEK = 7.0


@dataclass(frozen=True)
class Grain:
    """The distinct values of a number in narrow bins of the same weight.

    A value that is frequent enough to fill a bin is an atom: it has a bin of its own and is drawn
    as it is. Any other value stands for its bin.

    Parameters
    ----------
    values : numpy.ndarray
        Distinct values, ascending, shape (k,).
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
    atom: npt.NDArray[np.bool_]
    first: npt.NDArray[np.int64]
    last: npt.NDArray[np.int64]
    step: float | None
    by_week: bool = False

    @classmethod
    def of(cls, column: Floats, n_bins: int, step: float | None, *, by_week: bool = False) -> Grain:
        """Return the grain of a column in `n_bins` bins of about equal weight."""
        values, counts = np.unique(column, return_counts=True)
        if not len(values):
            values, counts = np.zeros(1), np.ones(1, dtype=np.int64)
        bins, atom = quantile_bins(counts, n_bins)
        own = np.arange(len(values))
        starts = own[np.append(True, bins[1:] != bins[:-1])]
        ends = np.append(starts[1:] - 1, len(values) - 1)
        first, last = starts[bins], ends[bins]
        return cls(values, atom, first, last, step, by_week)

    def codes(self, column: Floats) -> Codes:
        """Return the position of each value, shape (n,); every value must be one of `values`."""
        return np.searchsorted(self.values, column)

    def moved(self, codes: npt.NDArray[np.integer[Any]], rng: np.random.Generator) -> Floats:
        """Return the values of `codes`, moved inside their bins.

        A value moves in rank, evenly by up to half the values of its bin to either side, and is
        turned back at the ends of the bin. So the column keeps its distribution, in the last bin of
        a long tail too, where a move by half the bin's width would lead far out.
        """
        first, last = self.first[codes], self.last[codes]
        rank = codes + (rng.random(len(codes)) - 0.5) * (last - first)
        rank = np.where(rank < first, 2 * first - rank, rank)
        rank = np.where(rank > last, 2 * last - rank, rank)
        below = rank.astype(np.int64)
        above = np.minimum(below + 1, last)
        part = rank - below
        moved = (1 - part) * self.values[below] + part * self.values[above]
        if self.by_week:
            value = self.values[codes]
            moved = value + _WEEK * np.rint((moved - value) / _WEEK)
            at = np.minimum(np.searchsorted(self.values, moved), len(self.values) - 1)
            fits = (self.values[at] == moved) & (at >= first) & (at <= last)
            return np.asarray(np.where(fits, moved, value))
        return np.asarray(moved)

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

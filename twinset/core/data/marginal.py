"""Distinct values of a number with their holders, and where those of single persons may move."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from twinset.core.data.kinds.datetime import MICROSECONDS
from twinset.core.data.tails import draw_tail

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

# Persons that must share a level. Health statistics of the United States suppress counts below 11
# (CMS cell size policy); small tables use a quarter of their persons, at least 2.
MIN_HOLDERS, _SHARE_OF_SMALL = 11, 4

_REACH = 5  # values below and above among which one moves: with its own the 11 of above
_REACH_SHARE = 0.01  # of all persons, likewise: where many values are shared, neighbours lie far
_MIN_PLACES = 4  # of the same last digits within reach; with fewer a value would hardly move
_HEAPING = 3.0  # times as many values with these last digits as chance would give
_DECIMAL = tuple(10**k for k in range(1, 7))  # last digits that may be heaped
_SECONDS = (60, 300, 900, 1_800, 3_600)  # the same for times: minutes, quarters, hours
_LARGEST = 2.0**53  # units from which on floats skip whole numbers: such numbers have no grid
DAY = MICROSECONDS["day"]
_MIN_DAYS = 2  # reach from which on the day and the time of day move apart from each other


def min_holders(n_persons: int) -> int:
    """Return how many persons must hold a value for it to be shared.

    Examples
    --------
    >>> min_holders(1_000), min_holders(20)
    (11, 5)
    """
    return min(MIN_HOLDERS, max(2, n_persons // _SHARE_OF_SMALL))


@dataclass(frozen=True)
class Grid:
    """The places that numbers of a column may take: multiples of a step, with frequent last digits."""

    unit: float | None  # last decimal place, or smallest unit of time; None for a free number
    start: float = 0.0  # a number on the grid, in units
    step: int = 1  # distance of neighbouring places, in units
    # Number of last units -> last units that are frequent, ascending
    heaped: Mapping[int, Floats] = field(default_factory=dict)

    @classmethod
    def fit(cls, values: Floats, holders: Codes, unit: float | None, is_time: bool) -> Grid:
        """Return the grid of distinct values, shape (k,), that so many persons hold each, (k,)."""
        if unit is None or np.abs(values).max(initial=0.0) >= _LARGEST * unit:
            return cls(None)
        if len(values) < 2:
            return cls(unit)
        whole = np.rint(values / unit)
        step = max(1, int(np.gcd.reduce(np.abs(whole - whole[0]).astype(np.int64))))
        enough = min_holders(int(holders.sum()))
        heaped = {}
        for modulus in _moduli(unit, step, is_time):
            last, where = np.unique(np.mod(whole, modulus), return_inverse=True)
            counts = np.bincount(where, holders)
            frequent = counts >= max(enough, _HEAPING * holders.sum() * step / modulus)
            is_weekday = is_time and modulus * unit == 7 * DAY
            heaped[modulus] = last if is_weekday else last[frequent]
        return cls(unit, float(whole[0]), step, heaped)

    @property
    def place_width(self) -> float:
        """Distance of neighbouring places; 0 for free numbers."""
        return 0.0 if self.unit is None else self.unit * self.step

    def round(self, drawn: Floats, own: Floats, low: Floats, high: Floats) -> Floats:
        """Return the drawn numbers on the grid, with the last digits of `own` if those are frequent.

        All have the shape (k,); `low` and `high` bound where each number may lie.
        """
        if self.unit is None:
            return drawn
        whole, mine, low, high = (v / self.unit for v in (drawn, own, low, high))
        mine = np.rint(mine)
        found = self._nearest(whole, mine, low, high, self.step, np.mod(self.start, self.step))[0]
        for modulus, frequent in self.heaped.items():
            last = np.mod(mine, modulus)
            near, n_places = self._nearest(whole, mine, low, high, modulus, last)
            found = np.where(np.isin(last, frequent) & (n_places >= _MIN_PLACES), near, found)
        if self.unit < 1:
            return np.asarray(np.round(found * self.unit, round(-np.log10(self.unit))))
        return np.asarray(found * self.unit)

    @staticmethod
    def _nearest(
        drawn: Floats, own: Floats, low: Floats, high: Floats, step: int, last: Floats | float
    ) -> tuple[Floats, Floats]:
        """Return the places `last` + k `step` nearest to `drawn`, and how many there are; all (k,).

        Where there are several, the own one is not among them.
        """
        first, end = np.ceil((low - last) / step), np.floor((high - last) / step)
        at = np.clip(np.rint((drawn - last) / step), first, np.maximum(first, end))
        mine = (own - last) / step
        aside = np.where((drawn < own) & (mine > first) | (mine >= end), -1, 1)
        at = np.where((at == mine) & (end - first + 1 >= _MIN_PLACES), at + aside, at)
        return last + step * at, end - first + 1


def _moduli(unit: float, step: int, is_time: bool) -> list[int]:
    """Return the numbers of units that last digits are counted in, ascending."""
    wide: list[float] = list(_DECIMAL)
    if is_time:
        wide = [7 * DAY / unit] if unit >= DAY else [s * 1e6 / unit for s in _SECONDS]
    return [int(m) for m in wide if m == int(m) and m > step and int(m) % step == 0]


@dataclass(frozen=True)
class Marginal:
    """The distinct values of a column, ascending, and how many persons hold each, shape (k,)."""

    values: Floats
    holders: Codes
    unit: float | None
    is_time: bool = False

    @cached_property
    def enough(self) -> int:
        """Number of persons that make a value a shared one."""
        return min_holders(int(self.holders.sum()))

    @cached_property
    def grid(self) -> Grid:
        """The places that values may take."""
        return Grid.fit(self.values, self.holders, self.unit, self.is_time)

    @cached_property
    def tails(self) -> tuple[Mask, Mask]:
        """Which values lie beyond the eleventh person from below and from above, shape (k,) each."""
        below, above = np.cumsum(self.holders), np.cumsum(self.holders[::-1])[::-1]
        if below[-1] < 2 * self.enough:  # three persons or fewer have no tails
            return below < 0, above < 0
        return below < self.enough, above < self.enough

    @property
    def is_moved(self) -> Mask:
        """Which values are held by one person or lie in a tail, shape (k,)."""
        low, high = self.tails
        return np.asarray((self.holders == 1) | low | high)

    @property
    def free_bounds(self) -> tuple[float, float]:
        """Open interval of protected values: a shared smallest or greatest value may occur again."""
        (low, high), margin = self.tails, max(self.grid.place_width, 1e-9)
        return (
            float(self.values[0] - (0 if low[0] else margin)),
            float(self.values[-1] + (0 if high[-1] else margin)),
        )

    def protected(self, rng: np.random.Generator, stays: Mask) -> Floats:
        """Return the value that replaces each, shape (k,); those in `stays` and shared ones stay."""
        low, high = self.tails
        new = self.values.copy()
        inner = np.flatnonzero((self.holders == 1) & ~low & ~high & ~stays)
        if len(inner):
            new[inner] = self._among_neighbors(inner, rng)
        for tail, sign in ((high, 1.0), (low, -1.0)):
            if tail.any():
                new[tail] = self._in_tail(tail, sign, rng)
        return np.where(stays, self.values, new)

    def _in_tail(self, tail: Mask, sign: float, rng: np.random.Generator) -> Floats:
        """Return new values of one tail, in the order of the old ones."""
        own = np.sort(sign * self.values[tail])
        start = float((sign * self.values[~tail]).max())
        holders = self.holders[tail][:: int(sign)]
        drawn = sign * draw_tail(start, own, holders, rng)
        here = sign * own
        first, last = np.full(len(own), sign * start), np.full(len(own), here[-1])
        ends = (first, last) if sign > 0 else (last, first)
        drawn = self._placed(drawn, here, *ends, rng)
        return np.asarray(drawn if sign > 0 else drawn[::-1])

    def _inside(self, values: Floats) -> Floats:
        """Return the values with those at or beyond an extreme of few persons one step inside."""
        low, high = self.free_bounds
        step = self.grid.place_width
        if not step or high - low <= 2 * step:
            return values
        ends = np.array([low + step, high - step])
        first, last = self.grid.round(ends, ends, ends, ends)
        return np.asarray(np.clip(values, first, last))

    def _among_neighbors(self, chosen: Codes, rng: np.random.Generator) -> Floats:
        """Return new places of single values among those near them that are not shared."""
        low_tail, high_tail = self.tails
        open_ = np.flatnonzero((self.holders < self.enough) & ~low_tail & ~high_tail)
        own, values = np.searchsorted(open_, chosen), self.values[open_]
        rank = np.cumsum(self.holders) - self.holders / 2
        width = max(float(self.enough), _REACH_SHARE * float(self.holders.sum()))
        low, high = (
            np.clip(
                np.interp(rank[chosen] + side * width, rank, self.values),
                values[np.maximum(own - _REACH, 0)],
                values[np.minimum(own + _REACH, len(values) - 1)],
            )
            for side in (-1, 1)
        )
        mine = self.values[chosen]
        # Evenly on one side or the other: the order of the column stays, and draws do not pile up
        # where two values lie close, as they would between adjacent ones.
        is_below = (rng.random(len(chosen)) < 0.5) & (low < mine) | (high <= mine)
        end = np.where(is_below, low, high)
        return self._placed(mine + rng.random(len(chosen)) * (end - mine), mine, low, high, rng)

    def _placed(
        self, drawn: Floats, own: Floats, low: Floats, high: Floats, rng: np.random.Generator
    ) -> Floats:
        """Return drawn numbers on the grid, inside the range; all shapes (k,)."""
        if self.is_time and self.unit is not None and self.unit < DAY:
            return self._day_and_time(drawn, own, low, high, rng)
        return self._inside(self.grid.round(drawn, own, low, high))

    def _day_and_time(
        self, drawn: Floats, own: Floats, low: Floats, high: Floats, rng: np.random.Generator
    ) -> Floats:
        """Return instants; where they move by days, hours stay those at which the source has rows."""
        near = self.grid.round(drawn, own, low, high)
        days = np.floor(self.values / DAY)
        clock, where = np.unique(self.values - days * DAY, return_inverse=True)
        times = Marginal(clock, np.bincount(where, self.holders).astype(np.int64), self.unit, True)
        moved = times._smoothed(rng)
        here = moved[np.searchsorted(clock, own - np.floor(own / DAY) * DAY)]
        whole = Grid(DAY, heaped={7: np.arange(7.0)})
        day = whole.round(*(np.floor(v / DAY) * DAY for v in (drawn, own, low, high)))
        by_day = (high - low >= _MIN_DAYS * DAY) & (self.values[-1] - self.values[0] > 30 * DAY)
        return np.asarray(np.where(by_day, day + here, near))

    def _smoothed(self, rng: np.random.Generator) -> Floats:
        """Return a new place for each value that one person holds, without tails."""
        new, single = self.values.copy(), np.flatnonzero(self.holders == 1)
        if len(single):
            places = np.arange(len(new), dtype=np.float64)
            at = single + rng.uniform(-_REACH, _REACH, len(single))
            low, high = (np.interp(single + side * _REACH, places, new) for side in (-1, 1))
            drawn = np.interp(at, places, new)
            new[single] = self.grid.round(drawn, self.values[single], low, high)
        return new

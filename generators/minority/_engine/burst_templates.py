"""What `minority.bursts` learns: the bursts of the rare class, and how each card behaves otherwise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

FEW_VALUES = 20
_GAP_QUANTILE = 0.9
_FEWEST_GAPS = 10


@dataclass(frozen=True)
class BurstTemplates:
    """Bursts of the rare class, one behind the other: rows of one card with no long pause between.

    Parameters
    ----------
    rows : numpy.ndarray of int, shape (p,)
        Positions of the rare rows by burst, then time.
    first : numpy.ndarray of int, shape (b + 1,)
        Where each burst begins in `rows`, with the end of the last.
    gaps : numpy.ndarray, shape (p,)
        Time since the burst's row before; 0 for the first.
    cards : numpy.ndarray of int, shape (b,)
        Code of each burst's card; -1 where it is not known.
    begins : numpy.ndarray, shape (b,)
        Time of each burst's first row.
    """

    rows: Ints
    first: Ints
    gaps: Floats
    cards: Ints
    begins: Floats

    @classmethod
    def of(cls, cards: Ints, times: Floats, rare: Mask, gap: float | None) -> BurstTemplates:
        """Return the bursts of the rare rows; rows without a card or a time are bursts of their own.

        Without `gap` a burst ends where a pause is longer than nine in ten pauses between two rare
        rows of one card.

        Examples
        --------
        >>> cards, times = np.array([0, 0, 0, 1]), np.array([1.0, 9.0, 2.0, 3.0])
        >>> found = BurstTemplates.of(cards, times, np.ones(4, dtype=bool), 5.0)
        >>> found.rows.tolist(), found.first.tolist(), found.gaps.tolist()
        ([0, 2, 1, 3], [0, 2, 3, 4], [0.0, 1.0, 0.0, 0.0])
        """
        rows = np.flatnonzero(rare)
        rows = rows[np.lexsort((times[rows], cards[rows]))]
        pause = np.diff(times[rows])
        same = (cards[rows][1:] == cards[rows][:-1]) & (cards[rows][1:] >= 0) & np.isfinite(pause)
        if gap is None:
            known = pause[same]
            gap = float(np.quantile(known, _GAP_QUANTILE)) if len(known) >= _FEWEST_GAPS else np.inf
        goes_on = np.concatenate([[False], same & (np.where(same, pause, 0.0) <= gap)])
        gaps = np.where(goes_on, np.concatenate([[0.0], np.where(same, pause, 0.0)]), 0.0)
        first = np.flatnonzero(~goes_on)
        return cls(rows, np.append(first, len(rows)), gaps, cards[rows[first]], times[rows[first]])

    @property
    def lengths(self) -> Ints:
        """Rows of each burst, shape (b,)."""
        return np.diff(self.first)


@dataclass(frozen=True)
class ColumnBehaviour:
    """How a numeric column usually is for each card, and how it strays from that in the rare rows.

    Parameters
    ----------
    name : str
        The column.
    median : numpy.ndarray, shape (c,)
        Median of each card's genuine rows; of all where a card has none.
    by_ratio : bool
        Whether rare values are told as a multiple of the median, or as a distance from it.
    spread : float
        Standard deviation of what is told, among the rare rows.
    low, high : float
        Range of the column.
    """

    name: str
    median: Floats
    by_ratio: bool
    spread: float
    low: float
    high: float

    @classmethod
    def of(
        cls, train: Dataset, name: str, cards: Ints, n_cards: int, rare: Mask
    ) -> ColumnBehaviour:
        """Return how the column is usually."""
        values = train.values(name)
        there = np.isfinite(values)
        median = medians(values, cards, n_cards, there & ~rare)
        low, high = (float(f(values[there])) for f in (np.min, np.max))
        by_ratio = low >= 0 and bool((median > 0).all())
        told, base = values[rare & there], median[cards[rare & there]]
        strays = np.log(told[told > 0] / base[told > 0]) if by_ratio else told - base
        spread = float(np.std(strays)) if len(strays) > 1 else 0.0
        return cls(name, median, by_ratio, spread, low, high)

    def carried(self, values: Floats, old: Ints, new: Ints, noise: Floats) -> Floats:
        """Return values of the old cards as the new cards would have them, blurred by `noise`."""
        before, after = self.median[old], self.median[new]
        moved = (
            values * (after / before) * np.exp(self.spread * noise)
            if self.by_ratio
            else values + (after - before) + self.spread * noise
        )
        return np.clip(moved, self.low, self.high)


def medians(values: Floats, cards: Ints, n_cards: int, usable: Mask) -> Floats:
    """Return the lower median of each card's usable values, shape (c,); that of all where none is.

    Examples
    --------
    >>> medians(np.array([1.0, 5.0, 3.0, 7.0]), np.array([0, 0, 0, 1]), 3, np.ones(4, bool)).tolist()
    [3.0, 7.0, 3.0]
    """
    usable = usable & (cards >= 0)
    value, card = values[usable], cards[usable]
    everyone = values[np.isfinite(values)]
    found = np.full(n_cards, float(np.sort(everyone)[(len(everyone) - 1) // 2]))
    if len(value):
        order = np.lexsort((value, card))
        counts = np.bincount(card, minlength=n_cards)
        ends = np.cumsum(counts)
        known = counts > 0
        middle = ends[known] - counts[known] + (counts[known] - 1) // 2
        found[known] = value[order][middle]
    return found


def numeric_columns(train: Dataset, skipped: set[str]) -> list[str]:
    """Return the columns that are carried over from card to card: numbers with many values."""
    names = []
    for field in train.schema.of_kind("number", "integer"):
        values = train.values(field.name)
        many = len(np.unique(values[np.isfinite(values)])) > (FEW_VALUES if field.is_whole else 1)
        if field.name not in skipped and many and not field.aggregate:
            names.append(field.name)
    return names


def place_columns(train: Dataset, skipped: set[str]) -> list[Field]:
    """Return the categories with many labels: shops, terminals, devices."""
    return [
        field
        for field in train.schema.of_kind("category")
        if field.name not in skipped and len(train.codes(field.name)[1]) > FEW_VALUES
    ]

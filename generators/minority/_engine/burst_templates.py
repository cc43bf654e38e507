"""The statistics of `minority.bursts`: bursts of the rare class, and what is usual for each card."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field

from .streams import Floats, Positions

Mask = npt.NDArray[np.bool_]

MAX_FEW = 20  # values: integers with no more are codes or counts, labels with no more are no places
_GAP_QUANTILE = 0.9  # of pauses between rare rows of a card: the documented default of `gap`
_MIN_GAPS = 10  # fewer pauses give no quantile of 0.9, and a card's rare rows are one burst


@dataclass(frozen=True)
class BurstTemplates:
    """Bursts of the rare class, one behind the other: rows of one card with no long pause between."""

    rows: Positions  # positions of the rare rows by burst, then time, shape (p,)
    first: Positions  # where each burst begins in `rows`, and the end of the last, shape (b + 1,)
    gaps: Floats  # time since the burst's row before, shape (p,); 0 for the first
    cards: Positions  # code of each burst's card, shape (b,); -1 where it is missing
    begins: Floats  # time of each burst's first row, shape (b,)

    @classmethod
    def from_rows(
        cls, cards: Positions, times: Floats, is_rare: Mask, gap: float | None
    ) -> BurstTemplates:
        """Return the bursts of the rare rows; rows without a card or a time are bursts of their own.

        Without `gap` a burst ends where a pause is longer than nine in ten pauses between two rare
        rows of one card.

        Examples
        --------
        >>> cards, times = np.array([0, 0, 0, 1]), np.array([1.0, 9.0, 2.0, 3.0])
        >>> found = BurstTemplates.from_rows(cards, times, np.ones(4, dtype=bool), 5.0)
        >>> found.rows.tolist(), found.first.tolist(), found.gaps.tolist()
        ([0, 2, 1, 3], [0, 2, 3, 4], [0.0, 1.0, 0.0, 0.0])
        """
        rows = np.flatnonzero(is_rare)
        rows = rows[np.lexsort((times[rows], cards[rows]))]
        pause, card = np.diff(times[rows]), cards[rows]
        same = (card[1:] == card[:-1]) & (card[1:] >= 0) & np.isfinite(pause)
        if gap is None:
            known = pause[same]
            gap = float(np.quantile(known, _GAP_QUANTILE)) if len(known) >= _MIN_GAPS else np.inf
        pause = np.where(same, pause, 0.0)
        goes_on = np.concatenate([[False], same & (pause <= gap)])
        gaps = np.where(goes_on, np.concatenate([[0.0], pause]), 0.0)
        first = np.flatnonzero(~goes_on)
        return cls(rows, np.append(first, len(rows)), gaps, card[first], times[rows[first]])

    @property
    def lengths(self) -> Positions:
        """Rows of each burst, shape (b,)."""
        return np.diff(self.first)


@dataclass(frozen=True)
class UsualValues:
    """Usual values of a numeric column for each card, and the spread of rare rows around them.

    Rare values are measured as a multiple of the card's median where `by_ratio`, else as a distance from
    it; `spread` is the standard deviation of these, `low` and `high` are the range of the column.
    """

    name: str
    median: Floats  # of each card's genuine rows, of all where a card has none, shape (c,)
    by_ratio: bool
    spread: float
    low: float
    high: float

    @classmethod
    def fit(
        cls, train: Dataset, name: str, cards: Positions, n_cards: int, is_rare: Mask
    ) -> UsualValues:
        """Return the usual values of a column."""
        values = train.values(name)
        present = np.isfinite(values)
        median = medians(values, cards, n_cards, present & ~is_rare)
        low, high = (float(f(values[present])) for f in (np.min, np.max))
        by_ratio = low >= 0 and bool((median > 0).all())
        rare, usual = values[is_rare & present], median[cards[is_rare & present]]
        deviations = np.log(rare[rare > 0] / usual[rare > 0]) if by_ratio else rare - usual
        spread = float(np.std(deviations)) if len(deviations) > 1 else 0.0
        return cls(name, median, by_ratio, spread, low, high)

    def carry_over(self, values: Floats, old: Positions, new: Positions, noise: Floats) -> Floats:
        """Return values of the old cards as the new cards would have them, blurred by `noise`."""
        before, after = self.median[old], self.median[new]
        moved = (
            values * (after / before) * np.exp(self.spread * noise)
            if self.by_ratio
            else values + (after - before) + self.spread * noise
        )
        return np.clip(moved, self.low, self.high)


def medians(values: Floats, cards: Positions, n_cards: int, usable: Mask) -> Floats:
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
        many = len(np.unique(values[np.isfinite(values)])) > (MAX_FEW if field.is_whole else 1)
        if field.name not in skipped and many and not field.aggregate:
            names.append(field.name)
    return names


def place_columns(train: Dataset, skipped: set[str]) -> list[Field]:
    """Return the categories with many labels: shops, terminals, devices."""
    return [
        field
        for field in train.schema.of_kind("category")
        if field.name not in skipped and len(train.codes(field.name)[1]) > MAX_FEW
    ]

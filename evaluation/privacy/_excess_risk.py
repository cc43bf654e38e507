"""What the attacks share: the excess over control rows, its resampling, and who sets a threshold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

SMALL_CELL = 11
"""Counts of 1 to 10 real rows are never told (the rule of CMS on small cells)."""

FEW = "fewer than 11 rows"


@dataclass(frozen=True)
class Excess:
    """Success of an attack on members beyond its success on rows that the generator never saw.

    Parameters
    ----------
    value : float
        Share of members minus share of control rows, -1 to 1; 0 on average where nothing leaks.
    replicates : numpy.ndarray, shape (b,)
        Bootstrap replicates of `value`.
    """

    value: float
    replicates: Floats

    @property
    def clipped(self) -> float:
        """The value as a measure of harm: less success than on control rows is no less than none."""
        return float(np.clip(self.value, 0.0, 1.0))


def excess(members: Floats, control: Floats, replicates: int, rng: np.random.Generator) -> Excess:
    """Return the excess of the mean success on members, both sides resampled row by row.

    Parameters
    ----------
    members, control : numpy.ndarray, shapes (m,) and (c,)
        Success on each attacked row, 0 to 1, or a mean of several attacks on it.
    replicates : int
        Number of bootstrap replicates.
    rng : numpy.random.Generator
        Draws positions only: sets of equal sizes are resampled alike.

    Examples
    --------
    >>> found = excess(np.array([1.0, 1.0, 0.0, 0.0]), np.zeros(8), 50, np.random.default_rng(1))
    >>> found.value, found.replicates.shape
    (0.5, (50,))
    """
    drawn = resampled(members, replicates, rng, (0.0, 1.0)).mean(axis=1)
    drawn = drawn - resampled(control, replicates, rng, (0.0, 1.0)).mean(axis=1)
    return Excess(float(members.mean() - control.mean()), drawn)


def resampled(
    scores: Floats, replicates: int, rng: np.random.Generator, outcomes: tuple[float, ...]
) -> Floats:
    """Return bootstrap samples of `scores`, shape (replicates, n).

    The rows are drawn from one row more than there are, whose outcome is any of `outcomes`: success
    that was never seen in few rows must not look certain.

    Examples
    --------
    >>> float(resampled(np.zeros(3), 100, np.random.default_rng(1), (0.0, 1.0)).max())
    1.0
    """
    places = rng.integers(0, len(scores) + 1, (replicates, len(scores)))
    picked = np.append(scores, 0.0)[places]
    unseen = places == len(scores)
    picked[unseen] = rng.choice(outcomes, int(unseen.sum()))
    return picked


def round_shares(
    members: float, n_members: int, control: float, n_control: int
) -> tuple[float | str, float | str]:
    """Return the two shares for the report; one that stands for 1 to 10 real rows is not told.

    The value tells the difference of the two, so the other share is then told coarsely.

    Examples
    --------
    >>> round_shares(0.25, 1000, 0.1, 1000)
    (0.25, 0.1)
    >>> round_shares(0.254, 1000, 0.004, 1000)
    ('20 to 30 %', 'fewer than 11 rows')
    """
    small = [
        0 < share * n < SMALL_CELL - 0.5
        for share, n in ((members, n_members), (control, n_control))
    ]
    if not any(small):
        return float(members), float(control)
    first, second = (FEW if few else _coarse(x) for few, x in zip(small, (members, control)))
    return first, second


def in_words(share: float | str) -> str:
    """Return a share as `round_shares` gives it for a sentence.

    Examples
    --------
    >>> in_words(0.25), in_words("fewer than 11 rows")
    ('25 %', 'fewer than 11 rows')
    """
    return share if isinstance(share, str) else f"{share * 100:.0f} %"


def thresholds(margin: float) -> Mapping[str, str]:
    """Return who says what about the risk that the attacks measure.

    Examples
    --------
    >>> thresholds(0.05)["twinset"]
    'margin of 0.05, set by twinset, no legal safe harbour'
    """
    return {
        "Article 29 Working Party, Opinion 05/2014": "names this risk, gives no number",
        "HHS, 45 CFR 164.514(b)(1)": "a very small risk, gives no number",
        "twinset": f"margin of {margin:g}, set by twinset, no legal safe harbour",
    }


def _coarse(share: float) -> str:
    tenth = min(int(share * 10), 9)
    return f"{tenth * 10} to {tenth * 10 + 10} %"

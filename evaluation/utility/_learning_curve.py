"""Learning curves of real rows: how the loss falls with more of them, and what a gain is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

EXPONENT, EXPONENT_SPREAD = 0.5, 0.25
"""What exponents are like before any row is seen: boosted trees and linear models on tables."""

LEAST, MOST = 0.125, 3.0
"""Sizes, as multiples of the train part, between which the curve is read; nothing is told beyond."""

_EXPONENTS = np.linspace(0.05, 1.6, 63)
_NOISE_EXPONENT = 0.75
_BEND = 0.05


@dataclass(frozen=True)
class LearningCurve:
    """Curves `loss(n) = a + slope * n**-exponent`, where n = 1 is the whole train part.

    The first curve is the estimate, the others are its bootstrap replicates.

    Parameters
    ----------
    slope, exponent : numpy.ndarray, shape (b,)
        One curve each; a slope at or below 0 is a curve that does not fall.

    Examples
    --------
    >>> sizes = np.array([1.0, 0.5, 0.25, 0.125])
    >>> curve = LearningCurve.fit(sizes, np.tile(0.3 + 0.1 * sizes**-0.5, (9, 1)), np.full(4, 1e-5))
    >>> bool(0.45 < curve.exponent[0] < 0.55), curve.is_flat
    (True, False)
    >>> round(float(curve.rows_worth(curve.gain(1.0))[0]), 6)
    1.0
    """

    slope: Floats
    exponent: Floats

    @classmethod
    def fit(
        cls, sizes: Floats, losses: Floats, noise: Floats, expected: Floats | None = None
    ) -> LearningCurve:
        """Return the curves through the losses, by weighted least squares.

        The exponent is drawn towards what is usual, because four sizes hardly tell it. Sizes far
        below the whole count less: a power law holds from one size to the next, not over all sizes.

        Parameters
        ----------
        sizes : numpy.ndarray, shape (k,)
            Rows as shares of the train part, falling from 1.
        losses : numpy.ndarray, shape (b, k)
            Mean loss at each size.
        noise : numpy.ndarray, shape (k,)
            Standard error of the mean losses that comes from the training rows.
        expected : numpy.ndarray, shape (b,), optional
            Exponents that the curves are drawn towards.
        """
        usual = np.full(len(losses), EXPONENT) if expected is None else expected
        fall = abs(float(losses[0, -1] - losses[0, 0]))
        bend = _BEND * fall * np.maximum(-np.log2(sizes) - 1, 0)
        weight = 1.0 / np.maximum(noise**2 + bend**2, 1e-24)
        centred = losses - (losses @ weight / weight.sum())[:, None]
        misfits, slopes = [], []
        for c in _EXPONENTS:
            x = sizes**-c
            x = x - weight @ x / weight.sum()
            slope = centred @ (weight * x) / (weight @ x**2)
            left = centred - slope[:, None] * x
            misfits.append(left**2 @ weight + ((c - usual) / EXPONENT_SPREAD) ** 2)
            slopes.append(slope)
        best, rows = np.argmin(misfits, axis=0), np.arange(len(losses))
        return cls(np.array(slopes)[best, rows], _EXPONENTS[best])

    @property
    def is_flat(self) -> bool:
        """Whether twice the rows do not surely lower the loss, so that nothing divides by it."""
        gain = self.gain(1.0)
        return bool(gain[0] <= 2.0 * np.std(gain[1:], ddof=1))

    def gain(self, more: float) -> Floats:
        """Return by how much `more` rows, as a multiple of the train part, lower the loss, shape (b,)."""
        out: Floats = self.slope * (1.0 - (1.0 + more) ** -self.exponent)
        return out

    def rows_worth(self, gain: Floats) -> Floats:
        """Return how many more real rows lower the loss by `gain`, as multiples of the train part.

        Answers are held within the sizes from `LEAST` to `MOST`.

        Parameters
        ----------
        gain : numpy.ndarray, shape (b,)
            Loss of the whole train part less that of the rows in question.
        """
        falls = self.slope > 0
        left = 1.0 - gain / np.where(falls, self.slope, 1.0)
        # A gain beyond the curve's own floor is worth more rows than there could be.
        inside = np.maximum(left, MOST**-self.exponent)
        worth = np.clip(inside ** (-1.0 / self.exponent), LEAST, MOST) - 1.0
        beyond = np.where(gain > 0, MOST - 1.0, np.where(gain < 0, LEAST - 1.0, 0.0))
        out: Floats = np.where(falls, worth, beyond)
        return out


def training_noise(blocks: Sequence[Floats], sizes: Floats) -> float:
    """Return the standard deviation of the loss over train parts of the whole size.

    It is seen at the smaller sizes, where there are several blocks, and shrinks with `n**-0.75`:
    between that of a mean and that of what a fitted model loses.

    Parameters
    ----------
    blocks : sequence of numpy.ndarray
        Mean losses of the models of each size, one array a size.
    sizes : numpy.ndarray, shape (k,)
        Rows as shares of the train part.

    Examples
    --------
    >>> round(training_noise([np.array([1.0]), np.array([1.0, 3.0])], np.array([1.0, 0.5])), 3)
    0.841
    """
    squares = degrees = 0.0
    for found, size in zip(blocks, sizes):
        if len(found) > 1:
            squares += float(((found - found.mean()) ** 2).sum()) * size ** (2 * _NOISE_EXPONENT)
            degrees += len(found) - 1
    return float(np.sqrt(squares / degrees)) if degrees else 0.0


def noise_at(noise: float, size: float | Floats) -> Floats:
    """Return the training noise at other sizes than the whole, `size` times its rows."""
    return noise * np.asarray(size, dtype=np.float64) ** -_NOISE_EXPONENT

"""Learning curves of real rows: how the loss falls with more of them, and what a gain is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

EXPONENT, EXPONENT_SPREAD = 0.45, 0.25
"""What exponents are like before any row is seen: boosted trees and linear models on tables."""

LEAST, MOST = 0.125, 3.0
"""Sizes, as multiples of the train part, between which the curve is read; nothing is told beyond."""

_EXPONENTS = np.linspace(0.05, 1.6, 63)
_NOISE_EXPONENT, _NOISE_EXPONENT_SPREAD = 0.75, 0.2
_BEND = 0.05
_BEYOND = 0.25
_LEVEL = 1e-12


@dataclass(frozen=True)
class LearningCurve:
    """Curves `loss(n) = a + slope * n**-exponent`, where n = 1 is the whole train part.

    The first curve is the estimate, the others are its bootstrap replicates.

    Parameters
    ----------
    slope, exponent : numpy.ndarray, shape (b,)
        One curve each; a slope of 0 or below is a curve that does not fall.

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
        fall = np.abs(losses[0] - losses[0, 0])
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

    def beyond(self, rng: np.random.Generator) -> LearningCurve:
        """Return the curves as they may go on past the last size, where no model was seen.

        What the next doubling brings differs by a quarter or so from what the law through the sizes
        before it says: so it is on tables of which there are more rows.
        """
        doubt = np.append(0.0, _BEYOND * rng.normal(size=len(self.slope) - 1))
        return LearningCurve(self.slope * np.exp(doubt), self.exponent)

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
        falls = self.slope > _LEVEL
        left = 1.0 - gain / np.where(falls, self.slope, 1.0)
        # A gain beyond the curve's own floor is worth more rows than there could be.
        inside = np.maximum(left, MOST**-self.exponent)
        worth = np.clip(inside ** (-1.0 / self.exponent), LEAST, MOST) - 1.0
        beyond = np.where(gain > 0, MOST - 1.0, np.where(gain < 0, LEAST - 1.0, 0.0))
        out: Floats = np.where(falls, worth, beyond)
        return out


@dataclass(frozen=True)
class TrainingNoise:
    """How much the loss varies between models of different train parts of one size.

    Parameters
    ----------
    at_whole : float
        Standard deviation over train parts of the whole size.
    exponent : float
        It shrinks with `n**-exponent`.
    doubt : float
        Standard error of the logarithm of `at_whole`: a few models tell a spread only roughly.

    Examples
    --------
    >>> blocks = [np.array([1.0]), np.array([1.0, 3.0])]
    >>> noise = TrainingNoise.seen(blocks, np.array([1.0, 0.5]))
    >>> round(noise.at_whole, 2), round(float(noise.at(0.5)), 2)
    (0.84, 1.41)
    """

    at_whole: float
    exponent: float
    doubt: float

    @classmethod
    def seen(cls, blocks: Sequence[Floats], sizes: Floats) -> TrainingNoise:
        """Return the noise that is seen at the smaller sizes, where there are several blocks.

        The exponent is drawn towards 0.75, between that of a mean and that of what a fitted model
        loses; where models of the smallest parts break down, it is steeper.

        Parameters
        ----------
        blocks : sequence of numpy.ndarray
            Mean losses of the models of each size, one array a size.
        sizes : numpy.ndarray, shape (k,)
            Rows as shares of the train part.
        """
        seen = [(part, size) for part, size in zip(blocks, sizes) if len(part) > 1]
        if not seen:
            return cls(0.0, _NOISE_EXPONENT, 0.0)
        # The logarithm of a variance over d degrees of freedom has the variance 2 / d or so.
        weight = np.array([(len(part) - 1) / 2 for part, _ in seen])
        x = np.array([-2 * np.log(size) for _, size in seen])
        y = np.log([np.var(part, ddof=1) + 1e-300 for part, _ in seen]) - _NOISE_EXPONENT * x
        centre, level = weight @ x / weight.sum(), weight @ y / weight.sum()
        spread = weight @ (x - centre) ** 2 + _NOISE_EXPONENT_SPREAD**-2
        steeper = float(weight @ ((x - centre) * (y - level)) / spread)
        doubt = 0.5 * float(np.sqrt(1 / weight.sum() + centre**2 / spread))
        at_whole = float(np.exp((level - steeper * centre) / 2))
        return cls(at_whole, _NOISE_EXPONENT + steeper, doubt)

    def at(self, size: float | Floats) -> Floats:
        """Return the noise at `size` times the whole train part's rows."""
        return self.at_whole * np.asarray(size, dtype=np.float64) ** -self.exponent

"""Learning curves: the loss of a model as a function of its real training rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

EXPONENT, EXPONENT_SPREAD = (
    0.45,
    0.25,
)  # prior of the exponent: boosted trees and linear models on tables
MIN_SIZE, MAX_SIZE = 0.125, 3.0  # multiples of the train set within which the curve is read

_EXPONENTS = np.linspace(0.05, 1.6, 63)
# Prior of the exponent of the training noise: between that of a mean (0.5) and of the loss of a fitted
# model (1).
_NOISE_EXPONENT, _NOISE_EXPONENT_SPREAD = 0.75, 0.2
_BEND = 0.05  # misfit of a power law for each halving below one half, as a share of the fall
_BEYOND = 0.25  # relative error of the next doubling, seen on tables that have more rows
_LEVEL = 1e-12  # slopes up to this are flat: rounding


@dataclass(frozen=True)
class LearningCurve:
    """Curves loss(n) = a + slope * n^-exponent, where n = 1 is the whole train set.

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

        The exponent has a prior, because four sizes hardly determine it. Sizes far below the whole count
        less: a power law holds from one size to the next, not over all sizes.

        Parameters
        ----------
        sizes : numpy.ndarray, shape (k,)
            Rows as shares of the train set, falling from 1.
        losses : numpy.ndarray, shape (b, k)
            Mean loss at each size.
        noise : numpy.ndarray, shape (k,)
            Standard error of the mean losses that comes from the training rows.
        expected : numpy.ndarray, shape (b,), optional
            Prior mean of each exponent.
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

    def extrapolate(self, rng: np.random.Generator) -> LearningCurve:
        """Return the curves with the uncertainty past the last size, where there is no model."""
        error = np.append(0.0, _BEYOND * rng.normal(size=len(self.slope) - 1))
        return LearningCurve(self.slope * np.exp(error), self.exponent)

    @property
    def is_flat(self) -> bool:
        """Whether twice the rows do not lower the loss with confidence, so that no rate exists."""
        gain = self.gain(1.0)
        return bool(gain[0] <= 2.0 * np.std(gain[1:], ddof=1))

    def gain(self, more: float) -> Floats:
        """Return the gain of `more` rows, a multiple of the train set, in loss, shape (b,)."""
        out: Floats = self.slope * (1.0 - (1.0 + more) ** -self.exponent)
        return out

    def rows_worth(self, gain: Floats) -> Floats:
        """Return the real rows that lower the loss by `gain`, as multiples of the train set.

        Results are limited to sizes from `MIN_SIZE` to `MAX_SIZE`.

        Parameters
        ----------
        gain : numpy.ndarray, shape (b,)
            Loss of the whole train set less that of the rows in question.
        """
        falls = self.slope > _LEVEL
        left = 1.0 - gain / np.where(falls, self.slope, 1.0)
        # A gain beyond the floor of the curve is worth the maximum.
        inside = np.maximum(left, MAX_SIZE**-self.exponent)
        worth = np.clip(inside ** (-1.0 / self.exponent), MIN_SIZE, MAX_SIZE) - 1.0
        beyond = np.where(gain > 0, MAX_SIZE - 1.0, np.where(gain < 0, MIN_SIZE - 1.0, 0.0))
        out: Floats = np.where(falls, worth, beyond)
        return out


@dataclass(frozen=True)
class TrainingNoise:
    """Standard deviation of the loss between models of different train sets of one size.

    Parameters
    ----------
    at_whole : float
        At the size of the whole train set.
    exponent : float
        It shrinks with `n**-exponent`.
    log_error : float
        Standard error of the logarithm of `at_whole`.

    Examples
    --------
    >>> blocks = [np.array([1.0]), np.array([1.0, 3.0])]
    >>> noise = TrainingNoise.from_blocks(blocks, np.array([1.0, 0.5]))
    >>> round(noise.at_whole, 2), round(float(noise.at(0.5)), 2)
    (0.84, 1.41)
    """

    at_whole: float
    exponent: float
    log_error: float

    @classmethod
    def from_blocks(cls, blocks: Sequence[Floats], sizes: Floats) -> TrainingNoise:
        """Return the noise at the smaller sizes, where there are several blocks.

        The exponent has a prior; where models of the smallest parts break down, it is steeper.

        Parameters
        ----------
        blocks : sequence of numpy.ndarray
            Mean losses of the models of each size, one array a size.
        sizes : numpy.ndarray, shape (k,)
            Rows as shares of the train set.
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
        log_error = 0.5 * float(np.sqrt(1 / weight.sum() + centre**2 / spread))
        at_whole = float(np.exp((level - steeper * centre) / 2))
        return cls(at_whole, _NOISE_EXPONENT + steeper, log_error)

    def at(self, size: float | Floats) -> Floats:
        """Return the noise at `size` times the rows of the train set."""
        return self.at_whole * np.asarray(size, dtype=np.float64) ** -self.exponent

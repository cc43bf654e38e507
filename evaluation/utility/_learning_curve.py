"""Learning curves of a model over its real training rows, and the worth of synthetic rows on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# Prior of the exponent: boosted trees and linear models on tables.
_EXPONENT, _EXPONENT_SPREAD = 0.45, 0.25
NORMAL_QUANTILE = 1.96  # two-sided 95 % interval of a normal distribution
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

    The first curve is the estimate, the others are its bootstrap replicates: arrays of shape (b,). A slope
    of 0 or below is a curve that does not fall.
    """

    slope: Floats
    exponent: Floats

    @classmethod
    def fit(
        cls, sizes: Floats, losses: Floats, noise: Floats, expected: Floats | None = None
    ) -> LearningCurve:
        """Return the curves through the losses at falling sizes, (b, k), by weighted least squares.

        The exponent has a prior, because four sizes hardly determine it; `expected` are its means. Sizes
        far below the whole count less: a power law holds from one size to the next, not over all sizes.
        `noise` is the standard error of the losses that comes from the training rows, (k,).
        """
        usual = np.full(len(losses), _EXPONENT) if expected is None else expected
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
            misfits.append(left**2 @ weight + ((c - usual) / _EXPONENT_SPREAD) ** 2)
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

        The gain is from the loss of the whole train set; sizes are limited to `MIN_SIZE` to `MAX_SIZE`.
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

    `at_whole` is that of the whole train set, with the standard error `log_error` of its logarithm; it
    shrinks with ``n**-exponent``.
    """

    at_whole: float
    exponent: float
    log_error: float

    @classmethod
    def from_blocks(cls, blocks: Sequence[Floats], sizes: Floats) -> TrainingNoise:
        """Return the noise at the smaller sizes, where there are several blocks.

        The exponent has a prior; where models of the smallest parts break down, it is steeper.
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


@dataclass(frozen=True)
class HoldoutLosses:
    """Losses of models of real rows, and of real and synthetic ones, on the h holdout rows."""

    sizes: Floats  # of the learning curve, as shares of the train set, falling from 1
    real: Sequence[Floats]  # losses of the m models of each size, shape (m, h)
    mixed: Mapping[float, Floats]  # of all real rows with so many train sets of synthetic ones
    alone: Floats | None  # of as many synthetic rows without the real ones
    strata: npt.NDArray[Any]  # holdout rows are drawn within these
    shares: Floats | None = None  # weights of the strata; by default their shares of the rows

    def holdout_weights(self, b: int, rng: np.random.Generator) -> Floats:
        """Return weights of the holdout rows, shape (1 + b, h): of all of them, then of draws."""
        out = np.empty((1 + b, len(self.strata)))
        for i, stratum in enumerate(np.unique(self.strata)):
            rows = np.flatnonzero(self.strata == stratum)
            share = len(rows) / len(self.strata) if self.shares is None else self.shares[i]
            out[0, rows] = share / len(rows)
            even = np.full(len(rows), 1 / len(rows))
            out[1:, rows] = rng.multinomial(len(rows), even, size=b) * (share / len(rows))
        return out


@dataclass(frozen=True)
class ExchangeRates:
    """Exchange rates by one model; first entries are estimates, the others bootstrap replicates."""

    curve: LearningCurve  # of real rows, with the uncertainty beyond its end
    is_flat: bool  # whether the curve does not fall with confidence within its sizes
    sizes: Floats  # of the curve, as shares of the train set
    real: Floats  # mean loss at each size
    gains: tuple[Floats, ...]  # decrease of the loss for each number of added rows, shape (1 + b,)
    worth: tuple[Floats, ...]  # real rows that 1,000 of them are worth
    alone: Floats | None  # train sets of real rows that synthetic rows without any real one equal

    @property
    def real_loss(self) -> float:
        """Loss of the model of all real rows."""
        return float(self.real[0])

    @property
    def gain_interval(self) -> tuple[float, float]:
        """95 % interval of the gain of all added rows."""
        low, high = np.quantile(self.gains[-1][1:], [0.025, 0.975])
        return float(low), float(high)

    def describe_curve(self, n_rows: int) -> dict[str, Any]:
        """Return the curve as plain JSON values, in numbers of rows."""
        return {
            "rows": [round(size * n_rows) for size in self.sizes],
            "loss": [float(loss) for loss in self.real],
            "exponent": float(self.curve.exponent[0]),
            "gain_of_twice_the_rows": float(self.curve.gain(1.0)[0]),
        }


def compute_rates(losses: HoldoutLosses, b: int, rng: np.random.Generator) -> ExchangeRates:
    """Return the position of losses with synthetic rows on the learning curve of the real ones."""
    added = np.array(list(losses.mixed))
    tested = [part.mean(axis=0) for part in losses.real] + list(losses.mixed.values())
    tested += [] if losses.alone is None else [losses.alone]
    weights = losses.holdout_weights(b, rng)
    means = weights @ np.array(tested).T
    noise = TrainingNoise.from_blocks([part @ weights[0] for part in losses.real], losses.sizes)
    means[1:] += _draw_noise(losses, added, noise, b, rng)
    k = len(losses.sizes)
    errors = noise.at(losses.sizes) / np.sqrt([len(part) for part in losses.real])
    # The prior means of the exponents are drawn, but for that of the estimate.
    exponents = np.clip(_EXPONENT + _EXPONENT_SPREAD * rng.normal(size=b), 0.05, 1.6)
    exponents = np.append(_EXPONENT, exponents)
    seen = LearningCurve.fit(losses.sizes, means[:, :k], errors, exponents)
    curve = seen.extrapolate(rng)
    gains = [means[:, 0] - means[:, k + i] for i in range(len(added))]
    worth = [1000.0 * curve.rows_worth(gain) / r for gain, r in zip(gains, added)]
    alone = None
    if losses.alone is not None:
        alone = 1.0 + curve.rows_worth(means[:, 0] - means[:, -1])
    return ExchangeRates(
        curve, seen.is_flat, losses.sizes, means[0, :k], tuple(gains), tuple(worth), alone
    )


def widen_replicates(found: Floats) -> Floats:
    """Return replicates whose spread covers the interval, shape (b,), from (estimate, replicates).

    Exchange rates have one long tail, and the interval of the harness has the estimate in its middle. So
    the spread is widened until it covers the longer side of the central 95 %.
    """
    estimate, drawn = found[0], found[1:]
    low, high = np.quantile(drawn, [0.025, 0.975])
    spread = float(np.std(drawn, ddof=1))
    needed = max(high - estimate, estimate - low) / NORMAL_QUANTILE
    factor = max(1.0, needed / spread) if spread > 0 else 1.0
    return np.asarray(estimate + (drawn - drawn.mean()) * factor)


def _draw_noise(
    losses: HoldoutLosses, added: Floats, noise: TrainingNoise, b: int, rng: np.random.Generator
) -> Floats:
    """Return random effects of training rows on the mean losses, shape (b, models).

    Models share the effect of the rows that they share. As in a linear model, where the loss is the
    square of a mean, a part of size s of a whole shares s of its variance, and so do all blocks together.
    """
    counts = np.array([len(part) for part in losses.real])
    n_alone = 0 if losses.alone is None else 1
    spread = [noise.at(losses.sizes) / np.sqrt(counts), noise.at(1 + added)]
    shared = [np.sqrt(losses.sizes**2 * counts), 1 / (1 + added)]
    spread, shared = [*spread, np.full(n_alone, noise.at_whole)], [*shared, np.zeros(n_alone)]
    common = np.concatenate(shared)
    drawn = rng.normal(size=(b, len(common)))
    drawn = common * drawn[:, :1] + np.sqrt(1 - common**2) * drawn
    # The size of the noise is itself uncertain.
    drawn *= np.exp(noise.log_error * rng.normal(size=(b, 1)))
    return np.asarray(drawn * np.concatenate(spread))

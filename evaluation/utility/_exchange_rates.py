"""Exchange rates: real rows that synthetic rows are worth, on the learning curve of real rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.findings import AddedRows, Effect, ExchangeRate

from ._data_splits import DataSplits, HoldoutLosses
from ._holdout_scores import find_effect
from ._learning_curve import (
    EXPONENT,
    EXPONENT_SPREAD,
    MAX_SIZE,
    MIN_SIZE,
    LearningCurve,
    TrainingNoise,
)

Floats = npt.NDArray[np.float64]

_NORMAL_QUANTILE = 1.96  # two-sided 95 % interval of a normal distribution


@dataclass(frozen=True)
class ExchangeRates:
    """Exchange rates by one model; first entries are estimates, the others bootstrap replicates.

    Parameters
    ----------
    curve : LearningCurve
        Curve of real rows, with the uncertainty beyond its end.
    is_flat : bool
        Whether the curve does not fall with confidence within its sizes.
    sizes, real : numpy.ndarray, shape (k,)
        Sizes of the curve, as shares of the train set, and the mean loss at each.
    gains, worth : tuple of numpy.ndarray, each shape (1 + b,)
        For each number of added rows: the decrease of the loss, and the real rows that 1,000 of them are
        worth.
    alone : numpy.ndarray, shape (1 + b,), or None
        Real rows, as a multiple of the train set, that synthetic rows without any real one equal.
    """

    curve: LearningCurve
    is_flat: bool
    sizes: Floats
    real: Floats
    gains: tuple[Floats, ...]
    worth: tuple[Floats, ...]
    alone: Floats | None

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
    """Return the position of losses with synthetic rows on the learning curve of the real ones.

    Parameters
    ----------
    losses : HoldoutLosses
        Losses of all models on all holdout rows.
    b : int
        Bootstrap replicates.
    rng : numpy.random.Generator
        Draws holdout rows, effects of training rows, and exponents.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> row = rng.normal(size=500) ** 2
    >>> real = [np.array([(1 + 0.1 * n**-0.5) * row] * m) for n, m in ((1, 1), (0.5, 2), (0.25, 4))]
    >>> mixed = {1.0: (1 + 0.1 * 2**-0.5) * row}
    >>> losses = HoldoutLosses(np.array([1, 0.5, 0.25]), real, mixed, None, row > 9)
    >>> bool(800 < compute_rates(losses, 50, rng).worth[-1][0] < 1200)
    True
    """
    added = np.array(list(losses.mixed))
    tested = [part.mean(axis=0) for part in losses.real] + list(losses.mixed.values())
    tested += [] if losses.alone is None else [losses.alone]
    weights = losses.holdout_weights(b, rng)
    means = weights @ np.array(tested).T
    noise = TrainingNoise.from_blocks([part @ weights[0] for part in losses.real], losses.sizes)
    means[1:] += _draw_noise(losses, added, noise, b, rng)
    k = len(losses.sizes)
    errors = noise.at(losses.sizes) / np.sqrt([len(part) for part in losses.real])
    seen = LearningCurve.fit(losses.sizes, means[:, :k], errors, _draw_exponents(b, rng))
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

    Examples
    --------
    >>> found = widen_replicates(np.append(0.0, np.arange(101.0)))
    >>> round(1.96 * float(np.std(found, ddof=1)), 1)
    97.5
    """
    estimate, drawn = found[0], found[1:]
    low, high = np.quantile(drawn, [0.025, 0.975])
    spread = float(np.std(drawn, ddof=1))
    needed = max(high - estimate, estimate - low) / _NORMAL_QUANTILE
    factor = max(1.0, needed / spread) if spread > 0 else 1.0
    return np.asarray(estimate + (drawn - drawn.mean()) * factor)


def list_added_rows(splits: DataSplits, found: ExchangeRates) -> tuple[list[dict[str, Any]], int]:
    """Return the gain of each number of added rows, none of them first, and the best number."""
    tried: list[dict[str, Any]] = []
    for rows, gain, worth in zip(splits.doses.values(), found.gains, found.worth):
        low, high = np.quantile(gain[1:], [0.025, 0.975])
        interval = {"gain": float(gain[0]), "gain_interval": [float(low), float(high)]}
        tried.append({"rows": len(rows), **interval, **describe_rate(worth)})
    # Only numbers that help with confidence are recommended.
    helping = [entry for entry in tried if entry["gain_interval"][0] > 0]
    best = max(helping, key=lambda entry: entry["gain"])["rows"] if helping else 0
    return [{"rows": 0, "gain": 0.0}, *tried], best


def describe_rate(worth: Floats) -> dict[str, Any]:
    """Return a rate and its interval as plain JSON values."""
    reach = _NORMAL_QUANTILE * float(np.std(widen_replicates(worth), ddof=1))
    return {"rate": float(worth[0]), "interval": [float(worth[0]) - reach, float(worth[0]) + reach]}


def list_findings(
    splits: DataSplits, model: str, found: ExchangeRates, replicates: Floats, best: int
) -> tuple[ExchangeRate, AddedRows]:
    """Return the rate with the effect of adding all rows, and the numbers of rows that go with it."""
    # The effect rests on the loss itself: the worth includes the uncertainty of the curve.
    effect = find_effect(*found.gain_interval)
    rate = ExchangeRate(
        splits.task.target,
        model,
        tuple(splits.task.classes[k] for k in splits.classes),
        rate=float(found.worth[-1][0]),
        half_width=_NORMAL_QUANTILE * float(np.std(replicates, ddof=1)),
        effect=effect,
    )
    rows = AddedRows(best, n_train=len(splits.train) if splits.is_sampled else None)
    if found.alone is not None and effect != Effect.NOT_SHOWN:
        share = float(found.alone[0])
        limit = "least" if share <= MIN_SIZE else "most" if share >= MAX_SIZE else ""
        like = min(max(share, MIN_SIZE), MAX_SIZE) * len(splits.pool)
        rows = replace(rows, n_alone=len(splits.synthetic_rows), like_real=like, limit=limit)
    return rate, rows


def explain_flat_curve(found: ExchangeRates, model: str) -> str:
    """Return the reason why there is no rate, with the effect of the synthetic rows."""
    effect = {
        Effect.HELPS: "makes the model better",
        Effect.HURTS: "makes the model worse",
        Effect.NOT_SHOWN: "shows no difference",
    }[find_effect(*found.gain_interval)]
    return (
        f"the learning curve of {model} is flat, so more real rows would not surely help either and "
        f"there is nothing to count synthetic rows in; adding the synthetic rows {effect}"
    )


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


def _draw_exponents(b: int, rng: np.random.Generator) -> Floats:
    """Return the prior means of the exponents, that of the estimate first."""
    drawn = EXPONENT + EXPONENT_SPREAD * rng.normal(size=b)
    return np.append(EXPONENT, np.clip(drawn, 0.05, 1.6))

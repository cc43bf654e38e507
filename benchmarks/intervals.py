"""Intervals of differences: Student's t, bootstrap, DeLong, and two sources of error together."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata, t

from benchmarks.markdown import signed

Floats = npt.NDArray[np.float64]


class Difference(NamedTuple):
    """A mean, as a rule of differences, and its 95 % interval."""

    mean: float
    low: float
    high: float

    @classmethod
    def within(cls, mean: float, reach: float) -> Difference:
        return cls(mean, mean - reach, mean + reach)

    @property
    def points(self) -> str:
        """The difference in points, e.g. ``+3.1 [+1.0, +5.2]``."""
        return f"{100 * self.mean:+.1f} [{100 * self.low:+.1f}, {100 * self.high:+.1f}]"

    def __str__(self) -> str:
        return signed(*self)


def auc_with_error(positive: Floats, negative: Floats) -> tuple[float, float]:
    """Return P(positive > negative) + P(equal) / 2 and its standard error (DeLong et al. 1988)."""
    m, n = len(positive), len(negative)
    ranks = rankdata(np.concatenate([positive, negative]))
    above_negatives = (ranks[:m] - rankdata(positive)) / n
    below_positives = 1 - (ranks[m:] - rankdata(negative)) / m
    variance = above_negatives.var(ddof=1) / m + below_positives.var(ddof=1) / n
    return float(above_negatives.mean()), float(np.sqrt(variance))


def student(changes: Floats) -> Difference:
    """Return the mean of independent changes with Student's interval."""
    error = float(np.std(changes, ddof=1)) / len(changes) ** 0.5
    return Difference.within(float(np.mean(changes)), float(t.ppf(0.975, len(changes) - 1)) * error)


def bootstrapped(changes: Floats, rng: np.random.Generator, draws: int = 500) -> Difference:
    """Return the mean of changes with the quantiles of its bootstrap."""
    rows = rng.integers(0, len(changes), (draws, len(changes)))
    low, high = np.quantile(changes[rows].mean(axis=1), (0.025, 0.975))
    return Difference(float(changes.mean()), float(low), float(high))


def difference(by_seed: Floats, rows_error: float, n_rows: int) -> Difference:
    """Return the mean over seeds with an interval for the draws of train rows and of test rows."""
    # All seeds are tested on the same rows, so their spread does not show how other test rows would
    # come out. Both variances are added, which counts a part of the second twice: the interval is too
    # wide rather than too narrow. Degrees of freedom are those of Satterthwaite (1946).
    n, mean = len(by_seed), float(by_seed.mean())
    variances = np.array([by_seed.var(ddof=1) / n, rows_error**2])
    total = float(variances.sum())
    if total == 0:
        return Difference.within(mean, 0.0)
    freedom = total**2 / float((variances**2 / np.array([n - 1, n_rows - 1])).sum())
    return Difference.within(mean, float(t.ppf(0.975, freedom)) * total**0.5)


def hit_difference(better: npt.NDArray[np.bool_], worse: npt.NDArray[np.bool_]) -> Difference:
    """Return the difference in accuracy of two arms, given as hits of shape (seeds, test rows)."""
    paired = better.astype(np.float64) - worse
    by_row = paired.mean(axis=0)
    error = float(by_row.std(ddof=1) / np.sqrt(len(by_row)))
    return difference(paired.mean(axis=1), error, len(by_row))

"""Tests of two sets against each other, many tests at once, and areas under ROC curves."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# Level of a metric as a whole. A report has up to 25 metrics that test, so that chance makes fewer than 5 %
# of fresh real samples different, also where rows are so few that no margin helps.
METRIC_LEVEL = 0.002
METRIC_QUANTILE = 2.88  # one-sided test of a normal distribution at that level
# Level over all components of a metric. Their margins do the rest: at 5 %, of 1,000 fresh samples of Adult
# one metric named a component in 36, one in 6, and all others together in 3.
COMPONENT_LEVEL = 0.01


def two_sample(a: Floats, n: int, b: Floats, m: int) -> tuple[Floats, Floats]:
    """Return z and two-sided p of counts `a` of n rows against counts `b` of m rows.

    The normal test with pooled variance where at least 50 rows are expected in each group, else the
    exact binomial test of `a` given a + b, which errs on the safe side.
    """
    from scipy.special import bdtr, bdtrc, ndtr

    total, share = a + b, (a + b) / (n + m)
    spread = np.sqrt(share * (1 - share) * (1 / n + 1 / m))
    z = np.divide(a / n - b / m, spread, out=np.zeros_like(total), where=spread > 0)
    normal = 2 * ndtr(-np.abs(z))
    side = n / (n + m)
    whole = total.astype(np.int64)
    low, high = bdtr(a, whole, side), np.where(a > 0, bdtrc(np.maximum(a - 1, 0), whole, side), 1)
    exact = np.minimum(1.0, 2 * np.minimum(low, high))
    few = np.minimum(total * side, total * (1 - side)) < 50
    return z, np.where(few, exact, normal)


def excess_p(hits_x: int, n_x: int, hits_y: int, n_y: int) -> float:
    """Return the p-value of Fisher's exact test that `x` is hit no more often than `y`."""
    from scipy.stats import hypergeom

    return float(hypergeom.sf(hits_x - 1, n_x + n_y, hits_x + hits_y, n_x))


def excess_p_values(hits_x: Floats, n_x: Floats, hits_y: Floats, n_y: Floats) -> Floats:
    """Return the p-values of `excess_p` for arrays of counts, shape (k,)."""
    from scipy.stats import hypergeom

    return np.asarray(hypergeom.sf(hits_x - 1, n_x + n_y, hits_x + hits_y, n_x), dtype=np.float64)


def discoveries(
    p: Floats,  # p-values of the tests that were carried out, shape (k,)
    alpha: float,  # false discovery rate
    n_tests: int | None = None,  # tests there were to choose from; by default k
) -> npt.NDArray[np.bool_]:
    """Return which tests Benjamini-Hochberg rejects, shape (k,)."""
    order = np.argsort(p)
    allowed = alpha * np.arange(1, len(p) + 1) / (n_tests or max(len(p), 1))
    passed = np.flatnonzero(p[order] <= allowed)
    found = np.zeros(len(p), dtype=bool)
    if len(passed):
        found[order[: passed[-1] + 1]] = True
    return found


def declared_columns(key: str, names: Collection[str]) -> tuple[str, ...]:
    """Return the columns whose shares are declared under a key: one, or several joined by " and ".

    Examples
    --------
    >>> declared_columns("sex and town", ["sex", "town"])
    ('sex', 'town')
    >>> declared_columns("food and drink", ["food and drink"])
    ('food and drink',)
    """
    return (key,) if key in names else tuple(key.split(" and "))


def areas(
    # scores of the rows that should score low, shape (m,), and of those that should score high, (n,)
    low: Floats,
    high: Floats,
    # how often each replicate holds each row; by default once, shapes (b, m) and (b, n)
    draws_low: Floats | None = None,
    draws_high: Floats | None = None,
) -> Floats:
    """Return the area under the ROC curve, once for each replicate."""
    draws_low = np.ones((1, len(low))) if draws_low is None else draws_low
    draws_high = np.ones((1, len(high))) if draws_high is None else draws_high
    levels, place = np.unique(np.concatenate([low, high]), return_inverse=True)
    out = np.empty(len(draws_low))
    for b, (weight_low, weight_high) in enumerate(zip(draws_low, draws_high)):
        at_low = np.bincount(place[: len(low)], weight_low, len(levels))
        at_high = np.bincount(place[len(low) :], weight_high, len(levels))
        below = np.cumsum(at_low) - at_low / 2
        out[b] = (at_high * below).sum() / (at_low.sum() * at_high.sum())
    return out

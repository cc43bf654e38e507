"""Tails of numbers: a generalised Pareto distribution and draws from it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_MIN_FIT = 3  # excesses that show a shape; fewer are taken as exponential
_SHAPES = (-1.0, 2.0)  # flatter than uniform, or heavier than any income: noise of ten values
_GRID = 20  # candidate scales, as in the reference
_EXPONENTIAL = 1e-6  # a shape nearer to 0 gives the exponential distribution


def draw_tail(
    start: float,
    values: Floats,
    holders: npt.NDArray[np.int64],
    rng: np.random.Generator,
) -> Floats:
    """Return as many new values beyond `start` as there are old ones, ascending, shape (k,).

    They are evenly spread quantiles of the distribution that is fitted to the excesses of `values`,
    (k,), ascending, which so many persons hold each; all lie below the greatest old value.

    Examples
    --------
    >>> old = np.array([11.0, 12.0, 15.0, 90.0])
    >>> new = draw_tail(10.0, old, np.ones(4, dtype=np.int64), np.random.default_rng(0))
    >>> bool(np.all(new > 10) and np.all(new < 90))
    True
    """
    excess = values - start
    shape, scale = fit_pareto(np.repeat(excess, holders))
    share = (np.arange(len(excess)) + rng.random(len(excess))) / len(excess)
    drawn = _quantile(share * _probability(excess[-1], shape, scale), shape, scale)
    return np.asarray(start + np.minimum(drawn, np.nextafter(excess[-1], 0)))


def fit_pareto(excess: Floats) -> tuple[float, float]:
    """Return shape and scale of the generalised Pareto distribution of excesses, shape (n,), ascending.

    References
    ----------
    Zhang and Stephens, "A new and efficient estimation method for the generalized Pareto
    distribution", Technometrics 51, 2009.
    """
    n = len(excess)
    if n < _MIN_FIT:
        return 0.0, float(excess.mean())
    m = _GRID + int(np.sqrt(n))
    quarter = excess[max(int(n / 4 + 0.5) - 1, 0)]
    b = (1 - np.sqrt(m / (np.arange(1, m + 1) - 0.5))) / (3 * quarter) + 1 / excess[-1]
    b = b[np.abs(b) > 1e-12 / excess[-1]]
    shapes = np.log1p(-b[:, None] * excess).mean(axis=1)
    usable = np.isfinite(shapes) & (b * shapes < 0)
    if not usable.any():
        return 0.0, float(excess.mean())
    b, shapes = b[usable], shapes[usable]
    likelihood = n * (np.log(-b / shapes) - shapes - 1)
    weight = np.exp(likelihood - likelihood.max())
    mean = float((b * weight).sum() / weight.sum())
    shape = float(np.log1p(-mean * excess).mean())
    scale = -shape / mean if mean else float(excess.mean())
    if not (np.isfinite(shape) and np.isfinite(scale) and scale > 0):
        return 0.0, float(excess.mean())
    return float(np.clip(shape, *_SHAPES)), scale


def _probability(excess: float, shape: float, scale: float) -> float:
    if abs(shape) < _EXPONENTIAL:
        return float(-np.expm1(-excess / scale))
    inner = max(1 + shape * excess / scale, 0.0)
    return float(1 - inner ** (-1 / shape)) if inner else 1.0


def _quantile(p: Floats, shape: float, scale: float) -> Floats:
    logs = np.log1p(-np.minimum(p, 1 - 1e-12))
    if abs(shape) < _EXPONENTIAL:
        return np.asarray(-scale * logs)
    return np.asarray(scale * np.expm1(-shape * logs) / shape)

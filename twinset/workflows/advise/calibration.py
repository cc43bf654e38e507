"""Probabilities made honest again after balancing: by the known odds, then on real held-out rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twinset.workflows.advise.ranking_metrics import row_losses

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Map = Callable[[Floats], Floats]

WAYS = {
    "matched": "the odds that balancing changed were set back, then the model was brought to the "
    "calibration of the one without balancing, on held-out real rows",
    "platt": "the odds were set back, then a logistic curve was fitted on held-out real rows",
    "isotonic": "the odds were set back, then a rising step curve was fitted on held-out real rows",
}
"""Way to restore probabilities -> the same in plain words."""

_PRIOR_SLOPE, _PRIOR_START = 0.5, 1.0


@dataclass(frozen=True)
class HeldOut:
    """What a model of the other folds says of the rows of one fold.

    Parameters
    ----------
    scores : numpy.ndarray, shape (n,)
        Its probabilities.
    none : numpy.ndarray, shape (n,)
        Those of the model without balancing.
    truth : numpy.ndarray of bool, shape (n,)
        The classes.
    odds_factor : float
        By how much balancing raised the odds.
    """

    scores: Floats
    none: Floats
    truth: Mask
    odds_factor: float


@dataclass(frozen=True)
class CalibrationMethod:
    """How probabilities of a model are made honest.

    Parameters
    ----------
    way : {"matched", "platt", "isotonic"}
        Which way won on the held-out rows.
    apply : callable
        Model's probabilities -> honest ones, both shape (n,).
    losses : mapping
        Log-loss of every way on held-out rows that it was not fitted on.
    """

    way: str
    apply: Map
    losses: dict[str, float]


def restore(folds: Sequence[HeldOut], drifts: bool = False) -> CalibrationMethod:
    """Return the way to restore probabilities that does best on held-out real rows.

    Matching the model without balancing is the default: what shifts both models alike, such as few
    positives or a base rate that drifts, cancels. A curve of its own is taken only if it beats that by
    more than two standard errors on folds that it was not fitted on, and never where folds follow each
    other in time: what was too high last month may be too low in the next.

    Parameters
    ----------
    folds : sequence of HeldOut
        Held-out rows of every fold.
    drifts : bool
        Whether the folds follow each other in time.

    References
    ----------
    Platt, "Probabilistic outputs for support vector machines", 1999. Carriero et al., arXiv 2404.19494.

    Examples
    --------
    >>> p = np.repeat([0.1, 0.5], 500)
    >>> truth = np.tile(np.arange(500) % 25 < 1, 2) | (np.arange(1000) >= 950)
    >>> none = np.full(1000, 0.088)
    >>> halves = [HeldOut(p[k::2], none[k::2], truth[k::2], 5.0) for k in (0, 1)]
    >>> bool(abs(restore(halves).apply(p).mean() - truth.mean()) < 0.03)
    True
    """
    ways: dict[str, Callable[[Sequence[HeldOut]], Map]] = {
        "matched": _matched,
        "platt": _own_curve,
        "isotonic": _isotonic,
    }
    truth = np.concatenate([fold.truth for fold in folds])
    said: dict[str, list[Floats]] = (
        {way: [] for way in ways} if len(folds) > 1 and not drifts else {"matched": []}
    )
    for way, held in said.items():
        for k, fold in enumerate(folds):
            others = [other for i, other in enumerate(folds) if i != k] or list(folds)
            held.append(row_losses(ways[way](others)(fold.scores), fold.truth))
    losses = {way: np.concatenate(held) for way, held in said.items()}
    best = "matched"
    for way in [name for name in losses if name != "matched"]:
        gain = losses["matched"] - losses[way]
        if (
            gain.mean() > 2 * gain.std() / np.sqrt(len(truth))
            and losses[way].mean() < losses[best].mean()
        ):
            best = way
    return CalibrationMethod(
        best, ways[best](folds), {way: float(v.mean()) for way, v in losses.items()}
    )


def set_back(probability: Floats, odds_factor: float) -> Floats:
    """Return probabilities with their odds divided by `odds_factor`.

    Examples
    --------
    >>> set_back(np.array([0.5, 0.9]), 9.0).round(2).tolist()
    [0.1, 0.5]
    """
    p = np.clip(probability, 1e-9, 1 - 1e-9)
    odds = p / (1 - p) / odds_factor
    return np.asarray(odds / (1 + odds))


def reliability(probability: Floats, truth: Mask, n_bins: int = 8) -> list[dict[str, float]]:
    """Return the mean probability and the true share in bins that hold equally many positives.

    Probabilities of a rare class lie near 0, so bins of equal size would say nothing of the others.
    """
    order = np.argsort(-probability, kind="stable")
    found = np.cumsum(truth[order])
    total = int(found[-1])
    bins = min(n_bins, max(1, total // 5))
    ends = [int(np.searchsorted(found, total * (k + 1) / bins)) for k in range(bins)]
    ends[-1] = len(order) - 1
    out, start = [], 0
    for end in ends:
        rows = order[start : end + 1]
        if len(rows):
            said, held = float(probability[rows].mean()), float(truth[rows].mean())
            out.append(
                {"said": said, "held": held, "rows": len(rows), "positive": int(truth[rows].sum())}
            )
        start = end + 1
    return out


def _matched(folds: Sequence[HeldOut]) -> Map:
    """Bring the logits to where those of the model without balancing stand for the same truth."""
    truth = np.concatenate([fold.truth for fold in folds])
    slope, start = _platt(_corrected(folds), truth)
    base_slope, base_start = _platt(np.concatenate([_logit(f.none) for f in folds]), truth)
    factor = _factor(folds)
    return lambda q: _expit((start - base_start + slope * _logit(set_back(q, factor))) / base_slope)


def _own_curve(folds: Sequence[HeldOut]) -> Map:
    slope, start = _platt(_corrected(folds), np.concatenate([fold.truth for fold in folds]))
    factor = _factor(folds)
    return lambda q: _expit(start + slope * _logit(set_back(q, factor)))


def _isotonic(folds: Sequence[HeldOut]) -> Map:
    from sklearn.isotonic import IsotonicRegression

    truth, factor = np.concatenate([fold.truth for fold in folds]), _factor(folds)
    model = IsotonicRegression(y_min=1e-6, y_max=1 - 1e-6, out_of_bounds="clip")
    model.fit(_expit(_corrected(folds)), truth)

    def apply(q: Floats) -> Floats:
        corrected = set_back(q, factor)
        # Steps tie rows that the model ranked; a small part of its own probability keeps their order.
        found: Floats = 0.999 * model.predict(corrected) + 0.001 * corrected
        return found

    return apply


def _corrected(folds: Sequence[HeldOut]) -> Floats:
    return np.concatenate([_logit(set_back(fold.scores, fold.odds_factor)) for fold in folds])


def _factor(folds: Sequence[HeldOut]) -> float:
    return float(np.mean([fold.odds_factor for fold in folds]))


def _platt(logit: Floats, truth: Mask) -> tuple[float, float]:
    """Return slope and start of a logistic curve; with few positives it stays near slope 1, start 0."""
    x = np.column_stack([logit, np.ones(len(logit))])
    centre = np.array([1.0, 0.0])
    precision = np.diag([1 / _PRIOR_SLOPE**2, 1 / _PRIOR_START**2])
    theta = centre.copy()
    for _ in range(30):
        p = _expit(x @ theta)
        slope = x.T @ (truth - p) - precision @ (theta - centre)
        curvature = (x * (p * (1 - p))[:, None]).T @ x + precision
        step = np.linalg.solve(curvature, slope)
        theta = theta + step * min(1.0, 1.0 / float(np.abs(step).max() or 1.0))
        if np.abs(step).max() < 1e-8:
            break
    # A slope of 0 or less would turn the ranking round.
    return max(float(theta[0]), 0.05), float(theta[1])


def _expit(logit: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(logit, -30, 30))))


def _logit(p: Floats) -> Floats:
    p = np.clip(p, 1e-7, 1 - 1e-7)
    return np.asarray(np.log(p / (1 - p)))

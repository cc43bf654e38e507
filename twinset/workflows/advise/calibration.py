"""Calibration after balancing: by the known odds, then on held-out real rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twinset.workflows.advise.ranking_metrics import row_losses

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Map = Callable[[Floats], Floats]

# Calibration method -> the same in plain words.
METHOD_TEXTS = {
    "matched": "the odds that balancing changed were set back, then the model was brought to the "
    "calibration of the one without balancing, on held-out real rows",
    "platt": "the odds were set back, then a logistic curve was fitted on held-out real rows",
    "isotonic": "the odds were set back, then a rising step curve was fitted on held-out real rows",
}

# Standard deviations of the prior of a logistic curve: wide enough for hundreds of positives to decide,
# narrow enough that a few leave it near slope 1 and intercept 0.
_PRIOR_SLOPE, _PRIOR_INTERCEPT = 0.5, 1.0
_MIN_SLOPE = 0.05  # a slope of 0 or less would reverse the ranking


@dataclass(frozen=True)
class HeldOut:
    """Predicted probabilities of the rows of one fold, by models trained on the other folds."""

    scores: Floats  # with balancing, shape (n,)
    none: Floats  # without balancing
    truth: Mask
    odds_factor: float  # by which balancing raised the odds


@dataclass(frozen=True)
class CalibrationMethod:
    """The chosen method: its map from predicted to calibrated probabilities."""

    method: str  # "matched", "platt" or "isotonic"
    apply: Map


def calibrate(folds: Sequence[HeldOut], drifts: bool = False) -> CalibrationMethod:
    """Return the calibration method that does best on held-out real rows.

    Matching the model without balancing is the default: what shifts both models alike, such as few
    positives or a base rate that drifts, cancels. A curve of its own is used only if its log-loss is
    lower by more than two standard errors on folds that it was not fitted on, and never where folds
    follow each other in time (`drifts`): what was too high last month may be too low in the next.

    References
    ----------
    Platt, "Probabilistic outputs for support vector machines", 1999. Carriero et al., arXiv 2404.19494.

    Examples
    --------
    >>> p = np.repeat([0.1, 0.5], 500)
    >>> truth = np.tile(np.arange(500) % 25 < 1, 2) | (np.arange(1000) >= 950)
    >>> none = np.full(1000, 0.088)
    >>> halves = [HeldOut(p[k::2], none[k::2], truth[k::2], 5.0) for k in (0, 1)]
    >>> bool(abs(calibrate(halves).apply(p).mean() - truth.mean()) < 0.03)
    True
    """
    methods = {"matched": _fit_matched, "platt": _fit_platt, "isotonic": _fit_isotonic}
    tried = methods if len(folds) > 1 and not drifts else {"matched": _fit_matched}
    losses = {}
    for name, fit_method in tried.items():
        held_out = []
        for k, fold in enumerate(folds):
            others = [other for i, other in enumerate(folds) if i != k] or list(folds)
            held_out.append(row_losses(fit_method(others)(fold.scores), fold.truth))
        losses[name] = np.concatenate(held_out)
    best = "matched"
    for name in [one for one in losses if one != "matched"]:
        gain = losses["matched"] - losses[name]
        is_clear = gain.mean() > 2 * gain.std() / np.sqrt(len(gain))
        if is_clear and losses[name].mean() < losses[best].mean():
            best = name
    return CalibrationMethod(best, methods[best](folds))


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
    """Return predicted and observed shares in bins that hold equally many positives.

    Probabilities of a rare class lie near 0, so bins of equal size would show little of the others.
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
        start = end + 1
        if len(rows):
            out.append({
                "predicted": float(probability[rows].mean()),
                "observed": float(truth[rows].mean()),
                "rows": len(rows),
                "positive": int(truth[rows].sum()),
            })  # fmt: skip
    return out


def _fit_matched(folds: Sequence[HeldOut]) -> Map:
    """Bring the logits to where those of the model without balancing stand for the same truth."""
    truth = np.concatenate([fold.truth for fold in folds])
    slope, start = _fit_logistic(_corrected(folds), truth)
    base_slope, base_start = _fit_logistic(np.concatenate([_logit(f.none) for f in folds]), truth)
    factor = _odds_factor(folds)
    return lambda q: _expit((start - base_start + slope * _logit(set_back(q, factor))) / base_slope)


def _fit_platt(folds: Sequence[HeldOut]) -> Map:
    truth = np.concatenate([fold.truth for fold in folds])
    slope, start = _fit_logistic(_corrected(folds), truth)
    factor = _odds_factor(folds)
    return lambda q: _expit(start + slope * _logit(set_back(q, factor)))


def _fit_isotonic(folds: Sequence[HeldOut]) -> Map:
    from sklearn.isotonic import IsotonicRegression

    truth, factor = np.concatenate([fold.truth for fold in folds]), _odds_factor(folds)
    model = IsotonicRegression(y_min=1e-6, y_max=1 - 1e-6, out_of_bounds="clip")
    model.fit(_expit(_corrected(folds)), truth)

    def apply(q: Floats) -> Floats:
        corrected = set_back(q, factor)
        # Steps tie rows that the model ranked; a small part of its own probability keeps their order.
        return np.asarray(0.999 * model.predict(corrected) + 0.001 * corrected)

    return apply


def _corrected(folds: Sequence[HeldOut]) -> Floats:
    return np.concatenate([_logit(set_back(fold.scores, fold.odds_factor)) for fold in folds])


def _odds_factor(folds: Sequence[HeldOut]) -> float:
    return float(np.mean([fold.odds_factor for fold in folds]))


def _fit_logistic(logit: Floats, truth: Mask) -> tuple[float, float]:
    """Return slope and intercept of a logistic curve by Newton's method, with the prior above."""
    x = np.column_stack([logit, np.ones(len(logit))])
    center = np.array([1.0, 0.0])
    precision = np.diag([1 / _PRIOR_SLOPE**2, 1 / _PRIOR_INTERCEPT**2])
    theta = center.copy()
    for _ in range(30):
        p = _expit(x @ theta)
        gradient = x.T @ (truth - p) - precision @ (theta - center)
        curvature = (x * (p * (1 - p))[:, None]).T @ x + precision
        step = np.linalg.solve(curvature, gradient)
        theta = theta + step * min(1.0, 1.0 / float(np.abs(step).max() or 1.0))
        if np.abs(step).max() < 1e-8:
            break
    return max(float(theta[0]), _MIN_SLOPE), float(theta[1])


def _expit(logit: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(logit, -30, 30))))


def _logit(p: Floats) -> Floats:
    p = np.clip(p, 1e-7, 1 - 1e-7)
    return np.asarray(np.log(p / (1 - p)))

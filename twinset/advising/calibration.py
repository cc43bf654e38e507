"""Probabilities made honest again after balancing: by the known odds, then on real held-out rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twinset.advising.scores import log_loss

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Map = Callable[[Floats], Floats]

WAYS = {
    "odds": "the odds that balancing changed were set back",
    "platt": "the odds were set back, then a logistic curve was fitted on held-out real rows",
    "isotonic": "the odds were set back, then a rising step curve was fitted on held-out real rows",
}
"""Way to restore probabilities -> the same in plain words."""


@dataclass(frozen=True)
class Restored:
    """How probabilities of a model are made honest.

    Parameters
    ----------
    way : {"odds", "platt", "isotonic"}
        Which way won on the held-out rows.
    apply : callable
        Model's probabilities -> honest ones, both shape (n,).
    losses : mapping
        Log-loss of every way on held-out rows that it was not fitted on.
    """

    way: str
    apply: Map
    losses: dict[str, float]


def restore(
    scores: Sequence[Floats], truths: Sequence[Mask], odds_factors: Sequence[float]
) -> Restored:
    """Return the way to restore probabilities that does best on held-out real rows.

    Parameters
    ----------
    scores : sequence of numpy.ndarray
        For each fold, what a model of the other folds says of its rows.
    truths : sequence of numpy.ndarray of bool
        Their classes.
    odds_factors : sequence of float
        By how much balancing raised the odds in each fold.

    Examples
    --------
    >>> p = np.repeat([0.1, 0.5], 500)
    >>> truth = np.tile(np.arange(500) % 25 < 1, 2) | (np.arange(1000) >= 950)
    >>> found = restore([p[::2], p[1::2]], [truth[::2], truth[1::2]], [5.0, 5.0])
    >>> bool(abs(found.apply(p).mean() - truth.mean()) < 0.02)
    True
    """
    corrected = [set_back(p, factor) for p, factor in zip(scores, odds_factors)]
    losses = {"odds": log_loss(np.concatenate(corrected), np.concatenate(truths))}
    fits: dict[str, Callable[[Floats, Mask], Map]] = {"platt": _platt, "isotonic": _isotonic}
    if len(scores) > 1:
        for way, learn in fits.items():
            said = []
            for k, held in enumerate(corrected):
                others = [i for i in range(len(corrected)) if i != k]
                curve = learn(
                    np.concatenate([corrected[i] for i in others]),
                    np.concatenate([truths[i] for i in others]),
                )
                said.append(curve(held))
            losses[way] = log_loss(np.concatenate(said), np.concatenate(truths))
    way = min(losses, key=lambda name: losses[name])
    factor = float(np.mean(odds_factors))
    if way == "odds":
        return Restored(way, lambda p: set_back(p, factor), losses)
    curve = fits[way](np.concatenate(corrected), np.concatenate(truths))
    return Restored(way, lambda p: curve(set_back(p, factor)), losses)


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

    Rows of a rare class crowd near 0, so bins of equal size would say nothing of the others.
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


def _logit(p: Floats) -> Floats:
    p = np.clip(p, 1e-7, 1 - 1e-7)
    return np.asarray(np.log(p / (1 - p)))


def _platt(p: Floats, truth: Mask) -> Map:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1e4, max_iter=200).fit(_logit(p)[:, None], truth)
    slope, start = float(model.coef_[0, 0]), float(model.intercept_[0])
    if slope <= 0:
        # A curve that turns the ranking round has learnt noise: only the level is kept.
        return lambda q: np.full(len(q), float(truth.mean()))
    return lambda q: np.asarray(1 / (1 + np.exp(-(start + slope * _logit(q)))))


def _isotonic(p: Floats, truth: Mask) -> Map:
    from sklearn.isotonic import IsotonicRegression

    model = IsotonicRegression(y_min=1e-6, y_max=1 - 1e-6, out_of_bounds="clip").fit(p, truth)

    def apply(q: Floats) -> Floats:
        # Steps tie rows that the model told apart; a trace of its own opinion keeps their order.
        found: Floats = 0.999 * model.predict(q) + 0.001 * q
        return found

    return apply

"""Scores of a model on the holdout, over all its rows and over bootstrap draws of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Scorer = Callable[[Floats], Floats]
"""Takes how often each holdout row is drawn, shape (n,); returns one number a measure."""


class Ranking:
    """Holdout rows in falling order of a score, ready to be measured under any weights.

    Parameters
    ----------
    score : numpy.ndarray, shape (n,)
        Opinion of the model, higher for rows it holds to be positive.
    positive : numpy.ndarray of bool, shape (n,)
        Truth.
    """

    def __init__(self, score: Floats, positive: npt.NDArray[np.bool_]) -> None:
        self.order = np.argsort(-score, kind="stable")
        ranked = score[self.order]
        self.ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
        self.positive = positive[self.order].astype(np.float64)

    def measures(self, weight: Floats, alert_rate: float) -> Floats:
        """Return average precision and recall at the alert rate, each 0 to 1, under `weight`, shape (n,).

        Rows of equal score enter together; where the alerts end among them, they count in part.
        """
        ranked = weight[self.order]
        flagged = np.cumsum(ranked)[self.ends]
        found = np.cumsum(ranked * self.positive)[self.ends]
        precision = np.divide(found, flagged, out=np.zeros_like(found), where=flagged > 0)
        average = np.diff(found, prepend=0.0) @ precision / found[-1]
        at = alert_rate * flagged[-1]
        recall = np.interp(at, np.append(0.0, flagged), np.append(0.0, found)) / found[-1]
        return np.array([average, recall])


def average_precision(
    score: Floats, positive: npt.NDArray[np.bool_], weight: Floats | None = None
) -> float:
    """Return the average precision of a score, 0 to 1.

    Examples
    --------
    >>> score, truth = np.array([0.9, 0.8, 0.7]), np.array([True, False, True])
    >>> round(average_precision(score, truth), 4)
    0.8333
    """
    weight = np.ones(len(score)) if weight is None else weight
    return float(Ranking(score, positive).measures(weight, 1.0)[0])


def recall_at_rate(score: Floats, positive: npt.NDArray[np.bool_], rate: float) -> float:
    """Return the recall when the `rate` highest scores raise an alert, 0 to 1.

    Examples
    --------
    >>> score, truth = np.array([0.9, 0.8, 0.7, 0.1]), np.array([True, False, True, False])
    >>> recall_at_rate(score, truth, 0.25)
    0.5
    """
    return float(Ranking(score, positive).measures(np.ones(len(score)), rate)[1])


def binary_scorer(score: Floats, positive: npt.NDArray[np.bool_], alert_rate: float) -> Scorer:
    """Return a scorer of average precision and recall at the alert rate."""
    ranking = Ranking(score, positive)
    return lambda weight: ranking.measures(weight, alert_rate)


def classes_scorer(scores: Floats, truth: npt.NDArray[np.int64]) -> Scorer:
    """Return a scorer of the mean average precision over the classes that the holdout holds.

    Parameters
    ----------
    scores : numpy.ndarray, shape (n, classes)
        Probability of each class.
    truth : numpy.ndarray of int, shape (n,)
        Class of each row.
    """
    rankings = [Ranking(scores[:, k], truth == k) for k in np.unique(truth)]
    return lambda weight: np.array(
        [np.mean([ranking.measures(weight, 1.0)[0] for ranking in rankings])]
    )


def numbers_scorer(predicted: Floats, truth: Floats) -> Scorer:
    """Return a scorer of R2: 1 is perfect, 0 is no better than always saying the mean."""

    # Draws that happen to be constant have no spread to explain; a trace of the whole's stands in.
    least = 1e-6 * float(((truth - truth.mean()) ** 2).sum())

    def score(weight: Floats) -> Floats:
        mean = weight @ truth / weight.sum()
        spread = max(float(weight @ (truth - mean) ** 2), least)
        return np.array([1.0 - weight @ (truth - predicted) ** 2 / spread])

    return score


def paired_draws(
    strata: npt.NDArray[np.int64], b: int, rng: np.random.Generator
) -> Iterator[Floats]:
    """Yield `b` times how often each holdout row is drawn, shape (n,).

    Rows are drawn within their stratum (their class), so a draw without positives does not happen.
    """
    members = [np.flatnonzero(strata == k) for k in np.unique(strata)]
    for _ in range(b):
        rows = np.concatenate([part[rng.integers(0, len(part), len(part))] for part in members])
        yield np.bincount(rows, minlength=len(strata)).astype(np.float64)


def replicate(
    scorers: Sequence[Scorer], strata: npt.NDArray[np.int64], b: int, rng: np.random.Generator
) -> Floats:
    """Return replicates of all scorers on the same draws, shape (scorers, b, measures)."""
    rows = [[scorer(weight) for scorer in scorers] for weight in paired_draws(strata, b, rng)]
    return np.array(rows).transpose(1, 0, 2)

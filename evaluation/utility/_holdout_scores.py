"""Scores of models on the holdout and on bootstrap draws of it, and comparisons of models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.findings import Effect, ModelComparison, ModelScore, TrainedModel, TrainingData

Floats = npt.NDArray[np.float64]
Scorer = Callable[[Floats], Floats]
"""Weights of the holdout rows, shape (n,) -> one number for each measure."""
_NORMAL_QUANTILE = 1.96  # two-sided 95 % interval of a normal distribution


class Ranking:
    """Holdout rows in falling order of a score, to compute measures under any weights.

    Parameters
    ----------
    score : numpy.ndarray, shape (n,)
        Score of the model, higher for the positive class.
    positive : numpy.ndarray of bool, shape (n,)
        Positive rows.
    """

    def __init__(self, score: Floats, positive: npt.NDArray[np.bool_]) -> None:
        self.order = np.argsort(-score, kind="stable")
        ranked = score[self.order]
        self.ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
        self.positive = positive[self.order].astype(np.float64)

    def measures(self, weight: Floats, alert_rate: float) -> Floats:
        """Return average precision and recall at the alert rate, each 0 to 1, under `weight`, shape (n,).

        Ties enter together; where the alerts end among them, they count in part.
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
    """Return a scorer of the mean average precision over the classes of the holdout.

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
    """Return a scorer of R2: 1 is perfect, 0 is no better than predicting the mean."""

    # Constant draws have no variance to explain: a trace of the whole variance is the minimum.
    min_spread = 1e-6 * float(((truth - truth.mean()) ** 2).sum())

    def score(weight: Floats) -> Floats:
        mean = weight @ truth / weight.sum()
        spread = max(float(weight @ (truth - mean) ** 2), min_spread)
        return np.array([1.0 - weight @ (truth - predicted) ** 2 / spread])

    return score


def paired_draws(
    strata: npt.NDArray[np.int64], b: int, rng: np.random.Generator
) -> Iterator[Floats]:
    """Yield the weights of `b` bootstrap draws, shape (n,); rows are drawn within their stratum (class)."""
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


def bootstrap_networks(
    nets: Mapping[str, Sequence[Scorer]],
    strata: npt.NDArray[np.int64],
    b: int,
    rng: np.random.Generator,
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Return all measures of each kind of network, mean over networks, and their bootstrap replicates.

    Rows and networks are drawn, the same ones for every kind. A bootstrap of n networks underestimates the
    spread by sqrt((n - 1) / n), so deviations of the drawn networks are widened by the inverse.

    Parameters
    ----------
    nets : mapping
        Kind -> scorers of its networks, equally many of each kind.
    strata : numpy.ndarray of int, shape (n,)
        Stratum of each holdout row.
    b : int
        Number of replicates.
    rng : numpy.random.Generator
        Draws rows and networks.

    Returns
    -------
    values, replicates : dict of numpy.ndarray, shapes (m,) and (b, m)
        By kind.
    """
    ones = np.ones(len(strata))
    by_net = {name: np.array([score(ones) for score in many]) for name, many in nets.items()}
    values = {name: scores.mean(axis=0) for name, scores in by_net.items()}
    n_nets = len(next(iter(nets.values())))
    wider = np.sqrt(n_nets / max(n_nets - 1, 1))  # one network alone has no known spread
    out: dict[str, Floats] = {name: np.empty((b, len(value))) for name, value in values.items()}
    for i, weights in enumerate(paired_draws(strata, b, rng)):
        picked = rng.integers(0, n_nets, n_nets)
        for name, many in nets.items():
            of_rows = np.mean([score(weights) for score in many], axis=0)
            of_nets = by_net[name][picked].mean(axis=0) - values[name]
            out[name][i] = of_rows + wider * of_nets
    return values, out


def find_effect(low: float, high: float) -> Effect:
    """Return the effect that the 95 % interval of a difference shows; above 0 is better."""
    return Effect.HELPS if low > 0 else Effect.HURTS if high < 0 else Effect.NOT_SHOWN


def compare_models(
    measures: Sequence[str],
    values: Mapping[str, Floats],
    drawn: Mapping[str, Floats],
    n_rows: Mapping[str, int],
    **further: Any,
) -> ModelComparison:
    """Return the measures of all models, with differences from the model of real rows alone.

    Parameters
    ----------
    measures : sequence of str
        Names of the measures.
    values, drawn : mapping
        Set -> measures of its model, shape (k,), and their replicates, shape (b, k).
    n_rows : mapping
        Set -> number of its rows.
    **further
        Further fields of `ModelComparison`.
    """
    models = []
    for name in [data.value for data in TrainingData if data.value in values]:
        scores = []
        for i in range(len(measures)):
            value = float(values[name][i])
            if name == "real":
                scores.append(ModelScore(value))
                continue
            difference = float(values[name][i] - values["real"][i])
            reach = _NORMAL_QUANTILE * float(
                np.std(drawn[name][:, i] - drawn["real"][:, i], ddof=1)
            )
            scores.append(ModelScore(value, difference, (difference - reach, difference + reach)))
        first = scores[0].interval
        effect = None if first is None else find_effect(*first)
        models.append(TrainedModel(TrainingData(name), tuple(scores), n_rows.get(name), effect))
    return ModelComparison(tuple(measures), tuple(models), **further)

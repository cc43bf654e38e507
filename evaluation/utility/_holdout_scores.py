"""Scores of models on the holdout and on bootstrap draws of it, and comparisons of models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Measurement, Metric, MetricFamily
from twinset.core.model_findings import (
    Effect,
    ModelComparison,
    ModelScore,
    TrainedModel,
    TrainingData,
)
from twinset.core.parameters import Margin, Replicates
from twinset.core.stats.hypothesis_tests import METRIC_QUANTILE

Floats = npt.NDArray[np.float64]
Scorer = Callable[[Floats], Floats]
"""Weights of the holdout rows, shape (n,) -> one number for each measure."""
Source = TypeVar("Source")
Fitted = TypeVar("Fitted")
_NORMAL_QUANTILE = 1.96  # two-sided 95 % interval of a normal distribution
# One-sided 99 %: "models predict this target" is the ground of all answers on usefulness
_CHANCE_QUANTILE = 2.33


@dataclass(frozen=True, kw_only=True)
class UtilityMetric(Metric):
    """Metric of models that are trained on synthetic rows.

    Parameters
    ----------
    margin : float
        Largest degradation that still counts as equivalent, in the unit of the value.
    replicates : int
        Bootstrap replicates of the holdout; models are not fitted again.
    """

    family: ClassVar[MetricFamily] = "utility"
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    # Models of independent columns explain nothing, by definition.
    has_floor: ClassVar[bool] = False

    margin: Margin = 0.05
    replicates: Replicates = 200


def binary_scorer(score: Floats, positive: npt.NDArray[np.bool_], alert_rate: float) -> Scorer:
    """Return a scorer of the average precision, and of the recall at a share of rows with an alert.

    Ties enter together; where the alerts end among them, they count in part.
    """
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    is_positive = positive[order].astype(np.float64)

    def measures(weight: Floats) -> Floats:
        ranked = weight[order]
        flagged, found = np.cumsum(ranked)[ends], np.cumsum(ranked * is_positive)[ends]
        precision = np.divide(found, flagged, out=np.zeros_like(found), where=flagged > 0)
        average = np.diff(found, prepend=0.0) @ precision / found[-1]
        at = alert_rate * flagged[-1]
        recall = np.interp(at, np.append(0.0, flagged), np.append(0.0, found)) / found[-1]
        return np.array([average, recall])

    return measures


def classes_scorer(scores: Floats, truth: npt.NDArray[np.int64]) -> Scorer:
    """Return a scorer of the average precision, mean over the classes, from probabilities, (n, classes)."""
    scorers = [binary_scorer(scores[:, k], truth == k, 1.0) for k in np.unique(truth)]
    return lambda weight: np.array([np.mean([score(weight)[0] for score in scorers])])


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


def bootstrap_models(
    models: Mapping[str, Sequence[Scorer]],
    strata: npt.NDArray[np.int64],
    b: int,
    rng: np.random.Generator,
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Return all measures of each kind of model, mean over its models, and replicates, shape (b, m).

    Rows and models are drawn, the same ones for every kind. A bootstrap of n models underestimates their
    spread by sqrt((n - 1) / n), so deviations of the drawn models are widened by the inverse.
    """
    ones = np.ones(len(strata))
    scores = {name: np.array([score(ones) for score in many]) for name, many in models.items()}
    values = {name: each.mean(axis=0) for name, each in scores.items()}
    n = len(next(iter(models.values())))
    wider = np.sqrt(n / max(n - 1, 1))  # one model alone has no known spread
    out: dict[str, Floats] = {name: np.empty((b, len(value))) for name, value in values.items()}
    for i, weights in enumerate(paired_draws(strata, b, rng)):
        picked = rng.integers(0, n, n)
        for name, many in models.items():
            of_rows = np.mean([score(weights) for score in many], axis=0)
            of_models = scores[name][picked].mean(axis=0) - values[name]
            out[name][i] = of_rows + wider * of_models
    return values, out


def find_effect(low: float, high: float, margin: float = 0.0) -> Effect:
    """Return the effect that the 95 % interval of a difference shows; above 0 is better.

    It hurts where it is worse by more than the margin at the level of a verdict, `METRIC_LEVEL`.

    >>> [find_effect(low, high, 0.05).value for low, high in ((-0.2, -0.1), (-0.02, -0.01), (-0.1, 0.1))]
    ['hurts', 'worse', 'no evidence']
    """
    if low <= 0 <= high:
        return Effect.NOT_SHOWN
    if low > 0:
        return Effect.HELPS
    middle, reach = (low + high) / 2, (high - low) / 2 * METRIC_QUANTILE / _NORMAL_QUANTILE
    return Effect.HURTS if middle + reach < -margin else Effect.WORSE


def beats_chance(predicted: Floats, truth: Floats) -> bool:
    """Return whether predictions rank the truth better than a guess does.

    `predicted` are numbers, shape (n,), or scores of classes, (n, classes), and `truth` is a number or the
    position of a class. Numbers are compared by the correlation of ranks, classes by the sum of the ranks
    that rows give their own class: of two classes, the test of Mann and Whitney. By the variance over all
    orders of the truth (Hoeffding, "A combinatorial central limit theorem", 1951), at a level of 1 %.

    >>> x = np.arange(50.0)
    >>> beats_chance(x, x), beats_chance(x, -x), beats_chance(np.zeros(50), x)
    (True, False, False)
    """
    from scipy.stats import rankdata

    n, ranks = len(truth), np.asarray(rankdata(predicted, axis=0)).reshape(len(truth), -1)
    if predicted.ndim > 1:
        columns = np.eye(predicted.shape[1])[truth.astype(np.int64)]
    else:
        columns = np.asarray(rankdata(truth)).reshape(n, 1)
    ranks, columns = ranks - ranks.mean(axis=0), columns - columns.mean(axis=0)
    total = float((ranks * columns).sum())
    variance = float(((ranks.T @ ranks) * (columns.T @ columns)).sum()) / max(n - 1, 1)
    return bool(total > _CHANCE_QUANTILE * np.sqrt(variance) > 0)


def fit_sets(
    sets: Mapping[str, Source], fit: Callable[[Source], Fitted], cache: dict[str, Any]
) -> dict[str, Fitted]:
    """Return what is fitted to each set; that of real rows alone is kept for other candidates."""
    if "fitted to real" not in cache:
        cache["fitted to real"] = fit(sets["real"])
    real = cache["fitted to real"]
    return {name: real if name == "real" else fit(parts) for name, parts in sets.items()}


def compare_models(
    measures: Sequence[str],
    models: Mapping[str, Sequence[Scorer]],
    sets: Mapping[str, Sequence[Sized]],
    strata: npt.NDArray[np.int64],
    b: int,
    rng: np.random.Generator,
    *,
    margin: float,
    decides: bool = True,
    beat_chance: Mapping[str, bool] | None = None,
    facts: Mapping[str, Any],
    **further: Any,
) -> Measurement:
    """Return the first measure of models of synthetic rows; findings compare it with other sets.

    Differences are from the model of real rows alone. The value is that of both where there is none of
    synthetic rows, and that of real rows for the baseline. `margin` is that of the metric, `beat_chance`
    says which models predict better than a guess, and `further` are fields of the comparison.
    """
    values, drawn = bootstrap_models(models, strata, b, rng)
    trained = []
    for name in [data.value for data in TrainingData if data.value in values]:
        scores = [ModelScore(float(value)) for value in values[name]]
        if name != "real":
            differences = values[name] - values["real"]
            spreads = [np.std(column, ddof=1) for column in (drawn[name] - drawn["real"]).T]
            ends = [_NORMAL_QUANTILE * float(spread) for spread in spreads]
            scores = [
                replace(score, difference=float(d), interval=(float(d - end), float(d + end)))
                for score, d, end in zip(scores, differences, ends)
            ]
        first = scores[0].interval
        effect = None if first is None else find_effect(*first, margin)
        n_rows = sum(map(len, sets[name]))
        known = None if beat_chance is None else beat_chance[name]
        trained.append(TrainedModel(TrainingData(name), tuple(scores), n_rows, effect, known))
    kind = next(name for name in ("synthetic", "mixed", "real") if name in values)
    finding = ModelComparison(
        tuple(measures),
        tuple(trained),
        decides=TrainingData(kind) if decides else None,
        n_test_rows=len(strata),
        **further,
    )
    return Measurement(float(values[kind][0]), drawn[kind][:, 0], (finding,), facts=facts)

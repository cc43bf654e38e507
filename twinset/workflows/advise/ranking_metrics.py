"""Metrics of a ranking, and calibration after balancing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.seeding import draw_seed
from twinset.report.advice import Measure

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


class WeightedRanking:
    """Rows in descending order of a score, to be measured under any weights."""

    def __init__(self, score: Floats, truth: Mask) -> None:
        self.order = np.argsort(-score, kind="stable")
        ranked = score[self.order]
        self.ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
        self.truth = truth[self.order].astype(np.float64)

    def measures(self, weight: Floats, alert_rate: float) -> tuple[float, float, float]:
        """Return average precision, recall and precision at the alert rate, each 0 to 1.

        Average precision is sum_k (R_k - R_(k-1)) P_k over the distinct scores, as in scikit-learn. Rows
        of equal score enter together; where the alerts end among them they count in part.
        """
        ranked = weight[self.order]
        flagged = np.cumsum(ranked)[self.ends]
        found = np.cumsum(ranked * self.truth)[self.ends]
        precision = np.divide(found, flagged, out=np.zeros_like(found), where=flagged > 0)
        average = float(np.diff(found, prepend=0.0) @ precision / found[-1])
        at = alert_rate * flagged[-1]
        caught = float(np.interp(at, np.append(0.0, flagged), np.append(0.0, found)))
        return average, caught / float(found[-1]), caught / float(at)

    def curve(self) -> tuple[Floats, Floats]:
        """Return alerts and positives found at every distinct score, both as counts, rising."""
        return np.asarray(self.ends + 1.0), np.cumsum(self.truth)[self.ends]

    def precision_by_recall(self, weight: npt.NDArray[Any]) -> Floats:
        """Return the precision at each recall of the page."""
        ranked = weight[self.order]
        flagged = np.cumsum(ranked, dtype=np.float64)[self.ends]
        found = np.cumsum(ranked * self.truth)[self.ends]
        at = np.searchsorted(found, _RECALLS * found[-1] - 1e-9)
        return np.asarray(found[at] / flagged[at])


def precision_at_positives(score: Floats, truth: Mask) -> Floats:
    """Return the precision reached when each positive row enters the alerts, in the order of the rows.

    Their mean is the average precision, so two models can be compared positive by positive.

    >>> score, truth = np.array([0.9, 0.8, 0.7]), np.array([True, False, True])
    >>> precision_at_positives(score, truth).round(3).tolist()
    [1.0, 0.667]
    """
    ranking = WeightedRanking(score, truth)
    flagged, found = ranking.curve()
    block = np.searchsorted(ranking.ends, np.arange(len(score)))
    out = np.empty(len(score))
    out[ranking.order] = (found / flagged)[block]
    return out[truth]


def row_losses(probability: Floats, truth: Mask) -> Floats:
    """Return minus the logarithm of the true class's probability, shape (n,)."""
    likely = np.where(truth, probability, 1 - probability)
    return np.asarray(np.abs(np.log(np.clip(likely, 1e-7, 1.0))))


def log_loss(probability: Floats, truth: Mask) -> float:
    """Return the mean of minus the logarithm of the true class's probability, 0 or more."""
    return float(row_losses(probability, truth).mean())


@dataclass(frozen=True)
class Prices:
    """The price of an alert, and the loss of each row if it is positive and raises none, (n,)."""

    alert: float
    missed: Floats

    def row_costs(self, probability: Floats, truth: Mask) -> Floats:
        """Return the cost of each row when rows worth an alert raise one, shape (n,)."""
        alerted = self.alerts(probability)
        return np.asarray(self.alert * alerted + self.missed * (truth & ~alerted))

    def alerts(self, probability: Floats) -> Mask:
        """Return which rows are worth an alert, given calibrated probabilities."""
        return np.asarray(probability * self.missed > self.alert)


N_DRAWS = 300  # bootstrap replicates: the standard error of a standard error is then 4 %
_N_BAND = 200  # replicates behind the bands of the page, which are only drawn
_RECALLS = np.linspace(0.02, 1.0, 50)
_RATES = np.geomspace(5e-4, 0.2, 40)
_MAX_SHIFTS = 250  # positive rows in the figure of ranks: more points hide each other


@dataclass(frozen=True)
class TestScores:
    """Scores of the test rows by one model, which decide the ranking, and calibrated probabilities."""

    scores: Floats
    probability: Floats


@dataclass(frozen=True)
class BootstrapDraws:
    """Bootstrap draws of the test rows, the same for both models and at each call.

    They are drawn again at each call: 300 draws of 400,000 rows would fill 240 MB.
    """

    unit: npt.NDArray[
        np.int64
    ]  # code of what is drawn as a whole: the row or its group, shape (n,)
    is_positive: Mask  # units with positive rows; they and the others each keep their number
    b: int
    seed: int

    @classmethod
    def from_rows(
        cls,
        truth: Mask,
        b: int,
        rng: np.random.Generator,
        group: npt.NDArray[np.int64] | None = None,
    ) -> BootstrapDraws:
        """Return `b` draws of rows of these classes, or of whole groups.

        Rows of one group, such as the payments of one card, carry less information than as many rows of
        different groups.
        """
        units = np.arange(len(truth)) if group is None else group
        _, code = np.unique(units, return_inverse=True)
        return cls(code, np.bincount(code, weights=truth) > 0, b, draw_seed(rng))

    def weights(self, max_draws: int | None = None) -> Iterator[Floats]:
        """Yield for each draw, `max_draws` of them at most, how often each row is drawn, shape (n,)."""
        rng = np.random.default_rng(self.seed)
        kinds = [np.flatnonzero(self.is_positive == kind) for kind in (False, True)]
        for _ in range(self.b if max_draws is None else min(max_draws, self.b)):
            times = np.zeros(len(self.is_positive))
            for members in kinds:
                if len(members):
                    picked = rng.integers(0, len(members), len(members))
                    times[members] = np.bincount(picked, minlength=len(members))
            yield times[self.unit]


# Name, title, whether higher is better, unit.
_MEASURES = (
    ("average_precision", "average precision", True, "share"),
    ("recall", "recall at the alert rate", True, "percent"),
    ("precision", "precision at the alert rate", True, "percent"),
    ("lift", "lift at the alert rate", True, "times"),
    ("cost", "expected cost of 1,000 rows", False, "money"),
)


def compare_models(
    none: TestScores,
    other: TestScores,
    truth: Mask,
    prices: Prices,
    alert_rate: float,
    draws: BootstrapDraws,
    split_variance: Sequence[float] | Floats,
) -> tuple[Measure, ...]:
    """Return the measures of both models and the paired 95 % interval of their difference.

    `none` is the model without balancing. `split_variance` is for each measure the variance that comes
    from the choice of the training rows; it is added to that of the draws.
    """
    pair = [
        (WeightedRanking(model.scores, truth), prices.row_costs(model.probability, truth))
        for model in (none, other)
    ]
    values = [_values(*model, np.ones(len(truth)), alert_rate) for model in pair]
    replicates = np.array(
        [[_values(*model, weight, alert_rate) for model in pair] for weight in draws.weights()]
    )
    changes = replicates[:, 1] - replicates[:, 0]
    spread, reach = small_sample_factors(int(draws.is_positive.sum()))
    out = []
    for i, (name, title, higher, unit) in enumerate(_MEASURES):
        difference = float(values[1][i] - values[0][i])
        error = float(np.sqrt(spread * changes[:, i].var(ddof=1) + split_variance[i]))
        low, high = np.quantile(replicates[:, 0, i], [0.025, 0.975])
        out.append(
            Measure(
                name=name,
                title=title,
                none=float(values[0][i]),
                none_interval=(float(low), float(high)),
                other=float(values[1][i]),
                difference=difference,
                interval=(difference - reach * error, difference + reach * error),
                higher_is_better=higher,
                unit=unit,
            )
        )
    return tuple(out)


def small_sample_factors(n_units: int) -> tuple[float, float]:
    """Return what widens an interval for n redrawn units: n / (n - 1) and Student's t quantile.

    The bootstrap alone covers the truth in 86 of 100 cases with 5 units
    (benchmarks/minority/COVERAGE.md).
    """
    from scipy.special import stdtrit

    n = max(2, n_units)
    return n / (n - 1), float(stdtrit(n - 1, 0.975))


def fold_values(
    scores: Floats, probability: Floats, truth: Mask, prices: Prices, rate: float
) -> Floats:
    """Return the measures of one model on the rows of one fold, shape (m,)."""
    costs = prices.row_costs(probability, truth)
    return _values(WeightedRanking(scores, truth), costs, np.ones(len(truth)), rate)


def _values(ranking: WeightedRanking, costs: Floats, weight: Floats, rate: float) -> Floats:
    average, recall, precision = ranking.measures(weight, rate)
    cost = 1_000 * float(weight @ costs) / float(weight.sum())
    return np.array([average, recall, precision, recall / rate, cost])


def curves(
    none: TestScores, other: TestScores, truth: Mask, prices: Prices, draws: BootstrapDraws
) -> dict[str, Any]:
    """Return the curves of the page.

    For both models precision by recall with a band, recall, cost and lift by alert rate; and the change
    in the ranks of the positive rows.
    """
    found: dict[str, Any] = {"recall": _RECALLS.tolist(), "alert_rate": _RATES.tolist()}
    for name, model in (("none", none), ("other", other)):
        ranking = WeightedRanking(model.scores, truth)
        band = np.array([ranking.precision_by_recall(weight) for weight in draws.weights(_N_BAND)])
        low, high = np.quantile(band, [0.025, 0.975], axis=0)
        alerts, caught = ranking.curve()
        recall = np.interp(_RATES * len(truth), np.append(0, alerts), np.append(0, caught))
        recall = recall / caught[-1]
        found[name] = {
            "precision": ranking.precision_by_recall(np.ones(len(truth))).tolist(),
            "precision_low": low.tolist(),
            "precision_high": high.tolist(),
            "recall": recall.tolist(),
            "lift": (recall / _RATES).tolist(),
            "cost": _cost_by_rate(model.probability, truth, prices).tolist(),
            "best_rate": float(prices.alerts(model.probability).mean()),
        }
    found["shift"] = _rank_shift(none.scores, other.scores, truth)
    return found


def _cost_by_rate(probability: Floats, truth: Mask, prices: Prices) -> Floats:
    """Return the cost of 1,000 rows when the rows of greatest expected loss raise alerts."""
    order = np.argsort(-probability * prices.missed, kind="stable")
    saved = np.cumsum(np.where(truth, prices.missed, 0.0)[order])
    alerts = np.arange(1, len(order) + 1)
    cost = prices.alert * alerts + saved[-1] - saved
    at = np.clip(np.round(_RATES * len(order)).astype(int) - 1, 0, len(order) - 1)
    return np.asarray(1_000 * cost[at] / len(order))


def _rank_shift(before: Floats, after: Floats, truth: Mask) -> list[tuple[float, float]]:
    """Return the rank of positive rows among all test rows before and after; near 0 is the top."""
    n = len(truth)
    ranks = []
    for scores in (before, after):
        rank = np.empty(n)
        rank[np.argsort(-scores, kind="stable")] = np.arange(1, n + 1)
        ranks.append(rank[truth] / n)
    rows = np.linspace(0, len(ranks[0]) - 1, min(_MAX_SHIFTS, len(ranks[0]))).astype(int)
    return [(float(ranks[0][i]), float(ranks[1][i])) for i in rows]


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

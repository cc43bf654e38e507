"""What a ranking of rows is worth: average precision, recall and precision at an alert rate, cost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


class WeightedRanking:
    """Rows in falling order of a score, ready to be measured under any weights.

    Parameters
    ----------
    score : numpy.ndarray, shape (n,)
        Opinion of a model, higher for rows it holds to be positive.
    truth : numpy.ndarray of bool, shape (n,)
        Whether a row is positive.
    """

    def __init__(self, score: Floats, truth: Mask) -> None:
        self.order = np.argsort(-score, kind="stable")
        ranked = score[self.order]
        self.ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
        self.truth = truth[self.order].astype(np.float64)

    def measures(self, weight: Floats, alert_rate: float) -> tuple[float, float, float]:
        """Return average precision, recall and precision at the alert rate, each 0 to 1.

        Rows of equal score enter together; where the alerts end among them they count in part.
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


def precision_at_positives(score: Floats, truth: Mask) -> Floats:
    """Return the precision reached when each positive row enters the alerts, in the order of the rows.

    Their mean is the average precision, so two models can be compared positive by positive.

    Examples
    --------
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


def average_precision(score: Floats, truth: Mask) -> float:
    """Return the average precision of a score, 0 to 1.

    Examples
    --------
    >>> round(average_precision(np.array([0.9, 0.8, 0.7]), np.array([True, False, True])), 4)
    0.8333
    """
    return float(precision_at_positives(score, truth).mean())


def row_losses(probability: Floats, truth: Mask) -> Floats:
    """Return minus the logarithm of the true class's probability, shape (n,)."""
    likely = np.where(truth, probability, 1 - probability)
    return np.asarray(np.abs(np.log(np.clip(likely, 1e-7, 1.0))))


def log_loss(probability: Floats, truth: Mask) -> float:
    """Return the mean of minus the logarithm of the true class's probability, 0 or more."""
    return float(row_losses(probability, truth).mean())


@dataclass(frozen=True)
class Prices:
    """What alerts and missed positives cost.

    Parameters
    ----------
    alert : float
        Price of looking at one alert.
    missed : numpy.ndarray, shape (n,)
        Loss if the row is positive and raises no alert.
    assumed : bool
        Whether nobody named the prices.
    """

    alert: float
    missed: Floats
    assumed: bool

    def of(self, alerted: Mask, truth: Mask) -> float:
        """Return the total cost of these alerts.

        Examples
        --------
        >>> prices = Prices(1.0, np.array([50.0, 50.0, 80.0]), False)
        >>> prices.of(np.array([True, True, False]), np.array([True, False, True]))
        82.0
        """
        return float(self.alert * alerted.sum() + self.missed[truth & ~alerted].sum())

    def alerts(self, probability: Floats) -> Mask:
        """Return which rows are worth an alert, given calibrated probabilities."""
        return np.asarray(probability * self.missed > self.alert)

"""The area under the ROC curve with its error (DeLong), and intervals."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

Floats = npt.NDArray[np.float64]


class Interval(NamedTuple):
    """A 95 % interval."""

    low: float
    high: float


def auc_with_error(positive: Floats, negative: Floats) -> tuple[float, float]:
    """Return P(positive > negative) + P(equal) / 2 and its standard error.

    References
    ----------
    DeLong, DeLong and Clarke-Pearson, Biometrics 44, 1988; by ranks as in Sun and Xu, IEEE Signal
    Processing Letters 21, 2014.

    Examples
    --------
    >>> auc_with_error(np.array([2.0, 4.0]), np.array([1.0, 3.0]))[0]
    0.75
    """
    m, n = len(positive), len(negative)
    ranks = rankdata(np.concatenate([positive, negative]))
    above_negatives = (ranks[:m] - rankdata(positive)) / n
    below_positives = 1 - (ranks[m:] - rankdata(negative)) / m
    auc = float(above_negatives.mean())
    variance = above_negatives.var(ddof=1) / m + below_positives.var(ddof=1) / n
    return auc, float(np.sqrt(variance))

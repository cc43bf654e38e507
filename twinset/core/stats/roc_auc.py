"""Areas under the ROC curve, once or under the weights of a bootstrap."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def areas(
    low: Floats, high: Floats, draws_low: Floats | None = None, draws_high: Floats | None = None
) -> Floats:
    """Return the area under the ROC curve, once for each replicate.

    Parameters
    ----------
    low, high : numpy.ndarray, shapes (m,) and (n,)
        Scores of the rows that should score low, and of those that should score high.
    draws_low, draws_high : numpy.ndarray, shapes (b, m) and (b, n), optional
        How often each replicate holds each row; by default once.

    Examples
    --------
    >>> areas(np.array([0.1, 0.4]), np.array([0.4, 0.9])).tolist()
    [0.875]
    """
    draws_low = np.ones((1, len(low))) if draws_low is None else draws_low
    draws_high = np.ones((1, len(high))) if draws_high is None else draws_high
    levels, place = np.unique(np.concatenate([low, high]), return_inverse=True)
    out = np.empty(len(draws_low))
    for b, (weight_low, weight_high) in enumerate(zip(draws_low, draws_high)):
        at_low = np.bincount(place[: len(low)], weight_low, len(levels))
        at_high = np.bincount(place[len(low) :], weight_high, len(levels))
        below = np.cumsum(at_low) - at_low / 2
        out[b] = (at_high * below).sum() / (at_low.sum() * at_high.sum())
    return out

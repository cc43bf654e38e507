"""Correct probabilities of a model trained on resampled rows to the real class shares."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def restore_probabilities(
    probabilities: npt.ArrayLike, odds_factor: npt.ArrayLike
) -> npt.NDArray[np.float64]:
    """Return probabilities as they would be without resampling, by Bayes' rule.

    p_c / f_c, scaled to sum 1, with f_c the odds factor of class c. Exact for a model that fits the
    class shares of its training rows, such as logistic regression; regularised trees do not move as far
    as the shares, and then calibration on real rows is needed.

    Parameters
    ----------
    probabilities : array, shape (n, c)
        `predict_proba` of the model, classes sorted.
    odds_factor : array, shape (c,)
        `odds_factor_` of the sampler.

    References
    ----------
    Elkan, "The foundations of cost-sensitive learning", IJCAI 2001.

    Examples
    --------
    >>> restore_probabilities([[0.5, 0.5]], [1.0, 9.0]).round(3).tolist()
    [[0.9, 0.1]]
    """
    weighed = np.asarray(probabilities, dtype=np.float64) / np.asarray(odds_factor)
    return np.asarray(weighed / weighed.sum(axis=1, keepdims=True))

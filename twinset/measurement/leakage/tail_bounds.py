"""What chance explains: upper bounds of tail probabilities, in natural logarithms."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_TILTS = np.concatenate([[0.0], np.geomspace(1e-3, 60.0, 90)])


def log_tail(
    successes: int, probabilities: npt.NDArray[np.float64], counts: npt.NDArray[np.int64]
) -> float:
    """Return an upper bound of ln P(at least `successes`) for independent trials.

    Parameters
    ----------
    successes : int
        What was seen.
    probabilities : numpy.ndarray, shape (g,)
        Chance of success of each sort of trial, in [0, 1].
    counts : numpy.ndarray, shape (g,)
        Trials of each sort.

    Returns
    -------
    float
        At most 0; Chernoff's bound, which is the exact value where every trial succeeds.

    Examples
    --------
    >>> bound = log_tail(3, np.array([0.5]), np.array([3]))
    >>> round(float(np.exp(bound)), 3)
    0.125
    """
    kept = (probabilities > 0) & (counts > 0)
    chance, trials = probabilities[kept], counts[kept]
    if successes <= float(chance @ trials):
        return 0.0
    if successes > trials.sum():
        return -np.inf
    if successes == trials.sum():
        return float(trials @ np.log(chance))
    grown = np.log1p(chance * np.expm1(_TILTS[:, None])) @ trials
    return min(0.0, float((grown - _TILTS * successes).min()))


def span_chances(
    sizes: npt.NDArray[np.int64], fraction: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Return the chance that a crowd of equal rows is cut in two, by size, and how many there are.

    Every row falls into the holdout with probability `fraction`.

    Examples
    --------
    >>> span_chances(np.array([2, 2, 3]), 0.5)
    (array([0.5 , 0.75]), array([2, 1]))
    """
    size, counts = np.unique(sizes, return_counts=True)
    whole = (1.0 - fraction) ** size + fraction**size
    return 1.0 - whole, counts

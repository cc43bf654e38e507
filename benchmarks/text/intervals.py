"""Paired intervals over seeds and test rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import t

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """A mean difference of two arms and its 95 % interval."""

    mean: float
    low: float
    high: float

    @property
    def told(self) -> str:
        """The difference in points, e.g. ``+3.1 [+1.0, +5.2]``."""
        return f"{100 * self.mean:+.1f} [{100 * self.low:+.1f}, {100 * self.high:+.1f}]"


def difference(by_seed: Floats, rows_error: float, n_rows: int) -> Difference:
    """Return the mean over seeds with an interval for both the draw of train rows and that of test rows.

    All seeds are tested on the same rows, so their spread does not tell how other test rows would have
    come out. Both variances are added, which counts a part of the second twice: the interval is too wide
    rather than too narrow. Degrees of freedom are those of Satterthwaite.

    Parameters
    ----------
    by_seed : numpy.ndarray, shape (s,)
        Difference of the arms for each draw of train rows, 2 or more.
    rows_error : float
        Standard error of the mean difference over test rows, with the train rows held fixed.
    n_rows : int
        Test rows.

    References
    ----------
    Satterthwaite, "An approximate distribution of estimates of variance components", 1946.

    Examples
    --------
    >>> difference(np.array([0.02, 0.04]), 0.0, 600).told
    '+3.0 [-9.7, +15.7]'
    """
    n = len(by_seed)
    mean = float(by_seed.mean())
    variances = np.array([by_seed.var(ddof=1) / n, rows_error**2])
    total = float(variances.sum())
    if total == 0:
        return Difference(mean, mean, mean)
    freedom = total**2 / float((variances**2 / np.array([n - 1, n_rows - 1])).sum())
    reach = float(t.ppf(0.975, freedom)) * total**0.5
    return Difference(mean, mean - reach, mean + reach)


def of_hits(better: npt.NDArray[np.bool_], worse: npt.NDArray[np.bool_]) -> Difference:
    """Return the difference in accuracy, both arms given as hits, shape (seeds, test rows)."""
    paired = better.astype(np.float64) - worse
    by_row = paired.mean(axis=0)
    return difference(
        paired.mean(axis=1), float(by_row.std(ddof=1) / np.sqrt(len(by_row))), len(by_row)
    )

"""Tests of whether two samples follow one law."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_LEAST_EXPECTED = 5.0


def chi_square_p(counts_x: Floats, counts_y: Floats) -> float:
    """Return the p-value of Pearson's test that two samples fall into cells by the same shares.

    Cells too rare for the chi-square law (fewer than 5 expected on a side) are put together. With
    fewer than two cells left nothing can differ, and the p-value is 1.

    Parameters
    ----------
    counts_x, counts_y : numpy.ndarray, shape (k,)
        How many rows of each sample fall into each cell.

    Examples
    --------
    >>> round(chi_square_p(np.array([30.0, 70.0]), np.array([50.0, 50.0])), 4)
    0.0039
    """
    from scipy.special import chdtrc

    n_x, n_y = counts_x.sum(), counts_y.sum()
    if not n_x or not n_y:
        return 1.0
    pooled = counts_x + counts_y
    common = pooled * min(n_x, n_y) / (n_x + n_y) >= _LEAST_EXPECTED
    x = np.append(counts_x[common], counts_x[~common].sum())
    y = np.append(counts_y[common], counts_y[~common].sum())
    expected_rest = (x[-1] + y[-1]) * min(n_x, n_y) / (n_x + n_y)
    if expected_rest < _LEAST_EXPECTED and len(x) > 1:
        # A rest that is too rare even together joins the rarest of the common cells.
        rarest = int(np.argmin(x[:-1] + y[:-1]))
        x[rarest], y[rarest] = x[rarest] + x[-1], y[rarest] + y[-1]
        x, y = x[:-1], y[:-1]
    if len(x) < 2:
        return 1.0
    share = (x + y) / (n_x + n_y)
    statistic = ((x - n_x * share) ** 2 / (n_x * share)).sum()
    statistic += ((y - n_y * share) ** 2 / (n_y * share)).sum()
    return float(chdtrc(len(x) - 1, statistic))


def kolmogorov_p(distance: float, n_x: int, n_y: int) -> float:
    """Return the asymptotic p-value of a Kolmogorov-Smirnov distance of two samples.

    With ties the true p-value is smaller: the test is then cautious, and never calls too much.

    Examples
    --------
    >>> round(kolmogorov_p(0.1, 500, 500), 4)
    0.0135
    """
    from scipy.special import kolmogorov

    return float(kolmogorov(distance * np.sqrt(n_x * n_y / (n_x + n_y))))


def chance_distance(counts_x: Floats, counts_y: Floats) -> float:
    """Return about which total variation distance two samples of one law would show by chance.

    The law is taken to be that of both samples together, and every cell's difference to be normal.

    Parameters
    ----------
    counts_x, counts_y : numpy.ndarray, shape (k,)
        How many rows of each sample fall into each cell.

    Examples
    --------
    >>> round(chance_distance(np.array([50.0, 50.0]), np.array([50.0, 50.0])), 3)
    0.056
    """
    n_x, n_y = counts_x.sum(), counts_y.sum()
    share = (counts_x + counts_y) / (n_x + n_y)
    spread = np.sqrt(share * (1 - share) * (1 / n_x + 1 / n_y))
    # The mean size of a normal number of spread 1 is sqrt(2 / pi). A cell that hardly ever occurs
    # is a Poisson count, whose mean difference is at most its mean.
    return float(0.5 * np.minimum(np.sqrt(2 / np.pi) * spread, 2 * share).sum())

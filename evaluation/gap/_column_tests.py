"""Tests and distances of one column of two sets: shape, frequent values, roundness."""

from __future__ import annotations

import numpy as np

from .._bootstrap_metric import Floats, Ints
from ._columns import PooledColumn, compute_value_roundness, quantile_places

# About the cells of the chi-square test of a number: it sees ties on about 1 % of the rows. More
# cells would see smaller ones but have less power for wide differences.
_N_CELLS = 100
_MIN_EXPECTED = 5.0  # rows a cell: the usual least for the chi-square approximation (Cochran 1954)
_MIN_SPREAD = 1e-12  # of the largest value: a smaller standard deviation is rounding error


def column_p(column: PooledColumn) -> float:
    """Return the p-value of a test that a column has one distribution in both sets.

    A category: Pearson's chi-square test over its levels and missing. A number or datetime: three times
    the smallest p-value (Bonferroni) of Kolmogorov-Smirnov, which sees shifts; chi-square over about
    100 cells, in which a frequent value has its own, which sees ties and gaps; and chi-square over
    roundness. All three keep their level with ties.
    """
    sets = (column.synthetic, column.reference)
    if not column.is_number:
        return chi_square_p(*sets)
    if not len(column.values):
        return 1.0
    sizes = [int(counts.sum()) for counts in sets]
    cells = _quantile_cells(column)
    p = [
        kolmogorov_p(ks_distance(column), *sizes),
        chi_square_p(*(_count_cells(cells, counts) for counts in sets)),
    ]
    if (roundness := compute_value_roundness(column)) is not None:
        steps = np.append(1 + roundness, 0).astype(np.int64)  # missing is the first cell
        p.append(chi_square_p(*(_count_cells(steps, counts) for counts in sets)))
    return min(1.0, len(p) * min(p))


def ks_distance(column: PooledColumn) -> float:
    """Return the Kolmogorov-Smirnov distance sup_x |F_synthetic(x) - F_reference(x)|, in [0, 1].

    A missing value counts as below all numbers.
    """
    below = [
        np.cumsum(np.roll(counts, 1)) / counts.sum()
        for counts in (column.synthetic, column.reference)
    ]
    return float(np.abs(below[0] - below[1]).max())


def wasserstein_distance(column: PooledColumn) -> float:
    """Return the Wasserstein-1 distance in real standard deviations; 0 where a set has no number."""
    values, synthetic, real = column.values, column.synthetic[:-1], column.reference[:-1]
    n_synthetic, n_real = synthetic.sum(), real.sum()
    if not n_synthetic or not n_real:
        return 0.0
    gap = np.cumsum(synthetic)[:-1] / n_synthetic - np.cumsum(real)[:-1] / n_real
    distance = float(np.abs(gap) @ np.diff(values))
    occurs = real > 0
    mean = float(real[occurs] @ values[occurs]) / n_real
    spread = float(np.sqrt(real[occurs] @ (values[occurs] - mean) ** 2 / n_real))
    largest = float(np.abs(values[occurs]).max())
    return distance / spread if spread > _MIN_SPREAD * max(1.0, largest) else distance


def chi_square_p(counts_x: Floats, counts_y: Floats) -> float:
    """Return the p-value of Pearson's test that two samples have the same shares of cells.

    Cells too rare for the chi-square approximation are pooled; of fewer than two cells p is 1.
    """
    from scipy.special import chdtrc

    n_x, n_y = counts_x.sum(), counts_y.sum()
    if not n_x or not n_y:
        return 1.0
    pooled = counts_x + counts_y
    common = pooled * min(n_x, n_y) / (n_x + n_y) >= _MIN_EXPECTED
    x = np.append(counts_x[common], counts_x[~common].sum())
    y = np.append(counts_y[common], counts_y[~common].sum())
    expected_rest = (x[-1] + y[-1]) * min(n_x, n_y) / (n_x + n_y)
    if expected_rest < _MIN_EXPECTED and len(x) > 1:
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
    """Return the asymptotic p-value of a Kolmogorov-Smirnov distance; conservative with ties."""
    from scipy.special import kolmogorov

    return float(kolmogorov(distance * np.sqrt(n_x * n_y / (n_x + n_y))))


def chance_distance(counts_x: Floats, counts_y: Floats) -> float:
    """Return the expected total variation distance of two samples of one distribution.

    A cell's difference counts as normal, with mean absolute value sqrt(2 / pi) standard deviations;
    that of a rare cell is a Poisson count, whose mean difference is at most its mean.
    """
    n_x, n_y = counts_x.sum(), counts_y.sum()
    share = (counts_x + counts_y) / (n_x + n_y)
    spread = np.sqrt(share * (1 - share) * (1 / n_x + 1 / n_y))
    return float(0.5 * np.minimum(np.sqrt(2 / np.pi) * spread, 2 * share).sum())


def _quantile_cells(column: PooledColumn) -> Ints:
    """Return a cell for each distinct value, shape (k + 1,), missing last.

    A value that several quantiles of the pooled rows are equal to has a cell of its own.
    """
    k = len(column.values)
    pooled = column.synthetic[:-1] + column.reference[:-1]
    edges = quantile_places(pooled, np.linspace(0, 1, _N_CELLS + 1)[1:-1])
    once, times = np.unique(edges, return_counts=True)
    cells = 2 * np.searchsorted(once, np.arange(k), side="left")
    cells[once[times > 1]] += 1
    return np.append(cells, 2 * len(once) + 2)


def _count_cells(cells: Ints, counts: Floats) -> Floats:
    return np.bincount(cells, counts).astype(np.float64)

"""Whether one column differs between two sets beyond chance: in its shape, its values, its roundness."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ._pooled import PooledColumn, quantile_places
from ._rounding import compute_value_roundness
from ._two_sample import chi_square_p, kolmogorov_p

Floats = npt.NDArray[np.float64]

_CELLS = 100


def column_p(column: PooledColumn) -> float:
    """Return the p-value of a test that a column follows one law in both sets.

    A category: Pearson's chi-square test over its levels and missing. A number or datetime: three
    tests, and three times the least p-value. Kolmogorov-Smirnov sees shifts; chi-square over about
    100 cells, in which a value that is often taken has one for itself, sees heaps and gaps; and
    chi-square over how round the values are sees rounding. All three hold their level with ties.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.data.dataset import Dataset
    >>> real = Dataset.from_arrow(pa.table({"x": [0.5 + i for i in range(200)]}))
    >>> column_p(PooledColumn.of(real, real, "x"))
    1.0
    """
    if not column.is_number:
        return chi_square_p(column.made, column.real)
    if not len(column.values):
        return 1.0
    n_made, n_real = int(column.made.sum()), int(column.real.sum())
    p = [kolmogorov_p(ks_distance(column), n_made, n_real), chi_square_p(*_heaps(column))]
    if (grain := compute_value_roundness(column)) is not None:
        p.append(chi_square_p(*(_by_grain(grain, held) for held in (column.made, column.real))))
    return min(1.0, len(p) * min(p))


def ks_distance(column: PooledColumn) -> float:
    """Return the largest gap between two empirical distribution functions, in [0, 1].

    A missing value counts as below all numbers.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.data.dataset import Dataset
    >>> sides = [[1.5, 2.5], [2.5, None, 3.5, 4.5]]
    >>> made, real = (Dataset.from_arrow(pa.table({"x": side})) for side in sides)
    >>> ks_distance(PooledColumn.of(made, real, "x"))
    0.5
    """
    below = [np.cumsum(np.roll(held, 1)) / held.sum() for held in (column.made, column.real)]
    return float(np.abs(below[0] - below[1]).max())


def wasserstein_distance(column: PooledColumn) -> float:
    """Return the mean distance that the synthetic values must be moved, in spreads of the real ones.

    The Wasserstein-1 distance of the finite values, divided by the real standard deviation, or by 1
    where that is 0. It says how far off values are, which the Kolmogorov-Smirnov distance does not.
    Where a side has no number, 0.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.data.dataset import Dataset
    >>> made, real = (Dataset.from_arrow(pa.table({"x": x})) for x in ([1.5, 3.5], [2.5, 4.5]))
    >>> wasserstein_distance(PooledColumn.of(made, real, "x"))
    1.0
    """
    values, made, real = column.values, column.made[:-1], column.real[:-1]
    n_made, n_real = made.sum(), real.sum()
    if not n_made or not n_real:
        return 0.0
    gap = np.cumsum(made)[:-1] / n_made - np.cumsum(real)[:-1] / n_real
    moved = float(np.abs(gap) @ np.diff(values))
    there = real > 0
    middle = float(real[there] @ values[there]) / n_real
    spread = float(np.sqrt(real[there] @ (values[there] - middle) ** 2 / n_real))
    largest = float(np.abs(values[there]).max())
    return moved / spread if spread > 1e-12 * max(1.0, largest) else moved


def _heaps(column: PooledColumn) -> tuple[Floats, Floats]:
    """Return the counts of both samples in about 100 cells of the pooled values, missing last.

    A value between two edges that are equal to it has a cell of its own.
    """
    k = len(column.values)
    edges = quantile_places(
        column.made[:-1] + column.real[:-1], np.linspace(0, 1, _CELLS + 1)[1:-1]
    )
    once, times = np.unique(edges, return_counts=True)
    cell = np.empty(k + 1, dtype=np.int64)
    cell[:-1] = 2 * np.searchsorted(once, np.arange(k), side="left")
    cell[once[times > 1]] += 1
    cell[-1] = 2 * len(once) + 2
    width = 2 * len(once) + 3
    made, real = (np.bincount(cell, held, width) for held in (column.made, column.real))
    return made.astype(np.float64), real.astype(np.float64)


def _by_grain(grain: Floats, held: Floats) -> Floats:
    """Return how many rows have each roundness, missing first."""
    counts = np.bincount(1 + grain.astype(np.int64), held[:-1], minlength=20).astype(np.float64)
    counts[0] = held[-1]
    return counts

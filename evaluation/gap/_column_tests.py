"""Whether one column differs between two sets beyond chance: in its shape, its values, its roundness."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from twinset.core.dataset import Dataset

from ._grain import grains
from ._two_sample import chi_square_p, kolmogorov_p

Floats = npt.NDArray[np.float64]

_CELLS = 100


def column_p(synthetic: Dataset, reference: Dataset, name: str) -> float:
    """Return the p-value of a test that a column follows one law in both sets.

    A category: Pearson's chi-square test over its levels and missing. A number or datetime: three
    tests, and three times the least p-value. Kolmogorov-Smirnov sees shifts; chi-square over about
    100 cells, in which a value that is often taken has one for itself, sees heaps and gaps; and
    chi-square over how round the values are sees rounding. All three hold their level with ties.

    Examples
    --------
    >>> import pyarrow as pa
    >>> real = Dataset.from_arrow(pa.table({"x": [0.5 + i for i in range(200)]}))
    >>> column_p(real, real, "x")
    1.0
    """
    if reference.schema[name].kind in ("category", "boolean"):
        return _level_p(synthetic, reference, name)
    x, y = synthetic.values(name), reference.values(name)
    if not np.isfinite(x).any() and not np.isfinite(y).any():
        return 1.0
    p = [_shift_p(x, y), chi_square_p(*_heaps(x, y))]
    if (found := grains(reference, [synthetic], name)) is not None:
        p.append(chi_square_p(*(_counted(grain) for grain in (found[1], found[0]))))
    return min(1.0, len(p) * min(p))


def _level_p(synthetic: Dataset, reference: Dataset, name: str) -> float:
    (a, levels_a), (b, levels_b) = synthetic.codes(name), reference.codes(name)
    levels = {level: i for i, level in enumerate(sorted({*levels_a, *levels_b}))}
    counts = []
    for codes, own in ((a, levels_a), (b, levels_b)):
        place = np.array([*[levels[level] for level in own], len(levels)], dtype=np.int64)
        counts.append(np.bincount(place[codes], minlength=len(levels) + 1).astype(np.float64))
    return chi_square_p(*counts)


def _shift_p(x: Floats, y: Floats) -> float:
    low_x, low_y = (np.sort(np.where(np.isnan(v), -np.inf, v)) for v in (x, y))
    pooled = np.concatenate([low_x, low_y])
    gap = np.searchsorted(low_x, pooled, side="right") / len(x)
    gap -= np.searchsorted(low_y, pooled, side="right") / len(y)
    return kolmogorov_p(float(np.abs(gap).max()), len(x), len(y))


def _heaps(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Return the counts of both samples in about 100 cells of the pooled values, missing last.

    A value between two edges that are equal to it has a cell of its own.
    """
    pooled = np.concatenate([x, y])
    pooled = pooled[np.isfinite(pooled)]
    edges = np.quantile(pooled, np.linspace(0, 1, _CELLS + 1)[1:-1], method="inverted_cdf")
    once, times = np.unique(edges, return_counts=True)
    own = once[times > 1]
    counts = []
    for values in (x, y):
        missing = np.isnan(values)
        cell = 2 * np.searchsorted(once, values, side="left")
        cell[np.isin(values, own)] += 1
        cell[missing] = 2 * len(once) + 2
        counts.append(np.bincount(cell, minlength=2 * len(once) + 3).astype(np.float64))
    return counts[0], counts[1]


def _counted(grain: Floats) -> Floats:
    places = np.where(np.isnan(grain), 0, 1 + np.nan_to_num(grain)).astype(np.int64)
    return np.bincount(places, minlength=20).astype(np.float64)

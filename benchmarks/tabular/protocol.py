"""Shape, Trend, alpha-precision, beta-recall: as published (SDMetrics 0.11.1) and with shared bins.

Errors are fractions, 0 to 1; the papers print 100 times these. The protocol compares a synthetic table of
n_train rows with train; the excess over what train itself shows compares both with the holdout.
Alpha-precision and beta-recall are the "naive" variant of synthcity that the papers report.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import ks_2samp
from sklearn.neighbors import NearestNeighbors

from benchmarks.tabular.sets import Coded

BINS = 10  # as published
LEVELS = 30  # of alpha-precision and beta-recall, as published
_LARGEST_TABLE = 1 << 22  # cells; larger joint tables are counted over the pairs that occur

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Errors:
    """Errors by column or pair, and their mean."""

    names: tuple[str, ...]  # of columns, or of pairs as "a ~ b"
    values: Floats  # 0 to 1; NaN where a correlation does not exist (a constant column)

    @property
    def mean(self) -> float:
        return float(np.nanmean(self.values))

    @property
    def worst(self) -> tuple[str, float]:
        """The column or pair with the largest error, and this error."""
        at = int(np.nanargmax(self.values))
        return self.names[at], float(self.values[at])


def shape(real: Coded, synthetic: Coded) -> Errors:
    """Return the error of each column: Kolmogorov-Smirnov distance or total variation distance."""
    numbers = [ks(a, b) for a, b in zip(real.numbers.T, synthetic.numbers.T)]
    categories = [
        distance(a, b, len(levels))
        for a, b, levels in zip(real.codes.T, synthetic.codes.T, real.levels)
    ]
    return Errors(real.names, np.array([*numbers, *categories]))


def trend(
    real: Coded, synthetic: Coded, bins: Literal["own", "shared"] = "own", edges_of: Coded | None = None
) -> Errors:  # fmt: skip
    """Return the error of each pair of columns."""
    # Two numbers: half the difference of their Pearson correlations. Two categories: total variation
    # distance of the joint table. A number with a category: the same, with the number in ten bins of
    # equal width. With "own" bins (as published) each table is divided between its own smallest and
    # largest value, so that a synthetic table without the extremes has other bins. With "shared" ones
    # both have the edges of `edges_of`, and values outside fall into the first or last bin.
    edges_of = real if edges_of is None else edges_of
    binned = [
        own_bins(table.numbers) if bins == "own" else shared_bins(table.numbers, edges_of.numbers)
        for table in (real, synthetic)
    ]
    codes = [
        np.hstack([cut, t.codes]).astype(np.int64) for cut, t in zip(binned, (real, synthetic))
    ]
    sizes = [BINS + 2] * real.numbers.shape[1] + [len(levels) for levels in real.levels]
    correlations = [_correlations(table.numbers) for table in (real, synthetic)]
    gap = np.abs(correlations[0] - correlations[1]) / 2
    names, values = [], []
    for i, j in combinations(range(len(real.names)), 2):
        names.append(f"{real.names[i]} ~ {real.names[j]}")
        if j < len(gap):
            values.append(float(gap[i, j]))
        else:
            joint = [table[:, i] * sizes[j] + table[:, j] for table in codes]
            values.append(distance(joint[0], joint[1], sizes[i] * sizes[j]))
    return Errors(tuple(names), np.array(values))


def excess(synthetic: Errors, train: Errors) -> float:
    """Return mean error(synthetic, holdout) less mean error(train, holdout): 0 is real."""
    return synthetic.mean - train.mean


def ks(a: Floats, b: Floats) -> float:
    """Return the two-sample Kolmogorov-Smirnov statistic; missing values are left out."""
    a, b = a[~np.isnan(a)], b[~np.isnan(b)]
    if not len(a) or not len(b):
        return float(len(a) != len(b))
    return float(ks_2samp(a, b, method="asymp").statistic)


def distance(a: npt.NDArray[np.integer], b: npt.NDArray[np.integer], n_levels: int) -> float:
    """Return the total variation distance of two columns of codes below `n_levels`."""
    if n_levels > _LARGEST_TABLE:
        present, codes = np.unique(np.concatenate([a, b]), return_inverse=True)
        a, b, n_levels = codes[: len(a)], codes[len(a) :], len(present)
    shares = [np.bincount(side, minlength=n_levels) / max(1, len(side)) for side in (a, b)]
    return float(np.abs(shares[0] - shares[1]).sum() / 2)


def own_bins(numbers: Floats) -> Codes:
    """Return ten bins of equal width of each column, ids 1 to 10; the largest value falls into 11."""
    return _bins(numbers, numbers, slice(None))


def shared_bins(numbers: Floats, edges_of: Floats) -> Codes:
    """Return ten bins of equal width between the extremes of another table, ids 0 to 9."""
    return _bins(numbers, edges_of, slice(1, -1))


def _bins(numbers: Floats, edges_of: Floats, kept: slice) -> Codes:
    codes = np.zeros(numbers.shape, dtype=np.int64)
    for j, (column, other) in enumerate(zip(numbers.T, edges_of.T)):
        edges = np.histogram_bin_edges(other[~np.isnan(other)], BINS)
        codes[:, j] = np.digitize(column, edges[kept])
    return codes


def _correlations(numbers: Floats) -> Floats:
    if not numbers.shape[1]:
        return np.empty((0, 0))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.atleast_2d(np.corrcoef(numbers, rowvar=False))


@dataclass(frozen=True)
class Reference:
    """Arrays of the real table, computed once for a set in time quadratic in its rows."""

    points: Floats  # numbers scaled by their range, categories one-hot, shape (n, d)
    to_other: Floats  # distance of each real point to its nearest other one, (n,)
    real: Coded

    @classmethod
    def from_table(cls, real: Coded) -> Reference:
        points = embed(real, real)
        return cls(points, nearest(points, points, other=True)[0], real)


def alpha_beta(reference: Reference, synthetic: Coded) -> tuple[float, float]:
    """Return alpha-precision and beta-recall; both tables must have the same number of rows."""
    # With radii at 30 quantiles alpha of the real points' distances to their centre, the precision
    # curve is the share of synthetic points inside each radius. The recall curve is the share of real
    # points whose nearest synthetic point lies no farther than their nearest other real point and
    # within the alpha-quantile of its distances to the synthetic centre. A score is
    # 1 - sum |alpha - curve| / sum alpha (Alaa et al., ICML 2022; variant: synthcity 0.2.12).
    real, drawn = reference.points, embed(synthetic, reference.real)
    if len(real) != len(drawn):
        raise ValueError(f"needs as many synthetic rows as real ones: {len(drawn)}, {len(real)}")
    alphas = np.linspace(0, 1, LEVELS)
    centre = real.mean(axis=0)
    radii = np.quantile(np.linalg.norm(real - centre, axis=1), alphas)
    precision = (np.linalg.norm(drawn - centre, axis=1)[:, None] <= radii).mean(axis=0)

    to_synthetic, index = nearest(real, drawn)
    from_centre = np.linalg.norm(drawn[index] - drawn.mean(axis=0), axis=1)
    within = from_centre[:, None] <= np.quantile(from_centre, alphas)
    recall = ((to_synthetic <= reference.to_other)[:, None] & within).mean(axis=0)
    precise, recalled = (
        float(1 - np.abs(alphas - curve).sum() / alphas.sum()) for curve in (precision, recall)
    )
    return precise, recalled


def embed(table: Coded, real: Coded) -> Floats:
    """Return numbers scaled by the real table's range, and one-hot categories of its levels."""
    low, high = real.numbers.min(axis=0), real.numbers.max(axis=0)
    numbers = (table.numbers - low) / np.where(high > low, high - low, 1)
    columns = zip(table.codes.T, real.codes.T)
    return np.hstack(
        [numbers, *((own[:, None] == np.unique(of)).astype(float) for own, of in columns)]
    )


def nearest(
    query: Floats, points: Floats, *, other: bool = False
) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Return the Euclidean distance and position of each query row's nearest point.

    With `other` the query rows are the points, and a row is not its own neighbour.
    """
    model = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(points)
    found = model.kneighbors(None if other else query, return_distance=False)[:, 0]
    return np.linalg.norm(query - points[found], axis=1), found

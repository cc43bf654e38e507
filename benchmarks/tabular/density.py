"""Alpha-precision and beta-recall, the "naive" variant of synthcity that the papers report.

Beta-recall of a fresh real sample is about 0.49 to 0.50; a bootstrap copy of train scores 0.85 and
more. Far above 0.5 it is a sign of memorising, not of quality.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.tabular.sets import Coded

LEVELS = 30  # as published
_BLOCK = 512  # rows of distances held in memory at once

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Reference:
    """Arrays of the real table, computed once for a set."""

    points: Floats  # numbers scaled by their range, categories one-hot, shape (n, d)
    to_other: Floats  # distance of each real point to its nearest other one, (n,)
    real: Coded

    @classmethod
    def from_table(cls, real: Coded) -> Reference:
        """Return the arrays of the real table, in time quadratic in its rows."""
        points = embed(real, real)
        return cls(points, nearest(points, points, other=True)[0], real)


def alpha_beta(reference: Reference, synthetic: Coded) -> tuple[float, float]:
    """Return alpha-precision and beta-recall; both tables must have the same number of rows.

    With radii at 30 quantiles alpha of the real points' distances to their centre, the precision
    curve is the share of synthetic points inside each radius. The recall curve is the share of real
    points whose nearest synthetic point lies no farther than their nearest other real point and
    within the alpha-quantile of its distances to the synthetic centre. A score is
    1 - sum |alpha - curve| / sum alpha.

    References
    ----------
    Alaa et al., "How faithful is your synthetic data?", ICML 2022; variant: synthcity 0.2.12.
    """
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
    return _score(alphas, precision), _score(alphas, recall)


def embed(table: Coded, real: Coded) -> Floats:
    """Return numbers scaled by the real table's least and largest value, and one-hot categories.

    Levels that the real table does not have are all zeros.
    """
    low, high = real.numbers.min(axis=0), real.numbers.max(axis=0)
    numbers = (table.numbers - low) / np.where(high > low, high - low, 1)
    hot = [
        (table.codes[:, j, None] == np.unique(real.codes[:, j])).astype(float)
        for j in range(table.codes.shape[1])
    ]
    return np.hstack([numbers, *hot])


def nearest(
    query: Floats, points: Floats, *, other: bool = False
) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Return the Euclidean distance and position of each query row's nearest point.

    With `other` the query rows are the points, and a row is not its own neighbour. The search runs in
    single precision, the distance of the point found is exact; points nearer to one another than
    about 1e-3 may be confused.
    """
    centre = points.mean(axis=0)
    side = (points - centre).astype(np.float32)
    half = (side**2).sum(axis=1) / 2
    found = np.empty(len(query), dtype=np.int64)
    for start in range(0, len(query), _BLOCK):
        rows = slice(start, min(start + _BLOCK, len(query)))
        affinity = (query[rows] - centre).astype(np.float32) @ side.T
        affinity -= half
        if other:
            affinity[np.arange(len(affinity)), np.arange(rows.start, rows.stop)] = -np.inf
        found[rows] = affinity.argmax(axis=1)
    return np.linalg.norm(query - points[found], axis=1), found


def _score(alphas: Floats, curve: Floats) -> float:
    return float(1 - np.abs(alphas - curve).sum() / alphas.sum())

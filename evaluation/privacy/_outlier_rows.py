"""Outlier rows: the real rows far from all others, among train and control rows together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Comparison, NotMeasurable
from twinset.core.seeding import rng_for
from twinset.core.stats.neighbors import nearest

from ._membership_attack import AttackTargets, Floats, Mask, Positions, distances_to_others

SHARES = (0.01, 0.02, 0.05)  # of the real rows, farthest first: attacks succeed on these first
_MIN_ROWS = 10  # of each part: fewer make no rate
_N_PROBES = (
    2_000  # rows whose distances bound those of all: the bound leaves about 2 k rows to search
)
_ROUNDING = 1e-5  # relative: a bound and an exact distance are summed in other orders


@dataclass(frozen=True)
class OutlierRows:
    """Outlier rows, farthest first.

    Parameters
    ----------
    targets : AttackTargets
        All real rows that were searched.
    rows : numpy.ndarray of int64, shape (k,)
        Positions of the outliers.
    distances : numpy.ndarray, shape (k,)
        Distance to the nearest other real row, above 0.
    parts : tuple of int
        Numbers of the farthest 1, 2 and 5 %.
    """

    targets: AttackTargets
    rows: Positions
    distances: Floats
    parts: tuple[int, ...]

    @property
    def features(self) -> npt.NDArray[np.float32]:
        """Features of the outliers, shape (k, d)."""
        return self.targets.features[self.rows]

    @property
    def is_member(self) -> Mask:
        """Outliers that the generator was fitted on, shape (k,)."""
        return self.targets.is_member[self.rows]


def find_outlier_rows(
    comparison: Comparison, members: Positions, control: Positions, seed: int
) -> OutlierRows:
    """Return the outliers among the rows at these positions, kept for the next candidate.

    Raises
    ------
    NotMeasurable
        No train row or no control row is among them.
    """
    key = "outlier rows"
    known: Any = comparison.cache.get(key)
    if known is None or known[0] != (seed, len(members), len(control)):
        targets = AttackTargets.from_comparison(comparison, members, control)
        n = len(targets.features)
        sizes = [min(n, max(_MIN_ROWS, round(share * n))) for share in SHARES]
        rows, distances = rank_outliers(targets.features, sizes[-1], rng_for(seed, "isolated"))
        # A row that equals another one is no outlier.
        single = distances > 0
        rows, distances = rows[single], distances[single]
        parts = tuple(min(size, len(rows)) for size in sizes)
        known = (seed, len(members), len(control)), OutlierRows(targets, rows, distances, parts)
        comparison.cache[key] = known
    found: OutlierRows = known[1]
    if not found.is_member.any() or found.is_member.all():
        raise NotMeasurable("too few outliers are in the train set or in the holdout")
    return found


def rank_outliers(
    rows: npt.NDArray[np.floating], k: int, rng: np.random.Generator
) -> tuple[Positions, Floats]:
    """Return the `k` rows that are farthest from their nearest other row, and that distance.

    Exact, and cheaper than a search for all rows: the distance to the nearest of some rows bounds the
    distance to the nearest of all, and only rows with a large enough bound are searched. Ties are in
    random order.

    Parameters
    ----------
    rows : numpy.ndarray, shape (n, d)
        At least two rows.
    k : int
        Number of outliers, 1 to n.
    rng : numpy.random.Generator
        Draws the probes and the order of ties.

    Returns
    -------
    positions : numpy.ndarray of int64, shape (k,)
        Farthest first.
    distances : numpy.ndarray, shape (k,)
        Distance to the nearest other row.

    Examples
    --------
    >>> rows = np.array([[0.0], [1.0], [5.0], [5.5]])
    >>> positions, distances = rank_outliers(rows, 1, np.random.default_rng(0))
    >>> distances.tolist(), int(positions[0]) in (0, 1)
    ([1.0], True)
    """
    n = len(rows)
    probes = rng.choice(n, min(_N_PROBES, n), replace=False)
    near = nearest(rows, rows[probes], min(2, len(probes)))[0].astype(np.float64)
    bound = near[:, 0]
    bound[probes] = near[probes, -1]
    bound = bound * (1 + _ROUNDING) + _ROUNDING
    order = np.argsort(-bound, kind="stable")
    distances = np.full(n, -1.0)
    first, rest = order[: 2 * k], order[2 * k :]
    distances[first] = distances_to_others(rows, first)
    threshold = -np.sort(-distances[first])[k - 1]
    rest = rest[bound[rest] >= threshold]
    if len(rest):
        distances[rest] = distances_to_others(rows, rest)
    top = np.lexsort((rng.permutation(n), -distances))[:k]
    return top, distances[top]

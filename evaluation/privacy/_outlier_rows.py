"""The real rows that stand most alone, among training and control rows taken together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Comparison, NotMeasurable
from twinset.core.seeding import rng_for
from twinset.core.stats.neighbors import nearest

from ._membership_attack import AttackTargets, Floats, Mask, Positions, distances_to_others

SHARES = (0.01, 0.02, 0.05)
"""Parts of the real rows that are attacked: the most isolated 1, 2 and 5 %."""

_FEWEST = 10
_PROBES = 2_000
# The bound and the exact distance of one pair differ by rounding when they are summed in other orders.
_ROUNDING = 1e-5


@dataclass(frozen=True)
class OutlierRows:
    """Isolated rows, most isolated first.

    Parameters
    ----------
    victims : Victims
        All real rows that were looked among.
    rows : numpy.ndarray of int64, shape (k,)
        Positions of the isolated ones.
    isolation : numpy.ndarray, shape (k,)
        Distance to the nearest other real row, above 0.
    parts : tuple of int
        Sizes of the most isolated 1, 2 and 5 %.
    """

    victims: AttackTargets
    rows: Positions
    isolation: Floats
    parts: tuple[int, ...]

    @property
    def features(self) -> npt.NDArray[np.float32]:
        """Features of the isolated rows, shape (k, d)."""
        return self.victims.features[self.rows]

    @property
    def is_member(self) -> Mask:
        """Which isolated rows the generator saw, shape (k,)."""
        return self.victims.is_member[self.rows]


def find_outlier_rows(
    comparison: Comparison, members: Positions, control: Positions, seed: int
) -> OutlierRows:
    """Return the isolated rows among those at these positions, kept for the next candidate.

    Raises
    ------
    NotMeasurable
        No training row or no control row is among them.
    """
    key = "isolated rows"
    known: Any = comparison.cache.get(key)
    if known is None or known[0] != (seed, len(members), len(control)):
        victims = AttackTargets.of(comparison, members, control)
        n = len(victims.features)
        sizes = [min(n, max(_FEWEST, round(share * n))) for share in SHARES]
        rows, isolation = rank_outliers(victims.features, sizes[-1], rng_for(seed, "isolated"))
        # Who has a twin among the other people does not stand alone.
        alone = isolation > 0
        rows, isolation = rows[alone], isolation[alone]
        parts = tuple(min(size, len(rows)) for size in sizes)
        known = (seed, len(members), len(control)), OutlierRows(victims, rows, isolation, parts)
        comparison.cache[key] = known
    found: OutlierRows = known[1]
    if not found.is_member.any() or found.is_member.all():
        raise NotMeasurable("too few real rows stand alone in the train part or in the holdout")
    return found


def rank_outliers(
    rows: npt.NDArray[np.floating], k: int, rng: np.random.Generator
) -> tuple[Positions, Floats]:
    """Return the `k` rows that are farthest from their nearest other row, and that distance.

    Exact, and cheaper than a search for all: the distance to the nearest of some rows bounds the
    distance to the nearest of all, and only rows whose bound reaches far enough are searched. Rows
    that are equally isolated come in random order, so that none is favoured by its place.

    Parameters
    ----------
    rows : numpy.ndarray, shape (n, d)
        At least two rows.
    k : int
        How many, 1 to n.
    rng : numpy.random.Generator
        Chooses the probes and the order of ties.

    Returns
    -------
    positions : numpy.ndarray of int64, shape (k,)
        Most isolated first.
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
    probes = rng.choice(n, min(_PROBES, n), replace=False)
    near = nearest(rows, rows[probes], min(2, len(probes)))[0].astype(np.float64)
    bound = near[:, 0]
    bound[probes] = near[probes, -1]
    bound = bound * (1 + _ROUNDING) + _ROUNDING
    order = np.argsort(-bound, kind="stable")
    distances = np.full(n, -1.0)
    first, rest = order[: 2 * k], order[2 * k :]
    distances[first] = distances_to_others(rows, first)
    least = -np.sort(-distances[first])[k - 1]
    rest = rest[bound[rest] >= least]
    if len(rest):
        distances[rest] = distances_to_others(rows, rest)
    top = np.lexsort((rng.permutation(n), -distances))[:k]
    return top, distances[top]

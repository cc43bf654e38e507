"""Shadow models: the generator fitted again to halves of the real rows, and likelihood ratios of rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from twinset.core.contracts import Comparison
from twinset.core.data.dataset import Dataset, sample_positions
from twinset.core.stats.neighbors import nearest

from ._membership_attack import AttackTargets, Floats, Mask, Positions, distances_to_others

_N_NEIGHBORS = 5  # synthetic rows of the second signal: single near rows vary too much
_MIN_DISTANCE = 1e-6  # of the usual distance: keeps the logarithm of a copy's distance finite
_RIDGE = 1e-3  # of the variance: the two signals of few releases may be collinear

Release = Callable[[tuple[Positions, Positions], np.random.Generator], Dataset]
"""Positions of real rows -> synthetic rows of the generator that was fitted to them."""


@dataclass(frozen=True)
class ShadowScores:
    """Signals of the attack targets in releases whose train rows are known.

    Parameters
    ----------
    signals : numpy.ndarray, shape (k, n, 2)
        Signals of each shadow release on each row; see `release_signals`.
    is_in : numpy.ndarray of bool, shape (k, n)
        Train rows of each shadow generator; every row is in half of them.
    """

    signals: Floats
    is_in: Mask

    @classmethod
    def fit(
        cls,
        pool: ShadowPool,
        targets: AttackTargets,
        release: Release,
        k: int,
        rng: np.random.Generator,
    ) -> ShadowScores:
        """Return the signals of `k` generators on random halves of the pool, each row in half of them."""
        n = len(targets.features)
        order = np.argsort(rng.random((n, k)), axis=1).T
        is_in = order < k // 2
        scale = row_scale(targets)
        signals = []
        for inside, stream in zip(is_in, rng.spawn(k)):
            halves, draws = stream.spawn(2)
            synthetic = release(pool.half(inside, halves), draws)
            signals.append(compute_signals(targets, synthetic, scale))
        return cls(np.array(signals), is_in)

    def scores(self, signals: Floats) -> Floats:
        """Return the log likelihood ratio of each row being a train row, shape (n,).

        Signals of a row in and out are normal, with means of their own and one covariance for all rows,
        as in Carlini et al. where shadow models are few. The difference of the two means of a row is shrunk
        towards that of all rows by its error. A shift of all rows, such as of a release of another size, is
        removed.

        Parameters
        ----------
        signals : numpy.ndarray, shape (n, 2)
            Signals of the release under attack.
        """
        weight = self.is_in[:, :, None].astype(np.float64)
        n_in, n_out = weight.sum(axis=0), (1 - weight).sum(axis=0)
        inside = (weight * self.signals).sum(axis=0) / n_in
        outside = ((1 - weight) * self.signals).sum(axis=0) / n_out
        residuals = self.signals - np.where(weight > 0, inside, outside)
        k, n, _ = self.signals.shape
        covariance = np.einsum("kni,knj->ij", residuals, residuals) / (n * (k - 2))
        noise = np.diag(covariance) * float((1 / n_in + 1 / n_out).mean())
        difference = inside - outside
        whole = difference.mean(axis=0)
        own = np.maximum(difference.var(axis=0) - noise, 0.0)
        difference = whole + (difference - whole) * own / np.maximum(own + noise, 1e-300)
        off = signals - (inside + outside) / 2
        off = off - np.median(off, axis=0)
        ridge = _RIDGE * np.trace(covariance) / 2 + 1e-12
        solved = np.linalg.solve(covariance + ridge * np.eye(2), difference.T).T
        return np.asarray((solved * off).sum(axis=1))


@dataclass(frozen=True)
class ShadowPool:
    """Positions of the real rows that shadow generators are fitted to, in train and in reference.

    Parameters
    ----------
    attacked : tuple of numpy.ndarray
        Members and control rows.
    others : tuple of numpy.ndarray
        Rows that are not attacked.
    """

    attacked: tuple[Positions, Positions]
    others: tuple[Positions, Positions]

    @classmethod
    def from_rows(
        cls,
        comparison: Comparison,
        attacked: tuple[Positions, Positions],
        n: int,
        rng: np.random.Generator,
    ) -> ShadowPool:
        """Return the attacked rows and at most `n` others, from both sets by their sizes."""
        sizes = len(comparison.train), len(comparison.reference)
        rest = [np.setdiff1d(np.arange(size), at) for size, at in zip(sizes, attacked)]
        chosen = sample_positions(sum(map(len, rest)), n, rng)
        in_train = chosen < len(rest[0])
        others = rest[0][chosen[in_train]], rest[1][chosen[~in_train] - len(rest[0])]
        return cls(attacked, others)

    def half(self, inside: Mask, rng: np.random.Generator) -> tuple[Positions, Positions]:
        """Return the attacked rows that are `inside`, members first, and a random half of the others."""
        n = len(self.attacked[0])
        parts = []
        for own, kept, others in zip(self.attacked, (inside[:n], inside[n:]), self.others):
            parts.append(np.append(own[kept], rng.permutation(others)[: len(others) // 2]))
        return parts[0], parts[1]


def row_scale(targets: AttackTargets) -> float:
    """Return the smallest distance: a millionth of the rows' usual distance to each other."""
    distances = distances_to_others(targets.features)
    distances = distances[distances > 0]
    return _MIN_DISTANCE * (float(np.median(distances)) if len(distances) else 1.0)


def compute_signals(targets: AttackTargets, synthetic: Dataset, scale: float) -> Floats:
    """Return the nearness of synthetic rows to each attack target, shape (n, 2).

    -ln of the distance to the nearest, and the mean of -ln of the distances to the five nearest: a copy
    shows in the first, a cluster around a row in the second. These are the densities of the attack
    without shadow models; they need no calibration, since every row is compared with itself.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.features.encoder import FeatureEncoder
    >>> rows = Dataset.from_arrow(pa.table({"x": [0.0, 1.0, 2.0]}))
    >>> encoder = FeatureEncoder.fit(rows)
    >>> seen = AttackTargets(encoder.transform(rows), np.array([True, True, False]), encoder)
    >>> found = compute_signals(seen, rows.slice(0, 2), 1e-6)
    >>> bool(found[0, 0] > found[2, 0]), found.shape
    (True, (3, 2))
    """
    features = targets.encoder.transform(synthetic)
    near = nearest(targets.features, features, min(_N_NEIGHBORS, len(features)))[0]
    logs = -np.log(near.astype(np.float64) + scale)
    return np.column_stack([logs[:, 0], logs.mean(axis=1)])

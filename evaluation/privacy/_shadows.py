"""Shadow models: a generator made again on halves of the real rows, and what it then gives away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from twinset.core.contracts import Comparison
from twinset.core.data.dataset import Dataset, sample_positions
from twinset.core.stats.neighbors import nearest

from ._membership_attack import AttackTargets, Floats, Mask, Positions, distances_to_others

_NEIGHBOURS = 5
_SMALL = 1e-6
_RIDGE = 1e-3

Release = Callable[[tuple[Positions, Positions], np.random.Generator], Dataset]
"""Takes positions of real rows; returns what the generator makes once it has learnt from them."""


@dataclass(frozen=True)
class Shadows:
    """What releases whose training rows are known say of the attacked rows.

    Parameters
    ----------
    signals : numpy.ndarray, shape (k, n, 2)
        Signals of each shadow release on each row; see `release_signals`.
    is_in : numpy.ndarray of bool, shape (k, n)
        Which rows each shadow generator had seen; every row was seen by half of them.
    """

    signals: Floats
    is_in: Mask

    @classmethod
    def made(
        cls,
        pool: ShadowPool,
        victims: AttackTargets,
        release: Release,
        k: int,
        rng: np.random.Generator,
    ) -> Shadows:
        """Make the generator `k` times on random halves of the pool, each row in half of them."""
        n = len(victims.features)
        order = np.argsort(rng.random((n, k)), axis=1).T
        is_in = order < k // 2
        scale = row_scale(victims)
        signals = []
        for inside, stream in zip(is_in, rng.spawn(k)):
            learnt, draws = stream.spawn(2)
            made = release(pool.half(inside, learnt), draws)
            signals.append(release_signals(victims, made, scale))
        return cls(np.array(signals), is_in)

    def scores(self, signals: Floats) -> Floats:
        """Return how much likelier each row is to have been seen, shape (n,): a log likelihood ratio.

        In and out, the signals of a row are taken for normal, with means of its own and one covariance
        for all rows, as Carlini et al. do where shadow models are few. The distance of the two means
        of a row is drawn towards that of all rows, by as much as so few releases leave it open. What
        moves all rows alike, such as a release of another size, is taken off.

        Parameters
        ----------
        signals : numpy.ndarray, shape (n, 2)
            Signals of the release under attack.
        """
        weight = self.is_in[:, :, None].astype(np.float64)
        n_in, n_out = weight.sum(axis=0), (1 - weight).sum(axis=0)
        inside = (weight * self.signals).sum(axis=0) / n_in
        outside = ((1 - weight) * self.signals).sum(axis=0) / n_out
        left = self.signals - np.where(weight > 0, inside, outside)
        k, n, _ = self.signals.shape
        covariance = np.einsum("kni,knj->ij", left, left) / (n * (k - 2))
        noise = np.diag(covariance) * float((1 / n_in + 1 / n_out).mean())
        apart = inside - outside
        whole = apart.mean(axis=0)
        own = np.maximum(apart.var(axis=0) - noise, 0.0)
        apart = whole + (apart - whole) * own / np.maximum(own + noise, 1e-300)
        off = signals - (inside + outside) / 2
        off = off - np.median(off, axis=0)
        ridge = _RIDGE * np.trace(covariance) / 2 + 1e-12
        solved = np.linalg.solve(covariance + ridge * np.eye(2), apart.T).T
        return np.asarray((solved * off).sum(axis=1))


@dataclass(frozen=True)
class ShadowPool:
    """Positions of the real rows that shadow generators are made from, in train and in reference.

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
    def of(
        cls,
        comparison: Comparison,
        attacked: tuple[Positions, Positions],
        most: int,
        rng: np.random.Generator,
    ) -> ShadowPool:
        """Return the attacked rows and at most `most` others, from both sides by their sizes."""
        sizes = len(comparison.train), len(comparison.reference)
        left = [np.setdiff1d(np.arange(n), at) for n, at in zip(sizes, attacked)]
        chosen = sample_positions(sum(map(len, left)), most, rng)
        in_train = chosen < len(left[0])
        return cls(attacked, (left[0][chosen[in_train]], left[1][chosen[~in_train] - len(left[0])]))

    def half(self, inside: Mask, rng: np.random.Generator) -> tuple[Positions, Positions]:
        """Return the attacked rows that are `inside`, members first, and a random half of the others."""
        n = len(self.attacked[0])
        parts = []
        for own, kept, others in zip(self.attacked, (inside[:n], inside[n:]), self.others):
            parts.append(np.append(own[kept], rng.permutation(others)[: len(others) // 2]))
        return parts[0], parts[1]


def row_scale(victims: AttackTargets) -> float:
    """Return the least distance that counts: a millionth of the rows' usual distance to each other."""
    apart = distances_to_others(victims.features)
    apart = apart[apart > 0]
    return _SMALL * (float(np.median(apart)) if len(apart) else 1.0)


def release_signals(victims: AttackTargets, synthetic: Dataset, scale: float) -> Floats:
    """Return how near the synthetic rows come to each attacked row, shape (n, 2).

    Minus the logarithms of the distance to the nearest, and of the distances to the five nearest, on
    average: a copied row shows in the first, a crowd drawn to a row in the second. They are the
    densities of the attack without shadow models; what else stands near a row needs no calibration
    here, since every row is held against itself.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.features.encoder import FeatureEncoder
    >>> rows = Dataset.from_arrow(pa.table({"x": [0.0, 1.0, 2.0]}))
    >>> encoder = FeatureEncoder.fit(rows)
    >>> seen = AttackTargets(encoder.transform(rows), np.array([True, True, False]), encoder)
    >>> found = release_signals(seen, rows.slice(0, 2), 1e-6)
    >>> bool(found[0, 0] > found[2, 0]), found.shape
    (True, (3, 2))
    """
    features = victims.encoder.transform(synthetic)
    near = nearest(victims.features, features, min(_NEIGHBOURS, len(features)))[0]
    logs = -np.log(near.astype(np.float64) + scale)
    return np.column_stack([logs[:, 0], logs.mean(axis=1)])

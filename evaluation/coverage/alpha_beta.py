"""Alpha-precision, beta-recall and authenticity of synthetic rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from twinset.core.contracts import Comparison, Measurement
from twinset.core.features.encoder import Matrix
from twinset.core.findings import DecidingRows, NamedValues
from twinset.core.parameters import Ge, Margin, Replicates
from twinset.core.stats.neighbors import nearest

from .._bootstrap_metric import Bools, Floats, Ints, SampledMetric
from .._samples import common_size, draw_samples, require_rows, row_encoder

_LEVELS = np.linspace(0, 1, 30)  # of alpha and beta, as in the code of the paper
_RIM = 1 + 1e-6  # factor of radii: rows exactly on the rim are inside whatever the rounding
_N_NEIGHBORS = 16  # kept for replicates: that none of them is drawn has a chance of 1 in 10 million
_MIN_ROWS = 3  # each row needs another one, and its distance a third to compare with


@dataclass(frozen=True, kw_only=True)
class AlphaBeta(SampledMetric):
    """Beta-recall: how much of the real rows, core and fringe, the synthetic rows reach.

    R(beta) = share of real rows whose nearest synthetic row lies no farther than their nearest other
    real row, and is among the beta most central synthetic ones. value = 1 - sum |R(beta) - beta| /
    sum beta over 30 levels beta, in [0, 1]. Unseen real rows score about 0.5, because half of them lie
    nearer than the other real rows. Reference rows are unseen by any generator, so copying gains
    nothing.

    Facts add alpha-precision (the same for the share of synthetic rows within the alpha core of the
    real ones; about 1 for real rows) and authenticity (the share of synthetic rows that lie farther
    from their nearest train row than that from its nearest other train row, beside that of unseen
    real rows).

    Parameters
    ----------
    max_train_rows : int
        Rows of train that authenticity is measured against, 3 or more.

    References
    ----------
    Alaa, van Breugel, Saveliev, van der Schaar (2022), How Faithful is your Synthetic Data?
    Sample-level Metrics for Evaluating and Auditing Generative Models, ICML. Without the one-class
    embedding, as tables of results mostly do.
    """

    family = "coverage"
    title = "share of real rows that synthetic ones reach, core and fringe"
    interpretation = (
        "Beta-recall: how much of the real rows, core and fringe, synthetic rows reach. Real rows get "
        "about 0.5 themselves, not 1. Alpha-precision and authenticity are reported with it."
    )
    higher_is_better = True
    is_thorough = True

    margin: Margin = 0.05
    max_rows: Annotated[int, Ge(_MIN_ROWS)] = 5_000
    max_train_rows: Annotated[int, Ge(_MIN_ROWS)] = 10_000
    replicates: Replicates = 100

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return beta-recall, 0 to 1; facts hold alpha-precision and authenticity."""
        n = common_size(comparison, self.max_rows, _MIN_ROWS)
        require_rows([comparison.train], _MIN_ROWS)
        sets = draw_samples(comparison, n, rng)
        encoder = row_encoder(comparison)
        train = comparison.train.at_most(self.max_train_rows, rng)
        known = encoder.transform(train)
        real, synthetic = (encoder.transform(part) for part in sets)
        reach = Reach.measure(real, synthetic)
        values = {
            "alpha-precision": alpha_precision(real, synthetic),
            "authenticity": authenticity(known, synthetic),
        }
        facts = {
            "alpha_precision": values["alpha-precision"],
            "beta_recall": reach.recall(),
            "authenticity": values["authenticity"],
            "real_authenticity": authenticity(known, real),
            "rows": n,
            "max_rows": self.max_rows,
            "train_rows": len(train),
        }
        drawn = np.array([reach.replicate(rng) for _ in range(self.replicates)])
        findings = NamedValues(values), DecidingRows(n, "rows looked at")
        return Measurement(reach.recall(), drawn, findings, facts=facts)


def alpha_precision(real: Matrix, synthetic: Matrix) -> float:
    """Return how evenly synthetic rows fill the real rows' balls about their centre, 0 to 1."""
    centre = real.mean(axis=0, dtype=np.float64)
    radii = np.quantile(np.linalg.norm(real - centre, axis=1), _LEVELS) * _RIM
    distance = np.linalg.norm(synthetic - centre, axis=1)
    return _evenness((distance[:, None] <= radii).mean(axis=0))


def authenticity(train: Matrix, synthetic: Matrix) -> float:
    """Return the share of synthetic rows that are no near copy of a train row, in [0, 1].

    A near copy lies as near to its nearest train row as any other train row does, or nearer.

    Examples
    --------
    >>> authenticity(np.array([[0.0], [1.0], [9.0]]), np.array([[0.1], [3.0], [9.5], [30.0]]))
    0.5
    """
    distance, index = nearest(synthetic, train, 1)
    used, place = np.unique(index[:, 0], return_inverse=True)
    to_other = nearest(train[used], train, 2)[0][:, 1]
    return float((distance[:, 0] > to_other[place.ravel()] * _RIM).mean())


@dataclass(frozen=True)
class Reach:
    """The k synthetic neighbors of each of n real rows."""

    reached: Bools  # (n, k): whether each of the nearest synthetic rows is near enough
    neighbors: Ints  # (n, k): their positions
    distance: Floats  # (m,): of each synthetic row from their centre

    @classmethod
    def measure(cls, real: Matrix, synthetic: Matrix) -> Reach:
        """Return the nearest synthetic rows of each real row."""
        distances, neighbors = nearest(real, synthetic, min(_N_NEIGHBORS, len(synthetic)))
        to_other = nearest(real, real, 2)[0][:, 1]
        centre = synthetic.mean(axis=0, dtype=np.float64)
        distance = np.linalg.norm(synthetic - centre, axis=1).astype(np.float64)
        return cls(distances <= to_other[:, None] * _RIM, neighbors, distance)

    def recall(self) -> float:
        """Return beta-recall of the rows as they are."""
        return self._recall(self.reached[:, 0], self.neighbors[:, 0])

    def replicate(self, rng: np.random.Generator) -> float:
        """Return beta-recall of rows drawn with replacement from both sets."""
        n, m = len(self.reached), len(self.distance)
        rows = rng.integers(0, n, n)
        is_drawn = np.bincount(rng.integers(0, m, m), minlength=m) > 0
        drawn = is_drawn[self.neighbors[rows]]
        first = drawn.argmax(axis=1)
        # Where none of the nearest was drawn, the first one counts as not near enough.
        reached = self.reached[rows, first] & drawn[np.arange(n), first]
        return self._recall(reached, self.neighbors[rows, first])

    def _recall(self, reached: Bools, neighbor: Ints) -> float:
        distance = self.distance[neighbor]
        within = distance[:, None] <= np.quantile(distance, _LEVELS) * _RIM
        return _evenness((reached[:, None] & within).mean(axis=0))


def _evenness(curve: Floats) -> float:
    """Return 1 less the deviation of a curve from the diagonal, as a part of the largest possible."""
    return float(np.clip(1 - np.abs(_LEVELS - curve).sum() / _LEVELS.sum(), 0.0, 1.0))

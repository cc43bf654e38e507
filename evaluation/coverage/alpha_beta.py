"""How much of the real law's support the synthetic rows fill, from its dense core outwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Comparison, Measurement, Metric, MetricFamily, NotMeasurable
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.features.encoder import Matrix, shared_encoder
from twinset.core.findings import DecidingRows, NamedValues
from twinset.core.parameters import Ge, Margin, Replicates
from twinset.core.stats.neighbors import nearest

Floats = npt.NDArray[np.float64]

_ALPHAS = np.linspace(0, 1, 30)
_RIM = 1 + 1e-6
_NEAREST_KEPT = 16
_LEAST_ROWS = 3


@dataclass(frozen=True, kw_only=True)
class AlphaBeta(Metric):
    """Measures beta-recall: how much of the real rows the synthetic ones reach, core and fringe.

    For 30 levels beta, the share of real rows whose nearest synthetic row lies no farther than their
    nearest other real row and is among the beta most central synthetic ones. Were every real row
    reached, the share would be beta; the value is 1 less the summed deviation as a part of the
    largest possible, 0 to 1. Fresh real rows score about 0.5, because half of them lie nearer than
    the other real rows. The rows compared with are none that a generator saw, so copying earns
    nothing. Details add alpha-precision (the same for the share of synthetic rows within the alpha
    core of the real ones; about 1 for fresh real rows) and authenticity (the share of synthetic rows
    that lie farther from their nearest train row than that from its nearest other train row; beside
    it stands that of real rows that no generator saw).

    Parameters
    ----------
    margin : float
        Largest harm that still counts as good as real, in the unit of the value.
    max_rows : int
        Rows of each side that are looked at, 3 or more.
    max_train_rows : int
        Rows of train that authenticity is measured against, 3 or more.
    replicates : int
        Bootstrap replicates; both sides are drawn, the distances stay.

    References
    ----------
    Alaa, van Breugel, Saveliev, van der Schaar (2022), How Faithful is your Synthetic Data?
    Sample-level Metrics for Evaluating and Auditing Generative Models, ICML. Without the one-class
    embedding, as tables of results mostly do.
    """

    family: ClassVar[MetricFamily] = "coverage"
    title: ClassVar[str] = "share of real rows that synthetic ones reach, core and fringe"
    interpretation: ClassVar[str] = (
        "Beta-recall: how much of the real rows, core and fringe, synthetic rows reach. Real rows get "
        "about 0.5 themselves, not 1. Alpha-precision and authenticity are reported with it."
    )
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS | {"image", "text", "boxes", "spans"}
    is_thorough: ClassVar[bool] = True

    margin: Margin = 0.05
    max_rows: Annotated[int, Ge(_LEAST_ROWS)] = 5_000
    max_train_rows: Annotated[int, Ge(_LEAST_ROWS)] = 10_000
    replicates: Replicates = 100

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return beta-recall, 0 to 1; details hold alpha-precision and authenticity."""
        n = min(len(comparison.reference), len(comparison.synthetic), self.max_rows)
        if min(n, len(comparison.train)) < _LEAST_ROWS:
            raise NotMeasurable(f"it needs at least {_LEAST_ROWS} rows of each side")
        reference = comparison.reference.at_most(n, rng)
        synthetic = comparison.synthetic.at_most(n, rng)
        names = reference.schema.names
        encoder = shared_encoder(
            comparison.train, names, comparison.cache, comparison.text_embeddings
        )
        train = comparison.train.at_most(self.max_train_rows, rng)
        seen = encoder.transform(train)
        real, made = encoder.transform(reference), encoder.transform(synthetic)
        reach = _Reach.of(real, made)
        facts = {
            "alpha_precision": alpha_precision(real, made),
            "beta_recall": reach.recall(),
            "authenticity": authenticity(seen, made),
            "real_authenticity": authenticity(seen, real),
            "rows": n,
            "max_rows": self.max_rows,
            "train_rows": len(train),
        }
        drawn = np.array([reach.replicate(rng) for _ in range(self.replicates)])
        values = {
            "alpha-precision": facts["alpha_precision"],
            "authenticity": facts["authenticity"],
        }
        found = NamedValues(values), DecidingRows(n, "rows looked at")
        return Measurement(reach.recall(), drawn, found, facts=facts)


def alpha_precision(real: Matrix, made: Matrix) -> float:
    """Return how evenly synthetic rows fill the real rows' balls about their centre, 0 to 1.

    Parameters
    ----------
    real, made : numpy.ndarray, shapes (n, d) and (m, d)
        Features.

    Examples
    --------
    >>> real = np.linspace(-1, 1, 101)[:, None]
    >>> round(alpha_precision(real, real), 2), alpha_precision(real, real + 10)
    (0.99, 0.0)
    """
    centre = real.mean(axis=0, dtype=np.float64)
    radii = np.quantile(np.linalg.norm(real - centre, axis=1), _ALPHAS) * _RIM
    away = np.linalg.norm(made - centre, axis=1)
    return _evenness((away[:, None] <= radii).mean(axis=0))


def beta_recall(real: Matrix, made: Matrix) -> float:
    """Return how much of the real rows the synthetic ones reach, 0 to 1.

    Parameters
    ----------
    real, made : numpy.ndarray, shapes (n, d) and (m, d)
        Features, at least 2 real rows.

    Examples
    --------
    >>> real = np.array([[0.0], [1.0], [10.0], [11.0]])
    >>> beta_recall(real, real + 500.0)
    0.0
    """
    return _Reach.of(real, made).recall()


def authenticity(train: Matrix, made: Matrix) -> float:
    """Return the share of synthetic rows that are no near copy of a train row, in [0, 1].

    A row is a near copy if it lies nearer to its nearest train row than, or as near as, any other
    train row does.

    Parameters
    ----------
    train, made : numpy.ndarray, shapes (n, d) and (m, d)
        Features, at least 2 train rows.

    Examples
    --------
    >>> authenticity(np.array([[0.0], [1.0], [9.0]]), np.array([[0.1], [3.0], [9.5], [30.0]]))
    0.5
    """
    distance, index = nearest(made, train, 1)
    used, place = np.unique(index[:, 0], return_inverse=True)
    to_other = nearest(train[used], train, 2)[0][:, 1]
    return float((distance[:, 0] > to_other[place.ravel()] * _RIM).mean())


@dataclass(frozen=True)
class _Reach:
    """Which synthetic rows reach which real row, and how far from the synthetic centre they lie."""

    reached: npt.NDArray[np.bool_]
    neighbours: npt.NDArray[np.int64]
    away: Floats
    n_made: int

    @classmethod
    def of(cls, real: Matrix, made: Matrix) -> _Reach:
        distances, neighbours = nearest(real, made, min(_NEAREST_KEPT, len(made)))
        to_other = nearest(real, real, 2)[0][:, 1]
        centre = made.mean(axis=0, dtype=np.float64)
        away = np.linalg.norm(made - centre, axis=1).astype(np.float64)
        return cls(distances <= to_other[:, None] * _RIM, neighbours, away, len(made))

    def recall(self) -> float:
        """Return beta-recall of the rows as they are."""
        return self._recall(self.reached[:, 0], self.neighbours[:, 0])

    def replicate(self, rng: np.random.Generator) -> float:
        """Return beta-recall of rows drawn with replacement from both sides."""
        n = len(self.reached)
        rows = rng.integers(0, n, n)
        held = np.bincount(rng.integers(0, self.n_made, self.n_made), minlength=self.n_made) > 0
        drawn = held[self.neighbours[rows]]
        first = drawn.argmax(axis=1)
        # Where none of the 16 nearest was drawn (once in 10 million), the farthest one stands in.
        reached = self.reached[rows, first] & drawn[np.arange(n), first]
        return self._recall(reached, self.neighbours[rows, first])

    def _recall(self, reached: npt.NDArray[np.bool_], nearest_made: npt.NDArray[np.int64]) -> float:
        away = self.away[nearest_made]
        within = away[:, None] <= np.quantile(away, _ALPHAS) * _RIM
        return _evenness((reached[:, None] & within).mean(axis=0))


def _evenness(curve: Floats) -> float:
    """Return 1 less the deviation of a curve from the diagonal, as a part of the largest possible."""
    return float(np.clip(1 - np.abs(_ALPHAS - curve).sum() / _ALPHAS.sum(), 0.0, 1.0))

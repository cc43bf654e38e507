"""Which share of the real rows has a synthetic row near it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Comparison, Measurement, Metric, MetricFamily, NotMeasurable
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.errors import ParameterError
from twinset.core.features.encoder import Matrix, shared_encoder
from twinset.core.findings import DecidingRows, NamedValues
from twinset.core.parameters import Ge, Margin, Replicates
from twinset.core.stats.neighbors import nearest, squared_distances

Floats = npt.NDArray[np.float64]

_NEAREST_KEPT = 32
"""Synthetic rows kept in a ball for the replicates: that one of 32 is not drawn is never chance."""


@dataclass(frozen=True, kw_only=True)
class DensityCoverage(Metric):
    """Measures which share of the real rows has a synthetic row in its neighbourhood.

    The neighbourhood of a row is the ball that reaches to its k-th nearest row of the same set. The
    value is the coverage, 0 to 1; details add precision (share of synthetic rows inside a real
    ball), recall (share of real rows inside a synthetic ball) and density. Rows on the rim count as
    inside, so that tables of categories, where many distances are equal, are measured too.

    Parameters
    ----------
    margin : float
        Largest harm that still counts as good as real, in the unit of the value.
    k : int
        Which neighbour the ball reaches to, 1 or more.
    max_rows : int
        Rows of each side that are looked at.
    replicates : int
        Bootstrap replicates; both sides are drawn, the balls stay.

    References
    ----------
    Naeem, Oh, Uh, Choi, Yoo (2020), Reliable Fidelity and Diversity Metrics for Generative Models,
    ICML.
    """

    family: ClassVar[MetricFamily] = "coverage"
    title: ClassVar[str] = "share of real rows with a synthetic neighbour"
    interpretation: ClassVar[str] = (
        "The share of real rows that have a synthetic row close by. Low means that whole kinds of real "
        "rows have no counterpart."
    )
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS | {"image", "text", "boxes", "spans"}

    margin: Margin = 0.05
    k: Annotated[int, Ge(1)] = 5
    max_rows: Annotated[int, Ge(2)] = 5_000
    replicates: Replicates = 200

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_rows <= self.k:
            raise ParameterError(
                "'max_rows' is out of its range",
                got=str(self.max_rows),
                allowed=f"above k = {self.k}",
            )

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the coverage, 0 to 1; details hold precision, recall and density."""
        n = min(len(comparison.reference), len(comparison.synthetic), self.max_rows)
        if n <= self.k:
            raise NotMeasurable(f"it needs more than {self.k} rows of each side")
        reference = comparison.reference.at_most(n, rng)
        synthetic = comparison.synthetic.at_most(n, rng)
        names = reference.schema.names
        encoder = shared_encoder(
            comparison.train, names, comparison.cache, comparison.text_embeddings
        )
        real, made = encoder.transform(reference), encoder.transform(synthetic)
        # Candidate, baseline and floor meet the same real rows: their balls are measured once.
        key = f"radii of {self.k} among {len(real)} rows of {names}"
        cached = comparison.cache.get(key)
        if cached is None or not np.array_equal(cached[0], real):
            cached = comparison.cache[key] = (real, radii(real, self.k))
        if comparison.value_only:
            nearest_made, _ = nearest(real, made, 1)
            inside = nearest_made[:, 0].astype(np.float64) ** 2 <= cached[1]
            return Measurement(float(inside.mean()))
        found = density_coverage(real, made, self.k, real_radii=cached[1])
        drawn = _replicates(real, made, cached[1], self.replicates, rng)
        facts = {**found, "k": self.k, "rows": n, "max_rows": self.max_rows}
        values = NamedValues({name: found[name] for name in ("precision", "recall", "density")})
        findings = values, DecidingRows(n, "rows looked at")
        return Measurement(found["coverage"], drawn, findings, facts=facts)


def density_coverage(
    real: Matrix, synthetic: Matrix, k: int, *, real_radii: Floats | None = None
) -> dict[str, float]:
    """Return precision, recall, density and coverage of two feature matrices.

    Parameters
    ----------
    real, synthetic : numpy.ndarray, shapes (n, d) and (m, d)
        Features, with more than `k` rows each.
    k : int
        Which neighbour a ball reaches to.
    real_radii : numpy.ndarray, shape (n,), optional
        What `radii` says of the real rows, where it is known.

    Examples
    --------
    >>> real = np.array([[0.0], [1.0], [10.0], [11.0]])
    >>> density_coverage(real, np.array([[0.5], [0.6], [0.7]]), k=1)
    {'precision': 1.0, 'recall': 0.0, 'density': 2.0, 'coverage': 0.5}
    """
    real_radii = radii(real, k) if real_radii is None else real_radii
    synthetic_radii = radii(synthetic, k)
    recalled, nearest_made = [], []
    counts = np.zeros(len(synthetic), dtype=np.int64)
    for rows, squared in squared_distances(real, synthetic):
        recalled.append((squared <= synthetic_radii).any(axis=1))
        nearest_made.append(squared.min(axis=1))
        counts += (squared <= real_radii[rows, None]).sum(axis=0)
    return {
        "precision": float((counts > 0).mean()),
        "recall": float(np.concatenate(recalled).mean()),
        "density": float(counts.mean() / k),
        "coverage": float((np.concatenate(nearest_made) <= real_radii).mean()),
    }


def radii(rows: Matrix, k: int) -> Floats:
    """Return the squared distance from each row to its k-th nearest other row, shape (n,).

    A millionth is added, so that rows exactly on the rim are inside whatever the rounding.
    """
    # The row itself is its own nearest, at distance 0.
    distances, _ = nearest(rows, rows, k + 1)
    return np.asarray(distances[:, k].astype(np.float64) ** 2 * (1 + 1e-6))


def _replicates(
    real: Matrix, made: Matrix, real_radii: Floats, b: int, rng: np.random.Generator
) -> Floats:
    """Return bootstrap replicates of the coverage, shape (b,)."""
    distances, neighbours = nearest(real, made, min(_NEAREST_KEPT, len(made)))
    inside = distances.astype(np.float64) ** 2 <= real_radii[:, None] * (1 + 1e-6)
    out = np.empty(b)
    for i in range(b):
        draws_real = np.bincount(rng.integers(0, len(real), len(real)), minlength=len(real))
        draws_made = np.bincount(rng.integers(0, len(made), len(made)), minlength=len(made))
        covered = ((draws_made[neighbours] > 0) & inside).any(axis=1)
        out[i] = draws_real @ covered / len(real)
    return out

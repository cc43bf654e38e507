"""Share of the real rows with a synthetic row in their neighborhood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from twinset.core.contracts import Comparison, Measurement
from twinset.core.errors import ParameterError
from twinset.core.features.encoder import Matrix
from twinset.core.findings import DecidingRows, NamedValues
from twinset.core.parameters import Ge, Margin
from twinset.core.stats.neighbors import nearest, squared_distances

from .._bootstrap_metric import Floats, SampledMetric
from .._samples import common_size, draw_samples, row_encoder

# Synthetic rows kept in a ball for the replicates: that none of 32 is drawn has a chance of e^-32.
_N_NEIGHBORS = 32
_RIM = 1 + 1e-6  # factor of squared radii: rows exactly on the rim are inside whatever the rounding


@dataclass(frozen=True, kw_only=True)
class DensityCoverage(SampledMetric):
    """Coverage: share of the real rows with a synthetic row in their neighborhood.

    The neighborhood of a row is the ball that reaches to its k-th nearest row of the same set. value =
    (real rows with a synthetic row in their ball) / (real rows), in [0, 1]. Facts add precision (share
    of synthetic rows in a real ball), recall (share of real rows in a synthetic ball) and density (mean
    number of real balls around a synthetic row, by k). Rows on the rim are inside, so that tables of
    categories, where many distances are equal, are measured too.

    Parameters
    ----------
    k : int
        Neighbor that the ball reaches to, 1 or more.

    References
    ----------
    Naeem, Oh, Uh, Choi, Yoo (2020), Reliable Fidelity and Diversity Metrics for Generative Models,
    ICML.
    """

    family = "coverage"
    title = "share of real rows with a synthetic neighbour"
    interpretation = (
        "The share of real rows that have a synthetic row close by. Low means that whole kinds of real "
        "rows have no counterpart."
    )
    higher_is_better = True

    margin: Margin = 0.05
    k: Annotated[int, Ge(1)] = 5
    max_rows: Annotated[int, Ge(2)] = 5_000

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_rows <= self.k:
            raise ParameterError(
                "'max_rows' is out of its range",
                got=str(self.max_rows),
                allowed=f"above k = {self.k}",
            )

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the coverage, 0 to 1; facts hold precision, recall and density."""
        n = common_size(comparison, self.max_rows, self.k + 1)
        sets = draw_samples(comparison, n, rng)
        names = sets[0].schema.names
        real, synthetic = map(row_encoder(comparison).transform, sets)
        # Candidate, baseline and floor have the same real rows: their balls are measured once.
        key = f"radii of {self.k} among {len(real)} rows of {names}"
        cached = comparison.cache.get(key)
        if cached is None or not np.array_equal(cached[0], real):
            cached = comparison.cache[key] = (real, radii(real, self.k))
        if comparison.value_only:
            distances, _ = nearest(real, synthetic, 1)
            inside = distances[:, 0].astype(np.float64) ** 2 <= cached[1]
            return Measurement(float(inside.mean()))
        found = density_coverage(real, synthetic, self.k, real_radii=cached[1])
        drawn = _replicates(real, synthetic, cached[1], self.replicates, rng)
        values = NamedValues({name: found[name] for name in ("precision", "recall", "density")})
        findings = values, DecidingRows(n, "rows looked at")
        facts = {**found, "k": self.k, "rows": n, "max_rows": self.max_rows}
        return Measurement(found["coverage"], drawn, findings, facts=facts)


def density_coverage(
    real: Matrix, synthetic: Matrix, k: int, *, real_radii: Floats | None = None
) -> dict[str, float]:
    """Return precision, recall, density and coverage of two feature matrices.

    Examples
    --------
    >>> real = np.array([[0.0], [1.0], [10.0], [11.0]])
    >>> density_coverage(real, np.array([[0.5], [0.6], [0.7]]), k=1)
    {'precision': 1.0, 'recall': 0.0, 'density': 2.0, 'coverage': 0.5}
    """
    real_radii = radii(real, k) if real_radii is None else real_radii
    synthetic_radii = radii(synthetic, k)
    recalled, distances = [], []
    counts = np.zeros(len(synthetic), dtype=np.int64)
    for rows, squared in squared_distances(real, synthetic):
        recalled.append((squared <= synthetic_radii).any(axis=1))
        distances.append(squared.min(axis=1))
        counts += (squared <= real_radii[rows, None]).sum(axis=0)
    return {
        "precision": float((counts > 0).mean()),
        "recall": float(np.concatenate(recalled).mean()),
        "density": float(counts.mean() / k),
        "coverage": float((np.concatenate(distances) <= real_radii).mean()),
    }


def radii(rows: Matrix, k: int) -> Floats:
    """Return the squared distance from each row to its k-th nearest other row, shape (n,)."""
    # The row itself is its own nearest, at distance 0.
    distances, _ = nearest(rows, rows, k + 1)
    return np.asarray(distances[:, k].astype(np.float64) ** 2 * _RIM)


def _replicates(
    real: Matrix, synthetic: Matrix, real_radii: Floats, b: int, rng: np.random.Generator
) -> Floats:
    """Return bootstrap replicates of the coverage, shape (b,)."""
    n, m = len(real), len(synthetic)
    distances, neighbors = nearest(real, synthetic, min(_N_NEIGHBORS, m))
    inside = distances.astype(np.float64) ** 2 <= real_radii[:, None] * _RIM
    out = np.empty(b)
    for i in range(b):
        weight = np.bincount(rng.integers(0, n, n), minlength=n)
        is_drawn = np.bincount(rng.integers(0, m, m), minlength=m) > 0
        out[i] = weight @ (is_drawn[neighbors] & inside).any(axis=1) / n
    return out

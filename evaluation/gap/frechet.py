"""How far two clouds of rows lie apart if each is taken for a Gaussian: the Frechet distance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import (
    Comparison,
    ComponentResults,
    Measurement,
    Metric,
    MetricFamily,
    NotMeasurable,
)
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.features.encoder import Matrix
from twinset.core.findings import DecidingRows, FarthestEmbedding, Finding
from twinset.core.parameters import Ge, Margin, Replicates
from twinset.core.stats.bootstrap import Groups

from ._views import EmbeddingView, list_embedding_views

Floats = npt.NDArray[np.float64]

_FEWEST = 4
_ROWS_OF_DIRECTION = 2
_FEWEST_TOLD = 11
_PARTINGS = (1, 2, 4)


@dataclass(frozen=True, kw_only=True)
class Frechet(Metric):
    """Measures the Frechet distance of synthetic and real rows, images or texts, in each embedding.

    Both sides are taken for Gaussians on the main directions of the real train rows. The distance is
    |difference of the means|^2 + trace(A + B - 2 (A B)^(1/2)) for covariances A and B, divided by the
    total variance of the train rows: 0.01 is a shift by a tenth of the real spread. The value is the
    mean over the embeddings: of an image set each embedder is one, and all columns together are one
    more; one that is different makes the whole different. A sample of few rows lies apart from its
    own law, so the real rows' value of equal size stands beside it, and details tell what a line
    over 1 / rows says of endlessly many.

    Parameters
    ----------
    margin : float
        Largest harm that still counts as good as real, as a share of the train rows' variance.
    view_margin : float
        The same for a single embedding.
    n_directions : int
        Most directions, 1 or more; twice as many rows are needed on each side.
    max_rows : int
        Rows of each side that are looked at, 4 or more.
    replicates : int
        Bootstrap replicates.

    References
    ----------
    Heusel, Ramsauer, Unterthiner, Nessler, Hochreiter (2017), GANs Trained by a Two Time-Scale Update
    Rule Converge to a Local Nash Equilibrium, NeurIPS; Chong, Forsyth (2020), Effectively Unbiased FID
    and Inception Score and Where to Find Them, CVPR.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.data.dataset import Dataset
    >>> rng = np.random.default_rng(0)
    >>> real, made = (Dataset.from_arrow(pa.table({"x": rng.normal(m, 1, 400)})) for m in (0, 2))
    >>> found = Frechet().compute(Comparison(real, made, real), rng)
    >>> bool(3.5 < found.value < 4.5)
    True
    """

    family: ClassVar[MetricFamily] = "gap"
    title: ClassVar[str] = "means and covariances of whole rows"
    interpretation: ClassVar[str] = (
        "How far the two distributions of rows lie apart by their means and covariances (Frechet "
        "distance, as in FID), in parts of the real rows' variance: 0 is the same. It grows as samples "
        "shrink, so compare it with the value of real rows."
    )
    sees_everything: ClassVar[bool] = True
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, float("inf"))
    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS | {"image", "text", "boxes", "spans"}

    margin: Margin = 0.01
    view_margin: Margin = 0.01
    n_directions: Annotated[int, Ge(1)] = 32
    max_rows: Annotated[int, Ge(_FEWEST)] = 10_000
    replicates: Replicates = 200

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the mean distance over the embeddings; details hold each one's."""
        n = min(len(comparison.reference), len(comparison.synthetic), self.max_rows)
        if min(n, len(comparison.train)) < _FEWEST:
            raise NotMeasurable(f"it needs at least {_FEWEST} rows of each side")
        views = list_embedding_views(comparison, self.n_directions)
        widest = max((view.size for view in views), default=0)
        if not widest:
            raise NotMeasurable("all real rows are the same")
        if n < _ROWS_OF_DIRECTION * widest:
            there = str(n) if n >= _FEWEST_TOLD else f"fewer than {_FEWEST_TOLD}"
            raise NotMeasurable(
                f"it needs at least {_ROWS_OF_DIRECTION * widest} rows of each side for "
                f"{widest} directions, there are {there}"
            )
        reference = comparison.reference.at_most(n, rng)
        synthetic = comparison.synthetic.at_most(n, rng)
        groups = Groups.assign(n, self.replicates, rng), Groups.assign(n, self.replicates, rng)
        order = rng.permutation(n)
        rows = {view.name: (view.of(reference), view.of(synthetic)) for view in views}
        values = np.array([frechet_distance(*pair) for pair in rows.values()])
        if comparison.value_only:
            return Measurement(float(values.mean()))
        drawn = np.column_stack([_replicates(*pair, groups) for pair in rows.values()])
        endless = {name: at_infinity(*pair, order) for name, pair in rows.items()}
        findings: list[Finding] = [DecidingRows(n, "rows looked at")]
        if len(views) > 1:
            findings.append(FarthestEmbedding(views[int(values.argmax())].name))
        parts = ComponentResults("embedding", tuple(rows), values, drawn, self.view_margin)
        return Measurement(
            float(values.mean()),
            drawn.mean(axis=1),
            tuple(findings),
            parts if len(views) > 1 else None,
            _facts(views, values, endless, n),
        )


def frechet_distance(x: Matrix, y: Matrix) -> float:
    """Return the Frechet distance of two samples that are taken for Gaussians, 0 or more.

    Parameters
    ----------
    x, y : numpy.ndarray, shapes (n, d) and (m, d)
        Features, at least 2 rows each.

    Examples
    --------
    >>> x = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]])
    >>> frechet_distance(x, x + 3.0), round(frechet_distance(x, 2 * x), 6)
    (18.0, 4.666667)
    """
    means, covariances = zip(*(_moments(side.astype(np.float64)) for side in (x, y)))
    return float(between(np.array(means)[:, None], np.array(covariances)[:, None])[0])


def between(means: Floats, covariances: Floats) -> Floats:
    """Return the Frechet distances of pairs of Gaussians, shape (b,).

    Parameters
    ----------
    means : numpy.ndarray, shape (2, b, d)
        Means of the first ones, and of the second ones.
    covariances : numpy.ndarray, shape (2, b, d, d)
        Their covariances.

    Examples
    --------
    >>> means = np.array([[[0.0]], [[3.0]]])
    >>> between(means, np.array([[[[4.0]]], [[[1.0]]]])).tolist()  # 3^2 + (2 - 1)^2
    [10.0]
    """
    lengths, axes = np.linalg.eigh(covariances[0])
    root = (axes * np.sqrt(np.maximum(lengths, 0.0))[:, None]) @ axes.transpose(0, 2, 1)
    # The roots of A^(1/2) B A^(1/2) are those of A B, and it is symmetric.
    shared = np.linalg.eigvalsh(root @ covariances[1] @ root)
    spread = np.trace(covariances.sum(axis=0), axis1=1, axis2=2)
    found = ((means[0] - means[1]) ** 2).sum(axis=1) + spread
    roots = np.sqrt(np.maximum(shared, 0.0)).sum(axis=1)
    return np.asarray(np.maximum(found - 2 * roots, 0.0))


def at_infinity(x: Matrix, y: Matrix, order: npt.NDArray[np.int64]) -> float:
    """Return the distance that a line over 1 / rows tells of endlessly many rows; 0 or more.

    The distances of the whole samples, of their halves and of their quarters are set over 1 / rows.
    With too few rows for quarters the distance of the samples as they are is returned.

    Parameters
    ----------
    x, y : numpy.ndarray, shape (n, d)
        Features of equally many rows.
    order : numpy.ndarray of int, shape (n,)
        The order in which rows are parted.
    """
    n, d = x.shape
    if n // _PARTINGS[-1] < _ROWS_OF_DIRECTION * d:
        return frechet_distance(x, y)
    shares, found = [], []
    for parts in _PARTINGS:
        each = np.array_split(order, parts)
        distances = [frechet_distance(x[rows], y[rows]) for rows in each]
        shares.append(parts / n)
        found.append(float(np.mean(distances)))
    line = np.polyfit(shares, found, 1, w=1 / np.sqrt(shares))
    return max(float(line[1]), 0.0)


def _moments(rows: Floats) -> tuple[Floats, Floats]:
    centred = rows - rows.mean(axis=0)
    return rows.mean(axis=0), centred.T @ centred / max(len(rows) - 1, 1)


def _replicates(real: Matrix, made: Matrix, groups: tuple[Groups, Groups]) -> Floats:
    """Return bootstrap replicates of the distance, shape (b,)."""
    means, covariances = [], []
    for rows, deal in zip((real, made), groups):
        rows = rows.astype(np.float64)
        held = [rows[deal.group == group] for group in range(deal.size)]
        sums = np.array([part.sum(axis=0) for part in held])
        products = np.array([part.T @ part for part in held])
        sizes = (deal.draws @ [len(part) for part in held])[:, None]
        mean = deal.draws @ sums / sizes
        product = np.tensordot(deal.draws, products, 1) / sizes[..., None]
        means.append(mean)
        covariances.append(product - mean[:, :, None] * mean[:, None])
    return between(np.array(means), np.array(covariances))


def _facts(
    views: list[EmbeddingView], values: Floats, endless: Mapping[str, float], n: int
) -> dict[str, Any]:
    told = {
        view.name: {
            "distance": float(values[i]),
            "at_infinity": endless[view.name],
            "directions": view.size,
            "directions_hold": view.held,
        }
        for i, view in enumerate(views)
    }
    return {"embeddings": told, "rows": n}

"""Frechet distance of Gaussians fitted to synthetic and real rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import numpy as np

from twinset.core.contracts import Comparison, ComponentResults, Measurement, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.features.embedders import TextEmbedding, read_embeddings
from twinset.core.features.encoder import CONTENT_FIT_ROWS, Matrix, Reduction
from twinset.core.findings import DecidingRows, FarthestEmbedding, Finding
from twinset.core.parameters import Ge, Margin
from twinset.core.stats.bootstrap import Groups

from .._bootstrap_metric import Floats, Ints, SampledMetric
from .._samples import MIN_SHOWN, cached, common_size, draw_samples, require_rows, row_encoder

_MIN_ROWS = 4  # a covariance needs two rows, and a fit to quarters of the rows is tried
_ROWS_PER_DIRECTION = 2  # with fewer rows a covariance has no full rank
_SPLITS = (1, 2, 4)  # whole samples, halves and quarters: points of a line over 1 / rows


@dataclass(frozen=True, kw_only=True)
class Frechet(SampledMetric):
    """Frechet distance of synthetic and real rows, images or texts, averaged over embeddings.

    d = |m_s - m_r|^2 + trace(C_s + C_r - 2 (C_s C_r)^(1/2)) for means m and covariances C of the
    synthetic and real rows on the main directions of the train rows, divided by the total variance of
    the train rows: 0.01 is a shift by a tenth of the real spread. value = mean of d over the embeddings
    (as in FID, each with its own embedder of images or texts, and one of all columns); one that is
    different makes the whole different. Range [0, inf).

    A small sample lies apart from its own distribution, so that the value of as many real rows must be
    compared. Facts extrapolate each distance to infinitely many rows, by a line over 1 / rows.

    Parameters
    ----------
    view_margin : float
        Equivalence margin of a single embedding.
    n_directions : int
        Largest number of directions, 1 or more; each set needs twice as many rows.

    References
    ----------
    Heusel, Ramsauer, Unterthiner, Nessler, Hochreiter (2017), GANs Trained by a Two Time-Scale Update
    Rule Converge to a Local Nash Equilibrium, NeurIPS; Chong, Forsyth (2020), Effectively Unbiased FID
    and Inception Score and Where to Find Them, CVPR.

    Examples
    --------
    >>> import pyarrow as pa
    >>> rng = np.random.default_rng(0)
    >>> real, far = (Dataset.from_arrow(pa.table({"x": rng.normal(m, 1, 400)})) for m in (0, 2))
    >>> found = Frechet().compute(Comparison(real, far, real), rng)
    >>> bool(3.5 < found.value < 4.5)
    True
    """

    family = "gap"
    title = "means and covariances of whole rows"
    interpretation = (
        "How far the two distributions of rows lie apart by their means and covariances (Frechet "
        "distance, as in FID), in parts of the real rows' variance: 0 is the same. It grows as samples "
        "shrink, so compare it with the value of real rows."
    )
    sees_everything = True
    bounds = (0.0, float("inf"))

    margin: Margin = 0.01
    view_margin: Margin = 0.01
    n_directions: Annotated[int, Ge(1)] = 32
    max_rows: Annotated[int, Ge(_MIN_ROWS)] = 10_000

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the mean distance over the embeddings; facts hold each one's."""
        n = common_size(comparison, self.max_rows, _MIN_ROWS)
        require_rows([comparison.train], _MIN_ROWS)
        key = f"views of {comparison.reference.schema.names} on {self.n_directions}"
        views = cached(comparison, key, lambda: _list_views(comparison, self.n_directions))
        widest = max((view.size for view in views), default=0)
        if not widest:
            raise NotMeasurable("all real rows are the same")
        if n < _ROWS_PER_DIRECTION * widest:
            there = str(n) if n >= MIN_SHOWN else f"fewer than {MIN_SHOWN}"
            raise NotMeasurable(
                f"it needs at least {_ROWS_PER_DIRECTION * widest} rows in each set for "
                f"{widest} directions, there are {there}"
            )
        reference, synthetic = draw_samples(comparison, n, rng)
        groups = Groups.assign(n, self.replicates, rng), Groups.assign(n, self.replicates, rng)
        order = rng.permutation(n)
        rows = [(view.transform(reference), view.transform(synthetic)) for view in views]
        values = np.array([frechet_distance(*pair) for pair in rows])
        if comparison.value_only:
            return Measurement(float(values.mean()))
        drawn = np.column_stack([_replicates(*pair, groups) for pair in rows])
        findings: tuple[Finding, ...] = (DecidingRows(n, "rows looked at"),)
        components = None
        names = tuple(view.name for view in views)
        if len(views) > 1:
            findings += (FarthestEmbedding(names[int(values.argmax())]),)
            components = ComponentResults("embedding", names, values, drawn, self.view_margin)
        embeddings = {
            view.name: {
                "distance": float(value),
                "at_infinity": at_infinity(*pair, order),
                "directions": view.size,
                "directions_hold": view.explained,
            }
            for view, value, pair in zip(views, values, rows)
        }
        facts = {"embeddings": embeddings, "rows": n}
        return Measurement(float(values.mean()), drawn.mean(axis=1), findings, components, facts)


@dataclass(frozen=True)
class _View:
    """An embedding on the main directions of the train rows, in which their total variance is 1."""

    name: str
    size: int  # number of directions
    explained: float  # share of the train rows' variance in them, 0 to 1
    transform: Callable[[Dataset], Matrix]


def _list_views(comparison: Comparison, n_directions: int) -> list[_View]:
    """Return the embeddings of a comparison; empty ones are left out."""
    schema = comparison.reference.schema
    images = [field.name for field in schema.of_kind("image")]
    embeddings = comparison.text_embeddings
    texts = [field.name for field in schema.of_kind("text")] if embeddings else []
    # The directions need no more rows than the encoders are fitted on.
    rows = np.linspace(0, len(comparison.train) - 1, min(len(comparison.train), CONTENT_FIT_ROWS))
    train = comparison.train.take(rows.astype(np.int64))
    found: list[tuple[str, Callable[[Dataset], Matrix]]] = []
    for column in images:
        for name in read_embeddings(train.records.column(column)):
            title = name if len(images) == 1 else f"{column}: {name}"
            found.append((title, partial(_embed_images, column, name)))
    for column in texts:
        for one in embeddings:
            title = one.name if len(texts) == 1 and not images else f"{column}: {one.name}"
            found.append((title, partial(_embed_texts, column, one)))
    # Where a set is nothing but images and texts with vectors, all columns together add nothing.
    if not found or len(images) + len(texts) < len(schema.names):
        found.append(("all columns", row_encoder(comparison).transform))
    views = [_fit_view(name, train, n_directions, features) for name, features in found]
    return [view for view in views if view.size]


def _embed_images(column: str, name: str, rows: Dataset) -> Matrix:
    return read_embeddings(rows.records.column(column))[name]


def _embed_texts(column: str, embedding: TextEmbedding, rows: Dataset) -> Matrix:
    return embedding.embed(rows.records.column(column))


def _fit_view(
    name: str, train: Dataset, n_directions: int, features: Callable[[Dataset], Matrix]
) -> _View:
    vectors = features(train)
    reduction = Reduction.fit(vectors, size=n_directions, variance=1.0)
    size = reduction.directions.shape[1]
    known = vectors[~np.isnan(vectors).any(axis=1)]
    total = float(known.var(axis=0).sum()) if len(known) else 0.0
    scale = np.sqrt((reduction.directions**2).sum(axis=0)) if size else np.ones(0)
    inside = float((reduction.apply(known).var(axis=0) / scale**2).sum()) if size else 0.0
    explained = round(inside / total if total > 0 else 0.0, 4)
    return _View(name, size, explained, lambda rows: reduction.apply(features(rows)))


def frechet_distance(x: Matrix, y: Matrix) -> float:
    """Return the Frechet distance of the Gaussians of two samples, 0 or more."""
    means, covariances = [], []
    for rows in (x.astype(np.float64), y.astype(np.float64)):
        centred = rows - rows.mean(axis=0)
        means.append(rows.mean(axis=0))
        covariances.append(centred.T @ centred / max(len(rows) - 1, 1))
    return float(gaussian_distances(np.array(means)[:, None], np.array(covariances)[:, None])[0])


def gaussian_distances(means: Floats, covariances: Floats) -> Floats:
    """Return the Frechet distances of b pairs of Gaussians, shape (b,)."""
    lengths, axes = np.linalg.eigh(covariances[0])
    root = (axes * np.sqrt(np.maximum(lengths, 0.0))[:, None]) @ axes.transpose(0, 2, 1)
    # The roots of A^(1/2) B A^(1/2) are those of A B, and it is symmetric.
    shared = np.linalg.eigvalsh(root @ covariances[1] @ root)
    spread = np.trace(covariances.sum(axis=0), axis1=1, axis2=2)
    found = ((means[0] - means[1]) ** 2).sum(axis=1) + spread
    roots = np.sqrt(np.maximum(shared, 0.0)).sum(axis=1)
    return np.asarray(np.maximum(found - 2 * roots, 0.0))


def at_infinity(x: Matrix, y: Matrix, order: Ints) -> float:
    """Return the distance extrapolated to infinitely many rows, 0 or more.

    A line over 1 / rows is fitted to the whole samples, their halves and quarters, if large enough.
    """
    n, d = x.shape
    if n // _SPLITS[-1] < _ROWS_PER_DIRECTION * d:
        return frechet_distance(x, y)
    shares, found = [], []
    for n_parts in _SPLITS:
        parts = np.array_split(order, n_parts)
        shares.append(n_parts / n)
        found.append(float(np.mean([frechet_distance(x[rows], y[rows]) for rows in parts])))
    line = np.polyfit(shares, found, 1, w=1 / np.sqrt(shares))
    return max(float(line[1]), 0.0)


def _replicates(real: Matrix, synthetic: Matrix, groups: tuple[Groups, Groups]) -> Floats:
    """Return bootstrap replicates of the distance, shape (b,)."""
    means, covariances = [], []
    for rows, own in zip((real.astype(np.float64), synthetic.astype(np.float64)), groups):
        parts = [rows[own.group == group] for group in range(own.size)]
        sizes = (own.draws @ [len(part) for part in parts])[:, None]
        mean = own.draws @ np.array([part.sum(axis=0) for part in parts]) / sizes
        product = np.tensordot(own.draws, np.array([part.T @ part for part in parts]), 1)
        means.append(mean)
        covariances.append(product / sizes[..., None] - mean[:, :, None] * mean[:, None])
    return gaussian_distances(np.array(means), np.array(covariances))

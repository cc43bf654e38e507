"""The embeddings in which rows are compared: one for each embedder, and one of all columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from twinset.core.contracts import Comparison
from twinset.core.data.dataset import Dataset
from twinset.core.features.embedders import TextEmbedding, read_embeddings
from twinset.core.features.encoder import CONTENT_FIT_ROWS, Matrix, Reduction, shared_encoder


@dataclass(frozen=True)
class EmbeddingView:
    """One embedding, on the main directions of the train rows, in which their total variance is 1.

    Parameters
    ----------
    name : str
        What it is called: an embedder, or "all columns".
    size : int
        Number of directions.
    held : float
        Share of the train rows' variance that lies in them, 0 to 1.
    of : callable
        Set -> features, shape (n, size).
    """

    name: str
    size: int
    held: float
    of: Callable[[Dataset], Matrix]


def list_embedding_views(comparison: Comparison, n_directions: int) -> list[EmbeddingView]:
    """Return the embeddings of a comparison, kept in its cache; empty ones are left out."""
    key = f"views of {comparison.reference.schema.names} on {n_directions}"
    if key not in comparison.cache:
        comparison.cache[key] = _views(comparison, n_directions)
    found: list[EmbeddingView] = comparison.cache[key]
    return found


def _views(comparison: Comparison, n_directions: int) -> list[EmbeddingView]:
    names = comparison.reference.schema.names
    images = [field.name for field in comparison.reference.schema.of_kind("image")]
    texts = [field.name for field in comparison.reference.schema.of_kind("text")]
    texts = texts if comparison.text_embeddings else []
    # The directions need no more rows than the encoders are fitted on.
    rows = np.linspace(0, len(comparison.train) - 1, min(len(comparison.train), CONTENT_FIT_ROWS))
    train = comparison.train.take(rows.astype(np.int64))
    views = []
    for column in images:
        for embedder in read_embeddings(train.records.column(column)):
            title = embedder if len(images) == 1 else f"{column}: {embedder}"
            views.append(_view(title, train, n_directions, _by_embedder(column, embedder)))
    for column in texts:
        for one in comparison.text_embeddings:
            title = one.name if len(texts) == 1 and not images else f"{column}: {one.name}"
            views.append(_view(title, train, n_directions, _by_text_embedder(column, one)))
    # Where a set is nothing but images and texts with vectors, all columns together say nothing new.
    if not views or len(images) + len(texts) < len(names):
        encoder = shared_encoder(
            comparison.train, names, comparison.cache, comparison.text_embeddings
        )
        views.append(_view("all columns", train, n_directions, encoder.transform))
    return [view for view in views if view.size]


def _by_embedder(column: str, embedder: str) -> Callable[[Dataset], Matrix]:
    return lambda dataset: read_embeddings(dataset.records.column(column))[embedder]


def _by_text_embedder(column: str, one: TextEmbedding) -> Callable[[Dataset], Matrix]:
    return lambda dataset: one.embed(dataset.records.column(column))


def _view(
    name: str, train: Dataset, n_directions: int, features: Callable[[Dataset], Matrix]
) -> EmbeddingView:
    vectors = features(train)
    reduction = Reduction.fit(vectors, size=n_directions, variance=1.0)
    size = reduction.directions.shape[1]
    known = vectors[~np.isnan(vectors).any(axis=1)]
    total = float(known.var(axis=0).sum()) if len(known) else 0.0
    scale = np.sqrt((reduction.directions**2).sum(axis=0)) if size else np.ones(0)
    inside = float((reduction.apply(known).var(axis=0) / scale**2).sum()) if size else 0.0
    held = inside / total if total > 0 else 0.0
    return EmbeddingView(
        name, size, round(held, 4), lambda dataset: reduction.apply(features(dataset))
    )

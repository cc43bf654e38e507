"""Sets of a run with the vectors of their images; those of real images are computed once."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Progress, silent
from twinset.core.data.dataset import Dataset
from twinset.core.errors import FitError
from twinset.core.features.embedders import (
    Classical,
    Embedder,
    Embedding,
    SmallNet,
    TextEmbedding,
    read_embeddings,
    with_vectors,
)
from twinset.core.features.image_statistics import box_labels, with_properties
from twinset.measurement.cache import ResultCache

_MIN_IMAGES_FOR_NET = 100  # train images: a net of fewer learns them by heart


@dataclass(frozen=True)
class EmbeddedSets:
    """Sets of a run with the vectors of their images, and the embedders that were used.

    Parameters
    ----------
    train, synthetic, holdout : Dataset or None
        Train set, candidate and holdout.
    facts : mapping
        Column of images or texts -> embedder -> its facts, e.g. the SHA-256 of its weights.
    excluded : tuple of str
        One sentence on each embedder that could not be used.
    texts : tuple of TextEmbedding
        Embedders of texts; empty for hashed words.
    """

    train: Dataset | None
    synthetic: Dataset
    holdout: Dataset | None
    facts: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    excluded: tuple[str, ...] = ()
    texts: tuple[TextEmbedding, ...] = ()


def default_embedders() -> tuple[Embedder, ...]:
    """Return the classical features and, where torch is installed, the small net."""
    has_torch = importlib.util.find_spec("torch") is not None
    return (Classical(), SmallNet()) if has_torch else (Classical(),)


def embed_sets(
    train: Dataset | None,
    synthetic: Dataset,
    holdout: Dataset | None,
    embedders: Sequence[Embedder] | None = None,
    *,
    target: str | None = None,
    seed: int = 0,
    progress: Progress = silent,
    cache: ResultCache | None = None,
) -> EmbeddedSets:
    """Return the sets with vectors beside the images of every column that all of them have.

    Embedders that learn are fitted on `train` alone. By default these are the classical features and, from
    100 training images and with a holdout, a small net: without a holdout, the compared real rows are those
    that it would have learnt from. Embedders of texts learn nothing; metrics call them. Where embedders of
    one kind are named, the other kind keeps its default.

    Parameters
    ----------
    train, synthetic, holdout : Dataset or None
        The sets; those without images, or whose images all have vectors, are returned as they are.
    embedders : sequence of Embedder, optional
        Embedders to use.
    target : str, optional
        A column of labels, which embedders may learn from.
    seed : int
        Seed of the run.
    progress : Progress
        Called with ``("embed", done, total)``.
    cache : ResultCache, optional
        Keeps results on train and holdout for the next candidate.
    """
    texts, of_images = split_embedders(embedders)
    if train is None:
        return EmbeddedSets(train, synthetic, holdout, texts=texts)
    sets = [part for part in (train, synthetic, holdout) if part is not None]
    facts: dict[str, dict[str, Any]] = {
        text.name: {one.name: dict(one.facts) for one in texts}
        for text in train.schema.of_kind("text")
        if texts
    }
    columns = [
        image.name
        for image in train.schema.of_kind("image")
        if all(image.name in {f.name for f in part.schema.of_kind("image")} for part in sets)
        and not all(read_embeddings(part.records.column(image.name)) for part in sets)
    ]
    if not columns:
        return EmbeddedSets(train, synthetic, holdout, facts, texts=texts)
    cache = ResultCache() if cache is None else cache
    fitted, excluded = cache.get(
        ("embedders", tuple(columns)),
        lambda: _fit_embedders(columns, train, of_images, holdout is not None, target, seed),
    )
    facts |= {name: {one.name: dict(one.facts) for one in own} for name, own in fitted.items()}
    labels = box_labels(train)

    def embed(part: Dataset) -> Dataset:
        found = with_vectors(part, {name: own for name, own in fitted.items() if own})
        return with_properties(found, labels)

    done = []
    for position, part in enumerate(sets):
        progress("embed", position, len(sets))
        key = ("embedded", "train" if part is train else "holdout", tuple(columns))
        done.append(embed(part) if part is synthetic else cache.get(key, partial(embed, part)))
    progress("embed", len(sets), len(sets))
    held = done[2] if holdout is not None else None
    return EmbeddedSets(done[0], done[1], held, facts, tuple(excluded), texts)


def split_embedders(
    chosen: Sequence[Embedder] | None,
) -> tuple[tuple[TextEmbedding, ...], tuple[Embedder, ...] | None]:
    """Return the embedders of texts, and those of images; None where none of images is named.

    Examples
    --------
    >>> split_embedders([Classical()])[1] == (Classical(),), split_embedders(None)
    (True, ((), None))
    """
    texts = tuple(one for one in chosen or () if isinstance(one, TextEmbedding))
    images = tuple(one for one in chosen or () if one.kind == "image")
    return texts, images or None


def _fit_embedders(
    columns: Sequence[str],
    train: Dataset,
    chosen: Sequence[Embedder] | None,
    has_holdout: bool,
    target: str | None,
    seed: int,
) -> tuple[dict[str, list[Embedding]], list[str]]:
    """Return the fitted embedders of each column of images, and a sentence on each excluded one."""
    if chosen is None:
        may_learn = has_holdout and len(train) >= _MIN_IMAGES_FOR_NET
        chosen = [one for one in default_embedders() if may_learn or not one.learns]
    fitted: dict[str, list[Embedding]] = {name: [] for name in columns}
    excluded = []
    for name, found in fitted.items():
        for one in chosen:
            try:
                found.append(one.fit(train.records.column(name), _labels(train, target), seed))
            except FitError as error:
                excluded.append(f"The embedder '{one.name}' is left out of '{name}': {error}")
    return fitted, excluded


def _labels(train: Dataset, target: str | None) -> npt.NDArray[np.int64] | None:
    if target is None or target not in train.schema.names:
        return None
    if not train.schema[target].has_levels:
        return None
    return train.codes(target)[0].astype(np.int64)

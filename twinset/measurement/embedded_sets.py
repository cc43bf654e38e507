"""The sets of a run with the vectors of their images; what rests on real images is found once."""

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
from twinset.measurement.notes import LEFT_OUT

_FEWEST_FOR_NET = 100


@dataclass(frozen=True)
class EmbeddedSets:
    """The sets of a run with the vectors of their images, and what to tell of the embedders.

    Parameters
    ----------
    train : Dataset or None
        The real rows that the generator saw.
    synthetic : Dataset
        The candidate.
    holdout : Dataset or None
        Real rows that it did not see.
    facts : mapping
        Column of images or texts -> embedder -> its facts, e.g. the SHA-256 of its weights.
    left_out : tuple of str
        One sentence on each embedder that could not be used, and why.
    texts : tuple of TextEmbedding
        What texts are looked at with; empty for hashed words.
    """

    train: Dataset | None
    synthetic: Dataset
    holdout: Dataset | None
    facts: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    texts: tuple[TextEmbedding, ...] = ()

    def facts_of(self, names: Sequence[str]) -> dict[str, Any]:
        """Return the facts of the embedders of these columns, and the sentences on unused embedders."""
        found: dict[str, Any] = {name: self.facts[name] for name in names if name in self.facts}
        return found | ({LEFT_OUT: list(self.left_out)} if found and self.left_out else {})


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
    remembered: ResultCache | None = None,
) -> EmbeddedSets:
    """Return the sets with vectors beside the images of every column that all of them hold.

    Embedders that learn are fitted on `train` alone. By default these are the classical features and,
    from 100 training images and with a holdout, a small net: without a holdout the real rows that are
    compared are the very ones that it would have learnt from. Embedders of texts learn nothing: metrics
    ask them when they need them. Where only those of one kind are named, the other keeps its default.

    Parameters
    ----------
    train, synthetic, holdout : Dataset or None
        The sets; those without images, or whose images all carry vectors, come back as they are.
    embedders : sequence of Embedder, optional
        What to look at images and texts with.
    target : str, optional
        A column of labels, which embedders may learn from.
    seed : int
        Seed of the run.
    progress : Progress
        Told ``("embed", done, total)``.
    remembered : Remembered, optional
        Where what rests on train and holdout is kept for the next candidate.
    """
    texts, of_images = split_embedders(embedders)
    if train is None:
        return EmbeddedSets(train, synthetic, holdout, texts=texts)
    sets = [part for part in (train, synthetic, holdout) if part is not None]
    facts: dict[str, dict[str, Any]] = {
        held.name: {one.name: dict(one.facts) for one in texts}
        for held in train.schema.of_kind("text")
        if texts
    }
    columns = [
        held.name
        for held in train.schema.of_kind("image")
        if all(held.name in {f.name for f in part.schema.of_kind("image")} for part in sets)
        and not all(read_embeddings(part.records.column(held.name)) for part in sets)
    ]
    if not columns:
        return EmbeddedSets(train, synthetic, holdout, facts, texts=texts)
    kept = ResultCache() if remembered is None else remembered
    fitted, left_out = kept.of(
        ("embedders", tuple(columns)),
        lambda: _fitted(columns, train, of_images, holdout is not None, target, seed),
    )
    facts |= {
        name: {held.name: dict(held.facts) for held in found} for name, found in fitted.items()
    }
    labels = box_labels(train)

    def embed(part: Dataset) -> Dataset:
        found = with_vectors(part, {name: held for name, held in fitted.items() if held})
        return with_properties(found, labels)

    done = []
    for position, part in enumerate(sets):
        progress("embed", position, len(sets))
        which = "train" if part is train else "holdout"
        key = ("embedded", which, tuple(columns))
        is_real = part is not synthetic
        done.append(kept.of(key, partial(embed, part)) if is_real else embed(part))
    progress("embed", len(sets), len(sets))
    return EmbeddedSets(
        done[0], done[1], done[2] if holdout is not None else None, facts, tuple(left_out), texts
    )


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


def _fitted(
    columns: Sequence[str],
    train: Dataset,
    chosen: Sequence[Embedder] | None,
    has_holdout: bool,
    target: str | None,
    seed: int,
) -> tuple[dict[str, list[Embedding]], list[str]]:
    """Return the fitted embedders of each column of images, and a sentence on each that is left out."""
    if chosen is None:
        may_learn = has_holdout and len(train) >= _FEWEST_FOR_NET
        chosen = [one for one in default_embedders() if may_learn or not one.learns]
    fitted: dict[str, list[Embedding]] = {name: [] for name in columns}
    left_out = []
    for name, found in fitted.items():
        for one in chosen:
            try:
                found.append(one.fit(train.records.column(name), _labels(train, target), seed))
            except FitError as error:
                left_out.append(f"The embedder '{one.name}' is left out of '{name}': {error}")
    return fitted, left_out


def _labels(train: Dataset, target: str | None) -> npt.NDArray[np.int64] | None:
    if target is None or target not in train.schema.names:
        return None
    if not train.schema[target].has_levels:
        return None
    return train.codes(target)[0].astype(np.int64)

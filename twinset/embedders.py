"""Which embedders look at the images of a run, and the sets with the vectors that they give."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Progress, Score, silent
from twinset.core.dataset import Dataset
from twinset.core.embedders import (
    Classical,
    Embedder,
    EmbedderName,
    Embedding,
    Family,
    OutsideNet,
    SmallNet,
    Weights,
    vectors_held,
    with_vectors,
)
from twinset.core.embedders.names import FORMS
from twinset.core.errors import FitError, ParameterError
from twinset.core.image_properties import box_labels, with_properties
from twinset.io import read_weights

_FEWEST_FOR_NET = 100
_LEFT_OUT = "left out"
_OTHERS = (
    "Other embedders, or the same with other weights, give other numbers: hold this beside no report "
    "that names others."
)


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
        Image column -> embedder -> its facts, e.g. the SHA-256 of its weights.
    left_out : tuple of str
        One sentence on each embedder that could not be used, and why.
    """

    train: Dataset | None
    synthetic: Dataset
    holdout: Dataset | None
    facts: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()

    def facts_of(self, names: Sequence[str]) -> dict[str, Any]:
        """Return the facts of those of the columns that hold images, as plain JSON values."""
        found: dict[str, Any] = {name: self.facts[name] for name in names if name in self.facts}
        if found and self.left_out:
            found[_LEFT_OUT] = list(self.left_out)
        return found


def embedders_of(names: Sequence[str | Embedder]) -> tuple[Embedder, ...]:
    """Return the embedders that are named.

    Parameters
    ----------
    names : sequence of str or Embedder
        "classical", "net", or weights in a file: "onnx:FILE", "torchvision:MODEL:FILE",
        "timm:MODEL:FILE". Embedders pass through.

    Raises
    ------
    ParameterError
        A name means no embedder, two are called alike, or none is named.
    DataError
        A file of weights cannot be read.

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
        found.append((str(told), _weights(parts).sha256 if parts.file else ""))
    return found


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
) -> EmbeddedSets:
    """Return the sets with vectors beside the images of every column that all of them hold.

    Embedders that learn are fitted on `train` alone. By default these are the classical features and,
    from 100 training images and with a holdout, a small net: without a holdout the real rows that are
    compared are the very ones that it would have learnt from.

    Parameters
    ----------
    train, synthetic, holdout : Dataset or None
        The sets; those without images, or whose images all carry vectors, come back as they are.
    embedders : sequence of Embedder, optional
        What to look at images with.
    target : str, optional
        A column of labels, which embedders may learn from.
    seed : int
        Seed of the run.
    progress : Progress
        Told ``("embed", done, total)``.
    """
    if train is None:
        return EmbeddedSets(train, synthetic, holdout)
    sets = [part for part in (train, synthetic, holdout) if part is not None]
    columns = [
        held.name
        for held in train.schema.of_kind("image")
        if all(held.name in {f.name for f in part.schema.of_kind("image")} for part in sets)
        and not all(vectors_held(part.records.column(held.name)) for part in sets)
    ]
    if not columns:
        return EmbeddedSets(train, synthetic, holdout)
    facts: dict[str, dict[str, Any]] = {}
    fitted: dict[str, list[Embedding]] = {}
    left_out: list[str] = []
    for name in columns:
        images = train.records.column(name)
        chosen = embedders
        if chosen is None:
            may_learn = holdout is not None and len(train) >= _FEWEST_FOR_NET
            chosen = [one for one in default_embedders() if may_learn or not one.learns]
        fitted[name] = []
        for one in chosen:
            try:
                fitted[name].append(one.fit(images, _labels(train, target), seed))
            except FitError as error:
                left_out.append(f"The embedder '{one.name}' is left out of '{name}': {error}")
        facts[name] = {held.name: dict(held.facts) for held in fitted[name]}
    labels = box_labels(train)
    done = []
    for position, part in enumerate(sets):
        progress("embed", position, len(sets))
        part = with_vectors(part, {name: held for name, held in fitted.items() if held})
        done.append(with_properties(part, labels))
    progress("embed", len(sets), len(sets))
    return EmbeddedSets(
        done[0], done[1], done[2] if holdout is not None else None, facts, tuple(left_out)
    )


def embedder_notes(found: Mapping[str, Any]) -> list[str]:
    """Return one sentence an image column on what looked at its images; of what `facts_of` gives.

    Examples
    --------
    >>> embedder_notes({"photo": {"classical": {"kind": "classical features", "size": 210}}})[0]
    "The images of 'photo' were compared by: classical (classical features, 210 numbers)."
    """
    notes = []
    for column, embedders in found.items():
        if column != _LEFT_OUT and embedders:
            told = [f"{name} ({_told(one)})" for name, one in embedders.items()]
            notes.append(f"The images of '{column}' were compared by: {'; '.join(told)}.")
    return [*notes, *found.get(_LEFT_OUT, ())]


def card_notes(found: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a card says of the embedders that a set was measured by, one note a column.

    Examples
    --------
    >>> card_notes({"photo": {"eye": {"weights": "eye.onnx", "weights_sha256": "ab12"}}})
    ("images of 'photo' measured by: eye (weights SHA-256 ab12)",)
    """
    notes = []
    for column, embedders in found.items():
        if column != _LEFT_OUT and embedders:
            told = [
                f"{name} (weights SHA-256 {one['weights_sha256']})"
                if "weights_sha256" in one
                else name
                for name, one in embedders.items()
            ]
            notes.append(f"images of '{column}' measured by: {', '.join(told)}")
    return tuple(notes)


def _told(facts: Mapping[str, Any]) -> str:
    parts = [str(facts.get("kind", "no facts given"))]
    if "trained_on_images" in facts:
        labels = f" and {facts['labels']} labels" if facts.get("labels") else ""
        parts.append(f"{facts['trained_on_images']:,} images{labels}, seed {facts['seed']}")
    if "weights_sha256" in facts:
        file = f"'{facts['weights']}'" if facts.get("weights") else "its weights"
        parts.append(f"{file}, SHA-256 {facts['weights_sha256']}")
    if "size" in facts:
        parts.append(f"{facts['size']} numbers")
    return ", ".join(parts)


def _one(name: str) -> Embedder:
    parts = EmbedderName.of(name)
    if parts.kind == "classical":
        return Classical()
    if parts.kind == "net":
        return SmallNet()
    return OutsideNet(
        family=cast(Family, parts.kind),
        weights=_weights(parts),
        architecture=parts.architecture,
    )


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


def image_notes(scores: Sequence[Score], guessed: str | None = None) -> list[str]:
    """Return what a report says of how images were looked at, as told by the scores.

    `guessed` is a column of labels that was taken as the target without being asked for.
    """
    found = facts_in(scores)
    told = [] if guessed is None else [f"Models predict '{guessed}', the only column of labels."]
    return [*embedder_notes(found), *told, *([_OTHERS] if found else [])]


def facts_in(scores: Sequence[Score]) -> dict[str, Any]:
    """Return which embedders the scores rest on: image column -> embedder -> its facts.

    Scores may have looked at different columns; all are told.
    """
    found: dict[str, Any] = {}
    for score in scores:
        compared = score.details.get("compared")
        if isinstance(compared, Mapping):
            found |= compared.get("embedders", {})
    return found


def unlike_embedders(scores: Mapping[str, Sequence[Score]]) -> list[str]:
    """Return a warning where not every candidate was looked at by the same embedders."""
    looked = {name: facts_in(own) for name, own in scores.items()}
    first, *others = looked.values()
    if all(found == first for found in others):
        return []
    told = [
        f"{name}: {' and '.join(card_notes(found)) or 'none'}" for name, found in looked.items()
    ]
    return [
        "Not the same embedders looked at all candidates, so that their numbers on images must not be "
        f"held beside one another ({'; '.join(told)})"
    ]

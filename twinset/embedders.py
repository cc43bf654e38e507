"""Which embedders look at the images of a run, and what a reader is told of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from twinset.core.contracts import Score
from twinset.core.dataset import Dataset
from twinset.core.embedders import (
    Classical,
    Embedder,
    EmbedderName,
    Family,
    OutsideNet,
    SmallNet,
    Weights,
)
from twinset.core.embedders.names import FORMS
from twinset.core.errors import ParameterError
from twinset.embedded_sets import LEFT_OUT
from twinset.io import read_weights

_OTHERS = (
    "Other embedders, or the same with other weights, give other numbers: hold this beside no report "
    "that names others."
)


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


def embedder_notes(found: Mapping[str, Any]) -> list[str]:
    """Return one sentence an image column on what looked at its images; of what `facts_of` gives.

    Examples
    --------
    >>> embedder_notes({"photo": {"classical": {"kind": "classical features", "size": 210}}})[0]
    "The images of 'photo' were compared by: classical (classical features, 210 numbers)."
    """
    notes = []
    for column, embedders in found.items():
        if column != LEFT_OUT and embedders:
            told = [f"{name} ({_told(one)})" for name, one in embedders.items()]
            notes.append(f"The images of '{column}' were compared by: {'; '.join(told)}.")
    return [*notes, *found.get(LEFT_OUT, ())]


def card_notes(found: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a card says of the embedders that a set was measured by, one note a column.

    Examples
    --------
    >>> card_notes({"photo": {"eye": {"weights": "eye.onnx", "weights_sha256": "ab12"}}})
    ("images of 'photo' measured by: eye (weights SHA-256 ab12)",)
    """
    notes = []
    for column, embedders in found.items():
        if column != LEFT_OUT and embedders:
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

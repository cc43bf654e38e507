"""What reports and cards say of the embedders that looked at images and texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from twinset.core.contracts import Score
from twinset.core.findings import ComparisonBasis

LEFT_OUT = "left out"
"""Key of the facts under which embedders stand that could not be used."""

_OTHERS = (
    "Other embedders, or the same with other weights, give other numbers: hold this beside no report "
    "that names others."
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
        if column != LEFT_OUT and embedders:
            told = [f"{name} ({_told(one)})" for name, one in embedders.items()]
            notes.append(
                f"The {_noun(embedders)} of '{column}' were compared by: {'; '.join(told)}."
            )
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
            notes.append(f"{_noun(embedders)} of '{column}' measured by: {', '.join(told)}")
    return tuple(notes)


def _noun(embedders: Mapping[str, Mapping[str, Any]]) -> str:
    return next((str(one["of"]) for one in embedders.values() if "of" in one), "images")


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


def image_notes(scores: Sequence[Score], guessed: str | None = None) -> list[str]:
    """Return what a report says of how images were looked at, as told by the scores.

    `guessed` is a column of labels that was taken as the target without being asked for.
    """
    found = list_score_embedders(scores)
    told = [] if guessed is None else [f"Models predict '{guessed}', the only column of labels."]
    return [*embedder_notes(found), *told, *([_OTHERS] if found else [])]


def list_score_embedders(scores: Sequence[Score]) -> dict[str, Any]:
    """Return which embedders the scores rest on: image column -> embedder -> its facts.

    Scores may have looked at different columns; all are told.
    """
    found: dict[str, Any] = {}
    for score in scores:
        basis = score.finding(ComparisonBasis)
        if basis is not None and basis.embedders:
            found |= basis.embedders
            found |= {LEFT_OUT: basis.unused_embedders} if basis.unused_embedders else {}
    return found


def note_embedder_mismatch(scores: Mapping[str, Sequence[Score]]) -> list[str]:
    """Return a warning where not every candidate was looked at by the same embedders."""
    looked = {name: list_score_embedders(own) for name, own in scores.items()}
    first, *others = looked.values()
    if all(found == first for found in others):
        return []
    told = [
        f"{name}: {' and '.join(card_notes(found)) or 'none'}" for name, found in looked.items()
    ]
    return [
        "Not the same embedders looked at all candidates, so that their numbers on images or texts must "
        f"not be held beside one another ({'; '.join(told)})"
    ]

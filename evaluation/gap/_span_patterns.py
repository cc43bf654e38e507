"""Patterns of spans in texts: how often each label is given, to which words, and where the ends lie."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from twinset.core.data.dataset import Dataset
from twinset.core.stats.bootstrap import Groups

from ._text_patterns import Pattern, strings, uses, variation_pattern, words_of

_LEAST_USES = 10
_MOST_TERMS = 2_000
_NONE = "no span"

Spans = Sequence[Mapping[str, Any]]


def span_patterns(
    text: str, mark: str, train: Dataset, sides: Sequence[Dataset], deals: Sequence[Groups]
) -> Iterator[Pattern]:
    """Yield how far apart the labels of spans are, the words they are given to, and their ends.

    Parameters
    ----------
    text, mark : str
        Columns of the texts and of the spans in them.
    train : Dataset
        Real rows: what is used ten times or more among them is told apart.
    sides : sequence of Dataset
        Reference and candidate.
    deals : sequence of Groups
        Their rows in groups.
    """
    cuts = {
        f"labels of {mark}": _labels,
        f"words of each label of {mark}": _words,
        f"ends of {mark}": _ends,
    }
    read = [list(zip(strings(part, text), _spans(part, mark))) for part in (train, *sides)]
    for title, cut in cuts.items():
        pieces = [[cut(said, spans) for said, spans in rows] for rows in read]
        used = Counter(piece for own in pieces[0] for piece in own)
        known = [piece for piece, n in used.most_common(_MOST_TERMS) if n >= _LEAST_USES]
        place = {piece: i for i, piece in enumerate(known)}
        yield variation_pattern(
            title, [uses(own, place, deal) for own, deal in zip(pieces[1:], deals)], deals
        )


def _spans(rows: Dataset, mark: str) -> list[Spans]:
    return [own or [] for own in rows.records.column(mark).to_pylist()]


def _labels(said: str, spans: Spans) -> list[str]:
    return [str(span["label"]) for span in spans] or [_NONE]


def _words(said: str, spans: Spans) -> list[str]:
    return [
        f"{span['label']}: {word}"
        for span in spans
        for word in words_of(said[span["start"] : span["end"]])
    ]


def _ends(said: str, spans: Spans) -> list[str]:
    """Return of each span what stands outside and inside of either end: letters, blanks, marks, nothing."""
    return [
        _kind(said, span["start"] - 1) + _kind(said, span["start"]) + " "
        + _kind(said, span["end"] - 1) + _kind(said, span["end"])
        for span in spans
    ]  # fmt: skip


def _kind(said: str, at: int) -> str:
    if not 0 <= at < len(said):
        return "|"
    return "a" if said[at].isalnum() else "_" if said[at].isspace() else "."

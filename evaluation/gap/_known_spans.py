"""What spans of real texts never do: labels that their words contradict, mentions left unmarked."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ._known_texts import TextAnomaly

Floats = npt.NDArray[np.float64]

_WORD = re.compile(r"\w+|[^\w\s]")
_MENTION_USES, _MENTION_SHARE = 3, 0.9
"""What real texts mark nine times in ten, of three or more, is a mention wherever it stands."""
_PLAIN_USES, _PLAIN_SHARE = 10, 0.02
_ODDS = 3.0
"""A label is contradicted when another is twenty times (e to the third) as likely."""
_SMOOTHING = 0.5


@dataclass(frozen=True)
class AnnotatedText:
    """The words of a text in small letters, and which of them each span covers, whole or in part.

    Spans that are off by a letter cover the same words: where spans end is another question.
    """

    words: tuple[str, ...]
    spans: tuple[tuple[int, int, str], ...]
    """First word, word after the last, and label."""

    @classmethod
    def read(cls, text: str, spans: Sequence[Mapping[str, Any]]) -> AnnotatedText:
        """Return the text and its spans in words.

        Examples
        --------
        >>> AnnotatedText.read("Fly to Ulm", [{"start": 7, "end": 10, "label": "city"}])
        AnnotatedText(words=('fly', 'to', 'ulm'), spans=((2, 3, 'city'),))
        """
        found = list(_WORD.finditer(text))
        starts, ends = [m.start() for m in found], [m.end() for m in found]
        covered = []
        for span in spans:
            first, last = bisect_right(ends, span["start"]), bisect_left(starts, span["end"])
            # A span of a blank alone is one that slipped off a word of one letter.
            if first == last and first and ends[first - 1] == span["start"]:
                first -= 1
            if first < last:
                covered.append((first, last, str(span["label"])))
        return cls(tuple(m.group().lower() for m in found), tuple(covered))

    @property
    def is_marked(self) -> list[bool]:
        """Whether each word is in a span."""
        marked = [False] * len(self.words)
        for first, last, _ in self.spans:
            marked[first:last] = [True] * (last - first)
        return marked

    def clues(self) -> Iterator[tuple[str, list[str]]]:
        """Yield the label of each span, its words, and those on either side."""
        around = ("|", *self.words, "|")
        for first, last, label in self.spans:
            inside = [f"in {word}" for word in self.words[first:last]]
            yield label, [*inside, f"before {around[first]}", f"after {around[last + 1]}"]


@dataclass(frozen=True)
class KnownSpans:
    """What the spans of real train rows mark.

    Parameters
    ----------
    labels : tuple of str
        All labels.
    shares : numpy.ndarray, shape (k,)
        How often each is given.
    clues : mapping of str to numpy.ndarray, shape (k,)
        How often each label goes with a word inside or beside a span.
    mentions : mapping of str to frozenset
        First word -> phrases that begin so and are nearly always marked.
    plain : frozenset of str
        Words that are hardly ever marked.
    """

    labels: tuple[str, ...]
    shares: Floats
    clues: Mapping[str, Floats]
    mentions: Mapping[str, frozenset[tuple[str, ...]]]
    plain: frozenset[str]
    _weights: dict[str, Floats] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, rows: Sequence[AnnotatedText]) -> KnownSpans:
        """Return what these real rows mark."""
        given = Counter(label for row in rows for _, _, label in row.spans)
        labels = tuple(sorted(given))
        place = {label: i for i, label in enumerate(labels)}
        clues: dict[str, Floats] = defaultdict(lambda: np.zeros(len(labels)))
        for row in rows:
            for label, own in row.clues():
                for clue in own:
                    clues[clue][place[label]] += 1
        counts = np.array([given[label] for label in labels], dtype=np.float64)
        return cls(labels, counts, dict(clues), _mentions(rows), _plain(rows))

    def slips(self, mark: str, rows: Sequence[AnnotatedText]) -> Iterator[TextAnomaly]:
        """Yield what the spans of a column do that real ones do not.

        Parameters
        ----------
        mark : str
            The column.
        rows : sequence of MarkedText, length n
            Its texts and spans.
        """
        if not self.labels:
            return
        yield TextAnomaly.counted(
            f"contradicted labels of {mark}",
            f"spans of {mark} whose words speak for another label",
            (
                (sum(self._contradicted(*one) for one in row.clues()), len(row.spans))
                for row in rows
            ),
        )
        if self.mentions:
            yield TextAnomaly.counted(
                f"unmarked mentions of {mark}",
                f"mentions that {mark} leaves out though real texts nearly always mark them",
                (_left_out(row, self.mentions) for row in rows),
            )
        yield TextAnomaly.counted(
            f"needless marks of {mark}",
            f"words within {mark} that real texts hardly ever mark",
            (self._needless(row) for row in rows),
        )

    def _contradicted(self, label: str, clues: Sequence[str]) -> bool:
        """Return whether another label is far likelier, words and neighbours taken as independent."""
        if label not in self.labels:
            return True
        told = np.log(self.shares / self.shares.sum())
        for clue in clues:
            if clue in self.clues:
                told = told + self._weight(clue)
        return bool(told[self.labels.index(label)] < told.max() - _ODDS)

    def _weight(self, clue: str) -> Floats:
        if clue not in self._weights:
            total = self.shares.sum()
            counts = self.clues[clue]
            by_label = (counts + _SMOOTHING * self.shares / total) / (self.shares + _SMOOTHING)
            self._weights[clue] = np.log(by_label)
        return self._weights[clue]

    def _needless(self, row: AnnotatedText) -> tuple[int, int]:
        inside = zip(row.words, row.is_marked)
        marked = [word for word, is_in in inside if is_in and word.isalnum()]
        return sum(word in self.plain for word in marked), len(marked)


def _mentions(rows: Sequence[AnnotatedText]) -> dict[str, frozenset[tuple[str, ...]]]:
    uses = Counter(row.words[first:last] for row in rows for first, last, _ in row.spans)
    known = _by_first([phrase for phrase, n in uses.items() if n >= _MENTION_USES])
    seen: Counter[tuple[str, ...]] = Counter()
    marked: Counter[tuple[str, ...]] = Counter()
    for row in rows:
        for phrase, is_marked in _phrases(row, known):
            seen[phrase] += 1
            marked[phrase] += is_marked
    return _by_first(
        [
            phrase
            for phrase, n in seen.items()
            if n >= _MENTION_USES and marked[phrase] >= _MENTION_SHARE * n
        ]
    )


def _plain(rows: Sequence[AnnotatedText]) -> frozenset[str]:
    used: Counter[str] = Counter()
    marked: Counter[str] = Counter()
    for row in rows:
        used.update(row.words)
        marked.update(word for word, is_in in zip(row.words, row.is_marked) if is_in)
    return frozenset(
        word for word, n in used.items() if n >= _PLAIN_USES and marked[word] <= _PLAIN_SHARE * n
    )


def _by_first(phrases: Sequence[tuple[str, ...]]) -> dict[str, frozenset[tuple[str, ...]]]:
    found: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for phrase in phrases:
        found[phrase[0]].add(phrase)
    return {first: frozenset(own) for first, own in found.items()}


def _phrases(
    row: AnnotatedText, known: Mapping[str, frozenset[tuple[str, ...]]]
) -> Iterator[tuple[tuple[str, ...], bool]]:
    """Yield known phrases of a text, the longest at each place, and whether a span touches them."""
    marked, at = row.is_marked, 0
    while at < len(row.words):
        own = known.get(row.words[at], ())
        fit = [phrase for phrase in own if row.words[at : at + len(phrase)] == phrase]
        if fit:
            longest = max(fit, key=len)
            yield longest, any(marked[at : at + len(longest)])
            at += len(longest)
        else:
            at += 1


def _left_out(
    row: AnnotatedText, mentions: Mapping[str, frozenset[tuple[str, ...]]]
) -> tuple[int, int]:
    found = [is_marked for _, is_marked in _phrases(row, mentions)]
    return found.count(False), len(found)

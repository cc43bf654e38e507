"""Anomalies of texts and spans: what real train texts never, or hardly ever, have."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from .._bootstrap_metric import Floats
from ._text_patterns import split_words

Phrase = tuple[str, ...]
Phrases = dict[str, frozenset[Phrase]]
"""First word -> phrases that begin with it."""

_COMMON_WORDS = 200  # pairs of rarer words are new in real texts too
_MIN_SPELT_LETTERS = 4  # shorter words are one letter off many others: "cat", "car", "can"
_MIN_SPELT_USES = 3  # of a word that others may be misspellings of: rarer ones may be misspelt
# What real texts mark nine times in ten, of three or more, is a mention wherever it occurs.
_MIN_MENTION_USES, _MIN_MENTION_SHARE = 3, 0.9
# Words of ten uses or more that real texts mark at most once in fifty times are no part of a mention.
_MIN_PLAIN_USES, _MAX_PLAIN_SHARE = 10, 0.02
_MIN_LOG_ODDS = 3.0  # a label is contradicted when another is twenty times (e^3) as likely
_SMOOTHING = 0.5  # added to the counts of naive Bayes, so that no word excludes a label
_WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True)
class TextAnomaly:
    """Something that real texts hardly have, counted in each of n rows."""

    name: str
    description: str  # the beginning of "...: 4.1 % against 0.9 % of real ones"
    counts: Floats  # (n,): how often each row has it
    chances: Floats  # (n,): the most that it could

    @classmethod
    def from_rows(
        cls, name: str, description: str, rows: Iterable[tuple[float, float]]
    ) -> TextAnomaly:
        """Return the anomaly of (count, chances) of every row."""
        counts, chances = np.array(list(rows), dtype=np.float64).reshape(-1, 2).T
        return cls(name, description, counts, chances)

    @property
    def rate(self) -> float:
        """Count by chances, 0 to 1; 0 where there was no chance."""
        return float(self.counts.sum() / max(self.chances.sum(), 1.0))


@dataclass(frozen=True)
class KnownTexts:
    """Words, characters, pairs of words and lengths of real train texts."""

    words: frozenset[str]
    characters: frozenset[str]
    common: frozenset[str]  # the 200 most frequent words, and "|" for either end of a text
    pairs: frozenset[tuple[str, str]]  # adjacent common words
    near: frozenset[str]  # longer words that are used often, whole and without any one letter
    lengths: tuple[int, int]  # smallest and largest number of words

    @classmethod
    def fit(cls, texts: Sequence[str]) -> KnownTexts:
        """Return what these real texts have."""
        words = Counter(word for text in texts for word in split_words(text))
        common = frozenset(["|", *(word for word, _ in words.most_common(_COMMON_WORDS))])
        lengths = [len(split_words(text)) for text in texts]
        return cls(
            words=frozenset(words),
            characters=frozenset(c for text in texts for c in text),
            common=common,
            pairs=frozenset(pair for text in texts for pair in _common_pairs(text, common)),
            near=frozenset(
                spelling
                for word, n in words.items()
                if n >= _MIN_SPELT_USES and len(word) >= _MIN_SPELT_LETTERS and word.isalpha()
                for spelling in _spellings(word)
            ),
            lengths=(min(lengths), max(lengths)),
        )

    def find_anomalies(self, name: str, texts: Sequence[str]) -> Iterator[TextAnomaly]:
        """Yield the anomalies of the texts of a column."""
        # Numbers are new in every real text too, and are not counted.
        words = [[word for word in split_words(text) if word.isalpha()] for text in texts]
        yield TextAnomaly.from_rows(
            f"unknown words of {name}",
            f"words of {name} that no real train text has",
            ((sum(word not in self.words for word in own), len(own)) for own in words),
        )
        yield TextAnomaly.from_rows(
            f"misspelt words of {name}",
            f"words of {name} that are one letter off a real one",
            ((sum(self._is_misspelt(word) for word in own), len(own)) for own in words),
        )
        pairs = [_common_pairs(text, self.common) for text in texts]
        yield TextAnomaly.from_rows(
            f"unknown order of words of {name}",
            f"common words of {name} that no real train text has side by side in this order",
            ((sum(pair not in self.pairs for pair in own), len(own)) for own in pairs),
        )
        yield TextAnomaly.from_rows(
            f"unknown characters of {name}",
            f"texts of {name} with a character that no real train text has",
            ((not self.characters.issuperset(text), 1) for text in texts),
        )
        shortest, longest = self.lengths
        yield TextAnomaly.from_rows(
            f"unknown lengths of {name}",
            f"texts of {name} shorter or longer than any real train text",
            ((not shortest <= len(split_words(text)) <= longest, 1) for text in texts),
        )

    def _is_misspelt(self, word: str) -> bool:
        """Return whether an unknown word becomes known by one letter more, less, other or swapped."""
        is_unknown = len(word) >= _MIN_SPELT_LETTERS and word not in self.words
        return is_unknown and not self.near.isdisjoint(_spellings(word))


def _common_pairs(text: str, common: frozenset[str]) -> list[tuple[str, str]]:
    """Return the adjacent common words: new words are no matter of order."""
    pairs = pairwise(["|", *split_words(text), "|"])
    return [pair for pair in pairs if pair[0] in common and pair[1] in common]


def _spellings(word: str) -> set[str]:
    return {word, *(word[:at] + word[at + 1 :] for at in range(len(word)))}


@dataclass(frozen=True)
class AnnotatedText:
    """The words of a text in lowercase, and the words that each span covers, whole or in part."""

    words: Phrase
    spans: tuple[tuple[int, int, str], ...]  # first word, word after the last, and label

    @classmethod
    def parse(cls, text: str, spans: Sequence[Mapping[str, Any]]) -> AnnotatedText:
        """Return the text and its spans in words."""
        found = list(_WORD.finditer(text))
        starts, ends = [m.start() for m in found], [m.end() for m in found]
        covered = []
        for span in spans:
            first, last = bisect_right(ends, span["start"]), bisect_left(starts, span["end"])
            # A span of a blank alone was shifted off a word of one letter.
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
        """Yield the label of each span, with its words and the adjacent ones."""
        around = ("|", *self.words, "|")
        for first, last, label in self.spans:
            inside = [f"in {word}" for word in self.words[first:last]]
            yield label, [*inside, f"before {around[first]}", f"after {around[last + 1]}"]


@dataclass(frozen=True)
class KnownSpans:
    """Labels, words and mentions of the spans of real train rows."""

    labels: tuple[str, ...]
    shares: Floats  # (k,): number of spans of each label
    clues: Mapping[str, Floats]  # how often each label has a word inside or beside a span
    mentions: Phrases  # that are nearly always marked
    plain: frozenset[str]  # words that are hardly ever marked
    _weights: dict[str, Floats] = field(default_factory=dict, repr=False)

    @classmethod
    def fit(cls, rows: Sequence[AnnotatedText]) -> KnownSpans:
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
        return cls(labels, counts, dict(clues), _find_mentions(rows), _find_plain_words(rows))

    def find_anomalies(self, name: str, rows: Sequence[AnnotatedText]) -> Iterator[TextAnomaly]:
        """Yield the anomalies of a column of spans."""
        if not self.labels:
            return
        yield TextAnomaly.from_rows(
            f"contradicted labels of {name}",
            f"spans of {name} whose words speak for another label",
            (
                (sum(self._is_contradicted(*one) for one in row.clues()), len(row.spans))
                for row in rows
            ),
        )
        if self.mentions:
            found = [[is_marked for _, is_marked in _phrases(r, self.mentions)] for r in rows]
            yield TextAnomaly.from_rows(
                f"unmarked mentions of {name}",
                f"mentions that {name} leaves out though real texts nearly always mark them",
                ((marked.count(False), len(marked)) for marked in found),
            )
        words = [
            [w for w, is_in in zip(r.words, r.is_marked) if is_in and w.isalnum()] for r in rows
        ]
        yield TextAnomaly.from_rows(
            f"needless marks of {name}",
            f"words within {name} that real texts hardly ever mark",
            ((sum(word in self.plain for word in own), len(own)) for own in words),
        )

    def _is_contradicted(self, label: str, clues: Sequence[str]) -> bool:
        """Return whether another label is far more likely, by naive Bayes of words."""
        if label not in self.labels:
            return True
        total = self.shares.sum()
        log_odds = np.log(self.shares / total)
        for clue in clues:
            if clue not in self.clues:
                continue
            if clue not in self._weights:
                smoothed = self.clues[clue] + _SMOOTHING * self.shares / total
                self._weights[clue] = np.log(smoothed / (self.shares + _SMOOTHING))
            log_odds = log_odds + self._weights[clue]
        return bool(log_odds[self.labels.index(label)] < log_odds.max() - _MIN_LOG_ODDS)


def _find_mentions(rows: Sequence[AnnotatedText]) -> Phrases:
    """Return the phrases that real rows nearly always mark."""
    uses = Counter(row.words[first:last] for row in rows for first, last, _ in row.spans)
    known = _by_first_word([phrase for phrase, n in uses.items() if n >= _MIN_MENTION_USES])
    occurs: Counter[Phrase] = Counter()
    marked: Counter[Phrase] = Counter()
    for row in rows:
        for phrase, is_marked in _phrases(row, known):
            occurs[phrase] += 1
            marked[phrase] += is_marked
    return _by_first_word(
        [
            phrase
            for phrase, n in occurs.items()
            if n >= _MIN_MENTION_USES and marked[phrase] >= _MIN_MENTION_SHARE * n
        ]
    )


def _find_plain_words(rows: Sequence[AnnotatedText]) -> frozenset[str]:
    used = Counter(word for row in rows for word in row.words)
    marked = Counter(w for row in rows for w, is_in in zip(row.words, row.is_marked) if is_in)
    return frozenset(
        word
        for word, n in used.items()
        if n >= _MIN_PLAIN_USES and marked[word] <= _MAX_PLAIN_SHARE * n
    )


def _by_first_word(phrases: Sequence[Phrase]) -> Phrases:
    found: dict[str, set[Phrase]] = defaultdict(set)
    for phrase in phrases:
        found[phrase[0]].add(phrase)
    return {first: frozenset(own) for first, own in found.items()}


def _phrases(row: AnnotatedText, known: Phrases) -> Iterator[tuple[Phrase, bool]]:
    """Yield known phrases of a text, the longest at each place, and whether a span touches them."""
    marked, at = row.is_marked, 0
    while at < len(row.words):
        own = known.get(row.words[at], ())
        longest = max((p for p in own if row.words[at : at + len(p)] == p), key=len, default=())
        if longest:
            yield longest, any(marked[at : at + len(longest)])
        at += max(len(longest), 1)

"""Checks of new texts: similarity to real ones, and the class that their words suggest."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from .tokens import Sentence, Token, words_of

Ints = npt.NDArray[np.int64]
Term = tuple[object, int]
_NONE: Ints = np.empty(0, dtype=np.int64)
_SMOOTHING = 0.1  # added to every count (Lidstone): a word unseen in a class does not rule it out


class RealTexts:
    """Index of real texts for the similarity of a new text to the nearest one.

    similarity(a, b) = 2 |A n B| / (|A| + |B|) (Dice), A and B being the multisets of words and pairs of
    neighbouring words: 1 for the same words in the same order, 0 for no word in common.

    Examples
    --------
    >>> RealTexts(["play some jazz", "stop"]).similarity("Play some blues")
    0.6
    """

    def __init__(self, texts: Sequence[str]) -> None:
        places: dict[Term, list[int]] = defaultdict(list)
        sizes = []
        for i, text in enumerate(texts):
            terms = _terms(text)
            sizes.append(len(terms))
            for term in terms:
                places[term].append(i)
        self._places = {term: np.array(found, dtype=np.int64) for term, found in places.items()}
        self._sizes = np.array(sizes, dtype=np.float64)

    def has_repetition(self, text: str) -> bool:
        """Return whether a word is repeated in a row that no real text repeats."""
        pairs = pairwise(words_of(text))
        return any(one == other and ((one, other), 0) not in self._places for one, other in pairs)

    def similarity(self, text: str) -> float:
        """Return the similarity to the nearest real text, 0 to 1."""
        terms = _terms(text)
        hits = [self._places[term] for term in terms if term in self._places]
        shared = np.bincount(np.concatenate([*hits, _NONE]), minlength=len(self._sizes))
        total = np.maximum(self._sizes + len(terms), 1)
        return float(np.max(2 * shared / total, initial=0.0))


class Classes:
    """Naive Bayes model of the words of each class."""

    def __init__(self, sentences: Sequence[Sentence], n_groups: int) -> None:
        keys = sorted({token.key for s in sentences for token in s.tokens})
        self._at = {key: i for i, key in enumerate(keys)}
        counts = np.full((len(keys), n_groups), _SMOOTHING)
        for sentence in sentences:
            for key in {token.key for token in sentence.tokens}:
                counts[self._at[key], sentence.group] += 1
        self._weights = np.log(counts / counts.sum(axis=0))

    def margin(self, tokens: Sequence[Token], group: int) -> float:
        """Return the log-likelihood ratio of a class to the best other one; inf without another."""
        at = [self._at[key] for key in {token.key for token in tokens}]
        scores = self._weights[at].sum(axis=0)
        return float(scores[group] - np.delete(scores, group).max(initial=-np.inf))


def shortest_lengths(sentences: Sequence[Sentence]) -> dict[int, int]:
    """Return the number of tokens of the shortest real text of each class."""
    found: dict[int, int] = {}
    for sentence in sentences:
        n = len(sentence.tokens)
        found[sentence.group] = min(n, found.get(sentence.group, n))
    return found


def _terms(text: str) -> list[Term]:
    """Return the words and pairs of a text, each with the number of its earlier occurrences."""
    words = words_of(text)
    seen: Counter[object] = Counter()
    terms: list[Term] = []
    for term in (*words, *pairwise(words)):
        terms.append((term, seen[term]))
        seen[term] += 1
    return terms

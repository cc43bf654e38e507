"""What keeps a new text from being a copy of a real one, and from being of another class."""

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
_SMOOTHING = 0.1


class RealTexts:
    """Tells how like a text is to the real text that is most like it.

    The likeness of two texts is the share of their words and pairs of neighbouring words that they have in
    common (Dice): 1 for the same words in the same order, 0 for none in common.

    Parameters
    ----------
    texts : sequence of str
        The real texts.

    Examples
    --------
    >>> RealTexts(["play some jazz", "stop"]).likeness("Play some blues")
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

    def stutters(self, text: str) -> bool:
        """Return whether a word stands twice in a row as it does in no real text."""
        pairs = pairwise(words_of(text))
        return any(one == other and ((one, other), 0) not in self._places for one, other in pairs)

    def likeness(self, text: str) -> float:
        """Return the likeness to the nearest real text, 0 to 1."""
        terms = _terms(text)
        hits = [self._places[term] for term in terms if term in self._places]
        shared = np.bincount(np.concatenate([*hits, _NONE]), minlength=len(self._sizes))
        total = np.maximum(self._sizes + len(terms), 1)
        return float(np.max(2 * shared / total, initial=0.0))


class Classes:
    """A word model of each class (naive Bayes) that tells whether a text could be of another one.

    Parameters
    ----------
    sentences : sequence of Sentence
        The real texts.
    n_groups : int
        Number of classes.
    """

    def __init__(self, sentences: Sequence[Sentence], n_groups: int) -> None:
        keys = sorted({token.key for s in sentences for token in s.tokens})
        self._at = {key: i for i, key in enumerate(keys)}
        counts = np.full((len(keys), n_groups), _SMOOTHING)
        for sentence in sentences:
            for key in {token.key for token in sentence.tokens}:
                counts[self._at[key], sentence.group] += 1
        self._weights = np.log(counts / counts.sum(axis=0))

    def margin(self, tokens: Sequence[Token], group: int) -> float:
        """Return how much likelier a class is than the next, as a logarithm; infinite where it is alone."""
        at = [self._at[key] for key in {token.key for token in tokens}]
        scores = self._weights[at].sum(axis=0)
        return float(scores[group] - np.delete(scores, group).max(initial=-np.inf))


def shortest(sentences: Sequence[Sentence]) -> dict[int, int]:
    """Return the number of tokens of the shortest real text of each class: less is a fragment."""
    found: dict[int, int] = {}
    for sentence in sentences:
        n = len(sentence.tokens)
        found[sentence.group] = min(n, found.get(sentence.group, n))
    return found


def _terms(text: str) -> list[Term]:
    """Return the words and pairs of a text, each with how often it stood there before."""
    words = words_of(text)
    seen: Counter[object] = Counter()
    terms: list[Term] = []
    for term in (*words, *pairwise(words)):
        terms.append((term, seen[term]))
        seen[term] += 1
    return terms

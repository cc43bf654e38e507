"""What real texts never hold: words, spellings, pairs of words, characters and lengths new to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ._text_patterns import words_of

Floats = npt.NDArray[np.float64]

_COMMON = 200
_SPELT_LETTERS = 4
"""Shorter words have real neighbours everywhere: "cat", "car", "can"."""
_SPELT_USES = 3


@dataclass(frozen=True)
class TextAnomaly:
    """Something that real texts hardly do: how often each row does it, of how many chances.

    Parameters
    ----------
    name : str
        Its name, with the column.
    told : str
        What is counted, as the beginning of "...: 4.1 % against 0.9 % of real ones".
    slips, chances : numpy.ndarray, shape (n,)
        What is counted in each row, and the most that it could be.
    """

    name: str
    told: str
    slips: Floats
    chances: Floats

    @classmethod
    def counted(cls, name: str, told: str, rows: Iterable[tuple[float, float]]) -> TextAnomaly:
        """Return a slip from (slips, chances) of every row."""
        slips, chances = np.array(list(rows), dtype=np.float64).reshape(-1, 2).T
        return cls(name, told, slips, chances)

    @property
    def rate(self) -> float:
        """Slips by chances, 0 to 1; 0 where there was no chance."""
        return float(self.slips.sum() / max(self.chances.sum(), 1.0))


@dataclass(frozen=True)
class KnownTexts:
    """What the texts of real train rows hold.

    Parameters
    ----------
    words, characters : frozenset of str
        Those that are used at all.
    common : frozenset of str
        The 200 commonest words, and "|" for either end of a text.
    pairs : frozenset of (str, str)
        Neighbouring common words.
    near : frozenset of str
        The commoner longer words, whole and with any one letter left out.
    lengths : tuple of int
        Least and largest number of words.
    """

    words: frozenset[str]
    characters: frozenset[str]
    common: frozenset[str]
    pairs: frozenset[tuple[str, str]]
    near: frozenset[str]
    lengths: tuple[int, int]

    @classmethod
    def of(cls, texts: Sequence[str]) -> KnownTexts:
        """Return what these real texts hold."""
        words = Counter(word for text in texts for word in words_of(text))
        common = frozenset(["|", *(word for word, _ in words.most_common(_COMMON))])
        lengths = [len(words_of(text)) for text in texts]
        return cls(
            words=frozenset(words),
            characters=frozenset(c for text in texts for c in text),
            common=common,
            pairs=frozenset(pair for text in texts for pair in _neighbours(text, common)),
            near=frozenset(
                spelling
                for word, n in words.items()
                if n >= _SPELT_USES and len(word) >= _SPELT_LETTERS and word.isalpha()
                for spelling in _spellings(word)
            ),
            lengths=(min(lengths), max(lengths)),
        )

    def slips(self, name: str, texts: Sequence[str]) -> Iterator[TextAnomaly]:
        """Yield what these texts of a column do that the real ones do not.

        Parameters
        ----------
        name : str
            The column.
        texts : sequence of str, length n
            Its texts.
        """
        # Numbers are new in every real text too, and say nothing.
        words = [[word for word in words_of(text) if word.isalpha()] for text in texts]
        yield TextAnomaly.counted(
            f"unknown words of {name}",
            f"words of {name} that no real train text has",
            ((sum(word not in self.words for word in own), len(own)) for own in words),
        )
        yield TextAnomaly.counted(
            f"misspelt words of {name}",
            f"words of {name} that are one letter off a real one",
            ((sum(self._is_misspelt(word) for word in own), len(own)) for own in words),
        )
        yield TextAnomaly.counted(
            f"unknown order of words of {name}",
            f"common words of {name} that no real train text has side by side in this order",
            (self._out_of_order(text) for text in texts),
        )
        yield TextAnomaly.counted(
            f"unknown characters of {name}",
            f"texts of {name} with a character that no real train text has",
            ((not self.characters.issuperset(text), 1) for text in texts),
        )
        least, most = self.lengths
        yield TextAnomaly.counted(
            f"unknown lengths of {name}",
            f"texts of {name} shorter or longer than any real train text",
            ((not least <= len(words_of(text)) <= most, 1) for text in texts),
        )

    def _out_of_order(self, text: str) -> tuple[int, int]:
        """Return how many neighbouring common words are unknown as such, and how many there are.

        Pairs with a rarer word are new in real texts too, and new words are no matter of order.
        """
        pairs = _neighbours(text, self.common)
        return sum(pair not in self.pairs for pair in pairs), len(pairs)

    def _is_misspelt(self, word: str) -> bool:
        """Return whether a word is unknown, and one letter more, less, other or swapped makes it known."""
        if word in self.words or len(word) < _SPELT_LETTERS:
            return False
        return any(spelling in self.near for spelling in _spellings(word))


def _neighbours(text: str, common: frozenset[str]) -> list[tuple[str, str]]:
    told = pairwise(["|", *words_of(text), "|"])
    return [pair for pair in told if pair[0] in common and pair[1] in common]


def _spellings(word: str) -> set[str]:
    return {word, *(word[:at] + word[at + 1 :] for at in range(len(word)))}

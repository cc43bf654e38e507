"""How much of a text's words stand in one of many others: the check for near copies."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class WordIndex:
    """Which texts hold which words.

    Parameters
    ----------
    holders : mapping of str to numpy.ndarray of int
        Word in small letters -> texts that hold it.
    sizes : numpy.ndarray of int, shape (n,)
        Different words of each text.
    """

    holders: dict[str, npt.NDArray[np.int64]]
    sizes: npt.NDArray[np.int64]

    @classmethod
    def of(cls, texts: Sequence[str]) -> WordIndex:
        """Return the index of texts.

        Examples
        --------
        >>> WordIndex.of(["Rain in Rome", "snow"]).nearest_share("rain, rain in May or June")
        0.4
        """
        lists: dict[str, list[int]] = {}
        sizes = np.zeros(len(texts), np.int64)
        for row, text in enumerate(texts):
            words = _words(text)
            sizes[row] = len(words)
            for word in words:
                lists.setdefault(word, []).append(row)
        return cls({word: np.array(rows) for word, rows in lists.items()}, sizes)

    def nearest_share(self, text: str) -> float:
        """Return the greatest share of words, of the longer text, that one of the texts has in common."""
        words = _words(text)
        known = [self.holders[word] for word in words if word in self.holders]
        if not known:
            return 0.0
        rows, shared = np.unique(np.concatenate(known), return_counts=True)
        return float((shared / np.maximum(self.sizes[rows], len(words))).max())


def _words(text: str) -> list[str]:
    return list(dict.fromkeys(_WORD.findall(text.casefold())))

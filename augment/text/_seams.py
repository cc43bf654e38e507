"""Places where texts can be joined with others, and the word overlap of the result with real texts."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ._rows import TextRows

_WORDS = re.compile(r"\w+")


@dataclass(frozen=True)
class WordIndex:
    """Which texts hold which words."""

    holders: dict[str, npt.NDArray[np.int64]]  # Word in lowercase -> texts that hold it
    sizes: npt.NDArray[np.int64]  # Different words of each text, shape (n,)

    @classmethod
    def from_texts(cls, texts: Sequence[str]) -> WordIndex:
        """Return the index of texts.

        Examples
        --------
        >>> WordIndex.from_texts(["Rain in Rome", "snow"]).nearest_share("rain, rain in May or June")
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
    return list(dict.fromkeys(_WORDS.findall(text.casefold())))


_CLAUSE = re.compile(r"[,;:.!?…、。，！？؟،]\s+(?=\S)")
_WORD = re.compile(r"\w")


@dataclass(frozen=True)
class Seams:
    """The places at which texts may be cut, by what they are."""

    # By text: places in code points, each with the kind of its seam
    of_row: list[list[tuple[int, Hashable]]]
    # Kind of a seam, class of the texts included -> texts and places
    by_key: dict[Hashable, list[tuple[int, int]]]

    @classmethod
    def from_rows(cls, rows: TextRows, classes: npt.NDArray[np.int64]) -> Seams:
        """Return the seams of the texts of a set; texts of unlike classes have no seam in common."""
        of_row: list[list[tuple[int, Hashable]]] = []
        by_key: dict[Hashable, list[tuple[int, int]]] = {}
        marked = rows.marked
        spans = _spans_by_row(rows)
        inside = marked.within(strictly=True)
        for row, text in enumerate(marked.texts()):
            own: list[tuple[int, Hashable]] = []
            low = int(marked.bounds[row])
            for place, kind in _places(text, spans[row]):
                free = not inside[low + place] and bool(marked.cluster_borders[low + place])
                if free and _WORD.search(text[:place]) and _WORD.search(text[place:]):
                    key = (int(classes[row]), kind)
                    own.append((place, key))
                    by_key.setdefault(key, []).append((row, place))
            of_row.append(own)
        return cls(of_row, by_key)

    def pair(self, row: int, own_share: float, other_share: float) -> tuple[int, int, int] | None:
        """Return a cut of a text, another text and its cut, at these shares, 0 to 1, of those there are.

        None: the text has no seam, or it was met by itself.
        """
        own = self.of_row[row]
        if not own:
            return None
        place, key = own[int(own_share * len(own))]
        others = self.by_key[key]
        partner, partner_place = others[int(other_share * len(others))]
        return None if partner == row else (place, partner, partner_place)


def _places(text: str, spans: list[tuple[int, int, str]]) -> Iterator[tuple[int, Hashable]]:
    for start, end, label in spans:
        yield start, ("before", label)
        yield end, ("behind", label)
    for match in _CLAUSE.finditer(text):
        yield match.end(), "clause"


def _spans_by_row(rows: TextRows) -> list[list[tuple[int, int, str]]]:
    found: list[list[tuple[int, int, str]]] = [[] for _ in range(len(rows.marked))]
    starts, ends = rows.marked.places()
    for owner, start, end, label in zip(
        rows.marked.owners.tolist(), starts.tolist(), ends.tolist(), rows.labels
    ):
        found[owner].append((start, end, label or ""))
    return found

"""Texts as tokens with features of their context, and spans as tags of tokens."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Entity = tuple[int, int, int, str]
"""Text, start, end, label; in code points, half-open."""

N_BUCKETS = 1 << 16  # of features: a few thousand words with their pairs collide rarely
_TOKEN = re.compile(r"\w+|[^\w\s]")
_AFFIX = 3  # characters of a beginning or end: most suffixes of European languages
_REACH = 2  # words on each hand that describe a token
_OUTSIDE = 1  # feature beyond a text; hashes of words are 2 or more
_ODD = np.uint64(0x9E3779B97F4A7C15)  # 2**64 over the golden ratio: multiplicative hashing


@dataclass(frozen=True)
class TokenArrays:
    """Tokens of many texts, one after the other.

    Parameters
    ----------
    text, start, end : numpy.ndarray of int, shape (t,)
        Text of each token, and its position there, in code points.
    features : numpy.ndarray of int, shape (t, f)
        Buckets of its features.
    n_texts : int
        Number of texts, with or without tokens.
    """

    text: Ints
    start: Ints
    end: Ints
    features: Ints
    n_texts: int

    @classmethod
    def from_texts(cls, texts: Sequence[str]) -> TokenArrays:
        """Return the tokens of texts: words, and every other character by itself.

        Features are the word, its beginning, its end and its shape, the two words before and after it, and
        its pairs with its neighbours, hashed to 65,536 buckets.

        Examples
        --------
        >>> found = TokenArrays.from_texts(["Play it, Sam!", ""])
        >>> found.start.tolist(), found.text.tolist(), found.n_texts
        ([0, 5, 7, 9, 12], [0, 0, 0, 0, 0], 2)
        """
        known: dict[str, tuple[int, ...]] = {}
        rows, places = [], []
        for i, text in enumerate(texts):
            for found in _TOKEN.finditer(text):
                word = found.group()
                if word not in known:
                    known[word] = _hash_word(word)
                rows.append(known[word])
                places.append((i, found.start(), found.end()))
        place = np.array(places, dtype=np.int64).reshape(-1, 3)
        own = np.array(rows, dtype=np.uint64).reshape(-1, 4)
        features = _add_context(own, place[:, 0])
        return cls(place[:, 0], place[:, 1], place[:, 2], features, len(texts))

    def tags(self, spans: Sequence[Sequence[Mapping[str, Any]]], place: Mapping[str, int]) -> Ints:
        """Return the tag of each token, shape (t,): 0 outside, else by label 2 k + 1 first, 2 k + 2 inside.

        A token is in a span that more than half of it lies in; of two such spans in the earlier one.

        Parameters
        ----------
        spans : sequence
            The spans of each text.
        place : mapping
            Label -> k; spans of other labels are ignored.
        """
        out = np.zeros(len(self.text), dtype=np.int64)
        first = np.searchsorted(self.text, np.arange(self.n_texts + 1))
        for i, own in enumerate(spans):
            tokens = slice(first[i], first[i + 1])
            starts, ends = self.start[tokens], self.end[tokens]
            for span in sorted(own, key=lambda one: (-one["start"], one["end"])):
                k = place.get(str(span["label"]))
                inside = np.minimum(ends, span["end"]) - np.maximum(starts, span["start"])
                covered = np.flatnonzero(2 * inside > ends - starts)
                if k is not None and len(covered):
                    out[first[i] + covered] = 2 * k + 2
                    out[first[i] + covered[0]] = 2 * k + 1
        return out

    def entities(self, tags: Ints, labels: Sequence[str]) -> list[Entity]:
        """Return the spans of tags; an inside tag that follows no span of its label begins one.

        Examples
        --------
        >>> TokenArrays.from_texts(["in New York now"]).entities(np.array([0, 1, 2, 0]), ["city"])
        [(0, 3, 11, 'city')]
        """
        found: list[Entity] = []
        before, text = 0, -1
        for i in np.flatnonzero(tags):
            tag, at = int(tags[i]), int(self.text[i])
            joined = i > 0 and at == text and tag % 2 == 0 and before == i - 1
            label = labels[(tag - 1) // 2]
            if joined and found[-1][3] == label:
                found[-1] = (at, found[-1][1], int(self.end[i]), label)
            else:
                found.append((at, int(self.start[i]), int(self.end[i]), label))
            before, text = int(i), at
        return found


def _hash_word(word: str) -> tuple[int, ...]:
    """Return hashes of a word in lowercase, its end, its beginning and its shape."""
    small = word.lower()
    shape = re.sub(r"(.)\1+", r"\1", re.sub(r"[a-z]", "a", re.sub(r"[A-Z]", "A", word)))
    shape = re.sub(r"\d+", "0", shape) if len(word) > 1 else shape
    parts = (small, small[-_AFFIX:], small[:_AFFIX], shape[:8])
    return tuple(zlib.crc32(part.encode()) + 2 for part in parts)


def _add_context(own: npt.NDArray[np.uint64], text: Ints) -> Ints:
    """Return the buckets of all features, shape (t, f), from the hashes of each token."""
    word = own[:, 0]
    near = {0: word}
    for step in range(1, _REACH + 1):
        for side in (-step, step):
            near[side] = _shift(word, text, side)
    shape_before = _shift(own[:, 3], text, -1)
    features = [
        *(own[:, k] for k in range(1, 4)),
        *(near[side] for side in sorted(near)),
        shape_before,
        near[-1] * np.uint64(31) + near[0],
        near[0] * np.uint64(31) + near[1],
        np.ones(len(word), dtype=np.uint64),
    ]
    mixed = [(part + np.uint64(977 * (k + 1))) * _ODD for k, part in enumerate(features)]
    return np.stack([(part >> np.uint64(48)).astype(np.int64) for part in mixed], axis=1)


def _shift(values: npt.NDArray[np.uint64], text: Ints, by: int) -> npt.NDArray[np.uint64]:
    """Return the value `by` tokens away in the same text; a constant where there is none."""
    out = np.full(len(values), _OUTSIDE, dtype=np.uint64)
    n = len(values) - abs(by)
    if n > 0:
        here, there = (slice(-by, None), slice(0, n)) if by < 0 else (slice(0, n), slice(by, None))
        same = text[here] == text[there]
        out[here] = np.where(same, values[there], np.uint64(_OUTSIDE))
    return out

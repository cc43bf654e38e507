"""`LabelModel`: naive Bayes of labels given words, to find labels that the words contradict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .._bootstrap_metric import Bools, Floats, Ints
from .._samples import MIN_SHOWN
from ._text_arrays import Hashes

MAX_LABELS = 300  # more are names of things, not labels
_MAX_TESTED = 20  # labels that are tested one by one: rarer ones have few rows
_CELL_BITS = 14  # 16,000 counters a label: 300 labels take 20 MB
_SMOOTHING = 0.3  # added to the counts, so that no word excludes a label
_BLOCK = 50_000  # rows of which the scores of all labels are held at a time


def frequent_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """Return the labels that are tested one by one: the most frequent ones that may be named."""
    counts = Counter(labels).most_common(_MAX_TESTED)
    return tuple(label for label, n in counts if n >= MIN_SHOWN and label)


@dataclass(frozen=True)
class LabelModel:
    """Multinomial naive Bayes of hashed words; all labels are equally likely beforehand."""

    levels: tuple[str, ...]
    weights: Floats  # (cells, k)

    @classmethod
    def fit(cls, words: Hashes, rows: Ints, labels: Sequence[str]) -> LabelModel:
        """Return the model of labels of rows; `rows` says which row has each word."""
        levels = tuple(sorted(set(labels)))[:MAX_LABELS]
        codes = _codes(levels, labels)
        counts = np.zeros((1 << _CELL_BITS, len(levels)))
        cells = _cells(words)
        there = codes[rows] >= 0
        np.add.at(counts, (cells[there], codes[rows][there]), 1.0)
        # By the share of the label's rows, so that labels with longer texts are not preferred.
        sizes = np.bincount(codes[codes >= 0], minlength=len(levels))
        share = (counts + _SMOOTHING * counts.sum(axis=1, keepdims=True) / max(len(levels), 1)) / (
            sizes + _SMOOTHING
        )
        share += 1 / (sizes.sum() + 1.0)
        return cls(levels, np.log(share))

    def is_known(self, labels: Sequence[str]) -> Bools:
        """Return which labels a train row has."""
        return np.asarray(_codes(self.levels, labels) >= 0)

    def contradictions(self, words: Hashes, rows: Ints, labels: Sequence[str]) -> Floats:
        """Return the log odds of the most likely other label against the given one, shape (n,).

        They grow with the words of a row, and are divided by the root of their number. NaN where the
        label is unknown or the row has no word.
        """
        from scipy.sparse import csr_matrix

        codes, n = _codes(self.levels, labels), len(labels)
        out = np.full(n, np.nan)
        if len(self.levels) < 2 or not n:
            return out
        shape = (n, 1 << _CELL_BITS)
        held = csr_matrix((np.ones(len(words)), (rows, _cells(words))), shape=shape)
        for first in range(0, n, _BLOCK):
            part = slice(first, first + _BLOCK)
            scores = held[part] @ self.weights
            known = np.flatnonzero((codes[part] >= 0) & (np.diff(held[part].indptr) > 0))
            own = scores[known, codes[part][known]].copy()
            scores[known, codes[part][known]] = -np.inf
            odds = scores[known].max(axis=1) - own
            out[first + known] = odds / np.sqrt(np.diff(held[part].indptr)[known] + 1)
        return out


def _codes(levels: Sequence[str], labels: Sequence[str]) -> Ints:
    place = {level: i for i, level in enumerate(levels)}
    return np.array([place.get(label, -1) for label in labels], dtype=np.int64)


def _cells(words: Hashes) -> Ints:
    return (words >> np.uint64(64 - _CELL_BITS)).astype(np.int64)

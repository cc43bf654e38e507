"""Texts as counts: words, pairs of words, lengths; and a frontier between two tables of shares."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from twinset.core.dataset import Dataset
from twinset.core.resampling import Groups

Floats = npt.NDArray[np.float64]
Texts = list[list[str]]

_WORD = re.compile(r"\w+")
_SCALE = 5.0
_MIXTURES = np.linspace(0.01, 0.99, 25)


def words_of(dataset: Dataset, name: str) -> Texts:
    """Return the words of each text in small letters; of a missing one, none.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.schema import Field, Schema
    >>> schema = Schema((Field(name="t", kind="text"),))
    >>> words_of(Dataset.from_arrow(pa.table({"t": ["Bad, bad dog!", None]}), schema), "t")
    [['bad', 'bad', 'dog'], []]
    """
    texts = dataset.records.column(name).to_pylist()
    return [_WORD.findall(text.lower()) if text else [] for text in texts]


def pairs_of(texts: Texts) -> Texts:
    """Return the pairs of neighbouring words of each text.

    Examples
    --------
    >>> pairs_of([["bad", "bad", "dog"], ["dog"]])
    [['bad bad', 'bad dog'], []]
    """
    return [[f"{a} {b}" for a, b in pairwise(text)] for text in texts]


def commonest(texts: Texts, most: int) -> dict[str, int]:
    """Return the place of each of the `most` commonest terms, equally common ones by the alphabet.

    Examples
    --------
    >>> commonest([["b", "a"], ["b", "c"]], 2)
    {'b': 0, 'a': 1}
    """
    counts = Counter(term for text in texts for term in text)
    order = sorted(counts, key=lambda term: (-counts[term], term))[:most]
    return {term: i for i, term in enumerate(order)}


def term_counts(texts: Texts, places: dict[str, int], groups: Groups) -> Floats:
    """Return how often each term is in the texts of each group, shape (g, k + 2).

    All other terms come last but one, and texts without any term last.
    """
    other, none = len(places), len(places) + 1
    found = [[places.get(term, other) for term in text] or [none] for text in texts]
    group = np.repeat(groups.group, [len(text) for text in found])
    flat = group * (none + 1) + np.array([place for text in found for place in text])
    counts = np.bincount(flat, minlength=groups.size * (none + 1))
    return counts.reshape(groups.size, none + 1).astype(np.float64)


def lengths(texts: Texts) -> Floats:
    """Return the number of words of each text, shape (n,)."""
    return np.array([len(text) for text in texts], dtype=np.float64)


def frontier(p: Floats, q: Floats) -> Floats:
    """Return the area under the divergence frontier of two tables of shares, line by line, in [0, 1].

    Both are held against every mixture of them: 1 is the same table, 0 two that share nothing. The
    statistic of MAUVE, on whatever cells the shares are of.

    Parameters
    ----------
    p, q : numpy.ndarray, shape (b, k)
        Shares, each line summing to 1.

    References
    ----------
    Pillutla and others, "MAUVE: Measuring the Gap Between Neural Text and Human Text using Divergence
    Frontiers", NeurIPS 2021.

    Examples
    --------
    >>> one, other = np.array([[0.5, 0.5, 0.0]]), np.array([[0.0, 0.0, 1.0]])
    >>> frontier(one, one).tolist(), frontier(one, other).round(2).tolist()
    ([1.0], [0.0])
    """
    x, y = [np.zeros(len(p))], [np.ones(len(p))]
    for share in _MIXTURES:
        mixture = share * p + (1 - share) * q
        x.append(np.exp(-_SCALE * _divergence(q, mixture)))
        y.append(np.exp(-_SCALE * _divergence(p, mixture)))
    x.append(np.ones(len(p)))
    y.append(np.zeros(len(p)))
    across, up = np.stack(x), np.stack(y)
    # With more of p in the mixture q is farther from it: the curve runs from right to left.
    order = np.argsort(across, axis=0, kind="stable")
    across, up = np.take_along_axis(across, order, axis=0), np.take_along_axis(up, order, axis=0)
    area = (np.diff(across, axis=0) * (up[1:] + up[:-1]) / 2).sum(axis=0)
    return np.asarray(np.minimum(area, 1.0))


def _divergence(p: Floats, mixture: Floats) -> Floats:
    """Return the Kullback-Leibler divergence of `p` from a mixture that holds it, line by line."""
    ratio = np.divide(p, mixture, out=np.ones_like(p), where=p > 0)
    return np.asarray((p * np.log(ratio)).sum(axis=1))

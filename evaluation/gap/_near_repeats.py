"""Texts that are another one but for the order of their words and one word at most."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]

_FEWEST_WORDS = 5
"""Texts of fewer words are often alike but for one: "play jazz", "play rock"."""


def near_repeats(texts: Sequence[Sequence[str]]) -> tuple[Mask, Mask]:
    """Return which texts nearly repeat another one, and which were looked at, each of shape (n,).

    Equal texts are looked at once, and texts of fewer than five words not at all. A bag of words is told
    by the sum of random numbers, one a word; two bags are near when taking one word away from either,
    or none, makes the sums equal.

    Parameters
    ----------
    texts : sequence of sequence of str, length n
        The words of each text.

    Examples
    --------
    >>> said = ["a b c d e", "a b c d f", "a b c d e", "v w x y z", "a b"]
    >>> near, seen = near_repeats([text.split() for text in said])
    >>> near.tolist(), seen.tolist()
    ([True, True, False, False, False], [True, True, False, True, False])
    """
    number: dict[str, int] = {}
    first: dict[tuple[str, ...], int] = {}
    for row, words in enumerate(texts):
        if len(words) >= _FEWEST_WORDS:
            first.setdefault(tuple(words), row)
            for word in words:
                number.setdefault(word, len(number))
    # A fixed generator: these numbers only tell words apart.
    codes = np.random.default_rng(0).integers(1, 1 << 63, max(len(number), 1), dtype=np.uint64)
    owners, keys = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.uint64)]
    for told, row in first.items():
        own = codes[[number[word] for word in told]]
        whole = own.sum(dtype=np.uint64)
        keys.append(np.unique(np.append(whole - own, whole)))
        owners.append(np.full(len(keys[-1]), row))
    _, place, times = np.unique(np.concatenate(keys), return_inverse=True, return_counts=True)
    near, seen = np.zeros(len(texts), dtype=bool), np.zeros(len(texts), dtype=bool)
    near[np.concatenate(owners)[times[place] > 1]] = True
    seen[list(first.values())] = True
    return near, seen

"""Texts that repeat one another within a set, in whole, in part or in their skeleton."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .._bootstrap_metric import Bools, Ints
from ._sequence_model import look_up
from ._text_arrays import SYMBOL, Hashes, Keys, TextArrays, chain, scramble

_MIN_NEAR_WORDS = 5  # in a near copy: shorter texts often differ by one word only
_COMMON_SHARE = 0.01  # of the texts that use a word of a skeleton; rarer words are its slots
_SLOT = np.uint64(3)
_OPENING = 3  # words at either end
_PHRASE = 4  # words of a phrase within


def whole_keys(texts: TextArrays) -> Hashes:
    """Return a hash of the words of each text, whatever their case and blanks, shape (n,)."""
    return _add_up(texts, chain(texts.words, texts.rank.astype(np.uint64)))


def repeated_groups(texts: TextArrays) -> Ints:
    """Return for each text the group of those with the same words, -1 where no other has them."""
    return _group(whole_keys(texts))


def _group(keys: Hashes) -> Ints:
    _, place, sizes = np.unique(keys, return_inverse=True, return_counts=True)
    return np.where(sizes[place] > 1, place, -1)


def near_groups(texts: TextArrays) -> Ints:
    """Return for each text the group of texts that differ in one word from one of it, -1 if in none.

    A text and one with another word in its place share the hash of all other words, added up.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    n = len(texts)
    sums = _add_up(texts, scramble(texts.words))
    is_long = texts.n_tokens >= _MIN_NEAR_WORDS
    own = is_long[texts.owner]
    owner = texts.owner[own]
    less_one = sums[owner] - scramble(texts.words[own])
    rows = np.concatenate([np.flatnonzero(is_long), owner])
    keys = np.concatenate([sums[is_long], less_one])
    _, place, sizes = np.unique(keys, return_inverse=True, return_counts=True)
    shared = sizes[place] > 1
    cells = coo_matrix(
        (np.ones(int(shared.sum()), np.int8), (rows[shared], n + place[shared])),
        shape=(n + len(sizes),) * 2,
    )
    groups = connected_components(cells, directed=False)[1][:n]
    return _group(groups.astype(np.uint64))


def count_groups(groups: Ints) -> Bools:
    """Return which texts are the first of their group: groups, not their texts, are independent."""
    first = np.zeros(len(groups), dtype=bool)
    there = np.flatnonzero(groups >= 0)
    first[there[np.unique(groups[there], return_index=True)[1]]] = True
    return first


@dataclass(frozen=True)
class PhraseKeys:
    """What texts of one template share; common words are those of either set."""

    common: Hashes  # sorted

    @classmethod
    def fit(cls, *sets: TextArrays) -> PhraseKeys:
        """Return the keys for sets of which one may have words that the others lack."""
        found = [np.zeros(0, np.uint64)]
        for texts in sets:
            words = np.unique(chain(texts.words, texts.owner.astype(np.uint64)), return_index=True)
            known, uses = np.unique(texts.words[words[1]], return_counts=True)
            found.append(known[uses >= max(_COMMON_SHARE * len(texts), 3)])
        return cls(np.unique(np.concatenate(found)))

    def keys(self, texts: TextArrays) -> Mapping[str, Keys]:
        """Return the whole text, its opening and ending, its phrases and its skeleton as keys."""
        n, owner = len(texts), texts.owner
        rank: Ints = texts.rank
        from_end: Ints = texts.n_tokens[owner] - rank
        is_long, rows = texts.n_tokens > _OPENING, np.arange(n)
        forward, backward = (chain(texts.words, k.astype(np.uint64)) for k in (rank, from_end))
        opening = _add_up(texts, forward, rank < _OPENING)
        ending = _add_up(texts, backward, from_end <= _OPENING)
        return {
            "one text": (whole_keys(texts), rows),
            "one character": self._characters(texts),
            "one word": (texts.words, owner),
            "one opening": (opening[is_long], rows[is_long]),
            "one ending": (ending[is_long], rows[is_long]),
            "one phrase": texts.runs(_PHRASE),
            "one template": (self._skeletons(texts)[is_long], rows[is_long]),
        }

    def _characters(self, texts: TextArrays) -> Keys:
        """Return the marks of each text, e.g. one kind of quotes."""
        places = np.flatnonzero(texts.classes == SYMBOL)
        owner = np.searchsorted(texts.starts, places, side="right") - 1
        return texts.raw[places].astype(np.uint64), owner

    def _skeletons(self, texts: TextArrays) -> Hashes:
        """Return the hash of the common words of each text with their slots, runs of slots as one."""
        is_common = look_up(texts.words, self.common, np.ones(len(self.common), np.int64)) > 0
        is_common &= texts.digits == 0
        first = np.ones(len(is_common), dtype=bool)
        first[1:] = texts.owner[1:] != texts.owner[:-1]
        kept = is_common.copy()
        kept[1:] |= is_common[:-1]
        kept |= first
        symbols = np.where(is_common, texts.words, _SLOT)
        n_kept = np.cumsum(kept)
        place: Ints = n_kept - np.maximum.accumulate(np.where(first, n_kept, 0))
        return _add_up(texts, chain(symbols, place.astype(np.uint64)), kept)


def _add_up(texts: TextArrays, hashes: Hashes, chosen: Bools | None = None) -> Hashes:
    """Return the sum of the hashes of the chosen tokens of each text, shape (n,)."""
    out = np.zeros(len(texts), dtype=np.uint64)
    own = np.ones(len(hashes), dtype=bool) if chosen is None else chosen
    np.add.at(out, texts.owner[own], hashes[own])
    return out

"""Values that one real train text alone has, and texts that have one of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .._bootstrap_metric import Bools, Ints
from ._text_arrays import Hashes, TextArrays, chain

_MIN_LETTERS = 4  # of a rare word: shorter ones are short forms and typing errors
_MIN_DIGITS = (
    5  # of a number of a person: phone, account, postal code; years and prices are shorter
)
_RETOLD = 0.5  # share of words from one train text: two adverts with one number are near copies
_OF_PERSONS = ("a number", "an address", "a code", "a name")
_PASSAGE = 6  # words of a passage: real texts share shorter ones by chance
_NUMBER = re.compile(r"\+?\(?\d(?:[\d \t().\-/]*\d)?")
_ADDRESS = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+|(?:https?://|www\.)[^\s\x02]+")


@dataclass(frozen=True)
class SingleValues:
    """Numbers, addresses, words, names and passages, each of one train text alone, as sorted hashes."""

    values: Mapping[str, tuple[Hashes, Ints]]  # kind -> values, sorted, and the text of each
    words: Hashes  # of all train texts, each together with its text, sorted

    @classmethod
    def fit(cls, texts: TextArrays) -> SingleValues:
        """Return the values that one train text alone has."""
        values = {kind: _single(*found) for kind, found in _read_values(texts).items()}
        return cls(values, np.unique(chain(texts.words, texts.owner.astype(np.uint64))))

    def find_copies(self, texts: TextArrays) -> dict[str, Bools]:
        """Return which texts have such a value, by kind, shape (n,); and which in other words."""
        out = {}
        for kind, (keys, rows) in _read_values(texts).items():
            known, source = self.values[kind]
            place = np.searchsorted(known, keys).clip(max=max(len(known) - 1, 0))
            hit = known[place] == keys if len(known) else np.zeros(len(keys), dtype=bool)
            found = rows[hit]
            out[f"{kind} of one real text"] = _flag(found, len(texts))
            if kind in _OF_PERSONS:
                other = ~self._is_retold(texts, found, source[place[hit]])
                out[f"{kind} of one real text in other words"] = _flag(found[other], len(texts))
        return out

    def _is_retold(self, texts: TextArrays, rows: Ints, sources: Ints) -> Bools:
        """Return which texts have half of their words from the train text that has the value."""
        pair = np.repeat(np.arange(len(rows)), texts.n_tokens[rows])
        first = (np.cumsum(texts.n_tokens) - texts.n_tokens)[rows]
        sizes = texts.n_tokens[rows]
        token = np.repeat(first - (np.cumsum(sizes) - sizes), sizes) + np.arange(len(pair))
        keys = chain(texts.words[token], sources[pair].astype(np.uint64))
        shared = np.bincount(pair, np.isin(keys, self.words), len(rows))
        return np.asarray(shared >= _RETOLD * sizes)


def _flag(rows: Ints, n: int) -> Bools:
    found = np.zeros(n, dtype=bool)
    found[rows] = True
    return found


def _single(keys: Hashes, rows: Ints) -> tuple[Hashes, Ints]:
    """Return the sorted keys that one row alone has, however often, and that row."""
    order = np.lexsort((rows, keys))
    keys, rows = keys[order], rows[order]
    known, first, uses = np.unique(keys, return_index=True, return_counts=True)
    alone = rows[first] == rows[first + uses - 1]
    return known[alone], rows[first[alone]]


def _read_values(texts: TextArrays) -> dict[str, tuple[Hashes, Ints]]:
    whole = texts.raw.tobytes().decode("utf-32-le", "surrogatepass")
    words, owner = texts.words, texts.owner
    size = texts.tokens[1] - texts.tokens[0]
    is_word = texts.is_word & (texts.digits == 0) & (size >= _MIN_LETTERS)
    is_name = texts.is_word & (texts.raw[texts.tokens[0]] != texts.lower[texts.tokens[0]])
    is_pair = is_name[:-1] & is_name[1:] & (owner[1:] == owner[:-1])
    is_code = texts.is_word & (texts.digits >= 2) & (texts.digits < size) & (size >= _MIN_DIGITS)
    return {
        "a number": _matches(texts, whole, _NUMBER, re.compile(r"\D"), _MIN_DIGITS),
        "an address": _matches(texts, whole, _ADDRESS, re.compile(r"[\s.,;]+$"), 1),
        "a code": (words[is_code], owner[is_code]),
        "a rare word": (words[is_word], owner[is_word]),
        "a name": (chain(words[:-1], words[1:])[is_pair], owner[:-1][is_pair]),
        "a passage": texts.runs(_PASSAGE),
    }


def _matches(
    texts: TextArrays, whole: str, pattern: re.Pattern[str], noise: re.Pattern[str], min_size: int
) -> tuple[Hashes, Ints]:
    """Return the hashes of all matches without noise of at least a size, and their texts."""
    found = [(noise.sub("", one.group()), one.start()) for one in pattern.finditer(whole)]
    found = [one for one in found if len(one[0]) >= min_size]
    places = np.array([place for _, place in found], dtype=np.int64)
    arrays = TextArrays.from_texts([value for value, _ in found])
    hashes = arrays.hash_ranges(arrays.starts, arrays.ends)
    return hashes, np.searchsorted(texts.starts, places, side="right") - 1

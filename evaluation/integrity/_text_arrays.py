"""`TextArrays`: characters and tokens of many texts in flat arrays, so that no check loops over rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from .._bootstrap_metric import Bools, Floats, Ints

Hashes = npt.NDArray[np.uint64]
Characters = npt.NDArray[np.uint32]
Keys = tuple[Hashes, Ints]
"""Hashes, and the rows that have them."""

PADDING = 4  # characters between two texts: as many as the longest context of the letter model
BLANK, WORD, SYMBOL, NOTHING = range(4)
_PAD = "\x02"  # a character that no text uses
_PLANE = 0x10000  # code points beyond are symbols, e.g. emoji
# Odd, so that its powers have inverses modulo 2^64
_BASE = 0x9E3779B97F4A7C15
# Those of splitmix64
_MULTIPLIERS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)


def scramble(values: Hashes) -> Hashes:
    """Return well spread hashes of 64-bit values: the finalizer of splitmix64."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(_MULTIPLIERS[0])
    values = (values ^ (values >> np.uint64(27))) * np.uint64(_MULTIPLIERS[1])
    return values ^ (values >> np.uint64(31))


def chain(earlier: Hashes, later: Hashes) -> Hashes:
    """Return one hash for each ordered pair of hashes."""
    return scramble(earlier * np.uint64(_BASE) + later)


@dataclass(frozen=True)
class TextArrays:
    """Texts one after the other, with padding before the first, between two and after the last.

    A token is a run of letters and digits, or one other character that is no blank.
    """

    raw: Characters  # (c,): code points as written
    starts: Ints  # (n,): position of the first character of each text
    ends: Ints  # (n,): position after its last one

    @classmethod
    def from_texts(cls, texts: Sequence[str]) -> TextArrays:
        """Return the arrays of these texts."""
        pad = _PAD * PADDING
        joined = pad + "".join([text + pad for text in texts])
        raw = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
        ends = PADDING + np.cumsum(lengths + PADDING) - PADDING
        return cls(raw, ends - lengths, ends)

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.starts)

    @cached_property
    def lower(self) -> Characters:
        """Code points in lowercase, shape (c,)."""
        return self._translate(_lowercase())

    @cached_property
    def classes(self) -> npt.NDArray[np.uint8]:
        """Class of each character: blank, word, symbol, or nothing for padding, shape (c,)."""
        found = np.full(len(self.raw), SYMBOL, dtype=np.uint8)
        inside = self.raw < _PLANE
        found[inside] = _classes()[self.raw[inside]]
        edges = np.zeros(len(self.raw) + 1, dtype=np.int8)
        np.add.at(edges, self.starts, 1)
        np.add.at(edges, self.ends, -1)
        found[np.cumsum(edges[:-1]) == 0] = NOTHING
        return found

    @cached_property
    def owner(self) -> Ints:
        """Text of each token, shape (t,)."""
        return np.searchsorted(self.starts, self.tokens[0], side="right") - 1

    @cached_property
    def tokens(self) -> tuple[Ints, Ints]:
        """First position and position after the last one of each token, each of shape (t,)."""
        is_word, is_symbol = self.classes == WORD, self.classes == SYMBOL
        begins = is_word.copy()
        begins[1:] &= ~is_word[:-1]
        finishes = is_word.copy()
        finishes[:-1] &= ~is_word[1:]
        first, last = np.flatnonzero(begins | is_symbol), np.flatnonzero(finishes | is_symbol)
        return first, last + 1

    @cached_property
    def is_word(self) -> Bools:
        """Whether each token is a run of letters and digits, shape (t,)."""
        return np.asarray(self.classes[self.tokens[0]] == WORD)

    @cached_property
    def words(self) -> Hashes:
        """Hash of each token in lowercase, shape (t,)."""
        return self.hash_ranges(*self.tokens)

    @cached_property
    def digits(self) -> Ints:
        """Number of digits of each token, shape (t,)."""
        return self.count_in(np.asarray((self.raw >= ord("0")) & (self.raw <= ord("9"))))

    @cached_property
    def n_tokens(self) -> Ints:
        """Number of tokens of each text, shape (n,)."""
        return np.bincount(self.owner, minlength=len(self))

    @cached_property
    def rank(self) -> Ints:
        """Place of each token within its text, from 0, shape (t,)."""
        return np.arange(len(self.owner)) - (np.cumsum(self.n_tokens) - self.n_tokens)[self.owner]

    @cached_property
    def shapes(self) -> tuple[Hashes, Ints]:
        """Hash of the form of each run without blanks that has a digit, e.g. 00:00, and its text."""
        code = self.raw.copy()
        is_digit = (code >= ord("0")) & (code <= ord("9"))
        code[is_digit] = ord("0")
        code[(self.classes == WORD) & ~is_digit] = ord("a")
        filled = np.concatenate([[0], (self.classes != BLANK) & (self.classes != NOTHING), [0]])
        steps = np.diff(filled.astype(np.int8))
        first, last = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
        digits = np.concatenate([[0], np.cumsum(is_digit)])
        own = digits[last] > digits[first]
        hashes = _hash_ranges(*_prefix_hashes(code), first[own], last[own])
        return hashes, np.searchsorted(self.starts, first[own], side="right") - 1

    def without_a_letter(self, chosen: Bools) -> tuple[Hashes, Ints]:
        """Return hashes of the chosen tokens without each letter but the last, and their tokens."""
        inverses, sums = self._prefixes
        token = np.flatnonzero(chosen)
        # Forms of one word differ in the last letter: "card", "cards".
        sizes = (self.tokens[1] - self.tokens[0])[token] - 1
        token = np.repeat(token, sizes)
        first, last = self.tokens[0][token], self.tokens[1][token]
        letter = first + np.arange(len(token)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        head = (sums[letter] - sums[first]) * inverses[first]
        tail = (sums[last] - sums[letter + 1]) * inverses[first + 1]
        return scramble(head + tail + (last - first - 1).astype(np.uint64)), token

    def count_in(self, hits: Bools) -> Ints:
        """Return how many characters of each token are hits, shape (t,)."""
        total = np.concatenate([[0], np.cumsum(hits)])
        return np.asarray(total[self.tokens[1]] - total[self.tokens[0]])

    def hash_ranges(self, first: Ints, last: Ints) -> Hashes:
        """Return the hash of the characters from `first` up to `last`, in lowercase."""
        return _hash_ranges(*self._prefixes, first, last)

    def by_text(self, values: Floats) -> Floats:
        """Return the sum of a number of each token, by text, shape (n,)."""
        return np.bincount(self.owner, values, len(self)).astype(np.float64)

    def any_in(self, hits: Bools) -> Bools:
        """Return whether a hit of the tokens lies in each text, shape (n,)."""
        return np.bincount(self.owner[hits], minlength=len(self)) > 0

    def runs(self, n: int) -> tuple[Hashes, Ints]:
        """Return the hashes of all runs of `n` adjacent tokens within a text, and their texts."""
        found = self.words
        for _ in range(n - 1):
            found = chain(found[:-1], self.words[len(self.words) - len(found) + 1 :])
        owner = self.owner[: len(found)]
        inside = owner == self.owner[len(self.owner) - len(found) :]
        return found[inside], owner[inside]

    @cached_property
    def _prefixes(self) -> tuple[Hashes, Hashes]:
        return _prefix_hashes(self.lower)

    def _translate(self, table: Characters) -> Characters:
        found = self.raw.copy()
        inside = found < _PLANE
        found[inside] = table[found[inside]]
        return found


def _prefix_hashes(code: Characters) -> tuple[Hashes, Hashes]:
    """Return the inverse powers of the base, and the sums of code points by its powers."""
    steps = [np.full(len(code) + 1, one, np.uint64) for one in (_BASE, pow(_BASE, -1, 1 << 64))]
    for one in steps:
        one[0] = 1
    powers, inverses = (np.cumprod(one, dtype=np.uint64) for one in steps)
    terms = (code.astype(np.uint64) + np.uint64(1)) * powers[:-1]
    return inverses, np.concatenate([np.zeros(1, np.uint64), np.cumsum(terms, dtype=np.uint64)])


def _hash_ranges(inverses: Hashes, sums: Hashes, first: Ints, last: Ints) -> Hashes:
    """Return the hash of the code points from `first` up to `last`: equal runs have equal hashes."""
    return scramble((sums[last] - sums[first]) * inverses[first] + (last - first).astype(np.uint64))


@lru_cache(maxsize=1)
def _lowercase() -> Characters:
    """Return the lowercase of each code point of the first plane that has one of one character."""
    lower = [chr(code).lower() for code in range(_PLANE)]
    return np.array([ord(c) if len(c) == 1 else i for i, c in enumerate(lower)], dtype=np.uint32)


@lru_cache(maxsize=1)
def _classes() -> npt.NDArray[np.uint8]:
    """Return the class of each code point of the first plane."""
    letters = [chr(code) for code in range(_PLANE)]
    return np.array(
        [WORD if c.isalnum() or c == "_" else BLANK if c.isspace() else SYMBOL for c in letters],
        dtype=np.uint8,
    )

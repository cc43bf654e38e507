"""What noise looks at: kinds of characters, words, what may be touched, and chance by place."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from twinset.core.seeding import GOLDEN, spread

from ._annotated import AnnotatedTexts, Codes, Ints, Mask
from ._graphemes import by_character

Floats = npt.NDArray[np.float64]
Protect = Literal["entities", "values", "none"]

LETTER, SCRIPT, MARK, DIGIT, PUNCTUATION, BLANK = range(1, 7)
"""Kinds of characters: LETTER of an alphabet, SCRIPT for letters of all other scripts."""

_JOINERS = tuple(ord(mark) for mark in "'’-‐")
"""Part of a word between two letters: apostrophes and hyphens."""


@dataclass(frozen=True)
class Ground:
    """Texts as one kind of noise finds them."""

    marked: AnnotatedTexts
    # A number of each text, from which all its chance comes, shape (n,)
    keys: npt.NDArray[np.uint64]
    protect: Protect  # What of the marks must stay
    # Texts in which one unit is touched whatever the rate, where they have any, shape (n,)
    sure: Mask | None = None

    @property
    def codes(self) -> Codes:
        """All code points."""
        return self.marked.codes

    @cached_property
    def kinds(self) -> npt.NDArray[np.uint8]:
        """Kind of each character, shape (c,); 0 is none of them."""
        return np.asarray(by_character(self.codes, _kind_of), np.uint8)

    @cached_property
    def is_single(self) -> Mask:
        """Which code points are a whole grapheme cluster, shape (c,)."""
        return np.asarray(self.marked.cluster_borders[:-1] & self.marked.cluster_borders[1:])

    @cached_property
    def clusters(self) -> tuple[Ints, Ints, Mask]:
        """Start and end of each grapheme cluster, and whether no border of a mark is inside it."""
        starts = np.flatnonzero(self.marked.cluster_borders[:-1])
        ends = np.append(starts[1:], len(self.codes))
        borders = np.cumsum(self.marked.borders)
        return starts, ends, borders[ends - 1] == borders[starts]

    @cached_property
    def is_word(self) -> Mask:
        """Which characters are letters, marks on them, or apostrophes and hyphens between, shape (c,)."""
        is_letter = (self.kinds >= LETTER) & (self.kinds <= MARK)
        is_word = is_letter.copy()
        if len(is_word) > 2:
            between = np.isin(self.codes[1:-1], _JOINERS) & is_letter[:-2] & is_letter[2:]
            is_word[1:-1] |= between
        return is_word

    @cached_property
    def words(self) -> tuple[Ints, Ints]:
        """Start and end of each word; a word that reaches over the border of a mark counts as two."""
        is_word = np.concatenate([[False], self.is_word, [False]])
        borders = self.marked.borders
        starts = is_word[1:] & (~is_word[:-1] | borders)
        ends = is_word[:-1] & (~is_word[1:] | borders)
        return np.flatnonzero(starts), np.flatnonzero(ends)

    @cached_property
    def is_inner_letter(self) -> Mask:
        """Which letters of alphabets are whole clusters and not the first of their word, shape (c,)."""
        inner: Mask = (self.kinds == LETTER) & self.is_single & self.is_open()
        inner[self.words[0]] = False
        return inner

    def is_open(self, *, keeps_value: bool = False) -> Mask:
        """Return which characters may change, shape (c,); `keeps_value`: by case, accent or blank."""
        if self.protect == "none" or (self.protect == "values" and keeps_value):
            return np.ones(len(self.codes), dtype=bool)
        return ~self.marked.within()[:-1]

    def chance(self, places: Ints, salt: int) -> Floats:
        """Return a number in [0, 1) for each place, shape (k,): of the text's key, its place and `salt`."""
        rows = self.marked.rows[places]
        offsets = (places - self.marked.bounds[rows]).astype(np.uint64)
        with np.errstate(over="ignore"):
            keys = spread(self.keys + GOLDEN * np.uint64(salt))
            bits = spread(keys[rows] + GOLDEN * (offsets + np.uint64(1)))
        return np.asarray((bits >> np.uint64(11)) * 2.0**-53)

    def touched(self, units: Ints, rate: float, salt: int) -> Mask:
        """Return which units are touched, each by itself with the same chance, shape (k,)."""
        chance = self.chance(units, salt)
        touched = chance < rate
        if self.sure is not None and len(units):
            rows = self.marked.rows[units]
            least = np.full(len(self.marked), np.inf)
            np.minimum.at(least, rows, chance)
            touched |= self.sure[rows] & (chance == least[rows])
        return np.asarray(touched)

    def choose(self, is_unit: Mask, rate: float, salt: int) -> Ints:
        """Return the places of the touched units, in order."""
        units = np.flatnonzero(is_unit)
        return units[self.touched(units, rate, salt)]

    def picks(self, places: Ints, counts: Ints | int, salt: int) -> Ints:
        """Return a whole number from 0 to below `counts` for each place, shape (k,)."""
        return np.asarray((self.chance(places, salt) * counts).astype(np.int64))


def _kind_of(character: str) -> int:
    category = unicodedata.category(character)
    if category in ("Lu", "Ll", "Lt"):
        return LETTER
    if category[0] == "L" or category == "Nl":
        # Hebrew and Arabic have no cases and are alphabets all the same.
        is_alphabet = category == "Lo" and 0x5D0 <= ord(character) <= 0x6D3
        return LETTER if is_alphabet else SCRIPT
    if character in "\t\n\r":
        return BLANK
    return {"M": MARK, "N": DIGIT, "P": PUNCTUATION, "Z": BLANK}.get(category[0], 0)

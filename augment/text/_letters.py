"""Noise on single letters: wrong keys, lost, doubled and swapped letters, scanning errors, lost accents."""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from ._annotated import Edits, text_of
from ._graphemes import by_character
from ._ground import Ground

Keyboard = Literal["qwerty", "azerty", "qwertz"]

_ROWS: dict[Keyboard, tuple[str, str, str]] = {
    "qwerty": ("qwertyuiop", "asdfghjkl", "zxcvbnm"),
    "azerty": ("azertyuiop", "qsdfghjklm", "wxcvbn"),
    "qwertz": ("qwertzuiopü", "asdfghjklöä", "yxcvbnm"),
}
KEYBOARDS: tuple[str, ...] = tuple(_ROWS)
_INDENTS = (0.0, 0.25, 0.75)  # offset of each row to the right of the first one, in keys
_REACH = 1.3  # largest distance of confused keys, in keys: those that touch, straight or diagonally
_MAX_KEYS, _CODES = 8, 0x100  # a key touches at most 8 others; all letters of keyboards are Latin-1

CONFUSED: dict[str, tuple[str, ...]] = {
    "0": ("O", "o"), "1": ("l", "I"), "2": ("Z",), "5": ("S",), "6": ("G", "b"), "8": ("B",),
    "9": ("g",), "B": ("8",), "D": ("O",), "E": ("F",), "G": ("6",), "I": ("l", "1"), "O": ("0",),
    "Q": ("O",), "S": ("5",), "Z": ("2",), "a": ("o",), "b": ("h", "6"), "c": ("e",), "d": ("cl",),
    "e": ("c",), "f": ("t",), "g": ("9", "q"), "h": ("b", "li"), "i": ("l", "j"), "l": ("1", "I"),
    "m": ("rn", "nn"), "n": ("ri", "u"), "o": ("0", "c"), "q": ("g",), "s": ("5",), "t": ("f",),
    "u": ("ii", "n"), "v": ("y",), "w": ("vv",), "y": ("v",), "z": ("2",),
    "rn": ("m",), "vv": ("w",), "cl": ("d",), "ri": ("n",), "nn": ("m",),
}  # fmt: skip
"""What a scanner reads in place of a character or a pair of them."""


@cache
def adjacent_keys(keyboard: Keyboard) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """Return the keys beside each key by code point, shape (256, 8), and how many there are, (256,).

    Capital letters have capital neighbours.

    Examples
    --------
    >>> beside, counts = adjacent_keys("qwerty")
    >>> "".join(chr(code) for code in beside[ord("s"), : counts[ord("s")]])
    'weadzx'
    """
    keys = {
        key: (x + indent, float(y))
        for y, (row, indent) in enumerate(zip(_ROWS[keyboard], _INDENTS))
        for x, key in enumerate(row)
    }
    beside = np.zeros((_CODES, _MAX_KEYS), np.uint32)
    counts = np.zeros(_CODES, np.int64)
    for key, (x, y) in keys.items():
        near = [
            other
            for other, (u, v) in keys.items()
            if other != key and ((u - x) ** 2 + (v - y) ** 2) ** 0.5 < _REACH
        ]
        for cased, others in ((key, near), (key.upper(), [n.upper() for n in near])):
            beside[ord(cased), : len(others)] = [ord(other) for other in others]
            counts[ord(cased)] = len(others)
    return beside, counts


_FIRST_ACCENT, _LAST_ACCENT = 0x300, 0x36F
_PAIRS = tuple(key for key in CONFUSED if len(key) == 2)


def mistype(ground: Ground, rate: float, salt: int, keyboard: Keyboard) -> Edits:
    """Return edits that put a key beside it in place of a letter; unit: letters on the keyboard."""
    beside, counts = adjacent_keys(keyboard)
    small = np.where(ground.codes < len(counts), ground.codes, 0)
    units = np.flatnonzero((counts[small] > 0) & ground.is_single & ground.is_open())
    places = units[ground.touched(units, rate, salt)]
    letters = ground.codes[places]
    picks = ground.picks(places, counts[letters], salt + 1)
    return Edits.one_for_one(places, beside[letters, picks])


def drop(ground: Ground, rate: float, salt: int) -> Edits:
    """Return edits that lose letters; unit: letters that do not begin a word."""
    units = np.flatnonzero(ground.is_inner_letter)
    places = units[ground.touched(units, rate, salt)]
    return Edits.deletions(places, places + 1)


def double(ground: Ground, rate: float, salt: int) -> Edits:
    """Return edits that write letters twice; unit: letters that do not begin a word."""
    units = np.flatnonzero(ground.is_inner_letter)
    places = units[ground.touched(units, rate, salt)]
    twice = np.repeat(ground.codes[places], 2)
    return Edits(places, places + 1, twice, np.full(len(places), 2, np.int64))


def swap(ground: Ground, rate: float, salt: int) -> Edits:
    """Return edits that exchange neighbours; unit: pairs of unlike letters, no letter in two of them."""
    inner, codes = ground.is_inner_letter, ground.codes
    starts, _ = ground.words
    # Pairs are taken two by two from the second letter of a word on, or from the third, by chance.
    phase = ground.picks(starts, 2, salt + 1)
    at = np.flatnonzero(inner[:-1] & inner[1:] & (codes[:-1] != codes[1:]))
    word = np.searchsorted(starts, at, side="right") - 1
    units = at[(at - starts[word] + phase[word]) % 2 == 1]
    firsts = units[ground.touched(units, rate, salt)]
    places = np.repeat(firsts, 2)
    places[1::2] += 1
    letters = codes[places]
    return Edits.one_for_one(places, letters.reshape(-1, 2)[:, ::-1].ravel())


def misread(ground: Ground, rate: float, salt: int) -> Edits:
    """Return edits that a scanner makes; unit: characters and pairs that it takes for others."""
    codes, free = ground.codes, ground.is_single & ground.is_open()
    sizes = np.zeros(len(codes), np.int64)
    sizes[np.isin(codes, [ord(key) for key in CONFUSED if len(key) == 1])] = 1
    taken = ~free
    for pair in _PAIRS:
        first, second = (ord(letter) for letter in pair)
        at = np.flatnonzero((codes[:-1] == first) & (codes[1:] == second))
        at = at[~taken[at] & ~taken[at + 1] & ~ground.marked.borders[at + 1]]
        at = at[~np.isin(at - 1, at)]  # of three alike only the first two
        sizes[at], sizes[at + 1] = 2, 0
        taken[at] = taken[at + 1] = True
    units = np.flatnonzero((sizes > 0) & free)
    places = units[ground.touched(units, rate, salt)]
    ends = places + sizes[places]
    read = [text_of(codes[a:b]) for a, b in zip(places, ends)]
    shares = ground.chance(places, salt + 1)
    texts = [CONFUSED[key][int(u * len(CONFUSED[key]))] for key, u in zip(read, shares)]
    return Edits.from_texts(places, ends, texts)


def plain(ground: Ground, rate: float, salt: int) -> Edits:
    """Return edits that take accents off; unit: Latin and Greek letters with accents."""
    codes = ground.codes
    bases = by_character(codes, _base_of)
    starts, ends, whole = ground.clusters
    is_accent = (codes >= _FIRST_ACCENT) & (codes <= _LAST_ACCENT)
    accents = np.concatenate([[0], np.cumsum(is_accent)])
    first = bases[starts]
    only_accents = accents[ends] - accents[starts] == ends - starts - 1
    has_accent = (ends - starts > 1) | (first != codes[starts])
    is_open = ground.is_open(keeps_value=True)[starts]
    units = np.flatnonzero((first > 0) & only_accents & has_accent & whole & is_open)
    chosen = units[ground.touched(starts[units], rate, salt)]
    sizes = np.ones(len(chosen), np.int64)
    return Edits(starts[chosen], ends[chosen], first[chosen].astype(np.uint32), sizes)


def _base_of(character: str) -> int:
    """Return the Latin or Greek letter below the accents; 0 for all other characters."""
    base = unicodedata.normalize("NFD", character)[0]
    name = unicodedata.name(base, "")
    return ord(base) if base.isalpha() and name.startswith(("LATIN", "GREEK")) else 0

"""Noise on single letters: wrong keys, lost, doubled and exchanged letters, scanning, lost accents."""

from __future__ import annotations

import unicodedata

import numpy as np

from ._edits import Edits, text_of
from ._graphemes import by_character
from ._ground import Ground
from ._keyboards import CONFUSED, Keyboard, adjacent_keys

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
    return Edits.of(places, ends, texts)


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

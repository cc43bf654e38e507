"""Noise between words: punctuation, blanks, fillers and emoji."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ._annotated import Edits, Mask
from ._ground import BLANK, DIGIT, PUNCTUATION, Ground

_SPACE = 0x20  # code point of a blank
_REPEATED = tuple(ord(mark) for mark in ".!?")
# Parts of addresses, tags and amounts rather than punctuation.
_SPOKEN = tuple(ord(mark) for mark in "@#&%*/\\_-'’")
_LOST_SHARE = 0.7  # of touched punctuation; the rest is repeated


def punctuate(ground: Ground, rate: float, salt: int) -> Edits:
    """Return edits that lose or repeat marks; unit: punctuation, but for that inside words and numbers.

    Seven of ten are lost; the others, and those that begin a text or a span, are repeated if they end
    sentences, else lost too. Marks that could neither be lost nor repeated are no units.
    """
    codes = ground.codes
    is_mark = (ground.kinds == PUNCTUATION) & ~np.isin(codes, _SPOKEN) & ~_between_text(ground)
    repeats = np.isin(codes, _REPEATED)
    first = _begins_something(ground)
    is_unit = is_mark & ground.is_single & ground.is_open() & (repeats | ~first)
    units = np.flatnonzero(is_unit)
    places = units[ground.touched(units, rate, salt)]
    lost = ground.chance(places, salt + 1) < _LOST_SHARE
    twice = repeats[places] & (first[places] | ~lost)
    sizes = np.where(twice, 2, 0)
    return Edits(places, places + 1, np.repeat(codes[places], sizes), sizes)


def space(ground: Ground, rate: float, salt: int) -> Edits:
    """Return edits that lose or double blanks; unit: single blanks between two characters.

    Half are lost, but for those at the border of a span, which all become two.
    """
    codes = ground.codes
    is_blank = ground.kinds == BLANK
    units = np.flatnonzero(
        (codes == _SPACE)
        & ground.is_single
        & ground.is_open(keeps_value=True)
        & ~_beside(is_blank | (codes == 0))
    )
    places = units[ground.touched(units, rate, salt)]
    at_border = ground.marked.borders[places] | ground.marked.borders[places + 1]
    lost = (ground.chance(places, salt + 1) < 0.5) & ~at_border
    sizes = np.where(lost, 0, 2)
    return Edits(places, places + 1, np.repeat(codes[places], sizes), sizes)


def fill(ground: Ground, rate: float, salt: int, fillers: Sequence[str]) -> Edits:
    """Return edits that put fillers between words; unit: single blanks between words, outside spans."""
    starts, ends = ground.words
    gaps = starts[1:][(starts[1:] - ends[:-1] == 1) & (ground.codes[ends[:-1]] == _SPACE)]
    units = gaps[~ground.marked.within(strictly=True)[gaps] & ground.marked.cluster_borders[gaps]]
    places = units[ground.touched(units, rate, salt)]
    picks = ground.picks(places, len(fillers), salt + 1)
    return Edits.from_texts(places, places, [f"{fillers[k]} " for k in picks])


def decorate(ground: Ground, rate: float, salt: int, emoji: Sequence[str]) -> Edits:
    """Return edits that put an emoji behind a text; unit: texts that are not empty."""
    bounds = ground.marked.bounds
    ends = bounds[1:] - 1
    units = ends[ends > bounds[:-1]]
    places = units[ground.touched(units, rate, salt)]
    picks = ground.picks(places, len(emoji), salt + 1)
    return Edits.from_texts(places, places, [f" {emoji[k]}" for k in picks])


def _begins_something(ground: Ground) -> Mask:
    """Return which characters begin a text or a mark, and so may not go, shape (c,)."""
    begins = np.zeros(len(ground.codes), dtype=bool)
    begins[ground.marked.starts] = True
    begins[ground.marked.bounds[:-1]] = True
    return begins


def _between_text(ground: Ground) -> Mask:
    """Return which characters have letters or digits before and after, shape (c,)."""
    is_text = np.concatenate([[False], ground.is_word | (ground.kinds == DIGIT), [False]])
    return np.asarray(is_text[:-2] & is_text[2:])


def _beside(mask: Mask) -> Mask:
    """Return which places have a true one before or behind them; the ends of all texts count."""
    padded = np.concatenate([[True], mask, [True]])
    return np.asarray(padded[:-2] | padded[2:])

"""Words and short phrases that are written another way, found by lexicons; and letters' cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from twinset.core.seeding import Bits, scramble

from ._annotated import Codes, Edits, Ints, Mask, codes_of, text_of
from ._graphemes import by_character
from ._ground import DIGIT, Ground

# Odd, so that it has an inverse modulo 2^64: rolling hashes can drop words at their start. The
# multiplier of Knuth's MMIX generator, whose bits are well mixed.
_STEP = 0x5851F42D4C957F2D
_BACK = pow(_STEP, -1, 1 << 64)
_CURLY, _STRAIGHT, _SPACE = 0x2019, 0x27, 0x20
# Words with one of these beside them are parts of addresses, names of files and compounds.
_TIES = tuple(ord(tie) for tie in "@_-/\\#&'’+=~")
_DOTS = (ord("."), ord(":"))
_LOWER_SHARE, _UPPER_SHARE = 0.6, 0.25


@dataclass(frozen=True)
class PhraseLexicon:
    """Other ways to write words and phrases."""

    # A word, or words with single blanks between them, in lowercase -> what may come instead
    entries: Mapping[str, Sequence[str]]

    @cached_property
    def phrases(self) -> tuple[str, ...]:
        """Every phrase, in the order of its hash."""
        hashes = _hashes_of(tuple(self.entries))
        return tuple(np.array(tuple(self.entries), object)[np.argsort(hashes, kind="stable")])

    @cached_property
    def hashes(self) -> Bits:
        """Hash of each phrase, rising."""
        return np.sort(_hashes_of(tuple(self.entries)))

    @cached_property
    def max_words(self) -> int:
        """Words of the longest phrase."""
        return max((1 + phrase.count(" ") for phrase in self.entries), default=0)


def rewrite(ground: Ground, rate: float, salt: int, lexicon: PhraseLexicon) -> Edits:
    """Return edits that write phrases another way; unit: phrases of the lexicon, the longest first."""
    starts, ends, which = _found(ground, lexicon)
    touched = np.flatnonzero(ground.touched(starts, rate, salt))
    shares = ground.chance(starts[touched], salt + 1)
    texts = []
    for k, share in zip(touched, shares):
        ways = lexicon.entries[lexicon.phrases[which[k]]]
        old = text_of(ground.codes[starts[k] : ends[k]])
        new = in_case_of(old, ways[int(share * len(ways))])
        ends_twice = new.endswith(".") and ground.codes[ends[k]] == ord(".")
        texts.append(new[:-1] if ends_twice else new)
    return Edits.from_texts(starts[touched], ends[touched], texts)


def recase(ground: Ground, rate: float, salt: int) -> Edits:
    """Return edits that change the case of whole words; unit: words with a letter that has cases."""
    codes = ground.codes
    lower, upper = by_character(codes, _lower_of), by_character(codes, _upper_of)
    cluster_starts, cluster_ends, whole = ground.clusters
    can_change = (lower != upper) & ground.is_open(keeps_value=True)
    can_change &= np.repeat(whole, cluster_ends - cluster_starts)
    changes = np.concatenate([[0], np.cumsum(can_change)])
    starts, ends = ground.words
    units = np.flatnonzero(changes[ends] > changes[starts])
    units = units[ground.touched(starts[units], rate, salt)]
    first, sizes = starts[units], ends[units] - starts[units]
    offsets = np.cumsum(sizes) - sizes
    places = np.repeat(first - offsets, sizes) + np.arange(int(sizes.sum()))
    title = lower[places].copy()
    title[offsets] = upper[first]
    ways = np.stack([lower[places], upper[places], title])
    made = ways[np.repeat(_chosen_way(ground, ways, first, offsets, salt + 1), sizes),
                np.arange(len(places))]  # fmt: skip
    after = codes.copy()
    after[places] = np.where(can_change[places], made, codes[places])
    return _by_cluster(ground, after)


def in_case_of(old: str, new: str) -> str:
    """Return `new` in capitals where `old` is, or with a capital letter first where `old` has one.

    Examples
    --------
    >>> in_case_of("Do not", "don't"), in_case_of("DO NOT", "don't"), in_case_of("I am", "I'm")
    ("Don't", "DON'T", "I'm")
    """
    letters = [character for character in old if character.isalpha()]
    if len(letters) > 1 and all(letter.isupper() for letter in letters):
        return new.upper()
    if letters and letters[0].isupper():
        return new[:1].upper() + new[1:]
    return new


def _chosen_way(ground: Ground, ways: Codes, first: Ints, offsets: Ints, salt: int) -> Ints:
    """Return by word 0 for lowercase, 1 for capitals, 2 for a capital first; never as it was."""
    if not len(first):
        return np.empty(0, np.int64)
    words = np.append(offsets, ways.shape[1])
    places = np.repeat(first - offsets, np.diff(words)) + np.arange(ways.shape[1])
    differs = np.logical_or.reduceat(ways != ground.codes[places], offsets, axis=1)
    shares = ground.chance(first, salt)
    liked = (shares >= _LOWER_SHARE).astype(np.int64)
    liked += shares >= _LOWER_SHARE + _UPPER_SHARE
    order = (liked + np.arange(3)[:, None]) % 3
    is_new = np.take_along_axis(differs, order, axis=0)
    return np.asarray(order[is_new.argmax(axis=0), np.arange(len(first))])


def _by_cluster(ground: Ground, after: Codes) -> Edits:
    """Return the edits that bring the texts to `after`, of as many code points, by whole clusters."""
    changed = np.flatnonzero(after != ground.codes)
    if ground.is_single[changed].all():
        return Edits.one_for_one(changed, after[changed])
    starts, ends, _ = ground.clusters
    hit = np.unique(np.searchsorted(starts, changed, side="right") - 1)
    sizes = ends[hit] - starts[hit]
    offsets = np.cumsum(sizes) - sizes
    letters = after[np.repeat(starts[hit] - offsets, sizes) + np.arange(int(sizes.sum()))]
    return Edits(starts[hit], ends[hit], letters, sizes)


def _found(ground: Ground, lexicon: PhraseLexicon) -> tuple[Ints, Ints, Ints]:
    """Return start, end and number of each phrase that stands in the texts, none overlapping."""
    starts, ends = ground.words
    prefix = _Prefix.from_codes(ground.codes)
    taken = np.zeros(len(starts), dtype=bool)
    gaps = _single_gaps(ground)
    found: list[tuple[int, int, int]] = []
    for n in range(lexicon.max_words, 0, -1):
        last = np.arange(n - 1, len(starts))
        first = last - (n - 1)
        broken = np.concatenate([[0], np.cumsum(~gaps)])
        fits = (broken[last] == broken[first]) & _stands_alone(ground, starts[first], ends[last])
        first, last = first[fits], last[fits]
        hashes = prefix.between(starts[first], ends[last])
        at = np.minimum(np.searchsorted(lexicon.hashes, hashes), len(lexicon.hashes) - 1)
        known = np.flatnonzero(lexicon.hashes[at] == hashes)
        for k in known:
            if not taken[first[k] : last[k] + 1].any():
                taken[first[k] : last[k] + 1] = True
                found.append((int(starts[first[k]]), int(ends[last[k]]), int(at[k])))
    found.sort()
    columns = np.array(found, np.int64).reshape(-1, 3).T
    return columns[0], columns[1], columns[2]


def _single_gaps(ground: Ground) -> Mask:
    """Return whether each word is parted from the next by one blank and no border, shape (w,)."""
    starts, ends = ground.words
    gaps = np.zeros(len(starts), dtype=bool)
    borders = ground.marked.borders
    if len(starts) > 1:
        between = ends[:-1]
        gaps[:-1] = (
            (starts[1:] - between == 1)
            & (ground.codes[between] == _SPACE)
            & ~borders[between]
            & ~borders[starts[1:]]
        )
    return gaps


def _stands_alone(ground: Ground, starts: Ints, ends: Ints) -> Mask:
    """Return whether nothing is written on to these places: no letter, digit, tie or inner dot."""
    codes = np.concatenate([[0], ground.codes, [0, 0]])
    is_text = np.concatenate([[False], ground.is_word | (ground.kinds == DIGIT), [False, False]])
    tied = is_text | np.isin(codes, _TIES)
    dotted = np.isin(codes, _DOTS)
    before = tied[starts] | (dotted[starts] & is_text[np.maximum(starts - 1, 0)])
    after = tied[ends + 1] | (dotted[ends + 1] & is_text[ends + 2])
    whole = ground.marked.cluster_borders[starts] & ground.marked.cluster_borders[ends]
    return np.asarray(~before & ~after & whole & ground.is_open()[starts])


@dataclass(frozen=True)
class _Prefix:
    """Sums over the first code points of a text, from which the hash of any piece follows."""

    sums: Bits
    backs: Bits

    @classmethod
    def from_codes(cls, codes: Codes) -> _Prefix:
        small = by_character(codes, _lower_of).astype(np.uint64)
        small[small == _CURLY] = _STRAIGHT
        powers = _powers(_STEP, len(codes))
        sums = np.cumsum(scramble(small) * powers, dtype=np.uint64)
        return cls(np.concatenate([np.zeros(1, np.uint64), sums]), _powers(_BACK, len(codes) + 1))

    def between(self, starts: Ints, ends: Ints) -> Bits:
        return np.asarray((self.sums[ends] - self.sums[starts]) * self.backs[starts])


def _powers(base: int, n: int) -> Bits:
    steps = np.full(n, base, np.uint64)
    steps[:1] = 1
    return np.cumprod(steps, dtype=np.uint64)


def _hashes_of(phrases: Sequence[str]) -> Bits:
    hashes = [_Prefix.from_codes(codes_of(phrase)).sums[-1] for phrase in phrases]
    return np.array(hashes, np.uint64)


def _lower_of(character: str) -> int:
    lower = character.lower()
    return ord(lower) if len(lower) == 1 else ord(character)


def _upper_of(character: str) -> int:
    upper = character.upper()
    return ord(upper) if len(upper) == 1 else ord(character)

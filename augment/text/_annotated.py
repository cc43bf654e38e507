"""Texts with marks in them that move along when the texts are edited, many texts at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from twinset.core.errors import DataError

from ._graphemes import cluster_starts

Codes = npt.NDArray[np.uint32]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Edits:
    """Replacements in order of place; an empty place is an insertion, no code points a deletion."""

    # Places in the code points of `MarkedTexts`, half-open, shape (e,)
    starts: Ints
    ends: Ints
    # The code points that come there, one edit after the other, shape (sum of sizes,)
    letters: Codes
    sizes: Ints  # How many of them belong to each edit, shape (e,)

    @classmethod
    def from_texts(cls, starts: Ints, ends: Ints, texts: Sequence[str]) -> Edits:
        """Return the edits that put `texts` in place of these places, brought into order.

        Insertions before a place stand before what replaces the place; two at one place keep their order.
        """
        starts, ends = np.asarray(starts, np.int64), np.asarray(ends, np.int64)
        order = np.lexsort((ends, starts))
        texts = [texts[k] for k in order]
        sizes = np.fromiter((len(text) for text in texts), np.int64, len(texts))
        return cls(starts[order], ends[order], codes_of("".join(texts)), sizes)

    @classmethod
    def one_for_one(cls, places: Ints, letters: Codes) -> Edits:
        """Return the edits that put one code point in place of another; places must rise."""
        return cls(places, places + 1, letters, np.ones(len(places), np.int64))

    @classmethod
    def deletions(cls, starts: Ints, ends: Ints) -> Edits:
        """Return the edits that take away these places; they must rise."""
        return cls(starts, ends, np.empty(0, np.uint32), np.zeros(len(starts), np.int64))

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def growth(self) -> Ints:
        """By how many code points each edit lengthens its text, shape (e,); negative shortens it."""
        return self.sizes - (self.ends - self.starts)

    @property
    def is_plain(self) -> bool:
        """Whether every edit puts one code point in place of one."""
        return bool((self.sizes == 1).all() and (self.ends - self.starts == 1).all())

    def move(self, places: Ints, *, are_ends: bool) -> Ints:
        """Return where borders of marks go, shape as given.

        What is inserted at a border stays outside: the start goes behind it, the end stays before it.
        """
        keys = 2 * self.ends + (self.ends == self.starts if are_ends else 0)
        grown = np.concatenate([[0], np.cumsum(self.growth)])
        moved: Ints = places + grown[np.searchsorted(keys, 2 * places, side="right")]
        return moved

    def splice(self, codes: Codes) -> Codes:
        """Return the code points with all edits made."""
        if self.is_plain:
            changed = codes.copy()
            changed[self.starts] = self.letters
            return changed
        shift = np.zeros(len(codes) + 1, np.int64)
        np.add.at(shift, self.ends, self.growth)
        gone = np.zeros(len(codes) + 1, np.int8)
        np.add.at(gone, self.starts, 1)
        np.add.at(gone, self.ends, -1)
        np.cumsum(shift, out=shift)
        kept = np.flatnonzero(np.cumsum(gone[:-1], dtype=np.int8) == 0)
        made = np.empty(len(codes) + int(shift[-1]), np.uint32)
        made[kept + shift[kept]] = codes[kept]
        before = np.cumsum(self.growth) - self.growth
        firsts = np.cumsum(self.sizes) - self.sizes
        within = np.arange(len(self.letters)) - np.repeat(firsts, self.sizes)
        made[np.repeat(self.starts + before, self.sizes) + within] = self.letters
        return made


def codes_of(text: str) -> Codes:
    """Return the code points of a text, shape (n,)."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4").astype(np.uint32)


def text_of(codes: Codes) -> str:
    """Return the text that code points spell."""
    return codes.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")


_END = "\0"
"""Behind every text, so that its end and the start of the next one are two places."""


@dataclass(frozen=True)
class AnnotatedTexts:
    """Texts, one after the other, and the places that are marked in them; build them with `of`.

    Examples
    --------
    >>> call = AnnotatedTexts.from_texts(["Call Zoë!"], starts=[5], ends=[8], owners=[0])
    >>> edits = Edits.from_texts(np.array([0, 5, 7]), np.array([4, 5, 8]), ["Please call", "our ", "e"])
    >>> made = call.edited(edits)
    >>> made.texts(), made.surfaces()
    (['Please call our Zoe!'], ['Zoe'])
    """

    codes: Codes  # Code points of all texts, a zero behind each, shape (c,)
    bounds: Ints  # Text i is ``codes[bounds[i] : bounds[i + 1] - 1]``, shape (n + 1,)
    # Marked places in `codes`, half-open; they may be nested, shape (s,)
    starts: Ints
    ends: Ints
    owners: Ints  # Which text each mark is in, shape (s,)

    @classmethod
    def from_texts(
        cls,
        texts: Sequence[str],
        starts: Sequence[int] | Ints = (),
        ends: Sequence[int] | Ints = (),
        owners: Sequence[int] | Ints = (),
    ) -> AnnotatedTexts:
        """Return texts with marks, each given by its place in its own text, in code points."""
        sizes = np.fromiter((len(text) for text in texts), np.int64, len(texts))
        bounds = np.concatenate([[0], np.cumsum(sizes + 1)])
        first, last, own = (np.asarray(given, np.int64) for given in (starts, ends, owners))
        wrong = np.flatnonzero((first < 0) | (first >= last) | (last > sizes[own]))
        if len(wrong):
            k = int(wrong[0])
            raise DataError(
                f"a span in row {int(own[k])} does not lie in its text",
                got=f"{int(first[k])} to {int(last[k])} in a text of {int(sizes[own[k]])} characters",
                allowed="0 <= start < end <= length, in code points",
                todo="correct the span; tools that count in UTF-16 or bytes give other places",
            )
        codes = codes_of("".join(text + _END for text in texts))
        return cls(codes, bounds, first + bounds[own], last + bounds[own], own)

    def __len__(self) -> int:
        return len(self.bounds) - 1

    @cached_property
    def cluster_borders(self) -> Mask:
        """Where no grapheme cluster is cut, shape (c + 1,)."""
        return cluster_starts(self.codes)

    @cached_property
    def borders(self) -> Mask:
        """Where a mark begins or ends, shape (c + 1,)."""
        borders = np.zeros(len(self.codes) + 1, dtype=bool)
        borders[self.starts] = borders[self.ends] = True
        return borders

    @cached_property
    def rows(self) -> Ints:
        """The text that each code point belongs to, shape (c,)."""
        return np.repeat(np.arange(len(self)), np.diff(self.bounds))

    def within(self, *, strictly: bool = False) -> Mask:
        """Return which places are in a mark, shape (c + 1,); strictly: between two of its code points."""
        depth = np.zeros(len(self.codes) + 1, np.int32)
        np.add.at(depth, self.starts + strictly, 1)
        np.add.at(depth, self.ends, -1)
        return np.asarray(np.cumsum(depth) > 0)

    def texts(self) -> list[str]:
        """Return the texts."""
        whole, bounds = text_of(self.codes), self.bounds.tolist()
        return [whole[a : b - 1] for a, b in pairwise(bounds)]

    def surfaces(self) -> list[str]:
        """Return what stands at each mark."""
        whole = text_of(self.codes)
        return [whole[a:b] for a, b in zip(self.starts.tolist(), self.ends.tolist())]

    def places(self) -> tuple[Ints, Ints]:
        """Return start and end of each mark in its own text, shapes (s,)."""
        offsets = self.bounds[self.owners]
        return self.starts - offsets, self.ends - offsets

    def edited(self, edits: Edits) -> AnnotatedTexts:
        """Return the texts with all edits made and every mark where its text went.

        An insertion at the border of a mark stays outside it. A replacement lies inside a mark (which may
        be all of it) or outside, never across its border.
        """
        if not len(edits):
            return self
        self._check(edits)
        starts, ends = self.starts, self.ends
        if not edits.is_plain:
            starts = edits.move(starts, are_ends=False)
            ends = edits.move(ends, are_ends=True)
            _refuse(starts >= ends, self.owners, "an edit takes a whole span away")
        # By the zero before it: what comes before a text's first character belongs to that text.
        bounds = edits.move(self.bounds - 1, are_ends=False) + 1
        codes = edits.splice(self.codes)
        return replace(self, codes=codes, bounds=bounds, starts=starts, ends=ends)

    def _check(self, edits: Edits) -> None:
        starts, ends = edits.starts, edits.ends
        outside = (starts < 0) | (ends < starts) | (ends >= len(self.codes))
        _refuse(
            outside, np.searchsorted(self.bounds, starts) - 1, "an edit does not lie in the texts"
        )
        rows = self.rows[starts]
        _refuse(rows != self.rows[ends], rows, "an edit reaches from one text into the next")
        _refuse(starts[1:] < ends[:-1], rows[1:], "two edits overlap")
        whole = self.cluster_borders[starts] & self.cluster_borders[ends]
        _refuse(~whole, rows, "an edit splits a grapheme cluster")
        borders = np.cumsum(self.borders)
        crossed = (ends > starts) & (borders[np.maximum(ends - 1, 0)] > borders[starts])
        _refuse(crossed, rows, "an edit crosses the border of a span")


def _refuse(wrong: npt.NDArray[np.bool_], rows: Ints, problem: str) -> None:
    if wrong.any():
        row = int(rows[int(np.flatnonzero(wrong)[0])])
        raise DataError(
            problem,
            got=f"one in row {row}",
            allowed="edits within one text that keep characters and spans whole",
        )

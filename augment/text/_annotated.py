"""Texts with marks in them that move along when the texts are edited, many texts at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from twinset.core.errors import DataError

from ._edits import Codes, Edits, Ints, Mask, codes_of, text_of
from ._graphemes import cluster_starts

_END = "\0"
"""Behind every text, so that its end and the start of the next one are two places."""


@dataclass(frozen=True)
class AnnotatedTexts:
    """Texts, one after the other, and the places that are marked in them; build them with `of`.

    Parameters
    ----------
    codes : numpy.ndarray of uint32, shape (c,)
        Code points of all texts, a zero behind each.
    bounds : numpy.ndarray of int, shape (n + 1,)
        Text i is ``codes[bounds[i] : bounds[i + 1] - 1]``.
    starts, ends : numpy.ndarray of int, shape (s,)
        Marked places in `codes`, half-open; they may be nested.
    owners : numpy.ndarray of int, shape (s,)
        Which text each mark is in.

    Examples
    --------
    >>> call = AnnotatedTexts.of(["Call Zoë!"], starts=[5], ends=[8], owners=[0])
    >>> edits = Edits.of(np.array([0, 5, 7]), np.array([4, 5, 8]), ["Please call", "our ", "e"])
    >>> made = call.edited(edits)
    >>> made.texts(), made.surfaces()
    (['Please call our Zoe!'], ['Zoe'])
    """

    codes: Codes
    bounds: Ints
    starts: Ints
    ends: Ints
    owners: Ints

    @classmethod
    def of(
        cls,
        texts: Sequence[str],
        starts: Sequence[int] | Ints = (),
        ends: Sequence[int] | Ints = (),
        owners: Sequence[int] | Ints = (),
    ) -> AnnotatedTexts:
        """Return texts with marks, each given by its place in its own text, in code points.

        Raises
        ------
        DataError
            A mark is empty or does not lie in its text.
        """
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
    def cuts(self) -> Mask:
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

        Raises
        ------
        DataError
            Two edits overlap, or one leaves its text, cuts a grapheme cluster, crosses the border of a
            mark, or takes all of a mark away.
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
        whole = self.cuts[starts] & self.cuts[ends]
        _refuse(~whole, rows, "an edit cuts a grapheme cluster")
        borders = np.cumsum(self.borders)
        crossed = (ends > starts) & (borders[np.maximum(ends - 1, 0)] > borders[starts])
        _refuse(crossed, rows, "an edit crosses the border of a span")


def _refuse(wrong: npt.NDArray[np.bool_], rows: Ints, what: str) -> None:
    if wrong.any():
        row = int(rows[int(np.flatnonzero(wrong)[0])])
        raise DataError(
            what,
            got=f"one in row {row}",
            allowed="edits within one text that keep characters and spans whole",
        )

"""Changes to make in many texts at once: which places go, and what comes there instead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.uint32]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Edits:
    """Replacements in order of place; an empty place is an insertion, no code points a deletion.

    Parameters
    ----------
    starts, ends : numpy.ndarray of int, shape (e,)
        Places in the code points of `MarkedTexts`, half-open.
    letters : numpy.ndarray of uint32, shape (sum of sizes,)
        The code points that come there, one edit after the other.
    sizes : numpy.ndarray of int, shape (e,)
        How many of them belong to each edit.
    """

    starts: Ints
    ends: Ints
    letters: Codes
    sizes: Ints

    @classmethod
    def of(cls, starts: Ints, ends: Ints, texts: Sequence[str]) -> Edits:
        """Return the edits that put `texts` in place of these places, brought into order.

        Insertions before a place stand before what replaces the place; two at one place keep their order.

        Examples
        --------
        >>> Edits.of(np.array([4, 0]), np.array([5, 0]), ["be", "a"]).letters.tolist()
        [97, 98, 101]
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
    """Return the code points of a text, shape (n,).

    Examples
    --------
    >>> codes_of("é🍵").tolist()
    [233, 127861]
    """
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4").astype(np.uint32)


def text_of(codes: Codes) -> str:
    """Return the text that code points spell."""
    return codes.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")

"""Where the values of a slot come from once it is opened: a pool of them, or a rule that counts them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from math import gcd

from twinset.core.seeding import rng_for

Entry = tuple[str, int, str | None, int]
"""A value: its text, how many code points that is, its canonical value if it differs, its bucket."""
Uniform = Callable[[], float]
"""Gives the next number in [0, 1)."""

MOST_BUCKETS = 20
_DENSE = 1 << 53


@dataclass(frozen=True)
class ValuePool:
    """Values that are held in a list.

    Parameters
    ----------
    entries : tuple of Entry
        The values.
    bounds : tuple of float, optional
        Cumulated weights, the last of them 1; alike when not given.
    """

    entries: tuple[Entry, ...]
    bounds: tuple[float, ...] | None = None

    @classmethod
    def of(
        cls,
        texts: Sequence[str],
        weights: Sequence[float] | None = None,
        canonical: Sequence[str | None] | None = None,
    ) -> ValuePool:
        """Return the pool of these texts, in order.

        Examples
        --------
        >>> ValuePool.of(["tea", "coffee"], weights=[1, 3]).bounds
        (0.25, 1.0)
        """
        n = len(texts)
        meant = canonical if canonical is not None else [None] * n
        entries = tuple(
            (text, len(text), own, bucket_of(i, n))
            for i, (text, own) in enumerate(zip(texts, meant, strict=True))
        )
        if weights is None or len(set(weights)) <= 1:
            return cls(entries)
        return cls(entries, cumulated(weights))

    @property
    def size(self) -> int:
        """How many values there are."""
        return len(self.entries)

    @property
    def n_texts(self) -> int:
        """How many different texts there are."""
        return len({entry[0] for entry in self.entries})

    def bucket_at(self, index: int) -> int:
        """Return the bucket of value `index`."""
        return self.entries[index][3]

    def draw(self, u: Uniform) -> Entry:
        """Return a value at random."""
        if self.bounds is None:
            return self.entries[int(u() * len(self.entries))]
        return self.entries[bisect_right(self.bounds, u())]

    def at(self, index: int) -> Entry:
        """Return the value with this number."""
        return self.entries[index]

    def part(self, places: Sequence[int]) -> ValuePool:
        """Return the pool of the values at these places, with the weights that they had."""
        if self.bounds is None:
            return ValuePool(tuple(self.entries[i] for i in places))
        steps = [b - a for a, b in zip((0.0, *self.bounds), self.bounds)]
        bounds = cumulated([steps[i] for i in places])
        return ValuePool(tuple(self.entries[i] for i in places), bounds)


@dataclass(frozen=True)
class Ranked:
    """Values that are too many for a list: number i is worked out when it is asked for.

    Parameters
    ----------
    size : int
        How many there are.
    make : callable
        Returns the text of value i, and its canonical value if that differs.
    place : callable, optional
        Turns a number in [0, 1) into the number of a value; by default all are alike.
    bucket : callable, optional
        Returns the bucket of value i, 0 to 19 and never falling; by default all are equally wide.
    """

    size: int
    make: Callable[[int], tuple[str, str | None]]
    place: Callable[[float], int] | None = None
    bucket: Callable[[int], int] | None = None

    @property
    def n_texts(self) -> int:
        """How many different texts there are."""
        return self.size

    def draw(self, u: Uniform) -> Entry:
        """Return a value at random."""
        if self.place is not None:
            return self.at(self.place(u()))
        if self.size < _DENSE:
            return self.at(int(u() * self.size))
        # One number of 53 bits would leave most values out.
        rounds = (self.size.bit_length() + 20) // 53 + 1
        whole = 0
        for _ in range(rounds):
            whole = (whole << 53) | int(u() * _DENSE)
        return self.at(whole * self.size >> (53 * rounds))

    def at(self, index: int) -> Entry:
        """Return the value with this number."""
        text, canonical = self.make(index)
        return text, len(text), canonical, self.bucket_at(index)

    def bucket_at(self, index: int) -> int:
        """Return the bucket of value `index`."""
        return bucket_of(index, self.size) if self.bucket is None else self.bucket(index)


Source = ValuePool | Ranked


def bucket_of(index: int, size: int) -> int:
    """Return the bucket, 0 to 19, of value `index` among `size` in order.

    Examples
    --------
    >>> [bucket_of(i, 3) for i in range(3)], bucket_of(99, 100)
    ([0, 1, 2], 19)
    """
    return index * min(size, MOST_BUCKETS) // size


@dataclass(frozen=True)
class Shuffle:
    """A fixed shuffle of the numbers below `size`, worked out one by one: no two places share a number.

    Parameters
    ----------
    size : int
        How many numbers, 1 or more.
    step, shift : int
        What decides the order; `step` has no divisor in common with `size`.
    """

    size: int
    step: int
    shift: int

    @classmethod
    def of(cls, size: int, seed: int, name: str) -> Shuffle:
        """Return the shuffle that belongs to a name.

        Examples
        --------
        >>> shuffle = Shuffle.of(10, 7, "order")
        >>> sorted(shuffle.at(i) for i in range(10)) == list(range(10))
        True
        """
        u = rng_for(seed, "shuffle", name).random(2)
        # Near the golden section, neighbours land far from each other.
        step = int((0.6 + 0.03 * float(u[0])) * size) or 1
        while gcd(step, size) != 1:
            step += 1
        return cls(size, step, int(float(u[1]) * size))

    def at(self, place: int) -> int:
        """Return the number at `place`, which lies below `size`."""
        return (self.step * place + self.shift) % self.size


@dataclass(frozen=True)
class Records:
    """Rows of a table, drawn whole: every column of a text comes from one of them.

    Parameters
    ----------
    columns : mapping
        Column -> the value of each row.
    ids : tuple of str, optional
        Name of each row; without them texts do not tell which row they hold.
    places : tuple of int
        The rows that may be drawn.
    bounds : tuple of float, optional
        Cumulated weights of `places`, the last of them 1; alike when not given.
    """

    columns: Mapping[str, tuple[Entry, ...]]
    ids: tuple[str, ...] | None
    places: tuple[int, ...]
    bounds: tuple[float, ...] | None = None

    @property
    def size(self) -> int:
        """How many records there are."""
        return len(self.places)

    def draw(self, u: Uniform) -> int:
        """Return the position of a row at random."""
        if self.bounds is None:
            return self.places[int(u() * len(self.places))]
        return self.places[bisect_right(self.bounds, u())]

    def at(self, index: int) -> int:
        """Return the position of record `index`."""
        return self.places[index]

    def part(self, chosen: Sequence[int]) -> Records:
        """Return the records at these of the places, with the weights that they had."""
        places = tuple(self.places[i] for i in chosen)
        if self.bounds is None:
            return replace(self, places=places)
        steps = [b - a for a, b in zip((0.0, *self.bounds), self.bounds)]
        return replace(self, places=places, bounds=cumulated([steps[i] for i in chosen]))


def cumulated(weights: Sequence[float]) -> tuple[float, ...]:
    """Return the cumulated shares of weights; the last is 1, whatever the rounding.

    Examples
    --------
    >>> cumulated([1, 3])
    (0.25, 1.0)
    """
    total = sum(weights)
    return (*(at / total for at in accumulate(weights[:-1])), 1.0)

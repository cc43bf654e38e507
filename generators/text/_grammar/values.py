"""Sources of slot values: listed pools, computed ranges, and rows of tables."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from math import gcd
from typing import Self

from twinset.core.seeding import rng_for

Entry = tuple[str, int, str | None, int]
"""A value: text, length in code points, canonical value if it differs, bucket. Of a record: its number
as text and in place of the length."""
Uniform = Callable[[], float]
"""Returns the next number in [0, 1)."""

# Coverage counts pairs of buckets: 20 a slot keep the values of short lists apart, and 400 cells for a
# pair of slots are filled by a few thousand texts.
MAX_BUCKETS = 20
PRIME = 23  # levels of the design: the smallest prime >= MAX_BUCKETS, as Bose's construction needs
CELLS = PRIME**2
_MIN_EVEN = 200  # values from which buckets of unequal size differ by 10 % of a bucket at most
_DENSE = 1 << 53  # numbers that one float of [0, 1) can address


def bucket_of(index: int, size: int) -> int:
    """Return the bucket, 0 to 19, of value `index` among `size` in order."""
    return index * min(size, MAX_BUCKETS) // size


def cumulated(weights: Sequence[float]) -> tuple[float, ...]:
    """Return the cumulated shares of weights; the last is exactly 1."""
    total = sum(weights)
    return (*(at / total for at in accumulate(weights[:-1])), 1.0)


@dataclass(frozen=True)
class ValuePool:
    """A list of values; `bounds` are their cumulated weights, None for equal weights."""

    entries: tuple[Entry, ...]
    bounds: tuple[float, ...] | None = None

    @property
    def size(self) -> int:
        """Number of values."""
        return len(self.entries)

    def draw(self, u: Uniform) -> Entry:
        """Return a random value."""
        if self.bounds is None:
            return self.entries[int(u() * len(self.entries))]
        return self.entries[bisect_right(self.bounds, u())]

    def at(self, index: int) -> Entry:
        """Return value `index`."""
        return self.entries[index]

    def subset(self, chosen: Sequence[int]) -> Self:
        """Return the chosen values, with the weights that they had."""
        bounds = self.bounds
        if bounds is not None:
            steps = [b - a for a, b in zip((0.0, *bounds), bounds)]
            bounds = cumulated([steps[i] for i in chosen])
        return replace(self, entries=tuple(self.entries[i] for i in chosen), bounds=bounds)

    @classmethod
    def from_texts(
        cls,
        texts: Sequence[str],
        weights: Sequence[float] | None = None,
        canonical: Sequence[str | None] | None = None,
    ) -> ValuePool:
        """Return the pool of these texts, in order."""
        n = len(texts)
        entries = tuple(
            (text, len(text), own, bucket_of(i, n))
            for i, (text, own) in enumerate(zip(texts, canonical or [None] * n, strict=True))
        )
        is_even = weights is None or len(set(weights)) <= 1
        return cls(entries, None if is_even else cumulated(weights or ()))

    @property
    def n_texts(self) -> int:
        """Number of distinct texts."""
        return len({entry[0] for entry in self.entries})

    def bucket_at(self, index: int) -> int:
        """Return the bucket of value `index`."""
        return self.entries[index][3]


@dataclass(frozen=True)
class ComputedValues:
    """Values that are too many for a list: value i is computed on request."""

    size: int  # Number of values
    # Returns text and canonical value (if it differs) of value i
    make: Callable[[int], tuple[str, str | None]]
    # Maps a number in [0, 1) to an index; by default all values are equally likely
    place: Callable[[float], int] | None = None
    # Returns the bucket, 0 to 19, of value i, in ascending order; by default all are equally wide
    bucket: Callable[[int], int] | None = None

    @property
    def n_texts(self) -> int:
        """Number of distinct texts."""
        return self.size

    def draw(self, u: Uniform) -> Entry:
        """Return a random value."""
        if self.place is not None:
            return self.at(self.place(u()))
        if self.size < _DENSE:
            return self.at(int(u() * self.size))
        # One float would reach a part of the values only: join 53 bits of each of several floats.
        rounds = (self.size.bit_length() + 20) // 53 + 1
        whole = 0
        for _ in range(rounds):
            whole = (whole << 53) | int(u() * _DENSE)
        return self.at(whole * self.size >> (53 * rounds))

    def at(self, index: int) -> Entry:
        """Return value `index`."""
        text, canonical = self.make(index)
        return text, len(text), canonical, self.bucket_at(index)

    def bucket_at(self, index: int) -> int:
        """Return the bucket of value `index`."""
        return bucket_of(index, self.size) if self.bucket is None else self.bucket(index)


@dataclass(frozen=True)
class Records(ValuePool):
    """Rows of a table, drawn whole: all columns of a text come from one of them."""

    columns: Mapping[str, tuple[Entry, ...]] = field(default_factory=dict)  # Column -> its values
    ids: tuple[str, ...] | None = None  # Of the rows; without them texts do not report their row


Source = ValuePool | ComputedValues


@dataclass(frozen=True)
class Permutation:
    """A permutation of the numbers below `size`: place -> (step * place + shift) mod size."""

    size: int
    step: int
    shift: int

    @classmethod
    def from_seed(cls, size: int, seed: int, name: str) -> Permutation:
        """Return the permutation of a seed and a name."""
        u = rng_for(seed, "shuffle", name).random(2)
        # Near the golden section (0.618), neighbouring places get distant numbers.
        step = int((0.6 + 0.03 * float(u[0])) * size) or 1
        while gcd(step, size) != 1:
            step += 1
        return cls(size, step, int(float(u[1]) * size))

    def at(self, place: int) -> int:
        """Return the number at `place`, which is below `size`."""
        return (self.step * place + self.shift) % self.size


def design_level(cell: int, column: int) -> int:
    """Return the level, 0 to 22, of a column (0 to 23) in a cell (0 to 528) of the orthogonal array.

    Any two columns hold every pair of levels exactly once.

    References
    ----------
    Bose and Bush, "Orthogonal arrays of strength two and three", Annals of Mathematical Statistics 23
    (1952).
    """
    x, y = divmod(cell, PRIME)
    return y if column == PRIME else (x + column * y) % PRIME


@dataclass(frozen=True)
class Buckets:
    """The buckets of a source: their number, and the indices of the values in each."""

    n: int
    members: Callable[[int], Sequence[int]]

    def pick(self, cell: int, column: int, u: Uniform) -> int | None:
        """Return the index of a value in the bucket that a cell names; None for any bucket."""
        bucket = design_level(cell, column)
        own = self.members(bucket) if bucket < self.n else ()
        return own[int(u() * len(own))] if own else None


def bucket_starts(source: Source, n: int) -> list[int]:
    """Return the index of the first value of each of `n` buckets, and the size, length n + 1."""
    return [bisect_left(range(source.size), b, key=source.bucket_at) for b in range(n + 1)]


def buckets_of(source: Source, n_all: int) -> Buckets | None:
    """Return the buckets of a source, or None where equal shares of buckets would change its weights."""
    if isinstance(source, ComputedValues):
        if source.place is not None:
            return None
        first = bucket_starts(source, MAX_BUCKETS)
        return Buckets(MAX_BUCKETS, lambda b: range(first[b], first[b + 1]))
    n = min(n_all, MAX_BUCKETS)
    if source.bounds is not None or (n_all % n and n_all < _MIN_EVEN):
        return None
    members: list[list[int]] = [[] for _ in range(n)]
    for i, entry in enumerate(source.entries):
        members[entry[3]].append(i)
    return Buckets(n, members.__getitem__)

"""Which buckets of values the first texts of a template take, so that every pair of them comes soon."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .values import MOST_BUCKETS, Ranked, Records, Source, Uniform, ValuePool, bucket_of

PRIME = 23
"""At least as many levels as there are buckets; a prime, so that any two columns hold every pair once."""

CELLS = PRIME**2
_EVEN = 200


def level(cell: int, column: int) -> int:
    """Return the level, 0 to 22, of a column in a cell of the design.

    Parameters
    ----------
    cell : int
        0 to 528.
    column : int
        0 to 23.

    References
    ----------
    Bose and Bush, "Orthogonal arrays of strength two and three", Annals of Mathematical Statistics 23
    (1952).

    Examples
    --------
    >>> len({(level(cell, 4), level(cell, 23)) for cell in range(CELLS)}) == CELLS
    True
    """
    x, y = divmod(cell, PRIME)
    return y if column == PRIME else (x + column * y) % PRIME


@dataclass(frozen=True)
class Buckets:
    """The values of a source, bucket by bucket.

    Parameters
    ----------
    n : int
        How many buckets there are.
    members : callable
        Returns the numbers of the values in a bucket.
    """

    n: int
    members: Callable[[int], Sequence[int]]

    def pick(self, cell: int, column: int, u: Uniform) -> int | None:
        """Return the number of a value of the bucket that a cell asks for; None for any bucket."""
        wanted = level(cell, column)
        own = self.members(wanted) if wanted < self.n else ()
        return own[int(u() * len(own))] if own else None


def buckets_of(source: Source | Records, n_all: int) -> Buckets | None:
    """Return the buckets of a source, or None where taking turns among them would change its weights.

    Parameters
    ----------
    source : Pool, Ranked or Records
        A source, or the part of one that is not held out.
    n_all : int
        Values of the whole source: they decide which bucket a value is in.
    """
    if isinstance(source, Ranked):
        if source.place is not None:
            return None
        first = [bisect_left(range(source.size), b, key=source.bucket_at) for b in range(21)]
        return Buckets(MOST_BUCKETS, lambda b: range(first[b], first[b + 1]))
    n = min(n_all, MOST_BUCKETS)
    if source.bounds is not None or (n_all % n and n_all < _EVEN):
        return None
    members: list[list[int]] = [[] for _ in range(n)]
    if isinstance(source, ValuePool):
        for i, entry in enumerate(source.entries):
            members[entry[3]].append(i)
    else:
        for row in source.places:
            members[bucket_of(row, n_all)].append(row)
    return Buckets(n, members.__getitem__)

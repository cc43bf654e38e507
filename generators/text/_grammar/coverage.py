"""Pairs of values that have come together in a text, and those that have not: the gaps of a set."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations, pairwise

import numpy as np
import numpy.typing as npt

from .grammar import Grammar
from .open_grammar import OpenedSources
from .values import MOST_BUCKETS, Source, ValuePool

_MOST_WATCHED = 24
_MOST_TOLD = 30
_CODES = ("faker", "pattern", "mask")


@dataclass(frozen=True)
class TrackedSlot:
    """A slot or a table whose values are sorted into at most 20 buckets.

    Parameters
    ----------
    name : str
        Its name.
    buckets : tuple of str
        What each bucket holds.
    apart : frozenset of str
        Slots that never have the same value in the same text.
    """

    name: str
    buckets: tuple[str, ...]
    apart: frozenset[str]


def watched_slots(grammar: Grammar, opened: OpenedSources) -> tuple[TrackedSlot, ...]:
    """Return what is watched: lists, numbers, dates and tables; codes and names have no end."""
    found = []
    for name in grammar.used():
        slot = grammar.slots.get(name)
        own = grammar.slots[str(slot.said["like"])] if slot and slot.kind == "like" else slot
        if own is not None and own.kind in (*_CODES, "column"):
            continue
        source = opened.sources.get(name)
        size = opened.records[name].size if source is None else source.size
        apart = set() if slot is None else set(slot.distinct_from)
        apart |= {other.name for other in grammar.slots.values() if name in other.distinct_from}
        if size > 1:
            found.append(TrackedSlot(name, _buckets(source, size), frozenset(apart)))
    return tuple(found[:_MOST_WATCHED])


def _buckets(source: Source | None, size: int) -> tuple[str, ...]:
    n = min(size, MOST_BUCKETS)
    if source is None:
        return tuple(f"rows {b + 1}/{n}" for b in range(n))
    if isinstance(source, ValuePool) and size <= MOST_BUCKETS:
        return tuple(entry[0] for entry in source.entries)
    first = [bisect_left(range(size), b, key=source.bucket_at) for b in range(n + 1)]
    return tuple(f"{source.at(a)[0]} to {source.at(max(b - 1, a))[0]}" for a, b in pairwise(first))


@dataclass
class PairCoverage:
    """How often each pair of buckets came together.

    Parameters
    ----------
    watched : tuple of Watched
        The columns of what is added.
    """

    watched: tuple[TrackedSlot, ...]
    counts: dict[tuple[int, int], npt.NDArray[np.int64]] = field(default_factory=dict)

    def add(self, seen: npt.NDArray[np.int8]) -> None:
        """Count the buckets of some texts, shape (n, watched); -1 where a slot does not come."""
        there = seen >= 0
        for pair in combinations(range(len(self.watched)), 2):
            a, b = pair
            both = there[:, a] & there[:, b]
            if not both.any():
                continue
            shape = len(self.watched[a].buckets), len(self.watched[b].buckets)
            cells = seen[both, a].astype(np.int64) * shape[1] + seen[both, b]
            found = np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape)
            self.counts[pair] = self.counts.get(pair, 0) + found

    def gaps(self) -> list[Mapping[str, str]]:
        """Return the pairs that could come together and did not: slot -> bucket."""
        found: list[Mapping[str, str]] = []
        for (a, b), counts in self.counts.items():
            one, two = self.watched[a], self.watched[b]
            for i, j in zip(*np.nonzero(counts == 0)):
                first, second = one.buckets[int(i)], two.buckets[int(j)]
                if not (two.name in one.apart and first == second):
                    found.append({one.name: first, two.name: second})
        return found

    def notes(self) -> tuple[str, ...]:
        """Return what the card tells of the pairs."""
        total = sum(counts.size for counts in self.counts.values())
        if not total:
            return ()
        gaps = self.gaps()
        told = f"Pairs of slot values: {total - len(gaps):,} of {total:,} came together"
        if not gaps:
            return (f"{told}.",)
        by_first: dict[str, list[str]] = {}
        for gap in gaps:
            (one, first), (two, second) = gap.items()
            by_first.setdefault(f"{one} {first} with {two}", []).append(second)
        groups = [f"{first} {', '.join(others)}" for first, others in by_first.items()]
        more = (
            f"; and {len(groups) - _MOST_TOLD:,} more of this kind" if groups[_MOST_TOLD:] else ""
        )
        return (f"{told}; lacking: {'; '.join(groups[:_MOST_TOLD])}{more}.",)

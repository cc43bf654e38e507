"""Tests whether synthetic rows match more train persons than unseen persons, in one view of the columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from twinset.core.stats.hypothesis_tests import excess_p

from ._matches import Mask, MatchScan

Block = tuple[int, ...]

_DETECTABLE = 0.05  # share of copied rows that must have been found for "none" to be a result


class View(StrEnum):
    """What a match is."""

    EXACT = "exact"
    """Equal values in all columns but at most two."""
    BLOCKS = "blocks"
    """Equal values in some columns."""
    SIMILAR = "similar"
    """Near numbers, and equal levels, in all columns but at most two."""
    RANKS = "ranks"
    """The same with ranks of numbers."""
    NEAR = "near"
    """A distance that is short beside those between real rows."""


@dataclass(frozen=True)
class ExcessTest:
    """Matched persons of some blocks of one view, within a group of rows or of all."""

    view: ScannedView
    matched: int
    unseen: int
    n_train: int  # Train persons there are
    n_unseen: int  # Persons of the holdout
    limit: int  # Blocks with at most so many matches
    block: Block | None = None  # The only block
    group: str = ""  # Condition of the group; empty for all rows

    @property
    def excess(self) -> float:
        """Matched train persons beyond what unseen persons let expect."""
        return self.matched - self.unseen * self.n_train / max(self.n_unseen, 1)

    @property
    def error(self) -> float:
        """Standard error of the excess, with Poisson variances and one more person of each set."""
        ratio = self.n_train / max(self.n_unseen, 1)
        return float(np.sqrt(self.matched + 1 + ratio**2 * (self.unseen + 1)))

    @property
    def lower(self) -> float:
        """Lower end of the 95 % interval of the excess, in persons of the whole set."""
        return (self.excess - 1.96 * self.error) * self.view.scale

    @property
    def n_people(self) -> int:
        """Number of train persons beyond chance."""
        return max(1, round(self.excess * self.view.scale))

    @property
    def share(self) -> tuple[float, float, float]:
        """Share of the synthetic rows, and its 95 % interval.

        Its upper end is that of all blocks: rows of blocks that match many persons may be copies, too.
        """
        scan, low, middle, high = self.view.scan, self.lower, self.excess * self.view.scale, 0.0
        joined = [self]
        if not self.group:
            sizes = scan.persons.n_train, scan.persons.n_unseen
            joined += [
                ExcessTest(self.view, *scan.count(limit), *sizes, limit)
                for limit in scan.limits()
                if limit >= self.limit
            ]
        high = max((test.excess + 1.96 * test.error) * self.view.scale for test in joined)
        # Several rows may match one person, and persons whose row is not single match none.
        factor = scan.rows_per_person(self.limit) / max(self.view.single, 0.1) / scan.n_synthetic
        ends = (float(np.clip(people * factor, 0, 1)) for people in (middle, low, high))
        middle, low, high = ends
        return middle, low, high


@dataclass(frozen=True)
class ScannedView:
    """One way to look at the columns, and what synthetic rows match in it."""

    view: View
    scan: MatchScan
    single: float = 1.0  # Share of the real rows that no other real row equals
    scale: float = 1.0  # Train persons over those that were compared

    @property
    def is_whole(self) -> bool:
        """Whether matches are of whole rows, so that they are counted within groups."""
        return self.view != View.BLOCKS

    def tests(self, groups: dict[str, Mask]) -> Iterator[ExcessTest]:
        """Return one test for each block, for each limit, and for each group and some limits."""
        limits, persons = self.scan.limits(), self.scan.persons
        sizes = persons.n_train, persons.n_unseen
        for names, matched, n in self.scan.blocks:
            yield ExcessTest(self, matched, n - matched, *sizes, n, block=names)
        for limit in limits:
            yield ExcessTest(self, *self.scan.count(limit), *sizes, limit)
        if self.is_whole:
            # The rarest, the middle and all blocks: groups multiply the tests.
            for limit in sorted({limits[i] for i in (0, len(limits) // 2, -1)} if limits else ()):
                for group, every in groups.items():
                    mask = self.scan.within(every)
                    own = int(mask[: persons.n_train].sum())
                    sizes = own, int(mask.sum()) - own
                    yield ExcessTest(
                        self, *self.scan.count(limit, mask), *sizes, limit, group=group
                    )

    def has_power(self, level: float) -> bool:
        """Return whether copies in 5 % of the rows are significant beside the matches there are."""
        persons = self.scan.persons
        added = min(int(_DETECTABLE * self.scan.n_synthetic), persons.n_train)
        for limit in self.scan.limits() or [1]:
            unseen = self.scan.count(limit)[1]
            expected = round(unseen * persons.n_train / persons.n_unseen)
            matched = min(expected + added, persons.n_train)
            if excess_p(matched, persons.n_train, unseen, persons.n_unseen) < level:
                return True
        return False

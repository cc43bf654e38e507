"""Who comes when: an order in which each item has its exact share at any point, known place by place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import lcm
from threading import Lock

import numpy as np
import numpy.typing as npt

from twinset.core.seeding import rng_for

from ..._quotas import allocate

Places = npt.NDArray[np.int64]
_BLOCK = 1_024


class Round:
    """One round of turns, in which every item comes as often as its weight says.

    Parameters
    ----------
    weights : sequence of Fraction
        One per item, above 0.
    seed : int
        Orders items that are equally due.

    Examples
    --------
    >>> turns = Round([Fraction(3), Fraction(1)], seed=0)
    >>> turns.length, turns.counts(4).tolist()
    (4, [3, 1])
    """

    def __init__(self, weights: Sequence[Fraction], seed: int) -> None:
        whole = lcm(*(weight.denominator for weight in weights))
        scaled = [int(weight * whole) for weight in weights]
        common = int(np.gcd.reduce(np.array(scaled, dtype=object)))
        self.n_items = len(weights)
        self.each = np.array([number // common for number in scaled], dtype=object)
        self.length = int(self.each.sum())
        self._turns = allocate([float(w) for w in weights], rng_for(seed, "turns"))
        self._order = np.empty(0, dtype=np.int32)
        self._lock = Lock()

    def order(self, n: int) -> npt.NDArray[np.int32]:
        """Return who has the first `n` turns of a round, shape (n,)."""
        with self._lock:
            lacking = n - len(self._order)
            if lacking > 0:
                # A round can be long: it is worked out as far as it is needed.
                more = min(max(lacking, _BLOCK), self.length - len(self._order))
                new = [next(self._turns) for _ in range(more)]
                self._order = np.concatenate([self._order, np.array(new, dtype=np.int32)])
            return self._order[:n]

    def at(self, places: Places) -> npt.NDArray[np.int32]:
        """Return who has the turns at these places, counted from 0 and over many rounds."""
        inside = places % self.length
        return self.order(int(inside.max()) + 1)[inside] if len(places) else np.empty(0, np.int32)

    def counts(self, n: int) -> Places:
        """Return how many of the first `n` turns each item has, shape (items,)."""
        rounds, rest = divmod(n, self.length)
        part = np.bincount(self.order(rest), minlength=self.n_items)
        return np.array([rounds * int(own) for own in self.each], dtype=np.int64) + part


@dataclass(frozen=True)
class _Stretch:
    """Places from `start` on that the items `who` share."""

    start: int
    who: npt.NDArray[np.int32]
    turns: Round


class Apportionment:
    """Turns of items that can run out: who has had all it can give leaves its turns to the others.

    Parameters
    ----------
    weights : sequence of Fraction
        One per item, above 0.
    most : sequence of int, optional
        How often each item can come; without end when not given.
    seed : int
        Orders items that are equally due.

    Examples
    --------
    >>> turns = Apportionment([Fraction(1), Fraction(1)], most=[1, 9], seed=0)
    >>> turns.total, turns.counts(7).tolist()
    (10, [1, 6])
    """

    def __init__(
        self, weights: Sequence[Fraction], seed: int, most: Sequence[int] | None = None
    ) -> None:
        self.n_items = len(weights)
        self.total = None if most is None else sum(most)
        self._stretches: list[_Stretch] = []
        if most is not None:
            self._share_out(list(weights), list(most), seed)
        start = 0 if self.total is None else self.total
        # Past the end all go on: repeats are a matter of the caller.
        self._stretches.append(
            _Stretch(start, np.arange(len(weights), dtype=np.int32), Round(weights, seed))
        )

    def _share_out(self, weights: list[Fraction], most: list[int], seed: int) -> None:
        left, start = list(most), 0
        while any(left):
            who = [i for i, n in enumerate(left) if n > 0]
            turns = Round([weights[i] for i in who], seed)
            rounds = min(left[i] // int(own) for i, own in zip(who, turns.each))
            length = rounds * turns.length
            had = [rounds * int(own) for own in turns.each]
            length += self._last_turns(turns, [left[i] - n for i, n in zip(who, had)], had)
            self._stretches.append(_Stretch(start, np.array(who, dtype=np.int32), turns))
            start += length
            for i, n in zip(who, had):
                left[i] -= n

    @staticmethod
    def _last_turns(turns: Round, left: list[int], had: list[int]) -> int:
        """Take turns until one item has none left; return how many were taken."""
        taken = 0
        while all(left):
            order = turns.order(min(taken + _BLOCK, turns.length))
            for item in order[taken:].tolist():
                if not left[item]:
                    return taken
                left[item] -= 1
                had[item] += 1
                taken += 1
        return taken

    def at(self, places: Places) -> npt.NDArray[np.int32]:
        """Return who has the turns at these places, shape (n,)."""
        found = np.empty(len(places), dtype=np.int32)
        for stretch, end in self._bounded():
            inside = (places >= stretch.start) & (places < end)
            if inside.any():
                found[inside] = stretch.who[stretch.turns.at(places[inside] - stretch.start)]
        return found

    def counts(self, n: int) -> Places:
        """Return how many of the first `n` turns each item has, shape (items,)."""
        total = np.zeros(self.n_items, dtype=np.int64)
        for stretch, end in self._bounded():
            length = min(n, end) - stretch.start
            if length > 0:
                total[stretch.who] += stretch.turns.counts(length)
        return total

    def _bounded(self) -> list[tuple[_Stretch, int]]:
        last = (self._stretches[-1], np.iinfo(np.int64).max)
        return [(one, two.start) for one, two in pairwise(self._stretches)] + [last]

"""The template of every row of a set: exact shares of labels and templates at any row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from math import lcm
from threading import Lock

import numpy as np
import numpy.typing as npt

from twinset.core.errors import ParameterError, Place
from twinset.core.seeding import rng_for

from ..._quotas import allocate
from .grammar import Grammar

Codes = npt.NDArray[np.int32]
Positions = npt.NDArray[np.int64]
_BLOCK = 1_024  # items of a round that are worked out at a time; changes no result
# Of a template with more than 64 texts, 80 % are drawn: the search for the last ones takes many draws of
# texts that occur already (one in five is new at 80 %). Up to 64 texts, all are found within the tries.
_MAX_LISTED = 64
_USABLE_FRACTION = 0.8  # beyond it, finding a new text takes many draws
_ENOUGH = (
    2**40
)  # texts of a template, far more than rows of any set: keeps sums of counts in 64 bits


class Round:
    """One round of an apportionment, in which the number of each item is in proportion to its weight."""

    def __init__(self, weights: Sequence[Fraction], seed: int) -> None:
        whole = lcm(*(weight.denominator for weight in weights))
        scaled = [int(weight * whole) for weight in weights]
        common = int(np.gcd.reduce(np.array(scaled, dtype=object)))
        self.n_items = len(weights)
        self.each = np.array([number // common for number in scaled], dtype=object)
        self.length = int(self.each.sum())
        self._items = allocate([float(w) for w in weights], rng_for(seed, "turns"))
        self._order = np.empty(0, dtype=np.int32)
        self._lock = Lock()

    def order(self, n: int) -> npt.NDArray[np.int32]:
        """Return the first `n` items of a round, shape (n,)."""
        with self._lock:
            missing = n - len(self._order)
            if missing > 0:
                # A round can be long: it is computed as far as needed.
                more = min(max(missing, _BLOCK), self.length - len(self._order))
                new = [next(self._items) for _ in range(more)]
                self._order = np.concatenate([self._order, np.array(new, dtype=np.int32)])
            return self._order[:n]

    def at(self, positions: Positions) -> npt.NDArray[np.int32]:
        """Return the items at these positions, counted from 0 over many rounds, shape (n,)."""
        inside = positions % self.length
        return (
            self.order(int(inside.max()) + 1)[inside] if len(positions) else np.empty(0, np.int32)
        )

    def counts(self, n: int) -> Positions:
        """Return how often each item occurs in the first `n` positions, shape (items,)."""
        rounds, rest = divmod(n, self.length)
        part = np.bincount(self.order(rest), minlength=self.n_items)
        return np.array([rounds * int(own) for own in self.each], dtype=np.int64) + part


@dataclass(frozen=True)
class _Stretch:
    """Positions from `start` on, which the remaining `items` share."""

    start: int
    items: npt.NDArray[np.int32]
    round: Round


class Apportionment:
    """An apportionment of positions to items by weight; positions of exhausted items go to the others."""

    def __init__(
        self, weights: Sequence[Fraction], seed: int, limits: Sequence[int] | None = None
    ) -> None:
        self.n_items = len(weights)
        self.total = None if limits is None else sum(limits)
        self._stretches: list[_Stretch] = []
        if limits is not None:
            self._share_out(list(weights), list(limits), seed)
        start = 0 if self.total is None else self.total
        # Beyond the limits all items go on: the caller decides about repeats.
        self._stretches.append(
            _Stretch(start, np.arange(len(weights), dtype=np.int32), Round(weights, seed))
        )

    def _share_out(self, weights: list[Fraction], limits: list[int], seed: int) -> None:
        left, start = list(limits), 0
        while any(left):
            items = [i for i, n in enumerate(left) if n > 0]
            own_round = Round([weights[i] for i in items], seed)
            rounds = min(left[i] // int(own) for i, own in zip(items, own_round.each))
            length = rounds * own_round.length
            used = [rounds * int(own) for own in own_round.each]
            rest = [left[i] - n for i, n in zip(items, used)]
            length += self._fill_rest(own_round, rest, used)
            self._stretches.append(_Stretch(start, np.array(items, dtype=np.int32), own_round))
            start += length
            for i, n in zip(items, used):
                left[i] -= n

    @staticmethod
    def _fill_rest(own_round: Round, left: list[int], used: list[int]) -> int:
        """Return the number of positions until one item is exhausted; `used` counts them by item."""
        taken = 0
        while all(left):
            order = own_round.order(min(taken + _BLOCK, own_round.length))
            for item in order[taken:].tolist():
                if not left[item]:
                    return taken
                left[item] -= 1
                used[item] += 1
                taken += 1
        return taken

    def at(self, positions: Positions) -> npt.NDArray[np.int32]:
        """Return the items at these positions, shape (n,)."""
        found = np.empty(len(positions), dtype=np.int32)
        for stretch, end in self._bounded():
            inside = (positions >= stretch.start) & (positions < end)
            if inside.any():
                found[inside] = stretch.items[stretch.round.at(positions[inside] - stretch.start)]
        return found

    def counts(self, n: int) -> Positions:
        """Return how often each item occurs in the first `n` positions, shape (items,)."""
        total = np.zeros(self.n_items, dtype=np.int64)
        for stretch, end in self._bounded():
            length = min(n, end) - stretch.start
            if length > 0:
                total[stretch.items] += stretch.round.counts(length)
        return total

    def _bounded(self) -> list[tuple[_Stretch, int]]:
        last = (self._stretches[-1], np.iinfo(np.int64).max)
        return [(one, two.start) for one, two in pairwise(self._stretches)] + [last]


class NoRoomError(ParameterError):
    """The requested number of distinct texts is not available."""


@dataclass(frozen=True)
class UniqueSource:
    """A source whose values must not repeat, and the number of texts that they are enough for."""

    n_texts: int
    subject: str
    place: Place


@dataclass(frozen=True)
class TemplatePlan:
    """The order of the templates that meet a condition."""

    grammar: Grammar
    chosen: tuple[int, ...]  # Indices of the templates that meet the condition
    # Number of distinct texts of each template of the grammar, for sets without repeats
    counts: tuple[int, ...] | None
    seed: int  # Seed of the order of what is equally due

    @cached_property
    def by_label(self) -> Mapping[str, tuple[int, ...]]:
        """Label -> indices of its templates."""
        found: dict[str, tuple[int, ...]] = {}
        for i in self.chosen:
            label = self.grammar.templates[i].label
            found[label] = (*found.get(label, ()), i)
        return found

    @cached_property
    def labels(self) -> Apportionment:
        """Apportionment of rows to labels."""
        return Apportionment([self.grammar.shares[label] for label in self.by_label], self.seed)

    @cached_property
    def templates(self) -> tuple[Apportionment, ...]:
        """Apportionment of the rows of each label to its templates."""
        return tuple(
            Apportionment(
                [self.grammar.templates[i].weight for i in own],
                self.seed + 1,
                None if self.counts is None else [usable(self.counts[i]) for i in own],
            )
            for own in self.by_label.values()
        )

    def at(self, first: int, n: int) -> tuple[Codes, Positions]:
        """Return the templates of rows `first` to `first + n`, and how often each was used before, (n,)."""
        labels = self.labels.at(np.arange(first, first + n))
        before = self.labels.counts(first)
        found = np.empty(n, dtype=np.int32)
        n_before = np.empty(n, dtype=np.int64)
        for k, (own, shares) in enumerate(zip(self.by_label.values(), self.templates)):
            rows = np.flatnonzero(labels == k)
            items = shares.at(before[k] + np.arange(len(rows)))
            found[rows] = np.array(own, dtype=np.int32)[items]
            for i, n_used in enumerate(shares.counts(int(before[k])).tolist()):
                of_item = rows[items == i]
                n_before[of_item] = n_used + np.arange(len(of_item))
        return found, n_before

    def richest(self, template: int) -> int:
        """Return the template of the same label with the most texts."""
        own = self.by_label[self.grammar.templates[template].label]
        counts = self.counts
        return template if counts is None else max(own, key=lambda i: counts[i])

    def check_room(self, n: int) -> None:
        """Check that `n` distinct texts are available."""
        if self.counts is None:
            return
        requested = self.labels.counts(n).tolist()
        for (label, own), n_requested in zip(self.by_label.items(), requested):
            known = sum(self.counts[i] for i in own)
            room = sum(usable(self.counts[i]) for i in own)
            if n_requested > room:
                raise NoRoomError(
                    f"the templates of '{label}' cannot give {n_requested:,} different texts",
                    got=f"about {_spell_count(known)} ways to fill them, of which {_spell_count(room)} "
                    "can be drawn without long search",
                    todo="add templates or values (to a Faker slot: pool), ask for fewer rows, or set "
                    "unique_rows: false",
                    place=("templates", label),
                )


def usable(count: int) -> int:
    """Return how many of the texts of a template are drawn without long search."""
    if count <= _MAX_LISTED:
        return count
    return min(max(_MAX_LISTED, int(count * _USABLE_FRACTION)), _ENOUGH)


def split_templates(grammar: Grammar, fraction: float, order: Sequence[int]) -> tuple[str, ...]:
    """Return the part of each template; every label has templates in both parts."""
    parts = ["train"] * len(grammar.templates)
    for label in grammar.labels:
        own = [i for i in order if grammar.templates[i].label == label]
        if len(own) < 2:
            raise ParameterError(
                f"the label '{label}' has one template, which cannot be in both parts",
                todo="add templates, or drop 'holdout'",
                place=("templates", label),
            )
        n_holdout = min(max(round(fraction * len(own)), 1), len(own) - 1)
        for i in own[:n_holdout]:
            parts[i] = "holdout"
    return tuple(parts)


def _spell_count(number: int) -> str:
    """Return a number as text; large numbers as a power of ten."""
    return f"{number:,}" if number < 10**9 else f"about 10^{len(str(number)) - 1}"

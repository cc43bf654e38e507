"""Rows of features that the networks of the conditional GAN work on, and draws of real ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from twinset.core.features.torch_device import torch

from .._discrete import Codes, Floats, Mask, WidthGroup, group_by_width, offsets
from .states import StateTable

_CELLS_AT_ONCE = 4_000_000  # 32-bit floats of a block of features: 16 MB


@dataclass(frozen=True)
class SlotLayout:
    """Slots of all states: one span a column, padded so that spans of one width lie together.

    A row of features is the one-hot of every span, then for every column with intervals the
    position inside its interval and the rank of the number in its column, both from -1 to 1.
    """

    spans: tuple[int, ...]  # columns of the table that vary, in the order of their spans
    widths: tuple[int, ...]  # slots of each span, ascending, padding included
    sizes: tuple[int, ...]  # states of each span
    n_atoms: tuple[int, ...]  # atoms of each span: the intervals begin after them
    n_intervals: tuple[int, ...]  # intervals of each span

    @classmethod
    def from_table(cls, table: StateTable) -> SlotLayout:
        """Return the layout of the columns that have more than one state, or an interval."""
        varying = [i for i, c in enumerate(table.columns) if c.n_states > 1 or c.n_intervals]
        widths = {i: _padded(table.columns[i].n_states) for i in varying}
        spans = sorted(varying, key=lambda i: (widths[i], i))
        columns = [table.columns[i] for i in spans]
        return cls(
            tuple(spans),
            tuple(widths[i] for i in spans),
            tuple(c.n_states for c in columns),
            tuple(len(c.atoms) for c in columns),
            tuple(c.n_intervals for c in columns),
        )

    @property
    def n_slots(self) -> int:
        """Slots of all spans together, p."""
        return sum(self.widths)

    @cached_property
    def starts(self) -> Codes:
        """First slot of each span, shape (s,)."""
        return offsets(self.widths)

    @cached_property
    def groups(self) -> list[WidthGroup]:
        """The groups of equally wide spans."""
        return group_by_width(self.widths)

    @cached_property
    def used(self) -> Mask:
        """Which slots represent a state, shape (p,); the others are padding."""
        parts = [np.arange(w) < size for w, size in zip(self.widths, self.sizes, strict=True)]
        return np.concatenate([*parts, np.empty(0, dtype=bool)])

    @cached_property
    def numbers(self) -> tuple[int, ...]:
        """Spans that have intervals."""
        return tuple(i for i, k in enumerate(self.n_intervals) if k)

    @cached_property
    def interval_slots(self) -> Codes:
        """Slots of all intervals, shape (h,), span by span."""
        parts = [
            self.starts[i] + self.n_atoms[i] + np.arange(self.n_intervals[i]) for i in self.numbers
        ]
        return np.concatenate([*parts, np.empty(0)]).astype(np.int64)

    @cached_property
    def interval_owner(self) -> Codes:
        """Index in `numbers` of the span of each interval slot, shape (h,)."""
        return np.repeat(np.arange(len(self.numbers)), [self.n_intervals[i] for i in self.numbers])

    def slots_of(self, column: int) -> slice | None:
        """Return the slots of a column of the table; None if it has but one state."""
        if column not in self.spans:
            return None
        span = self.spans.index(column)
        start = int(self.starts[span])
        return slice(start, start + self.sizes[span])

    def rank_weights(self, table: StateTable, counts: Codes) -> tuple[Floats, Floats]:
        """Return matrices that turn one-hot rows and placed rows into ranks, (p, a) and (h, a)."""
        by_state = np.zeros((self.n_slots, len(self.numbers)))
        by_place = np.zeros((len(self.interval_slots), len(self.numbers)))
        for a, i in enumerate(self.numbers):
            own = slice(int(self.starts[i]), int(self.starts[i]) + self.sizes[i])
            centres, halves = table.columns[self.spans[i]].centres(counts[own])
            by_state[own, a] = centres
            intervals = slice(self.n_atoms[i], self.n_atoms[i] + self.n_intervals[i])
            by_place[self.interval_owner == a, a] = halves[intervals]
        return by_state, by_place

    def choose(self, scores: torch.Tensor) -> torch.Tensor:
        """Return the slot with the highest score in every span, shape (n, s)."""
        picked = []
        for group in self.groups:
            part = self._part(scores, group)
            first = torch.arange(len(group.columns), device=scores.device)
            picked.append(part.argmax(2) + (group.start + group.width * first))
        return torch.cat(picked, 1)

    def softmax(self, scores: torch.Tensor) -> torch.Tensor:
        """Return the softmax over every span, shape (n, p)."""
        parts = [self._part(scores, group).softmax(2).flatten(1) for group in self.groups]
        return torch.cat(parts, 1)

    def _part(self, scores: torch.Tensor, group: WidthGroup) -> torch.Tensor:
        n = len(group.columns)
        part = scores[:, group.start : group.start + n * group.width]
        return part.reshape(-1, n, group.width)


def _padded(width: int) -> int:
    """Return the next of 2, 3, 4, 6, 8, 12, 16, 24, ...: at most a third of a span is padding."""
    power = 2
    while width > power + power // 2:
        power *= 2
    return power if width <= power else power + power // 2


@dataclass(frozen=True)
class StateFeatures:
    """Tensors, on one device, that turn states and places into rows of features."""

    layout: SlotLayout
    used: torch.Tensor  # slots that represent a state, shape (p,)
    span_of: torch.Tensor  # span of each slot, (p,)
    interval_slots: torch.Tensor  # slot of each interval, (h,)
    owners: torch.Tensor  # one-hot of the column of each interval, (h, a)
    rank_of_state: torch.Tensor  # of `SlotLayout.rank_weights`
    rank_of_place: torch.Tensor

    @classmethod
    def from_layout(
        cls, layout: SlotLayout, ranks: tuple[Floats, Floats], device: str
    ) -> StateFeatures:
        """Return the features of a layout with the matrices of `SlotLayout.rank_weights`."""
        spans = np.repeat(np.arange(len(layout.spans)), layout.widths)
        owners = np.eye(len(layout.numbers))[layout.interval_owner]
        return cls(
            layout,
            torch.tensor(layout.used, device=device),
            torch.tensor(spans, device=device),
            torch.tensor(layout.interval_slots, device=device),
            *(torch.tensor(m, dtype=torch.float32, device=device) for m in (owners, *ranks)),
        )

    @property
    def n_features(self) -> int:
        """Width of a row of features, f."""
        return self.layout.n_slots + 2 * len(self.layout.numbers)

    def one_hot(self, slots: torch.Tensor) -> torch.Tensor:
        """Return rows with a 1 in every given slot, shape (n, p)."""
        empty = torch.zeros(len(slots), self.layout.n_slots, device=slots.device)
        return empty.scatter_(1, slots, 1.0)

    def rows(self, one_hot: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """Return features, shape (n, f), of one-hot states (n, p) and places of intervals (n, h)."""
        placed = one_hot[:, self.interval_slots] * places
        ranks = one_hot @ self.rank_of_state + placed @ self.rank_of_place
        return torch.cat([one_hot, placed @ self.owners, ranks], 1)


class RealRows:
    """The train rows, and draws of them as in training by sampling (Xu et al. 2019).

    A condition is a column at random and one of its states by the logarithm of its frequency; the
    row is one of those in that state. States of numbers, atoms and missing values take part too.
    """

    def __init__(self, features: StateFeatures, slots: Codes, positions: Floats) -> None:
        device = features.used.device
        self.features = features
        self.slots = torch.tensor(slots, dtype=torch.int32, device=device)
        n_slots = features.layout.n_slots
        counts = torch.zeros(n_slots, dtype=torch.float64, device=device)
        for column in self.slots.T:
            counts += torch.bincount(column, minlength=n_slots)
        self.extras = self._extras(torch.tensor(positions, dtype=torch.float32, device=device))
        chances = torch.log1p(counts)
        totals = torch.zeros(len(slots[0]), dtype=torch.float64, device=device)
        totals.index_add_(0, features.span_of, chances)
        self.chances = chances / totals[features.span_of] / len(slots[0])
        self.counts = counts.long()
        self.order = torch.argsort(self.slots.T, dim=1, stable=True).to(torch.int32)
        ends = torch.cumsum(self.counts, 0)
        self.first = ends - self.counts - features.span_of * len(slots)

    def __len__(self) -> int:
        return len(self.slots)

    def batch(self, n: int, random: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Return `n` conditions as slots, shape (n,), and a real row for each, shape (n, f)."""
        device = self.slots.device
        slots = torch.multinomial(self.chances.float(), n, replacement=True, generator=random)
        along = torch.rand(n, generator=random, device=device, dtype=torch.float64)
        count = self.counts[slots]
        place = self.first[slots] + torch.minimum((along * count).long(), count - 1)
        rows = self.order[self.features.span_of[slots], place].long()
        return slots, self.take(rows)

    def take(self, rows: torch.Tensor | slice) -> torch.Tensor:
        """Return the features of these rows, shape (n, f)."""
        return torch.cat([self.features.one_hot(self.slots[rows].long()), self.extras[rows]], 1)

    def mean_squares(self) -> torch.Tensor:
        """Return the mean square of every feature over the rows as `batch` draws them, shape (f,)."""
        total = torch.zeros(self.features.n_features, device=self.slots.device)
        for rows, weights in self._weighted():
            total += weights @ rows**2
        return total

    def moments(self) -> torch.Tensor:
        """Return the mean product of any two features over the rows as `batch` draws them, (f, f)."""
        width = self.features.n_features
        total = torch.zeros(width, width, device=self.slots.device)
        for rows, weights in self._weighted():
            total += rows.T @ (rows * weights[:, None])
        return total

    def _blocks(self) -> Iterator[slice]:
        size = max(_CELLS_AT_ONCE // self.features.n_features, 1)
        yield from (slice(start, start + size) for start in range(0, len(self), size))

    def _weighted(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield blocks of rows with the chance that `batch` draws each, shapes (n, f) and (n,)."""
        chances = (self.chances / self.counts.clamp_min(1)).float()
        for block in self._blocks():
            yield self.take(block), chances[self.slots[block].long()].sum(1)

    def _extras(self, positions: torch.Tensor) -> torch.Tensor:
        """Return positions and ranks of every row, shape (n, 2 a)."""
        parts = []
        for block in self._blocks():
            one_hot = self.features.one_hot(self.slots[block].long())
            places = positions[block] @ self.features.owners.T
            parts.append(self.features.rows(one_hot, places)[:, self.features.layout.n_slots :])
        return torch.cat(parts)

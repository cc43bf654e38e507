"""Where states stand in the rows of floats that the networks of the conditional GAN see."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .states import Floats, StateTable, Whole

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class SlotLayout:
    """Slots of all states: one span a column, padded so that spans of one width lie together.

    A row of features is the one-hot of every span, then for every column with intervals the
    position inside its interval and the rank of the number in its column, both from -1 to 1.

    Parameters
    ----------
    spans : tuple of int
        Columns of the table that have something to learn, in the order of their spans.
    widths : tuple of int
        Slots of each span, ascending; no less than its number of states.
    sizes : tuple of int
        Number of states of each span.
    n_atoms : tuple of int
        Atoms of each span: the intervals begin after them.
    n_intervals : tuple of int
        Intervals of each span.
    """

    spans: tuple[int, ...]
    widths: tuple[int, ...]
    sizes: tuple[int, ...]
    n_atoms: tuple[int, ...]
    n_intervals: tuple[int, ...]

    @classmethod
    def of(cls, table: StateTable) -> SlotLayout:
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
        """Slots of all spans together."""
        return sum(self.widths)

    @cached_property
    def starts(self) -> Whole:
        """First slot of each span, shape (s,)."""
        return np.cumsum([0, *self.widths])[:-1].astype(np.int64)

    @cached_property
    def used(self) -> npt.NDArray[np.bool_]:
        """Which slots stand for a state, shape (p,); the others are padding."""
        parts = [np.arange(w) < size for w, size in zip(self.widths, self.sizes, strict=True)]
        return np.concatenate([*parts, np.empty(0, dtype=bool)])

    @cached_property
    def blocks(self) -> tuple[tuple[int, int, int], ...]:
        """First slot, number of spans and width of each run of equally wide spans."""
        found = []
        for width in sorted(set(self.widths)):
            own = [i for i, w in enumerate(self.widths) if w == width]
            found.append((int(self.starts[own[0]]), len(own), width))
        return tuple(found)

    @cached_property
    def numbers(self) -> tuple[int, ...]:
        """Spans that have intervals."""
        return tuple(i for i, k in enumerate(self.n_intervals) if k)

    @cached_property
    def interval_slots(self) -> Whole:
        """Slots of all intervals, shape (h,), span by span."""
        parts = [
            self.starts[i] + self.n_atoms[i] + np.arange(self.n_intervals[i]) for i in self.numbers
        ]
        return np.concatenate([*parts, np.empty(0)]).astype(np.int64)

    @cached_property
    def interval_owner(self) -> Whole:
        """Which of `numbers` each interval slot belongs to, shape (h,)."""
        return np.repeat(np.arange(len(self.numbers)), [self.n_intervals[i] for i in self.numbers])

    def rank_weights(self, table: StateTable, counts: Whole) -> tuple[Floats, Floats]:
        """Return matrices that turn one-hot rows and placed rows into ranks, (p, a) and (h, a)."""
        by_state = np.zeros((self.n_slots, len(self.numbers)))
        by_place = np.zeros((len(self.interval_slots), len(self.numbers)))
        for a, i in enumerate(self.numbers):
            own = slice(int(self.starts[i]), int(self.starts[i]) + self.sizes[i])
            centres, halves = table.columns[self.spans[i]].centres(counts[own])
            by_state[own, a] = centres
            mine = self.interval_owner == a
            by_place[mine, a] = halves[self.n_atoms[i] : self.n_atoms[i] + self.n_intervals[i]]
        return by_state, by_place

    def choose(self, scores: torch.Tensor) -> torch.Tensor:
        """Return the slot with the highest score in every span, shape (n, s)."""
        import torch

        picked = []
        for start, count, width in self.blocks:
            part = scores[:, start : start + count * width].reshape(-1, count, width)
            first = start + width * torch.arange(count, device=scores.device)
            picked.append(part.argmax(2) + first)
        return torch.cat(picked, 1)

    def softmax(self, scores: torch.Tensor) -> torch.Tensor:
        """Return the softmax over every span, shape (n, p)."""
        import torch

        parts: list[Any] = []
        for start, count, width in self.blocks:
            part = scores[:, start : start + count * width].reshape(-1, count, width)
            parts.append(part.softmax(2).reshape(len(scores), count * width))
        return torch.cat(parts, 1)


def _padded(width: int) -> int:
    """Return the next of 2, 3, 4, 6, 8, 12, 16, 24, ...: at most a third of a span is padding."""
    power = 2
    while True:
        if width <= power:
            return power
        if width <= power + power // 2:
            return power + power // 2
        power *= 2


_CELLS_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Features:
    """What turns states and places into rows of features, as tensors on one device.

    Parameters
    ----------
    layout : Layout
        Where states stand.
    used : torch.Tensor
        Which slots stand for a state, shape (p,).
    span_of : torch.Tensor
        Span of each slot, shape (p,).
    interval_slots, owners : torch.Tensor
        Slot of each interval, and the one-hot of its column, shape (h,) and (h, a).
    rank_of_state, rank_of_place : torch.Tensor
        See `SlotLayout.rank_weights`.
    """

    layout: SlotLayout
    used: torch.Tensor
    span_of: torch.Tensor
    interval_slots: torch.Tensor
    owners: torch.Tensor
    rank_of_state: torch.Tensor
    rank_of_place: torch.Tensor

    @classmethod
    def of(cls, layout: SlotLayout, ranks: tuple[Floats, Floats], device: str) -> Features:
        """Return the features of a layout with the matrices of `SlotLayout.rank_weights`."""
        import torch

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
        import torch

        empty = torch.zeros(len(slots), self.layout.n_slots, device=slots.device)
        return empty.scatter_(1, slots, 1.0)

    def rows(self, one_hot: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """Return features, shape (n, f), of one-hot states (n, p) and places of intervals (n, h)."""
        import torch

        placed = one_hot[:, self.interval_slots] * places
        ranks = one_hot @ self.rank_of_state + placed @ self.rank_of_place
        return torch.cat([one_hot, placed @ self.owners, ranks], 1)


class RealRows:
    """The rows to learn from, and draws of them as in training by sampling (Xu et al. 2019).

    A condition is a column at random and one of its states by the logarithm of its frequency; the
    row is one of those in that state. States of numbers, atoms and missing values take part too.
    """

    def __init__(self, features: Features, slots: Whole, positions: Floats) -> None:
        import torch

        device = features.used.device
        self.features = features
        self.slots = torch.tensor(slots, dtype=torch.int32, device=device)
        n_slots = features.layout.n_slots
        counts = torch.zeros(n_slots, dtype=torch.float64, device=device)
        for column in self.slots.T:
            counts += torch.bincount(column, minlength=n_slots)
        positions_ = torch.tensor(positions, dtype=torch.float32, device=device)
        self.extras = self._extras(positions_)
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
        import torch

        device = self.slots.device
        asked = torch.multinomial(self.chances.float(), n, replacement=True, generator=random)
        along = torch.rand(n, generator=random, device=device, dtype=torch.float64)
        count = self.counts[asked]
        place = self.first[asked] + torch.minimum((along * count).long(), count - 1)
        rows = self.order[self.features.span_of[asked], place].long()
        return asked, self.take(rows)

    def take(self, rows: torch.Tensor | slice) -> torch.Tensor:
        """Return the features of these rows, shape (n, f)."""
        import torch

        return torch.cat([self.features.one_hot(self.slots[rows].long()), self.extras[rows]], 1)

    def mean_squares(self) -> torch.Tensor:
        """Return the mean square of every feature over the rows as `batch` draws them, shape (f,)."""
        import torch

        total = torch.zeros(self.features.n_features, device=self.slots.device)
        for rows, weights in self._weighted():
            total += weights @ rows**2
        return total

    def moments(self) -> torch.Tensor:
        """Return the mean product of any two features over the rows as `batch` draws them, (f, f)."""
        import torch

        width = self.features.n_features
        total = torch.zeros(width, width, device=self.slots.device)
        for rows, weights in self._weighted():
            total += rows.T @ (rows * weights[:, None])
        return total

    def _weighted(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield blocks of rows with the chance that `batch` takes each, shapes (n, f) and (n,)."""
        chances = (self.chances / self.counts.clamp_min(1)).float()
        for start in range(0, len(self), self.rows_at_once):
            part = slice(start, start + self.rows_at_once)
            yield self.take(part), chances[self.slots[part].long()].sum(1)

    @property
    def rows_at_once(self) -> int:
        """Rows in a block when all are gone through."""
        return max(_CELLS_AT_ONCE // self.features.n_features, 1)

    def _extras(self, positions: torch.Tensor) -> torch.Tensor:
        """Return positions and ranks of every row, shape (n, 2 a)."""
        import torch

        parts = []
        n_slots = self.features.layout.n_slots
        for start in range(0, len(self), self.rows_at_once):
            part = slice(start, start + self.rows_at_once)
            one_hot = self.features.one_hot(self.slots[part].long())
            places = positions[part] @ self.features.owners.T
            parts.append(self.features.rows(one_hot, places)[:, n_slots:])
        return torch.cat(parts)

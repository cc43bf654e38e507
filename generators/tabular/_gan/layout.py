"""Where states stand in the rows of floats that the networks of the conditional GAN see."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .states import StateTable

if TYPE_CHECKING:
    import torch

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]


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

"""Real rows on the device of the conditional GAN, and batches of them by sampled conditions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .layout import SlotLayout
from .states import Floats, Whole

if TYPE_CHECKING:
    import torch

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

"""Fine tokens of smooth numbers, without anything to learn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .cells import ColumnCells
from .layout import fine_shares

if TYPE_CHECKING:
    import torch

_STEEPEST = 4.0


@dataclass(frozen=True)
class Ramp:
    """Fine tokens of a smooth number: what the network says of a bin's neighbours tilts it.

    Within a bin the log of the ratio between the network's distribution and the column's own rises
    evenly, as it does from the bin before to the bin after. Nothing is learnt for it, so nothing is
    learnt by heart.

    Parameters
    ----------
    own : torch.Tensor
        Log share of every coarse token in the column, shape (k,).
    fine : torch.Tensor
        Log share of every fine token in its coarse one, shape (k, fine).
    place : torch.Tensor
        Where in its bin a fine token stands, -1/2 to 1/2, shape (k, fine).
    before, after : torch.Tensor
        The neighbours of each coarse token; itself where there is none or it is a heap.
    """

    own: torch.Tensor
    fine: torch.Tensor
    place: torch.Tensor
    before: torch.Tensor
    after: torch.Tensor

    @classmethod
    def of(cls, cells: ColumnCells, device: str) -> Ramp:
        """Return the ramp of a column."""
        import torch

        n, width = int(cells.coarse.max()) + 1, int(cells.fine.max()) + 1
        mass = np.bincount(cells.coarse, np.maximum(cells.mass, 1e-6), n)
        place = np.zeros((n, width))
        size = np.bincount(cells.coarse)
        place[cells.coarse, cells.fine] = (cells.fine + 0.5) / size[cells.coarse] - 0.5
        token = np.arange(n)
        before, after = np.maximum(token - 1, 0), np.minimum(token + 1, n - 1)
        heap = size == 1
        arrays = (
            np.log(mass / mass.sum()).astype(np.float32),
            fine_shares(cells, n, width),
            place.astype(np.float32),
            np.where(heap[before], token, before),
            np.where(heap[after], token, after),
        )
        return cls(*(torch.as_tensor(a, device=device) for a in arrays))

    def scores(self, coarse_scores: torch.Tensor, coarse: torch.Tensor) -> torch.Tensor:
        """Return the scores of fine tokens given the coarse ones drawn, shape (n, fine)."""
        ratio = coarse_scores - self.own
        before, after = self.before[coarse], self.after[coarse]
        rise = ratio.gather(1, after[:, None]) - ratio.gather(1, before[:, None])
        rise = rise / (after - before).clamp(min=1)[:, None]
        return self.fine[coarse] + self.place[coarse] * rise.clamp(-_STEEPEST, _STEEPEST)

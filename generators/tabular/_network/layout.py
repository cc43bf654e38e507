"""Positions of the tokens of every column in the arrays of the masked network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from twinset.core.features.torch_device import torch

from .._discrete import Codes, WidthGroup, group_by_width
from .cells import ColumnCells

Singles = npt.NDArray[np.float32]

N_WAVES = 16  # smooth functions of a number: 14 cosines resolve about its 64 bins, rank and value
FINE_RANK = 32  # of the scores of fine tokens: bounds their weights for 10,000 of them
# Mean rows of a repeated value from which on a number's fine tokens are learnt: its values are
# habits then, not pieces of an interval.
_ROWS_PER_REPEAT = 12
_NEVER = -1e9  # score of a padding token: its probability is 0 in 32-bit floats
_MAX_SLOPE = 4.0  # nats over a bin: a steeper ramp follows noise of the neighbouring bins


class TokenLayout:
    """Positions of the tokens of every column that has more than one cell.

    Columns are ordered by the width of their coarse tokens; `columns` are their positions in the
    table.
    """

    def __init__(self, table: Sequence[ColumnCells]) -> None:
        n_coarse = [int(cells.coarse.max(initial=-1)) + 1 for cells in table]
        active = [j for j, cells in enumerate(table) if len(cells.coarse) > 1]
        self.columns = sorted(active, key=lambda j: (_padded(n_coarse[j]), j))
        self.cells = [table[j] for j in self.columns]
        self.n_coarse = [n_coarse[j] for j in self.columns]
        self.n_fine = [int(cells.fine.max()) + 1 for cells in self.cells]
        self.groups = group_by_width([_padded(n) for n in self.n_coarse])
        self.slot = np.zeros(len(self.columns), dtype=np.int64)
        for group in self.groups:
            self.slot[group.columns] = group.start + group.width * np.arange(len(group.columns))
        self.n_slots = sum(len(g.columns) * g.width for g in self.groups)
        split = [p for p, n in enumerate(self.n_fine) if n > 1]
        self.smooth = [p for p in split if _is_smooth(self.cells[p])]
        self.fine_groups = self._fine_groups([p for p in split if p not in self.smooth])
        self.numbers = [p for p, cells in enumerate(self.cells) if cells.is_number]
        self.wide_labels = [p for p in split if not self.cells[p].is_number]

    def _fine_groups(self, columns: list[int]) -> list[WidthGroup]:
        """Return the columns with fine tokens to learn, by width; they start at a row a token."""
        groups, start = [], 0
        widths = {p: _padded(self.n_fine[p]) for p in columns}
        for width in sorted(set(widths.values())):
            own = [p for p in columns if widths[p] == width]
            groups.append(WidthGroup(own, width, start))
            start += sum(self.n_coarse[p] for p in own)
        return groups

    @property
    def n_columns(self) -> int:
        """Number of columns in the network, d."""
        return len(self.columns)

    @cached_property
    def waves(self) -> list[Singles]:
        """Smooth functions of each cell of each number column, shape (k, m); 0 where missing."""
        return [_waves(self.cells[p]) for p in self.numbers]

    def shapes(self, width: int, blocks: int) -> dict[str, tuple[int, ...]]:
        """Return the shape of every weight array of a network of that size."""
        n_wide = sum(self.n_fine[p] for p in self.wide_labels)
        shapes: dict[str, tuple[int, ...]] = {
            "embed": (self.n_slots + self.n_columns + n_wide + 1, width),
            "start": (width,),
            "out": (self.n_slots, width),
            "out_bias": (self.n_slots,),
        }
        if self.numbers:
            shapes["waves"] = (len(self.numbers) * N_WAVES, width)
            shapes["out_waves"] = (len(self.numbers), N_WAVES, width)
        for b in range(blocks):
            shapes[f"in{b}"] = (width, 2 * width)
            shapes[f"back{b}"] = (width, width)
        for g, group in enumerate(self.fine_groups):
            n, rows = len(group.columns), sum(self.n_coarse[p] for p in group.columns)
            shapes[f"fine{g}_down"] = (width, n * FINE_RANK)
            shapes[f"fine{g}_scale"] = (rows, FINE_RANK)
            shapes[f"fine{g}_shift"] = (rows, FINE_RANK)
            shapes[f"fine{g}_out"] = (n, FINE_RANK, group.width)
        return shapes

    def marginal_scores(self) -> Singles:
        """Return the log share of every coarse token, with which the network begins."""
        out = np.full(self.n_slots, _NEVER, dtype=np.float32)
        for p, cells in enumerate(self.cells):
            at = self.slot[p]
            out[at : at + self.n_coarse[p]] = coarse_shares(cells, self.n_coarse[p])
        return out

    def slot_waves(self) -> tuple[Singles, Codes]:
        """Return mean waves of coarse tokens, (numbers, max tokens, m), and each slot's row there."""
        max_tokens = max(self.n_coarse[p] for p in self.numbers)
        means = np.zeros((len(self.numbers), max_tokens, N_WAVES), dtype=np.float32)
        row_of_slot = np.full(self.n_slots, len(self.numbers) * max_tokens, dtype=np.int64)
        for i, p in enumerate(self.numbers):
            n, cells = self.n_coarse[p], self.cells[p]
            mass = np.bincount(cells.coarse, cells.mass)
            sums = [np.bincount(cells.coarse, cells.mass * wave) for wave in self.waves[i].T]
            means[i, :n] = np.stack(sums, axis=1) / np.maximum(mass, 1)[:, None]
            row_of_slot[self.slot[p] : self.slot[p] + n] = i * max_tokens + np.arange(n)
        return means, row_of_slot


def _padded(n: int) -> int:
    """Return the next power of two, so that few widths occur."""
    return 1 << max(n - 1, 1).bit_length()


def _is_smooth(cells: ColumnCells) -> bool:
    """Return whether the fine cells of a number are pieces of bins, not values that repeat."""
    if not cells.is_number:
        return False
    n = cells.n_present
    shared = (np.bincount(cells.coarse)[cells.coarse] > 1)[:n]
    repeats = cells.mass[:n][shared & (cells.knots[:, 0] == cells.knots[:, -1])]
    is_discrete = repeats.sum() >= 0.5 * cells.mass[:n][shared].sum()
    return not (is_discrete and repeats.mean() >= _ROWS_PER_REPEAT)


def _waves(cells: ColumnCells) -> Singles:
    """Return cosines of each cell's rank, its rank and its value, shape (k, m)."""
    ranks = cells.ranks[:, None]
    waves = np.zeros((len(ranks), N_WAVES))
    waves[:, :-2] = np.cos(np.pi * np.arange(1, N_WAVES - 1) * ranks)
    waves[:, -2] = np.sqrt(3) * (2 * ranks[:, 0] - 1)
    n = cells.n_present
    middle = cells.knots[:, cells.knots.shape[1] // 2]
    share = cells.mass[:n] / max(cells.mass[:n].sum(), 1.0)
    deviation = np.sqrt(max(share @ (middle - share @ middle) ** 2, 0.0))
    if deviation > 0:
        waves[:n, -1] = np.clip((middle - share @ middle) / deviation, -4, 4)
    waves[n:] = 0
    return waves.astype(np.float32)


def coarse_shares(cells: ColumnCells, n_coarse: int) -> Singles:
    """Return the log share of each coarse token, shape (n_coarse,)."""
    mass = np.bincount(cells.coarse, np.maximum(cells.mass, 1e-6), n_coarse)
    return np.asarray(np.log(mass / mass.sum()), dtype=np.float32)


def fine_shares(cells: ColumnCells, n_coarse: int, width: int) -> Singles:
    """Return the log share of each fine token in its coarse one, shape (n_coarse, width)."""
    shares = np.zeros((n_coarse, width))
    shares[cells.coarse, cells.fine] = cells.mass
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1)
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(shares), _NEVER).astype(np.float32)


@dataclass(frozen=True)
class Ramp:
    """Fine tokens of a smooth number: a bin is tilted by the prediction for its neighbours.

    Within a bin the log of the ratio between the network's distribution and the column's own rises
    evenly, as it does from the bin before to the bin after. It has no weights, so it memorises no
    row.
    """

    own: torch.Tensor  # log share of every coarse token in the column, shape (k,)
    fine: torch.Tensor  # log share of every fine token in its coarse one, (k, fine)
    place: torch.Tensor  # place of a fine token in its bin, -1/2 to 1/2, (k, fine)
    before: torch.Tensor  # neighbours of each coarse token; itself without one or beside a tie
    after: torch.Tensor

    @classmethod
    def from_cells(cls, cells: ColumnCells, device: str) -> Ramp:
        """Return the ramp of a column."""
        n, width = int(cells.coarse.max()) + 1, int(cells.fine.max()) + 1
        size = np.bincount(cells.coarse)
        place = np.zeros((n, width))
        place[cells.coarse, cells.fine] = (cells.fine + 0.5) / size[cells.coarse] - 0.5
        token = np.arange(n)
        before, after = np.maximum(token - 1, 0), np.minimum(token + 1, n - 1)
        is_tie = size == 1
        arrays = (
            coarse_shares(cells, n),
            fine_shares(cells, n, width),
            place.astype(np.float32),
            np.where(is_tie[before], token, before),
            np.where(is_tie[after], token, after),
        )
        return cls(*(torch.as_tensor(a, device=device) for a in arrays))

    def scores(self, coarse_scores: torch.Tensor, coarse: torch.Tensor) -> torch.Tensor:
        """Return the scores of fine tokens given the coarse ones drawn, shape (n, fine)."""
        ratio = coarse_scores - self.own
        before, after = self.before[coarse], self.after[coarse]
        rise = ratio.gather(1, after[:, None]) - ratio.gather(1, before[:, None])
        rise = rise / (after - before).clamp(min=1)[:, None]
        return self.fine[coarse] + self.place[coarse] * rise.clamp(-_MAX_SLOPE, _MAX_SLOPE)

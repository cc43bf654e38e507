"""Where the tokens of every column stand in the arrays of the masked network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from .cells import Codes, ColumnCells

N_WAVES = 16
FINE_RANK = 32
_ROWS_PER_REPEAT = 12
_NEVER = -1e9


@dataclass(frozen=True)
class TokenGroup:
    """Columns whose tokens are padded to one width, so that one softmax serves all of them.

    Parameters
    ----------
    columns : list of int
        Positions of the columns in the network.
    width : int
        Tokens of each, padding included.
    start : int
        Where their tokens begin among all tokens of this sort.
    """

    columns: list[int]
    width: int
    start: int


class TokenLayout:
    """Where the tokens of every column stand in the network's arrays.

    Columns are ordered by the width of their coarse tokens; `columns` says which column of the
    table stands where.
    """

    def __init__(self, table: Sequence[ColumnCells]) -> None:
        n_coarse = [int(cells.coarse.max(initial=-1)) + 1 for cells in table]
        active = [j for j, cells in enumerate(table) if len(cells.coarse) > 1]
        self.columns = sorted(active, key=lambda j: (_padded(n_coarse[j]), j))
        self.cells = [table[j] for j in self.columns]
        self.n_coarse = [n_coarse[j] for j in self.columns]
        self.n_fine = [int(cells.fine.max()) + 1 for cells in self.cells]
        self.groups = _grouped([(p, _padded(n)) for p, n in enumerate(self.n_coarse)])
        self.slot = np.zeros(len(self.columns), dtype=np.int64)
        for group in self.groups:
            self.slot[group.columns] = group.start + group.width * np.arange(len(group.columns))
        self.n_slots = sum(len(g.columns) * g.width for g in self.groups)
        self.smooth = [p for p, n in enumerate(self.n_fine) if n > 1 and _is_smooth(self.cells[p])]
        free = [p for p, n in enumerate(self.n_fine) if n > 1 and p not in self.smooth]
        self.fine_groups = _grouped([(p, _padded(self.n_fine[p])) for p in free], self.n_coarse)
        self.numbers = [p for p, cells in enumerate(self.cells) if cells.is_number]
        self.wide_labels = [
            p for p, n in enumerate(self.n_fine) if n > 1 and not self.cells[p].is_number
        ]

    @property
    def n_columns(self) -> int:
        """Number of columns in the network, d."""
        return len(self.columns)

    @cached_property
    def waves(self) -> list[npt.NDArray[np.float32]]:
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

    def marginal_scores(self) -> npt.NDArray[np.float32]:
        """Return the log share of every coarse token, with which the network begins."""
        out = np.full(self.n_slots, _NEVER, dtype=np.float32)
        for p, cells in enumerate(self.cells):
            mass = np.bincount(cells.coarse, np.maximum(cells.mass, 1e-6), self.n_coarse[p])
            at = self.slot[p]
            out[at : at + self.n_coarse[p]] = np.log(mass / mass.sum())
        return out


def _padded(n: int) -> int:
    """Return the next power of two, so that few widths occur."""
    return 1 << max(n - 1, 1).bit_length()


def _grouped(widths: list[tuple[int, int]], own_rows: list[int] | None = None) -> list[TokenGroup]:
    groups: list[TokenGroup] = []
    start = 0
    for width in sorted({w for _, w in widths}):
        columns = [p for p, w in widths if w == width]
        groups.append(TokenGroup(columns, width, start))
        start += width * len(columns) if own_rows is None else sum(own_rows[p] for p in columns)
    return groups


def bases(sizes: Sequence[int]) -> Codes:
    """Return where each of several stretches begins when they stand one after the other."""
    return np.append(0, np.cumsum(sizes, dtype=np.int64))[:-1].astype(np.int64)


def _is_smooth(cells: ColumnCells) -> bool:
    """Return whether the fine cells of a number are mere pieces of bins, not values that repeat."""
    if not cells.is_number:
        return False
    n = cells.n_present
    shared = (np.bincount(cells.coarse)[cells.coarse] > 1)[:n]
    repeats = cells.mass[:n][shared & (cells.knots[:, 0] == cells.knots[:, -1])]
    is_discrete = repeats.sum() >= 0.5 * cells.mass[:n][shared].sum()
    return not (is_discrete and repeats.mean() >= _ROWS_PER_REPEAT)


def _waves(cells: ColumnCells) -> npt.NDArray[np.float32]:
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


def waves_of_slots(layout: TokenLayout) -> tuple[npt.NDArray[np.float32], Codes]:
    """Return mean waves of coarse tokens, shape (numbers, most tokens, m), and each slot's row there."""
    most = max(layout.n_coarse[p] for p in layout.numbers)
    means = np.zeros((len(layout.numbers), most, N_WAVES), dtype=np.float32)
    row_of_slot = np.full(layout.n_slots, len(layout.numbers) * most, dtype=np.int64)
    for i, p in enumerate(layout.numbers):
        n = layout.n_coarse[p]
        means[i, :n] = _mean_waves(layout.cells[p])
        row_of_slot[layout.slot[p] : layout.slot[p] + n] = i * most + np.arange(n)
    return means, row_of_slot


def _mean_waves(cells: ColumnCells) -> npt.NDArray[np.float32]:
    """Return the mean waves of each coarse token, shape (tokens, m)."""
    waves = _waves(cells)
    mass = np.bincount(cells.coarse, cells.mass)
    sums = [np.bincount(cells.coarse, cells.mass * wave) for wave in waves.T]
    return (np.stack(sums, axis=1) / np.maximum(mass, 1)[:, None]).astype(np.float32)


def fine_shares(cells: ColumnCells, n_coarse: int, width: int) -> npt.NDArray[np.float32]:
    """Return the log share of each fine token in its coarse one, shape (n_coarse, width)."""
    shares = np.zeros((n_coarse, width))
    shares[cells.coarse, cells.fine] = cells.mass
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1)
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(shares), _NEVER).astype(np.float32)

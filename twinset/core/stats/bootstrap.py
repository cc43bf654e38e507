"""A bootstrap by groups of rows: count tables are added up once a group, then only groups are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

MAX_GROUPS = 50  # of rows: a replicate costs one product with as many sums


@dataclass(frozen=True)
class Groups:
    """Rows dealt at random into at most 50 equal groups, and how often each replicate draws each group.

    A statistic of sums over rows needs one pass over the rows whatever the number of replicates. With
    fewer than 50 rows every row is a group of its own: the ordinary bootstrap.
    """

    group: npt.NDArray[np.int64]  # The group of each row, shape (n,)
    draws: Floats  # How often each replicate holds each group, shape (b, g)

    @classmethod
    def assign(cls, n: int, b: int, rng: np.random.Generator) -> Groups:
        """Return groups of `n` rows and `b` replicates of them."""
        g = min(MAX_GROUPS, n)
        group = rng.permutation(np.arange(n) % g)
        draws = rng.multinomial(g, np.full(g, 1 / g), size=b).astype(np.float64)
        return cls(group, draws)

    @property
    def size(self) -> int:
        """Number of groups."""
        return int(self.draws.shape[1])

    @cached_property
    def sizes(self) -> npt.NDArray[np.int64]:
        """How many rows each group holds, shape (g,)."""
        return np.bincount(self.group, minlength=self.size)

    def equals(self, other: Groups) -> bool:
        """Return whether the same rows are dealt and drawn alike."""
        return np.array_equal(self.group, other.group) and np.array_equal(self.draws, other.draws)

    def counts(self, cells: npt.NDArray[np.int64], n_cells: int) -> Floats:
        """Return how many rows of each group fall into each cell, shape (g, n_cells)."""
        flat = np.bincount(self.group * n_cells + cells, minlength=self.size * n_cells)
        return flat.reshape(self.size, n_cells).astype(np.float64)

    def means(self, values: Floats) -> tuple[Floats, Floats]:
        """Return the means of columns, shape (n, d): over all rows, (1, d), and replicated, (b, d)."""
        sums = np.column_stack([np.bincount(self.group, column, self.size) for column in values.T])
        whole = values.mean(axis=0, keepdims=True)
        return whole, self.draws @ sums / (self.draws @ self.sizes)[:, None]

    def shares(self, counts: Floats) -> tuple[Floats, Floats]:
        """Return the shares of the cells: over all rows, (1, n_cells), and replicated, (b, n_cells)."""
        whole = counts.sum(axis=0, keepdims=True)
        drawn = self.draws @ counts
        return whole / whole.sum(), drawn / drawn.sum(axis=1, keepdims=True)


def total_variation(p: Floats, q: Floats) -> Floats:
    """Return half the summed difference of two tables of shares, row by row, in [0, 1].

    Examples
    --------
    >>> total_variation(np.array([[0.5, 0.5]]), np.array([[0.2, 0.8]])).round(3).tolist()
    [0.3]
    """
    return np.asarray(0.5 * np.abs(p - q).sum(axis=1))

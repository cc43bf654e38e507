"""Slopes inside leaves: a donor's number follows the parent that it leans on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ._chain_routing import Nodes
from ._chain_table import Matrix

_LEAST_R2 = 0.15
_LEAST_ROWS = 7


@dataclass(frozen=True)
class LeafSlopes:
    """For each node of a tree, the one numeric parent that explains most, and its slope.

    A slope is shrunk by what chance alone would explain, and is 0 where it explains less than
    15 % of what is left inside the leaf.

    Parameters
    ----------
    parent : numpy.ndarray
        Variable that the node leans on, shape (m,).
    slope : numpy.ndarray
        Change of the number for a change of 1 of the parent, shape (m,).
    low, high : numpy.ndarray
        Range of the number in the leaf, shape (m,); outside it the donor is kept as it is.
    rest : numpy.ndarray
        What of each donor's number its parent does not explain, shape (n,).
    """

    parent: Nodes
    slope: Matrix
    low: Matrix
    high: Matrix
    rest: Matrix

    @classmethod
    def of(
        cls,
        matrix: Matrix,
        target: Matrix,
        free: npt.NDArray[np.bool_],
        leaves: Nodes,
        n_nodes: int,
        parents: Sequence[int],
    ) -> LeafSlopes | None:
        """Return the slopes; None when no leaf has any.

        Parameters
        ----------
        matrix, target, free, leaves : numpy.ndarray
            Variables, the number, whether it may lean (no atom, no tie), and the leaf: one a donor.
        n_nodes : int
            Nodes of the tree, m.
        parents : sequence of int
            Numeric variables drawn before.
        """
        weight = free.astype(np.float64)
        rows = np.bincount(leaves, weight, n_nodes)

        def centred(values: Matrix) -> Matrix:
            mean = np.bincount(leaves, values * weight, n_nodes) / np.maximum(rows, 1)
            return np.asarray((values - mean[leaves]) * weight)

        own = centred(target)
        own_square = np.bincount(leaves, own * own, n_nodes)
        best = np.zeros(n_nodes, dtype=np.int32)
        best_r2, slope = np.zeros(n_nodes), np.zeros(n_nodes)
        for parent in parents:
            other = centred(matrix[:, parent])
            square = np.bincount(leaves, other * other, n_nodes)
            product = np.bincount(leaves, other * own, n_nodes)
            able = (square > 1e-12) & (own_square > 1e-12)
            r2 = np.where(able, product**2 / np.where(able, square * own_square, 1.0), 0.0)
            better = r2 > best_r2
            best[better], best_r2[better] = parent, r2[better]
            slope[better] = product[better] / square[better]
        # The best of p parents explains something by chance: about 2 log p rows' worth.
        spare = np.maximum(rows - 2 - 2 * np.log(len(parents) + 1), 1)
        honest = 1 - (1 - best_r2) * np.maximum(rows - 1, 0) / spare
        kept = np.clip(honest / np.maximum(best_r2, 1e-12), 0, 1)
        slope *= np.where((best_r2 >= _LEAST_R2) & (rows >= _LEAST_ROWS), kept, 0.0)
        if not slope.any():
            return None
        low, high = np.full(n_nodes, np.inf), np.full(n_nodes, -np.inf)
        np.minimum.at(low, leaves[free], target[free])
        np.maximum.at(high, leaves[free], target[free])
        rest = target - slope[leaves] * matrix[np.arange(len(target)), best[leaves]]
        return cls(best, slope, low, high, rest)

    def lean(
        self, values: Matrix, moved: Matrix, donors: npt.NDArray[np.int64], leaves: Nodes,
        matrix: Matrix,
    ) -> Matrix:  # fmt: skip
        """Return the numbers of donors, `moved` in their bins, carried along to new parents."""
        at = matrix[np.arange(len(leaves)), self.parent[leaves]]
        carried = self.rest[donors] + self.slope[leaves] * at + (moved - values)
        fits = (self.slope[leaves] != 0) & (carried >= self.low[leaves])
        return np.where(fits & (carried <= self.high[leaves]), carried, moved)

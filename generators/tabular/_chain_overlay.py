"""A last correction of a number: what is drawn is laid upon what is real, rank by rank."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ._chain_grain import Grain
from ._chain_table import Matrix

_MOST_KNOTS = 4_096


@dataclass(frozen=True)
class Overlay:
    """The way from drawn numbers to real ones of the same rank.

    Where a number is nearly a function of others, the leaf decides on it, and no weight of donors
    mends that drawn parents are led to other leaves than real ones. A row keeps its rank then, and
    takes the real number there: atoms become atoms, and what lies between moves in its bin.

    Parameters
    ----------
    drawn : numpy.ndarray
        Numbers of a trial at even ranks, ascending, shape (k,).
    real : numpy.ndarray
        Positions in the grain's values of the real numbers at the same ranks, shape (k,).
    """

    drawn: Matrix
    real: npt.NDArray[np.int32]

    @classmethod
    def of(cls, drawn: Matrix, real: npt.NDArray[np.integer]) -> Overlay:
        """Return the way from the numbers of a trial, shape (n,), to the real codes, shape (m,).

        Examples
        --------
        >>> way = Overlay.of(np.array([5.0, 5.0, 7.0, 9.0]), np.array([0, 0, 0, 1]))
        >>> way.drawn.tolist(), way.real.tolist()
        ([5.0, 5.0, 7.0, 9.0], [0, 0, 0, 1])
        """
        k = min(_MOST_KNOTS, len(drawn), len(real))
        below = (np.arange(k) + 0.5) / k
        ends = [np.sort(part)[(below * len(part)).astype(np.int64)] for part in (drawn, real)]
        return cls(ends[0], ends[1].astype(np.int32))

    def laid(self, drawn: Matrix, grain: Grain, rng: np.random.Generator) -> Matrix:
        """Return the real numbers at the ranks of the drawn ones, shape (n,).

        Equal numbers share the ranks between them out at random.
        """
        low, high = (np.searchsorted(self.drawn, drawn, side=side) for side in ("left", "right"))
        rank = low + rng.random(len(drawn)) * np.maximum(high - low, 1)
        codes = self.real[np.minimum(rank.astype(np.int64), len(self.real) - 1)]
        values = grain.values[codes]
        return np.where(grain.atom[codes], values, grain.on_grid(grain.moved(codes, rng)))

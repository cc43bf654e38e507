"""Keep a generator from handing out rows of real individuals more often than chance would."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
Hashes = npt.NDArray[np.uint64]

_ROUNDS = 8
_FEW = 0.02
"""Below this share, leaving no copy at all makes no hole that one could notice."""


@dataclass(frozen=True)
class CopyGuard:
    """The rows that only one individual has, and the share of their copies that may stay.

    In a table with few combinations a fresh real row often equals one that was seen once before.
    Good and Turing tell how often: 2 N2 / n, N2 being the number of combinations seen twice. Copies
    beyond that are drawn anew, so that the twin neither hands out individuals nor has holes where
    they are. Where fresh rows are copies in less than 2 %, no copy stays at all.

    Parameters
    ----------
    single : numpy.ndarray
        Hashes of the rows that occur once, ascending, shape (k,).
    kept_fraction : float
        Share of the copies that may stay, 0 to 1.

    References
    ----------
    Good, "The population frequencies of species", Biometrika 40, 1953.
    """

    single: Hashes
    kept_fraction: float

    @classmethod
    def of(cls, real: Matrix, draw: Callable[[int], Matrix]) -> CopyGuard:
        """Return the guard for `real` rows; `draw(n)` gives unguarded rows of the generator."""
        hashes, counts = np.unique(row_hashes(real), return_counts=True)
        guard = cls(hashes[counts == 1], 0.0)
        expected = 2.0 * float((counts == 2).sum()) / len(real)
        made = draw(min(len(real), 20_000))
        seen = float(guard.copies(made).mean()) if len(made) else 0.0
        if expected < _FEW:
            return guard
        return cls(guard.single, min(1.0, expected / seen) if seen else 1.0)

    def copies(self, made: Matrix) -> npt.NDArray[np.bool_]:
        """Return which rows equal a real row that occurs once, shape (n,)."""
        if not len(self.single):
            return np.zeros(len(made), dtype=bool)
        hashes = row_hashes(made)
        at = np.minimum(np.searchsorted(self.single, hashes), len(self.single) - 1)
        return np.asarray(self.single[at] == hashes)

    def redraw(
        self, made: Matrix, draw: Callable[[int], Matrix], rng: np.random.Generator
    ) -> Matrix:
        """Return the rows with copies beyond their share replaced; `made` is changed in place.

        After 8 rounds what is still a copy stays: the condition may leave nothing else to draw.
        """
        suspects = np.flatnonzero(self.copies(made))
        suspects = suspects[rng.random(len(suspects)) >= self.kept_fraction]
        for _ in range(_ROUNDS):
            if not len(suspects):
                break
            made[suspects] = draw(len(suspects))
            again = self.copies(made[suspects])
            suspects = suspects[again & (rng.random(len(suspects)) >= self.kept_fraction)]
        return made


def row_hashes(matrix: Matrix) -> Hashes:
    """Return a 64-bit hash of each row, shape (n,); equal rows have equal hashes.

    Examples
    --------
    >>> hashes = row_hashes(np.array([[1.0, 2.0], [2.0, 1.0], [1.0, 2.0]]))
    >>> bool(hashes[0] == hashes[2]), bool(hashes[0] == hashes[1])
    (True, False)
    """
    mixed = np.full(len(matrix), 0x9E3779B97F4A7C15, dtype=np.uint64)
    for column in matrix.T:
        # Adding 0 turns -0.0 into 0.0, which has other bits.
        mixed ^= np.ascontiguousarray(column + 0.0).view(np.uint64)
        mixed *= np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(29)
    return mixed

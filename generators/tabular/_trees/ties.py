"""Ties: a number that in many rows is exactly another one, or the sum or difference of two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .rounding import NumberBins
from .table import Matrix

Mask = npt.NDArray[np.bool_]

LEAST_SHARE = 0.004
_MOST_PARENTS = 24
_PROBE_ROWS = 4_000
_LEAST_ROWS = 20
_NINE_DIGITS = 1e-9


@dataclass(frozen=True)
class Tie:
    """`first`, or `first + sign * second` where there is a second variable."""

    first: int
    second: int = -1
    sign: int = 1

    def value(self, matrix: Matrix, decimals: int | None) -> Matrix:
        """Return the number that the tie gives in each row, shape (n,)."""
        total = matrix[:, self.first]
        if self.second >= 0:
            total = total + self.sign * matrix[:, self.second]
        return np.asarray(total if decimals is None else np.round(total, decimals))

    def holds(self, matrix: Matrix, target: Matrix, decimals: int | None) -> Mask:
        """Return in which rows it gives the number: exactly, or to nine digits without a grid."""
        made = self.value(matrix, decimals)
        if decimals is not None:
            return np.asarray(target == made)
        return np.asarray(np.abs(target - made) <= _NINE_DIGITS * np.abs(target).max(initial=0.0))


def find_ties(
    matrix: Matrix, target: Matrix, parents: Sequence[int], free: Mask, decimals: int | None
) -> tuple[tuple[Tie, ...], npt.NDArray[np.int8]]:
    """Return the ties of a number with its parents, most frequent first, and the tie of each row.

    Parameters
    ----------
    matrix : numpy.ndarray
        Variables, shape (n, v).
    target : numpy.ndarray
        The number, shape (n,).
    parents : sequence of int
        Numeric variables drawn before it.
    free : numpy.ndarray
        Rows whose number is no atom, shape (n,); a shared zero is no tie.
    decimals : int or None
        Digits after the point of the number; None for one without a grid.

    Returns
    -------
    ties : tuple of Tie
        Each holds in 0.4 % of all rows or more that no tie before it explains; one that holds in
        all of at least 20 rows, atoms or not, stands alone.
    tie : numpy.ndarray
        Position of each row's tie, -1 for none, shape (n,).
    """
    n = len(target)
    tie = np.full(n, -1, dtype=np.int8)
    probe = np.arange(0, n, max(1, n // _PROBE_ROWS))
    near = _near(matrix[probe], target[probe], parents, free[probe], decimals)
    for one, _, in_all in near:
        if in_all and n >= _LEAST_ROWS and one.holds(matrix, target, decimals).all():
            return (one,), np.zeros(n, dtype=np.int8)
    likely = [one for one, count, _ in near if count >= 0.5 * LEAST_SHARE * len(probe)]
    held = [_holds(one, matrix, target, decimals) & free for one in likely]
    found: list[Tie] = []
    while likely and len(found) < 100:
        open_rows = tie < 0
        gains = [int((mask & open_rows).sum()) for mask in held]
        best = int(np.argmax(gains))
        if gains[best] < max(LEAST_SHARE * n, 5):
            break
        tie[held[best] & open_rows] = len(found)
        found.append(likely[best])
    return tuple(found), tie


def _near(
    matrix: Matrix, target: Matrix, parents: Sequence[int], free: Mask, decimals: int | None
) -> list[tuple[Tie, int, bool]]:
    """Return the ties that hold, but for rounding, anywhere: in how many free rows, and if in all."""
    slack = _NINE_DIGITS * np.abs(target).max(initial=0.0)
    if decimals is not None:
        slack += 0.5000001 * 10.0**-decimals
    found: list[tuple[Tie, int, bool]] = []

    def look(made: Matrix, ties: list[Tie], counted: Mask) -> None:
        close = np.abs(made - target[:, None]) <= slack
        counts, in_all = (close & counted).sum(0), close.all(0)
        found.extend(
            (tie, int(count), bool(every))
            for tie, count, every in zip(ties, counts, in_all, strict=True)
            if count or every
        )

    look(matrix[:, parents], [Tie(parent) for parent in parents], free[:, None])
    others = list(parents[-_MOST_PARENTS:])
    block = matrix[:, others]
    for at, parent in enumerate(others):
        own = block[:, [at]]
        counted = free[:, None] & (own != 0) & (block != 0)
        apart = [i for i in range(len(others)) if i != at]
        look(own - block[:, apart], [Tie(parent, others[i], -1) for i in apart], counted[:, apart])
        after = slice(at + 1, None)
        look(own + block[:, after], [Tie(parent, b) for b in others[after]], counted[:, after])
    return found


def _holds(tie: Tie, matrix: Matrix, target: Matrix, decimals: int | None) -> Mask:
    holds = tie.holds(matrix, target, decimals)
    if tie.second >= 0:
        holds &= (matrix[:, tie.second] != 0) & (matrix[:, tie.first] != 0)
    return holds


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

    def laid(self, drawn: Matrix, grain: NumberBins, rng: np.random.Generator) -> Matrix:
        """Return the real numbers at the ranks of the drawn ones, shape (n,).

        Equal numbers share the ranks between them out at random.
        """
        low, high = (np.searchsorted(self.drawn, drawn, side=side) for side in ("left", "right"))
        rank = low + rng.random(len(drawn)) * np.maximum(high - low, 1)
        codes = self.real[np.minimum(rank.astype(np.int64), len(self.real) - 1)]
        values = grain.values[codes]
        return np.where(grain.atom[codes], values, grain.on_grid(grain.moved(codes, rng)))

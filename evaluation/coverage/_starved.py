"""Starved combinations under a bootstrap: one bit for each row and replicate, however many tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twinset.core.coverage import Cells, Codes, Tuple, cells_of

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_MOST_GROUPS = 50
_ALPHA = 0.05
_POWER = 0.84
"""Standard errors beyond a bar that a number must lie to exceed it four times in five."""


@dataclass(frozen=True)
class Groups:
    """Rows dealt into at most 50 groups, and how often all rows and each replicate hold each group.

    Parameters
    ----------
    group : numpy.ndarray of int, shape (n,)
        The group of each row.
    draws : numpy.ndarray, shape (1 + b, g)
        How often each group is held; the first line holds each group once.
    rows : numpy.ndarray, shape (1 + b, 1)
        Rows in all.
    """

    group: Cells
    draws: Floats
    rows: Floats

    @classmethod
    def deal(cls, n: int, b: int, rng: np.random.Generator) -> Groups:
        """Return groups of `n` rows and `b` replicates of them."""
        g = min(_MOST_GROUPS, n)
        group = rng.permutation(np.arange(n) % g)
        drawn = rng.multinomial(g, np.full(g, 1 / g), size=b).astype(np.float64)
        draws = np.concatenate([np.ones((1, g)), drawn])
        return cls(group, draws, draws @ np.bincount(group, minlength=g)[:, None])

    def counts(self, mine: Cells, cells: Cells) -> Floats:
        """Return how many rows are in each of `cells`, shape (1 + b, c); `mine` tells the rows'."""
        place = np.full(int(max(mine.max(), cells.max())) + 1, len(cells))
        place[cells] = np.arange(len(cells))
        width, g = len(cells) + 1, self.draws.shape[1]
        flat = np.bincount(self.group * width + place[mine], minlength=g * width)
        return np.asarray(self.draws @ flat.reshape(g, width)[:, :-1])

    def shares(self, flags: npt.NDArray[np.uint8]) -> Floats:
        """Return the share of flagged rows, shape (1 + b,), of flags of shape (n, 1 + b)."""
        order = np.argsort(self.group, kind="stable")
        starts = np.searchsorted(self.group[order], np.arange(self.draws.shape[1]))
        sums = np.add.reduceat(flags[order].astype(np.float64), starts, axis=0)
        return np.asarray((self.draws * sums.T).sum(axis=1) / self.rows[:, 0])


@dataclass(frozen=True)
class Flags:
    """One bit for each row and replicate, packed into words of 64."""

    bits: npt.NDArray[np.uint64]
    n_flags: int

    @classmethod
    def none(cls, n: int, n_flags: int) -> Flags:
        """Return flags of `n` rows, none of them raised."""
        return cls(np.zeros((n, -(-n_flags // 64)), dtype=np.uint64), n_flags)

    def raise_where(self, starved: Bools, cells: Cells, mine: Cells) -> None:
        """Raise the flags of all rows whose cell is starved; `starved` has the shape (flags, c)."""
        if not starved.any():
            return
        packed = np.packbits(starved.T, axis=1)
        wide = np.zeros((len(cells), self.bits.shape[1] * 8), dtype=np.uint8)
        wide[:, : packed.shape[1]] = packed
        table = np.zeros((int(max(mine.max(), cells.max())) + 1, self.bits.shape[1]), np.uint64)
        table[cells] = wide.view(np.uint64)
        self.bits[:] |= table[mine]

    def unpacked(self) -> npt.NDArray[np.uint8]:
        """Return the flags as 0 and 1, shape (n, flags)."""
        return np.unpackbits(self.bits.view(np.uint8), axis=1, count=self.n_flags)


def watched_cells(
    real: Codes, sizes: Sequence[int], tuples: Sequence[Tuple], least_rows: int
) -> dict[Tuple, Cells]:
    """Return the combinations that at least `least_rows` real rows have, by set of factors."""
    found = {}
    for factors in tuples:
        n_cells = int(np.prod([sizes[factor] for factor in factors]))
        counts = np.bincount(cells_of(real, sizes, factors), minlength=n_cells + 1)[:-1]
        if (counts >= least_rows).any():
            found[factors] = np.flatnonzero(counts >= least_rows)
    return found


def least_z(n_tests: int) -> float:
    """Return how many standard errors are beyond chance in the worst of `n_tests` (Bonferroni, 5 %)."""
    from scipy.special import ndtri

    return -float(ndtri(_ALPHA / max(n_tests, 1)))


def least_share(n: int, m: int, bar: float) -> float:
    """Return the smallest real share whose halving is found four times in five, in (0, 1].

    Parameters
    ----------
    n, m : int
        Real and synthetic rows.
    bar : float
        Standard errors that a difference must exceed, see `least_z`.

    Returns
    -------
    float
        The share; 1 where not even the halving of all rows would be found.

    Examples
    --------
    >>> round(least_share(10_000, 10_000, 4.0), 3), least_share(20, 20, 4.0)
    (0.014, 1.0)
    """
    shares = np.geomspace(1e-6, 1.0, 2_000)
    halves = shares / 2
    pooled = (shares * n + halves * m) / (n + m)
    by_chance = np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    scatter = np.sqrt(shares * (1 - shares) / n + halves * (1 - halves) / m)
    found = shares - halves >= bar * by_chance + _POWER * scatter
    return float(shares[np.argmax(found)]) if found.any() else 1.0


def rows_for(share: float, n_tests: int) -> int:
    """Return about how many rows of each side show the halving of `share`, two digits rounded up.

    Examples
    --------
    >>> rows_for(0.02, 1_000)
    6700
    """
    bar = least_z(n_tests)
    low, high = 1, 2
    while least_share(high, high, bar) > share and high < 10**12:
        low, high = high, 2 * high
    while high - low > max(1, low // 100):
        middle = (low + high) // 2
        low, high = (low, middle) if least_share(middle, middle, bar) <= share else (middle, high)
    digit = 10 ** max(len(str(high)) - 2, 0)
    return int(-(-high // digit) * digit)


def is_starved(real: Floats, made: Floats, n: Floats, m: Floats, bar: Floats | float) -> Bools:
    """Return which shares `made` are less than half of `real`, and surely lower.

    Parameters
    ----------
    real, made : numpy.ndarray, shapes (k, c)
        Shares of cells, in [0, 1].
    n, m : numpy.ndarray, shapes (k, 1)
        Rows that the shares are of.
    bar : float or numpy.ndarray, shape (k, 1)
        Standard errors that the difference must exceed.

    Examples
    --------
    >>> rows = np.array([[1000.0]])
    >>> is_starved(np.array([[0.1, 0.1, 0.01]]), np.array([[0.01, 0.06, 0.0]]), rows, rows, 4)
    array([[ True, False, False]])
    """
    pooled = (real * n + made * m) / (n + m)
    spread = np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    return np.asarray((2 * made < real) & (real - made > bar * spread))

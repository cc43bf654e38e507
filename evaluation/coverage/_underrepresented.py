"""Which combinations of levels the synthetic set starves, beyond chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from twinset.core.stats.covering_arrays import Cells, Codes, Tuple, cells_of

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_ALPHA = 0.02
_POWER = 0.84
"""Standard errors beyond a bar that a number must lie to exceed it four times in five."""


def find_underrepresented_rows(
    real: Codes,
    synthetic: Codes,
    sizes: Sequence[int],
    tuples: Sequence[Tuple],
    min_rows: int,
    less_than: float = 0.5,
) -> Bools:
    """Return the real rows that lie in a combination which the synthetic rows starve, shape (n,).

    Starved is what they hold at `less_than` that part of its share, and surely so. With both sides
    exchanged, it is the synthetic rows that crowd a combination. Each number of factors, and either
    side, has an equal part of the 2 % by which any combination may be called by chance: single levels
    are few, and are held against a lower bar than the many triples.

    Examples
    --------
    >>> real = np.repeat([[0], [1]], [900, 100], axis=0).astype(np.int32)
    >>> made = np.repeat([[0], [1]], [990, 10], axis=0).astype(np.int32)
    >>> int(find_underrepresented_rows(real, made, [2], [(0,)], 20).sum())
    100
    """
    watched = watched_cells(real, sizes, tuples, min_rows)
    n_tests = chance_calls(watched)
    lost = np.zeros(len(real), dtype=bool)
    for factors, cells in watched.items():
        mine, others = (cells_of(side, sizes, factors) for side in (real, synthetic))
        n_cells = int(np.prod([sizes[factor] for factor in factors])) + 1
        there, made = (
            np.bincount(side, minlength=n_cells)[cells] / len(side) for side in (mine, others)
        )
        bar = compute_critical_z(n_tests[len(factors)])
        starved = np.zeros(n_cells, dtype=bool)
        starved[cells] = is_underrepresented(there, made, len(real), len(synthetic), bar, less_than)
        if starved.any():
            lost |= starved[mine]
    return lost


def chance_calls(watched: Mapping[Tuple, Cells]) -> dict[int, int]:
    """Return among how many tests one of each number of factors counts, for `compute_critical_z`.

    Examples
    --------
    >>> chance_calls({(0,): np.arange(3), (1,): np.arange(2), (0, 1): np.arange(4)})
    {1: 20, 2: 16}
    """
    found: dict[int, int] = {}
    for factors, cells in watched.items():
        found[len(factors)] = found.get(len(factors), 0) + len(cells)
    return {strength: 2 * len(found) * n for strength, n in found.items()}


def watched_cells(
    real: Codes, sizes: Sequence[int], tuples: Sequence[Tuple], min_rows: int
) -> dict[Tuple, Cells]:
    """Return the combinations that at least `min_rows` real rows have, by set of factors."""
    found = {}
    for factors in tuples:
        n_cells = int(np.prod([sizes[factor] for factor in factors]))
        counts = np.bincount(cells_of(real, sizes, factors), minlength=n_cells + 1)[:-1]
        if (counts >= min_rows).any():
            found[factors] = np.flatnonzero(counts >= min_rows)
    return found


def compute_critical_z(n_tests: int) -> float:
    """Return how many standard errors are beyond chance in the worst of `n_tests` (Bonferroni, 2 %)."""
    from scipy.special import ndtri

    return -float(ndtri(_ALPHA / max(n_tests, 1)))


def compute_min_share(n: int, m: int, bar: float) -> float:
    """Return the smallest real share whose halving is found four times in five, in (0, 1].

    Parameters
    ----------
    n, m : int
        Real and synthetic rows.
    bar : float
        Standard errors that a difference must exceed, see `compute_critical_z`.

    Returns
    -------
    float
        The share; 1 where not even the halving of all rows would be found.

    Examples
    --------
    >>> round(compute_min_share(10_000, 10_000, 4.0), 3), compute_min_share(20, 20, 4.0)
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
    7300
    """
    bar = compute_critical_z(n_tests)
    low, high = 1, 2
    while compute_min_share(high, high, bar) > share and high < 10**12:
        low, high = high, 2 * high
    while high - low > max(1, low // 100):
        middle = (low + high) // 2
        low, high = (
            (low, middle) if compute_min_share(middle, middle, bar) <= share else (middle, high)
        )
    digit = 10 ** max(len(str(high)) - 2, 0)
    return int(-(-high // digit) * digit)


def is_underrepresented(
    real: Floats, made: Floats, n: int, m: int, bar: float, less_than: float = 0.5
) -> Bools:
    """Return which shares `made` are less than that part of `real`, and surely lower.

    Parameters
    ----------
    real, made : numpy.ndarray, shape (c,)
        Shares of cells, in [0, 1].
    n, m : int
        Rows that the shares are of.
    bar : float
        Standard errors that the difference must exceed.

    Examples
    --------
    >>> is_underrepresented(np.array([0.1, 0.1, 0.01]), np.array([0.01, 0.06, 0.0]), 1000, 1000, 4.0)
    array([ True, False, False])
    """
    pooled = (real * n + made * m) / (n + m)
    spread = np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    return np.asarray((made < less_than * real) & (real - made > bar * spread))

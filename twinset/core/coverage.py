"""t-way tuples: which combinations of levels of up to three factors occur, and how often."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import comb

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int32]
Cells = npt.NDArray[np.int64]
Tuple = tuple[int, ...]


def factor_tuples(
    n_factors: int, strength: int, most: int, rng: np.random.Generator
) -> list[Tuple]:
    """Return the sets of `strength` factors; `most` of them at random where there are more.

    Examples
    --------
    >>> factor_tuples(3, 2, 100, np.random.default_rng(0))
    [(0, 1), (0, 2), (1, 2)]
    """
    total = comb(n_factors, strength)
    if total <= most:
        return list(combinations(range(n_factors), strength))
    found: set[Tuple] = set()
    while len(found) < most:
        drawn = rng.choice(n_factors, strength, replace=False)
        found.add(tuple(sorted(int(i) for i in drawn)))
    return sorted(found)


def cells_of(codes: Codes, sizes: Sequence[int], factors: Tuple) -> Cells:
    """Return the cell of each row in the table that the factors span, shape (n,).

    Parameters
    ----------
    codes : numpy.ndarray of int, shape (n, f)
        Code of each row and factor, 0 to size; the code `size` is any other value.
    sizes : sequence of int
        Levels of each factor.
    factors : tuple of int
        The factors.

    Returns
    -------
    numpy.ndarray of int
        The cell, 0 to the product of the sizes; that last one holds the rows with any other value.

    Examples
    --------
    >>> cells_of(np.array([[0, 1], [1, 0], [1, 2]], dtype=np.int32), [2, 2], (0, 1)).tolist()
    [1, 2, 4]
    """
    cells = np.zeros(len(codes), dtype=np.int64)
    outside = np.zeros(len(codes), dtype=bool)
    for factor in factors:
        cells = cells * sizes[factor] + codes[:, factor]
        outside |= codes[:, factor] == sizes[factor]
    cells[outside] = int(np.prod([sizes[factor] for factor in factors]))
    return cells


def held_combinations(
    real: Codes,
    synthetic: Codes,
    sizes: Sequence[int],
    tuples: Sequence[Tuple],
    *,
    least_rows: int = 20,
    at_least: float = 0.5,
) -> tuple[int, int]:
    """Return how many combinations the synthetic rows hold, and how many the real rows hold.

    A combination counts when at least `least_rows` real rows have it; the synthetic rows hold it when
    their share is at least `at_least` of the real one.

    References
    ----------
    Kuhn, Kacker, Lei (2013), Introduction to Combinatorial Testing, chapter on combination coverage.

    Examples
    --------
    >>> real = np.array([[0], [0], [1], [1]], dtype=np.int32)
    >>> held_combinations(real, real[:3], [2], [(0,)], least_rows=2)
    (2, 2)
    >>> held_combinations(real, real[:2], [2], [(0,)], least_rows=2)
    (1, 2)
    """
    held = wanted = 0
    for factors in tuples:
        n_cells = int(np.prod([sizes[factor] for factor in factors]))
        there = np.bincount(cells_of(real, sizes, factors), minlength=n_cells + 1)[:-1]
        made = np.bincount(cells_of(synthetic, sizes, factors), minlength=n_cells + 1)[:-1]
        counts = there >= least_rows
        # Compared as products of whole numbers, so that a share of exactly half is held.
        enough = made * len(real) >= at_least * there * len(synthetic)
        wanted += int(counts.sum())
        held += int((counts & enough).sum())
    return held, wanted

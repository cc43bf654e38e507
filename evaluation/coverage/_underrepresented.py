"""Combinations of levels: which are covered, and which have far too few rows, beyond chance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from math import comb

import numpy as np
import numpy.typing as npt

from twinset.core.stats.hypothesis_tests import COMPONENT_LEVEL

from .._bootstrap_metric import Bools, Floats

Codes = npt.NDArray[np.int32]
Cells = npt.NDArray[np.int64]
Tuple = tuple[int, ...]

_POWER_Z = 0.84  # standard errors beyond a bar of a number that exceeds it four times in five
_SHARES = np.geomspace(1e-6, 1.0, 2_000)  # tried for the smallest region that shows, 0.7 % apart
_MAX_ROWS = 10**12  # more rows than any set has: end of a search


def factor_tuples(
    n_factors: int, strength: int, limit: int, rng: np.random.Generator
) -> list[Tuple]:
    """Return the sets of `strength` factors; `limit` of them at random where there are more.

    Examples
    --------
    >>> factor_tuples(3, 2, 100, np.random.default_rng(0))
    [(0, 1), (0, 2), (1, 2)]
    """
    total = comb(n_factors, strength)
    if total <= limit:
        return list(combinations(range(n_factors), strength))
    found: set[Tuple] = set()
    while len(found) < limit:
        drawn = rng.choice(n_factors, strength, replace=False)
        found.add(tuple(sorted(int(i) for i in drawn)))
    return sorted(found)


def cells_of(codes: Codes, sizes: Sequence[int], factors: Tuple) -> Cells:
    """Return the cell of each row in the table that the factors span, shape (n,).

    The codes of a row and factor are 0 to the size of the factor, which stands for any other value;
    cells are 0 to the product of the sizes; that last one holds the rows with any other value.

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


def count_covered_combinations(
    real: Codes,
    synthetic: Codes,
    sizes: Sequence[int],
    tuples: Sequence[Tuple],
    *,
    min_rows: int = 20,
    at_least: float = 0.5,
) -> tuple[int, int]:
    """Return how many combinations the synthetic rows hold, and how many the real rows hold.

    A combination counts when at least `min_rows` real rows have it; the synthetic rows hold it when
    their share is at least `at_least` of the real one.

    References
    ----------
    Kuhn, Kacker, Lei (2013), Introduction to Combinatorial Testing, chapter on combination coverage.

    Examples
    --------
    >>> real = np.array([[0], [0], [1], [1]], dtype=np.int32)
    >>> count_covered_combinations(real, real[:3], [2], [(0,)], min_rows=2)
    (2, 2)
    >>> count_covered_combinations(real, real[:2], [2], [(0,)], min_rows=2)
    (1, 2)
    """
    held = wanted = 0
    for factors in tuples:
        n_cells = int(np.prod([sizes[factor] for factor in factors]))
        there = np.bincount(cells_of(real, sizes, factors), minlength=n_cells + 1)[:-1]
        made = np.bincount(cells_of(synthetic, sizes, factors), minlength=n_cells + 1)[:-1]
        counts = there >= min_rows
        # Compared as products of whole numbers, so that a share of exactly half is held.
        enough = made * len(real) >= at_least * there * len(synthetic)
        wanted += int(counts.sum())
        held += int((counts & enough).sum())
    return held, wanted


def find_underrepresented_rows(
    real: Codes,
    synthetic: Codes,
    sizes: Sequence[int],
    tuples: Sequence[Tuple],
    min_rows: int,
    less_than: float = 0.5,
) -> Bools:
    """Return the real rows in a combination that is under-represented in the synthetic set, shape (n,).

    Its synthetic share is below `less_than` times the real one, beyond chance. Each number of factors,
    and each direction, has an equal part of the level at which any may be called by chance: single levels
    are few, and are tested at a lower bar than the many triples.
    """
    tested = list_tested_cells(real, sizes, tuples, min_rows)
    n_tests = count_tests(tested)
    found = np.zeros(len(real), dtype=bool)
    for factors, cells in tested.items():
        own, others = (cells_of(codes, sizes, factors) for codes in (real, synthetic))
        n_cells = int(np.prod([sizes[factor] for factor in factors])) + 1
        here, there = (
            np.bincount(part, minlength=n_cells)[cells] / len(part) for part in (own, others)
        )
        bar = compute_critical_z(n_tests[len(factors)])
        called = np.zeros(n_cells, dtype=bool)
        called[cells] = is_underrepresented(here, there, len(real), len(synthetic), bar, less_than)
        found |= called[own]
    return found


def list_tested_cells(
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


def count_tests(tested: Mapping[Tuple, Cells]) -> dict[int, int]:
    """Return the number of tests that one of each number of factors counts among."""
    found: Counter[int] = Counter()
    for factors, cells in tested.items():
        found[len(factors)] += len(cells)
    return {n_factors: 2 * len(found) * n for n_factors, n in found.items()}


def compute_critical_z(n_tests: int) -> float:
    """Return the standard errors beyond chance in the worst of `n_tests` (Bonferroni)."""
    from scipy.special import ndtri

    return -float(ndtri(COMPONENT_LEVEL / max(n_tests, 1)))


def compute_min_share(n: int, m: int, bar: float) -> float:
    """Return the smallest real share whose halving is found four times in five, in (0, 1]."""
    halves = _SHARES / 2
    scatter = np.sqrt(_SHARES * (1 - _SHARES) / n + halves * (1 - halves) / m)
    error = _standard_error(_SHARES, halves, n, m)
    found = _SHARES - halves >= bar * error + _POWER_Z * scatter
    return float(_SHARES[np.argmax(found)]) if found.any() else 1.0


def compute_rows_needed(share: float, n_tests: int) -> int:
    """Return about how many rows of each set show the halving of `share`, two digits rounded up."""
    bar = compute_critical_z(n_tests)
    low, high = 1, 2
    while compute_min_share(high, high, bar) > share and high < _MAX_ROWS:
        low, high = high, 2 * high
    while high - low > max(1, low // 100):
        middle = (low + high) // 2
        shows = compute_min_share(middle, middle, bar) <= share
        low, high = (low, middle) if shows else (middle, high)
    digit = 10 ** max(len(str(high)) - 2, 0)
    return int(-(-high // digit) * digit)


def is_underrepresented(
    real: Floats, synthetic: Floats, n: int, m: int, bar: float, less_than: float = 0.5
) -> Bools:
    """Return which synthetic shares are less than that part of the real ones, beyond chance."""
    error = _standard_error(real, synthetic, n, m)
    return np.asarray((synthetic < less_than * real) & (real - synthetic > bar * error))


def _standard_error(real: Floats, synthetic: Floats, n: int, m: int) -> Floats:
    """Return the standard error of the difference of equal shares, estimated from both sets."""
    pooled = (real * n + synthetic * m) / (n + m)
    return np.asarray(np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m)))

"""Covering arrays: the fewest scenes in which every pair, or triple, of conditions comes often enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import comb

import numpy as np
import numpy.typing as npt

from twinset.core.errors import ParameterError
from twinset.core.seeding import rng_for

Codes = npt.NDArray[np.int32]
Cells = npt.NDArray[np.int64]
Tuple = tuple[int, ...]


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


Row = tuple[int, ...]
"""The level of each factor, by position."""
Ban = Mapping[int, int]
"""Factor -> level of a combination that never comes."""
Weights = npt.NDArray[np.float64]

_N_CANDIDATES = 30
MAX_TRIES = 200


class Coverage:
    """How often each combination of `strength` levels came, and how often it still has to come.

    Parameters
    ----------
    sizes : sequence of int
        Levels of each factor.
    strength : int
        How many factors a combination is of: 1, 2 or 3, at most as many as there are.
    at_least : int
        How often each combination has to come.
    bans : sequence of mapping
        Combinations that never come; those of `strength` levels that hold one need not come.

    Raises
    ------
    ParameterError
        The strength or the count is out of its range.

    Examples
    --------
    >>> coverage = Coverage([2, 2], 2)
    >>> coverage.add((0, 1))
    >>> coverage.n_required, coverage.n_met, coverage.missing()
    (4, 1, [{0: 0, 1: 0}, {0: 1, 1: 0}, {0: 1, 1: 1}])
    """

    def __init__(
        self, sizes: Sequence[int], strength: int, at_least: int = 1, bans: Sequence[Ban] = ()
    ) -> None:
        if not 1 <= strength <= min(3, len(sizes)):
            raise ParameterError(
                "the strength of a plan is out of its range",
                got=str(strength),
                allowed=f"1 to {min(3, len(sizes))}",
            )
        if at_least < 1:
            raise ParameterError(
                "'at_least' is out of its range", got=str(at_least), allowed="1 or more"
            )
        self.sizes, self.bans, self.at_least = tuple(sizes), tuple(bans), at_least
        self.groups = list(combinations(range(len(sizes)), strength))
        self.counts = {g: np.zeros([sizes[f] for f in g], np.int64) for g in self.groups}
        self._allowed = {g: self._open(g) for g in self.groups}

    def add(self, row: Row) -> None:
        """Count a row."""
        for group in self.groups:
            self.counts[group][tuple(row[f] for f in group)] += 1

    def add_codes(self, codes: npt.NDArray[np.int32]) -> None:
        """Count many rows, shape (n, f); the code `size` stands for any other value."""
        for group in self.groups:
            n_cells = int(np.prod([self.sizes[f] for f in group]))
            found = np.bincount(cells_of(codes, self.sizes, group), minlength=n_cells + 1)[:-1]
            self.counts[group] += found.reshape(self.counts[group].shape)

    def count_missing(self, group: Row) -> npt.NDArray[np.int64]:
        """Return how often each combination of these factors still has to come."""
        short = np.maximum(self.at_least - self.counts[group], 0)
        return np.asarray(np.where(self._allowed[group], short, 0))

    def may_come(self, group: Row) -> npt.NDArray[np.bool_]:
        """Return which combinations of these factors are not ruled out by what never comes."""
        return self._allowed[group]

    @property
    def n_required(self) -> int:
        """Number of combinations that have to come."""
        return sum(int(allowed.sum()) for allowed in self._allowed.values())

    @property
    def n_met(self) -> int:
        """Number of them that came often enough."""
        return self.n_required - sum(int((self.count_missing(g) > 0).sum()) for g in self.groups)

    def missing(self) -> list[dict[int, int]]:
        """Return the combinations that did not come often enough: factor -> level."""
        found = []
        for group in self.groups:
            cells = np.argwhere(self.count_missing(group) > 0)
            found += [{f: int(v) for f, v in zip(group, cell)} for cell in cells]
        return found

    def _open(self, group: Row) -> npt.NDArray[np.bool_]:
        """Return which combinations of these factors some row can hold."""
        allowed = np.ones([self.sizes[f] for f in group], bool)
        for cell in np.ndindex(*allowed.shape):
            allowed[cell] = can_be_completed(dict(zip(group, cell)), self.sizes, self.bans)
        return allowed


def covering_rows(
    coverage: Coverage,
    *,
    limit: int | None = None,
    weights: Sequence[Weights] | None = None,
    seed: int = 0,
) -> list[Row]:
    """Return rows after which every combination has come often enough; `coverage` counts them.

    Each row is the best of thirty: begun with a combination that still lacks, then filled factor by
    factor with the level that meets the most of what is missing. Equal input gives equal rows.

    Parameters
    ----------
    coverage : Coverage
        What has to come, and what came already.
    limit : int, optional
        Stop after so many rows.
    weights : sequence of numpy.ndarray, optional
        How much each level of each factor matters; combinations of heavier levels come first.
    seed : int
        Decides between equally good rows.

    References
    ----------
    Cohen, Dalal, Fredman, Patton, "The AETG system", IEEE Transactions on Software Engineering 23 (1997).

    Examples
    --------
    >>> rows = covering_rows(Coverage([2, 2, 2], 2))
    >>> len(rows), len(rows) == len(set(rows))
    (4, True)
    """
    rng = rng_for(seed, "covering")
    levels = [np.ones(size) for size in coverage.sizes] if weights is None else list(weights)
    gains = {group: _gains(coverage, group, levels) for group in coverage.groups}
    rows: list[Row] = []
    while any(gain.any() for gain in gains.values()) and (limit is None or len(rows) < limit):
        candidates = [_candidate(coverage, gains, rng) for _ in range(_N_CANDIDATES)]
        worth = [
            sum(gains[g][tuple(row[f] for f in g)] for g in coverage.groups) for row in candidates
        ]
        best = candidates[int(np.argmax(worth))]
        coverage.add(best)
        for group in coverage.groups:
            cell = tuple(best[f] for f in group)
            if coverage.count_missing(group)[cell] == 0:
                gains[group][cell] = 0.0
        rows.append(best)
    return rows


def can_be_completed(part: Mapping[int, int], sizes: Sequence[int], bans: Sequence[Ban]) -> bool:
    """Return whether a row can hold these levels without holding a banned combination."""
    return _complete(dict(part), sizes, [b for b in bans if _may_meet(b, part)]) is not None


def _gains(coverage: Coverage, group: Row, levels: Sequence[Weights]) -> Weights:
    """Return what each combination is worth while it lacks: the product of its levels' weights."""
    product = np.ones(())
    for factor in group:
        product = np.multiply.outer(product, levels[factor])
    return np.where(coverage.count_missing(group) > 0, product + 1e-9, 0.0)


def _candidate(coverage: Coverage, gains: Mapping[Row, Weights], rng: np.random.Generator) -> Row:
    sizes, bans = coverage.sizes, coverage.bans
    for _ in range(MAX_TRIES):
        part = _begin(gains, rng)
        for factor in rng.permutation(len(sizes)).tolist():
            if factor in part:
                continue
            worth = _worth(coverage, gains, part, factor) + 1e-6 * rng.random(sizes[factor])
            for level in np.argsort(-worth).tolist():
                if not bans or can_be_completed({**part, factor: level}, sizes, bans):
                    part[factor] = level
                    break
        if len(part) == len(sizes):
            return tuple(part[f] for f in range(len(sizes)))
    raise ParameterError("the forbidden combinations leave no scene that fits", todo="forbid less")


def _begin(gains: Mapping[Row, Weights], rng: np.random.Generator) -> dict[int, int]:
    """Return a missing combination, of the factors with the most missing ones."""
    groups = list(gains)
    totals = np.array([float(gains[g].sum()) for g in groups])
    group = groups[int(rng.choice(np.flatnonzero(totals >= totals.max() * (1 - 1e-9))))]
    cells = np.argwhere(gains[group] >= gains[group].max() * (1 - 1e-9))
    return dict(zip(group, cells[int(rng.integers(len(cells)))].tolist()))


def _worth(
    coverage: Coverage, gains: Mapping[Row, Weights], part: Mapping[int, int], factor: int
) -> Weights:
    """Return what each level of a factor adds to a row begun."""
    worth = np.zeros(coverage.sizes[factor])
    for group in coverage.groups:
        if factor in group and all(f in part or f == factor for f in group):
            worth += gains[group][tuple(slice(None) if f == factor else part[f] for f in group)]
    return worth


def _complete(
    part: dict[int, int], sizes: Sequence[int], bans: Sequence[Ban]
) -> dict[int, int] | None:
    """Return the levels with those of all factors that a ban names, or None when there is no way."""
    if any(all(part.get(f) == v for f, v in ban.items()) for ban in bans):
        return None
    open_factors = sorted({f for ban in bans for f in ban if f not in part})
    if not open_factors:
        return part
    factor = open_factors[0]
    for level in range(sizes[factor]):
        found = _complete({**part, factor: level}, sizes, bans)
        if found is not None:
            return found
    return None


def _may_meet(ban: Ban, part: Mapping[int, int]) -> bool:
    return all(part.get(f, v) == v for f, v in ban.items())

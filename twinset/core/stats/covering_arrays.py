"""Covering arrays: the fewest scenes in which every pair, or triple, of conditions comes often enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt

from twinset.core.errors import ParameterError
from twinset.core.seeding import rng_for

Row = tuple[int, ...]
"""The level of each factor, by position."""
Ban = Mapping[int, int]
"""Factor -> level of a combination that never comes."""
Weights = npt.NDArray[np.float64]

_N_CANDIDATES = 30  # rows of which the one that covers most is taken
MAX_TRIES = 200  # draws before a row without banned combinations is given up


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
        self._allowed = {g: np.ones([sizes[f] for f in g], bool) for g in self.groups}
        for group, allowed in self._allowed.items():
            for cell in np.ndindex(*allowed.shape):
                allowed[cell] = can_be_completed(dict(zip(group, cell)), sizes, bans)

    def add(self, row: Row) -> None:
        """Count a row."""
        for group in self.groups:
            self.counts[group][tuple(row[f] for f in group)] += 1

    def add_codes(self, codes: npt.NDArray[np.int32]) -> None:
        """Count many rows, shape (n, f); the code `size` stands for any other value."""
        for group in self.groups:
            levels = codes[:, list(group)]
            known = (levels < [self.sizes[f] for f in group]).all(axis=1)
            np.add.at(self.counts[group], tuple(levels[known].T), 1)

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


def covering_rows(
    coverage: Coverage,  # what has to come, and what came already
    *,
    limit: int | None = None,  # stop after so many rows
    # how much each level of each factor matters; combinations of heavier levels come first
    weights: Sequence[Weights] | None = None,
    seed: int = 0,  # decides between equally good rows
) -> list[Row]:
    """Return rows after which every combination has come often enough; `coverage` counts them.

    Each row is the best of thirty: begun with a combination that still lacks, then filled factor by
    factor with the level that meets the most of what is missing. Equal input gives equal rows.

    References
    ----------
    Cohen, Dalal, Fredman, Patton, "The AETG system", IEEE Transactions on Software Engineering 23 (1997).
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
    near = [ban for ban in bans if all(part.get(f, v) == v for f, v in ban.items())]
    return _complete(dict(part), sizes, near) is not None


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

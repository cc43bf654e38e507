"""A slice search: the conjunctions of up to three conditions whose shares differ between two sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Condition, Where
from twinset.core.features.discretize import Factor, Level
from twinset.core.findings import RegionShare
from twinset.core.stats.hypothesis_tests import Floats, discoveries, two_sample

Bits = npt.NDArray[np.float32]
Slots = tuple[int, ...]

ALPHA = 0.05
"""False discovery rate over everything searched, a third of it for each depth."""
MIN_REPORTED = 11
"""Counts of 1 to 10 rows are not told."""

_BEAM = 200
_MOST_CANDIDATES = 400
_LEAST_ROWS = 20
_LEAST_CHANGE = 1.25
_EXPLAINED = 0.01


@dataclass(frozen=True)
class Slice:
    """A region whose share in the synthetic rows is not the real one.

    Parameters
    ----------
    words : str
        The region in words.
    where : Where
        The region as a condition.
    real_rows, synthetic_rows : int
        Rows in it.
    n_real, n_synthetic : int
        Rows looked at.
    z : float
        Standardised difference of the shares; below 0 the region is under-covered. Not to be
        published: see `region`.
    """

    words: str
    where: Where
    real_rows: int
    synthetic_rows: int
    n_real: int
    n_synthetic: int
    z: float

    @property
    def real_share(self) -> float:
        """Share of the real rows, in [0, 1]."""
        return self.real_rows / self.n_real

    @property
    def synthetic_share(self) -> float:
        """Share of the synthetic rows, in [0, 1]."""
        return self.synthetic_rows / self.n_synthetic

    @property
    def is_missing(self) -> bool:
        """Whether the synthetic rows have too little of it, rather than too much."""
        return self.z < 0

    @property
    def region(self) -> RegionShare:
        """The slice as a finding: shares of 1 to 10 rows are None, and `z`, which would give them away."""
        real, synthetic = self.real_rows, self.synthetic_rows
        return RegionShare(
            self.words,
            None if 0 < real < MIN_REPORTED else self.real_share,
            None if 0 < synthetic < MIN_REPORTED else self.synthetic_share,
        )


def search_slices(
    real: Dataset, synthetic: Dataset, factors: Sequence[Factor], *, depth: int = 3, most: int = 10
) -> list[Slice]:
    """Return the slices whose shares differ for sure and by a fifth or more, surest first.

    All single conditions and pairs are looked at, and all triples that extend the 200 pairs that
    differ most. Benjamini-Hochberg holds the false discoveries below 5 %, a third of it for each
    depth, counted over all triples there are. Then slices are named one at a time: the surest one
    first, in its shortest form (a condition goes where the slice without it differs as much); its
    rows leave both sets, and only what still differs among the other rows is named next. So nothing
    is named that a named slice explains.

    Parameters
    ----------
    real, synthetic : Dataset
        The two sets.
    factors : sequence of Factor
        What conditions can be made of.
    depth : int
        Most conditions in a slice, 1 to 3.
    most : int
        Slices to return of those with too few rows, and again of those with too many.

    References
    ----------
    Benjamini, Hochberg (1995), Controlling the False Discovery Rate, JRSS B 57.
    Chung, Kraska, Polyzotis, Tae, Whang (2019), Slice Finder, ICDE.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.features.discretize import infer_factors
    >>> real = Dataset.from_arrow(pa.table({"sky": ["day", "night"] * 500}))
    >>> made = Dataset.from_arrow(pa.table({"sky": ["day", "day", "day", "night"] * 250}))
    >>> search_slices(real, made, infer_factors(real), most=1)[0].region
    RegionShare(condition='sky = night', real=0.5, synthetic=0.25)
    """
    if not factors or not len(real) or not len(synthetic):
        return []
    literals = [(i, level) for i, f in enumerate(factors) for level in (*f.levels, *f.spans)]
    owner = np.array([i for i, _ in literals])
    sides = _Sides(
        compute_condition_masks(real, factors), compute_condition_masks(synthetic, factors)
    )
    found = _candidates(sides, owner, depth)
    return _named(sides, found, factors, literals, most)


def compute_condition_masks(dataset: Dataset, factors: Sequence[Factor]) -> Bits:
    """Return which rows meet each level and span of each factor, 0 or 1, shape (n, l)."""
    blocks = []
    for factor in factors:
        literals = (*factor.levels, *factor.spans)
        table = np.zeros((factor.size + 1, len(literals)), dtype=np.float32)
        for j, literal in enumerate(literals):
            table[list(literal.codes), j] = 1
        blocks.append(table[factor.codes(dataset)])
    return np.concatenate(blocks, axis=1)


@dataclass(frozen=True)
class _Sides:
    """Which literals each real and each synthetic row meets."""

    real: Bits
    made: Bits

    def rows(self, slots: Slots) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Return which real and which synthetic rows meet all of `slots`."""
        columns = list(slots)
        real, made = (bits[:, columns].min(axis=1) > 0 for bits in (self.real, self.made))
        return real, made

    def counts(self, slots: Slots) -> tuple[float, float]:
        """Return how many real and how many synthetic rows meet all of `slots`."""
        real, made = self.rows(slots)
        return float(real.sum()), float(made.sum())


@dataclass(frozen=True)
class _Level:
    """Slices of one depth with their counts and tests."""

    slots: npt.NDArray[np.int64]
    real: Floats
    made: Floats
    z: Floats
    p: Floats


def _tested(slots: npt.NDArray[np.int64], real: Floats, made: Floats, sides: _Sides) -> _Level:
    # A slice that neither set has 20 rows of, in fair shares, is none to speak of.
    n, m = len(sides.made), len(sides.real)
    watched = np.maximum(real, made * m / n) >= _LEAST_ROWS
    slots, real, made = slots[watched], real[watched], made[watched]
    z, p = two_sample(made, n, real, m)
    return _Level(slots, real, made, z, p)


def _candidates(sides: _Sides, owner: npt.NDArray[np.int64], depth: int) -> list[Slots]:
    """Return the slices that differ for sure and enough, the surest of each direction."""
    n, m = len(sides.made), len(sides.real)
    singles = np.arange(len(owner))[:, None]
    levels = [
        (_tested(singles, _sums(sides.real), _sums(sides.made), sides), len(owner)),
    ]
    if depth > 1:
        first, second = np.nonzero(owner[:, None] < owner[None, :])
        pairs = np.stack([first, second], axis=1)
        real = (sides.real.T @ sides.real)[first, second].astype(np.float64)
        made = (sides.made.T @ sides.made)[first, second].astype(np.float64)
        levels.append((_tested(pairs, real, made, sides), len(pairs)))
    if depth > 2:
        levels.append((_triples(levels[-1][0], sides, owner), _n_triples(owner)))
    found: list[tuple[float, Slots]] = []
    for level, n_tests in levels:
        sure = discoveries(level.p, ALPHA / 3, n_tests)
        sure &= _changed(level.real / m, level.made / n)
        found += [(float(level.z[i]), tuple(level.slots[i].tolist())) for i in np.flatnonzero(sure)]
    under = sorted(one for one in found if one[0] < 0)[: _MOST_CANDIDATES // 2]
    over = sorted((-z, slots) for z, slots in found if z > 0)[: _MOST_CANDIDATES // 2]
    return [slots for _, slots in (*under, *over)]


def _triples(pairs: _Level, sides: _Sides, owner: npt.NDArray[np.int64]) -> _Level:
    """Return the triples that extend the pairs that differ most, half under- and half over-covered."""
    order = np.argsort(pairs.z, kind="stable")
    beam = np.unique(np.concatenate([order[: _BEAM // 2], order[-(_BEAM // 2) :]]))
    kept = pairs.slots[beam]
    counts = []
    for bits in (sides.real, sides.made):
        both = bits[:, kept[:, 0]] * bits[:, kept[:, 1]] if len(kept) else bits[:, :0]
        counts.append((both.T @ bits).astype(np.float64))
    mine = owner[kept]
    at, third = np.nonzero(
        (mine[:, :1] != owner[None, :]) & (mine[:, 1:] != owner[None, :])
        if len(kept)
        else np.zeros((0, len(owner)), dtype=bool)
    )
    slots = np.sort(np.concatenate([kept[at], third[:, None]], axis=1), axis=1)
    slots, first = np.unique(slots, axis=0, return_index=True)
    at, third = at[first], third[first]
    return _tested(slots, counts[0][at, third], counts[1][at, third], sides)


def _n_triples(owner: npt.NDArray[np.int64]) -> int:
    """Return how many triples of literals of three factors there are."""
    sizes = np.bincount(owner).astype(float)
    s1, s2, s3 = sizes.sum(), (sizes**2).sum(), (sizes**3).sum()
    return int((s1**3 - 3 * s1 * s2 + 2 * s3) // 6)


def _sums(bits: Bits) -> Floats:
    return np.asarray(bits.sum(axis=0, dtype=np.float64))


def _changed(real: Any, made: Any) -> Any:
    """Return whether two shares differ by a fifth of the greater one or more."""
    return (real >= _LEAST_CHANGE * made) | (made >= _LEAST_CHANGE * real)


def _named(
    sides: _Sides,
    candidates: list[Slots],
    factors: Sequence[Factor],
    literals: Sequence[tuple[int, Level]],
    most: int,
) -> list[Slice]:
    """Return the surest slice, then the surest among the rows that it leaves, and so on."""
    kept_real, kept_made = (np.ones(len(bits), dtype=bool) for bits in (sides.real, sides.made))
    rows = [sides.rows(slots) for slots in candidates]
    # The rows that are left are tested again as strictly as in the search.
    bar = ALPHA / 3 / max(1, _n_triples(np.array([i for i, _ in literals])))
    falls = np.array([s.sum() * len(r) < r.sum() * len(s) for r, s in rows], dtype=bool)
    named: list[Slice] = []
    used: set[Slots] = set()
    while True:
        n, m = int(kept_made.sum()), int(kept_real.sum())
        if not n or not m or not rows:
            break
        real = np.array([float((r & kept_real).sum()) for r, _ in rows])
        made = np.array([float((s & kept_made).sum()) for _, s in rows])
        z, p = two_sample(made, n, real, m)
        # What differs the other way among the rows that are left is no news about all rows.
        open_ = _changed(real / m, made / n) & ((z < 0) == falls)
        for is_missing in (True, False):
            if sum(one.is_missing == is_missing for one in named) >= most:
                open_ &= falls != is_missing
        if named:
            open_ &= p <= bar
        if not open_.any():
            break
        # Of a region and its opposite, which differ alike, the one with too few rows is named.
        best = int(np.argmax(np.where(open_, np.abs(z) + 1e-6 * (z < 0), -1)))
        left = _Sides(sides.real[kept_real], sides.made[kept_made])
        slots = _shortest(sides, left, candidates[best])
        if slots in used:
            break
        used.add(slots)
        one = _slice(sides, slots, factors, literals, float(z[best]))
        named.append(one)
        inside = sides.rows(slots)
        kept_real, kept_made = kept_real & ~inside[0], kept_made & ~inside[1]
    return named


def _shortest(whole: _Sides, left: _Sides, slots: Slots) -> Slots:
    """Return the slice without the conditions that do not matter to it among the rows that are left.

    A condition does not matter when the rows of the wider slice that it keeps out differ as much, or
    as little, from the real ones as those that it lets in. The wider slice must differ by itself.
    """
    real_in, made_in = left.counts(slots)
    for size in range(1, len(slots)):
        for wider in combinations(slots, size):
            real, made = left.counts(wider)
            if not real or not made:
                # All of the wider slice is lost, or invented: so is all that it holds.
                return wider
            _, p = two_sample(np.array([made_in]), int(made), np.array([real_in]), int(real))
            if p[0] > _EXPLAINED and _differs(whole, slots, wider):
                return wider
    return slots


def _differs(whole: _Sides, slots: Slots, wider: Slots) -> bool:
    """Return whether the wider slice differs in all rows, and the same way."""
    n, m = len(whole.real), len(whole.made)
    shares = [(real / n, made / m) for real, made in map(whole.counts, (slots, wider))]
    same = (shares[0][0] > shares[0][1]) == (shares[1][0] > shares[1][1])
    return same and bool(_changed(*shares[1]))


def _slice(
    sides: _Sides,
    slots: Slots,
    factors: Sequence[Factor],
    literals: Sequence[tuple[int, Level]],
    z: float,
) -> Slice:
    real, made = sides.rows(slots)
    chosen = [literals[slot] for slot in slots]
    conditions: dict[str, Condition] = {factors[i].column: level.condition for i, level in chosen}
    words = " and ".join(level.words for _, level in chosen)
    counts = int(real.sum()), int(made.sum())
    return Slice(words, Where(conditions), *counts, len(sides.real), len(sides.made), z)

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

ALPHA = 0.05  # false discovery rate over everything searched, a third of it for each depth
# Smallest count that is reported: 1 to 10 rows may point at a person, the usual limit of table cells.
MIN_REPORTED = 11

_BEAM = 200  # pairs that are extended to triples, which bounds the time of the search
_MAX_CANDIDATES = 400  # slices that are tested again each time one is named
_MIN_ROWS = 20  # in fewer rows the normal test of two shares is off
_MIN_RATIO = (
    1.25  # a fifth of the larger share; smaller differences are significant but no use to know
)
_EXPLAINED = 0.01  # level of the test that a condition matters to a slice


@dataclass(frozen=True)
class Slice:
    """A region whose share in the synthetic rows is not the real one."""

    words: str  # The region in words
    where: Where  # The region as a condition
    # Rows in it
    real_rows: int
    synthetic_rows: int
    # Rows looked at
    n_real: int
    n_synthetic: int
    # Standardised difference of the shares; below 0 the region is under-covered. Not to be
    # published: see `region`
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
            self.n_real,
            self.n_synthetic,
        )


def search_slices(
    # the two sets
    real: Dataset,
    synthetic: Dataset,
    factors: Sequence[Factor],  # what conditions can be synthetic of
    *,
    depth: int = 3,  # most conditions in a slice, 1 to 3
    # slices to return of those with too few rows, and again of those with too many
    limit: int = 10,
) -> list[Slice]:
    """Return the slices whose shares differ for sure and by a fifth or more, most significant first.

    All single conditions and pairs are looked at, and all triples that extend the 200 pairs that
    differ most. Benjamini-Hochberg holds the false discoveries below 5 %, a third of it for each
    depth, counted over all triples there are. Then slices are named one at a time: the most
    significant first, in its shortest form (a condition goes if the slice without it differs as much);
    its rows leave both sets, and only what still differs among the other rows is named next. So nothing
    is named that a named slice explains.

    References
    ----------
    Benjamini, Hochberg (1995), Controlling the False Discovery Rate, JRSS B 57.
    Chung, Kraska, Polyzotis, Tae, Whang (2019), Slice Finder, ICDE.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.features.discretize import infer_factors
    >>> real = Dataset.from_arrow(pa.table({"sky": ["day", "night"] * 500}))
    >>> synthetic = Dataset.from_arrow(pa.table({"sky": ["day", "day", "day", "night"] * 250}))
    >>> search_slices(real, synthetic, infer_factors(real), limit=1)[0].region
    RegionShare(condition='sky = night', real=0.5, synthetic=0.25, n_real=1000, n_synthetic=1000)
    """
    if not factors or not len(real) or not len(synthetic):
        return []
    conditions = [(i, level) for i, f in enumerate(factors) for level in (*f.levels, *f.spans)]
    owner = np.array([i for i, _ in conditions])
    masks = _ConditionMasks(
        compute_condition_masks(real, factors), compute_condition_masks(synthetic, factors)
    )
    found = _candidates(masks, owner, depth)
    return _named(masks, found, factors, conditions, limit)


def compute_condition_masks(dataset: Dataset, factors: Sequence[Factor]) -> Bits:
    """Return which rows meet each level and span of each factor, 0 or 1, shape (n, l)."""
    blocks = []
    for factor in factors:
        conditions = (*factor.levels, *factor.spans)
        table = np.zeros((factor.size + 1, len(conditions)), dtype=np.float32)
        for j, condition in enumerate(conditions):
            table[list(condition.codes), j] = 1
        blocks.append(table[factor.codes(dataset)])
    return np.concatenate(blocks, axis=1)


@dataclass(frozen=True)
class _ConditionMasks:
    """Which conditions each real and each synthetic row meets."""

    real: Bits
    synthetic: Bits

    def rows(self, slots: Slots) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Return which real and which synthetic rows meet all of `slots`."""
        columns = list(slots)
        real, synthetic = (bits[:, columns].min(axis=1) > 0 for bits in (self.real, self.synthetic))
        return real, synthetic

    def counts(self, slots: Slots) -> tuple[float, float]:
        """Return how many real and how many synthetic rows meet all of `slots`."""
        real, synthetic = self.rows(slots)
        return float(real.sum()), float(synthetic.sum())


@dataclass(frozen=True)
class _Level:
    """Slices of one depth with their counts and tests."""

    slots: npt.NDArray[np.int64]
    real: Floats
    synthetic: Floats
    z: Floats
    p: Floats


def _test_level(
    slots: npt.NDArray[np.int64], real: Floats, synthetic: Floats, masks: _ConditionMasks
) -> _Level:
    # A slice that neither set has 20 rows of, in fair shares, is none to speak of.
    n, m = len(masks.synthetic), len(masks.real)
    watched = np.maximum(real, synthetic * m / n) >= _MIN_ROWS
    slots, real, synthetic = slots[watched], real[watched], synthetic[watched]
    z, p = two_sample(synthetic, n, real, m)
    return _Level(slots, real, synthetic, z, p)


def _candidates(masks: _ConditionMasks, owner: npt.NDArray[np.int64], depth: int) -> list[Slots]:
    """Return the slices that differ for sure and enough, the most significant of each direction."""
    n, m = len(masks.synthetic), len(masks.real)
    singles = np.arange(len(owner))[:, None]
    sums = [bits.sum(axis=0, dtype=np.float64) for bits in (masks.real, masks.synthetic)]
    levels = [(_test_level(singles, sums[0], sums[1], masks), len(owner))]
    if depth > 1:
        first, second = np.nonzero(owner[:, None] < owner[None, :])
        pairs = np.stack([first, second], axis=1)
        real = (masks.real.T @ masks.real)[first, second].astype(np.float64)
        synthetic = (masks.synthetic.T @ masks.synthetic)[first, second].astype(np.float64)
        levels.append((_test_level(pairs, real, synthetic, masks), len(pairs)))
    if depth > 2:
        levels.append((_triples(levels[-1][0], masks, owner), _n_triples(owner)))
    found: list[tuple[float, Slots]] = []
    for level, n_tests in levels:
        sure = discoveries(level.p, ALPHA / 3, n_tests)
        sure &= _differ_enough(level.real / m, level.synthetic / n)
        found += [(float(level.z[i]), tuple(level.slots[i].tolist())) for i in np.flatnonzero(sure)]
    under = sorted(one for one in found if one[0] < 0)[: _MAX_CANDIDATES // 2]
    over = sorted((-z, slots) for z, slots in found if z > 0)[: _MAX_CANDIDATES // 2]
    return [slots for _, slots in (*under, *over)]


def _triples(pairs: _Level, masks: _ConditionMasks, owner: npt.NDArray[np.int64]) -> _Level:
    """Return the triples that extend the pairs that differ most, half under- and half over-covered."""
    order = np.argsort(pairs.z, kind="stable")
    beam = np.unique(np.concatenate([order[: _BEAM // 2], order[-(_BEAM // 2) :]]))
    kept = pairs.slots[beam]
    counts = []
    for bits in (masks.real, masks.synthetic):
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
    return _test_level(slots, counts[0][at, third], counts[1][at, third], masks)


def _n_triples(owner: npt.NDArray[np.int64]) -> int:
    """Return how many triples of conditions of three factors there are."""
    sizes = np.bincount(owner).astype(float)
    s1, s2, s3 = sizes.sum(), (sizes**2).sum(), (sizes**3).sum()
    return int((s1**3 - 3 * s1 * s2 + 2 * s3) // 6)


def _differ_enough(real: Any, synthetic: Any) -> Any:
    """Return whether two shares differ by a fifth of the greater one or more."""
    return (real >= _MIN_RATIO * synthetic) | (synthetic >= _MIN_RATIO * real)


def _named(
    masks: _ConditionMasks,
    candidates: list[Slots],
    factors: Sequence[Factor],
    conditions: Sequence[tuple[int, Level]],
    limit: int,
) -> list[Slice]:
    """Return the most significant slice, then that of the rows outside it, and so on."""
    kept_real, kept_made = (
        np.ones(len(bits), dtype=bool) for bits in (masks.real, masks.synthetic)
    )
    rows = [masks.rows(slots) for slots in candidates]
    # The rows that are left are tested again as strictly as in the search.
    bar = ALPHA / 3 / max(1, _n_triples(np.array([i for i, _ in conditions])))
    falls = np.array([s.sum() * len(r) < r.sum() * len(s) for r, s in rows], dtype=bool)
    named: list[Slice] = []
    used: set[Slots] = set()
    while True:
        n, m = int(kept_made.sum()), int(kept_real.sum())
        if not n or not m or not rows:
            break
        real = np.array([float((r & kept_real).sum()) for r, _ in rows])
        synthetic = np.array([float((s & kept_made).sum()) for _, s in rows])
        z, p = two_sample(synthetic, n, real, m)
        # What differs the other way among the rows that are left is no news about all rows.
        open_ = _differ_enough(real / m, synthetic / n) & ((z < 0) == falls)
        for is_missing in (True, False):
            if sum(one.is_missing == is_missing for one in named) >= limit:
                open_ &= falls != is_missing
        if named:
            open_ &= p <= bar
        if not open_.any():
            break
        # Of a region and its opposite, which differ alike, the one with too few rows is named.
        best = int(np.argmax(np.where(open_, np.abs(z) + 1e-6 * (z < 0), -1)))
        left = _ConditionMasks(masks.real[kept_real], masks.synthetic[kept_made])
        slots = _shortest(masks, left, candidates[best])
        if slots in used:
            break
        used.add(slots)
        one = _slice(masks, slots, factors, conditions, float(z[best]))
        named.append(one)
        inside = masks.rows(slots)
        kept_real, kept_made = kept_real & ~inside[0], kept_made & ~inside[1]
    return named


def _shortest(whole: _ConditionMasks, left: _ConditionMasks, slots: Slots) -> Slots:
    """Return the slice without the conditions that do not matter to it among the rows that are left.

    A condition does not matter when the rows of the wider slice that it keeps out differ as much, or
    as little, from the real ones as those that it lets in. The wider slice must differ by itself.
    """
    real_in, made_in = left.counts(slots)
    for size in range(1, len(slots)):
        for wider in combinations(slots, size):
            real, synthetic = left.counts(wider)
            if not real or not synthetic:
                # All of the wider slice is lost, or invented: so is all that it holds.
                return wider
            _, p = two_sample(np.array([made_in]), int(synthetic), np.array([real_in]), int(real))
            if p[0] > _EXPLAINED and _differs(whole, slots, wider):
                return wider
    return slots


def _differs(whole: _ConditionMasks, slots: Slots, wider: Slots) -> bool:
    """Return whether the wider slice differs in all rows, and the same way."""
    n, m = len(whole.real), len(whole.synthetic)
    shares = [(real / n, synthetic / m) for real, synthetic in map(whole.counts, (slots, wider))]
    same = (shares[0][0] > shares[0][1]) == (shares[1][0] > shares[1][1])
    return same and bool(_differ_enough(*shares[1]))


def _slice(
    masks: _ConditionMasks,
    slots: Slots,
    factors: Sequence[Factor],
    conditions: Sequence[tuple[int, Level]],
    z: float,
) -> Slice:
    real, synthetic = masks.rows(slots)
    chosen = [conditions[slot] for slot in slots]
    by_column: dict[str, Condition] = {factors[i].column: level.condition for i, level in chosen}
    words = " and ".join(level.words for _, level in chosen)
    counts = int(real.sum()), int(synthetic.sum())
    return Slice(words, Where(by_column), *counts, len(masks.real), len(masks.synthetic), z)

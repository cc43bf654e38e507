"""Exact tests that a fault is more frequent in candidate rows than in unseen real rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from twinset.core.integrity import FaultKind
from twinset.core.stats.hypothesis_tests import excess_p

from .._bootstrap_metric import Bools, Floats, Ints
from ._checks import Check
from ._text_arrays import Hashes, Keys

# Shares of unseen real rows that lie above a threshold of a score: a fault in few rows is seen far out,
# one in many rows nearer to the middle.
_TAILS = (0.0, 0.001, 0.01, 0.05, 0.2)
_TAIL = 3.0  # inverse shape of the tail: heavier than those of lengths and of pixels
_MIN_TAIL_ROWS = 50  # real rows: the largest five give its scale
_MAX_BEYOND = 50  # rows beyond all real ones that are limits: of more, Fisher's test is certain
_MIN_KEY_ROWS = 5  # rows with one key: fewer are chance in any set
# A key counts where it is this many times as frequent as in real rows: a set with other shares of its
# classes repeats the phrases of a class more often, and is no fault.
_MIN_RATIO = 1.5


Count = tuple[int, int]
"""Rows with a fault, and all rows."""


@dataclass(frozen=True)
class Fault:
    """A kind of fault in a column that a check looks for."""

    kind: FaultKind
    column: str
    detail: str = ""

    def check(self, rows: Ints, *real: Count, p_value: float | None = None) -> Check:
        """Return the check of candidate rows beside the holdout, and train where it was not learnt from."""
        (n_holdout, holdout), (n_train, train) = (*real, (0, 0))[:2]
        counts, sizes = (n_holdout, n_train), (holdout, train)
        return Check(self.kind, (self.column,), rows, counts, sizes, self.detail, p_value=p_value)


def compare_flags(fault: Fault, candidate: Bools, *real: Bools) -> Check:
    """Return the check of rows that have a fault or have not, beside the holdout and maybe train."""
    return fault.check(np.flatnonzero(candidate), *((int(one.sum()), len(one)) for one in real))


def compare_scores(
    fault: Fault, candidate: Floats, *real: Floats, is_smooth: bool = False
) -> Check:
    """Return the check of the upper tail of a score, NaN where a row has none.

    `real` are those of the holdout and of train, where the score was not learnt from it. The threshold is
    an order statistic of the real rows. Given that k real rows lie above it, the number of candidate rows
    above it is negative hypergeometric, whose tail is that of Fisher's test. The tail of a smooth score is
    extrapolated as well, which a score with ties or gaps would mislead.
    """
    order = np.argsort(np.where(np.isnan(candidate), np.inf, -candidate), kind="stable")
    order = order[: int((~np.isnan(candidate)).sum())]
    known = [one[~np.isnan(one)] for one in real]
    high, pooled = candidate[order], np.sort(np.concatenate(known))[::-1]

    def check(n: int, limit: float, p: float) -> Check:
        counts = ((int((one >= limit).sum()), len(one)) for one in known)
        return fault.check(order[:n], *counts, p_value=p)

    if not len(high) or not len(pooled):
        return check(0, np.inf, 1.0)
    best = 0, np.inf, 1.0
    # Beyond all real rows, then from a real row on: ties with it count in both sets.
    limits = [(float(np.nextafter(pooled[0], np.inf)), 0)]
    at = sorted({int(tail * len(pooled)) for tail in _TAILS})
    limits += [
        (float(pooled[k]), int(np.searchsorted(-pooled, -pooled[k], side="right"))) for k in at
    ]
    for limit, k in limits:
        n = int(np.searchsorted(-high, -limit, side="right"))
        p = min(1.0, excess_p(n, len(high), k, len(pooled)) * len(limits)) if n else 1.0
        if p < best[2]:
            best = n, limit, p
    p, n = _extrapolate(high, pooled) if is_smooth else (1.0, 0)
    if p * (len(limits) + 1) < best[2]:
        best = n, limits[0][0], p * (len(limits) + 1)
    return check(*best)


def _extrapolate(high: Floats, real: Floats) -> tuple[float, int]:
    """Return the p-value and number of the candidate rows that lie far beyond all real rows.

    Real rows of which the largest is x_max exceed t with the probability (1 + (t - x_max) / (3 s))^-3 / n,
    a generalized Pareto tail of shape 1/3 whose scale s is the mean excess of the largest tenth. Of the
    candidate rows beyond, each from the second on is a limit. 1 where the largest tenth are ties.

    References
    ----------
    Pickands, "Statistical inference using extreme order statistics", Annals of Statistics 3, 1975.
    """
    from scipy.special import pdtrc

    top = real[: max(len(real) // 10, 1)]
    scale = float(top.mean() - top[-1])
    beyond = high[high > real[0]][:_MAX_BEYOND]
    if len(real) < _MIN_TAIL_ROWS or scale <= 0 or len(beyond) <= 1:
        return 1.0, 0
    expected = len(high) / len(real) * (1 + (beyond - real[0]) / (_TAIL * scale)) ** -_TAIL
    p = pdtrc(np.arange(len(beyond)), expected)[1:] * len(beyond)
    worst = int(np.argmin(p))
    return float(min(p[worst], 1.0)), worst + 2


def compare_keys(fault: Fault, candidate: Keys, n: int, real: Sequence[tuple[Keys, int]]) -> Check:
    """Return the check of the key, e.g. a phrase, that is most of all more frequent than in real rows.

    `candidate` are the keys of `n` rows; `real` those of the holdout and of train, with their rows.
    """
    from scipy.special import bdtrc

    keys, rows = _distinct_pairs(*candidate)
    known, uses = np.unique(keys, return_counts=True)
    known, uses = known[uses >= _MIN_KEY_ROWS], uses[uses >= _MIN_KEY_ROWS]
    m = sum(size for _, size in real)
    if not len(known):
        return fault.check(rows[:0], (0, m), p_value=1.0)
    counts = np.array([_count_rows(known, *own) for own, _ in real])
    side = _MIN_RATIO * n / (_MIN_RATIO * n + m)
    total = uses + counts.sum(axis=0)
    p = np.minimum(bdtrc(uses - 1, total, side) * len(known), 1.0)
    worst = int(np.argmin(p))
    faulty = np.unique(rows[keys == known[worst]])
    found = [(int(k), size) for k, (_, size) in zip(counts[:, worst], real)]
    return fault.check(faulty, *found, p_value=float(p[worst]))


def _count_rows(known: Hashes, keys: Hashes, rows: Ints) -> Ints:
    """Return how many rows have each of the known keys, which are sorted."""
    place = np.searchsorted(known, keys).clip(max=len(known) - 1)
    there = known[place] == keys
    found = _distinct_pairs(place[there].astype(np.uint64), rows[there])[0]
    return np.bincount(found.astype(np.int64), minlength=len(known))


def _distinct_pairs(keys: Hashes, rows: Ints) -> tuple[Hashes, Ints]:
    """Return each pair of key and row once."""
    order = np.lexsort((rows, keys))
    keys, rows = keys[order], rows[order]
    first = np.ones(len(keys), dtype=bool)
    first[1:] = (keys[1:] != keys[:-1]) | (rows[1:] != rows[:-1])
    return keys[first], rows[first]

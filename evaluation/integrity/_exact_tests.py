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
_MIN_KEY_ROWS = 5  # rows with one key: fewer are chance in any set
# A key counts where it is this many times as frequent as in real rows: a set with other shares of its
# classes repeats the phrases of a class more often, and is no fault.
_MIN_RATIO = 1.5


@dataclass(frozen=True)
class Fault:
    """A kind of fault in a column that a check looks for."""

    kind: FaultKind
    column: str
    detail: str = ""

    def check(self, rows: Ints, real: Sequence[int], n_real: int, p: float | None = None) -> Check:
        """Return the check of candidate rows beside counts of real rows, those of the holdout last."""
        return Check(
            self.kind, (self.column,), rows, real[-1], sum(real), n_real, self.detail, p_value=p
        )


def compare_flags(fault: Fault, candidate: Bools, *real: Bools) -> Check:
    """Return the check of rows that have a fault or have not; of real rows the holdout is last."""
    counts = [int(one.sum()) for one in real]
    return fault.check(np.flatnonzero(candidate), counts, sum(map(len, real)))


def compare_scores(fault: Fault, candidate: Floats, real: Floats) -> Check:
    """Return the check of the upper tail of a score, NaN where a row has none.

    The threshold is an order statistic of the real rows. Given that k real rows lie above it, the
    number of candidate rows above it is negative hypergeometric, whose tail is that of Fisher's test.
    """
    order = np.argsort(np.where(np.isnan(candidate), np.inf, -candidate), kind="stable")
    order = order[: int((~np.isnan(candidate)).sum())]
    high, real = candidate[order], np.sort(real[~np.isnan(real)])[::-1]
    best = 1.0, order[:0], 0
    if not len(high) or not len(real):
        return fault.check(best[1], [0], len(real), 1.0)
    # Beyond all real rows, then from a real row on: ties with it count in both sets.
    limits = [(np.nextafter(real[0], np.inf), 0)]
    at = sorted({int(tail * len(real)) for tail in _TAILS})
    limits += [(real[k], int(np.searchsorted(-real, -real[k], side="right"))) for k in at]
    for limit, k in limits:
        n = int(np.searchsorted(-high, -limit, side="right"))
        p = min(1.0, excess_p(n, len(high), k, len(real)) * len(limits)) if n else 1.0
        if p < best[0]:
            best = p, order[:n], k
    return fault.check(best[1], [best[2]], len(real), best[0])


def compare_keys(fault: Fault, candidate: Keys, n: int, real: Sequence[tuple[Keys, int]]) -> Check:
    """Return the check of the key, e.g. a phrase, that is most of all more frequent than in real rows.

    `candidate` are the keys of `n` rows; `real` those of train and of the holdout, with their rows.
    """
    from scipy.special import bdtrc

    keys, rows = _distinct_pairs(*candidate)
    known, uses = np.unique(keys, return_counts=True)
    known, uses = known[uses >= _MIN_KEY_ROWS], uses[uses >= _MIN_KEY_ROWS]
    m = sum(size for _, size in real)
    if not len(known):
        return fault.check(rows[:0], [0], m, 1.0)
    counts = np.array([_count_rows(known, *own) for own, _ in real])
    side = _MIN_RATIO * n / (_MIN_RATIO * n + m)
    total = uses + counts.sum(axis=0)
    p = np.minimum(bdtrc(uses - 1, total, side) * len(known), 1.0)
    worst = int(np.argmin(p))
    faulty = np.unique(rows[keys == known[worst]])
    return fault.check(faulty, counts[:, worst].tolist(), m, float(p[worst]))


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

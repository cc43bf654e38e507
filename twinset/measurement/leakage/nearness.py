"""Test rows that lie too near to train rows, where the test set itself shows what is natural."""

from __future__ import annotations

from collections.abc import Sequence

from twinset.measurement.leakage.evidence import LOG_ALPHA, Floats, log_tail

# of the rows may be that near by nature: in few control rows none may be seen
_NEAR_SHARE = 0.005


def compare_nearness(
    near: Floats, control: Floats, more: float, limits: Sequence[float]
) -> tuple[float, int, float, float] | None:
    """Return (limit, rows beyond it, as many by chance, log chance) of the first limit that shows a leak.

    `near`, shape (n,): similarity of each test row to its nearest train row. `control`, shape (n,):
    that to the nearest other test row. `more`: train rows for each test row, at least 1. `limits`:
    similarities that are tried, the largest first.

    >>> import numpy as np
    >>> far, copies = np.zeros(200), np.repeat([1.0, 0.0], 100)
    >>> compare_nearness(far, far, 1.0, (0.9,)) is None
    True
    >>> compare_nearness(copies, far, 1.0, (0.9,))[:3]
    (0.9, 100, 1.0)
    """
    n = len(near)
    for limit in limits:
        count, natural_count = int((near >= limit).sum()), int((control >= limit).sum())
        natural = min(1.0, max(_NEAR_SHARE, more * natural_count / n))
        # The control is a sample itself: its error is that of a comparison of two shares.
        share = more / (1 + more)
        chance = max(log_tail(count, natural, n), log_tail(count, share, count + natural_count))
        if chance < LOG_ALPHA:
            return limit, count, natural * n, chance
    return None

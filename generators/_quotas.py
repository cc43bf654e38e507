"""Deal rows out to labels so that every label has its exact share at any point."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np


def allocate(shares: Sequence[float], rng: np.random.Generator) -> Iterator[int]:
    """Yield positions of `shares` without end; after t of them, each count is within 1 of t * share.

    Tijdeman's rule: among the labels that are not ahead of their share, take the one that would fall
    too far behind first. The first t yields do not depend on how many are taken.

    Parameters
    ----------
    shares : sequence of float
        One weight per label, none negative, not all 0; their sum is taken as 1.
    rng : numpy.random.Generator
        Orders labels that are equally due, so that none of them is always first.

    References
    ----------
    Tijdeman, "The chairman assignment problem", Discrete Mathematics 32 (1980).

    Examples
    --------
    >>> turns = allocate([0.5, 0.25, 0.25], np.random.default_rng(0))
    >>> sorted(next(turns) for _ in range(8))
    [0, 0, 0, 0, 1, 1, 2, 2]
    """
    weights = np.asarray(shares, dtype=float)
    share = weights / weights.sum()
    n = int((share > 0).sum())
    slack = 1 - 1 / (2 * n - 2) if n > 1 else 1.0
    order = rng.permutation(len(share))
    counts = np.zeros(len(share))
    step = 0
    while True:
        step += 1
        due = share * step - counts  # how far behind each label would be without this turn
        with np.errstate(divide="ignore"):
            deadline = np.where(share > 0, (slack - due) / share, np.inf)
        deadline[due < 1 - slack - 1e-12] = np.inf
        chosen = int(order[np.argmin(deadline[order])])
        counts[chosen] += 1
        yield chosen

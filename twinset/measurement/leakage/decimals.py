"""Decimals that numbers need."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

MAX_DECIMALS = 6  # numbers that need more are not written by hand
_ON_GRID = 1e-3  # of a unit of the last decimal: float error of large amounts


def count_decimals(values: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Return the decimals that each number needs, 7 for more than 6; missing ones need none.

    >>> count_decimals(np.array([3.0, 2.25, np.nan, 1 / 3])).tolist()
    [0, 2, 0, 7]
    """
    needed = np.full(len(values), MAX_DECIMALS + 1, dtype=np.int64)
    needed[~np.isfinite(values)] = 0
    rest = np.flatnonzero(np.isfinite(values))
    for decimals in range(MAX_DECIMALS + 1):
        scaled = values[rest] * 10.0**decimals
        fits = np.abs(scaled - np.rint(scaled)) < _ON_GRID
        needed[rest[fits]] = decimals
        rest = rest[~fits]
    return needed

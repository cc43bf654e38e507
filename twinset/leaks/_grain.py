"""Numbers that are finer than the source writes them: what interpolation leaves where nothing rounds.

Ages are whole and amounts have two decimals in every row but those that an oversampler made.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from twinset.leaks._chance import log_tail
from twinset.leaks._copies import LOG_ALPHA, Cut, grown_classes
from twinset.leaks._found import Leak

_MOST_DECIMALS = 6
_ON_GRID = 1e-3
_RULE_SHARE = 0.999
_LEAST_COLUMNS = 2
_NATURAL_SHARE = 0.02
_NATURAL_TIMES = 3.0


def finer_numbers(cut: Cut) -> list[Leak]:
    """Return the leak of a class whose holdout rows are written finer than all other rows; or none."""
    if cut.labels is None:
        return []
    names = [name for name in cut.features if name in cut.keys.numbers]
    decimals = {name: decimals_of(cut.keys.numbers[name]) for name in names}
    for code in grown_classes(cut):
        mine = cut.labels == code
        finer = np.zeros(len(mine), dtype=np.int64)
        for found in decimals.values():
            rule = np.quantile(found[~mine], _RULE_SHARE, method="inverted_cdf")
            if rule <= _MOST_DECIMALS:
                finer += found > rule
        odd = finer >= _LEAST_COLUMNS
        held, others = odd[mine & cut.in_holdout], odd[~mine]
        if not len(held) or not len(others):
            continue
        natural = max(_NATURAL_SHARE, _NATURAL_TIMES * float(others.mean()))
        chance = log_tail(int(held.sum()), np.array([natural]), np.array([len(held)]))
        if chance < LOG_ALPHA:
            what = (
                f"{held.mean():.0%} of the holdout rows of the class '{cut.names[code]}' hold numbers "
                "with more decimals than other rows do: rows were interpolated before the cut"
            )
            return [Leak("interpolated", what, int(held.sum()), chance)]
    return []


def decimals_of(values: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Return how many decimals each number needs, 7 for more than 6; missing ones need none.

    Examples
    --------
    >>> decimals_of(np.array([3.0, 2.25, np.nan, 1 / 3])).tolist()
    [0, 2, 0, 7]
    """
    needed = np.full(len(values), _MOST_DECIMALS + 1, dtype=np.int64)
    needed[~np.isfinite(values)] = 0
    left = np.flatnonzero(np.isfinite(values))
    for decimals in range(_MOST_DECIMALS + 1):
        scaled = values[left] * 10.0**decimals
        fits = np.abs(scaled - np.rint(scaled)) < _ON_GRID
        needed[left[fits]] = decimals
        left = left[~fits]
    return needed

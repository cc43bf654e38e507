"""Numbers that are finer than the source writes them: what interpolation leaves where nothing rounds.

Ages are whole and amounts have two decimals in every row but those that an oversampler made.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from twinset.measurement.leakage.duplicates import LOG_ALPHA, SplitRows, grown_classes
from twinset.measurement.leakage.findings import Leak
from twinset.measurement.leakage.tail_bounds import log_tail

_MOST_DECIMALS = 6
_ON_GRID = 1e-3
_RULE_SHARE = 0.999
_LEAST_COLUMNS = 2
_NATURAL_SHARE = 0.02
_NATURAL_TIMES = 3.0
_FEWEST_ORIGINALS = 5


def finer_numbers(cut: SplitRows) -> list[Leak]:
    """Return the leak of a class whose holdout rows are written finer than all other rows; or none.

    Rows are interpolated between others that are written as the source writes them. Where the class has
    none of these, or where its numbers end after six decimals at most, the leak is doubtful: the class
    may be measured finer by nature.
    """
    if cut.labels is None:
        return []
    doubts: list[Leak] = []
    names = [name for name in cut.features if name in cut.keys.numbers]
    decimals = {name: decimals_of(cut.keys.numbers[name]) for name in names}
    for code in grown_classes(cut):
        mine = cut.labels == code
        if mine.all():
            continue
        finer, endless, plain = np.zeros((3, len(mine)), dtype=np.int64)
        for name, found in decimals.items():
            rule = np.quantile(found[~mine], _RULE_SHARE, method="inverted_cdf")
            if rule <= _MOST_DECIMALS:
                finer += found > rule
                endless += found > _MOST_DECIMALS
                # Zeros and missing values are on any grid.
                plain += (found <= rule) & (np.nan_to_num(cut.keys.numbers[name]) != 0)
        odd = finer >= _LEAST_COLUMNS
        originals = int((mine & (finer == 0) & (plain >= _LEAST_COLUMNS)).sum())
        held, others = odd[mine & cut.in_holdout], odd[~mine]
        if not len(held) or not len(others):
            continue
        natural = max(_NATURAL_SHARE, _NATURAL_TIMES * float(others.mean()))
        chance = log_tail(int(held.sum()), np.array([natural]), np.array([len(held)]))
        if chance < LOG_ALPHA:
            is_endless = (endless >= _LEAST_COLUMNS)[odd & mine].mean() > 0.5
            is_doubtful = originals < _FEWEST_ORIGINALS or not is_endless
            why = (
                "the class may be measured finer; if its rows were interpolated, cut first"
                if is_doubtful
                else "rows were interpolated before the cut"
            )
            what = (
                f"{held.mean():.0%} of the holdout rows of the class '{cut.names[code]}' hold numbers "
                f"with more decimals than other rows do: {why}"
            )
            at = cut.first(odd & mine)
            leak = Leak("interpolated", what, int(held.sum()), chance, is_doubtful, at)
            if not is_doubtful:
                return [leak]
            doubts.append(leak)
    return doubts[:1]


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

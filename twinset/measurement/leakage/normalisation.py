"""Columns that were scaled, ranked or filled with the rows of both sets."""

from __future__ import annotations

import numpy as np

from twinset.measurement.leakage.encodings import SplitColumns
from twinset.measurement.leakage.evidence import Bools, Floats, Leak, first_rows, fit_line

_MIN_VALUES = (
    50  # distinct values of a column that was scaled: fewer meet round numbers by accident
)
_EXACT = 1e-7  # of a spread: what a mean over all rows misses zero by, as float numbers
_FACTOR = 30.0  # times as far, at least, lies the same statistic of the train rows
_LOG_EXACT = float(np.log(1e-5))  # a statistic is that near to zero, or to one, by accident
_MIN_FILLED = 10  # rows with one value before it may be a filled one
_N_FILLED = 3  # most frequent values that are examined: the mean, and that of each of two classes
_MAX_WHOLE = (
    0.5  # whole numbers in a scaled column: counts have quartiles at whole numbers by nature
)
_RANK_SHARE = 0.3  # of the rows have distinct ranks
_RANK_ERROR = 0.01  # of a step between two ranks: they are written with many digits


def find_normalised_columns(columns: SplitColumns) -> list[Leak]:
    """Return the leak of columns that were normalised or filled with all rows; or none."""
    found: dict[str, str] = {}
    bounded: dict[str, str] = {}
    for name, values in columns.numbers.items():
        finite = np.isfinite(values)
        own = values[finite & ~columns.in_test]
        whole = values[finite]
        if len(own) < _MIN_VALUES or len(np.unique(whole[:5_000])) < _MIN_VALUES:
            continue
        text = _describe_scaling(whole, own) or _describe_ranks(whole, own)
        if not text:
            text = _describe_filling(whole, own)
        if text:
            found[name] = text
        elif _is_bounded_by_test(whole, own):
            bounded[name] = "scaled to its smallest and largest value"
    if len(bounded) > 1 or found:
        found |= bounded
    if not found:
        return []
    name, text = next(iter(found.items()))
    others = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    message = (
        f"the column '{name}' was {text} over the rows of both sets, not over train rows{others}: it was "
        "computed before the split"
    )
    n = int(columns.in_test.sum())
    return [
        Leak(
            "preprocessing",
            message,
            n,
            _LOG_EXACT * (1 + len(found)),
            expected=0.0,
            columns=tuple(found),
        )
    ]


def _describe_scaling(whole: Floats, own: Floats) -> str:
    """Return in words how a column was centred or scaled; empty where it was not, or by train rows."""
    spread = float(np.std(whole))
    if spread == 0:
        return ""
    is_whole = np.array_equal(whole, np.rint(whole))
    near = abs(float(np.mean(whole))) / spread
    # Float errors of a sum grow with the largest value.
    exact = max(_EXACT, 1e-13 * float(np.abs(whole).max()) / spread)
    if near <= exact and abs(float(np.mean(own))) / spread > _FACTOR * exact and not is_whole:
        return "centred"
    quartiles = np.quantile(whole, [0.25, 0.5, 0.75])
    mine = np.quantile(own, [0.25, 0.5, 0.75])
    if (
        float((whole == np.rint(whole)).mean()) < _MAX_WHOLE
        and abs(quartiles[1]) <= _EXACT
        and abs(quartiles[2] - quartiles[0] - 1) <= _EXACT
        and max(abs(mine[1]), abs(mine[2] - mine[0] - 1)) > _FACTOR * _EXACT
    ):
        return "scaled by its quartiles"
    return ""


def _describe_ranks(whole: Floats, own: Floats) -> str:
    """Return in words that a column holds ranks over all rows; else nothing."""
    if len(np.unique(whole)) < _RANK_SHARE * len(whole) or whole.min() < 0 or whole.max() > 1:
        return ""
    if _are_ranks(whole) and not _are_ranks(own):
        return "ranked"
    return ""


def _are_ranks(values: Floats) -> bool:
    """Return whether numbers lie on one line with their own ranks, whatever the rank of ties.

    >>> scores = np.random.default_rng(0).normal(size=500).round(1)
    >>> places = np.sort(scores).searchsorted(scores) / 500
    >>> _are_ranks(places), _are_ranks(places[:400]), _are_ranks(scores)
    (True, False, False)
    """
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts).astype(np.float64)
    for ranks_of_levels in (last - counts / 2, last - counts, last):
        ranks = ranks_of_levels[place]
        slope, base = fit_line(ranks, values)
        fits = np.abs(values - slope * ranks - base) <= _RANK_ERROR * slope
        if fits.mean() > 0.99:
            return True
    return False


def _is_bounded_by_test(whole: Floats, own: Floats) -> bool:
    """Return whether a column runs from 0 (or -1) to 1 exactly, once, and only with the test rows."""
    low, high = float(whole.min()), float(whole.max())
    if low not in (0.0, -1.0) or high != 1.0:
        return False
    ends = [(whole == end).sum() == 1 and not (own == end).any() for end in (low, high)]
    return any(ends)


def _describe_filling(whole: Floats, own: Floats) -> str:
    """Return in words that missing values were replaced by a statistic of all rows; else nothing."""
    levels, counts = np.unique(whole, return_counts=True)
    scale = float(np.std(whole)) or 1.0
    for place in np.argsort(-counts)[:_N_FILLED]:
        if counts[place] < _MIN_FILLED:
            break
        value = levels[place]
        rest, mine = whole[whole != value], own[own != value]
        if len(mine) < _MIN_VALUES:
            continue
        for text, method in (("mean", np.mean), ("median", np.median)):
            error, other = (abs(float(method(part)) - value) / scale for part in (rest, mine))
            is_rare = text == "mean" or len(levels) > 0.5 * len(rest)
            if error < _EXACT and other > _FACTOR * _EXACT and is_rare:
                return f"filled with its {text}"
    return ""


def find_filled_by_class(columns: SplitColumns) -> list[Leak]:
    """Return the leak of missing values that were replaced by the mean of the row's class; or none."""
    found: list[str] = []
    rows: Bools = np.zeros(len(columns.in_test), dtype=bool)
    for name, values in columns.numbers.items():
        levels, counts = np.unique(values[np.isfinite(values)], return_counts=True)
        frequent = np.argsort(-counts)[: 2 * _N_FILLED]
        for value in levels[frequent[counts[frequent] >= _MIN_FILLED]]:
            at = values == value
            for label in columns.targets.values():
                own = label == label[np.flatnonzero(at)[0]]
                rest = values[own & ~at & np.isfinite(values)]
                if own.all() or not own[at].all() or len(rest) < _MIN_FILLED:
                    continue
                if any(
                    _is_mean(value, part) for part in (rest, values[own & ~at & ~columns.in_test])
                ):
                    found.append(name)
                    rows |= at
    if not found:
        return []
    names = tuple(dict.fromkeys(found))
    message = (
        f"missing values of {', '.join(repr(name) for name in names[:5])} were replaced by the mean of the "
        "row's own class: they tell the target"
    )
    n = int((rows & columns.in_test).sum())
    at_rows = first_rows(rows[columns.in_test])
    return [Leak("label", message, n, 2 * _LOG_EXACT, at=at_rows, expected=0.0, columns=names)]


def _is_mean(value: float, rest: Floats) -> bool:
    """Return whether a value is the mean of others to ten digits."""
    rest = rest[np.isfinite(rest)]
    scale = float(np.std(rest)) if len(rest) else 0.0
    return scale > 0 and abs(float(np.mean(rest)) - value) <= 1e-9 * scale

"""Candidates for rules between numbers: sums, linear relations, orders, numbers never negative."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from twinset.core.data.rule import Rule
from twinset.core.rules.columns import Mask, RuleTable
from twinset.core.rules.statistics import Floats

Candidate = tuple[Rule, str]
_PARTS_FOR = ((2, 120), (3, 60), (4, 30))
_LEAST_DISTINCT = 8
_LEAST_OVERLAP = 0.1
_PROBES = 3
_DAY = 86_400e6


def sums(table: RuleTable, sample: RuleTable) -> Iterator[Candidate]:
    """Yield columns that are the sum of two to four others in (nearly) all rows of the sample."""
    names = [n for n in _varying(sample) if table.fields[n].is_numeric]
    matrix = _matrix(sample, names)
    whole = np.flatnonzero(~np.isnan(matrix).any(axis=1)) if len(names) else np.empty(0, int)
    if len(whole) < 20:
        return
    # Rows with many amounts other than 0 tell most; a few of them, as one may be an exception.
    rich = whole[np.argsort(-np.count_nonzero(matrix[whole], axis=1), kind="stable")]
    probes = rich[: 4 * _PROBES : 4]
    found: set[frozenset[str]] = set()
    for n_parts, most in _PARTS_FOR:
        if len(names) > most or len(names) <= n_parts:
            continue
        chosen_ones = itertools.combinations(range(len(names)), n_parts)
        parts = np.fromiter(itertools.chain.from_iterable(chosen_ones), np.int64)
        parts = parts.reshape(-1, n_parts)
        for total, chosen in _matches(matrix, probes, parts):
            columns = (names[total], *(names[j] for j in chosen))
            if total in chosen or any(known <= set(columns) for known in found):
                continue
            if _is_sum(matrix[whole], total, chosen):
                found.add(frozenset(columns))
                yield Rule("sum", columns), f"{columns[0]} = {' + '.join(columns[1:])}"


def _matches(
    matrix: Floats, probes: np.ndarray, parts: np.ndarray
) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Yield (total, parts) that fit two of the probe rows."""
    hits: dict[tuple[int, tuple[int, ...]], int] = {}
    for row in probes:
        values = matrix[row]
        order = np.argsort(values, kind="stable")
        terms = values[parts]
        added = terms.sum(axis=1)
        slack = 1e-6 + 1e-9 * np.abs(terms).max(axis=1)
        low = np.searchsorted(values[order], added - slack, side="left")
        high = np.searchsorted(values[order], added + slack, side="right")
        for i in np.flatnonzero(high > low):
            for j in order[low[i] : high[i]]:
                key = (int(j), tuple(int(p) for p in parts[i]))
                hits[key] = hits.get(key, 0) + 1
    least = min(2, len(probes))
    yield from (key for key, count in hits.items() if count >= least)


def _is_sum(matrix: Floats, total: int, parts: tuple[int, ...]) -> bool:
    terms = matrix[:, list(parts)]
    off = np.abs(matrix[:, total] - terms.sum(axis=1)) > 1e-6 + 1e-9 * np.abs(terms).max(axis=1)
    # Every part takes part in a fair number of rows, and with the others.
    taking_part = np.count_nonzero(terms, axis=0) >= max(10, 0.01 * len(matrix))
    together = np.count_nonzero(np.count_nonzero(terms, axis=1) >= 2) >= max(10, 0.01 * len(matrix))
    return bool(off.mean() <= 0.01 and taking_part.all() and together)


def linear_relations(table: RuleTable, sample: RuleTable) -> Iterator[Candidate]:
    """Yield pairs of columns of which one is the other times a number, plus a number."""
    names = [n for n in _varying(sample) if not table.fields[n].has_levels]
    matrix = _matrix(sample, names)
    for i, j in zip(*np.nonzero(np.triu(_nearly_straight(matrix), 1)), strict=True):
        if not _comparable(table, names[i], names[j]):
            continue
        both = ~np.isnan(matrix[:, i]) & ~np.isnan(matrix[:, j])
        x, y = matrix[both, i], matrix[both, j]
        if len(x) < 20 or len(np.unique(x)) < _LEAST_DISTINCT:
            continue
        relation = _relation(table, (names[j], names[i]), (y, x))
        if relation is not None:
            yield relation


def _comparable(table: RuleTable, one: str, other: str) -> bool:
    return table.fields[one].is_time == table.fields[other].is_time


def _nearly_straight(matrix: Floats) -> Mask:
    """Return which pairs of columns correlate to 0.999 or more in the rows that hold both."""
    present = ~np.isnan(matrix)
    centred = np.where(present, matrix - np.nanmean(matrix, axis=0), 0.0)
    centred /= np.maximum(np.abs(centred).max(axis=0), 1e-300)
    mask = present.astype(float)
    n = np.maximum(mask.T @ mask, 1.0)
    sums_, squares = centred.T @ mask, (centred**2).T @ mask
    covariance = centred.T @ centred - sums_ * sums_.T / n
    spread = np.maximum(squares - sums_**2 / n, 0.0)
    return np.asarray(np.abs(covariance) >= 0.999 * np.sqrt(spread * spread.T) - 1e-12)


def _relation(
    table: RuleTable, names: tuple[str, str], values: tuple[Floats, Floats]
) -> Candidate | None:
    """Return y - slope x = shift with round numbers, if the grids of the columns explain the rest."""
    y, x = values
    centre = x.mean()
    slope = np.polyfit(x - centre, y, 1)[0]
    half = [_half_step(table, name, v) for name, v in zip(names, values, strict=True)]
    for digits in range(1, 8):
        rounded = float(f"{slope:.{digits}g}")
        shift = float(np.median(y - rounded * x))
        for places in (0, 1, 2, 4, 6):
            nice = round(shift, places)
            allowed = max(half[0], abs(rounded) * half[1])
            off = np.abs(y - rounded * x - nice)
            if np.all(off <= allowed * (1 + 1e-9) + 1e-12 * np.abs(y)):
                exact = bool(np.all(off <= 1e-6))
                factors = {names[0]: 1, names[1]: _plain(-rounded)}
                settings = {"coefficients": factors, "equals": _plain(nice)}
                extra = {} if exact else {"tolerance": float(f"{allowed * 1.001:.6g}")}
                time = table.fields[names[0]].is_time
                added = f"{nice / _DAY:g} days" if time else f"{nice:g}"
                text = names[1] if rounded == 1 else f"{rounded:g} * {names[1]}"
                text = f"{names[0]} = {text}" + (f" + {added}" if nice else "")
                return Rule("linear", names, {**settings, **extra}), text
    return None


def _plain(value: float) -> float | int:
    return int(value) if value == int(value) else value


def _half_step(table: RuleTable, name: str, values: Floats) -> float:
    field = table.fields[name]
    if not field.is_continuous:
        return 0.5
    if field.decimals is None:
        return float(1e-9 * np.abs(values).max())
    return float(0.5 * 10.0**-field.decimals)


def orders(table: RuleTable, sample: RuleTable, nearly: float) -> Iterator[Candidate]:
    """Yield chains of columns each of which is at most the next, though their ranges overlap."""
    names = [n for n in _varying(sample) if not table.fields[n].has_levels]
    matrix = _matrix(sample, names)
    below = np.zeros((len(names), len(names)), dtype=bool)
    exact = below.copy()
    few = matrix[:: max(len(matrix) // 300, 1)]
    for i in range(len(names)):
        # A few rows rule most pairs out, all at once.
        wrong = np.count_nonzero(few[:, [i]] > few, axis=0)
        for j in np.flatnonzero(wrong <= 0.01 * len(few) + 2):
            a, b = matrix[:, i], matrix[:, j]
            if i == j or not _comparable(table, names[i], names[j]):
                continue
            overlap = _overlap(a, b) if np.count_nonzero(a > b) <= 3 * nearly * len(a) else 0.0
            if overlap < _LEAST_OVERLAP:
                continue
            broken, support = _breaking(table, names[i], names[j])
            exact[i, j] = broken == 0
            # An order with exceptions needs more to be believed.
            below[i, j] = broken == 0 or (
                broken <= nearly * support and overlap >= 2 * _LEAST_OVERLAP
            )
    for chain in _chains(exact):
        columns = tuple(names[k] for k in chain)
        yield Rule("order", columns), " <= ".join(columns)
    through = (below.astype(int) @ below.astype(int)) > 0
    for i, j in zip(*np.nonzero(below & ~exact & ~through & ~below.T), strict=True):
        yield Rule("order", (names[i], names[j])), f"{names[i]} <= {names[j]}"


def _breaking(table: RuleTable, low: str, high: str) -> tuple[int, int]:
    a, b = table.columns[low], table.columns[high]
    both = ~np.isnan(a) & ~np.isnan(b)
    return int(np.count_nonzero(a > b)), int(both.sum())


def _overlap(a: Floats, b: Floats) -> float:
    """Return how often a > b in shuffled rows: an order of columns on different scales says nothing."""
    both = ~np.isnan(a) & ~np.isnan(b)
    a, b = a[both], b[both]
    if len(a) < 20 or np.mean(a < b) < 0.05:
        return 0.0
    return float(np.searchsorted(np.sort(b), a, side="left").mean() / len(b))


def _chains(below: Mask) -> list[list[int]]:
    """Return chains that cover the order relation, without steps that others imply."""
    through = (below.astype(int) @ below.astype(int)) > 0
    direct = below & ~through & ~below.T
    chains: list[list[int]] = []
    used: set[tuple[int, int]] = set()
    starts = sorted(range(len(below)), key=lambda k: (int(direct[:, k].sum()), k))
    for start in starts:
        while True:
            chain = [start]
            while True:
                following = [
                    int(k)
                    for k in np.flatnonzero(direct[chain[-1]])
                    if (chain[-1], int(k)) not in used
                ]
                if not following:
                    break
                used.add((chain[-1], following[0]))
                chain.append(following[0])
            if len(chain) == 1:
                break
            chains.append(chain)
    return chains


def never_negative(table: RuleTable) -> Iterator[Candidate]:
    """Yield numbers that reach down to (nearly) 0 and never below."""
    for name, values in table.columns.items():
        if not table.fields[name].is_numeric:
            continue
        present = values[~np.isnan(values)]
        if not len(present) or present.min() < 0 or present.min() == present.max():
            continue
        reaches_down = present.min() <= 0.05 * np.quantile(present, 0.95)
        # A handful of values are codes rather than amounts.
        if reaches_down and len(np.unique(present[:100_000])) > 40:
            yield Rule("range", (name,), {"low": 0}), f"{name} is never negative"


def _varying(sample: RuleTable) -> list[str]:
    """Return the numeric columns with a handful of different values."""
    kept = []
    for name, values in sample.columns.items():
        if sample.is_numeric(name):
            present = values[~np.isnan(values)]
            # The first rows of most columns tell.
            if any(len(np.unique(part)) >= _LEAST_DISTINCT for part in (present[:64], present)):
                kept.append(name)
    return kept


def _matrix(sample: RuleTable, names: list[str]) -> Floats:
    columns = [sample.columns[name] for name in names]
    return np.column_stack(columns) if columns else np.empty((len(sample), 0))

"""Columns that were computed with the rows of the test set: encodings and aggregates, recomputed.

A column that is one number for each level of another is compared with statistics of the levels, once over
all rows and once over the train rows alone. What fits over all rows and not over train rows used both sets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.dataset import Dataset
from twinset.measurement.leakage.evidence import (
    MAX_CLASSES,
    Bools,
    Floats,
    Leak,
    first_rows,
    fit_line,
    log_tail,
)

Codes = npt.NDArray[np.int64]

# Levels a row, at most: of numbers, and of persons or devices, most of which may occur once
_MAX_LEVEL_SHARE = (0.5, 0.9)
_N_PAIRS = 400  # pairs of rows of one level: they show within a millisecond what is constant in it
_PAIR_SHARE = 0.97  # of the pairs must agree: typing errors and missing values take the rest
_N_FIRST_PAIRS = 24  # of these: enough to rule out nearly all columns, for all of them at once
_FIRST_SHARE = 0.5  # of the first pairs: 97 % of all leave no chance of so few
_FIRST_TOLERANCE = 1e-6  # of the values, a thousand times that of all pairs
_MIN_LEVELS = 8  # levels whose statistics differ between the sets: fewer may fit by accident
_MIN_FITTED = 0.9  # of those levels that a statistic over all rows fits
_MAX_TRAIN_FITTED = 0.5  # of those levels that the same statistic over train rows may fit as well
_MIN_RARE_FITTED = 0.95  # of the levels with another value than most have: few may be typing errors
_N_SHIFTS = 6  # levels that are compared with the statistics of others, to count accidents
_LOG_FIT = float(np.log(1e-9))  # level of the test: thousands of statistics are tried
_TOLERANCE = 1e-3  # of the column's spread: encodings are written with four digits or more
_MAX_LEVEL_COLUMNS = 10  # columns whose levels are tried, those with most levels first
_MAX_VALUE_COLUMNS = 40  # numbers that may have been aggregated
_MAX_OWN_COLUMNS = (
    8  # targets and numbers whose mean in the other rows is tried: a pass over all rows each
)
_LOG_LEVEL = float(np.log(1e-3))  # a level fits by accident that often, at most: see _TOLERANCE
_MIN_TIES = 5  # distinct values of a column that may be an encoding of a column that was dropped


@dataclass(frozen=True)
class SplitColumns:
    """Numbers, levels and targets of a train set and a test set, one below the other."""

    in_test: Bools
    numbers: dict[str, Floats]
    levels: dict[str, Codes]  # Columns that repeat; -1 where missing
    targets: dict[str, Floats]  # Name of the target, or of one of its classes -> values or 0 and 1
    time: Floats | None  # Instants or numbers that order the rows
    group: str | None
    entities: tuple[str, ...]  # Columns of levels that may name persons or cards, no numbers

    @classmethod
    def from_datasets(cls, train: Dataset, test: Dataset, target: str | None) -> SplitColumns:
        """Return the columns of both sets."""
        in_test = np.repeat([False, True], [len(train), len(test)])
        numbers: dict[str, Floats] = {}
        levels: dict[str, Codes] = {}
        targets: dict[str, Floats] = {}
        time, group = None, None
        entities: list[str] = []
        for field in train.schema.fields:
            if field.name not in test.schema.names or field.column_kind.is_nested:
                continue
            name, kind = field.name, field.column_kind
            if kind.has_float_values:
                values = np.concatenate([part.values(name) for part in (train, test)])
                if field.role == "time":
                    time = values
                if not kind.is_time:
                    numbers[name] = values
            codes = _join_codes(train, test, name)
            n_levels = int(codes.max()) + 1 if len(codes) else 0
            if name == target:
                targets = _list_targets(name, codes, numbers.pop(name, None), n_levels)
                continue
            most = _MAX_LEVEL_SHARE[name not in numbers] * len(codes)
            if 2 <= n_levels <= most and not kind.is_time and field.role != "time":
                levels[name] = codes
                if field.role == "group" or name not in numbers:
                    entities.append(name)
            if field.role == "group":
                group = name
        return cls(in_test, numbers, levels, targets, time, group, tuple(entities))

    @property
    def level_columns(self) -> list[str]:
        """The declared group, then labels and whole numbers, those with most levels first."""
        sizes = {name: int(codes.max()) for name, codes in self.levels.items()}
        able = [name for name in sizes if name not in self.numbers or _is_whole(self.numbers[name])]
        order = sorted(
            able,
            key=lambda name: (name != self.group, name not in self.entities, -sizes[name]),
        )
        return order[:_MAX_LEVEL_COLUMNS]

    @property
    def value_columns(self) -> dict[str, Floats]:
        """Targets and numbers that may have been aggregated."""
        return {**self.targets, **dict(list(self.numbers.items())[:_MAX_VALUE_COLUMNS])}


def _is_whole(values: Floats) -> bool:
    """Return whether all numbers are whole."""
    finite = values[np.isfinite(values)]
    return np.array_equal(finite, np.rint(finite))


def _join_codes(train: Dataset, test: Dataset, name: str) -> Codes:
    """Return codes of the values of a column in both sets; -1 where missing."""
    columns = [part.records.column(name) for part in (train, test)]
    if columns[0].type != columns[1].type or pa.types.is_dictionary(columns[0].type):
        columns = [pc.cast(column, pa.string()) for column in columns]
    joined = pa.chunked_array([chunk for column in columns for chunk in column.chunks])
    codes = pc.fill_null(joined.combine_chunks().dictionary_encode().indices, -1)
    return np.asarray(codes.to_numpy(zero_copy_only=False).astype(np.int64))


def _list_targets(
    name: str, codes: Codes, values: Floats | None, n_levels: int
) -> dict[str, Floats]:
    """Return the target as numbers: one indicator for each class."""
    if values is not None and n_levels > MAX_CLASSES:
        return {name: values}
    if not 2 <= n_levels <= MAX_CLASSES:
        return {}
    return {f"{name} ({code})": (codes == code).astype(np.float64) for code in range(n_levels)}


@dataclass(frozen=True)
class LevelRows:
    """Rows in the order of the levels of one column."""

    order: npt.NDArray[np.int64]  # Positions of the rows with a level, level by level
    starts: npt.NDArray[np.int64]  # First place of each level in `order`
    in_test: Bools  # Of all rows

    @classmethod
    def from_codes(cls, codes: Codes, in_test: Bools) -> LevelRows:
        """Return the rows of each level; missing ones belong to none."""
        order = np.argsort(codes, kind="stable")
        order = order[codes[order] >= 0]
        sorted_codes = codes[order]
        starts = np.flatnonzero(np.concatenate([[True], sorted_codes[1:] != sorted_codes[:-1]]))
        return cls(order, starts, in_test)

    @property
    def sizes(self) -> npt.NDArray[np.int64]:
        """Rows of each level."""
        return np.diff(np.append(self.starts, len(self.order)))

    def sum(self, values: Floats, rows: Bools | None = None) -> Floats:
        """Return the sum of the values of each level, over some rows or all."""
        plain = np.nan_to_num(values)
        if rows is not None:
            plain = np.where(rows, plain, 0.0)
        return np.asarray(np.add.reduceat(plain[self.order], self.starts))

    def first(self, values: Floats) -> Floats:
        """Return the first value of each level."""
        return values[self.order[self.starts]]

    def spread_over_rows(self, values: Floats, n: int) -> Floats:
        """Return the value of each row's level, NaN for rows without one."""
        found = np.full(n, np.nan)
        found[self.order] = np.repeat(values, self.sizes)
        return found

    def draw_pairs(self, rng: np.random.Generator) -> tuple[Codes, Codes]:
        """Return pairs of different rows of one level, as positions of rows."""
        large = np.flatnonzero(self.sizes > 1)
        if not len(large):
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        chosen = rng.choice(large, _N_PAIRS)
        one = rng.integers(0, self.sizes[chosen])
        other = (one + rng.integers(1, self.sizes[chosen])) % self.sizes[chosen]
        return self.order[self.starts[chosen] + one], self.order[self.starts[chosen] + other]


def find_fitted_encodings(columns: SplitColumns, rng: np.random.Generator) -> list[Leak]:
    """Return the leak of columns that were computed with the test rows, or none."""
    found: list[tuple[str, str, int, int, Bools]] = []
    for name, statistic, n_fitted, n_levels, rows in _iterate_fits(columns, rng):
        if name not in [one[0] for one in found]:
            found.append((name, statistic, n_fitted, n_levels, rows))
    if not found:
        return []
    name, statistic, n_fitted, n_levels, rows = found[0]
    others = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    message = (
        f"the column '{name}' is {statistic} over the rows of both sets in {n_fitted:,} of {n_levels:,} "
        f"levels in which train rows alone give another value{others}: it was computed before the split"
    )
    n = int((rows & columns.in_test).sum())
    names = tuple(one[0] for one in found)
    at = first_rows(rows[columns.in_test])
    chance = n_fitted * _LOG_LEVEL
    return [Leak("preprocessing", message, n, chance, at=at, expected=0.0, columns=names)]


def _iterate_fits(
    columns: SplitColumns, rng: np.random.Generator
) -> Iterator[tuple[str, str, int, int, Bools]]:
    """Yield (column, statistic in words, fitted levels, compared levels, rows of these levels)."""
    for by in columns.level_columns:
        rows = LevelRows.from_codes(columns.levels[by], columns.in_test)
        left, right = rows.draw_pairs(rng)
        if not len(left):
            continue
        for name, derived, basis in _list_constant(columns, by, left, right):
            yield from _fit_statistics(columns, rows, name, derived, by, basis)
        yield from _fit_without_own(columns, rows, by)
    for name, values in columns.numbers.items():
        codes = _tie_codes(values)
        if codes is not None:
            rows = LevelRows.from_codes(codes, columns.in_test)
            targets = replace(columns, numbers={}, levels={})
            yield from _fit_statistics(targets, rows, name, values, name, "", counts=False)


def _tie_codes(values: Floats) -> Codes | None:
    """Return codes of the values of a column that repeats and is no whole number; else None."""
    finite = np.isfinite(values)
    levels, inverse = np.unique(values[finite], return_inverse=True)
    is_whole = np.array_equal(levels, np.rint(levels))
    if is_whole or not _MIN_TIES <= len(levels) <= finite.sum() // 2:
        return None
    codes = np.full(len(values), -1, dtype=np.int64)
    codes[finite] = inverse
    return codes


def _list_constant(
    columns: SplitColumns, by: str, left: Codes, right: Codes
) -> Iterator[tuple[str, Floats, str]]:
    """Yield (column, values, value column) for numbers, ratios and differences constant in each level.

    The value column is empty for the numbers themselves; else the column is a ratio of it, or a difference
    from it, to a constant of the level.
    """
    numbers = {name: values for name, values in columns.numbers.items() if name != by}
    names = list(numbers)
    for name in names:
        if _agree(numbers[name][left], numbers[name][right]):
            yield name, numbers[name], ""
    one = np.array([numbers[name][left] for name in names]).reshape(len(names), len(left))
    other = np.array([numbers[name][right] for name in names]).reshape(len(names), len(left))
    with np.errstate(divide="ignore", invalid="ignore"):
        for v, value in enumerate(names[:_MAX_VALUE_COLUMNS]):
            if _agree(one[v], other[v]):
                continue
            for method in (np.divide, np.subtract):
                possible = _may_agree(method, one, other, v)
                for i in np.flatnonzero(possible):
                    if i != v and _agree(method(one[v], one[i]), method(other[v], other[i])):
                        name = names[i]
                        yield name, method(numbers[value], numbers[name]), value


def _may_agree(method: np.ufunc, one: Floats, other: Floats, v: int) -> Bools:
    """Return which results with the numbers of row v agree in so many of the first pairs, shape (k,)."""
    few = slice(0, _N_FIRST_PAIRS)
    x, y = method(one[v, few], one[:, few]), method(other[v, few], other[:, few])
    finite = np.isfinite(x) & np.isfinite(y)
    # Far wider than in `_agree`, which looks at all pairs of the few columns that are left.
    size = np.where(finite, np.maximum(np.abs(x), np.abs(y)), 0.0)
    size = np.maximum(size, _FIRST_TOLERANCE * size.max(axis=1, keepdims=True))
    close = np.abs(x - y) <= _FIRST_TOLERANCE * size
    return np.asarray((close | ~finite).sum(axis=1) >= _FIRST_SHARE * x.shape[1])


def _agree(one: Floats, other: Floats) -> bool:
    """Return whether nearly all pairs of numbers are equal, and the numbers are not all the same."""
    finite = np.isfinite(one) & np.isfinite(other)
    if finite.sum() < 0.5 * len(one) or finite.sum() < 20:
        return False
    one, other = one[finite], other[finite]
    scale = max(float(np.abs(one).max()), 1e-300)
    equal = np.abs(one - other) <= 1e-9 * np.maximum(np.abs(one), 1e-6 * scale)
    return bool(equal.mean() >= _PAIR_SHARE and len(np.unique(one)) > 1)


def _fit_statistics(
    columns: SplitColumns,
    rows: LevelRows,
    name: str,
    values: Floats,
    column: str,
    basis: str,
    *,
    counts: bool = True,
) -> Iterator[tuple[str, str, int, int, Bools]]:
    """Yield the first statistic of the levels that fits over all rows and not over train rows."""
    by = "of the rows with its value" if column == name else f"by '{column}'"
    encoded = rows.first(values)
    train = ~columns.in_test
    n_all, n_train = (rows.sum(one.astype(np.float64)) for one in (np.ones(len(train)), train))
    crossing = (n_train > 0) & (n_train < n_all) & np.isfinite(encoded)
    if crossing.sum() < _MIN_LEVELS:
        return
    statistics: list[tuple[str, Floats, Floats]] = []
    if counts and not basis:
        statistics += [("the number of rows", n_all, n_train)]
        statistics += [
            ("the log of the number of rows", np.log(n_all), np.log(np.maximum(n_train, 1)))
        ]
    values_by_name = columns.value_columns if not basis else {basis: columns.numbers[basis]}
    for value, x in values_by_name.items():
        if value != name and value != column:
            statistics += _list_statistics(rows, value, x, encoded, train)
    for text, over_all, over_train in statistics:
        found = _compare_fits(encoded, over_all, over_train, crossing)
        if found is not None:
            kept = np.zeros(len(train), dtype=bool)
            kept[rows.order] = np.repeat(crossing, rows.sizes)
            yield name, f"{text} {by}", found[0], found[1], kept
            return


def _list_statistics(
    rows: LevelRows, value: str, x: Floats, encoded: Floats, train: Bools
) -> list[tuple[str, Floats, Floats]]:
    """Return (text, over all rows, over train rows) for statistics of a value in each level."""
    present = np.isfinite(x).astype(np.float64)
    total, n = zip(*((rows.sum(x, part), rows.sum(present, part)) for part in (None, train)))
    square = [rows.sum(x * x, part) for part in (None, train)]
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = [s / c for s, c in zip(total, n)]
        spread = [np.sqrt(np.maximum(q / c - m * m, 0)) for q, c, m in zip(square, n, mean)]
        sample = [s * np.sqrt(c / (c - 1)) for s, c in zip(spread, n)]
        odds = [np.log((s + 0.5) / (c - s + 0.5)) for s, c in zip(total, n)]
        plain = [np.log(s / (c - s)) for s, c in zip(total, n)]
        smooth = [_smoothed(encoded, s, c) for s, c in zip(total, n)]
    extremes = [
        [
            method.reduceat(np.where(np.isfinite(x) & part, x, fill)[rows.order], rows.starts)
            for part in (np.ones(len(x), bool), train)
        ]
        for method, fill in ((np.maximum, -np.inf), (np.minimum, np.inf))
    ]
    texts = ("mean", "sum", "standard deviation", "standard deviation", "log odds", "log odds",
             "smoothed mean", "largest", "smallest")  # fmt: skip
    arrays = (mean, total, spread, sample, odds, plain, smooth, *extremes)
    return [(f"the {text} of '{value}'", *pair) for text, pair in zip(texts, arrays)]


def _smoothed(encoded: Floats, total: Floats, n: Floats) -> Floats:
    """Return smoothed means (S + mP) / (N + m) with the weight m and prior P that fit the encoding best."""
    usable = np.isfinite(encoded) & (n > 0)
    if usable.sum() < _MIN_LEVELS:
        return np.full(len(encoded), np.nan)
    # E N - S = m P - m E is linear in the unknown m P and m.
    left = np.column_stack([np.ones(usable.sum()), -encoded[usable]])
    found = np.linalg.lstsq(left, encoded[usable] * n[usable] - total[usable], rcond=None)[0]
    if found[1] <= 0:
        return np.full(len(encoded), np.nan)
    return np.asarray((total + found[0]) / (n + found[1]))


def _compare_fits(
    encoded: Floats, over_all: Floats, over_train: Floats, crossing: Bools
) -> tuple[int, int] | None:
    """Return (levels fitted over all rows, levels compared), if train rows alone do not fit."""
    over_all, over_train = (np.where(np.isfinite(s), s, np.nan) for s in (over_all, over_train))
    usable = crossing & np.isfinite(over_all)
    if usable.sum() < _MIN_LEVELS or len(np.unique(encoded[usable])) < 2:
        return None
    line_all = _fit_statistic(encoded, over_all, usable)
    line_train = _fit_statistic(encoded, over_train, usable)
    if line_all is None:
        return None
    scale = float(np.std(over_all[usable])) or 1.0
    differs = usable & ~(np.abs(over_all - over_train) <= 2 * _TOLERANCE * scale)
    n = int(differs.sum())
    if n < _MIN_LEVELS:
        return None
    tolerance = _TOLERANCE * float(np.std(encoded[usable]))
    n_all = int((np.abs(encoded - line_all) <= tolerance)[differs].sum())
    n_train = 0
    if line_train is not None:
        n_train = int((np.abs(encoded - line_train) <= tolerance)[differs].sum())
    if n_all < _MIN_FITTED * n or n_train > _MAX_TRAIN_FITTED * n:
        return None
    # Other levels show how many fit by accident, where both take few values.
    chance = _log_accident(encoded, line_all, differs, differs, n_all, tolerance)
    if _fits_rare_values(encoded, line_all, usable, tolerance):
        chance = min(chance, _log_accident(encoded, line_all, differs, usable, n_all, tolerance))
    return (n_all, n) if chance < _LOG_FIT else None


def _log_accident(
    encoded: Floats, line: Floats, differs: Bools, others: Bools, n_fitted: int, tolerance: float
) -> float:
    """Return the log chance of so many fitted levels, where each meets the statistic of other levels."""
    own, pool, places = encoded[differs], line[others], np.flatnonzero(differs[others])
    steps = np.arange(1, _N_SHIFTS) * max(1, len(pool) // _N_SHIFTS)
    shifted = np.concatenate([pool[(places + step) % len(pool)] for step in steps])
    by_accident = float((np.abs(np.tile(own, len(steps)) - shifted) <= tolerance).mean())
    return log_tail(n_fitted, max(by_accident, 1 / len(shifted)), len(own))


def _fits_rare_values(encoded: Floats, line: Floats, usable: Bools, tolerance: float) -> bool:
    """Return whether the levels fit in which column or statistic differ from their most frequent value.

    Such as frauds of a terminal, of which most have none: that few levels fit by accident only where the
    column is wrong in other levels.
    """
    values = [part[usable] for part in (encoded, line)]
    rare = np.zeros(len(values[0]), dtype=bool)
    for part in values:
        levels, counts = np.unique(part, return_counts=True)
        rare |= np.abs(part - levels[np.argmax(counts)]) > tolerance
    fitted = np.abs(values[0] - values[1]) <= tolerance
    return bool(rare.sum() >= _MIN_LEVELS and fitted[rare].mean() >= _MIN_RARE_FITTED)


def _fit_statistic(encoded: Floats, statistic: Floats, usable: Bools) -> Floats | None:
    """Return the best line of a statistic at each level; None where there is no line."""
    usable = usable & np.isfinite(statistic)
    if usable.sum() < 3:
        return None
    scale = float(np.std(encoded[usable]))
    if scale == 0 or float(np.std(statistic[usable])) == 0:
        return None
    fitted = usable
    for _ in range(3):
        if fitted.sum() < 3 or float(np.std(statistic[fitted])) == 0:
            return None
        slope, base = fit_line(statistic[fitted], encoded[fitted])
        error = np.abs(encoded - slope * statistic - base)
        error[~usable] = np.inf
        fitted = error <= max(_TOLERANCE * scale, float(np.quantile(error[usable], 0.8)))
    return np.asarray(slope * statistic + base)


def _fit_without_own(
    columns: SplitColumns, rows: LevelRows, by: str
) -> Iterator[tuple[str, str, int, int, Bools]]:
    """Yield columns that are the mean of the other rows of the level, in both sets."""
    n = len(columns.in_test)
    train = ~columns.in_test
    size_all, size_train = (rows.sum(part.astype(np.float64)) for part in (np.ones(n), train))
    is_crossing = ((size_train > 0) & (size_train < size_all)).astype(np.float64)
    crossing = rows.spread_over_rows(is_crossing, n) == 1
    for value, x in list(columns.value_columns.items())[:_MAX_OWN_COLUMNS]:
        means = []
        for part in (None, train):
            mask = np.ones(n) if part is None else part.astype(np.float64)
            total = rows.spread_over_rows(rows.sum(x, part), n) - x * mask
            size = rows.spread_over_rows(rows.sum(np.isfinite(x) * mask), n) - mask
            with np.errstate(divide="ignore", invalid="ignore"):
                means.append(np.where(size > 0, total / size, np.nan))
        usable = crossing & np.isfinite(means[0]) & ~(np.abs(means[0] - means[1]) <= 1e-9)
        if value == by or usable.sum() < _N_PAIRS // 4:
            continue
        for name, e in columns.numbers.items():
            if name in (value, by) or len(np.unique(e[usable][:_N_PAIRS])) < _MIN_TIES:
                continue
            tolerance = 1e-4 * float(np.std(means[0][usable]))
            fitted = np.abs(e - means[0])[usable] <= tolerance
            if fitted.mean() >= _MIN_FITTED:
                text = f"the mean of '{value}' in the other rows by '{by}'"
                yield name, text, int(fitted.sum()), int(usable.sum()), usable

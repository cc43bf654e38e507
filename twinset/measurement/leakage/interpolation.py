"""Rows that were interpolated between real rows before the split, as SMOTE does, by the traces they leave.

Three traces are tested, in this order: numbers with more decimals than the source writes; rows on a
straight line through two others; rows of rounded numbers that lie, step for step, between two near rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twinset.core.features.encoder import robust_scale
from twinset.core.stats.neighbors import nearest
from twinset.measurement.leakage.decimals import MAX_DECIMALS, count_decimals
from twinset.measurement.leakage.evidence import (
    LOG_ALPHA,
    Bools,
    Floats,
    Keys,
    Leak,
    SplitRows,
    hash_points,
    log_tail,
)

Rows = npt.NDArray[np.int64]

# decimals of nearly all other rows: single typing errors do not set the rule
_RULE_QUANTILE = 0.999
_MIN_FINER_COLUMNS = 2  # one finer column may be a typing error
# natural: 2 % of the rows, or three times that of other classes
_FINER_SHARE, _FINER_TIMES = 0.02, 3.0
_MIN_ORIGINALS = 5  # rows as the source writes them: without, the whole class may be measured finer


def find_finer_numbers(split: SplitRows) -> list[Leak]:
    """Return the leak of a class whose holdout numbers have more decimals than all others; or none.

    Interpolated rows lie between rows that are written as the source writes them. Where the class has
    none of these, or its numbers end after six decimals at most, the leak is doubtful: the class may be
    measured finer by nature.
    """
    if split.labels is None:
        return []
    doubtful: list[Leak] = []
    numbers = {
        name: split.keys.numbers[name] for name in split.features if name in split.keys.numbers
    }
    decimals = {name: count_decimals(values) for name, values in numbers.items()}
    for code in split.list_enlarged_classes():
        own = split.labels == code
        if own.all():
            continue
        finer, endless, plain = np.zeros((3, len(own)), dtype=np.int64)
        for name, found in decimals.items():
            rule = np.quantile(found[~own], _RULE_QUANTILE, method="inverted_cdf")
            if rule <= MAX_DECIMALS:
                finer += found > rule
                endless += found > MAX_DECIMALS
                # Zeros and missing values fit any number of decimals.
                plain += (found <= rule) & (np.nan_to_num(numbers[name]) != 0)
        odd = finer >= _MIN_FINER_COLUMNS
        originals = int((own & (finer == 0) & (plain >= _MIN_FINER_COLUMNS)).sum())
        held, others = odd[own & split.in_holdout], odd[~own]
        if not len(held) or not len(others):
            continue
        natural = max(_FINER_SHARE, _FINER_TIMES * float(others.mean()))
        chance = log_tail(int(held.sum()), natural, len(held))
        if chance < LOG_ALPHA:
            is_endless = (endless >= _MIN_FINER_COLUMNS)[odd & own].mean() > 0.5
            is_doubtful = originals < _MIN_ORIGINALS or not is_endless
            reason = (
                "the class may be measured finer; if its rows were interpolated, split first"
                if is_doubtful
                else "rows were interpolated before the split"
            )
            message = (
                f"{held.mean():.0%} of the holdout rows of the class '{split.names[code]}' hold numbers "
                f"with more decimals than other rows do: {reason}"
            )
            at = split.first_in_holdout(odd & own)
            leak = Leak("interpolated", message, int(held.sum()), chance, is_doubtful, at)
            if not is_doubtful:
                return [leak]
            doubtful.append(leak)
    return doubtful[:1]


_MAX_PAIRS = 6_000_000  # pairs of a holdout row and another row: about a second of CPU
_MAX_POOL = 20_000  # rows that lines may go through
_MIN_QUERIES, _MAX_QUERIES = 60, 1_000  # holdout rows that are examined, within the budget of pairs
_MIN_ROWS = 12  # of a class, in train and holdout: fewer decide nothing
_MIN_COLUMNS = 3  # in two columns any three rows nearly lie on a line
_MAX_PRECISION = 1e-3  # of a spread: columns with coarser steps are left to `find_shifted_rows`
_SHARP = 1e-6  # relative error of a direction from float numbers
_STEPS_AWAY = 1_000  # steps of rounding: nearer rows have too few directions
_LOG_LINE = (
    -27.0
)  # of a direction by accident: a holdout row sees up to 1e8 pairs, none may agree so
# columns that must change along a line: rows that differ in one column always lie on one
_MIN_MIXED = 1.5
# natural: 2 % of the rows, or three times the control's share; in 29 real tables no row lies on a line
_LINE_SHARE, _LINE_TIMES = 0.02, 3.0
_LINE_EXCESS = 0.15  # beyond the control's share, for classes of equal size, which were made so


@dataclass(frozen=True)
class FinePoints:
    """Rows as points in their fine-grained columns."""

    points: Floats  # Numbers in units of their spread, shape (n, d)
    # Step of a column of whole numbers in the same units; 0 for others, shape (d,)
    precision: Floats
    key: Keys  # Equal for equal points, shape (n,)

    @classmethod
    def from_split(cls, split: SplitRows) -> FinePoints | None:
        """Return the points, or None where fewer than three columns are fine-grained."""
        columns, steps = [], []
        for name in split.features:
            values = split.keys.numbers.get(name, np.zeros(0))
            finite = values[np.isfinite(values)]
            if len(finite) == 0:
                continue
            centre, scale = robust_scale(finite)
            step = (1.0 if np.array_equal(finite, np.rint(finite)) else 0.0) / scale
            if step <= _MAX_PRECISION and finite.min() < finite.max():
                columns.append(np.where(np.isfinite(values), (values - centre) / scale, 0.0))
                steps.append(step)
        if len(columns) < _MIN_COLUMNS:
            return None
        points = np.column_stack(columns)
        return cls(points, np.array(steps), hash_points(points))

    def count_on_lines(
        self, rows: Bools, others: Bools, rng: np.random.Generator
    ) -> tuple[int, int]:
        """Return the number of rows on a line with two others, and of rows that were examined.

        Rows that equal one of the others are excluded: they are copies, which is another leak.
        """
        pool = np.flatnonzero(others)
        pool = pool[np.unique(self.key[pool], return_index=True)[1]]
        asked = np.flatnonzero(rows & ~np.isin(self.key, self.key[pool]))
        asked = asked[np.unique(self.key[asked], return_index=True)[1]]
        if len(pool) < _MIN_ROWS or len(asked) < _MIN_ROWS:
            return 0, 0
        if len(pool) > _MAX_POOL:
            pool = rng.choice(pool, _MAX_POOL, replace=False)
        budget = int(np.clip(_MAX_PAIRS // len(pool), _MIN_QUERIES, _MAX_QUERIES))
        if len(asked) > budget:
            asked = rng.choice(asked, budget, replace=False)
        axes = rng.normal(size=(self.points.shape[1], 2))
        around = self.points[pool]
        found = sum(_has_line(self.points[row], around, axes, self.precision) for row in asked)
        return found, len(asked)


def find_linear_copies(split: SplitRows, rng: np.random.Generator) -> list[Leak]:
    """Return the leak of a class whose holdout rows lie on lines through its other rows; or none.

    The largest other class shows how many do so by nature.
    """
    points = FinePoints.from_split(split)
    if split.labels is None or points is None:
        return []
    sizes = split.class_sizes
    for code in split.list_enlarged_classes():
        own = split.labels == code
        found = points.count_on_lines(own & split.in_holdout, own & ~split.in_holdout, rng)
        if found[0] <= _LINE_SHARE * found[1]:
            continue
        other = split.labels == split.largest_other_class(code)
        control = points.count_on_lines(other & split.in_holdout, other & ~split.in_holdout, rng)
        tied = sizes[code] == sizes.max()
        chance = _test_lines(found, control, excess=_LINE_EXCESS if tied else 1.0)
        if chance < LOG_ALPHA:
            message = (
                f"{found[0] / found[1]:.0%} of the holdout rows of the class '{split.names[code]}' lie "
                "on a line with two other rows of it: rows were interpolated before the split"
            )
            return [Leak("interpolated", message, found[0], chance)]
    return []


def find_lines_through_holdout(split: SplitRows, rng: np.random.Generator) -> list[Leak]:
    """Return the leak of synthetic rows (part 2) that were interpolated from the holdout.

    No more holdout rows may lie on a line with two synthetic or train rows than with two train rows.
    """
    points = FinePoints.from_split(split)
    if points is None:
        return []
    for code in split.list_enlarged_classes() or [-1]:
        own = np.ones(len(split.part), bool) if split.labels is None else split.labels == code
        subject = "" if split.labels is None else f" of the class '{split.names[code]}'"
        if not (own & (split.part == 2)).any():
            continue
        held, train = own & split.in_holdout, own & (split.part == 0)
        found = points.count_on_lines(held, own & ~split.in_holdout, rng)
        if _test_lines(found, (0, 1)) >= LOG_ALPHA:
            continue
        chance = _test_lines(found, points.count_on_lines(held, train, rng))
        if chance < LOG_ALPHA:
            message = (
                f"{found[0] / found[1]:.0%} of the holdout rows{subject} lie on a line with two synthetic "
                "or train rows: synthetic rows were interpolated from the holdout"
            )
            return [Leak("interpolated", message, found[0], chance)]
    return []


def _test_lines(found: tuple[int, int], control: tuple[int, int], excess: float = 1.0) -> float:
    """Return the log chance of so many rows on lines; the control shows how many are natural."""
    share = control[0] / max(control[1], 1)
    natural = max(_LINE_SHARE, min(_LINE_TIMES * share, share + excess))
    return log_tail(found[0], natural, found[1])


def _has_line(row: Floats, pool: Floats, axes: Floats, precision: Floats) -> bool:
    """Return whether two rows of the pool lie in one direction from a row, or in opposite ones."""
    offset = pool - row
    length = np.sqrt(np.einsum("ij,ij->i", offset, offset))
    coarse = float(np.sqrt(precision @ precision))
    far = length > 1e-9 + _STEPS_AWAY * coarse
    if far.sum() < 2:
        return False
    offset, length = offset[far], length[far]
    # Projections on two random axes sort the directions; the sign makes opposite ones equal.
    seen = (offset @ axes) / length[:, None]
    sign = np.where(seen[:, 0] < 0, -1.0, 1.0)
    seen *= sign[:, None]
    order = np.argsort(seen[:, 0], kind="stable")
    # Far outliers lie in one direction by nature: the distance from the line is what counts.
    seen, near = seen[order], np.maximum(length[order], 1.0)
    blur = _SHARP / near + 2 * coarse / length[order]
    for lag in (1, 2):
        reach = 4 * (blur[lag:] + blur[:-lag])
        close = np.flatnonzero((np.abs(seen[lag:] - seen[:-lag]) <= reach[:, None]).all(axis=1))
        if len(close):
            ends = order[close], order[close + lag]
            one, other = ((offset[i].T * sign[i] / length[i]).T for i in ends)
            mixed = 1.0 / (one**4).sum(axis=1) > min(_MIN_MIXED, 0.6 * len(row))
            # Two near rows lie in one direction from everywhere, so the ends must be far apart.
            away = np.abs(sign[ends[0]] * length[ends[0]] - sign[ends[1]] * length[ends[1]])
            longer = np.maximum(length[ends[0]], length[ends[1]])
            mixed &= away > _STEPS_AWAY * coarse
            sharp = _SHARP * np.minimum(1.0, np.minimum(away, 1.0) / longer)
            steps = 2 * (1 / length[ends[0]] + 1 / length[ends[1]])
            tolerance = sharp[:, None] + steps[:, None] * precision
            hit = mixed & (np.abs(one - other) <= tolerance).all(axis=1)
            if hit.any() and (_log_coincidence(one[hit], tolerance[hit]) < _LOG_LINE).any():
                return True
    return False


def _log_coincidence(direction: Floats, tolerance: Floats) -> Floats:
    """Return the log chance that another direction agrees with each by accident, shape (m,).

    Each column counts by the ratio of tolerance and component; one column is free, since directions have
    length 1.
    """
    size = np.maximum(np.abs(direction), 1e-300)
    part = np.minimum(0.0, np.log(2 * tolerance / size))
    return np.asarray(part.sum(axis=1) - part.min(axis=1))


# of a row, among which its parents are searched: samplers use 5, rounding moves some
_N_NEIGHBORS = 12
_MAX_SHIFTED = 2_000  # holdout rows that are examined
_MIN_POOL = 50  # other rows of a class: with fewer, neighbours are too far to be parents
_MIN_VALUES = 3  # a column of two values has no place between them
_MIN_STEPS = 8  # parents nearer than that have too few points between them
_LOG_BETWEEN = -8.0  # log chance below which a place between two rows is no accident
# natural: 3 % of the rows, or three times the control's share; in 29 real tables 0 to 2 % do
_BETWEEN_SHARE, _BETWEEN_TIMES = 0.03, 3.0


def find_shifted_rows(split: SplitRows, rng: np.random.Generator) -> list[Leak]:
    """Return the leak of a class whose holdout rows lie in whole steps between its other rows; or none.

    A rounded interpolation lies on no exact line. But two of the rows nearest to it are its parents, and
    one fraction of the way explains all its numbers to within one step. The largest other class shows
    how often that happens by accident.
    """
    points, steps = _select_rounded_numbers(split)
    if split.labels is None or points.shape[1] < _MIN_COLUMNS:
        return []
    key = hash_points(np.nan_to_num(points))
    for name, own_class, other_class in _list_class_pairs(split):
        own, control = (_select_rows(split, key, rows) for rows in (own_class, other_class))
        # Pools of equal size: more rows have more places between them.
        n_pool = min(len(own[1]), len(control[1]), _MAX_POOL)
        if n_pool < _MIN_POOL or min(len(own[0]), len(control[0])) < _MIN_ROWS:
            continue
        found = _lie_between(points, steps, *own, n_pool, rng)
        if log_tail(int(found.sum()), _BETWEEN_SHARE, len(found)) >= LOG_ALPHA:
            continue
        natural = _lie_between(points, steps, *control, n_pool, rng)
        share = max(_BETWEEN_SHARE, _BETWEEN_TIMES * float(natural.mean()))
        chance = log_tail(int(found.sum()), share, len(found))
        if chance < LOG_ALPHA:
            message = (
                f"{found.mean():.0%} of the holdout rows of {name} lie step for step between two near rows "
                f"of it, of other rows {natural.mean():.0%}: rows were interpolated and rounded before the "
                "split"
            )
            return [Leak("interpolated", message, int(found.sum()), chance)]
    return []


def _list_class_pairs(split: SplitRows) -> Iterator[tuple[str, Bools, Bools]]:
    """Yield the name and rows of each class that may have been enlarged, with those of the largest other.

    Where there are several, all but the largest class come last, as one: each of them may be too small.
    """
    codes = split.list_enlarged_classes()
    for code in codes:
        own, other = (
            np.asarray(split.labels == i) for i in (code, split.largest_other_class(code))
        )
        yield f"the class '{split.names[code]}'", own, other
    if len(codes) > 1:
        largest = np.asarray(split.labels == int(np.argmax(split.class_sizes)))
        yield "all but the largest class", ~largest, largest


def _select_rounded_numbers(split: SplitRows) -> tuple[Floats, Floats]:
    """Return rounded numbers in units of their column's last decimal, and the step of each, shape (n, d).

    Steps differ where rows are written with more decimals than others.
    """
    columns, steps = [], []
    for name in split.features:
        values = split.keys.numbers.get(name, np.zeros(0))
        finite = np.isfinite(values)
        if not finite.any() or len(np.unique(values[finite])) < _MIN_VALUES:
            continue
        needed = count_decimals(values)
        decimals = int(np.quantile(needed[finite], _RULE_QUANTILE, method="inverted_cdf"))
        if decimals <= MAX_DECIMALS:
            columns.append(values * 10.0**decimals)
            steps.append(10.0 ** np.maximum(0, decimals - needed))
    if not columns:
        return np.zeros((len(split.part), 0)), np.zeros((len(split.part), 0))
    return np.column_stack(columns), np.column_stack(steps)


def _select_rows(split: SplitRows, key: Keys, own: Bools) -> tuple[Rows, Rows]:
    """Return the holdout rows of a class that equal no other one of it, and the others, each once."""
    pool, held = np.flatnonzero(own & ~split.in_holdout), np.flatnonzero(own & split.in_holdout)
    pool = pool[np.unique(key[pool], return_index=True)[1]]
    return held[~np.isin(key[held], key[pool])], pool


def _lie_between(
    points: Floats, steps: Floats, rows: Rows, pool: Rows, n_pool: int, rng: np.random.Generator
) -> Bools:
    """Return which of a sample of the rows lie between two rows of the pool."""
    if len(pool) > n_pool:
        pool = rng.choice(pool, n_pool, replace=False)
    if len(rows) > _MAX_SHIFTED:
        rows = rng.choice(rows, _MAX_SHIFTED, replace=False)
    chance = np.zeros(len(rows))
    filled = np.where(np.isfinite(points), points, np.nanmedian(points, axis=0))
    # Samplers search neighbours in the numbers as they are, or in units of their spread.
    for unit in (np.ones(points.shape[1]), np.maximum(filled.std(axis=0), 1e-9)):
        near = nearest(filled[rows] / unit, filled[pool] / unit, _N_NEIGHBORS)[1]
        found = log_between(points[rows], points[pool[near]], steps[rows])
        np.minimum(chance, found, out=chance)
    return np.asarray(chance < _LOG_BETWEEN)


def log_between(rows: Floats, near: Floats, steps: Floats | float = 1.0) -> Floats:
    """Return the log chance of each row's best place between two of its neighbours, shape (n,).

    The column in which two neighbours differ most gives the fraction of the way. Each other column
    agrees by accident with the probability that a value as scattered as the neighbours' falls that near.

    `rows`, shape (n, d): whole numbers, NaN where missing, which fits any. `near`, shape (n, k, d):
    neighbours of each row. `steps`, shape (n, d): of each number, 1 or more. It is 0 for a row that lies
    between no two of them.

    >>> near = np.array([[[0.0, 0.0, 0.0], [100.0, 50.0, 200.0], [9.0, 77.0, 30.0]]])
    >>> row, other = np.array([[30.0, 15.0, 60.0]]), np.array([[30.0, 40.0, 60.0]])
    >>> bool(log_between(row, near)[0] < -6), float(log_between(other, near)[0])
    (True, 0.0)
    """
    n, k, _ = near.shape
    every = np.arange(n)
    best = np.zeros(n)
    steps = np.broadcast_to(steps, rows.shape)
    away = np.abs(near - rows[:, None])
    scatter = 2 * np.nansum(away, axis=1) / np.maximum(1, np.isfinite(away).sum(axis=1))
    for i, j in zip(*np.triu_indices(k, 1), strict=True):
        offset = near[:, j] - near[:, i]
        size = np.nan_to_num(np.abs(offset) + 0 * rows)
        column = size.argmax(axis=1)
        length = offset[every, column]
        far = size[every, column] >= _MIN_STEPS * steps[every, column]
        length = np.where(far, length, 1.0)
        way = (rows - near[:, i])[every, column] / length
        tolerance = steps + np.abs(offset / length[:, None]) * steps[every, column][:, None]
        error = np.abs(rows - near[:, i] - way[:, None] * offset)
        fits = far & (way > 0) & (way < 1) & ~(error >= tolerance).any(axis=1)
        # A value that both of them share is frequent by nature: it says nothing about a place between.
        part = np.log(2 * tolerance / (scatter + 2 * tolerance))
        chance = np.where(np.nan_to_num(offset) == 0, 0.0, np.nan_to_num(part))
        chance[every, column] = 0.0
        np.minimum(best, np.where(fits, chance.sum(axis=1), 0.0), out=best)
    return best

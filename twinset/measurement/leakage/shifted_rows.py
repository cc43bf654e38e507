"""Rows between two others in whole numbers: what SMOTE leaves behind where every number is rounded.

Rounded, such a row looks like any other and lies on no exact line. But of the rows nearest to it two are
its parents, and then one fraction of the way explains all its numbers to within one step. How often
that happens by accident the commonest other class tells.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from twinset.core.stats.neighbors import nearest
from twinset.measurement.leakage.duplicates import LOG_ALPHA, SplitRows, grown_classes
from twinset.measurement.leakage.findings import Leak
from twinset.measurement.leakage.row_keys import row_key
from twinset.measurement.leakage.tail_bounds import log_tail

Matrix = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

_NEIGHBOURS = 12
_MOST_ROWS = 2_000
_MOST_POOL = 20_000
_FEWEST_POOL = 50
_FEWEST_ROWS = 12
_LEAST_COLUMNS, _LEAST_VALUES = 3, 3
_LEAST_STEPS = 8
"""Parents nearer to each other than that have too few points between them to tell."""
_RARE = -8.0
"""Log chance that the numbers of a row agree with a place between two others by accident."""
_NATURAL_SHARE = 0.05
_NATURAL_TIMES = 3.0


def interpolated_steps(cut: SplitRows, rng: np.random.Generator) -> list[Leak]:
    """Return the leak of a class whose holdout rows lie between its other rows in steps; or none."""
    points = _whole_numbers(cut)
    if cut.labels is None or points.shape[1] < _LEAST_COLUMNS:
        return []
    key = row_key(points)
    sizes = np.bincount(cut.labels[cut.labels >= 0], minlength=len(cut.names))
    for code in grown_classes(cut):
        other = int(np.argmax(np.where(np.arange(len(sizes)) == code, -1, sizes)))
        mine, theirs = (_sides(cut, key, which) for which in (code, other))
        # Alike in number: among more rows, more lie between two others.
        n_pool = min(len(mine[1]), len(theirs[1]), _MOST_POOL)
        if n_pool < _FEWEST_POOL or min(len(mine[0]), len(theirs[0])) < _FEWEST_ROWS:
            continue
        seen, usual = (_between(points, *sides, n_pool, rng) for sides in (mine, theirs))
        natural = max(_NATURAL_SHARE, _NATURAL_TIMES * float(usual.mean()))
        if natural >= 1:
            continue
        found = int(seen.sum())
        chance = log_tail(found, np.array([natural]), np.array([len(seen)]))
        if chance < LOG_ALPHA:
            what = (
                f"{seen.mean():.0%} of the holdout rows of the class '{cut.names[code]}' lie step for "
                f"step between two near rows of it, of other rows {usual.mean():.0%}: rows were "
                "interpolated and rounded before the cut"
            )
            return [Leak("interpolated", what, found, chance)]
    return []


def _whole_numbers(cut: SplitRows) -> Matrix:
    """Return the columns of whole numbers, shape (n, d); a missing one stands at the median."""
    columns = []
    for name in cut.features:
        values = cut.keys.numbers.get(name, np.zeros(0))
        finite = values[np.isfinite(values)]
        if np.array_equal(finite, np.rint(finite)) and len(np.unique(finite)) >= _LEAST_VALUES:
            columns.append(np.where(np.isfinite(values), values, np.median(finite)))
    return np.column_stack(columns) if columns else np.zeros((len(cut.side), 0))


def _sides(cut: SplitRows, key: npt.NDArray[np.uint64], code: int) -> tuple[Rows, Rows]:
    """Return the holdout rows of a class that equal no other one of it, and these others, each once."""
    mine = cut.labels == code
    pool, held = np.flatnonzero(mine & ~cut.in_holdout), np.flatnonzero(mine & cut.in_holdout)
    pool = pool[np.unique(key[pool], return_index=True)[1]]
    return held[~np.isin(key[held], key[pool])], pool


def _between(
    points: Matrix, rows: Rows, pool: Rows, n_pool: int, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Return which of (some of) the rows lie between two rows of the pool."""
    if len(pool) > n_pool:
        pool = rng.choice(pool, n_pool, replace=False)
    if len(rows) > _MOST_ROWS:
        rows = rng.choice(rows, _MOST_ROWS, replace=False)
    least = np.zeros(len(rows))
    # Samplers look for neighbours in the numbers as they are, or in units of their spread.
    for unit in (np.ones(points.shape[1]), np.maximum(points.std(axis=0), 1e-9)):
        near = nearest(points[rows] / unit, points[pool] / unit, _NEIGHBOURS)[1]
        np.minimum(least, log_accident(points[rows], points[pool[near]]), out=least)
    return np.asarray(least < _RARE)


def log_accident(rows: Matrix, near: Matrix) -> npt.NDArray[np.float64]:
    """Return the log chance of the best place between two of its neighbours for each row, shape (n,).

    The column in which the two are farthest apart says where between them a row lies; each other one
    agrees by accident with the chance that a value as scattered as the neighbours' falls that near.

    Parameters
    ----------
    rows : numpy.ndarray, shape (n, d)
        Whole numbers.
    near : numpy.ndarray, shape (n, k, d)
        Rows near to each.

    Returns
    -------
    numpy.ndarray
        0 for a row that lies between no two of them.

    Examples
    --------
    >>> near = np.array([[[0.0, 0.0, 0.0], [100.0, 50.0, 200.0], [9.0, 77.0, 30.0]]])
    >>> row, other = np.array([[30.0, 15.0, 60.0]]), np.array([[30.0, 40.0, 60.0]])
    >>> bool(log_accident(row, near)[0] < -6), float(log_accident(other, near)[0])
    (True, 0.0)
    """
    n, k, _ = near.shape
    every = np.arange(n)
    least = np.zeros(n)
    scatter = 2 * np.abs(near - rows[:, None]).mean(axis=1)
    for i, j in zip(*np.triu_indices(k, 1), strict=True):
        apart = near[:, j] - near[:, i]
        column = np.abs(apart).argmax(axis=1)
        length = apart[every, column]
        far = np.abs(length) >= _LEAST_STEPS
        length = np.where(far, length, 1.0)
        way = (rows - near[:, i])[every, column] / length
        allowed = 1 + np.abs(apart) / np.abs(length)[:, None]
        off = np.abs(rows - near[:, i] - way[:, None] * apart)
        fits = far & (way > 0) & (way < 1) & (off < allowed).all(axis=1)
        chance = np.log(2 * allowed / (scatter + 2 * allowed))
        chance[every, column] = 0.0
        np.minimum(least, np.where(fits, chance.sum(axis=1), 0.0), out=least)
    return least

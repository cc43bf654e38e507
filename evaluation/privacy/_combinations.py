"""Combinations of conditions that exactly one row meets, and the rows of other sets that meet them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Combinations:
    """Conjunctions of c conditions ``low <= column <= high``, m of them.

    Parameters
    ----------
    columns : numpy.ndarray of int, shape (m, c)
        Column of each condition.
    low, high : numpy.ndarray, shape (m, c)
        Bounds of each condition.
    """

    columns: npt.NDArray[np.int64]
    low: Floats
    high: Floats

    def __len__(self) -> int:
        return len(self.columns)

    def take(self, rows: npt.NDArray[np.int64]) -> Combinations:
        """Return the combinations at these positions."""
        return Combinations(self.columns[rows], self.low[rows], self.high[rows])


def find_unique_combinations(
    known: Floats,
    categorical: npt.NDArray[np.bool_],
    rows: npt.NDArray[np.int64],
    *,
    conditions: int,
    width: float,
    draws: int,
    rng: np.random.Generator,
) -> Combinations:
    """Return conjunctions that exactly one row meets, at most one for each of `rows`.

    For every row, columns are drawn several times, those with rare values first; the draw that fewest rows
    would meet with independent columns is used. Where another row meets it as well, the row is skipped.

    Parameters
    ----------
    known : numpy.ndarray, shape (n, d)
        Rows of the attacker; codes for categories, no NaN.
    categorical : numpy.ndarray of bool, shape (d,)
        Columns of codes.
    rows : numpy.ndarray of int, shape (m,)
        Rows to search around.
    conditions : int
        Conditions of each conjunction, 2 or more; fewer where there are fewer columns.
    width : float
        Share of rows below and above a number that belong to its interval.
    draws : int
        Draws of columns for each row.
    rng : numpy.random.Generator
        Draws the columns.

    Examples
    --------
    >>> known = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0]])
    >>> found = find_unique_combinations(known, np.array([True, True]), np.arange(4), conditions=2, width=0,
    ...                   draws=1, rng=np.random.default_rng(1))
    >>> len(found), count_matches(known, found).tolist()
    (2, [1, 1])
    """
    n, d = known.shape
    low, high = known[rows].copy(), known[rows].copy()
    shares = np.empty((len(rows), d))
    for j in range(d):
        ordered = np.sort(known[:, j])
        if not categorical[j]:
            low[:, j], high[:, j] = _intervals(ordered, known[rows, j], int(width * n))
        after = np.searchsorted(ordered, high[:, j], side="right")
        shares[:, j] = (after - np.searchsorted(ordered, low[:, j], side="left")) / n
    columns = _rarest(-np.log(shares), min(conditions, d), draws, rng)
    found = Combinations(
        columns, np.take_along_axis(low, columns, axis=1), np.take_along_axis(high, columns, axis=1)
    )
    return found.take(np.flatnonzero(count_matches(known, found) == 1))


def count_matches(rows: Floats, tried: Combinations) -> Counts:
    """Return how many `rows`, shape (n, d), meet all conditions of each combination, shape (m,).

    Examples
    --------
    >>> tried = Combinations(np.array([[0, 1]]), np.zeros((1, 2)), np.ones((1, 2)))
    >>> count_matches(np.array([[0.0, 1.0], [0.5, 0.5], [2.0, 0.0]]), tried).tolist()
    [2]
    """
    d = rows.shape[1]
    by_column = np.ascontiguousarray(rows.T)
    order = np.argsort(by_column, axis=1, kind="stable")
    ordered = np.take_along_axis(by_column, order, axis=1)
    start = np.zeros(tried.columns.shape, dtype=np.int64)
    stop = np.zeros(tried.columns.shape, dtype=np.int64)
    for j in range(d):
        here = tried.columns == j
        start[here] = np.searchsorted(ordered[j], tried.low[here], side="left")
        stop[here] = np.searchsorted(ordered[j], tried.high[here], side="right")
    # The condition that fewest rows meet comes first, so that few rows remain for the others.
    first = (stop - start).argmin(axis=1)
    counts = np.zeros(len(tried), dtype=np.int64)
    for i, j in enumerate(first):
        rest = order[tried.columns[i, j], start[i, j] : stop[i, j]]
        for c, column in enumerate(tried.columns[i]):
            if c != j and len(rest):
                values = by_column[column, rest]
                rest = rest[(values >= tried.low[i, c]) & (values <= tried.high[i, c])]
        counts[i] = len(rest)
    return counts


def estimate_match_probability(
    members: Counts, n_members: int, control: Counts, n_control: int
) -> tuple[Floats, Floats]:
    """Return the probability that each combination has one match in a subset of the smaller set's size.

    Where a set is of that size already, this is 1 for those that one row meets and 0 for others.

    Parameters
    ----------
    members, control : numpy.ndarray of int, shape (m,)
        Rows of each set that meet the combination.
    n_members, n_control : int
        Rows of each set.

    Examples
    --------
    >>> on_members, on_control = estimate_match_probability(np.array([1, 2]), 20, np.array([1, 2]), 10)
    >>> on_members.round(3).tolist(), on_control.tolist()
    ([0.5, 0.526], [1.0, 0.0])
    """
    from scipy.stats import hypergeom

    n = min(n_members, n_control)
    return hypergeom.pmf(1, n_members, members, n), hypergeom.pmf(1, n_control, control, n)


def _rarest(
    information: Floats, size: int, draws: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Return the most informative of several draws of `size` columns for each row, (m, size)."""
    best = np.zeros((len(information), size), dtype=np.int64)
    highest = np.full(len(information), -1.0)
    for _ in range(draws):
        # Without replacement, with the information of each column as its weight.
        keys = rng.exponential(size=information.shape) / (information + 1e-9)
        drawn = np.argsort(keys, axis=1)[:, :size]
        total = np.take_along_axis(information, drawn, axis=1).sum(axis=1)
        better = total > highest
        best[better], highest[better] = drawn[better], total[better]
    return best


def _intervals(ordered: Floats, values: Floats, reach: int) -> tuple[Floats, Floats]:
    """Return intervals around `values` with `reach` more ordered rows below and above."""
    ordered = ordered[np.isfinite(ordered)]
    if not len(ordered):
        return values, values
    before = np.searchsorted(ordered, values, side="left") - reach
    after = np.searchsorted(ordered, values, side="right") - 1 + reach
    low = ordered[np.clip(before, 0, len(ordered) - 1)]
    high = ordered[np.clip(after, 0, len(ordered) - 1)]
    missing = ~np.isfinite(values)
    return np.where(missing, values, low), np.where(missing, values, high)

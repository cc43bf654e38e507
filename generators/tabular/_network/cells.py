"""Columns as cells: every value of a column stands in one cell, coded by a coarse and a fine token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.data.encoding import EncodedColumn

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

UNKNOWN = -1
"""Cell of a value that the train set did not have (a strange label, or missing where none was)."""

_OWN_LEVELS = 256
_FREQUENT_LEVELS = 128
_LEAST_REPEATS = 5
_KNOTS = 9


@dataclass(frozen=True)
class ColumnCells:
    """The cells of one column.

    A cell is a level of a category, an interval of numbers, one often repeated number, or "missing"
    (the last cell, where there is one). Its coarse token says the neighbourhood, its fine token the
    cell in it, so that the cost of a column grows as the root of the number of its cells.

    Parameters
    ----------
    column : EncodedColumn
        The field, its levels or its grid of values.
    coarse, fine : numpy.ndarray
        Tokens of each cell, shape (k,); counted from 0.
    mass : numpy.ndarray
        Train rows in each cell, shape (k,).
    has_missing : bool
        Whether the last cell is "missing".
    starts : numpy.ndarray
        Numbers only: least value that is coded as each cell but the first, shape (k - 1,).
    knots : numpy.ndarray
        Numbers only: quantiles of the values in each cell from its low to its high end, shape (k, 9);
        all equal where a repeated value has the cell to itself.
    """

    column: EncodedColumn
    coarse: Codes
    fine: Codes
    mass: Floats
    has_missing: bool
    starts: Floats
    knots: Floats

    @classmethod
    def of(cls, train: Dataset, column: EncodedColumn, bins: int, splits: int) -> ColumnCells:
        """Return the cells of a train column.

        Parameters
        ----------
        train : Dataset
            The rows.
        column : EncodedColumn
            Which column.
        bins : int
            Quantile bins, about, of a number; a value that half a bin's rows share has its own.
        splits : int
            Cells that a bin is divided into, at most.
        """
        if column.is_nominal:
            return _nominal_cells(train, column)
        values = train.values(column.field.name)
        missing = int(np.isnan(values).sum())
        present = np.sort(values[~np.isnan(values)])
        coarse, fine, mass, starts, knots = _number_cells(present, bins, splits)
        if missing:
            coarse = np.append(coarse, coarse.max(initial=-1) + 1)
            fine, mass = np.append(fine, 0), np.append(mass, missing)
        return cls(column, coarse, fine, mass, bool(missing), starts, knots)

    @property
    def is_number(self) -> bool:
        """Whether the cells stand in the order of a number or a time."""
        return not self.column.is_nominal

    @property
    def n_present(self) -> int:
        """Number of cells but for "missing"."""
        return len(self.coarse) - self.has_missing

    @property
    def ranks(self) -> Floats:
        """Middle of each cell on the scale of train shares, 0 to 1, shape (k,)."""
        share = self.mass[: self.n_present] / max(self.mass[: self.n_present].sum(), 1.0)
        middle = np.cumsum(share) - share / 2
        return np.append(middle, np.full(int(self.has_missing), 0.5))

    @property
    def grid(self) -> Codes:
        """Cell of each pair of tokens, shape (coarse, fine); -1 where there is none."""
        grid = np.full((self.coarse.max() + 1, self.fine.max() + 1), UNKNOWN, dtype=np.int64)
        grid[self.coarse, self.fine] = np.arange(len(self.coarse))
        return grid

    def encode(self, rows: Dataset) -> Codes:
        """Return the cell of each row's value, shape (n,); `UNKNOWN` for what train did not have."""
        name = self.column.field.name
        if self.is_number:
            values = rows.values(name)
            missing = np.isnan(values)
            cells = np.searchsorted(self.starts, values, side="right").astype(np.int64)
            if not self.n_present:
                cells[:] = UNKNOWN
        else:
            codes, levels = rows.codes(name)
            place = {level: cell for cell, level in enumerate(self.column.levels)}
            table = np.array([*(place.get(level, UNKNOWN) for level in levels), UNKNOWN])
            missing, cells = codes < 0, table[codes]
        cells[missing] = self.n_present if self.has_missing else UNKNOWN
        return cells

    def draw(self, cells: Codes, rng: np.random.Generator) -> Floats:
        """Return a value from each cell, shape (n,): a level's code, or a number of the interval."""
        if not self.is_number or not self.n_present:
            return cells.astype(np.float64)
        at = rng.random(len(cells)) * (_KNOTS - 1)
        return self.value_at(np.minimum(cells, self.n_present - 1), at)

    def value_at(self, cells: Codes, at: Floats) -> Floats:
        """Return the values at points 0 ... 8 along the knots of number cells, shape (n,)."""
        left = np.minimum(at.astype(np.int64), _KNOTS - 2)
        low, high = self.knots[cells, left], self.knots[cells, left + 1]
        return np.asarray(low + (high - low) * (at - left))

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return what `from_arrays` needs beside the column."""
        return {
            "coarse": self.coarse,
            "fine": self.fine,
            "mass": self.mass,
            "has_missing": np.array(self.has_missing),
            "starts": self.starts,
            "knots": self.knots,
        }

    @classmethod
    def from_arrays(cls, column: EncodedColumn, arrays: dict[str, npt.NDArray[Any]]) -> ColumnCells:
        """Return the cells that `to_arrays` wrote."""
        return cls(column, **{**arrays, "has_missing": bool(arrays["has_missing"])})  # type: ignore[arg-type]


def _nominal_cells(train: Dataset, column: EncodedColumn) -> ColumnCells:
    codes, _ = train.codes(column.field.name)
    n_levels, missing = len(column.levels), int((codes < 0).sum())
    mass = np.bincount(codes[codes >= 0], minlength=n_levels).astype(np.float64)
    coarse, fine = _level_tokens(mass)
    if missing:
        coarse = np.append(coarse, coarse.max(initial=-1) + 1)
        fine, mass = np.append(fine, 0), np.append(mass, missing)
    empty = np.empty(0)
    return ColumnCells(column, coarse, fine, mass, bool(missing), empty, np.empty((0, _KNOTS)))


def _level_tokens(mass: Floats) -> tuple[Codes, Codes]:
    """Return coarse and fine tokens of levels in alphabetical order.

    Beyond 256 levels the commonest have a coarse token each and the others share one with their
    alphabetical neighbours, which in codes and names often are neighbours in meaning too.
    """
    n_levels = len(mass)
    if n_levels <= _OWN_LEVELS:
        return np.arange(n_levels), np.zeros(n_levels, dtype=np.int64)
    by_mass = np.argsort(-mass, kind="stable")
    frequent, rare = np.sort(by_mass[:_FREQUENT_LEVELS]), np.sort(by_mass[_FREQUENT_LEVELS:])
    width = int(np.ceil(np.sqrt(len(rare))))
    coarse, fine = np.empty(n_levels, dtype=np.int64), np.zeros(n_levels, dtype=np.int64)
    coarse[frequent] = np.arange(len(frequent))
    coarse[rare] = len(frequent) + np.arange(len(rare)) // width
    fine[rare] = np.arange(len(rare)) % width
    return coarse, fine


def _number_cells(
    present: Floats, bins: int, splits: int
) -> tuple[Codes, Codes, Floats, Floats, Floats]:
    """Return coarse, fine, mass, starts and knots of the cells of sorted values."""
    n = len(present)
    if not n:
        none = np.empty(0, dtype=np.int64)
        return none, none.copy(), np.empty(0), np.empty(0), np.empty((0, _KNOTS))
    values, counts = np.unique(present, return_counts=True)
    is_few = len(values) <= min(bins, n // 10)
    # A bin needs rows enough to learn from; a small table gets fewer of them.
    bins = int(np.clip(n // 20, min(bins, 4), bins))
    own = is_few | (counts >= max(0.5 * n / bins, _LEAST_REPEATS))
    bin_of = _groups(counts, own, n / bins)
    _, first_of_bin, coarse_of_value = np.unique(bin_of, return_index=True, return_inverse=True)
    in_bin = np.add.reduceat(counts, first_of_bin)[coarse_of_value]
    own = (counts == in_bin) | (counts >= _LEAST_REPEATS)
    cell_of = _groups(counts, own, np.maximum(in_bin / splits, _LEAST_REPEATS))
    first = np.flatnonzero(np.append(True, (np.diff(cell_of) != 0) | (np.diff(bin_of) != 0)))
    last = np.append(first[1:], len(values)) - 1
    mass = np.add.reduceat(counts, first).astype(np.float64)
    coarse = coarse_of_value[first].astype(np.int64)
    fine = np.arange(len(first)) - np.searchsorted(coarse, coarse, side="left")
    starts = (values[last[:-1]] + values[first[1:]]) / 2
    exact = (first == last) & (mass >= _LEAST_REPEATS)
    knots = _knots(present, values, first, last, mass, exact)
    return coarse, fine.astype(np.int64), mass, starts, knots


def _groups(counts: Codes, own: npt.NDArray[np.bool_], size: float | Floats) -> Floats:
    """Return a group number for ascending distinct values: the `own` alone, others about `size` rows."""
    shared = np.where(own, 0, counts)
    middle = np.cumsum(shared) - shared / 2
    chunk = np.floor(middle / size)
    # Numbers of groups may repeat a chunk on both sides of a value of its own: count those too.
    passed = 2 * np.cumsum(own) - own
    turns = np.append(0, np.cumsum((np.diff(chunk) != 0) | (np.diff(passed) != 0)))
    return turns.astype(np.float64)


def _knots(
    present: Floats,
    values: Floats,
    first: Codes,
    last: Codes,
    mass: Floats,
    exact: npt.NDArray[np.bool_],
) -> Floats:
    """Return the ends of each cell and seven quantiles between them, shape (cells, 9)."""
    gap = np.diff(values)
    around = np.minimum(np.append(np.inf, gap), np.append(gap, np.inf)) / 2
    # A value reaches halfway to its nearer neighbour: nothing is drawn in a wide gap.
    reach = np.where(np.isfinite(around), around, 0.0)
    start = np.append(0, np.cumsum(mass)[:-1])
    at = start[:, None] + np.linspace(0, 1, _KNOTS)[None, :] * (mass - 1)[:, None]
    left = np.floor(at).astype(np.int64)
    right = np.minimum(left + 1, len(present) - 1)
    knots = present[left] + (present[right] - present[left]) * (at - left)
    single = first == last
    low, high = values[first] - reach[first], values[last] + reach[last]
    knots[:, 0], knots[:, -1] = low, high
    even = low[:, None] + (high - low)[:, None] * np.linspace(0, 1, _KNOTS)
    knots[single] = even[single]
    knots[exact] = values[first[exact], None]
    knots[0, 0], knots[-1, -1] = values[0], values[-1]
    return knots

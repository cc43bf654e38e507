"""Columns as cells: every value of a column is in one cell, coded by a coarse and a fine token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from twinset.core.data.dataset import Dataset
from twinset.core.data.encoding import EncodedColumn, TableEncoding
from twinset.core.data.where import Condition, Where

from .._discrete import AdmissibleValues, Codes, Floats, Mask, find_admissible, numbers_in

UNKNOWN = -1  # cell of a value that the train set did not have

_OWN_LEVELS = (
    256  # levels with a coarse token each; beyond, the cost of a column would grow with them
)
_FREQUENT_LEVELS = 128  # levels that keep a coarse token of their own in a column with more
_MIN_REPEATS = (
    5  # rows from which on a value may be drawn exactly: rarer ones may be one individual's
)
_KNOTS = 9  # quantiles of each cell, both ends included
_SPLITS = 16  # cells that a bin is divided into, at most: a thousand cells of 64 bins
_MAX_BINS, _MIN_BINS = 8_192, 8  # of all numbers together, as of 128 columns; and of one column
_POINTS = 33  # points along a cell that measure the admissible share of it
_REDRAWS = 8  # of a value outside its condition; then an admissible candidate is taken


@dataclass(frozen=True)
class ColumnCells:
    """The cells of one column.

    A cell is a level of a category, an interval of numbers, one often repeated number, or "missing"
    (the last cell, where there is one). The coarse token is its neighbourhood, the fine token the
    cell in it, so that the cost of a column grows as the root of the number of its cells.
    """

    column: EncodedColumn
    coarse: Codes  # tokens of each cell, counted from 0, shape (k,)
    fine: Codes
    mass: Floats  # train rows in each cell, (k,)
    has_missing: bool  # the last cell is "missing"
    starts: Floats  # of numbers: smallest value coded as each cell but the first, (k - 1,)
    # Of numbers: quantiles of the values in each cell from end to end, (k, 9); all equal where a
    # repeated value has the cell to itself.
    knots: Floats

    @classmethod
    def from_column(cls, train: Dataset, column: EncodedColumn, bins: int) -> ColumnCells:
        """Return the cells of a train column: about `bins` quantile bins of a number."""
        starts, knots = np.empty(0), np.empty((0, _KNOTS))
        if column.is_nominal:
            codes, _ = train.codes(column.field.name)
            n_missing = int((codes < 0).sum())
            mass = np.bincount(codes[codes >= 0], minlength=len(column.levels)).astype(np.float64)
            coarse, fine = _level_tokens(mass)
        else:
            values = train.values(column.field.name)
            n_missing = int(np.isnan(values).sum())
            present = np.sort(values[~np.isnan(values)])
            coarse = fine = np.empty(0, dtype=np.int64)
            mass = np.empty(0)
            if len(present):
                coarse, fine, mass, starts, knots = _number_cells(present, bins)
        if n_missing:
            coarse = np.append(coarse, coarse.max(initial=-1) + 1)
            fine, mass = np.append(fine, 0), np.append(mass, n_missing)
        return cls(column, coarse, fine, mass, bool(n_missing), starts, knots)

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
        """Return the cell of each row's value, shape (n,); -1 for values that train did not have."""
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

    def find_admissible(self, condition: Condition) -> AdmissibleCells:
        """Return the cells that `condition` admits, and values in them."""
        values, cells, n_even = self._candidates(condition)
        missing = self.n_present if self.has_missing else None
        admissible, meets = AdmissibleValues.from_candidates(
            condition, self.column, missing, values, cells
        )
        k = len(self.coarse)
        tried = np.bincount(cells[:n_even], minlength=k)
        met = np.bincount(cells[:n_even][meets[:n_even]], minlength=k)
        # A single point of an interval is no share of it and can be drawn all the same.
        is_admitted = np.bincount(cells[meets], minlength=k) > 0
        share = np.maximum(met / np.maximum(tried, 1), 1 / (4 * _POINTS))
        return AdmissibleCells(self, admissible, np.where(is_admitted, share, 0.0))

    def _candidates(self, condition: Condition) -> tuple[Floats, Codes, int]:
        """Return values and cells: n evenly over the column, then values that a condition names."""
        k = len(self.coarse)
        if not self.is_number or not self.n_present:
            return np.arange(k, dtype=np.float64), np.arange(k), k
        points = np.linspace(0.02, _KNOTS - 1.02, _POINTS)
        cells = np.repeat(np.arange(self.n_present), _POINTS)
        values = self.value_at(cells, np.tile(points, self.n_present))
        cells = np.append(cells, np.arange(self.n_present, k))
        values = np.append(values, np.zeros(k - self.n_present))
        named = np.array(list(numbers_in(condition, self.column)), dtype=np.float64)
        if len(named):
            step = self.column.step
            if step is not None and not self.column.field.is_continuous:
                step = max(step, 1.0)
            lower, upper = np.nextafter(named, -np.inf), np.nextafter(named, np.inf)
            if step:
                lower, upper = named - step, named + step
            near = np.concatenate([named, lower, upper])
            named = np.clip(near, self.column.low, self.column.high)
        own = np.searchsorted(self.starts, named, side="right").astype(np.int64)
        return np.append(values, named), np.append(cells, own), len(values)


@dataclass(frozen=True)
class AdmissibleCells:
    """The cells of a column that a condition admits."""

    cells: ColumnCells
    candidates: AdmissibleValues
    share: Floats  # part of each cell that meets the condition, 0 to 1, shape (k,)

    def draw(self, cells: Codes, rng: np.random.Generator) -> Floats:
        """Return a value that meets the condition from each of these cells, shape (n,)."""
        values = self.cells.draw(cells, rng)
        wrong = np.flatnonzero(~self.candidates.meets(values, cells))
        for _ in range(_REDRAWS):
            if not len(wrong):
                return values
            values[wrong] = self.cells.draw(cells[wrong], rng)
            wrong = wrong[~self.candidates.meets(values[wrong], cells[wrong])]
        chosen = rng.integers(*self.candidates.range_of(cells[wrong]))
        values[wrong] = self.candidates.values[chosen]
        return values


@dataclass(frozen=True)
class TableCells:
    """The cells of every column of a table."""

    encoding: TableEncoding
    columns: tuple[ColumnCells, ...]

    @classmethod
    def from_dataset(cls, train: Dataset, bins: int) -> TableCells:
        """Return the cells of `train`, with about `bins` bins of each number."""
        encoding = TableEncoding.from_dataset(train)
        n_numbers = sum(not column.is_nominal for column in encoding.columns)
        bins = min(bins, max(_MAX_BINS // max(n_numbers, 1), _MIN_BINS))
        columns = (ColumnCells.from_column(train, one, bins) for one in encoding.columns)
        return cls(encoding, tuple(columns))

    @property
    def order(self) -> Codes:
        """The column order of unconditional draws: few cells first, shape (d,)."""
        size = [len(np.flatnonzero(c.mass)) for c in self.columns]
        return np.argsort(np.array(size, dtype=np.int64), kind="stable")

    def encode(self, rows: Dataset) -> Codes:
        """Return the cell of every value, shape (n, d); -1 where train had no such value."""
        return np.stack([column.encode(rows) for column in self.columns], axis=1)

    def draw(self, codes: Codes, rng: np.random.Generator) -> Floats:
        """Return a value drawn from each cell, shape (n, d)."""
        drawn = [column.draw(codes[:, j], rng) for j, column in enumerate(self.columns)]
        return np.stack(drawn, axis=1)

    def decode(self, values: Floats, codes: Codes) -> Dataset:
        """Return the rows of these values in these cells."""
        matrix = np.zeros((len(values), self.encoding.width))
        for j, cells in enumerate(self.columns):
            matrix[:, cells.column.value] = values[:, j]
            if cells.column.missing is not None:
                missing = codes[:, j] == cells.n_present
                matrix[missing, cells.column.value] = cells.column.fill
                matrix[:, cells.column.missing] = missing
        return self.encoding.decode(matrix)

    def find_admissible(self, where: Where | None) -> Mapping[int, AdmissibleCells]:
        """Return, by position of the column, the cells that each condition admits."""
        if where is None or not where.conditions:
            return {}
        return find_admissible(
            where, self.encoding.schema, lambda j, one: self.columns[j].find_admissible(one)
        )


def _level_tokens(mass: Floats) -> tuple[Codes, Codes]:
    """Return coarse and fine tokens of levels in alphabetical order."""
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


def _number_cells(present: Floats, bins: int) -> tuple[Codes, Codes, Floats, Floats, Floats]:
    """Return coarse, fine, mass, starts and knots of the cells of sorted values."""
    n = len(present)
    values, counts = np.unique(present, return_counts=True)
    has_few_values = len(values) <= min(bins, n // 10)
    # A bin needs rows enough to be learnt; a small table gets fewer of them.
    bins = int(np.clip(n // 20, min(bins, 4), bins))
    own = has_few_values | (counts >= max(0.5 * n / bins, _MIN_REPEATS))
    bin_of = _groups(counts, own, n / bins)
    _, first_of_bin, coarse_of_value = np.unique(bin_of, return_index=True, return_inverse=True)
    in_bin = np.add.reduceat(counts, first_of_bin)[coarse_of_value]
    own = (counts == in_bin) | (counts >= _MIN_REPEATS)
    cell_of = _groups(counts, own, np.maximum(in_bin / _SPLITS, _MIN_REPEATS))
    first = np.flatnonzero(np.append(True, (np.diff(cell_of) != 0) | (np.diff(bin_of) != 0)))
    last = np.append(first[1:], len(values)) - 1
    mass = np.add.reduceat(counts, first).astype(np.float64)
    coarse = coarse_of_value[first].astype(np.int64)
    fine = np.arange(len(first)) - np.searchsorted(coarse, coarse, side="left")
    starts = (values[last[:-1]] + values[first[1:]]) / 2
    exact = (first == last) & (mass >= _MIN_REPEATS)
    return coarse, fine, mass, starts, _knots(present, values, first, last, mass, exact)


def _groups(counts: Codes, own: Mask, size: float | Floats) -> Floats:
    """Return a group for each ascending value: the `own` ones alone, others of about `size` rows."""
    shared = np.where(own, 0, counts)
    middle = np.cumsum(shared) - shared / 2
    chunk = np.floor(middle / size)
    # A chunk may continue after a value of its own: that begins a new group too.
    passed = 2 * np.cumsum(own) - own
    groups = np.append(0, np.cumsum((np.diff(chunk) != 0) | (np.diff(passed) != 0)))
    return groups.astype(np.float64)


def _knots(
    present: Floats, values: Floats, first: Codes, last: Codes, mass: Floats, exact: Mask
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

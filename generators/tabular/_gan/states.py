"""A table as states and positions, and the conditions on them, for the conditional GAN."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.data.encoding import EncodedColumn, TableEncoding
from twinset.core.data.where import Condition, Where

from .._copula import Margin
from .._discrete import AdmissibleValues, Codes, Floats, Mask, find_admissible, numbers_in

_FEW_VALUES = 20  # of a number: all that repeat are states, as in a count or a grade
_MAX_ATOMS = 64  # bounds the width of a number with many repeated values
# A repeated value is a state if it has 5 rows, .5 % of all and thrice as many as values around it.
_MIN_ATOM_ROWS, _MIN_ATOM_FRACTION, _SPIKE = 5, 0.005, 3.0
_ROWS_PER_INTERVAL = 40  # fewer rows cannot be separated from noise by the critic
_MAX_CORNERS = (
    4_096  # of the inverse distribution: bounds a checkpoint, finer than its sampling error
)
_POINTS_PER_INTERVAL = 16  # candidates for a condition on a part of an interval


@dataclass(frozen=True)
class StateColumn:
    """How each cell of a column becomes a state and, in an interval, a position there.

    The states stand in this order: the atoms, each a value of its own (levels, repeated numbers);
    intervals of equal mass of all other numbers; one for all rarer levels; one for missing. This is
    the mode-specific normalisation of Xu et al. with the ranks of the numbers in place of a
    Gaussian mixture: found by one sort, and even inside every mode.
    """

    column: EncodedColumn
    atoms: Floats  # values that are states of their own, ascending, shape (a,)
    n_intervals: int  # 0 where every number is an atom
    corners: Floats  # inverse distribution of the other numbers: points and values, (2, c)
    rest: Floats  # codes of the rarer levels and their cumulative shares, (2, r)

    @property
    def other(self) -> int | None:
        """State of the rarer levels."""
        return len(self.atoms) + self.n_intervals if self.rest.size else None

    @property
    def missing(self) -> int | None:
        """State of missing values."""
        return None if self.column.missing is None else self.n_states - 1

    @property
    def n_states(self) -> int:
        """Number of states, 1 or more."""
        extras = bool(self.rest.size) + (self.column.missing is not None)
        return max(len(self.atoms) + self.n_intervals + extras, 1)

    def encode(self, matrix: Floats, rng: np.random.Generator) -> tuple[Codes, Floats]:
        """Return state and position (-1 to 1; 0 outside intervals) of each row, shape (n,) each."""
        values = matrix[:, self.column.value]
        is_missing = _missing(self.column, matrix)
        states, positions = np.zeros(len(values), dtype=np.int64), np.zeros(len(values))
        if self.missing is not None:
            states[is_missing] = self.missing
        place = np.searchsorted(self.atoms, values)
        is_atom = np.append(self.atoms, np.nan)[place] == values
        states[is_atom & ~is_missing] = place[is_atom & ~is_missing]
        others = np.flatnonzero(~is_atom & ~is_missing)
        if self.other is not None:
            states[others] = self.other
        elif len(others):
            ranks = np.empty(len(others))
            ranks[np.lexsort((rng.random(len(others)), values[others]))] = np.arange(len(others))
            along = (ranks + 0.5) / len(others) * self.n_intervals
            states[others] = len(self.atoms) + along.astype(np.int64)
            positions[others] = 2 * (along % 1.0) - 1
        return states, positions

    def centres(self, counts: Codes) -> tuple[Floats, Floats]:
        """Return centre and half width of each number's state in ranks from -1 to 1."""
        centres, halves = np.zeros(self.n_states), np.zeros(self.n_states)
        n_numbers = len(self.atoms) + self.n_intervals
        if self.column.is_nominal or not n_numbers:
            return centres, halves
        ends = np.empty(0)
        if self.n_intervals:
            ends = np.interp(np.linspace(0, 1, self.n_intervals + 1), *self.corners)
        order = np.lexsort((np.append(self.atoms, ends[1:]), np.append(self.atoms, ends[:-1])))
        shares = counts[:n_numbers][order] / max(int(counts[:n_numbers].sum()), 1)
        ends = np.append(0.0, np.cumsum(shares))
        centres[order] = ends[:-1] + ends[1:] - 1
        halves[order] = np.diff(ends)
        halves[: len(self.atoms)] = 0
        return centres, halves

    def find_admissible(self, condition: Condition) -> AdmissibleValues:
        """Return atoms, levels and points inside the intervals that meet `condition`."""
        a, k = len(self.atoms), self.n_intervals
        values, states = [self.atoms], [np.arange(a)]
        if k:
            along = np.union1d(self.corners[0], np.linspace(0, 1, k * _POINTS_PER_INTERVAL + 1))
            points = np.interp(along, *self.corners)
            near = [
                value
                for number in numbers_in(condition, self.column)
                for step in [self.column.step or abs(number) * 1e-9]
                for value in (number - step, number, number + step)
                if points[0] <= value <= points[-1]
            ]
            near = [v for v in near if v not in set(self.atoms.tolist())]
            along = np.append(along, np.interp(near, self.corners[1], self.corners[0]))
            values.append(np.append(points, near))
            states.append(a + np.minimum((along * k).astype(np.int64), k - 1))
        if self.other is not None:
            values.append(self.rest[0])
            states.append(np.full(self.rest.shape[1], self.other))
        if self.missing is not None:
            values.append(np.array([self.column.fill]))
            states.append(np.array([self.n_states - 1]))
        every = np.concatenate(states).astype(np.int64)
        return AdmissibleValues.from_candidates(
            condition, self.column, self.missing, np.concatenate(values), every
        )[0]


@dataclass(frozen=True)
class StateTable:
    """All columns of a table as states."""

    encoding: TableEncoding
    columns: tuple[StateColumn, ...]

    @classmethod
    def from_dataset(
        cls, train: Dataset, *, n_modes: int, max_levels: int
    ) -> tuple[StateTable, Floats]:
        """Return the table of states of `train`, and its rows as floats, shape (n, d)."""
        encoding = TableEncoding.from_dataset(train)
        matrix = encoding.encode(train)
        columns = [
            _states_of_levels(column, matrix, max_levels)
            if column.is_nominal
            else _states_of_numbers(column, matrix, n_modes)
            for column in encoding.columns
        ]
        return cls(encoding, tuple(columns)), matrix

    def encode(self, matrix: Floats, rng: np.random.Generator) -> tuple[Codes, Floats]:
        """Return states and positions, shape (n, number of columns) each."""
        states, positions = zip(*(column.encode(matrix, rng) for column in self.columns))
        return np.stack(states, axis=1), np.stack(positions, axis=1)

    def find_admissible(self, where: Where) -> Mapping[int, AdmissibleValues]:
        """Return, by position of the column, the values that meet each condition."""
        return find_admissible(
            where, self.encoding.schema, lambda i, one: self.columns[i].find_admissible(one)
        )


def force_condition(
    admissible: AdmissibleValues, matrix: Floats, states: Codes, rng: np.random.Generator
) -> None:
    """Give every row that violates a condition an admissible value of its own state, in place."""
    place = admissible.column.value
    wrong = ~admissible.meets(matrix[:, place], states)
    if wrong.any():
        low, high = admissible.range_of(states[wrong])
        chosen = low + (rng.random(len(low)) * (high - low)).astype(np.int64)
        matrix[wrong, place] = admissible.values[chosen]


def _states_of_levels(column: EncodedColumn, matrix: Floats, max_levels: int) -> StateColumn:
    codes = matrix[~_missing(column, matrix), column.value].astype(np.int64)
    counts = np.bincount(codes, minlength=len(column.levels))
    order = np.argsort(-counts, kind="stable")
    order = order[counts[order] > 0]
    kept, rare = np.sort(order[:max_levels]), order[max_levels:]
    rest = np.empty((2, 0))
    if len(rare):
        shares = np.cumsum(counts[rare])
        rest = np.stack([rare, shares / shares[-1]]).astype(np.float64)
    return StateColumn(column, kept.astype(np.float64), 0, np.empty((2, 0)), rest)


def _states_of_numbers(column: EncodedColumn, matrix: Floats, n_modes: int) -> StateColumn:
    present = matrix[~_missing(column, matrix), column.value]
    values, counts = np.unique(present, return_counts=True)
    is_atom = _find_atoms(counts)
    others = present[~is_atom[np.searchsorted(values, present)]]
    n_intervals = 0
    corners = np.empty((2, 0))
    if len(others):
        n_intervals = int(np.clip(len(others) // _ROWS_PER_INTERVAL, 1, n_modes))
        corners = np.stack(Margin.from_numbers(others, _MIN_ATOM_ROWS).corners)
        if corners.shape[1] > _MAX_CORNERS:
            grid = np.linspace(0, 1, _MAX_CORNERS)
            corners = np.stack([grid, np.interp(grid, *corners)])
    return StateColumn(column, values[is_atom], n_intervals, corners, np.empty((2, 0)))


def _find_atoms(counts: Codes) -> Mask:
    """Return which of the distinct numbers, in ascending order, are atoms, shape (k,)."""
    if len(counts) <= _FEW_VALUES:
        return np.asarray((counts >= 2) | (len(counts) == 1))
    from scipy.ndimage import median_filter

    beside = median_filter(counts, size=9, mode="mirror")
    min_rows = max(_MIN_ATOM_ROWS, _MIN_ATOM_FRACTION * counts.sum())
    atoms = (counts >= min_rows) & (counts >= _SPIKE * beside)
    atoms[np.argsort(-np.where(atoms, counts, 0), kind="stable")[_MAX_ATOMS:]] = False
    return np.asarray(atoms)


def _missing(column: EncodedColumn, matrix: Floats) -> npt.NDArray[np.bool_]:
    if column.missing is None:
        return np.zeros(len(matrix), dtype=bool)
    return np.asarray(matrix[:, column.missing] == 1)

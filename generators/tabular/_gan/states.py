"""A table as states and positions: what a cell is made of, for the conditional GAN."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.data.encoding import EncodedColumn, TableEncoding
from twinset.core.data.schema import Schema

from .._copula.margins import Margin

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

_FEW_VALUES = 20
_MOST_ATOMS = 64
_LEAST_ATOM_ROWS, _LEAST_ATOM_FRACTION, _SPIKE = 5, 0.005, 3.0
_ROWS_PER_INTERVAL = 40
_MOST_CORNERS = 4_096


@dataclass(frozen=True)
class StateColumn:
    """How each cell of a column becomes a state and, if it lies in an interval, a position there.

    The states stand in this order: the atoms, each a value of its own (levels, heaps of equal
    numbers); intervals of equal mass of all other numbers; one for all rarer levels; one for
    missing. This is the mode-specific normalisation of Xu et al. with the ranks of the numbers in
    place of a Gaussian mixture: found by one sort, and even inside every mode.

    Parameters
    ----------
    column : EncodedColumn
        Where the values come from and go to.
    atoms : numpy.ndarray
        Values that are states of their own, ascending, shape (a,).
    n_intervals : int
        Number of intervals, 0 where every number is an atom.
    corners : numpy.ndarray
        Inverse distribution of the numbers that are no atoms: points of the unit interval and the
        values there, shape (2, c).
    rest : numpy.ndarray
        Codes of the rarer levels and their cumulative shares, shape (2, r).
    """

    column: EncodedColumn
    atoms: Floats
    n_intervals: int
    corners: Floats
    rest: Floats

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

    def encode(self, matrix: Floats, rng: np.random.Generator) -> tuple[Whole, Floats]:
        """Return state and position (-1 to 1; 0 outside intervals) of each row, shape (n,) each.

        Equal numbers inside an interval are spread evenly over the positions that they share.
        """
        values = matrix[:, self.column.value]
        gone = _missing(self.column, matrix)
        states, positions = np.zeros(len(values), dtype=np.int64), np.zeros(len(values))
        if self.missing is not None:
            states[gone] = self.missing
        place = np.searchsorted(self.atoms, values)
        is_atom = np.append(self.atoms, np.nan)[place] == values
        states[is_atom & ~gone] = place[is_atom & ~gone]
        others = np.flatnonzero(~is_atom & ~gone)
        if self.other is not None:
            states[others] = self.other
        elif len(others):
            ranks = np.empty(len(others))
            ranks[np.lexsort((rng.random(len(others)), values[others]))] = np.arange(len(others))
            along = (ranks + 0.5) / len(others) * self.n_intervals
            states[others] = len(self.atoms) + along.astype(np.int64)
            positions[others] = 2 * (along % 1.0) - 1
        return states, positions

    def centres(self, counts: Whole) -> tuple[Floats, Floats]:
        """Return centre and half width of each number's state in ranks from -1 to 1.

        The state of missing values stands at 0; a column of labels has no ranks, only zeros.
        """
        centres, halves = np.zeros(self.n_states), np.zeros(self.n_states)
        n_numbers = len(self.atoms) + self.n_intervals
        if self.column.is_nominal or not n_numbers:
            return centres, halves
        values = self.interval_ends
        lower = np.append(self.atoms, values[:-1])
        upper = np.append(self.atoms, values[1:])
        order = np.lexsort((upper, lower))
        shares = counts[:n_numbers][order] / max(int(counts[:n_numbers].sum()), 1)
        ends = np.append(0.0, np.cumsum(shares))
        centres[order] = ends[:-1] + ends[1:] - 1
        halves[order] = np.diff(ends)
        halves[: len(self.atoms)] = 0
        return centres, halves

    @property
    def interval_ends(self) -> Floats:
        """Values at the ends of the intervals, shape (n_intervals + 1,); empty without intervals."""
        if not self.n_intervals:
            return np.empty(0)
        grid = np.linspace(0, 1, self.n_intervals + 1)
        return np.asarray(np.interp(grid, *self.corners))


@dataclass(frozen=True)
class StateTable:
    """All columns of a table as states; build it with `of`."""

    encoding: TableEncoding
    columns: tuple[StateColumn, ...]

    @classmethod
    def of(cls, train: Dataset, *, n_modes: int, max_levels: int) -> tuple[StateTable, Floats]:
        """Return the table of states of `train`, and its rows as floats, shape (n, d)."""
        encoding = TableEncoding.from_dataset(train)
        matrix = encoding.encode(train)
        columns = [
            _of_levels(column, matrix, max_levels)
            if column.is_nominal
            else _of_numbers(column, matrix, n_modes)
            for column in encoding.columns
        ]
        return cls(encoding, tuple(columns)), matrix

    def encode(self, matrix: Floats, rng: np.random.Generator) -> tuple[Whole, Floats]:
        """Return states and positions, shape (n, number of columns) each."""
        pairs = [column.encode(matrix, rng) for column in self.columns]
        shape = (len(matrix), len(self.columns))
        states, positions = np.empty(shape, dtype=np.int64), np.empty(shape)
        for i, (state, position) in enumerate(pairs):
            states[:, i], positions[:, i] = state, position
        return states, positions

    def to_arrays(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """Return arrays and plain JSON values that `from_arrays` reads."""
        arrays: dict[str, npt.NDArray[Any]] = {}
        described = []
        for i, state in enumerate(self.columns):
            for name in ("atoms", "corners", "rest"):
                arrays[f"column-{i}-{name}"] = getattr(state, name)
            column = state.column
            facts = {
                name: getattr(column, name)
                for name in ("value", "missing", "step", "low", "high", "fill")
            }
            described.append(
                {**facts, "levels": list(column.levels), "n_intervals": state.n_intervals}
            )
        return arrays, {"schema": self.encoding.schema.to_json(), "columns": described}

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, npt.NDArray[Any]], meta: Mapping[str, Any]
    ) -> StateTable:
        """Return the table of states that `to_arrays` wrote."""
        schema = Schema.from_json(meta["schema"])
        columns = []
        for i, (field, facts) in enumerate(zip(schema.fields, meta["columns"], strict=True)):
            known = {k: v for k, v in facts.items() if k not in ("levels", "n_intervals")}
            column = EncodedColumn(field=field, levels=tuple(facts["levels"]), **known)
            own = {name: arrays[f"column-{i}-{name}"] for name in ("atoms", "corners", "rest")}
            columns.append(StateColumn(column, n_intervals=facts["n_intervals"], **own))
        return cls(TableEncoding(schema, tuple(c.column for c in columns)), tuple(columns))


def _of_levels(column: EncodedColumn, matrix: Floats, max_levels: int) -> StateColumn:
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


def _of_numbers(column: EncodedColumn, matrix: Floats, n_modes: int) -> StateColumn:
    present = matrix[~_missing(column, matrix), column.value]
    values, counts = np.unique(present, return_counts=True)
    is_atom = _heaps(counts)
    others = present[~is_atom[np.searchsorted(values, present)]]
    n_intervals = 0
    corners = np.empty((2, 0))
    if len(others):
        n_intervals = int(np.clip(len(others) // _ROWS_PER_INTERVAL, 1, n_modes))
        corners = np.stack(Margin.of_numbers(others, _LEAST_ATOM_ROWS).corners)
        if corners.shape[1] > _MOST_CORNERS:
            grid = np.linspace(0, 1, _MOST_CORNERS)
            corners = np.stack([grid, np.interp(grid, *corners)])
    return StateColumn(column, values[is_atom], n_intervals, corners, np.empty((2, 0)))


def _heaps(counts: Whole) -> npt.NDArray[np.bool_]:
    """Return which of the distinct numbers, in ascending order, are atoms, shape (k,).

    Of few values all that repeat are; of many those that stand out from the values beside them.
    """
    if len(counts) <= _FEW_VALUES:
        return np.asarray((counts >= 2) | (len(counts) == 1))
    from scipy.ndimage import median_filter

    beside = median_filter(counts, size=9, mode="mirror")
    least = max(_LEAST_ATOM_ROWS, _LEAST_ATOM_FRACTION * counts.sum())
    heaps = (counts >= least) & (counts >= _SPIKE * beside)
    heaps[np.argsort(-np.where(heaps, counts, 0), kind="stable")[_MOST_ATOMS:]] = False
    return np.asarray(heaps)


def _missing(column: EncodedColumn, matrix: Floats) -> npt.NDArray[np.bool_]:
    if column.missing is None:
        return np.zeros(len(matrix), dtype=bool)
    return np.asarray(matrix[:, column.missing] == 1)

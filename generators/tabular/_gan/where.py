"""Conditions for the conditional GAN: which states of a column can meet one, and with which values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.data.conditions import unmet
from twinset.core.data.dataset import Dataset
from twinset.core.data.encoding import to_arrow
from twinset.core.data.schema import Schema
from twinset.core.data.where import Condition, Where

from .states import Floats, StateColumn

_POINTS_PER_INTERVAL = 16


@dataclass(frozen=True)
class AdmissibleStates:
    """Values of one column that meet a condition, and their states.

    Parameters
    ----------
    where : Where
        The condition on this column alone.
    column : StateColumn
        The column.
    values : numpy.ndarray
        Values that meet it, shape (m,); those of missing are of no account.
    states : numpy.ndarray
        State of each value, ascending, shape (m,).
    """

    where: Where
    column: StateColumn
    values: Floats
    states: npt.NDArray[np.int64]

    @classmethod
    def of(cls, column: StateColumn, condition: Condition) -> AdmissibleStates:
        """Return what meets `condition`: atoms, levels, and points inside the intervals.

        Raises
        ------
        ParameterError
            Nothing in the column meets it.
        """
        where = Where({column.column.field.name: condition})
        values, states = _candidates(column, condition)
        meets = _as_dataset(column, values, states == column.missing).mask(where)
        if not meets.any():
            raise unmet(where)
        order = np.argsort(states[meets], kind="stable")
        return cls(where, column, values[meets][order], states[meets][order])

    def force(
        self, matrix: Floats, states: npt.NDArray[np.int64], rng: np.random.Generator
    ) -> None:
        """Give every row that breaks the condition an admissible value of its own state.

        Parameters
        ----------
        matrix : numpy.ndarray
            Rows of floats, changed in place, shape (n, d).
        states : numpy.ndarray
            State of this column in each row, shape (n,); each must have an admissible value.
        """
        gone = states == self.column.missing
        place = self.column.column.value
        broken = ~_as_dataset(self.column, matrix[:, place], gone).mask(self.where)
        if broken.any():
            low = np.searchsorted(self.states, states[broken], side="left")
            high = np.searchsorted(self.states, states[broken], side="right")
            chosen = low + (rng.random(len(low)) * (high - low)).astype(np.int64)
            matrix[broken, place] = self.values[chosen]


def admissible(
    where: Where, columns: Sequence[StateColumn], schema: Schema
) -> dict[int, AdmissibleStates]:
    """Return, by position of the column, what each condition admits.

    Raises
    ------
    ParameterError
        A condition cannot be met by any value of its column.
    SchemaError
        A column does not exist or cannot be compared with the value.
    """
    nothing = pa.table({f.name: pa.nulls(0, f.arrow_type) for f in schema.fields})
    Dataset(nothing, schema).mask(where)
    return {
        schema.names.index(name): AdmissibleStates.of(columns[schema.names.index(name)], condition)
        for name, condition in where.conditions.items()
    }


def _candidates(column: StateColumn, condition: Condition) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Return values that the column can take, shape (m,), and their states."""
    a, k = len(column.atoms), column.n_intervals
    values, states = [column.atoms], [np.arange(a)]
    if k:
        along = np.union1d(column.corners[0], np.linspace(0, 1, k * _POINTS_PER_INTERVAL + 1))
        points = np.interp(along, *column.corners)
        named = [v for v in _named(condition, column) if points[0] <= v <= points[-1]]
        named = [v for v in named if v not in set(column.atoms.tolist())]
        along = np.append(along, np.interp(named, column.corners[1], column.corners[0]))
        values.append(np.append(points, named))
        states.append(a + np.minimum((along * k).astype(np.int64), k - 1))
    if column.other is not None:
        values.append(column.rest[0])
        states.append(np.full(column.rest.shape[1], column.other))
    if column.missing is not None:
        values.append(np.array([column.column.fill]))
        states.append(np.array([column.n_states - 1]))
    return np.concatenate(values), np.concatenate(states).astype(np.int64)


def _named(condition: Condition, column: StateColumn) -> Iterator[float]:
    """Yield the numbers that a condition names, and their neighbours on the column's grid."""
    if isinstance(condition, Mapping):
        for value in condition.values():
            yield from _named(value, column)  # type: ignore[arg-type]
    elif isinstance(condition, Sequence) and not isinstance(condition, str):
        for value in condition:
            yield from _named(value, column)
    else:
        number = _as_number(condition, column)
        if number is not None:
            step = column.column.step or abs(number) * 1e-9
            yield from (number - step, number, number + step)


def _as_number(value: object, column: StateColumn) -> float | None:
    if isinstance(value, str | date) and column.column.field.is_time:
        try:
            scalar = pa.scalar(value).cast(column.column.field.arrow_type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return None
        return float(scalar.cast(pa.int64()).as_py())
    if isinstance(value, int | float):
        return float(value)
    return None


def _as_dataset(column: StateColumn, values: Floats, gone: npt.NDArray[np.bool_]) -> Dataset:
    field = column.column.field
    array = to_arrow(column.column, values, gone)
    return Dataset(pa.table({field.name: array}), Schema((field,)))

"""A table as the variables of a chain: numbers, codes, missing indicators, days and times of day."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.dataset import Dataset
from twinset.core.data.encoding import EncodedColumn, TableEncoding
from twinset.core.data.kinds.datetime import MICROSECONDS
from twinset.core.data.schema import Field

Matrix = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

DAY = MICROSECONDS["day"]
_MIN_PAIRS = 2  # rows with both dates: the spread of one distance is 0 and would pass any test
# A date is counted from another one when their distance spreads less than this share of its own
# spread. At 1 two independent dates would be tied; near 0 a stay of varying length would not be.
_CLOSE = 0.5


@dataclass(frozen=True)
class Variable:
    """One variable of the chain; a column of a table has one to three of them."""

    name: str  # the column
    column: int  # position of the column in the encoding
    part: Literal["value", "missing", "day", "time"]  # a datetime is a day and a time of day
    n_levels: int = 0  # number of codes; 0 for a number
    step: float | None = None  # rounding step; None for a free number
    indicator: int | None = None  # variable that is 1 where this one is missing
    anchor: int | None = None  # variable that the value is counted from: the day of a column
    natural: tuple[float, ...] = ()  # the levels as numbers, where every level is a number

    @property
    def is_nominal(self) -> bool:
        """Whether the values are codes."""
        return self.n_levels > 0

    @property
    def needs(self) -> tuple[int, ...]:
        """Variables that must be drawn before this one."""
        return tuple(v for v in (self.indicator, self.anchor) if v is not None)


@dataclass(frozen=True)
class ChainTable:
    """A reversible map between rows and variables, shape (n, v)."""

    encoding: TableEncoding
    variables: tuple[Variable, ...]

    @classmethod
    def from_dataset(cls, dataset: Dataset) -> ChainTable:
        """Return the table whose variables hold all values of `dataset`."""
        encoding = TableEncoding.from_dataset(dataset)
        variables: list[Variable] = []
        for position, column in enumerate(encoding.columns):
            variables += _variables_of(column, position, len(variables))
        plain = cls(encoding, tuple(variables))
        return cls(encoding, _anchored(plain, plain.encode(dataset)))

    def encode(self, dataset: Dataset) -> Matrix:
        """Return the rows as variables, shape (n, v), free of NaN."""
        encoded = self.encoding.encode(dataset)
        matrix = np.empty((len(dataset), len(self.variables)), order="F")
        for position, variable in enumerate(self.variables):
            column = self.encoding.columns[variable.column]
            if variable.part == "missing":
                assert column.missing is not None
                matrix[:, position] = encoded[:, column.missing]
            else:
                local = _to_local_time(encoded[:, column.value], column.field)
                matrix[:, position] = _part_of(local, variable)
        for position, variable in enumerate(self.variables):
            if variable.anchor is not None:
                matrix[:, position] -= matrix[:, variable.anchor]
                if variable.indicator is not None:
                    matrix[matrix[:, variable.indicator] == 1, position] = self.fill(position)
        return matrix

    def decode(self, matrix: Matrix, names: list[str] | None = None) -> Dataset:
        """Return the rows of these variables, or the columns `names` of them."""
        encoded = np.zeros((len(matrix), self.encoding.width))
        for position, variable in enumerate(self.variables):
            column = self.encoding.columns[variable.column]
            values = matrix[:, position]
            if variable.part == "missing":
                assert column.missing is not None
                encoded[:, column.missing] = values
            elif variable.part == "day":
                days = values if variable.anchor is None else values + matrix[:, variable.anchor]
                encoded[:, column.value] += days * DAY
            else:
                encoded[:, column.value] += values
        for column in self.encoding.columns:
            if names is None or column.field.name in names:
                encoded[:, column.value] = _to_utc(encoded[:, column.value], column.field)
        return self.encoding.decode(encoded, names=names)

    def positions_of(self, name: str) -> list[int]:
        """Return the positions of the variables of one column, in the order they are drawn."""
        return [i for i, variable in enumerate(self.variables) if variable.name == name]

    def fill(self, position: int) -> float:
        """Return the value of a variable where its column is missing."""
        variable = self.variables[position]
        if variable.anchor is not None:
            return 0.0
        column = self.encoding.columns[variable.column]
        local = _to_local_time(np.array([column.fill]), column.field)
        return float(_part_of(local, variable)[0])


def is_there(matrix: Matrix, variable: Variable) -> Mask:
    """Return in which rows the variable's column is not missing, shape (n,)."""
    if variable.indicator is None:
        return np.ones(len(matrix), dtype=bool)
    return np.asarray(matrix[:, variable.indicator] == 0)


def _part_of(values: Matrix, variable: Variable) -> Matrix:
    if variable.part == "day":
        return np.asarray(np.floor(values / DAY))
    return values - DAY * np.floor(values / DAY) if variable.part == "time" else values


def _variables_of(column: EncodedColumn, position: int, first: int) -> list[Variable]:
    name, variables, indicator = column.field.name, [], None
    if column.missing is not None:
        variables.append(Variable(name, position, "missing", n_levels=2))
        indicator = first
    if column.is_nominal:
        n_levels, natural = max(len(column.levels), 1), _as_numbers(column.levels)
        value = Variable(name, position, "value", n_levels, indicator=indicator, natural=natural)
        variables.append(value)
    elif column.field.is_time:
        variables.append(Variable(name, position, "day", step=1.0, indicator=indicator))
        if column.step is None or column.step < DAY:
            step = column.step or 1.0
            variables.append(Variable(name, position, "time", step=step, indicator=indicator))
    else:
        variables.append(Variable(name, position, "value", step=column.step, indicator=indicator))
    return variables


def _as_numbers(levels: tuple[str, ...]) -> tuple[float, ...]:
    try:
        numbers = tuple(float(level) for level in levels)
    except ValueError:
        return ()
    return numbers if all(np.isfinite(numbers)) else ()


def _anchored(plain: ChainTable, matrix: Matrix) -> tuple[Variable, ...]:
    """Count each day from the earlier column's day that it stays closest to."""
    variables = list(plain.variables)
    free: list[int] = []
    for position, variable in enumerate(plain.variables):
        if variable.part != "day":
            continue
        there = is_there(matrix, variable)
        gaps = {}
        for other in free:
            both = there & is_there(matrix, variables[other])
            if both.sum() >= _MIN_PAIRS:
                gaps[other] = _spread(matrix[both, position] - matrix[both, other])
        nearest = min(gaps, key=lambda other: gaps[other], default=None)
        if nearest is not None and gaps[nearest] < _CLOSE * _spread(matrix[there, position]):
            variables[position] = replace(variable, anchor=nearest)
        else:
            free.append(position)
    return tuple(variables)


def _spread(values: Matrix) -> float:
    low, high = np.quantile(values, [0.1, 0.9]) if len(values) else (0.0, 0.0)
    return float(high - low)


def _to_local_time(microseconds: Matrix, field: Field) -> Matrix:
    """Return the local time of the field's zone: weekdays and hours are those of the place."""
    if (zone := _zone(field)) is None:
        return microseconds
    instants = pa.array(microseconds.astype(np.int64)).cast(pa.timestamp("us", zone))
    return np.asarray(pc.local_timestamp(instants).cast(pa.int64()).to_numpy(), dtype=np.float64)


def _to_utc(microseconds: Matrix, field: Field) -> Matrix:
    """Invert `_to_local_time`; an hour that occurs twice or never is the earlier one."""
    if (zone := _zone(field)) is None:
        return microseconds
    shown = pa.array(microseconds.astype(np.int64)).cast(pa.timestamp("us"))
    instants = pc.assume_timezone(shown, zone, ambiguous="earliest", nonexistent="earliest")
    return np.asarray(instants.cast(pa.int64()).to_numpy(), dtype=np.float64)


def _zone(field: Field) -> str | None:
    zone = getattr(field.arrow_type, "tz", None) if field.is_time else None
    return None if zone in (None, "UTC") else str(zone)

"""A table as the variables of a chain: numbers, codes, missing indicators, days and times of day."""

from __future__ import annotations

from dataclasses import dataclass
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
Part = Literal["value", "missing", "day", "time"]

DAY = MICROSECONDS["day"]
_LEAST_PAIRS = 2
_CLOSE = 0.5
"""A date hangs on another one when their distance spreads less than this share of its own spread."""


@dataclass(frozen=True)
class Variable:
    """One thing that the chain draws; a column of a table has one to three of them.

    Parameters
    ----------
    name : str
        The column.
    column : int
        Position of the column in the encoding.
    part : {"value", "missing", "day", "time"}
        What it tells of the column; a datetime is a day and, unless all are midnight, a time.
    n_levels : int
        Number of codes; 0 for a number.
    step : float or None
        Grid of its values, None for a free number.
    indicator : int or None
        Variable that is 1 where this one is missing.
    anchor : int or None
        Variable that the value is counted from: the day of another column.
    natural : tuple of float
        What the codes mean as numbers, where every level is one; their order is worth knowing.
    """

    name: str
    column: int
    part: Part
    n_levels: int = 0
    step: float | None = None
    indicator: int | None = None
    anchor: int | None = None
    natural: tuple[float, ...] = ()

    @property
    def is_nominal(self) -> bool:
        """Whether its values are codes."""
        return self.n_levels > 0

    @property
    def needs(self) -> tuple[int, ...]:
        """Variables that must be drawn before this one."""
        return tuple(v for v in (self.indicator, self.anchor) if v is not None)


@dataclass(frozen=True)
class ChainTable:
    """The way from rows to variables, shape (n, v), and back."""

    encoding: TableEncoding
    variables: tuple[Variable, ...]

    @classmethod
    def of(cls, dataset: Dataset) -> ChainTable:
        """Return the table whose variables tell all that `dataset` holds."""
        encoding = TableEncoding.of(dataset)
        variables: list[Variable] = []
        for position, column in enumerate(encoding.columns):
            variables += _variables(column, position, len(variables))
        plain = cls(encoding, tuple(variables))
        return cls(encoding, _anchored(plain, plain.encode(dataset)))

    def encode(self, dataset: Dataset) -> Matrix:
        """Return the rows as variables, shape (n, v), free of NaN."""
        encoded = self.encoding.encode(dataset)
        matrix = np.empty((len(dataset), len(self.variables)), order="F")
        for position, variable in enumerate(self.variables):
            column = self.encoding.columns[variable.column]
            value = _on_the_clock(encoded[:, column.value], column.field)
            if variable.part == "missing":
                assert column.missing is not None
                matrix[:, position] = encoded[:, column.missing]
            elif variable.part == "day":
                matrix[:, position] = np.floor(value / DAY)
            elif variable.part == "time":
                matrix[:, position] = value - DAY * np.floor(value / DAY)
            else:
                matrix[:, position] = value
        for position, variable in enumerate(self.variables):
            if variable.anchor is not None:
                matrix[:, position] -= matrix[:, variable.anchor]
                if variable.indicator is not None:
                    matrix[matrix[:, variable.indicator] == 1, position] = self.fill(position)
        return matrix

    def decode(self, matrix: Matrix, names: list[str] | None = None) -> Dataset:
        """Return the rows that the variables tell, or the columns `names` of them."""
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
                encoded[:, column.value] = _in_utc(encoded[:, column.value], column.field)
        return self.encoding.decode(encoded, names=names)

    def of_column(self, name: str) -> list[int]:
        """Return the positions of the variables of one column, in the order they are drawn."""
        return [i for i, variable in enumerate(self.variables) if variable.name == name]

    def fill(self, position: int) -> float:
        """Return what stands in a variable where its column is missing."""
        variable = self.variables[position]
        if variable.anchor is not None:
            return 0.0
        column = self.encoding.columns[variable.column]
        fill = float(_on_the_clock(np.array([column.fill]), column.field)[0])
        if variable.part == "day":
            return float(np.floor(fill / DAY))
        if variable.part == "time":
            return float(fill - DAY * np.floor(fill / DAY))
        return fill


def _variables(column: EncodedColumn, position: int, first: int) -> list[Variable]:
    name, made = column.field.name, []
    indicator = None
    if column.missing is not None:
        made.append(Variable(name, position, "missing", n_levels=2))
        indicator = first
    if column.is_nominal:
        n_levels = max(len(column.levels), 1)
        natural = _as_numbers(column.levels)
        made.append(
            Variable(name, position, "value", n_levels, indicator=indicator, natural=natural)
        )
    elif column.field.is_time:
        made.append(Variable(name, position, "day", step=1.0, indicator=indicator))
        if column.step is None or column.step < DAY:
            step = column.step or 1.0
            made.append(Variable(name, position, "time", step=step, indicator=indicator))
    else:
        made.append(Variable(name, position, "value", step=column.step, indicator=indicator))
    return made


def _as_numbers(levels: tuple[str, ...]) -> tuple[float, ...]:
    try:
        numbers = tuple(float(level) for level in levels)
    except ValueError:
        return ()
    return numbers if all(np.isfinite(numbers)) else ()


def _anchored(plain: ChainTable, matrix: Matrix) -> tuple[Variable, ...]:
    """Let each day be counted from the earlier column's day that it stays closest to."""
    variables = list(plain.variables)
    free: list[int] = []
    for position, variable in enumerate(plain.variables):
        if variable.part != "day":
            continue
        there = is_there(matrix, variable)
        own = _spread(matrix[there, position])
        gaps = {}
        for other in free:
            both = there & is_there(matrix, variables[other])
            if both.sum() >= _LEAST_PAIRS:
                gaps[other] = _spread(matrix[both, position] - matrix[both, other])
        nearest = min(gaps, key=lambda other: gaps[other], default=None)
        if nearest is not None and gaps[nearest] < _CLOSE * own:
            variables[position] = Variable(
                variable.name, variable.column, "day", 0, 1.0, variable.indicator, nearest
            )
        else:
            free.append(position)
    return tuple(variables)


def is_there(matrix: Matrix, variable: Variable) -> npt.NDArray[np.bool_]:
    """Return in which rows the variable's column is not missing, shape (n,)."""
    if variable.indicator is None:
        return np.ones(len(matrix), dtype=bool)
    return np.asarray(matrix[:, variable.indicator] == 0)


def _on_the_clock(microseconds: Matrix, field: Field) -> Matrix:
    """Return what clocks of the field's zone show: weekdays and hours are those of the place."""
    if (zone := _zone(field)) is None:
        return microseconds
    instants = pa.array(microseconds.astype(np.int64)).cast(pa.timestamp("us", zone))
    return np.asarray(pc.local_timestamp(instants).cast(pa.int64()).to_numpy(), dtype=np.float64)


def _in_utc(microseconds: Matrix, field: Field) -> Matrix:
    """Turn `_on_the_clock` round; an hour that clocks show twice or never is the earlier one."""
    if (zone := _zone(field)) is None:
        return microseconds
    shown = pa.array(microseconds.astype(np.int64)).cast(pa.timestamp("us"))
    instants = pc.assume_timezone(shown, zone, ambiguous="earliest", nonexistent="earliest")
    return np.asarray(instants.cast(pa.int64()).to_numpy(), dtype=np.float64)


def _zone(field: Field) -> str | None:
    if not field.is_time:
        return None
    zone = getattr(field.arrow_type, "tz", None)
    return None if zone in (None, "UTC") else str(zone)


def _spread(values: Matrix) -> float:
    low, high = np.quantile(values, [0.1, 0.9]) if len(values) else (0.0, 0.0)
    return float(high - low)

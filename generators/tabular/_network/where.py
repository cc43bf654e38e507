"""Conditions on cells: which cells a condition admits, and values inside them that meet it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.data.conditions import unmet
from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Condition, Where

from .cells import Codes, ColumnCells, Floats
from .table import TableCells

_POINTS = 33
_REDRAWS = 8


@dataclass(frozen=True)
class AdmissibleCells:
    """What a condition leaves of one column.

    Parameters
    ----------
    table : TableCells
        The table.
    j : int
        Which column of it.
    where : Where
        The condition on this column.
    share : numpy.ndarray
        Part of each cell that meets the condition, 0 to 1, shape (k,).
    values, cells : numpy.ndarray
        Some values that meet it and their cells, in the order of cells, shape (m,).
    """

    table: TableCells
    j: int
    where: Where
    share: Floats
    values: Floats
    cells: Codes

    @classmethod
    def of(cls, table: TableCells, j: int, condition: Condition) -> AdmissibleCells:
        """Return what `condition` leaves of column `j`.

        Raises
        ------
        ParameterError
            It leaves nothing.
        """
        column = table.columns[j]
        where = Where({column.column.field.name: condition})
        values, cells, n_regular = _candidates(column, condition)
        meets = _meets(table, j, where, values, cells)
        k = len(column.coarse)
        tried = np.bincount(cells[:n_regular], minlength=k)
        met = np.bincount(cells[:n_regular][meets[:n_regular]], minlength=k)
        share: Floats = met / np.maximum(tried, 1)
        # A single point of an interval holds no share of it and can be drawn all the same.
        named = np.bincount(cells[meets], minlength=k) > 0
        share = np.where(named, np.maximum(share, 1 / (4 * _POINTS)), 0.0)
        if not named.any():
            raise unmet(where)
        kept = np.flatnonzero(meets)
        kept = kept[np.argsort(cells[kept], kind="stable")]
        return cls(table, j, where, share, values[kept], cells[kept])

    def draw(self, cells: Codes, rng: np.random.Generator) -> Floats:
        """Return a value from each of these admissible cells that meets the condition, shape (n,)."""
        column = self.table.columns[self.j]
        values = column.draw(cells, rng)
        wrong = np.flatnonzero(~_meets(self.table, self.j, self.where, values, cells))
        for _ in range(_REDRAWS):
            if not len(wrong):
                return values
            values[wrong] = column.draw(cells[wrong], rng)
            again = _meets(self.table, self.j, self.where, values[wrong], cells[wrong])
            wrong = wrong[~again]
        first = np.searchsorted(self.cells, cells[wrong], side="left")
        last = np.searchsorted(self.cells, cells[wrong], side="right")
        values[wrong] = self.values[rng.integers(first, last)]
        return values


def admissible_parts(table: TableCells, where: Where | None) -> dict[int, AdmissibleCells]:
    """Return what `where` leaves of each column that it names, by position in the table.

    Raises
    ------
    SchemaError
        A column does not exist, or cannot be compared with the value.
    ParameterError
        A condition leaves nothing of a column.
    """
    if where is None or not where.conditions:
        return {}
    none = np.empty((0, len(table.columns)))
    table.decode(none, none.astype(np.int64)).mask(where)
    names = table.schema.names
    return {
        names.index(name): AdmissibleCells.of(table, names.index(name), condition)
        for name, condition in where.conditions.items()
    }


def _meets(
    table: TableCells, j: int, where: Where, values: Floats, cells: Codes
) -> npt.NDArray[np.bool_]:
    field = table.schema.fields[j]
    records = pa.table([table.column_of(j, values, cells)], names=[field.name])
    return Dataset(records, table.schema.select([field.name])).mask(where)


def _candidates(column: ColumnCells, condition: Condition) -> tuple[Floats, Codes, int]:
    """Return values all over the column and their cells; those after the first n are named ones."""
    k = len(column.coarse)
    if not column.is_number or not column.n_present:
        return np.arange(k, dtype=np.float64), np.arange(k), k
    points = np.linspace(0.02, column.knots.shape[1] - 1.02, _POINTS)
    cells = np.repeat(np.arange(column.n_present), _POINTS)
    values = column.value_at(cells, np.tile(points, column.n_present))
    cells = np.append(cells, np.arange(column.n_present, k))
    values = np.append(values, np.zeros(k - column.n_present))
    named = np.array(list(_named_values(condition, column)), dtype=np.float64)
    if len(named):
        step = column.column.step
        step = (
            max(step, 1.0) if step is not None and not column.column.field.is_continuous else step
        )
        near = [named, named - step, named + step] if step else [
            named, np.nextafter(named, -np.inf), np.nextafter(named, np.inf)
        ]  # fmt: skip
        named = np.clip(np.concatenate(near), column.column.low, column.column.high)
    own = np.searchsorted(column.starts, named, side="right").astype(np.int64)
    return np.append(values, named), np.append(cells, own), len(values)


def _named_values(condition: object, column: ColumnCells) -> Iterator[float]:
    """Yield the values that a condition on a number or time speaks of."""
    if isinstance(condition, Mapping):
        for part in condition.values():
            yield from _named_values(part, column)
    elif isinstance(condition, Sequence) and not isinstance(condition, str):
        for part in condition:
            yield from _named_values(part, column)
    elif condition is not None:
        kind = column.column.field.arrow_type
        if pa.types.is_timestamp(kind):
            given = pa.scalar(condition)
            yield float(given.cast(kind).cast(pa.int64()).as_py())
        elif isinstance(condition, str | int | float) and not isinstance(condition, date):
            yield float(condition)

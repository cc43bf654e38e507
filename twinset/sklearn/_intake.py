"""Take a caller's table in, whatever its type, and say clearly when it cannot be one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import RESERVED, Schema
from twinset.sklearn._arrays import ArrayTable
from twinset.sklearn._columns import Column, Rows, is_finite_sum
from twinset.sklearn._errors import SamplerInputError
from twinset.sklearn._frames import ArrowTable, PandasTable


class Table(Protocol):
    """A caller's table."""

    @property
    def names(self) -> tuple[str, ...]:
        """Distinct names of the columns, for rules and messages."""

    @property
    def feature_names(self) -> list[object] | None:
        """Names that the caller gave, if any."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns, in order."""

    def __len__(self) -> int: ...

    def taken(self, rows: Rows) -> Any:
        """Return the rows with these positions, in the caller's type."""

    def room(self, m: int) -> tuple[Any, npt.NDArray[np.float64]] | None:
        """Return an array of all rows with `m` empty ones, and these; None unless all are floats."""

    def finished(self, array: npt.NDArray[Any], seeds: Rows) -> Any:
        """Return the filled array of `room` in the caller's type."""

    def copied(self, seeds: Rows) -> Any:
        """Return all rows and then the ones at `seeds` again, in the caller's type."""

    def extended(self, made: Sequence[Dataset], seeds: Rows) -> Any:
        """Return all rows and then those made, in the caller's type."""


def take_in(data: object) -> Table:
    """Return the table of a numpy array, a list of rows, or a pandas, polars or pyarrow frame.

    Raises
    ------
    SamplerInputError
        It is empty or has not two dimensions.
    """
    if data is None:
        raise SamplerInputError("X is None", allowed="a table of features")
    library = type(data).__module__.partition(".")[0]
    frame: Any = data
    if library == "pandas" and hasattr(data, "iloc") and frame.ndim == 2:
        _check_size(*frame.shape)
        return PandasTable(frame, _plain_names(frame.columns))
    if library == "polars" and hasattr(data, "to_series"):
        _check_size(*frame.shape)
        return ArrowTable(frame, _plain_names(frame.columns), is_polars=True)
    if isinstance(data, pa.Table):
        _check_size(*data.shape)
        return ArrowTable(data, _plain_names(data.column_names), is_polars=False)
    return ArrayTable.of(data)


def whole_dataset_of(table: Table) -> Dataset:
    """Return all rows of a table as records to learn from."""
    columns = table.by_column() if isinstance(table, ArrayTable) else None
    if columns is None:
        return dataset_of(table, np.arange(len(table)))
    schema = Schema(tuple(column.field for column in table.columns))
    # Where nothing is missing, no bit for each value need say so.
    arrays = [pa.array(values, from_pandas=not is_finite_sum(values)) for values in columns]
    return Dataset.from_arrow(pa.table(arrays, names=list(schema.names)), schema)


def dataset_of(table: Table, rows: Rows, names: Sequence[str] | None = None) -> Dataset:
    """Return these rows of a table (and only the named columns) as records to learn from."""
    chosen = [one for one in table.columns if names is None or one.field.name in names]
    schema = Schema(tuple(column.field for column in chosen))
    arrays = [column.read(rows) for column in chosen]
    return Dataset.from_arrow(pa.table(arrays, names=list(schema.names)), schema)


def _check_size(n: int, d: int) -> None:
    if n < 1 or d < 1:
        raise SamplerInputError(
            f"Found array with {n} sample(s) and {d} feature(s) while a minimum of 1 is required."
        )


def _plain_names(given: Any) -> tuple[str, ...]:
    """Return a distinct text for each column name; reserved ones and doubles get a number."""
    names: list[str] = []
    for j, name in enumerate(given):
        text = str(name)
        while text in names or text in RESERVED:
            text = f"{text}.{j}"
        names.append(text)
    return tuple(names)

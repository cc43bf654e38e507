"""Numpy arrays and lists in and out: the path without any work on single cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.data.dataset import Dataset
from twinset.sklearn._columns import Column, Rows, infinite, is_finite_sum, of_numpy, of_objects
from twinset.sklearn._errors import SamplerInputError

_ROWS_AT_ONCE = 4_096


@dataclass(frozen=True)
class ArrayTable:
    """The rows of a two-dimensional array.

    Parameters
    ----------
    array : numpy.ndarray, shape (n, d)
        The rows.
    names : tuple of str
        Names of the columns, for rules and messages.
    as_list : bool
        Whether the caller gave, and gets, lists.
    """

    array: npt.NDArray[Any]
    names: tuple[str, ...]
    as_list: bool = False

    @classmethod
    def of(cls, data: object) -> ArrayTable:
        """Return the table of anything that numpy can read as a two-dimensional array.

        Raises
        ------
        SamplerInputError
            It has not two dimensions, is empty, complex or sparse, or holds infinity.
        """
        if hasattr(data, "toarray") and hasattr(data, "nnz"):
            raise TypeError(
                "Sparse data was passed, but dense data is required. Use '.toarray()' to convert."
            )
        array = np.asarray(data)
        if array.dtype.kind not in "fiubOUSmMc":
            array = array.astype(object)
        _check_shape(array)
        if array.dtype.kind == "f":
            _check_finite(array)
        names = tuple(f"x{j}" for j in range(array.shape[1]))
        return cls(array, names, isinstance(data, list | tuple))

    def __len__(self) -> int:
        return len(self.array)

    @property
    def feature_names(self) -> list[object] | None:
        """Names that the caller gave: none."""
        return None

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """The columns, in order."""
        return tuple(self._column(name, self.array[:, j]) for j, name in enumerate(self.names))

    def by_column(self) -> npt.NDArray[Any] | None:
        """Return the columns, each in one piece, shape (d, n); None unless all are floats."""
        if self.array.dtype not in (np.float64, np.float32):
            return None
        if self.array.flags.f_contiguous:
            return self.array.T
        columns = np.empty(self.array.shape[::-1], self.array.dtype)
        for start in range(0, len(self), _ROWS_AT_ONCE):
            rows = slice(start, start + _ROWS_AT_ONCE)
            columns[:, rows] = self.array[rows].T
        return columns

    def taken(self, rows: Rows) -> Any:
        """Return the rows with these positions."""
        return self._out(self.array[rows])

    def room(self, m: int) -> tuple[Any, npt.NDArray[np.float64]] | None:
        """Return all rows with `m` empty ones after them, and these; None unless all are floats."""
        if self.array.dtype != np.float64 or self.as_list:
            return None
        out = self._longer(m)
        return out, out[len(self) :]

    def finished(self, array: npt.NDArray[Any], seeds: Rows) -> Any:
        """Return the array of all rows as it is."""
        return array

    def copied(self, seeds: Rows) -> Any:
        """Return all rows and then the ones at `seeds` again."""
        return self.taken(np.concatenate([np.arange(len(self)), seeds]))

    def extended(self, made: Sequence[Dataset], seeds: Rows) -> Any:
        """Return all rows and then those made; `seeds` are the real rows these come from."""
        out = self._longer(sum(len(part) for part in made))
        start = len(self)
        for part in made:
            put(part, self.columns, out[start : start + len(part)])
            start += len(part)
        return self._out(out)

    def _longer(self, m: int) -> npt.NDArray[Any]:
        n, d = self.array.shape
        is_fortran = self.array.flags.f_contiguous and not self.array.flags.c_contiguous
        out = np.empty((n + m, d), self.array.dtype, "F" if is_fortran else "C")
        out[:n] = self.array
        return out

    def _column(self, name: str, values: npt.NDArray[Any]) -> Column:
        kind = values.dtype.kind
        if kind in "US":
            column = of_objects(name, values.astype(object))
            return Column(
                column.field, column.read, lambda made: column.write(made).astype(values.dtype)
            )
        return of_objects(name, values) if kind == "O" else of_numpy(name, values, is_checked=True)

    def _out(self, array: npt.NDArray[Any]) -> Any:
        return array.tolist() if self.as_list else array


def put(made: Dataset, columns: tuple[Column, ...], out: npt.NDArray[Any]) -> None:
    """Write drawn rows into `out`, shape (len(made), d), a block of rows at a time."""
    table = made.without_reserved().to_arrow()
    arrays = [column.write(whole_column(table.column(j))) for j, column in enumerate(columns)]
    if out.flags.f_contiguous:
        for j, values in enumerate(arrays):
            out[:, j] = values
        return
    for start in range(0, len(out), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        for j, values in enumerate(arrays):
            out[rows, j] = values[rows]


def whole_column(column: pa.ChunkedArray) -> pa.Array:
    """Return a column in one piece."""
    joined = column.combine_chunks()
    if isinstance(joined, pa.ChunkedArray):
        joined = joined.chunk(0) if joined.num_chunks else pa.array([], joined.type)
    return joined


def _check_shape(array: npt.NDArray[Any]) -> None:
    if array.dtype.kind == "c":
        raise SamplerInputError("Complex data not supported", todo="give real numbers")
    if array.ndim != 2:
        raise SamplerInputError(
            f"Expected 2D array, got {array.ndim}D array instead",
            todo="Reshape your data: array.reshape(-1, 1) for one column, (1, -1) for one row",
        )
    if array.shape[0] < 1:
        raise SamplerInputError(
            f"Found array with 0 sample(s) (shape={array.shape}) while a minimum of 1 is required."
        )
    if array.shape[1] < 1:
        raise SamplerInputError(
            f"0 feature(s) (shape={array.shape}) while a minimum of 1 is required."
        )


def _check_finite(array: npt.NDArray[Any]) -> None:
    if is_finite_sum(array):
        return
    for j in range(array.shape[1]):
        if np.isinf(array[:, j]).any():
            raise infinite(f"x{j}")

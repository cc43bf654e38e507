"""Input tables: arrays, lists and data frames as columns, and the resampled rows in the same type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import RESERVED, Schema
from twinset.sklearn._columns import (
    Column,
    Rows,
    SamplerInputError,
    infinite,
    is_finite_sum,
    label_texts,
    of_arrow,
    of_codes,
    of_numpy,
    of_objects,
)
from twinset.sklearn._longer import longer_columns, longer_index

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


@dataclass(frozen=True)
class PandasTable:
    """The rows of a pandas frame."""

    frame: Any
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def feature_names(self) -> list[object] | None:
        """Names that the caller gave."""
        return list(self.frame.columns)

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """The columns, in order."""
        return tuple(of_series(*named) for named in zip(self.names, self._series, strict=True))

    @cached_property
    def _series(self) -> tuple[Any, ...]:
        return tuple(series for _, series in self.frame.items())

    def taken(self, rows: Rows) -> Any:
        """Return the rows with these positions."""
        return self.frame.iloc[rows]

    def room(self, m: int) -> tuple[Any, npt.NDArray[np.float64]] | None:
        """Return all rows with `m` empty ones after them, and these; None unless all are floats.

        The frame shares the memory of the empty rows.
        """
        block = self._as_block()
        return None if block is None else block.room(m)

    def finished(self, array: npt.NDArray[Any], seeds: Rows) -> Any:
        """Return the array of all rows as a frame under a longer index."""
        import pandas as pd

        index = longer_index(self.frame.index, seeds)
        return pd.DataFrame(array, index=index, columns=self.frame.columns, copy=False)

    def copied(self, seeds: Rows) -> Any:
        """Return all rows and then the ones at `seeds` again, under a longer index."""
        rows = np.concatenate([np.arange(len(self)), seeds])
        return self.taken(rows).set_axis(longer_index(self.frame.index, seeds), axis=0)

    def extended(self, made: Sequence[Dataset], seeds: Rows) -> Any:
        """Return all rows and then those made, under the index that `longer_index` describes."""
        import pandas as pd

        if not made:
            return self.frame.copy()
        block = self._as_block()
        if block is not None:
            return self.finished(block.extended(made, seeds), seeds)
        index = longer_index(self.frame.index, seeds)
        whole_set = Dataset.concat(made)
        in_codes = [column.field.name for column in self.columns if column.takes_codes]
        others = [name for name in self.names if name not in in_codes]
        table = whole_set.select(others).without_reserved().to_arrow() if others else None
        written = []
        for column in self.columns:
            # Labels that are codes on both sides need not become texts between.
            drawn = whole_set.records if table is None or column.takes_codes else table
            written.append(column.write(whole_column(drawn.column(column.field.name))))
        frame = pd.DataFrame(longer_columns(self._series, written), index=index, copy=False)
        frame.columns = self.frame.columns
        return frame

    def _as_block(self) -> ArrayTable | None:
        """Return the frame as one array where all columns have one and the same numpy type."""
        dtypes = set(self.frame.dtypes)
        only = next(iter(dtypes))
        if len(dtypes) != 1 or not isinstance(only, np.dtype) or only.kind not in "fiub":
            return None
        return ArrayTable(self.frame.to_numpy(), self.names)


@dataclass(frozen=True)
class ArrowTable:
    """The rows of a pyarrow table or of a polars frame."""

    frame: Any
    names: tuple[str, ...]
    is_polars: bool

    def __len__(self) -> int:
        return len(self.frame) if self.is_polars else int(self.frame.num_rows)

    @property
    def feature_names(self) -> list[object] | None:
        """Names that the caller gave."""
        return list(self.frame.columns if self.is_polars else self.frame.column_names)

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """The columns, in order."""
        return tuple(of_arrow(name, self._arrow(j)) for j, name in enumerate(self.names))

    def taken(self, rows: Rows) -> Any:
        """Return the rows with these positions."""
        if self.is_polars:
            return self.frame[rows]
        kinds = self.frame.schema
        views = {"string_view": pa.large_string(), "binary_view": pa.large_binary()}
        plain = [views.get(str(kind), kind) for kind in kinds.types]
        if plain == kinds.types:
            return self.frame.take(pa.array(rows))
        # Arrow knows no way to take rows of views.
        named = pa.schema(list(zip(kinds.names, plain, strict=True)))
        return self.frame.cast(named).take(pa.array(rows)).cast(kinds)

    def room(self, m: int) -> None:
        """Return None: columns in Arrow are not rows of one array."""

    def finished(self, array: npt.NDArray[Any], seeds: Rows) -> Any:
        """Return the array: there is none to come here."""
        return array

    def copied(self, seeds: Rows) -> Any:
        """Return all rows and then the ones at `seeds` again."""
        return self.taken(np.concatenate([np.arange(len(self)), seeds]))

    def extended(self, made: Sequence[Dataset], seeds: Rows) -> Any:
        """Return all rows and then those made."""
        if not made:
            return self.frame.clone() if self.is_polars else self.frame
        table = Dataset.concat(made).without_reserved().to_arrow()
        new = [column.write(whole_column(table.column(j))) for j, column in enumerate(self.columns)]
        if self.is_polars:
            return self._longer_polars(new)
        kinds = self.frame.schema
        added = [array.cast(kind) for array, kind in zip(new, kinds.types, strict=True)]
        return pa.concat_tables([self.frame, pa.table(added, schema=kinds)])

    def _longer_polars(self, new: list[pa.Array]) -> Any:
        import polars as pl

        series = []
        for array, (name, dtype) in zip(new, self.frame.schema.items(), strict=True):
            if pa.types.is_dictionary(array.type):
                array = array.cast(array.type.value_type)
            series.append(pl.Series(name, pl.from_arrow(array)).cast(dtype))
        return pl.concat([self.frame, pl.DataFrame(series)], rechunk=True)

    def _arrow(self, j: int) -> pa.ChunkedArray:
        if not self.is_polars:
            return self.frame.column(j)
        column = self.frame.to_series(j)
        if str(column.dtype).startswith(("Categorical", "Enum")):
            column = column.cast(str)
        array = column.to_arrow()
        return array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])


def of_series(name: str, series: Any) -> Column:
    """Return the column of a pandas series of any type."""
    import pandas as pd

    dtype = series.dtype
    if isinstance(dtype, np.dtype):
        values = series.to_numpy()
        return of_objects(name, values) if dtype.kind == "O" else of_numpy(name, values)
    if isinstance(dtype, pd.CategoricalDtype):
        categories = series.cat.categories
        return of_codes(
            name,
            series.cat.codes.to_numpy(),
            label_texts(categories.to_list()),
            lambda codes: pd.Categorical.from_codes(codes, dtype=dtype),
        )
    if isinstance(dtype, pd.SparseDtype):
        dense = of_numpy(name, np.asarray(series.sparse.to_dense()))
        return Column(
            dense.field,
            dense.read,
            lambda made: pd.arrays.SparseArray(dense.write(made), dtype=dtype),
        )
    if isinstance(dtype, pd.DatetimeTZDtype):
        ticks = series.dt.tz_convert("UTC").dt.tz_localize(None)
        plain = of_numpy(name, ticks.to_numpy())
        return Column(
            plain.field,
            plain.read,
            lambda made: pd.Series(plain.write(made)).dt.tz_localize("UTC").astype(dtype),
        )
    if hasattr(dtype, "__from_arrow__") and not isinstance(
        dtype, pd.PeriodDtype | pd.IntervalDtype
    ):
        return _of_extension(name, series)
    codes, uniques = pd.factorize(series.array, use_na_sentinel=True)
    labels = label_texts([str(value) for value in uniques])
    return of_codes(name, codes, labels, lambda new: uniques.take(new, allow_fill=True))


def _of_extension(name: str, series: Any) -> Column:
    """Return the column of a nullable, text or Arrow-backed series."""
    array = pa.array(series.array)
    whole = array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])
    inner, dtype = of_arrow(name, whole), series.dtype

    def write(made: pa.Array) -> Any:
        written = inner.write(made)
        if not isinstance(written, pa.ChunkedArray):
            written = pa.chunked_array([written])
        return dtype.__from_arrow__(written)

    return Column(inner.field, inner.read, write)


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

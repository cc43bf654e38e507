"""Callers' tables: arrays, lists and data frames as columns, and resampled rows in the same type."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import RESERVED, Schema
from twinset.core.extras import optional
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
    whole_column,
)

Floats = npt.NDArray[np.float64]
_ROWS_AT_ONCE = 4_096  # rows transposed or written at a time: their columns stay in the cache


class Table(ABC):
    """A caller's table; `names` are distinct texts for its columns, for rules and messages."""

    names: tuple[str, ...]
    given_names: list[object] | None = None  # names that the caller gave

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def _columns(self) -> list[Column]: ...

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """The columns, in order."""
        return tuple(self._columns())

    @abstractmethod
    def take(self, rows: Rows) -> Any:
        """Return the rows with these positions, in the caller's type."""

    @abstractmethod
    def extend(self, new: Sequence[Dataset], seeds: Rows) -> Any:
        """Return all rows and then the new ones, in the caller's type.

        `seeds` are the real rows that these come from.
        """

    def copy_rows(self, seeds: Rows) -> Any:
        """Return all rows and then the ones at `seeds` again, in the caller's type."""
        return self.take(np.concatenate([np.arange(len(self)), seeds]))

    def allocate(self, m: int) -> tuple[Any, Floats] | None:
        """Return an array of all rows with `m` empty ones, and these; None unless all are floats."""
        return None

    def finish(self, array: npt.NDArray[Any], seeds: Rows) -> Any:
        """Return the filled array of `allocate` in the caller's type."""
        return array

    def dataset(self, rows: Rows, names: Sequence[str] | None = None) -> Dataset:
        """Return these rows (and only the named columns) as records to fit on."""
        chosen = [one for one in self.columns if names is None or one.field.name in names]
        return self._to_dataset(chosen, [column.read(rows) for column in chosen])

    def whole_dataset(self) -> Dataset:
        """Return all rows as records to fit on."""
        return self.dataset(np.arange(len(self)))

    def _to_dataset(self, columns: Sequence[Column], arrays: list[pa.Array]) -> Dataset:
        schema = Schema(tuple(column.field for column in columns))
        return Dataset.from_arrow(pa.table(arrays, names=list(schema.names)), schema)

    def _write(self, new: Sequence[Dataset]) -> list[Any]:
        """Return the columns of new rows, each in its own type."""
        whole = Dataset.concat(new)
        others = [column.field.name for column in self.columns if not column.takes_codes]
        table = whole.select(others).without_reserved().to_arrow() if others else None
        written = []
        for column in self.columns:
            # Labels that are codes before and after need not become texts between.
            drawn = whole.records if table is None or column.takes_codes else table
            written.append(column.write(whole_column(drawn.column(column.field.name))))
        return written


class _ArrayTable(Table):
    def __init__(self, array: npt.NDArray[Any], names: tuple[str, ...], as_list: bool) -> None:
        self.array, self.names, self.as_list = array, names, as_list

    @classmethod
    def from_data(cls, data: object) -> _ArrayTable:
        """Return the table of anything that numpy can read as a two-dimensional array."""
        if hasattr(data, "toarray") and hasattr(data, "nnz"):
            raise TypeError(
                "Sparse data was passed, but dense data is required. Use '.toarray()' to convert."
            )
        array = np.asarray(data)
        if array.dtype.kind not in "fiubOUSmMc":
            array = array.astype(object)
        if array.dtype.kind == "c":
            raise SamplerInputError("Complex data not supported", todo="give real numbers")
        if array.ndim != 2:
            raise SamplerInputError(
                f"Expected 2D array, got {array.ndim}D array instead",
                todo="Reshape your data: array.reshape(-1, 1) for one column, (1, -1) for one row",
            )
        _check_size(*array.shape)
        if array.dtype.kind == "f" and not is_finite_sum(array):
            for j in range(array.shape[1]):
                if np.isinf(array[:, j]).any():
                    raise infinite(f"x{j}")
        names = tuple(f"x{j}" for j in range(array.shape[1]))
        return cls(array, names, isinstance(data, list | tuple))

    def __len__(self) -> int:
        return len(self.array)

    def _columns(self) -> list[Column]:
        return [self._column(name, self.array[:, j]) for j, name in enumerate(self.names)]

    def _column(self, name: str, values: npt.NDArray[Any]) -> Column:
        kind = values.dtype.kind
        if kind in "US":
            column = of_objects(name, values.astype(object))
            return column.then(lambda drawn: drawn.astype(values.dtype))
        return of_objects(name, values) if kind == "O" else of_numpy(name, values, is_checked=True)

    def whole_dataset(self) -> Dataset:
        if self.array.dtype not in (np.float64, np.float32):
            return super().whole_dataset()
        columns = self.array.T
        if not self.array.flags.f_contiguous:
            columns = np.empty(self.array.shape[::-1], self.array.dtype)
            for start in range(0, len(self), _ROWS_AT_ONCE):
                rows = slice(start, start + _ROWS_AT_ONCE)
                columns[:, rows] = self.array[rows].T
        # Where nothing is missing, no mask is needed.
        arrays = [pa.array(values, from_pandas=not is_finite_sum(values)) for values in columns]
        return self._to_dataset(self.columns, arrays)

    def take(self, rows: Rows) -> Any:
        return self._out(self.array[rows])

    def allocate(self, m: int) -> tuple[Any, Floats] | None:
        if self.array.dtype != np.float64 or self.as_list:
            return None
        out = self._longer(m)
        return out, out[len(self) :]

    def extend(self, new: Sequence[Dataset], seeds: Rows) -> Any:
        n = len(self)
        out = self._longer(sum(len(part) for part in new))
        if new:
            arrays = self._write(new)
            step = len(out) if out.flags.f_contiguous else _ROWS_AT_ONCE
            for start in range(0, len(out) - n, step):
                for j, values in enumerate(arrays):
                    part = values[start : start + step]
                    out[n + start : n + start + len(part), j] = part
        return self._out(out)

    def _longer(self, m: int) -> npt.NDArray[Any]:
        n, d = self.array.shape
        is_fortran = self.array.flags.f_contiguous and not self.array.flags.c_contiguous
        out = np.empty((n + m, d), self.array.dtype, "F" if is_fortran else "C")
        out[:n] = self.array
        return out

    def _out(self, array: npt.NDArray[Any]) -> Any:
        return array.tolist() if self.as_list else array


class _PandasTable(Table):
    def __init__(self, frame: Any) -> None:
        self.frame, self.names = frame, _plain_names(frame.columns)
        self.given_names = list(frame.columns)
        self._series = [series for _, series in frame.items()]

    def __len__(self) -> int:
        return len(self.frame)

    def _columns(self) -> list[Column]:
        return [of_series(name, series) for name, series in zip(self.names, self._series)]

    def take(self, rows: Rows) -> Any:
        return self.frame.iloc[rows]

    def allocate(self, m: int) -> tuple[Any, Floats] | None:
        block = self._as_block()
        return None if block is None else block.allocate(m)

    def finish(self, array: npt.NDArray[Any], seeds: Rows) -> Any:
        pd = optional("pandas")
        index = extend_index(self.frame.index, seeds)
        return pd.DataFrame(array, index=index, columns=self.frame.columns, copy=False)

    def copy_rows(self, seeds: Rows) -> Any:
        return super().copy_rows(seeds).set_axis(extend_index(self.frame.index, seeds), axis=0)

    def extend(self, new: Sequence[Dataset], seeds: Rows) -> Any:
        pd = optional("pandas")
        if not new:
            return self.frame.copy()
        block = self._as_block()
        if block is not None:
            return self.finish(block.extend(new, seeds), seeds)
        columns = dict(enumerate(map(_append, self._series, self._write(new))))
        index = extend_index(self.frame.index, seeds)
        frame = pd.DataFrame(columns, index=index, copy=False)
        frame.columns = self.frame.columns
        return frame

    def _as_block(self) -> _ArrayTable | None:
        """Return the frame as one array where all columns have one and the same numpy type."""
        dtypes = set(self.frame.dtypes)
        only = next(iter(dtypes))
        if len(dtypes) != 1 or not isinstance(only, np.dtype) or only.kind not in "fiub":
            return None
        return _ArrayTable(self.frame.to_numpy(), self.names, as_list=False)


class _ArrowTable(Table):
    """The rows of a pyarrow table or of a polars frame."""

    def __init__(self, frame: Any, names: Sequence[str], is_polars: bool) -> None:
        self.frame, self.names, self.is_polars = frame, _plain_names(names), is_polars
        self.given_names = list(names)

    def __len__(self) -> int:
        return len(self.frame) if self.is_polars else int(self.frame.num_rows)

    def _columns(self) -> list[Column]:
        return [of_arrow(name, self._to_arrow(j)) for j, name in enumerate(self.names)]

    def _to_arrow(self, j: int) -> pa.ChunkedArray:
        if not self.is_polars:
            return self.frame.column(j)
        column = self.frame.to_series(j)
        if str(column.dtype).startswith(("Categorical", "Enum")):
            column = column.cast(str)
        array = column.to_arrow()
        return array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])

    def take(self, rows: Rows) -> Any:
        if self.is_polars:
            return self.frame[rows]
        kinds = self.frame.schema
        views = {"string_view": pa.large_string(), "binary_view": pa.large_binary()}
        plain = [views.get(str(kind), kind) for kind in kinds.types]
        if plain == kinds.types:
            return self.frame.take(pa.array(rows))
        # Arrow cannot take rows of views.
        named = pa.schema(list(zip(kinds.names, plain)))
        return self.frame.cast(named).take(pa.array(rows)).cast(kinds)

    def extend(self, new: Sequence[Dataset], seeds: Rows) -> Any:
        if not new:
            return self.frame.clone() if self.is_polars else self.frame
        written = self._write(new)
        if self.is_polars:
            return self._extend_polars(written)
        kinds = self.frame.schema
        added = [array.cast(kind) for array, kind in zip(written, kinds.types)]
        return pa.concat_tables([self.frame, pa.table(added, schema=kinds)])

    def _extend_polars(self, written: list[pa.Array]) -> Any:
        pl = optional("polars")
        series = []
        for array, (name, dtype) in zip(written, self.frame.schema.items()):
            if pa.types.is_dictionary(array.type):
                array = array.cast(array.type.value_type)
            series.append(pl.Series(name, pl.from_arrow(array)).cast(dtype))
        return pl.concat([self.frame, pl.DataFrame(series)], rechunk=True)


def of_series(name: str, series: Any) -> Column:
    """Return the column of a pandas series of any type."""
    pd = optional("pandas")
    dtype = series.dtype
    if isinstance(dtype, np.dtype):
        values = series.to_numpy()
        return of_objects(name, values) if dtype.kind == "O" else of_numpy(name, values)
    if isinstance(dtype, pd.CategoricalDtype):
        return of_codes(
            name,
            series.cat.codes.to_numpy(),
            label_texts(series.cat.categories.to_list()),
            lambda codes: pd.Categorical.from_codes(codes, dtype=dtype),
        )
    if isinstance(dtype, pd.SparseDtype):
        dense = of_numpy(name, np.asarray(series.sparse.to_dense()))
        return dense.then(lambda drawn: pd.arrays.SparseArray(drawn, dtype=dtype))
    if isinstance(dtype, pd.DatetimeTZDtype):
        plain = of_numpy(name, series.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy())
        return plain.then(lambda drawn: pd.Series(drawn).dt.tz_localize("UTC").astype(dtype))
    has_arrow = hasattr(dtype, "__from_arrow__")
    if has_arrow and not isinstance(dtype, pd.PeriodDtype | pd.IntervalDtype):
        # Nullable, text or Arrow-backed.
        inner = of_arrow(name, _chunked(pa.array(series.array)))
        return inner.then(lambda drawn: dtype.__from_arrow__(_chunked(drawn)))
    codes, uniques = pd.factorize(series.array, use_na_sentinel=True)
    labels = label_texts([str(value) for value in uniques])
    return of_codes(name, codes, labels, lambda new: uniques.take(new, allow_fill=True))


def _chunked(array: Any) -> pa.ChunkedArray:
    return array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])


def _append(old: Any, added: Any) -> Any:
    """Return the values of a series and then new ones, in its own type."""
    pd = optional("pandas")
    dtype = old.dtype
    if isinstance(dtype, np.dtype) and isinstance(added, np.ndarray) and added.dtype == dtype:
        if dtype.kind in "fiub":
            return np.concatenate([old.to_numpy(), added])
    elif isinstance(dtype, pd.CategoricalDtype) and added.dtype == dtype:
        codes = np.concatenate([old.cat.codes.to_numpy(), added.codes])
        return pd.Categorical.from_codes(codes, dtype=dtype)
    series = pd.Series(added, copy=False)
    if series.dtype != dtype:
        series = series.astype(dtype)
    return pd.concat([old, series], ignore_index=True).array


def extend_index(index: Any, seeds: Rows) -> Any:
    """Return the labels of all rows of a pandas frame: real rows keep theirs, new ones get further ones.

    Whole numbers go on after the greatest one, so 0 ... n - 1 becomes 0 ... n + m - 1. Texts become
    ``synthetic-0``, ``synthetic-1``, ... All others (dates, several levels) take the label of the
    real row that the new one comes from, so that no label is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> extend_index(pd.RangeIndex(3), np.array([0, 2]))
    RangeIndex(start=0, stop=5, step=1)
    >>> extend_index(pd.Index(["a", "b"]), np.array([0])).to_list()
    ['a', 'b', 'synthetic-0']
    """
    pd = optional("pandas")
    m = len(seeds)
    if isinstance(index, pd.RangeIndex) and index.start == 0 and index.step == 1:
        return pd.RangeIndex(len(index) + m, name=index.name)
    new = index.take(seeds)
    if not isinstance(index, pd.MultiIndex):
        if pd.api.types.is_integer_dtype(index.dtype) and not index.hasnans:
            first = int(index.max()) + 1 if len(index) else 0
            new = pd.Index(np.arange(first, first + m), dtype=index.dtype).rename(index.name)
        elif pd.api.types.infer_dtype(index) == "string":
            numbers = index.str.extract(r"^synthetic-(\d+)$", expand=False).dropna()
            first = int(numbers.astype("int64").max()) + 1 if len(numbers) else 0
            names = [f"synthetic-{i}" for i in range(first, first + m)]
            new = pd.Index(names, dtype=index.dtype).rename(index.name)
    return index.append(new)


def read_table(data: object) -> Table:
    """Return the table of a numpy array, a list of rows, or a pandas, polars or pyarrow frame.

    Raises
    ------
    SamplerInputError
        It has not two dimensions, is empty, complex, or holds infinity.
    """
    if data is None:
        raise SamplerInputError("X is None", allowed="a table of features")
    library = type(data).__module__.partition(".")[0]
    frame: Any = data
    if library == "pandas" and hasattr(data, "iloc") and frame.ndim == 2:
        _check_size(*frame.shape)
        return _PandasTable(frame)
    if library == "polars" and hasattr(data, "to_series"):
        _check_size(*frame.shape)
        return _ArrowTable(frame, frame.columns, is_polars=True)
    if isinstance(data, pa.Table):
        _check_size(*data.shape)
        return _ArrowTable(data, data.column_names, is_polars=False)
    return _ArrayTable.from_data(data)


def _check_size(n: int, d: int) -> None:
    # In the words that the estimator checks of scikit-learn look for.
    if n < 1:
        raise SamplerInputError(
            f"Found array with 0 sample(s) (shape={(n, d)}) while a minimum of 1 is required."
        )
    if d < 1:
        raise SamplerInputError(f"0 feature(s) (shape={(n, d)}) while a minimum of 1 is required.")


def _plain_names(given: Any) -> tuple[str, ...]:
    """Return a distinct text for each column name; reserved ones and doubles get a number."""
    names: list[str] = []
    for j, name in enumerate(given):
        text = str(name)
        while text in names or text in RESERVED:
            text = f"{text}.{j}"
        names.append(text)
    return tuple(names)

"""Frames of pandas, polars and pyarrow in and out, with their own types and index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.data.dataset import Dataset
from twinset.sklearn._arrays import ArrayTable, whole_column
from twinset.sklearn._columns import (
    Column,
    Rows,
    label_texts,
    of_arrow,
    of_codes,
    of_numpy,
    of_objects,
)
from twinset.sklearn._index import longer_index
from twinset.sklearn._longer import longer_columns


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

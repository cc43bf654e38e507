"""Tables as float matrices and back: the one encoding that every numeric generator shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.schema import TABULAR_KINDS, Field, Schema
from twinset.core.errors import DataError, SchemaError

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class EncodedColumn:
    """Where one field stands in the matrix, and what is needed to bring it back."""

    field: Field
    # Matrix column of its values: the number itself, microseconds since 1970, or a level's code
    value: int
    # Matrix column that is 1 where the value is missing, 0 elsewhere; None if it never is
    missing: int | None
    levels: tuple[str, ...]  # What the codes 0, 1, ... stand for; empty for numbers and datetimes
    # Grid that the values lie on (0.01 for cents, a day for dates); None for a free number
    step: float | None
    # Smallest and greatest value seen
    low: float
    high: float
    # What stands in the value column where the value is missing: the median, or the most frequent
    # code
    fill: float

    @property
    def is_nominal(self) -> bool:
        """Whether the values are codes of levels (category, boolean)."""
        return self.field.has_levels


@dataclass(frozen=True)
class TableEncoding:
    """A reversible map between the rows of a table and rows of floats.

    Each field takes one column, and a second one, the missing indicator, if a value is missing
    anywhere in the table that the encoding was made from. Values are left in their own unit: scale
    them as your method needs.

    Examples
    --------
    >>> import pyarrow as pa
    >>> real = Dataset.from_arrow(pa.table({"age": [31, 47, None], "sex": ["f", "m", "m"]}))
    >>> encoding = TableEncoding.from_dataset(real)
    >>> encoding.encode(real).tolist()
    [[31.0, 0.0, 0.0], [47.0, 0.0, 1.0], [39.0, 1.0, 1.0]]
    >>> encoding.decode(encoding.encode(real)).records.column("age").to_pylist()
    [31, 47, None]
    """

    schema: Schema
    columns: tuple[EncodedColumn, ...]

    @classmethod
    def from_dataset(cls, dataset: Dataset) -> TableEncoding:
        """Return the encoding that fits `dataset`."""
        columns, width = [], 0
        for field in dataset.schema.fields:
            if not field.is_tabular:
                raise SchemaError(
                    f"the column '{field.name}' cannot be encoded as numbers",
                    got=field.kind,
                    allowed=", ".join(sorted(TABULAR_KINDS)),
                )
            column = _describe(dataset, field, width)
            columns.append(column)
            width += 1 if column.missing is None else 2
        return cls(dataset.schema, tuple(columns))

    @property
    def width(self) -> int:
        """Number of matrix columns, d."""
        return sum(1 if column.missing is None else 2 for column in self.columns)

    def encode(self, dataset: Dataset) -> Matrix:
        """Return the rows as floats, shape (n, d), free of NaN."""
        matrix = np.empty((len(dataset), self.width))
        for column in self.columns:
            name = column.field.name
            values = _values(dataset, column)
            missing = np.isnan(values)
            if column.missing is not None:
                matrix[:, column.missing] = missing
            elif missing.any():
                raise DataError(
                    f"the column '{name}' has missing values that the train set did not have",
                    got=f"{int(missing.sum())} of them",
                )
            matrix[:, column.value] = np.where(missing, column.fill, values)
        return matrix

    def decode(
        self,
        matrix: npt.NDArray[np.floating[Any]],  # rows of floats, shape (n, d), finite
        rng: np.random.Generator | None = None,  # stream for rounding at random
        *,
        names: Sequence[str] | None = None,  # the fields wanted; all by default
    ) -> Dataset:
        """Return the rows that the floats stand for.

        Numbers are held inside the range seen and put on their grid (integers, decimals, whole
        days): to the nearest point, or, when `rng` is given, up or down at random so that the mean
        stays as it is. Codes go to the nearest level; an indicator of 0.5 or more means missing.
        """
        schema = self.schema if names is None else self.schema.select(names)
        own = {column.field.name: column for column in self.columns}
        arrays = []
        for column in (own[name] for name in schema.names):
            missing = (
                np.zeros(len(matrix), dtype=bool)
                if column.missing is None
                else matrix[:, column.missing] >= 0.5
            )
            values = np.asarray(matrix[:, column.value], dtype=np.float64)
            arrays.append(to_arrow(column, values, missing, rng))
        records = pa.table(arrays, names=list(schema.names))
        return Dataset(records, schema, Card(name="synthetic", origin="synthetic"))


def to_arrow(
    column: EncodedColumn,
    values: Matrix,
    missing: npt.NDArray[np.bool_],
    rng: np.random.Generator | None = None,
) -> pa.Array:
    """Return one column of floats, shape (n,), as the field's Arrow array."""
    values = np.clip(values, column.low, column.high)
    if column.is_nominal:
        return label_array(column, np.rint(values).astype(np.int32), missing)
    if column.step is not None:
        values = round_to_step(values, column.step, rng)
    return number_array(column.field, values, missing)


def label_array(
    column: EncodedColumn, codes: npt.NDArray[np.int32], missing: npt.NDArray[np.bool_] | None
) -> pa.Array:
    """Return codes of levels, shape (n,), as the field's Arrow array."""
    if not column.levels:
        return pa.nulls(len(codes), column.field.arrow_type)
    if pa.types.is_boolean(column.field.arrow_type):
        return pa.array(np.array(column.levels)[codes] == "true", mask=missing)
    indices = pa.array(np.ascontiguousarray(codes), mask=missing)
    return pa.DictionaryArray.from_arrays(indices, pa.array(column.levels, pa.string()))


def number_array(field: Field, values: Matrix, missing: npt.NDArray[np.bool_] | None) -> pa.Array:
    """Return numbers, integers or microseconds, shape (n,), as the field's Arrow array."""
    kind = field.arrow_type
    if field.is_continuous:
        return _cast(pa.array(values, mask=missing), kind)
    filled = values if missing is None else np.where(missing, 0.0, values)
    # The greatest 64-bit integers have no exact float.
    is_unsigned = pa.types.is_unsigned_integer(kind)
    low, high = (0.0, 2.0**64) if is_unsigned else (-(2.0**63), 2.0**63)
    clipped = np.clip(filled, low, np.nextafter(high, 0))
    whole = clipped.astype(np.uint64 if is_unsigned else np.int64)
    return _cast(pa.array(whole, mask=missing), kind)


def _cast(array: pa.Array, kind: pa.DataType) -> pa.Array:
    return array if array.type == kind else array.cast(kind, safe=False)


def round_to_step(values: Matrix, step: float, rng: np.random.Generator | None = None) -> Matrix:
    """Return the values on the grid of `step`: the nearest point, or with `rng` unbiased at random."""
    scaled = values / step
    points = np.rint(scaled)
    if rng is not None:
        floor = np.floor(scaled)
        drawn = floor + (rng.random(len(values)) < scaled - floor)
        # A value that is on the grid but for the last bits stays where it is.
        points = np.where(np.abs(scaled - points) < 1e-6, points, drawn)
    if step < 1:
        return np.asarray(np.round(points * step, round(-np.log10(step))))
    return np.asarray(points * step)


def _describe(dataset: Dataset, field: Field, position: int) -> EncodedColumn:
    step = None
    nulls = bool(dataset.is_null(field.name).any())
    levels: tuple[str, ...] = ()
    if field.has_levels:
        codes, levels = dataset.codes(field.name)
        counts = np.bincount(codes[codes >= 0], minlength=1)
        low, high, fill = 0.0, float(max(len(levels) - 1, 0)), float(counts.argmax())
    else:
        present = dataset.values(field.name)
        present = present[~np.isnan(present)]
        step = field.column_kind.step(present, field.decimals)
        low, high, fill = 0.0, 0.0, 0.0
        if len(present):
            low, high, fill = float(present.min()), float(present.max()), float(np.median(present))
    return EncodedColumn(
        field=field,
        value=position,
        missing=position + 1 if nulls else None,
        levels=levels,
        step=step,
        low=low,
        high=high,
        fill=fill,
    )


def _values(dataset: Dataset, column: EncodedColumn) -> Matrix:
    name = column.field.name
    if not column.is_nominal:
        return dataset.values(name)
    codes, levels = dataset.codes(name)
    known = {level: float(code) for code, level in enumerate(column.levels)}
    strangers = [level for level in levels if level not in known]
    if strangers:
        raise DataError(
            f"the column '{name}' holds labels that the train set did not have",
            got=f"{len(strangers)} of them",
        )
    table = np.array([*(known[level] for level in levels), np.nan])
    return np.asarray(table[codes])

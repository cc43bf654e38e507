"""Columns of a caller's table as Arrow arrays and back, and the errors of the samplers."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.arrow_tables import infer_schema
from twinset.core.data.kinds.number import count_decimals
from twinset.core.data.schema import Field, Kind
from twinset.core.errors import TwinsetError


class SamplerInputError(TwinsetError, ValueError):
    """The data or a setting cannot be used by a sampler.

    Examples
    --------
    >>> isinstance(SamplerInputError("no rows"), ValueError)
    True
    """

    @classmethod
    def from_error(cls, error: TwinsetError) -> SamplerInputError:
        """Return the error of a component as one that scikit-learn's tools understand."""
        return cls(error.message, got=error.got, allowed=error.allowed, todo=error.todo)


class NothingToAdd(UserWarning):
    """No class is short of rows: the real rows came back as they are."""


class RulesExcludedWarning(UserWarning):
    """Rules that all real rows satisfy, found by discovery, could not be enforced in new rows."""


Rows = npt.NDArray[np.int64]
_KEY_WORD = re.compile(r"(id|no|nr|key|number|ssn|account|card|phone)$", re.IGNORECASE)
"""Names of whole numbers that may be keys."""
_GLANCE, _LOOK = (
    32,
    2_000,
)  # values read first: most columns of free numbers show it in the first 32
_MAX_LABEL = 64  # characters; longer texts become a digest of 64, which costs less to compare


@dataclass(frozen=True)
class Column:
    """One column of real rows.

    Texts, identifiers and all that is neither number, boolean nor date are categories: their values are
    copied from real rows, never invented.
    """

    field: Field
    read: Callable[[Rows], pa.Array]  # positions -> these values
    write: Callable[
        [pa.Array], Any
    ]  # new values of the stored type -> the same in the column's type
    takes_codes: bool = False  # `write` reads labels as a dictionary array, too

    def then(self, convert: Callable[[Any], Any]) -> Column:
        """Return the column with a further conversion of what `write` returns."""
        return replace(self, write=lambda drawn: convert(self.write(drawn)))


def of_numpy(name: str, values: npt.NDArray[Any], *, is_checked: bool = False) -> Column:
    """Return a numpy column of numbers, booleans or dates; NaN and NaT are missing.

    Raises
    ------
    SamplerInputError
        It holds infinity; `is_checked` says that this is known not to be so.
    """
    dtype = values.dtype
    if dtype.kind == "m":
        return _numpy_durations(name, values)

    def write(drawn: pa.Array) -> npt.NDArray[Any]:
        return np.asarray(drawn.to_numpy(zero_copy_only=False)).astype(dtype, copy=False)

    if dtype.kind == "M":
        unit = np.datetime_data(dtype)[0]
        kept = values if unit in ("s", "ms", "us", "ns") else values.astype("M8[s]")
        kind = pa.timestamp(np.datetime_data(kept.dtype)[0])
        field = _field(name, "datetime", kind)
        return Column(field, lambda rows: pa.array(kept[rows], kind), write)
    if dtype.kind == "f" and dtype not in (np.float32, np.float64):
        values = values.astype(np.float32 if dtype.itemsize < 4 else np.float64)
    if dtype.kind == "f" and not is_checked and _holds_infinity(values):
        raise infinite(name)
    field = _numeric_field(name, values)
    return Column(field, lambda rows: pa.array(values[rows], from_pandas=True), write)


def of_arrow(name: str, values: pa.ChunkedArray) -> Column:
    """Return an Arrow column of any type but nested ones, which raise a SamplerInputError."""
    kind = values.type
    if pa.types.is_duration(kind) or pa.types.is_time(kind):
        ticks = pa.int32() if pa.types.is_time32(kind) else pa.int64()
        step = _largest_step(np.asarray(pc.cast(values.drop_null(), ticks).to_numpy()))
        scale = pa.scalar(step, ticks)
        inner = of_arrow(name, pc.divide(pc.cast(values, ticks), scale))
        return inner.then(lambda drawn: pc.cast(pc.multiply(drawn, scale), kind))
    if pa.types.is_nested(kind):
        raise SamplerInputError(
            f"the column '{name}' is nested",
            got=str(kind)[:80],
            allowed="numbers, texts, booleans, dates and categories",
            todo="leave the column out",
        )
    if pa.types.is_floating(kind) and not pa.types.is_float16(kind):
        return _arrow_floats(name, values)
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        numbers = values.drop_null().to_numpy()
        field = _numeric_field(name, np.asarray(numbers), str(kind))
    elif pa.types.is_decimal(kind):
        field = _field(name, "number", kind, decimals=kind.scale)
    elif pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        field = _field(name, "datetime", kind)
    else:
        return _coded_arrow(name, values)
    whole = whole_column(values)
    return Column(field, lambda rows: whole.take(pa.array(rows)), lambda drawn: drawn)


def of_codes(
    name: str,
    codes: npt.NDArray[np.integer[Any]],
    labels: list[str],
    write_codes: Callable[[npt.NDArray[np.integer[Any]]], Any],
) -> Column:
    """Return a column of codes into `labels`, -1 for missing; `write_codes` turns codes into values."""
    levels = pa.array(labels, pa.string())

    def read(rows: Rows) -> pa.Array:
        chosen = np.asarray(codes[rows], dtype=np.int32)
        return pa.DictionaryArray.from_arrays(pa.array(chosen, mask=chosen < 0), levels)

    def write(drawn: pa.Array) -> Any:
        if pa.types.is_dictionary(drawn.type):
            own = pc.index_in(pc.cast(drawn.dictionary, pa.string()), value_set=levels)
            found = own.take(drawn.indices)
        else:
            found = pc.index_in(pc.cast(drawn, pa.string()), value_set=levels)
        return write_codes(pc.fill_null(found, -1).to_numpy(zero_copy_only=False))

    field = Field(name=name, kind="category", stored="string")
    return Column(field, read, write, takes_codes=True)


def of_objects(name: str, values: npt.NDArray[Any]) -> Column:
    """Return a column of Python objects: as Arrow reads them, else each distinct one as a label."""
    try:
        arrow = pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        return _coded_objects(name, values)
    kind, types = arrow.type, pa.types
    if (
        types.is_nested(kind)
        or types.is_binary(kind)
        or types.is_null(kind)
        or types.is_string(kind)
    ):
        return _coded_objects(name, values)
    absent = next((v for v in values[: 100 * _LOOK] if _is_missing(v)), None)

    def to_objects(drawn: pa.Array) -> npt.NDArray[Any]:
        out = np.empty(len(drawn), dtype=object)
        out[:] = drawn.to_pylist()
        if drawn.null_count and absent is not None:
            out[np.asarray(pc.is_null(drawn).to_numpy(zero_copy_only=False))] = absent
        return out

    return of_arrow(name, pa.chunked_array([arrow])).then(to_objects)


def label_texts(values: list[Any]) -> list[str]:
    """Return a distinct text for each distinct value: its own, or a digest where that is long.

    The text depends on the value alone, not on the order in which values come.
    """
    texts = [str(value) for value in values]
    if len(set(texts)) < len(texts):
        texts = [f"{type(value).__name__} {value!r}" for value in values]
    return [
        text if len(text) <= _MAX_LABEL else hashlib.sha256(text.encode()).hexdigest()
        for text in texts
    ]


def _numeric_field(name: str, values: npt.NDArray[Any], stored: str = "") -> Field:
    """Return the field of numbers or booleans; two neighboring whole values are labels, so are keys."""
    stored = stored or str(pa.from_numpy_dtype(values.dtype))
    if values.dtype.kind == "b":
        return Field(name=name, kind="boolean", stored=stored)
    is_key = (
        values.dtype.kind in "iu"
        and _KEY_WORD.search(name)
        and infer_schema(pa.table({name: values})).fields[0].kind == "id"
    )
    if _is_flag(values) or is_key:
        return Field(name=name, kind="category", stored=stored)
    if values.dtype.kind in "iu":
        return Field(name=name, kind="integer", stored=stored)
    return Field(name=name, kind="number", stored=stored, decimals=_decimals(values))


def _is_flag(values: npt.NDArray[Any]) -> bool:
    """Return whether a column holds two neighboring whole numbers and nothing else but gaps."""
    return all(_has_two_values(part) for part in (values[:_LOOK], values))


def _has_two_values(values: npt.NDArray[Any]) -> bool:
    present = values[~np.isnan(values)] if values.dtype.kind == "f" else values
    if not len(present):
        return False
    low, high = present.min(), present.max()
    if float(high) - float(low) > 1 or float(low) % 1 or float(high) % 1:
        return False
    return bool(np.all((present == low) | (present == high)))


def _decimals(values: npt.NDArray[Any]) -> int | None:
    """Return the digits after the point; a few values are read before all of them."""
    whole = values.astype(np.float64, copy=False)
    for part in (whole[:_GLANCE], whole[:_LOOK], whole):
        found = count_decimals(part[np.isfinite(part)])
        if found is None:
            return None
    return found


def _field(name: str, kind: Kind, stored: pa.DataType, decimals: int | None = None) -> Field:
    return Field(name=name, kind=kind, stored=str(stored), decimals=decimals)


def _numpy_durations(name: str, values: npt.NDArray[Any]) -> Column:
    """Return a column of durations: whole numbers of the largest unit that they are made of."""
    ticks, absent = values.view(np.int64), np.isnat(values)
    step = _largest_step(ticks[~absent])
    whole = np.where(absent, 0, ticks) // step

    def write(drawn: pa.Array) -> npt.NDArray[Any]:
        is_missing = np.asarray(pc.is_null(drawn).to_numpy(zero_copy_only=False))
        out = pc.fill_null(drawn, 0).to_numpy(zero_copy_only=False).astype(np.int64) * step
        out[is_missing] = np.iinfo(np.int64).min
        return np.asarray(out.view(values.dtype))

    field = _field(name, "integer", pa.int64())
    return Column(field, lambda rows: pa.array(whole[rows], mask=absent[rows]), write)


def _largest_step(ticks: npt.NDArray[np.integer[Any]]) -> int:
    """Return the largest power of ten, times 1, 60, 3,600 or 86,400, that divides all values."""
    powers = [unit * 10**power for unit in (86_400, 3_600, 60, 1) for power in (9, 6, 3, 0)]
    fits = (step for step in sorted(powers, reverse=True) if not np.any(ticks % step))
    return next(fits, 1)


def whole_column(column: pa.ChunkedArray) -> pa.Array:
    """Return a column in one piece."""
    joined = column.combine_chunks()
    if isinstance(joined, pa.ChunkedArray):
        return pa.concat_arrays(joined.chunks) if joined.num_chunks else pa.array([], joined.type)
    return joined


def _arrow_floats(name: str, values: pa.ChunkedArray) -> Column:
    """Return a column of floats; missing is NaN again where the column has it so."""
    numbers = np.asarray(values.to_numpy())
    if _holds_infinity(numbers):
        raise infinite(name)
    has_nan = values.null_count == 0 and bool(np.isnan(numbers).any())
    nan = pa.scalar(float("nan"), values.type)
    return Column(
        _numeric_field(name, numbers, str(values.type)),
        lambda rows: pa.array(numbers[rows], values.type, from_pandas=True),
        lambda drawn: pc.fill_null(drawn, nan) if has_nan else drawn,
    )


def is_finite_sum(values: npt.NDArray[np.floating[Any]]) -> bool:
    """Return whether values add up to a finite number: then none is infinite, nor missing."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(np.sum(values, dtype=np.float64)))


def _holds_infinity(values: npt.NDArray[np.floating[Any]]) -> bool:
    return not is_finite_sum(values) and bool(np.isinf(values).any())


def infinite(name: str) -> SamplerInputError:
    """Return the error for a column that holds infinity."""
    return SamplerInputError(
        f"the column '{name}' contains infinity",
        allowed="finite numbers and missing values",
        todo="replace infinity in the data",
    )


def _coded_arrow(name: str, values: pa.ChunkedArray) -> Column:
    kind = values.type
    if str(kind) in ("string_view", "binary_view"):
        plain = pa.large_string() if str(kind) == "string_view" else pa.large_binary()
        return _coded_arrow(name, pc.cast(values, plain)).then(lambda drawn: pc.cast(drawn, kind))
    if pa.types.is_null(kind):
        return of_codes(name, np.full(len(values), -1), [], lambda codes: pa.nulls(len(codes)))
    whole = whole_column(values.unify_dictionaries() if pa.types.is_dictionary(kind) else values)
    coded = whole if pa.types.is_dictionary(kind) else pc.dictionary_encode(whole)
    codes = pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    levels = coded.dictionary

    def write(new: npt.NDArray[np.integer[Any]]) -> pa.Array:
        indices = pa.array(new.astype(np.int32), mask=new < 0)
        if pa.types.is_dictionary(kind):
            return pa.DictionaryArray.from_arrays(indices.cast(kind.index_type), levels).cast(kind)
        return levels.take(indices)

    return of_codes(name, codes, label_texts(levels.to_pylist()), write)


def _coded_objects(name: str, values: npt.NDArray[Any]) -> Column:
    known: dict[Any, int] = {}
    absent: Any = None
    codes = np.empty(len(values), dtype=np.int64)
    try:
        for i, value in enumerate(values.tolist()):
            if _is_missing(value):
                absent, codes[i] = value, -1
            else:
                codes[i] = known.setdefault((type(value), value), len(known))
    except TypeError as error:
        raise SamplerInputError(
            f"the column '{name}' holds values that cannot be compared",
            allowed="numbers, texts, booleans, dates and other hashable values",
            todo="leave the column out",
        ) from error
    levels = np.empty(len(known) + 1, dtype=object)
    levels[: len(known)] = [value for _, value in known]
    levels[-1] = absent
    return of_codes(name, codes, label_texts(levels[:-1].tolist()), lambda new: levels[new])


def _is_missing(value: object) -> bool:
    """Return whether a cell is None, NaN, NaT or pandas' NA, which may not equal itself."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating) and bool(value != value)

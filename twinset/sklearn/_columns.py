"""Columns of one type as numpy arrays, and the errors of the samplers."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
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
    def of(cls, error: TwinsetError) -> SamplerInputError:
        """Return the error of a component as one that scikit-learn's tools understand."""
        return cls(error.what, got=error.got, allowed=error.allowed, todo=error.todo)


class NothingToAdd(UserWarning):
    """No class is short of rows: the real rows came back as they are."""


class RulesExcludedWarning(UserWarning):
    """Rules that all real rows keep, found by looking, could not be held in new rows."""


Rows = npt.NDArray[np.int64]
_KEY_WORD = re.compile(r"(id|no|nr|key|number|ssn|account|card|phone)$", re.IGNORECASE)
"""Names at which it is worth asking whether whole numbers are keys."""
_GLANCE, _LOOK = 32, 2_000
_LONGEST_LABEL = 64


@dataclass(frozen=True)
class Column:
    """One column of real rows.

    Parameters
    ----------
    field : Field
        What it is to the generators. Texts, identifiers and all that is neither number, boolean nor
        date are categories: their values are copied from real rows, never invented.
    read : callable
        Positions -> these values as an Arrow array.
    write : callable
        New values, an Arrow array of the field's stored type -> the same in the column's own type.
    takes_codes : bool
        Whether `write` reads labels as a dictionary array, too.
    """

    field: Field
    read: Callable[[Rows], pa.Array]
    write: Callable[[pa.Array], Any]
    takes_codes: bool = False


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
    if dtype.kind == "M":
        unit = np.datetime_data(dtype)[0]
        kept = values if unit in ("s", "ms", "us", "ns") else values.astype("M8[s]")
        kind = pa.timestamp(np.datetime_data(kept.dtype)[0])
        return Column(
            _field(name, "datetime", kind),
            lambda rows: pa.array(kept[rows], kind),
            lambda made: np.asarray(made.to_numpy(zero_copy_only=False)).astype(dtype),
        )
    if dtype.kind == "f" and dtype not in (np.float32, np.float64):
        values = values.astype(np.float32 if dtype.itemsize < 4 else np.float64)
    if dtype.kind == "f" and not is_checked and _holds_infinity(values):
        raise infinite(name)
    return Column(
        _numeric_field(name, values),
        lambda rows: pa.array(values[rows], from_pandas=True),
        lambda made: np.asarray(made.to_numpy(zero_copy_only=False)).astype(dtype, copy=False),
    )


def of_arrow(name: str, values: pa.ChunkedArray) -> Column:
    """Return an Arrow column of any type but nested ones.

    Raises
    ------
    SamplerInputError
        The column is nested.
    """
    kind = values.type
    if pa.types.is_duration(kind) or pa.types.is_time(kind):
        ticks = pa.int32() if pa.types.is_time32(kind) else pa.int64()
        step = _largest_step(np.asarray(pc.cast(values.drop_null(), ticks).to_numpy()))
        inner = of_arrow(name, pc.divide(pc.cast(values, ticks), pa.scalar(step, ticks)))
        return Column(
            inner.field,
            inner.read,
            lambda made: pc.cast(pc.multiply(inner.write(made), pa.scalar(step, ticks)), kind),
        )
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
    whole = _joined(values)
    return Column(field, lambda rows: whole.take(pa.array(rows)), lambda made: made)


def of_codes(
    name: str,
    codes: npt.NDArray[np.integer[Any]],
    labels: list[str],
    write: Callable[[npt.NDArray[np.integer[Any]]], Any],
) -> Column:
    """Return a column of codes into `labels`, -1 for missing; `write` turns codes into values."""
    levels = pa.array(labels, pa.string())

    def read(rows: Rows) -> pa.Array:
        chosen = np.asarray(codes[rows], dtype=np.int32)
        return pa.DictionaryArray.from_arrays(pa.array(chosen, mask=chosen < 0), levels)

    def back(made: pa.Array) -> Any:
        if pa.types.is_dictionary(made.type):
            own = pc.index_in(pc.cast(made.dictionary, pa.string()), value_set=levels)
            found = own.take(made.indices)
        else:
            found = pc.index_in(pc.cast(made, pa.string()), value_set=levels)
        return write(pc.fill_null(found, -1).to_numpy(zero_copy_only=False))

    field = Field(name=name, kind="category", stored="string")
    return Column(field, read, back, takes_codes=True)


def of_objects(name: str, values: npt.NDArray[Any]) -> Column:
    """Return a column of Python objects: as Arrow reads them, else each distinct one a label."""
    try:
        arrow = pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        return _coded_objects(name, values)
    if pa.types.is_nested(arrow.type) or pa.types.is_binary(arrow.type):
        return _coded_objects(name, values)
    if pa.types.is_null(arrow.type) or pa.types.is_string(arrow.type):
        return _coded_objects(name, values)
    inner = of_arrow(name, pa.chunked_array([arrow]))
    absent = next((v for v in values[: 100 * _LOOK] if _is_missing(v)), None)
    return Column(inner.field, inner.read, lambda made: _objects(inner.write(made), absent))


def label_texts(values: list[Any]) -> list[str]:
    """Return a distinct text for each distinct value: its own, or a digest where that is long.

    The text depends on the value alone, not on the order in which values come.
    """
    texts = [str(value) for value in values]
    if len(set(texts)) < len(texts):
        texts = [f"{type(value).__name__} {value!r}" for value in values]
    return [
        text if len(text) <= _LONGEST_LABEL else hashlib.sha256(text.encode()).hexdigest()
        for text in texts
    ]


def _numeric_field(name: str, values: npt.NDArray[Any], stored: str = "") -> Field:
    """Return the field of numbers or booleans; two neighbouring whole values are labels."""
    stored = stored or str(pa.from_numpy_dtype(values.dtype))
    if values.dtype.kind == "b":
        return Field(name=name, kind="boolean", stored=stored)
    if _is_flag(values):
        return Field(name=name, kind="category", stored=stored)
    if values.dtype.kind in "iu":
        if _KEY_WORD.search(name) and _is_key(name, values):
            return Field(name=name, kind="category", stored=stored)
        return Field(name=name, kind="integer", stored=stored)
    return Field(name=name, kind="number", stored=stored, decimals=_decimals(values))


def _is_key(name: str, values: npt.NDArray[Any]) -> bool:
    """Whether whole numbers name persons or things: then they are copied, as labels are."""
    return infer_schema(pa.table({name: values})).fields[0].column_kind.is_key


def _is_flag(values: npt.NDArray[Any]) -> bool:
    """Whether a column holds two neighbouring whole numbers and nothing else but missing values."""
    head = _flag_values(values[:_LOOK])
    return head is not None and (len(values) <= _LOOK or _flag_values(values) is not None)


def _flag_values(values: npt.NDArray[Any]) -> tuple[float, float] | None:
    present = values[~np.isnan(values)] if values.dtype.kind == "f" else values
    if not len(present):
        return None
    low, high = present.min(), present.max()
    if float(high) - float(low) > 1 or float(low) % 1 or float(high) % 1:
        return None
    return (float(low), float(high)) if np.all((present == low) | (present == high)) else None


def _decimals(values: npt.NDArray[Any]) -> int | None:
    """Return the digits after the point, looking at a few values before at all of them."""
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

    def write(made: pa.Array) -> npt.NDArray[Any]:
        gone = np.asarray(pc.is_null(made).to_numpy(zero_copy_only=False))
        drawn = pc.fill_null(made, 0).to_numpy(zero_copy_only=False).astype(np.int64) * step
        drawn[gone] = np.iinfo(np.int64).min
        return np.asarray(drawn.view(values.dtype))

    return Column(
        _field(name, "integer", pa.int64()),
        lambda rows: pa.array(whole[rows], mask=absent[rows]),
        write,
    )


def _largest_step(ticks: npt.NDArray[np.integer[Any]]) -> int:
    """Return the largest power of ten, times 1, 60, 3,600 or 86,400, that divides all values."""
    powers = [unit * 10**power for unit in (86_400, 3_600, 60, 1) for power in (9, 6, 3, 0)]
    fits = (step for step in sorted(powers, reverse=True) if not np.any(ticks % step))
    return next(fits, 1)


def _joined(values: pa.ChunkedArray) -> pa.Array:
    joined = values.combine_chunks()
    if isinstance(joined, pa.ChunkedArray):
        return pa.concat_arrays(joined.chunks) if joined.num_chunks else pa.array([], joined.type)
    return joined


def _arrow_floats(name: str, values: pa.ChunkedArray) -> Column:
    """Return a column of floats; missing is NaN again where the column says it so."""
    numbers = np.asarray(values.to_numpy())
    if _holds_infinity(numbers):
        raise infinite(name)
    says_nan = values.null_count == 0 and bool(np.isnan(numbers).any())
    nan = pa.scalar(float("nan"), values.type)
    return Column(
        _numeric_field(name, numbers, str(values.type)),
        lambda rows: pa.array(numbers[rows], values.type, from_pandas=True),
        lambda made: pc.fill_null(made, nan) if says_nan else made,
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
        inner = _coded_arrow(name, pc.cast(values, plain))
        return Column(inner.field, inner.read, lambda made: pc.cast(inner.write(made), kind))
    if pa.types.is_null(kind):
        return of_codes(name, np.full(len(values), -1), [], lambda codes: pa.nulls(len(codes)))
    whole = _joined(values.unify_dictionaries() if pa.types.is_dictionary(kind) else values)
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
    """Whether a cell is None, NaN, NaT or pandas' NA, none of which equals itself for certain."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating) and bool(value != value)


def _objects(made: pa.Array, absent: object) -> npt.NDArray[Any]:
    values = np.empty(len(made), dtype=object)
    values[:] = made.to_pylist()
    if made.null_count and absent is not None:
        values[np.asarray(pc.is_null(made).to_numpy(zero_copy_only=False))] = absent
    return values

"""Whole columns to the text of cells, for the formats that are text."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.schema import Field


def cell_texts(column: pa.ChunkedArray, field: Field | None) -> pa.StringArray:
    """Return the values of a column as texts, shape (n,); missing stays missing.

    Parameters
    ----------
    column : pyarrow.ChunkedArray
        Numbers, booleans, dates or texts, in the source's own type.
    field : Field, optional
        Its field; a number is written with at most `field.decimals` digits after the point.

    Examples
    --------
    >>> import pyarrow as pa
    >>> field = Field(name="price", kind="number", decimals=2)
    >>> cell_texts(pa.chunked_array([[2.0, 0.125, None]]), field).to_pylist()
    ['2.0', '0.12', None]
    """
    kind = column.type
    if pa.types.is_floating(kind):
        return _float_texts(column, field.decimals if field else None)
    if pa.types.is_timestamp(kind):
        return _timestamp_texts(column)
    if pa.types.is_nested(kind):
        values = (_json_or_none(value) for value in column.to_pylist())
        return pa.array(values, pa.string())
    if pa.types.is_date64(kind):
        column = pc.cast(column, pa.date32())
    return _one(pc.cast(column, pa.string()))


def _float_texts(column: pa.ChunkedArray, decimals: int | None) -> pa.StringArray:
    values = _one(column)
    if pa.types.is_float16(values.type):
        values = pc.cast(values, pa.float32())
    if decimals is not None:
        values = pc.round(values, ndigits=decimals)
    # Adding zero turns -0.0, which rounding can leave, into 0.0.
    values = pc.if_else(pc.is_nan(values), None, pc.add(values, pa.scalar(0.0, values.type)))
    texts = pc.cast(values, pa.string())
    if decimals == 0:
        return texts
    # 5 would come back as an integer: a number with a fractional part keeps its point.
    whole = pc.match_substring_regex(texts, "^-?[0-9]+$")
    return pc.if_else(whole, pc.binary_join_element_wise(texts, ".0", ""), texts)


def _timestamp_texts(column: pa.ChunkedArray) -> pa.StringArray:
    texts = _one(pc.cast(column, pa.string()))
    shorter = pc.replace_substring_regex(texts, r"(\.[0-9]*?)0+(Z|[+-][0-9]{4})?$", r"\1\2")
    return pc.replace_substring_regex(shorter, r"\.(Z|[+-][0-9]{4})?$", r"\1")


def _json_or_none(value: object) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False)


def _one(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks()
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array

"""Bring a table to the canonical Arrow types of its schema, and back to the source's own types."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.schema import Field, Schema
from twinset.core.errors import SchemaError, without_values


def conform(table: pa.Table, schema: Schema) -> pa.Table:
    """Return `table` with the schema's columns, in its order and canonical types.

    NaN and null are one thing here: missing.

    Raises
    ------
    SchemaError
        A column is lacking or not expected, a value cannot be read as its kind says, a number is
        infinite, or a label is none of the taxonomy's.
    """
    missing = [name for name in schema.names if name not in table.column_names]
    extra = [name for name in table.column_names if name not in schema.names]
    if missing or extra:
        said = [f"lacks '{missing[0]}'"] if missing else []
        said += [f"has the unexpected '{extra[0]}'"] if extra else []
        raise SchemaError(
            f"the table {' and '.join(said)}",
            allowed="the columns " + ", ".join(schema.names[:30]),
            todo="give a table with the same columns",
        )
    columns = [_conform_column(table.column(f.name), f) for f in schema.fields]
    return pa.table(columns, names=list(schema.names))


def restore(records: pa.Table, schema: Schema) -> pa.Table:
    """Return `records` with each column in the type that its source had; other columns as they are."""
    columns = []
    for name in records.column_names:
        column = records.column(name)
        if name in schema.names:
            column = _restore_column(column, schema[name])
        columns.append(column)
    return pa.table(columns, names=records.column_names)


def _conform_column(column: pa.ChunkedArray, field: Field) -> pa.ChunkedArray:
    try:
        cast = _cast(column, field)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise SchemaError(
            f"the column '{field.name}' cannot be read as {field.kind}",
            got=f"values of type {column.type} that do not fit",
            todo="correct the values or declare another kind in the schema",
        ) from without_values(error)
    if field.kind == "number" and pa.types.is_floating(cast.type):
        cast = _finite(cast, field)
    if field.taxonomy is not None:
        _check_labels(cast, field)
    return cast


def _finite(column: pa.ChunkedArray, field: Field) -> pa.ChunkedArray:
    values = column.to_numpy(zero_copy_only=False)
    with np.errstate(over="ignore", invalid="ignore"):
        # One pass says of most columns that they hold neither.
        if np.isfinite(np.sum(values, dtype=np.float64)):
            return column
    if np.isinf(values).any():
        raise SchemaError(
            f"the column '{field.name}' holds {int(np.isinf(values).sum())} infinite values",
            allowed="finite numbers or missing values",
            todo="replace them in the source",
        )
    if np.isnan(values).sum() > column.null_count:
        return pa.chunked_array([pa.array(values, type=column.type, from_pandas=True)])
    return column


def _cast(column: pa.ChunkedArray, field: Field) -> pa.ChunkedArray:
    kind, target = column.type, field.arrow_type
    if pa.types.is_dictionary(kind) and field.kind != "category":
        column = pc.cast(column, kind.value_type)
    if field.kind == "category":
        if pa.types.is_dictionary(kind) and kind == target:
            return column.unify_dictionaries()
        text = column if not pa.types.is_dictionary(kind) else pc.cast(column, kind.value_type)
        if pa.types.is_floating(text.type):
            text = _whole_floats(text)
        return pc.dictionary_encode(pc.cast(text, pa.string())).unify_dictionaries().cast(target)
    if field.kind == "id" and pa.types.is_floating(column.type):
        column = _whole_floats(column)
    if field.kind == "integer" and pa.types.is_floating(column.type):
        column = pa.chunked_array(
            [pa.array(c.to_numpy(zero_copy_only=False), from_pandas=True) for c in column.chunks],
            type=column.type,
        )
    if field.kind == "number" and pa.types.is_integer(column.type):
        return pc.cast(column, target, safe=False)
    if field.kind == "datetime" and not pa.types.is_timestamp(column.type):
        column = pc.cast(column, pa.timestamp("us"))
    safe = field.kind != "datetime" and not pa.types.is_decimal(column.type)
    return pc.cast(column, target, safe=safe)


def _whole_floats(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Read 1.0, 2.0, missing as 1, 2, missing, so that labels read the same from every source."""
    values = column.to_numpy(zero_copy_only=False)
    present = values[~np.isnan(values)]
    as_null = pa.array(values, from_pandas=True)
    if present.size and np.all(np.mod(present, 1) == 0) and np.abs(present).max() < 2**53:
        return pa.chunked_array([as_null.cast(pa.int64())])
    return pa.chunked_array([as_null])


def _restore_column(column: pa.ChunkedArray, field: Field) -> pa.ChunkedArray:
    target = field.stored_type
    if pa.types.is_dictionary(column.type):
        column = pc.cast(column, pa.string())
    if column.type == target:
        return column
    if pa.types.is_null(target):
        return (
            pa.chunked_array([pa.nulls(len(column))])
            if column.null_count == len(column)
            else column
        )
    if pa.types.is_string(target) and pa.types.is_timestamp(column.type):
        return _dates_as_text(column)
    if field.kind in ("category", "id") and pa.types.is_floating(target):
        return pc.cast(column, pa.float64()).cast(target)
    return pc.cast(column, target, safe=False)


def _dates_as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    whole = pc.equal(pc.floor_temporal(column, unit="day"), column)
    if pc.all(pc.fill_null(whole, True)).as_py() in (True, None):
        return pc.strftime(column, format="%Y-%m-%d")
    return pc.cast(column, pa.string())


def _check_labels(column: pa.ChunkedArray, field: Field) -> None:
    assert field.taxonomy is not None
    if field.kind in ("boxes", "spans"):
        key = "category" if field.kind == "boxes" else "label"
        found = pc.unique(pc.struct_field(pc.list_flatten(column), key)).to_pylist()
    else:
        found = pc.unique(pc.cast(column, pa.string())).to_pylist()
    unknown = [value for value in found if value is not None and value not in field.taxonomy.names]
    if unknown:
        row = _first_row_with(column, field, unknown[0])
        field.taxonomy.check(unknown[:1], f"the column '{field.name}', row {row}")


def _first_row_with(column: pa.ChunkedArray, field: Field, label: str) -> int:
    for row, value in enumerate(column.to_pylist()):
        if isinstance(value, list):
            if label in [item.get("category", item.get("label")) for item in value]:
                return row
        elif str(value) == label:
            return row
    return 0

"""Arrow tables in and out: read any table, infer its schema, bring it to canonical types and back."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.kinds import KINDS, ColumnSample
from twinset.core.data.schema import Field, Schema
from twinset.core.errors import DataError, SchemaError, without_values

_MAX_SHOWN = 30  # names in an error; more would hide what it says


def to_table(data: object) -> pa.Table:
    """Return a table from anything that speaks the Arrow C stream protocol, texts as plain strings.

    Examples
    --------
    >>> to_table(pa.table({"a": pa.array(["x"], pa.large_string())})).schema.field("a").type
    DataType(string)
    """
    if type(data).__module__.partition(".")[0] == "pandas" and hasattr(data, "columns"):
        repeated = [str(c) for c, twice in zip(data.columns, data.columns.duplicated()) if twice]
        _refuse_repeated(repeated)
        table = pa.Table.from_pandas(data, preserve_index=False).replace_schema_metadata(None)
    elif isinstance(data, pa.RecordBatchReader):
        table = data.read_all()
    elif hasattr(data, "__arrow_c_stream__") or isinstance(data, pa.RecordBatch):
        table = pa.table(data).replace_schema_metadata(None)
    else:
        raise DataError(
            "these data cannot be read as a table",
            got=type(data).__name__,
            allowed="a pandas or polars frame, a pyarrow table, a duckdb relation or any other "
            "object with an Arrow C stream",
        )
    names = table.column_names
    _refuse_repeated([name for name, times in Counter(names).items() if times > 1])
    if not names:
        raise DataError("the data have no columns", todo="give a table with at least one column")
    return pa.table([_plain_text(table.column(i)) for i in range(len(names))], names=names)


def _plain_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Bring the several Arrow forms of text (large, view, dictionaries of them) to plain strings."""
    kind = column.type
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    if str(inner) not in ("large_string", "string_view"):
        return column
    if pa.types.is_dictionary(kind):
        chunks = [
            pa.DictionaryArray.from_arrays(
                chunk.indices.cast(pa.int32()), chunk.dictionary.cast(pa.string())
            )
            for chunk in column.chunks
        ]
        return pa.chunked_array(chunks, type=pa.dictionary(pa.int32(), pa.string()))
    return pc.cast(column, pa.string())


def _refuse_repeated(names: list[str]) -> None:
    if names:
        raise DataError(
            "two columns have the same name", got=f"'{names[0]}' twice", todo="rename one of them"
        )


def infer_schema(
    table: pa.Table,  # any table without reserved columns
) -> Schema:
    """Return a schema for `table`: the kind of every column, inferred from type, values and name.

    Returns
    -------
    Schema
        One field a column. Texts that seldom repeat, and those that look like keys (mail addresses,
        account and telephone numbers), become ids (one word) or free text; others categories.
        Integers with two neighbouring values (0 / 1) become categories.

    Examples
    --------
    >>> import pyarrow as pa
    >>> t = pa.table({"when": ["2024-01-02", "2024-01-03"], "n": [3, 4], "ok": [True, False]})
    >>> [f.kind for f in infer_schema(t).fields]
    ['datetime', 'category', 'boolean']
    """
    columns = zip(table.column_names, table.columns)
    return Schema(tuple(_infer_field(name, column) for name, column in columns))


def _infer_field(name: str, column: pa.ChunkedArray) -> Field:
    sample = ColumnSample(name, column)
    for kind_name, kind in sorted(KINDS.items(), key=lambda item: item[1].precedence):
        found = kind.infer(sample) if kind.may_hold(name, column.type) else None
        if found is not None:
            defaults = {"nullable": column.null_count > 0, "stored": str(column.type)}
            role = kind.default_role
            return Field(name=name, kind=kind_name, role=role, **(defaults | found))
    forms = [kind.form for kind in KINDS.values() if kind.form]
    if pa.types.is_nested(column.type):
        raise SchemaError(
            f"the column '{name}' is nested in a way that is not known",
            got=str(column.type)[:120],
            allowed=", ".join(forms),
        )
    raise SchemaError(
        f"the column '{name}' has a type that is not supported",
        got=str(column.type),
        allowed="numbers, texts, booleans, dates, " + ", ".join(forms),
        todo="convert or leave out the column",
    )


def conform(table: pa.Table, schema: Schema) -> pa.Table:
    """Return `table` with the schema's columns, in its order and canonical types.

    NaN and null are one thing here: missing.
    """
    place = {name: at for at, name in enumerate(table.column_names)}
    missing = [name for name in schema.names if name not in place]
    extra = [name for name in place if name not in schema]
    if missing or extra:
        said = [f"lacks '{missing[0]}'"] if missing else []
        said += [f"has the unexpected '{extra[0]}'"] if extra else []
        raise SchemaError(
            f"the table {' and '.join(said)}",
            allowed="the columns " + ", ".join(schema.names[:_MAX_SHOWN]),
            todo="give a table with the same columns",
        )
    columns = [_conform_column(table.column(place[f.name]), f) for f in schema.fields]
    return pa.table(columns, names=list(schema.names))


def restore(records: pa.Table, schema: Schema) -> pa.Table:
    """Return `records` with each column in the type that its source had; other columns as they are."""
    names = records.column_names
    columns = [
        _restore_column(column, schema[name]) if name in schema else column
        for name, column in zip(names, records.columns)
    ]
    return pa.table(columns, names=names)


def _conform_column(column: pa.ChunkedArray, field: Field) -> pa.ChunkedArray:
    try:
        cast = field.column_kind.cast(column, field.arrow_type)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise SchemaError(
            f"the column '{field.name}' cannot be read as {field.kind}",
            got=f"values of type {column.type} that do not fit",
            todo="correct the values or declare another kind in the schema",
        ) from without_values(error)
    cast = field.column_kind.check(cast, field.name)
    if field.taxonomy is not None:
        _check_labels(cast, field)
    return cast


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
    if pa.types.is_string(column.type) and pa.types.is_floating(target):
        return pc.cast(column, pa.float64()).cast(target)
    return pc.cast(column, target, safe=False)


def _dates_as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    whole = pc.equal(pc.floor_temporal(column, unit="day"), column)
    if pc.all(pc.fill_null(whole, True)).as_py() in (True, None):
        return pc.strftime(column, format="%Y-%m-%d")
    return pc.cast(column, pa.string())


def _check_labels(column: pa.ChunkedArray, field: Field) -> None:
    assert field.taxonomy is not None
    known = {None, *field.taxonomy.names}
    key = field.column_kind.label_key
    found = pc.unique(field.column_kind.labels(column)).to_pylist()
    unknown = [label for label in found if label not in known]
    if unknown:
        lists = [
            [item[key] for item in cell or ()] if key else [cell] for cell in column.to_pylist()
        ]
        row = next(i for i, cells in enumerate(lists) if unknown[0] in map(str, cells))
        field.taxonomy.check(unknown[:1], f"the column '{field.name}', row {row}")

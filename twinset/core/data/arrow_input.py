"""Take a table in from pandas, polars, duckdb, pyarrow or any other library that speaks Arrow."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.errors import DataError


def to_table(data: object) -> pa.Table:
    """Return a table from anything that speaks the Arrow C stream protocol, texts as plain strings.

    Raises
    ------
    DataError
        `data` offers no Arrow stream, has no columns, or has two columns of one name.

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
    _refuse_repeated([name for i, name in enumerate(names) if name in names[:i]])
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

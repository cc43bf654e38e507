"""Read a data file, or a folder of images, whatever its format."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.schema import RESERVED, Field, Schema
from twinset.core.errors import DataError, did_you_mean, without_values
from twinset.io.formats import Format, all_formats, find_format
from twinset.io.images import IMAGE_ENDINGS, load_side_files
from twinset.io.text.rows import facts_as_ids
from twinset.io.text.tables import settle_spans, with_spans
from twinset.io.vision.faults import OnFault


def read_dataset(
    path: Path,
    schema: Schema | None = None,
    card: Card | None = None,
    *,
    on_fault: OnFault = "stop",
) -> Dataset:
    """Return the set in a data file or in a folder of images.

    Parameters
    ----------
    path : Path
        A CSV, TSV, JSON Lines, Parquet, Feather or Arrow file, a folder of PNG, JPEG and TIFF files,
        meshes (STL, OBJ, PLY, OFF, GLB) as triangles, annotated images: a folder of COCO, YOLO, Pascal
        VOC, masks or WebDataset shards, or a COCO file,
        or labelled texts: CoNLL, CoNLL-U, tokens with tags in JSON Lines, a DocBin, Rasa or Label Studio.
    schema : Schema, optional
        What the columns are; inferred when not given. With it, columns of paths become images again
        and columns of JSON text become boxes and spans.
    card : Card, optional
        The set's history; by default that of a real set named after the file.
    on_fault : {"stop", "skip"}
        Whether faults of annotated images or texts end the reading, or what they concern is left out
        and noted.

    Raises
    ------
    DataError
        The file is missing, empty, damaged or cannot be understood.
    SchemaError
        The columns are not those of `schema`, or their values do not fit it.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "people.csv")
    ...     _ = file.write_text("age,sex\\n31,f\\n47,m\\n")
    ...     read_dataset(file).schema["age"].kind
    'integer'
    """
    entry, place = _find(path)
    name = path.name.partition(".")[0]
    if entry.read_set is not None:
        found = entry.read_set(place, name, on_fault)
        if card is not None:
            found = replace(found, card=replace(card, notes=(*card.notes, *found.card.notes)))
        return found if schema is None else found.with_schema(schema)
    table = with_spans(_with_reserved(_read(entry, place, _text_columns(schema))))
    if schema is not None:
        for field in schema.fields:
            if entry.omits_missing and field.nullable and field.name not in table.column_names:
                nothing = pa.nulls(table.num_rows, field.arrow_type)
                table = table.append_column(field.name, pa.chunked_array([nothing]))
            table = _unpack(table, field, path.parent)
    found = Dataset.from_arrow(table, schema, card or Card(name=name, origin="real"))
    if schema is None and found.schema.of_kind("spans"):
        found = found.with_schema(facts_as_ids(found.schema))
    return settle_spans(found, path, on_fault)


def stream_dataset(path: Path, *, on_fault: OnFault = "stop") -> Iterator[Dataset]:
    """Yield the rows of `read_dataset` in chunks of one schema.

    Of folders of images, annotated or plain, memory holds one picture at a time beside the labels; any
    other set comes as one chunk.

    Parameters
    ----------
    path, on_fault
        As in `read_dataset`.

    Raises
    ------
    DataError
        As `read_dataset`.
    """
    entry, place = _find(path)
    if entry.stream_set is not None:
        yield from entry.stream_set(place, path.name.partition(".")[0], on_fault)
    else:
        yield read_dataset(path, on_fault=on_fault)


def read_table(path: Path) -> pa.Table:
    """Return the plain table in a data file or in a folder of images.

    Raises
    ------
    DataError
        The file is missing, empty, damaged or cannot be understood.
    """
    entry, place = _find(path)
    if entry.read_set is not None:
        return entry.read_set(place, path.name.partition(".")[0], "stop").records
    return _read(entry, place, ())


def _find(path: Path) -> tuple[Format, Path]:
    """Return the format of an existing file or folder and the path to read."""
    if not path.exists():
        near = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise DataError(f"there is no file '{path}'", todo=did_you_mean(path.name, near))
    found = find_format(path)
    if found is None and path.is_file() and path.suffix.lower() in IMAGE_ENDINGS:
        raise DataError(
            f"'{path}' is a single image",
            allowed="a folder of images, or a data file",
            todo=f"give the folder that holds it: '{path.parent}'",
        )
    if found is None:
        endings = [ending for entry in all_formats().values() for ending in entry.read_endings]
        raise DataError(
            f"the format of '{path}' is not known by its ending",
            got=path.suffix or "no ending",
            allowed=", ".join(endings) + ", or a folder of images",
        )
    if not (path.is_file() or path.is_dir()):
        raise DataError(f"'{path}' is no regular file")
    return found


def _read(entry: Format, path: Path, text_columns: tuple[str, ...]) -> pa.Table:
    assert entry.read_table is not None
    if path.is_file() and path.stat().st_size == 0:
        raise DataError(f"the file '{path}' is empty", todo="give a file with at least one row")
    try:
        table = entry.read_table(path, text_columns)
    except PermissionError as error:
        raise DataError(f"the file '{path}' may not be read", todo="check its rights") from error
    except (pa.ArrowException, OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"the file '{path}' is damaged or is not what its ending says",
            allowed=f"a whole {entry.name} file",
            todo="write or fetch the file again",
        ) from error
    return _check_table(table, path)


def _check_table(table: pa.Table, path: Path) -> pa.Table:
    names = table.column_names
    repeated = [name for i, name in enumerate(names) if name in names[:i]]
    if repeated:
        raise DataError(
            f"two columns of '{path}' have the same name",
            got=f"'{repeated[0]}' twice",
            todo="rename one of them",
        )
    if table.num_rows == 0:
        raise DataError(
            f"the file '{path}' holds no rows",
            got=f"a header of {len(names)} columns" if names else "",
            todo="give a file with at least one row",
        )
    for position, name in enumerate(names):
        if pa.types.is_time(table.schema.field(position).type):
            text = pc.cast(table.column(position), pa.string())
            table = table.set_column(position, name, text)
    return table


def _text_columns(schema: Schema | None) -> tuple[str, ...]:
    fields = schema.fields if schema is not None else ()
    texts = [f.name for f in fields if pa.types.is_string(f.stored_type)]
    return ("_id", "_origin", "_parents", *texts)


def _with_reserved(table: pa.Table) -> pa.Table:
    """Bring the parents of a row, joined by spaces in CSV, back to a list."""
    name = RESERVED[2]
    if name not in table.column_names or pa.types.is_list(table.column(name).type):
        return table
    texts = pc.cast(table.column(name), pa.string()).to_pylist()
    lists = pa.array([(text or "").split() for text in texts], pa.list_(pa.string()))
    return table.set_column(table.schema.get_field_index(name), name, pa.chunked_array([lists]))


def _unpack(table: pa.Table, field: Field, folder: Path) -> pa.Table:
    """Turn what a text format can only write as text back into what the schema says it is."""
    zoned = pa.types.is_timestamp(field.stored_type) and field.stored_type.tz is not None
    nested = field.column_kind.is_nested
    if not (nested or zoned) or field.name not in table.column_names:
        return table
    column = table.column(field.name)
    if pa.types.is_null(column.type):
        column = pc.cast(column, pa.string())
    if not pa.types.is_string(column.type):
        return table
    if zoned:
        column = _from_zoned_text(column, field)
    elif field.column_kind.holds_files:
        column = load_side_files(column, folder, field.name)
    else:
        column = _from_json(column, field)
    return table.set_column(table.schema.get_field_index(field.name), field.name, column)


def _from_zoned_text(column: pa.ChunkedArray, field: Field) -> pa.ChunkedArray:
    try:
        return pc.cast(column, field.stored_type)
    except pa.ArrowInvalid as error:
        raise DataError(
            f"the column '{field.name}' cannot be read as times with a zone",
            allowed="e.g. 2024-01-31T12:00:00Z",
        ) from without_values(error)


def _from_json(column: pa.ChunkedArray, field: Field) -> pa.ChunkedArray:
    try:
        values = [None if v is None else json.loads(v) for v in column.to_pylist()]
        return pa.chunked_array([pa.array(values, field.arrow_type)])
    except (ValueError, TypeError, pa.ArrowException) as error:
        raise DataError(
            f"the column '{field.name}' cannot be read as {field.kind}",
            allowed="JSON lists, as this program writes them",
        ) from error

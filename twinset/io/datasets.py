"""Read and write a set, whatever its format."""

from __future__ import annotations

import warnings
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.reading import Remark
from twinset.core.data.schema import RESERVED, Field, Label, Schema, Taxonomy
from twinset.core.errors import (
    DataError,
    FormatLossWarning,
    ParameterError,
    without_values,
)
from twinset.core.untrusted import parse_json
from twinset.io.files import replacing, replacing_folder
from twinset.io.formats import Format, all_formats, find_format, writable_format
from twinset.io.paths import cannot_read, check_source
from twinset.io.reading.dates import check_years
from twinset.io.reading.options import ReadOptions, with_kinds

if TYPE_CHECKING:
    from twinset.io.faults import OnFault
    from twinset.io.writer import Writer


def read_dataset(
    path: Path,
    schema: Schema | None = None,
    card: Card | None = None,
    *,
    on_fault: OnFault = "stop",
    options: ReadOptions | None = None,
    remarks: list[Remark] | None = None,
) -> Dataset:
    """Return the set in a data file or in a folder of images.

    Parameters
    ----------
    path : Path
        A CSV, TSV, JSON Lines, Parquet, Feather, Arrow or TFRecord file, a folder of PNG, JPEG and TIFF
        files, meshes (STL, OBJ, PLY, OFF, GLB) as triangles, annotated images: a folder of COCO, YOLO,
        Pascal VOC, masks or WebDataset shards, or a COCO file, or labelled texts: CoNLL, CoNLL-U, tokens
        with tags in JSON Lines, a DocBin, Rasa or Label Studio.
    schema : Schema, optional
        What the columns are; inferred when not given. With it, columns of paths become images again
        and columns of JSON text become boxes and spans.
    card : Card, optional
        The set's history; by default that of a real set named after the file.
    on_fault : {"stop", "skip", "keep"}
        Whether faults of annotated images or texts end the reading, or the rows and objects with faults are
        left out and noted. With "keep", boxes outside of their image and labels that `schema` lacks stay.
    options : ReadOptions, optional
        How to read a CSV file whose cells allow several readings.
    remarks : list of Remark, optional
        Gets a remark for each decision on the cells of a CSV file.

    Raises
    ------
    DataError
        The file is missing, empty, damaged or cannot be understood.
    ParameterError
        Options are given for another format than CSV.
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
    name = _name_of(path)
    options = options or ReadOptions()
    if options != ReadOptions() and entry.name != "csv":
        raise ParameterError(
            f"'{path}' holds the types of its columns, so nothing is to be said on how to read it",
            got=f"options for the format {entry.name}",
            allowed="options for CSV files",
        )
    if entry.reads != "table":
        found = _read_annotated(entry, place, name, on_fault)
        if card is not None:
            found = replace(found, card=replace(card, notes=(*card.notes, *found.card.notes)))
        if schema is not None and on_fault == "keep":
            schema = _with_labels(schema, found.schema)
        return found if schema is None else found.with_schema(schema)
    texts = [
        f.name
        for f in (schema.fields if schema is not None else ())
        if pa.types.is_string(f.stored_type)
    ]
    if schema is not None and options.header is None:
        options = replace(options, header=True)  # its names are compared with those of the schema
    table = _with_parents(_read_table(entry, place, (*RESERVED, *texts), options, remarks))
    if "spans" in table.column_names:
        from twinset.io.text.spans import with_spans

        table = with_spans(table)
    # Images that are named as files are checked where these are loaded.
    paths = {f.name for f in table.schema if pa.types.is_string(f.type)}
    if schema is not None:
        table = _with_omitted(table, schema, entry)
        for field in schema.fields:
            table = _unpack(table, field, path.parent)
    found = Dataset.from_arrow(table, schema, card or Card(name=name, origin="real"))
    found = found if schema is not None else with_kinds(found, options)
    embedded = [f.name for f in found.schema.of_kind("image") if f.name not in paths]
    if entry.name != "images" and embedded:
        from twinset.io.images import check_images

        check_images(found, embedded)
    if found.schema.of_kind("spans"):
        from twinset.io.text.spans import check_spans, facts_as_ids

        found = found if schema is not None else found.with_schema(facts_as_ids(found.schema))
        return check_spans(found, path, on_fault)
    return found


def check_readable(path: Path) -> None:
    """Raise DataError where nothing can be read, before any file is read whole."""
    entry, place = _find(path)
    if entry.name == "images":
        from twinset.io.images import list_files

        list_files(place)


class CandidateTable(NamedTuple):
    """The columns of a file before they are read as those of another set."""

    table: pa.Table  # cells of CSV as texts, other formats in their own types
    delimiter: str = ""  # of CSV
    encoding: str = ""  # of CSV, where it is not UTF-8


def read_candidate_table(
    path: Path, schema: Schema, options: ReadOptions | None = None
) -> CandidateTable | None:
    """Return the columns of a table in a file as they are written; None for sets of images or spans.

    Parameters
    ----------
    path : Path
        The file.
    schema : Schema
        Of the set that it is compared with.
    options : ReadOptions, optional
        How the file of that set was read.

    Raises
    ------
    DataError
        The file is missing, empty, damaged or no table.
    """
    entry, place = _find(path)
    if entry.reads != "table" or any(f.column_kind.is_nested for f in schema.fields):
        return None
    if entry.name != "csv":
        table = _read_table(entry, place, ())
        return CandidateTable(_with_parents(_with_omitted(table, schema, entry)))
    from twinset.io.csv_tables import read_cells

    with _naming_damage(place, entry):
        found = read_cells(place, schema, options or ReadOptions())
    cells = _with_parents(_checked(found.cells, place))
    return CandidateTable(cells, found.delimiter, found.encoding)


def stream_dataset(path: Path, *, on_fault: OnFault = "stop") -> Iterator[Dataset]:
    """Yield the rows of `read_dataset` in chunks of one schema.

    For folders of images, annotated or plain, memory holds one image at a time beside the labels; any
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
    if entry.streams:
        yield from entry.code("stream")(place, _name_of(path))
    elif entry.reads == "samples":
        from twinset.io.vision.samples import stream_samples

        yield from stream_samples(entry, place, _name_of(path), on_fault)
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
    if entry.reads == "table":
        return _read_table(entry, place, ())
    return _read_annotated(entry, place, _name_of(path), "stop").records


def write_dataset(
    chunks: Iterable[Dataset],
    path: Path,
    format: str,  # noqa: A002
    *,
    escape_formulas: bool = False,
) -> None:
    """Write a stream of chunks of one set to a file or folder.

    Equal rows give equal bytes, however they are cut into chunks.

    Parameters
    ----------
    chunks : iterable of Dataset
        At least one, all of one schema; a chunk may have no rows.
    path : Path
        Where to write. Images of a CSV or JSON Lines file go to `<stem>_files/` beside it.
    format : str
        A name of `twinset.io.formats.writable_formats`.
    escape_formulas : bool
        In CSV, put an apostrophe before texts that a spreadsheet would run as a formula.

    Raises
    ------
    UnknownNameError
        No format that can be written has this name.
    DataError
        There is no chunk, or the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import pyarrow as pa
    >>> data = Dataset.from_arrow(pa.table({"age": [31, 47, 50], "sex": ["f", "m", None]}))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_dataset([data], Path(folder, "people.csv"), "csv")
    ...     Path(folder, "people.csv").read_text().splitlines()
    ['age,sex', '31,f', '47,m', '50,']
    """
    empty = True
    with open_writer(path, format, escape_formulas=escape_formulas) as writer:
        for chunk in chunks:
            writer.write(chunk)
            empty = False
        if empty:
            raise DataError("there is nothing to write", todo="give at least one chunk of rows")


@contextmanager
def open_writer(
    path: Path,
    format: str,  # noqa: A002
    *,
    escape_formulas: bool = False,
) -> Iterator[Writer]:
    """Open a file or folder for chunks of one set; it appears when the block ends without an error.

    What the format cannot hold is counted in `losses` of the writer and reported as a `FormatLossWarning`.

    Raises
    ------
    UnknownNameError
        No format that can be written has this name.
    DataError
        The file cannot be written.
    """
    from twinset.io.writer import Target

    writer_class: type[Writer] = writable_format(format).code("Writer")
    with replacing_folder(path) if writer_class.is_folder else replacing(path) as draft:
        writer = writer_class(Target(draft, path, format, escape_formulas))
        try:
            yield writer
            writer.finish()
        finally:
            writer.close()
    if writer.losses is not None and (lost := writer.losses.sentence()):
        warnings.warn(f"{path.name}: {lost}", FormatLossWarning, stacklevel=3)


def _name_of(path: Path) -> str:
    return path.name.partition(".")[0]


def _find(path: Path) -> tuple[Format, Path]:
    """Return the format of an existing file or folder and the path to read."""
    check_source(path)
    found = find_format(path)
    if found is None:
        raise _unknown_format(path)
    return found


def _unknown_format(path: Path) -> DataError:
    from twinset.io.images import IMAGE_ENDINGS

    if path.suffix.lower() in IMAGE_ENDINGS:
        return DataError(
            f"'{path}' is a single image",
            allowed="a folder of images, or a data file",
            todo=f"give the folder that holds it: '{path.parent}'",
        )
    endings = [ending for entry in all_formats().values() for ending in entry.read_endings]
    return DataError(
        f"the format of '{path}' is not known by its ending",
        got=path.suffix or "no ending",
        allowed=", ".join(endings) + ", or a folder of images",
    )


def _with_labels(schema: Schema, own: Schema) -> Schema:
    """Return the schema with further labels of boxes, those that a set has in its own schema."""
    for field in schema.of_kind("boxes"):
        known, given = field.taxonomy, own[field.name].taxonomy if field.name in own else None
        if known is not None and given is not None:
            new = [Label(one) for one in given.names if one not in known.names]
            more = Taxonomy((*known.labels, *new))
            schema = schema.with_field(replace(field, taxonomy=more))
    return schema


def _read_annotated(entry: Format, path: Path, name: str, on_fault: OnFault) -> Dataset:
    if entry.reads == "samples":
        from twinset.io.vision.samples import read_samples

        return read_samples(entry, path, name, on_fault)
    from twinset.io.text.rows import read_texts

    return read_texts(entry, path, name, on_fault)


def _read_table(
    entry: Format,
    path: Path,
    text_columns: tuple[str, ...],
    options: ReadOptions | None = None,
    remarks: list[Remark] | None = None,
) -> pa.Table:
    with _naming_damage(path, entry):
        more = (options, remarks) if entry.name == "csv" else ()
        table = entry.code("read")(path, text_columns, *more)
        _ = table.column_names
        for kind in table.schema.types:
            _check_names(kind)
    return _checked(table, path)


@contextmanager
def _naming_damage(path: Path, entry: Format) -> Iterator[None]:
    """Turn errors of libraries on a file into one of ours."""
    if path.is_file() and path.stat().st_size == 0:
        raise DataError(f"the file '{path}' is empty", todo="give a file with at least one row")
    try:
        yield
    except PermissionError as error:
        raise cannot_read(path, error) from error
    except (pa.ArrowException, OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(
            f"the file '{path}' is damaged or is not what its ending says",
            allowed=f"a whole {entry.name} file",
            todo="write or fetch the file again",
        ) from error


def _checked(table: pa.Table, path: Path) -> pa.Table:
    """Return a table with names, rows and years as any set has them, times of day as texts."""
    names = table.column_names
    if not names:
        raise DataError(f"'{path}' has no columns", todo="give a table with at least one")
    repeated = [name for name, times in Counter(names).items() if times > 1]
    if repeated:
        raise DataError(
            f"two columns of '{path}' have the same name",
            got=f"'{repeated[0]}' twice",
            todo="rename one of them",
        )
    if "" in names:
        raise DataError(
            f"column {names.index('') + 1} of '{path}' has no name", todo="name it in the source"
        )
    if table.num_rows == 0:
        raise DataError(
            f"the file '{path}' holds no rows",
            got=f"a header of {len(names)} columns" if names else "",
            todo="give a file with at least one row",
        )
    check_years(table, path)
    for position, name in enumerate(names):
        if pa.types.is_time(table.schema.field(position).type):
            text = pc.cast(table.column(position), pa.string())
            table = table.set_column(position, name, text)
    return table


def _check_names(kind: pa.DataType) -> None:
    """Raise UnicodeDecodeError where the name of a nested field is not UTF-8."""
    for place in range(kind.num_fields):
        _ = kind.field(place).name
        _check_names(kind.field(place).type)


def _with_omitted(table: pa.Table, schema: Schema, entry: Format) -> pa.Table:
    """Return the table with the columns that a file does not hold because all values are missing."""
    for field in schema.fields if entry.omits_missing else ():
        if field.nullable and field.name not in table.column_names:
            nothing = pa.nulls(table.num_rows, field.arrow_type)
            table = table.append_column(field.name, pa.chunked_array([nothing]))
    return table


def _with_parents(table: pa.Table) -> pa.Table:
    """Return the table with the parents of a row, joined by spaces in CSV, as a list."""
    name = RESERVED[2]
    if name not in table.column_names or pa.types.is_list(table.column(name).type):
        return table
    texts = pc.cast(table.column(name), pa.string()).to_pylist()
    lists = pa.array([(text or "").split() for text in texts], pa.list_(pa.string()))
    return table.set_column(table.schema.get_field_index(name), name, pa.chunked_array([lists]))


def _unpack(table: pa.Table, field: Field, folder: Path) -> pa.Table:
    """Return the table with a column that a text format holds as text brought to its field's type."""
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
        try:
            column = pc.cast(column, field.stored_type)
        except pa.ArrowInvalid as error:
            raise DataError(
                f"the column '{field.name}' cannot be read as times with a zone",
                allowed="e.g. 2024-01-31T12:00:00Z",
            ) from without_values(error)
    elif field.column_kind.holds_files:
        from twinset.io.images import load_side_files

        column = load_side_files(column, folder, field.name)
    else:
        column = _from_json(column, field)
    return table.set_column(table.schema.get_field_index(field.name), field.name, column)


def _from_json(column: pa.ChunkedArray, field: Field) -> pa.ChunkedArray:
    try:
        values = [None if v is None else parse_json(v) for v in column.to_pylist()]
        return pa.chunked_array([pa.array(values, field.arrow_type)])
    except (ValueError, TypeError, pa.ArrowException) as error:
        raise DataError(
            f"the column '{field.name}' cannot be read as {field.kind}",
            allowed="JSON lists, as this program writes them",
        ) from error

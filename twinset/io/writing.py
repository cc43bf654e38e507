"""Write a set as a table or a folder of annotated images, chunk by chunk and whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Schema
from twinset.core.errors import DataError, UnknownNameError
from twinset.io.csv import CsvWriter
from twinset.io.files import replacing
from twinset.io.formats import FORMATS, IMAGE_FORMATS, TEXT_FORMATS
from twinset.io.images import SideFiles
from twinset.io.jsonl import JsonlWriter
from twinset.io.parquet import ParquetWriter, plain
from twinset.io.text import open_text
from twinset.io.vision import open_layout

_ROWS_AT_ONCE = 16_384


class Writer(Protocol):
    """Takes the chunks of one set, in order."""

    def write(self, chunk: Dataset) -> None:
        """Append the rows of `chunk`."""


def write_dataset(
    chunks: Iterable[Dataset],
    path: Path,
    format: str,  # noqa: A002
    *,
    escape_formulas: bool = False,
) -> None:
    """Write a stream of chunks of one set to a file; the file appears when it is whole.

    Equal rows give equal bytes, however they are cut into chunks.

    Parameters
    ----------
    chunks : iterable of Dataset
        At least one, all of one schema; a chunk may have no rows.
    path : Path
        Where to write. Images of a CSV or JSON Lines file go to `<stem>_files/` beside it.
    format : str
        One of `FORMATS`, `IMAGE_FORMATS`, which are folders, or `TEXT_FORMATS`.
    escape_formulas : bool
        In CSV, put an apostrophe before texts that a spreadsheet would run as a formula.

    Raises
    ------
    UnknownNameError
        The format is none of those.
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
    """Open a file for chunks of one set; it appears when the block ends well.

    Raises
    ------
    UnknownNameError
        The format is not one of `FORMATS`, `IMAGE_FORMATS` or `TEXT_FORMATS`.
    DataError
        The file cannot be written.
    """
    if format not in (*FORMATS, *IMAGE_FORMATS, *TEXT_FORMATS):
        raise UnknownNameError.of("format", format, (*FORMATS, *IMAGE_FORMATS, *TEXT_FORMATS))
    if format in TEXT_FORMATS:
        with open_text(path, format) as texts:
            yield texts
        return
    if format in IMAGE_FORMATS:
        with open_layout(path, format) as folder:
            yield folder
        return
    with replacing(path) as draft:
        if format == "parquet":
            with ParquetWriter(draft) as parquet:
                yield _ParquetFile(parquet)
            return
        side_draft = draft.with_name(f"{draft.name}_files")
        side_files = SideFiles(path, side_draft)
        try:
            with draft.open("wb") as stream:
                rows = (
                    CsvWriter(stream, escape_formulas=escape_formulas)
                    if format == "csv"
                    else JsonlWriter(stream)
                )
                yield _TextFile(rows, side_files)
            side_files.publish()
        finally:
            shutil.rmtree(side_draft, ignore_errors=True)


class _ParquetFile:
    def __init__(self, writer: ParquetWriter) -> None:
        self._writer = writer

    def write(self, chunk: Dataset) -> None:
        self._writer.write(chunk.to_arrow())


class _TextFile:
    def __init__(self, rows: CsvWriter | JsonlWriter, side_files: SideFiles) -> None:
        self._rows = rows
        self._side_files = side_files

    def write(self, chunk: Dataset) -> None:
        table = plain(chunk.to_arrow())
        # In pieces, as the texts of a piece are held in memory; one also for a chunk without rows.
        for start in range(0, max(1, table.num_rows), _ROWS_AT_ONCE):
            piece = table.slice(start, _ROWS_AT_ONCE)
            self._rows.write(self._with_paths(piece, chunk.schema), chunk.schema)

    def _with_paths(self, table: pa.Table, schema: Schema) -> pa.Table:
        for position, name in enumerate(table.column_names):
            if name in schema.names and schema[name].kind in ("image", "mask"):
                paths = self._side_files.save(table.column(position), name, position)
                table = table.set_column(position, name, paths)
        return table

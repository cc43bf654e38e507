"""Parquet and Arrow files. Parquet is written so that equal rows give equal bytes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq

from twinset.core.data.dataset import Dataset
from twinset.io.text_tables import plain
from twinset.io.writer import Target, Writer

# Rows of a row group are in memory together; the delivered bytes depend on both numbers.
GROUP_ROWS = 65_536
GROUP_ROWS_OF_IMAGES = 256  # 65,536 images of 100 KB would be 6 GB


def read_parquet(path: Path, text_columns: Sequence[str] = ()) -> pa.Table:
    """Return the table in a Parquet file, without the index columns that pandas adds."""
    with pq.ParquetFile(path) as file:
        table = file.read()
    return _without_index(table)


def read_feather(path: Path, text_columns: Sequence[str] = ()) -> pa.Table:
    """Return the table in a Feather or Arrow file (file or stream form)."""
    try:
        table = feather.read_table(path)
    except pa.ArrowInvalid:
        with pa.ipc.open_stream(pa.memory_map(str(path))) as stream:
            table = stream.read_all()
    return _without_index(table)


def iter_parquet(path: Path, rows: int) -> Iterator[pa.Table]:
    """Read a Parquet file in tables of exactly `rows` rows; the last one may be shorter."""
    with pq.ParquetFile(path) as file:
        batches = (pa.Table.from_batches([batch]) for batch in file.iter_batches(rows))
        yield from rechunk(batches, rows)


def _without_index(table: pa.Table) -> pa.Table:
    # By position: names may repeat, which the caller refuses.
    is_index = [re.fullmatch(r"__index_level_\d+__", name) for name in table.column_names]
    kept = [i for i, found in enumerate(is_index) if not found]
    return table.select(kept).replace_schema_metadata(None)


def rechunk(tables: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """Cut a stream of tables into tables of exactly `rows` rows; the last one may be shorter.

    Examples
    --------
    >>> parts = [pa.table({"a": [1, 2, 3]}), pa.table({"a": [4, 5]})]
    >>> [len(t) for t in rechunk(parts, 2)]
    [2, 2, 1]
    """
    waiting: list[pa.Table] = []
    n_waiting = 0
    for table in tables:
        waiting.append(table)
        n_waiting += table.num_rows
        if n_waiting < rows:
            continue
        joined = pa.concat_tables(waiting)
        whole = n_waiting - n_waiting % rows
        for start in range(0, whole, rows):
            yield joined.slice(start, rows)
        waiting, n_waiting = [joined.slice(whole)], n_waiting - whole
    if n_waiting:
        yield pa.concat_tables(waiting)


class ParquetWriter(Writer):
    """Writes chunks of a set as Parquet (zstd); the bytes depend on the rows, not on the chunks.

    Rows are gathered into groups of a fixed size, texts are written plainly (Parquet builds its own
    dictionaries by order of appearance), and no metadata of the source is kept.
    """

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._file: pq.ParquetWriter | None = None
        self._waiting: list[pa.Table] = []

    def write(self, chunk: Dataset) -> None:
        """Append the rows of `chunk`."""
        self.append(chunk.to_arrow())

    def append(self, table: pa.Table) -> None:
        """Append the rows of `table`."""
        table = plain(table)
        if self._file is None:
            self._file = _open_file(self.draft, table.schema)
        self._waiting.append(table.cast(self._file.schema))
        heavy = any(pa.types.is_struct(kind) for kind in self._file.schema.types)
        rows = GROUP_ROWS_OF_IMAGES if heavy else GROUP_ROWS
        if sum(table.num_rows for table in self._waiting) < rows:
            return
        *full, last = rechunk(self._waiting, rows)
        if last.num_rows == rows:
            full, last = [*full, last], last.slice(0, 0)
        for group in full:
            self._write_group(group)
        self._waiting = [last]

    def _write_group(self, group: pa.Table) -> None:
        assert self._file is not None
        # One chunk a column: page borders would else follow the borders of the chunks.
        self._file.write_table(group.combine_chunks(), row_group_size=max(1, group.num_rows))

    def finish(self) -> None:
        """Write the rows that wait for the last group."""
        if sum(table.num_rows for table in self._waiting):
            self._write_group(pa.concat_tables(self._waiting))

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _open_file(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    # Every option that shapes the bytes is named, so that new defaults do not change them.
    return pq.ParquetWriter(
        path,
        schema,
        version="2.6",
        data_page_version="1.0",
        compression="zstd",
        compression_level=3,
        use_dictionary=True,
        write_statistics=True,
    )

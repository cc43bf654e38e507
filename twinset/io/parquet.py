"""Parquet and Arrow files. Parquet is written so that equal rows give equal bytes."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.feather as feather
import pyarrow.parquet as pq

from twinset.core.data.dataset import Dataset
from twinset.core.errors import DataError
from twinset.core.limits import MAX_EXPANSION, MAX_TABLE_BYTES
from twinset.io.text_tables import plain
from twinset.io.writer import Target, Writer

# Rows of a row group are in memory together; the delivered bytes depend on both numbers.
GROUP_ROWS = 65_536
GROUP_ROWS_OF_IMAGES = 256  # 65,536 images of 100 KB would be 6 GB
# Bytes of a value in memory; a text takes those of its length at least.
_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 8, "FLOAT": 4, "DOUBLE": 8}
_LENGTH_BYTES = 4  # of the position where a text ends
_CHECKED_BYTES = 1 << 26  # texts that are in memory together while their size is found
_PROBED_BYTES = 1 << 22  # of a file: its first rows are read in a few milliseconds
_PAGE_HEAD = 8  # bytes that hold kind and size of a page


def read_parquet(path: Path, text_columns: Sequence[str] = ()) -> pa.Table:
    """Return the table in a Parquet file, without the index columns that pandas adds."""
    with pq.ParquetFile(path) as file:
        _check_footer(file, path)
        _check_claims(file, path)
        table = file.read()
    return _without_index(table)


def _check_footer(file: pq.ParquetFile, path: Path) -> None:
    """Raise a pyarrow error where statistics of columns are damaged: to ask for them ends the process.

    The first row of each group is read, as that has them checked. Of a large file this takes too long.
    """
    groups = [file.metadata.row_group(k) for k in range(file.metadata.num_row_groups)]
    claimed = sum(group.total_byte_size for group in groups)
    if path.stat().st_size <= _PROBED_BYTES and claimed <= MAX_TABLE_BYTES:
        for number in range(len(groups)):
            next(file.iter_batches(1, row_groups=[number]), None)


def _check_claims(file: pq.ParquetFile, path: Path) -> None:
    """Raise DataError for a file whose table would take far more memory than the file.

    A dictionary holds a text once, its rows hold numbers: 1 KB can stand for any number of texts.
    """
    allowed = max(MAX_TABLE_BYTES, MAX_EXPANSION * path.stat().st_size)
    claimed = 0
    largest: dict[str, int] = {}  # of a column of bytes, the largest value that it may repeat
    repeats: Counter[str] = Counter()
    with path.open("rb") as stream:
        for group, column in itertools.product(
            range(file.metadata.num_row_groups), range(file.metadata.num_columns)
        ):
            chunk = file.metadata.row_group(group).column(column)
            width = _WIDTHS.get(chunk.physical_type, _LENGTH_BYTES)
            claimed += max(chunk.num_values * width, chunk.total_uncompressed_size)
            if chunk.physical_type == "BYTE_ARRAY":
                size, name = _largest_repeated(chunk, stream), chunk.path_in_schema
                largest[name] = max(largest.get(name, 0), size)
                repeats[name] += chunk.num_values * size
    if claimed > allowed:
        raise _too_large(path, claimed, allowed)
    claimed = 0
    for name in (name for name, n_bytes in repeats.items() if n_bytes > allowed):
        rows = min(max(_CHECKED_BYTES // largest[name], 1), GROUP_ROWS)
        for batch in file.iter_batches(rows, columns=[name]):
            claimed += sum(map(_plain_size, batch.columns))
            if claimed > allowed:
                raise _too_large(path, claimed, allowed)


def _largest_repeated(chunk: Any, stream: BinaryIO) -> int:
    """Return the size of the largest value that a chunk of bytes may repeat; 0 if it repeats none."""
    if "DELTA_BYTE_ARRAY" in chunk.encodings:  # values share their beginnings
        return int(chunk.total_uncompressed_size)
    if not chunk.has_dictionary_page or chunk.dictionary_page_offset is None:
        return 0
    stream.seek(chunk.dictionary_page_offset)
    head = stream.read(_PAGE_HEAD)
    if head[:3] != b"\x15\x04\x15":  # type: dictionary; then follows the size, unpacked
        return int(chunk.total_uncompressed_size)
    size = shift = 0
    for byte in head[3:]:
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    return size >> 1  # a sign is the last bit


def _plain_size(array: pa.Array) -> int:
    """Return the bytes of an array without dictionaries."""
    if pa.types.is_dictionary(array.type):
        if not pa.types.is_binary(array.type.value_type) and not pa.types.is_string(
            array.type.value_type
        ):
            return int(array.nbytes)
        lengths = pc.binary_length(array.dictionary)
        return int(pc.sum(pc.cast(lengths, pa.int64()).take(array.indices)).as_py() or 0)
    if pa.types.is_struct(array.type):
        return sum(map(_plain_size, array.flatten()))
    if pa.types.is_list(array.type):
        return _plain_size(array.flatten())
    return int(array.nbytes)


def _too_large(path: Path, claimed: int, allowed: int) -> DataError:
    return DataError(
        f"the table in '{path}' is too large for its file",
        got=f"{claimed:,} bytes or more in memory",
        allowed=f"up to {allowed:,} bytes: 1 GiB, or {MAX_EXPANSION} times the file",
        todo="check where the file comes from, or split it by rows",
    )


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

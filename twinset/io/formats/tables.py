"""Tables of any columns: CSV, JSON Lines, Parquet, Feather, meshes and folders of plain images."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from twinset.io.formats._format import Format

if TYPE_CHECKING:
    import pyarrow as pa

    from twinset.core.data.dataset import Dataset
    from twinset.io.vision.faults import OnFault

_ROWS_AT_ONCE = 16_384  # rows whose texts are in memory together; the file does not depend on it


def _read_csv(path: Path, text_columns: Sequence[str]) -> pa.Table:
    from twinset.io.csv import read_csv

    return read_csv(path, text_columns)


def _read_jsonl(path: Path, text_columns: Sequence[str]) -> pa.Table:
    from twinset.io.jsonl import read_jsonl

    return read_jsonl(path)


def _read_parquet(path: Path, text_columns: Sequence[str]) -> pa.Table:
    from twinset.io.parquet import read_parquet

    return read_parquet(path)


def _read_feather(path: Path, text_columns: Sequence[str]) -> pa.Table:
    from twinset.io.parquet import read_feather

    return read_feather(path)


def _read_meshes(path: Path, text_columns: Sequence[str]) -> pa.Table:
    from twinset.io.meshes import read_mesh, read_mesh_folder

    return read_mesh_folder(path) if path.is_dir() else read_mesh(path)


def _sniff_meshes(path: Path) -> Path | None:
    from twinset.io.images import holds_images
    from twinset.io.meshes import mesh_files

    return path if path.is_dir() and mesh_files(path) and not holds_images(path) else None


def _read_images(path: Path, text_columns: Sequence[str]) -> pa.Table:
    from twinset.io.images import read_image_folder

    return read_image_folder(path)


def _stream_images(path: Path, name: str, on_fault: OnFault) -> Iterator[Dataset]:
    from twinset.core.data.dataset import Card, Dataset
    from twinset.core.data.schema import Schema
    from twinset.io.images import beside_images, stream_image_folder

    schema = None
    for table in stream_image_folder(path):
        if schema is None:  # of all rows of the columns beside the images
            rest = beside_images(path)
            fields = Dataset.from_arrow(table.select(["image"])).schema.fields
            more = Dataset.from_arrow(rest).schema.fields if rest.num_columns else ()
            schema = Schema((*fields, *more))
        yield Dataset.from_arrow(table, schema, Card(name=name, origin="real"))


@contextmanager
def _open_parquet(path: Path, escape_formulas: bool) -> Iterator[_ParquetFile]:
    from twinset.io.files import replacing
    from twinset.io.parquet import ParquetWriter

    with replacing(path) as draft, ParquetWriter(draft) as parquet:
        yield _ParquetFile(parquet)


class _ParquetFile:
    losses = None

    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def write(self, chunk: Dataset) -> None:
        self._writer.write(chunk.to_arrow())


def _open_csv(path: Path, escape_formulas: bool) -> Any:
    from twinset.io.csv import CsvWriter

    return _open_text(path, lambda stream: CsvWriter(stream, escape_formulas=escape_formulas))


def _open_jsonl(path: Path, escape_formulas: bool) -> Any:
    from twinset.io.jsonl import JsonlWriter

    return _open_text(path, JsonlWriter)


@contextmanager
def _open_text(path: Path, make_writer: Callable[[BinaryIO], Any]) -> Iterator[_TextFile]:
    """Open a file of text, and the folder of images beside it."""
    from twinset.io.files import replacing
    from twinset.io.images import SideFiles

    with replacing(path) as draft:
        side_draft = draft.with_name(f"{draft.name}_files")
        side_files = SideFiles(path, side_draft)
        try:
            with draft.open("wb") as stream:
                yield _TextFile(make_writer(stream), side_files)
            side_files.publish()
        finally:
            shutil.rmtree(side_draft, ignore_errors=True)


class _TextFile:
    losses = None

    def __init__(self, rows: Any, side_files: Any) -> None:
        self._rows = rows
        self._side_files = side_files

    def write(self, chunk: Dataset) -> None:
        from twinset.io.parquet import plain

        table = plain(chunk.to_arrow())
        blobs = {field.name for field in chunk.schema.of_kind("image", "mask")}
        # One piece also for a chunk without rows: it brings the header.
        for start in range(0, max(1, table.num_rows), _ROWS_AT_ONCE):
            piece = table.slice(start, _ROWS_AT_ONCE)
            for position, name in enumerate(piece.column_names):
                if name in blobs:
                    paths = self._side_files.save(piece.column(position), name, position)
                    piece = piece.set_column(position, name, paths)
            self._rows.write(piece, chunk.schema)


_LAST = 9  # a folder of loose files is recognised only where no other format fits
FORMATS = (
    Format(
        name="csv",
        read_endings=(".csv", ".csv.gz", ".tsv", ".tsv.gz"),
        read_table=_read_csv,
        open=_open_csv,
    ),
    Format(
        name="jsonl",
        read_endings=(".jsonl", ".jsonl.gz", ".ndjson"),
        read_table=_read_jsonl,
        open=_open_jsonl,
    ),
    Format(
        name="parquet",
        read_endings=(".parquet", ".pq"),
        for_tiles=True,
        read_table=_read_parquet,
        open=_open_parquet,
    ),
    Format(name="feather", read_endings=(".feather", ".arrow"), read_table=_read_feather),
    Format(
        name="meshes",
        read_endings=(".glb", ".obj", ".off", ".ply", ".stl"),
        rank=_LAST,
        sniff=_sniff_meshes,
        read_table=_read_meshes,
    ),
    Format(
        name="images",
        holds="image",
        rank=_LAST + 1,
        sniff=lambda path: path if path.is_dir() else None,
        read_table=_read_images,
        stream_set=_stream_images,
    ),
)

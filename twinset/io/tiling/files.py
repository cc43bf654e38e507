"""A set of images from the disk as tiles, written as they are cut; and the way back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field
from twinset.core.errors import DataError, ParameterError, did_you_mean
from twinset.io import stream_dataset, write_dataset
from twinset.io.formats import writable_formats
from twinset.io.tiling.cutting import cut_tiles
from twinset.io.tiling.grid import Tiling
from twinset.io.tiling.joining import join_tiles

LAYOUTS = tuple(f.name for f in writable_formats().values() if f.for_tiles)
"""Formats of images; coco, webdataset and parquet keep where tiles lie."""

_WHOLE_NAME = "file"


@dataclass(frozen=True)
class TileSummary:
    """How many rows were read, and how many written.

    Parameters
    ----------
    n_read, n_written : int
        Images and tiles, or tiles and images.
    """

    n_read: int
    n_written: int


def tile_files(
    source: Path, to: Path, layout: str = "coco", *, tiling: Tiling | None = None
) -> TileSummary:
    """Cut a set of images into tiles and write them; without a tiling, join a set of tiles.

    Of folders of images memory holds one at a time, beside the labels; of joined ones, the tiles of one.
    Formats number their images: a joined one has its name in a column `file`.

    Parameters
    ----------
    source : Path
        A folder or file that `read_dataset` reads.
    to : Path
        Where to write: nothing must be there.
    layout : str
        One of `LAYOUTS`.
    tiling : Tiling, optional
        How to cut.

    Raises
    ------
    DataError
        There is something at `to`, or the source cannot be used.
    SchemaError
        It holds no images, or tiles that are to be cut again.
    ParameterError
        The format holds no images, or would not be known by the ending of `to`.
    """
    _check_layout(layout, to)
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise DataError(f"there is a '{to}' already", todo="name a new place, or remove it first")
    n_rows = Counter[str]()

    def counted(chunks: Iterable[Dataset], name: str) -> Iterator[Dataset]:
        for chunk in chunks:
            n_rows[name] += len(chunk)
            yield chunk

    read = counted(stream_dataset(source), "read")
    made = map(_named, join_tiles(read)) if tiling is None else cut_tiles(read, tiling)
    write_dataset(counted(made, "written"), to, layout)
    return TileSummary(n_rows["read"], n_rows["written"])


def _check_layout(layout: str, to: Path) -> None:
    if layout not in LAYOUTS:
        raise ParameterError(
            f"tiles are not written as '{layout}'",
            allowed=", ".join(LAYOUTS),
            todo=did_you_mean(layout, LAYOUTS),
        )
    if layout == "parquet" and to.suffix.lower() not in (".parquet", ".pq"):
        raise ParameterError(
            "a Parquet file is known by its ending",
            got=f"'{to}'",
            allowed=".parquet, .pq",
            todo=f"write to '{to}.parquet'",
        )


def _named(whole: Dataset) -> Dataset:
    """Return a joined image with its name in a column, unless there is such a column."""
    if _WHOLE_NAME in whole.schema.names:
        return whole
    image = whole.schema.of_kind("image")[0].name
    names = [blob["path"] for blob in whole.records[image].to_pylist()]
    field = Field(name=_WHOLE_NAME, kind="id", role="identifier")
    records = whole.records.append_column(_WHOLE_NAME, pa.array(names, pa.string()))
    return Dataset.from_arrow(records, whole.schema.with_field(field), whole.card)

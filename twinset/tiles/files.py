"""A set of images from the disk as tiles, written as they are cut; and the way back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from twinset.core.dataset import Dataset
from twinset.core.errors import DataError
from twinset.io import stream_dataset, write_dataset
from twinset.tiles.cutting import cut_tiles
from twinset.tiles.grid import Tiling
from twinset.tiles.joining import join_tiles


@dataclass(frozen=True)
class TilesMade:
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
) -> TilesMade:
    """Cut a set of images into tiles and write them; without a tiling, join a set of tiles.

    Of folders of images memory holds one at a time, beside the labels; of joined ones, the tiles of one.

    Parameters
    ----------
    source : Path
        A folder or file that `read_dataset` reads.
    to : Path
        Where to write: nothing must be there.
    layout : str
        A format that `write_dataset` writes.
    tiling : Tiling, optional
        How to cut.

    Raises
    ------
    DataError
        There is something at `to`, or the source cannot be used.
    SchemaError
        It holds no images, or tiles that are to be cut again.
    """
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise DataError(f"there is a '{to}' already", todo="name a new place, or remove it first")
    n_rows = Counter[str]()

    def counted(chunks: Iterable[Dataset], name: str) -> Iterator[Dataset]:
        for chunk in chunks:
            n_rows[name] += len(chunk)
            yield chunk

    read = counted(stream_dataset(source), "read")
    made = join_tiles(read) if tiling is None else cut_tiles(read, tiling)
    write_dataset(counted(made, "written"), to, layout)
    return TilesMade(n_rows["read"], n_rows["written"])

"""Cut the images of a set into tiles, with their id maps, boxes and keypoints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import RESERVED, TILE_COLUMNS, Field, Schema
from twinset.core.errors import DataError, SchemaError
from twinset.core.image.codec import decode_ids, decode_pixels, encode_lossless
from twinset.core.image.instance_maps import ObjectLabel, extents_of
from twinset.io.tiling._labels import labels_in
from twinset.io.tiling.grid import Tiling, Window

_AT_ONCE = 16  # tiles of an image that are encoded before they are handed on


@dataclass(frozen=True)
class TileColumns:
    """Names of the columns that are cut; the last two may be missing."""

    image: str
    mask: str | None
    boxes: str | None

    @classmethod
    def from_schema(cls, schema: Schema) -> TileColumns:
        """Return the columns of a schema.

        Raises
        ------
        SchemaError
            There is not exactly one image column, or more than one id map or boxes column.
        """
        found = {k: [f.name for f in schema.of_kind(k)] for k in ("image", "mask", "boxes")}
        if len(found["image"]) != 1 or len(found["mask"]) > 1 or len(found["boxes"]) > 1:
            raise SchemaError(
                "tiles need one column of images, and at most one each of id maps and objects",
                got=", ".join(name for names in found.values() for name in names) or "none of them",
            )
        mask, boxes = (next(iter(found[kind]), None) for kind in ("mask", "boxes"))
        return cls(found["image"][0], mask, boxes)


def cut_tiles(chunks: Iterable[Dataset], tiling: Tiling) -> Iterator[Dataset]:
    """Yield the tiles of every image, in order; one image at a time is decoded.

    Pixels and map are cut, not resampled: of any depth and number of channels, and written without loss
    (PNG, else TIFF). Labels are those of what the tile shows. Other columns are repeated; the columns of
    `TILE_COLUMNS` say where each tile lies, and `tile_of` has the role group, unless another column has it,
    so that a split by group keeps the tiles of an image together.

    Parameters
    ----------
    chunks : iterable of Dataset
        Images of one schema.
    tiling : Tiling
        How they are cut.

    Raises
    ------
    SchemaError
        There is not exactly one image column, the images are tiles already, or empty tiles shall be left
        out and nothing tells which are.
    DataError
        An image is missing or cannot be decoded, or its map is of another size.

    Examples
    --------
    >>> from twinset.testing import example_dataset
    >>> whole = example_dataset({"image", "mask", "boxes"}).slice(0, 1)
    >>> tiles = Dataset.concat(list(cut_tiles([whole], Tiling(size=16, overlap=0))))
    >>> tiles.records["tile_x"].to_pylist()[:3], tiles.records["tile_y"].to_pylist()[:3]
    ([0, 16, 0], [0, 0, 8])
    """
    number = 0
    for chunk in chunks:
        columns, schema = TileColumns.from_schema(chunk.schema), tile_schema(chunk.schema)
        if columns.mask is None and columns.boxes is None and not tiling.keep_empty:
            raise SchemaError(
                "tiles without objects cannot be distinguished from others: the images have no labels",
                got=", ".join(chunk.schema.names[:8]),
                allowed="a column of objects or of id maps",
                todo="keep empty tiles, or bring annotated images",
            )
        for k in range(len(chunk)):
            row = chunk.records.slice(k, 1).to_pylist()[0]
            for tiles in _tiles_of(row, number, columns, tiling):
                yield _dataset(tiles, schema, chunk)
            number += 1


def tile_schema(schema: Schema) -> Schema:
    """Return the schema of the tiles of such images.

    Raises
    ------
    SchemaError
        The images are tiles already.
    """
    for name in TILE_COLUMNS:
        if name in schema.names:
            raise SchemaError(
                f"there is a column '{name}' already",
                got="images that are tiles" if TILE_COLUMNS[0] in schema.names else "",
                todo="join them first, or name the column otherwise",
            )
    role: Any = "feature" if schema.with_role("group") else "group"
    made = schema.with_field(
        Field(name=TILE_COLUMNS[0], kind="category", role=role, nullable=False)
    )
    for name in TILE_COLUMNS[1:]:
        made = made.with_field(Field(name=name, kind="integer", nullable=False))
    return made


def _tiles_of(
    row: Mapping[str, Any], number: int, columns: TileColumns, tiling: Tiling
) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of an image's tiles, some at a time; an empty list where none is kept."""
    name = _name(row, number, columns.image)
    pixels, ids = _decoded(row, columns, name)
    full = {} if ids is None else dict(zip(*(found.tolist() for found in _counts(ids))))
    height, width = pixels.shape[:2]
    made: list[dict[str, Any]] = []
    for window in tiling.windows(height, width):
        cells = _cells(row, window, pixels, ids, full, columns, tiling)
        if cells is None:
            continue
        cells |= dict(zip(TILE_COLUMNS, (name, window.x0, window.y0, width, height)))
        path = PurePosixPath(name)
        ending = ".png" if cells[columns.image]["bytes"][:1] == b"\x89" else ".tif"
        place = "_".join(str(edge) for edge in window)
        cells[columns.image]["path"] = str(path.with_name(f"{path.stem}_{place}{ending}"))
        made.append(cells)
        if len(made) == _AT_ONCE:
            yield made
            made = []
    yield made


def _cells(
    row: Mapping[str, Any],
    window: Window,
    pixels: npt.NDArray[Any],
    ids: npt.NDArray[Any] | None,
    full: Mapping[int, int],
    columns: TileColumns,
    tiling: Tiling,
) -> dict[str, Any] | None:
    """Return the cells of one tile; None where it is empty and empty ones are left out."""
    part = None if ids is None else ids[window.slices]
    made = {k: v for k, v in row.items() if k not in RESERVED}
    min_fraction = tiling.min_visible_fraction
    if columns.boxes is not None:
        parents: list[ObjectLabel] = row[columns.boxes] or []
        labels, gone = labels_in(parents, window, part, full, min_fraction)
        if not labels and not tiling.keep_empty:
            return None
        made[columns.boxes] = labels
    else:
        gone = [] if part is None else _too_small(part, full, min_fraction)
        if part is not None and not tiling.keep_empty and not np.setdiff1d(part, [0, *gone]).size:
            return None
    if part is not None and columns.mask is not None:
        if gone:
            part = np.where(np.isin(part, gone), 0, part).astype(part.dtype)
        made[columns.mask] = {"bytes": encode_lossless(np.ascontiguousarray(part)), "path": None}
    made[columns.image] = {
        "bytes": encode_lossless(np.ascontiguousarray(pixels[window.slices])),
        "path": None,
    }
    return made


def _decoded(
    row: Mapping[str, Any], columns: TileColumns, name: str
) -> tuple[npt.NDArray[Any], npt.NDArray[Any] | None]:
    blob = row[columns.image]
    if blob is None or blob["bytes"] is None:
        raise DataError(f"'{name}' has no image to cut", todo="leave the row out")
    try:
        pixels = decode_pixels(blob["bytes"])
        cell = row[columns.mask] if columns.mask else None
        ids = decode_ids(cell["bytes"]) if cell is not None else None
    except DataError as error:
        raise DataError(
            f"'{name}' cannot be cut into tiles: {error.message}", got=error.got, todo=error.todo
        ) from error
    if ids is not None and ids.shape != pixels.shape[:2]:
        raise DataError(
            f"the id map of '{name}' is of another size than its image",
            got=f"{ids.shape[1]} x {ids.shape[0]} for {pixels.shape[1]} x {pixels.shape[0]}",
            todo="give every image a map of its own size",
        )
    return pixels, ids


def _name(row: Mapping[str, Any], number: int, image: str) -> str:
    """Return what an image is called: its id in a registered set, else its file."""
    blob = row[image] or {}
    return str(row.get(RESERVED[0]) or blob.get("path") or f"image-{number:07d}")


def _counts(ids: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    seen, _, areas = extents_of(ids)
    return seen, areas


def _too_small(part: npt.NDArray[Any], full: Mapping[int, int], min_fraction: float) -> list[int]:
    seen, areas = _counts(part)
    return [i for i, area in zip(seen.tolist(), areas.tolist()) if area < min_fraction * full[i]]


def _dataset(tiles: list[dict[str, Any]], schema: Schema, whole: Dataset) -> Dataset:
    arrays = {f.name: pa.array([t[f.name] for t in tiles], f.arrow_type) for f in schema.fields}
    made = Dataset.from_arrow(pa.table(arrays), schema, whole.card)
    if RESERVED[0] not in whole.records.column_names:
        return made
    first, x, y = TILE_COLUMNS[:3]
    ids = [f"{t[first]}@{t[x]},{t[y]}" for t in tiles]
    return made.with_reserved(ids=ids, parents=[[t[first]] for t in tiles])

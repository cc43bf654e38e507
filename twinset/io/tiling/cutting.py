"""Cut the images of a set into tiles, with their id maps, boxes and keypoints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import RESERVED, TILE_COLUMNS, Field, Schema
from twinset.core.errors import DataError, SchemaError
from twinset.core.image.codec import decode_ids, decode_pixels, encode_lossless
from twinset.core.image.instance_maps import ObjectLabel, extents_of
from twinset.core.image.keypoints import Keypoint, move_keypoints
from twinset.core.image.polygons import clip_ring, signed_area
from twinset.io.tiling.grid import Tiling, Window
from twinset.io.vision.samples import Ids, ImageColumns

_AT_ONCE = 16  # tiles of an image that are encoded before they are yielded
_WHOLE = 1 - 1e-9  # from this share on an object is not cut: shares are quotients of rounded areas
_APPROXIMATE = "approximate"


def cut_tiles(chunks: Iterable[Dataset], tiling: Tiling) -> Iterator[Dataset]:
    """Yield the tiles of every image, in order; one image at a time is decoded.

    Pixels and map, of any depth and number of channels, are cut, not resampled, and encoded without loss
    (PNG, else TIFF). Labels are those of the visible parts. Other columns are repeated; the columns of
    `TILE_COLUMNS` hold the place of each tile. `tile_of` has the role group, unless another column has it,
    so that a split by group keeps the tiles of an image together.

    Parameters
    ----------
    chunks : iterable of Dataset
        Images of one schema.
    tiling : Tiling
        Size and overlap of the tiles.

    Raises
    ------
    SchemaError
        There is not exactly one image column, the images are tiles already, or empty tiles are to be
        removed and the images have no labels.
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
        columns, schema = ImageColumns.from_schema(chunk.schema), _tile_schema(chunk.schema)
        if not columns.mask and not columns.boxes and not tiling.keep_empty:
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


def _tile_schema(schema: Schema) -> Schema:
    """Return the schema of the tiles of such images."""
    for name in TILE_COLUMNS:
        if name in schema.names:
            raise SchemaError(
                f"there is a column '{name}' already",
                got="images that are tiles" if TILE_COLUMNS[0] in schema.names else "",
                todo="join them first, or name the column otherwise",
            )
    role: Any = "feature" if schema.with_role("group") else "group"
    schema = schema.with_field(
        Field(name=TILE_COLUMNS[0], kind="category", role=role, nullable=False)
    )
    for name in TILE_COLUMNS[1:]:
        schema = schema.with_field(Field(name=name, kind="integer", nullable=False))
    return schema


def _tiles_of(
    row: Mapping[str, Any], number: int, columns: ImageColumns, tiling: Tiling
) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of an image's tiles, some at a time; an empty list if none is kept."""
    name = _name(row, number, columns.image)
    pixels, ids = _decoded(row, columns, name)
    full = {} if ids is None else _areas(ids)
    height, width = pixels.shape[:2]
    tiles: list[dict[str, Any]] = []
    for window in tiling.windows(height, width):
        cells = _cells(row, window, pixels, ids, full, columns, tiling)
        if cells is None:
            continue
        cells |= dict(zip(TILE_COLUMNS, (name, window.x0, window.y0, width, height)))
        path = PurePosixPath(name)
        ending = ".png" if cells[columns.image]["bytes"][:1] == b"\x89" else ".tif"
        place = "_".join(str(edge) for edge in window)
        cells[columns.image]["path"] = str(path.with_name(f"{path.stem}_{place}{ending}"))
        tiles.append(cells)
        if len(tiles) == _AT_ONCE:
            yield tiles
            tiles = []
    yield tiles


def _cells(
    row: Mapping[str, Any],
    window: Window,
    pixels: npt.NDArray[Any],
    ids: npt.NDArray[Any] | None,
    full: Mapping[int, int],
    columns: ImageColumns,
    tiling: Tiling,
) -> dict[str, Any] | None:
    """Return the cells of one tile; None if it is empty and empty ones are removed."""
    part = None if ids is None else ids[window.slices]
    cells = {k: v for k, v in row.items() if k not in RESERVED}
    min_fraction = tiling.min_visible_fraction
    if columns.boxes:
        parents: list[ObjectLabel] = row[columns.boxes] or []
        labels, removed = _labels_in(parents, window, part, full, min_fraction)
        if not labels and not tiling.keep_empty:
            return None
        cells[columns.boxes] = labels
    else:
        areas = {} if part is None else _areas(part)
        removed = [i for i, area in areas.items() if area < min_fraction * full[i]]
        if part is not None and not tiling.keep_empty and not areas.keys() - {*removed}:
            return None
    if part is not None and columns.mask:
        if removed:
            part = np.where(np.isin(part, removed), 0, part).astype(part.dtype)
        cells[columns.mask] = {"bytes": encode_lossless(np.ascontiguousarray(part)), "path": None}
    cells[columns.image] = {
        "bytes": encode_lossless(np.ascontiguousarray(pixels[window.slices])),
        "path": None,
    }
    return cells


def _decoded(
    row: Mapping[str, Any], columns: ImageColumns, name: str
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
    """Return the name of an image: its id in a registered set, else its file."""
    blob = row[image] or {}
    return str(row.get(RESERVED[0]) or blob.get("path") or f"image-{number:07d}")


def _areas(ids: Ids) -> dict[int, int]:
    """Return id -> pixels of a map."""
    numbers, _, areas = extents_of(ids)
    return dict(zip(numbers.tolist(), areas.tolist()))


def _dataset(tiles: list[dict[str, Any]], schema: Schema, whole: Dataset) -> Dataset:
    arrays = {f.name: pa.array([t[f.name] for t in tiles], f.arrow_type) for f in schema.fields}
    cut = Dataset.from_arrow(pa.table(arrays), schema, whole.card)
    if RESERVED[0] not in whole.records.column_names:
        return cut
    first, x, y = TILE_COLUMNS[:3]
    ids = [f"{t[first]}@{t[x]},{t[y]}" for t in tiles]
    return cut.with_reserved(ids=ids, parents=[[t[first]] for t in tiles])


class _Piece(NamedTuple):
    """The part of an object on a tile, in its pixels, and its share of the part in the image."""

    share: float
    box: list[float]
    area: float
    polygons: list[list[float]] | None
    is_exact: bool = True


def _labels_in(
    parents: Sequence[ObjectLabel],
    window: Window,
    ids: Ids | None,
    full_areas: Mapping[int, int],
    min_visible_fraction: float,
) -> tuple[list[ObjectLabel], list[int]]:
    """Return the labels of the objects with a sufficient share on a tile, and the ids of the others.

    With a map (`ids` is the tile's part of it, `full_areas` its pixels by id) pixels are counted; else
    polygons are cut; of an object with a box alone the box is cut, and then flagged "approximate".
    """
    pieces: dict[int, tuple[list[float], float]] = {}
    if ids is not None:
        for number, box, area in zip(*extents_of(ids)):
            pieces[int(number)] = ([float(edge) for edge in box], float(area))
    nameless = pieces.keys() - {parent["id"] for parent in parents}
    if nameless:
        raise DataError(
            "an instance-id map holds an object that is not in the list of objects",
            got=f"id {min(nameless)}",
        )
    kept: list[ObjectLabel] = []
    removed: list[int] = []
    for parent in parents:
        piece = _piece(parent, window, pieces.get(parent["id"]), full_areas)
        if piece is None:
            continue
        if piece.share >= min_visible_fraction:
            kept.append(_label(parent, window, piece))
        else:
            removed.append(parent["id"])
    return kept, removed


def _piece(
    parent: ObjectLabel,
    window: Window,
    seen: tuple[list[float], float] | None,
    full_areas: Mapping[int, int],
) -> _Piece | None:
    polygons = parent.get("polygons")
    polygon = _cut_polygons(polygons, window) if polygons else None
    if parent["id"] in full_areas:
        if seen is None:
            return None
        share = seen[1] / full_areas[parent["id"]]
        if polygon is None:
            return _Piece(share, *seen, None)
        # Polygons of annotators need not end at the edges of pixels; the share is counted in pixels.
        return polygon._replace(share=share, area=share * (parent["area"] or 0.0))
    if polygons:
        return polygon and polygon._replace(area=polygon.share * (parent["area"] or 0.0))
    return _cut_box(parent, window)


def _cut_polygons(polygons: Sequence[Sequence[float]], window: Window) -> _Piece | None:
    offset = np.array([window.x0, window.y0], float)
    rings = [np.asarray(ring, float).reshape(-1, 2) - offset for ring in polygons]
    kept = [ring for ring in (clip_ring(ring, window.shape) for ring in rings) if len(ring) >= 3]
    area = abs(sum(signed_area(ring) for ring in kept))
    whole = abs(sum(signed_area(ring) for ring in rings))
    if area < 1e-6:
        return None
    corners = np.concatenate(kept)
    box = [*corners.min(axis=0).tolist(), *corners.max(axis=0).tolist()]
    return _Piece(min(area / whole, 1.0), box, area, [ring.ravel().tolist() for ring in kept])


def _cut_box(parent: ObjectLabel, window: Window) -> _Piece | None:
    x0, y0, x1, y1 = parent["box"]
    height, width = window.shape
    left, right = max(x0 - window.x0, 0.0), min(x1 - window.x0, float(width))
    top, bottom = max(y0 - window.y0, 0.0), min(y1 - window.y0, float(height))
    if right <= left or bottom <= top:
        return None
    share = (right - left) * (bottom - top) / ((x1 - x0) * (y1 - y0))
    area = share * (parent["area"] or 0.0)
    return _Piece(min(share, 1.0), [left, top, right, bottom], area, None, share >= _WHOLE)


def _label(parent: ObjectLabel, window: Window, piece: _Piece) -> ObjectLabel:
    """Return the label of a part; an object that the tile does not cut keeps its own numbers."""
    offset = np.array([window.x0, window.y0], float)
    is_cut = piece.share < _WHOLE
    label = parent.copy()
    shifted = np.asarray(parent["box"], float).reshape(2, 2) - offset
    label["box"] = piece.box if is_cut else shifted.ravel().tolist()
    label["area"] = piece.area if is_cut else parent["area"]
    label["polygons"] = piece.polygons
    amodal = parent.get("amodal_box")
    if amodal is not None:
        whole = np.asarray(amodal, float).reshape(2, 2) - offset
        label["amodal_box"] = whole.ravel().tolist()
        height, width = window.shape
        is_cut = is_cut or whole.min() < 0 or whole[1, 0] > width or whole[1, 1] > height
    label["truncated"] = bool(parent["truncated"] or is_cut)
    known = parent["visible_fraction"]
    label["visible_fraction"] = None if known is None else known * piece.share
    points: list[Keypoint] = list(parent["keypoints"] or ())
    label["keypoints"] = move_keypoints(points, lambda at: at - offset, window.shape)
    if not piece.is_exact:
        label["flags"] = sorted({*(parent.get("flags") or ()), _APPROXIMATE})
    return label

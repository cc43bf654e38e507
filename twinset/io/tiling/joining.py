"""Join tiles, and the labels on them, to whole images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import RESERVED, TILE_COLUMNS, Schema
from twinset.core.errors import DataError, SchemaError
from twinset.core.image.codec import decode_ids, decode_pixels, encode_lossless
from twinset.core.image.instance_maps import ObjectLabel, extents_of
from twinset.core.image.keypoints import OUT, Keypoint
from twinset.io.tiling.grid import Window
from twinset.io.vision.samples import ImageColumns


def join_tiles(chunks: Iterable[Dataset]) -> Iterator[Dataset]:
    """Yield the whole images of tiles, one at a time; an object has one id on all tiles of its image.

    This is the inverse of `cut_tiles`, also after labels were corrected on the tiles. In an overlap the
    pixels of the first tile stay, and in a map any object before the background. Boxes bound the parts on
    all tiles; polygons are not joined: the map has them. Tiles of an image are adjacent rows; places
    without a tile are 0.

    Parameters
    ----------
    chunks : iterable of Dataset
        Tiles with the columns of `TILE_COLUMNS`, from `cut_tiles` or read from files.

    Raises
    ------
    SchemaError
        A column of `TILE_COLUMNS` is missing.
    DataError
        A tile does not fit its image, or the tiles of an image do not follow each other.

    Examples
    --------
    >>> from twinset.testing import example_dataset
    >>> from twinset.io.tiling import Tiling, cut_tiles
    >>> whole = example_dataset({"image", "mask", "boxes"}).slice(0, 2)
    >>> back = Dataset.concat(list(join_tiles(cut_tiles([whole], Tiling(size=20, overlap=4)))))
    >>> len(back), back.schema.names == whole.schema.names
    (2, True)
    """
    name: Any = None
    rows: list[dict[str, Any]] = []
    done: set[Any] = set()
    last: Dataset | None = None
    for chunk in chunks:
        _check(chunk.schema)
        for k in range(len(chunk)):
            row = chunk.records.slice(k, 1).to_pylist()[0]
            if rows and last is not None and row[TILE_COLUMNS[0]] != name:
                yield _whole(rows, last)
                done.add(name)
                rows = []
            name, last = row[TILE_COLUMNS[0]], chunk
            if name in done:
                raise DataError(
                    "the tiles of an image do not follow each other",
                    got=str(name),
                    todo=f"sort them by {TILE_COLUMNS[0]}",
                )
            rows.append(row)
    if rows and last is not None:
        yield _whole(rows, last)


def _check(schema: Schema) -> None:
    for name in TILE_COLUMNS:
        if name not in schema.names:
            raise SchemaError(
                f"these are no tiles: there is no column '{name}'",
                got=", ".join(schema.names[:8]),
                allowed=", ".join(TILE_COLUMNS),
                todo="take a format that keeps plain columns: parquet, coco, webdataset",
            )


def _whole(rows: Sequence[Mapping[str, Any]], like: Dataset) -> Dataset:
    schema = like.schema
    columns = ImageColumns.from_schema(schema)
    first = rows[0]
    kept = tuple(f for f in schema.fields if f.name not in TILE_COLUMNS)
    cells = {f.name: first[f.name] for f in kept}
    pixels = _pasted(rows[::-1], columns.image, decode_pixels)
    cells[columns.image] = {"bytes": encode_lossless(pixels), "path": first[TILE_COLUMNS[0]]}
    ids = None
    if columns.mask and all(row[columns.mask] is not None for row in rows):
        ids = _pasted(rows, columns.mask, decode_ids, over_background=True)
        cells[columns.mask] = {"bytes": encode_lossless(ids), "path": None}
    if columns.boxes:
        cells[columns.boxes] = _objects(rows, columns.boxes, ids)
    own = Schema(kept, schema.rules)
    arrays = {f.name: pa.array([cells[f.name]], f.arrow_type) for f in kept}
    joined = Dataset.from_arrow(pa.table(arrays), own, like.card)
    if RESERVED[0] not in like.records.column_names:
        return joined
    return joined.with_reserved(
        ids=[str(first[TILE_COLUMNS[0]])], parents=[[row[RESERVED[0]] for row in rows]]
    )


def _numbers(row: Mapping[str, Any]) -> tuple[int, ...]:
    """Return x and y of a tile, and its image's width and height."""
    # A column of few whole numbers may be read as labels.
    return tuple(int(row[name]) for name in TILE_COLUMNS[1:])


def _window(row: Mapping[str, Any], shape: tuple[int, ...]) -> Window:
    x, y, width, height = _numbers(row)
    window = Window(x, y, x + shape[1], y + shape[0])
    if x < 0 or y < 0 or window.x1 > width or window.y1 > height:
        raise DataError(
            f"a tile of '{row[TILE_COLUMNS[0]]}' does not lie in its image",
            got=f"[{x}, {y}, {window.x1}, {window.y1}) of {width} x {height}",
            todo=f"correct {', '.join(TILE_COLUMNS[1:])}",
        )
    return window


def _pasted(
    rows: Sequence[Mapping[str, Any]],
    column: str,
    decode: Callable[[bytes], npt.NDArray[Any]],
    over_background: bool = False,
) -> npt.NDArray[Any]:
    """Return one array of all tiles; later ones replace earlier ones, or only where these are 0."""
    whole: npt.NDArray[Any] | None = None
    for row in rows:
        if row[column] is None:
            continue
        part = decode(row[column]["bytes"])
        if whole is None:
            _, _, width, height = _numbers(row)
            whole = np.zeros((height, width, *part.shape[2:]), part.dtype)
        if part.shape[2:] != whole.shape[2:] or part.dtype != whole.dtype:
            raise DataError(
                f"the tiles of '{row[TILE_COLUMNS[0]]}' are of different kinds",
                got=f"{part.dtype}, {part.shape[2:] or 1} channels",
                allowed=f"{whole.dtype}, {whole.shape[2:] or 1} channels",
            )
        place = whole[_window(row, part.shape).slices]
        np.copyto(place, part, where=(place == 0) if over_background else True)
    if whole is None:
        raise DataError(f"no tile of '{rows[0][TILE_COLUMNS[0]]}' has a '{column}'")
    return whole


def _objects(
    rows: Sequence[Mapping[str, Any]], column: str, ids: npt.NDArray[Any] | None
) -> list[ObjectLabel]:
    """Return the objects of all tiles, those of one id as one, by rising id."""
    found: dict[int, list[ObjectLabel]] = {}
    for row in rows:
        offset = np.array(_numbers(row)[:2], float)
        for label in row[column] or ():
            found.setdefault(label["id"], []).append(_moved(label, offset))
    seen = {}
    if ids is not None:
        seen = {int(i): (box.tolist(), float(n)) for i, box, n in zip(*extents_of(ids))}
    size = _numbers(rows[0])[2:]
    return [_joined(parts, seen.get(i), size) for i, parts in sorted(found.items())]


def _moved(label: ObjectLabel, offset: npt.NDArray[np.float64]) -> ObjectLabel:
    moved = label.copy()
    moved["box"] = (np.asarray(label["box"], float).reshape(2, 2) + offset).ravel().tolist()
    amodal = label.get("amodal_box")
    if amodal is not None:
        whole = np.asarray(amodal, float).reshape(2, 2) + offset
        moved["amodal_box"] = whole.ravel().tolist()
    polygons = label.get("polygons")
    if polygons:
        rings = [np.asarray(ring, float).reshape(-1, 2) + offset for ring in polygons]
        moved["polygons"] = [ring.ravel().tolist() for ring in rings]
    moved["keypoints"] = [
        Keypoint(name=p["name"], x=p["x"] + offset[0], y=p["y"] + offset[1], v=p["v"])
        if p["v"] != OUT
        else p
        for p in label["keypoints"] or ()
    ]
    return moved


def _joined(
    parts: Sequence[ObjectLabel],
    seen: tuple[list[float], float] | None,
    size: tuple[int, ...],
) -> ObjectLabel:
    """Return one label of an object's parts: that of a whole one, else one of all parts."""
    largest = max(parts, key=lambda part: part["area"] or 0.0)
    label = largest.copy()
    known = {p["name"]: p for part in parts for p in part["keypoints"] or () if p["v"] != OUT}
    label["keypoints"] = [known.get(p["name"], p) for p in largest["keypoints"] or ()]
    if not all(part["truncated"] for part in parts):
        return label
    boxes = np.array([part["box"] for part in parts], float)
    label["box"] = [*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist()]
    label["visible_fraction"] = label["polygons"] = None
    if seen is not None:
        label["box"], label["area"] = seen
        share = largest["visible_fraction"]
        if share is not None and largest["area"]:
            label["visible_fraction"] = share * label["area"] / largest["area"]
    # All its tiles cut it: the image does too if it reaches the edge, or lies beyond it.
    x0, y0, x1, y1 = label.get("amodal_box") or label["box"]
    if label.get("amodal_box"):
        label["truncated"] = x0 < 0 or y0 < 0 or x1 > size[0] or y1 > size[1]
    else:
        label["truncated"] = x0 <= 0 or y0 <= 0 or x1 >= size[0] or y1 >= size[1]
    return label

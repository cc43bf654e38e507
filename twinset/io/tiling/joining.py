"""Join tiles to whole images: pixels, labels, and the boxes and maps that a model found on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import RESERVED, TILE_COLUMNS, Schema
from twinset.core.errors import DataError, ParameterError, SchemaError
from twinset.core.image.codec import decode_ids, decode_pixels, encode_lossless
from twinset.core.image.instance_maps import ObjectLabel, extents_of
from twinset.core.image.keypoints import OUT, Keypoint
from twinset.io.tiling.grid import Tiling, Window
from twinset.io.vision.samples import ImageColumns

Boxes = npt.NDArray[np.float64]

_HALF = 0.5  # of an object: two objects cannot both own more than half of the same pixels
_AT_EDGE = 2.0  # pixels: a box that ends nearer to the edge of its tile is cut by it


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
    rows: list[dict[str, Any]] = []
    done: set[Any] = set()
    last: Dataset | None = None
    for chunk in chunks:
        _check(chunk.schema)
        for k in range(len(chunk)):
            row = chunk.records.slice(k, 1).to_pylist()[0]
            name = row[TILE_COLUMNS[0]]
            if rows and last is not None and name != rows[0][TILE_COLUMNS[0]]:
                yield _whole(rows, last)
                done.add(rows[0][TILE_COLUMNS[0]])
                rows = []
            if name in done:
                raise DataError(
                    "the tiles of an image do not follow each other",
                    got=str(name),
                    todo=f"sort them by {TILE_COLUMNS[0]}",
                )
            rows.append(row)
            last = chunk
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
                got=f"{part.dtype}, {(*part.shape, 1)[2]} channels",
                allowed=f"{whole.dtype}, {(*whole.shape, 1)[2]} channels",
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


@dataclass(frozen=True)
class Detections:
    """Objects that a model found.

    Parameters
    ----------
    boxes : numpy.ndarray, shape (n, 4)
        x0, y0, x1, y1 in pixels, half-open.
    scores : numpy.ndarray, shape (n,)
        Confidence of the model.
    labels : sequence of str, length n
        Classes.
    """

    boxes: Boxes
    scores: npt.NDArray[np.float64]
    labels: Sequence[str]

    def __post_init__(self) -> None:
        n = len(self.boxes)
        if np.shape(self.boxes) != (n, 4) or not len(self.scores) == len(self.labels) == n:
            raise DataError(
                "found objects need one box of four numbers, one score and one label each",
                got=f"boxes of shape {np.shape(self.boxes)}, {len(self.scores)} scores, "
                f"{len(self.labels)} labels",
            )


def find_by_tiles(
    pixels: npt.NDArray[Any],
    find: Callable[[npt.NDArray[Any]], Detections],
    tiling: Tiling,
    *,
    threshold: float = _HALF,
) -> Detections:
    """Return what a model finds on a large image, tile by tile, joined by `join_boxes`.

    Parameters
    ----------
    pixels : numpy.ndarray, shape (h, w) or (h, w, channels)
        The whole image.
    find : callable
        Takes the pixels of one tile and returns the objects on it, in the tile's pixels.
    tiling : Tiling
        Size and overlap of the tiles; objects no longer than the overlap are whole on some tile.
    threshold : float
        As in `join_boxes`.

    Examples
    --------
    >>> image = np.zeros((40, 90))
    >>> image[10:20, 25:45] = 1
    >>> def bright(tile):
    ...     ys, xs = np.nonzero(tile)
    ...     boxes = [[xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]] if len(xs) else np.empty((0, 4))
    ...     return Detections(np.array(boxes, float), np.ones(len(boxes)), ["bar"] * len(boxes))
    >>> find_by_tiles(image, bright, Tiling(size=40, overlap=8)).boxes.tolist()
    [[25.0, 10.0, 45.0, 20.0]]
    """
    windows = tiling.windows(*pixels.shape[:2])
    return join_boxes([find(pixels[w.slices]) for w in windows], windows, threshold=threshold)


def join_boxes(
    found: Sequence[Detections], windows: Sequence[Window], *, threshold: float = _HALF
) -> Detections:
    """Return one box for each object, in pixels of the whole image, by descending score.

    Two boxes are one object if they are of one class and agree in the overlap of their tiles: their parts
    in it are compared by intersection over union, or over the smaller part if a tile's edge cuts one of
    them (the box of a part need not be a part of the box). So the edge of a car on one tile matches the
    whole car on the next, and the parts of a long pipe match each other, however short the overlap is.
    Boxes of one tile are never joined. The object gets the box with the highest score that no edge cuts;
    if no tile shows it whole, the box around all parts.

    Parameters
    ----------
    found : sequence of Detections
        Objects of each tile, in its pixels, each object once.
    windows : sequence of Window
        Places of the tiles.
    threshold : float
        Smallest agreement of two boxes of one object, in (0, 1].

    Raises
    ------
    ParameterError
        The threshold is out of its range.
    DataError
        There are not as many tiles as windows.

    Notes
    -----
    Akyon, Altinuc, Temizel, "Slicing Aided Hyper Inference", ICIP 2022, merge boxes by the share of the
    smaller one instead, which joins parts only where the overlap holds half of the smaller of them.

    Examples
    --------
    >>> left = Detections(np.array([[60.0, 10, 100, 30]]), np.array([0.8]), ["car"])
    >>> right = Detections(np.array([[0.0, 10, 45, 30]]), np.array([0.9]), ["car"])
    >>> windows = [Window(0, 0, 100, 100), Window(80, 0, 180, 100)]
    >>> join_boxes([left, right], windows).boxes.tolist()
    [[60.0, 10.0, 125.0, 30.0]]
    """
    _check_places(found, windows, threshold)
    places = np.array(windows, float).reshape(-1, 4)
    tile = np.repeat(np.arange(len(found)), [len(one.boxes) for one in found])
    given = [np.asarray(one.boxes, float).reshape(-1, 4) for one in found]
    boxes = np.concatenate([np.empty((0, 4)), *given]) + places[tile][:, [0, 1, 0, 1]]
    scores = np.concatenate([np.empty(0), *(np.asarray(one.scores, float) for one in found)])
    labels = np.array([str(label) for one in found for label in one.labels], dtype=object)
    placed = _Placed(boxes, places[tile], tile, _are_cut(boxes, places, tile))
    free = np.ones(len(boxes), bool)
    joined, best = [], []
    for k in np.argsort(-scores, kind="stable").tolist():
        if free[k]:
            group = placed.group(k, free & (labels == labels[k]), threshold)
            free[group] = False
            joined.append(placed.box_of(group))
            best.append(k)
    boxes = np.array(joined).reshape(-1, 4)
    return Detections(boxes, scores[best], [str(labels[k]) for k in best])


def join_maps(
    maps: Sequence[npt.NDArray[Any]],
    windows: Sequence[Window],
    shape: tuple[int, int],
    *,
    threshold: float = _HALF,
) -> npt.NDArray[np.uint32]:
    """Return one instance map of the whole image from maps of its tiles, numbered from 1.

    Numbers of different tiles are unrelated. An object of a tile is an existing one if that one owns at
    least the share `threshold` of its pixels in the overlap with earlier tiles. A pixel that an earlier
    tile assigned to an object stays with it.

    Parameters
    ----------
    maps : sequence of numpy.ndarray of integers
        The map of each tile; 0 is the background.
    windows : sequence of Window
        Places of the tiles.
    shape : tuple of int
        Height and width of the whole image.
    threshold : float
        Smallest share, in (0, 1].

    Raises
    ------
    ParameterError
        The threshold is out of its range.
    DataError
        A map is of another size than its window.

    Examples
    --------
    >>> left, right = np.array([[0, 7, 7]]), np.array([[3, 3, 0]])
    >>> join_maps([left, right], [Window(0, 0, 3, 1), Window(2, 0, 5, 1)], (1, 5)).tolist()
    [[0, 1, 1, 1, 0]]
    """
    _check_places(maps, windows, threshold)
    whole, covered = np.zeros(shape, np.uint32), np.zeros(shape, bool)
    n_objects = 0
    for part, window in zip(maps, windows):
        place, old = whole[window.slices], covered[window.slices]
        if part.shape != place.shape:
            raise DataError(
                "the map of a tile is of another size than its window",
                got=f"{part.shape[1]} x {part.shape[0]}",
                allowed=f"{place.shape[1]} x {place.shape[0]}",
            )
        for number in np.unique(part[part != 0]).tolist():
            own = part == number
            there = place[own & old]
            owners, counts = np.unique(there[there != 0], return_counts=True)
            if len(owners) and counts.max() >= threshold * len(there):
                name = int(owners[counts.argmax()])
            else:
                n_objects += 1
                name = n_objects
            place[own & (place == 0)] = name
        old[...] = True
    return whole


@dataclass(frozen=True)
class _Placed:
    """All boxes in the whole image, with the window and the number of the tile of each."""

    boxes: Boxes
    places: Boxes
    tile: npt.NDArray[np.int64]
    is_cut: npt.NDArray[np.bool_]

    def group(self, first: int, free: npt.NDArray[np.bool_], threshold: float) -> list[int]:
        """Return the positions of the boxes of one object, at most one a tile."""
        group, ahead = [first], [first]
        free = free & (self.tile != self.tile[first])
        while ahead:
            over_union, agreement = self._compared(ahead.pop(0))
            while (met := free & (agreement >= threshold)).any():
                best = int(np.where(met, over_union, -1.0).argmax())
                group.append(best)
                ahead.append(best)
                free &= self.tile != self.tile[best]
        return group

    def box_of(self, group: list[int]) -> Boxes:
        """Return the first box that its tile does not cut; else the box around all of them."""
        for k in group:
            if not self.is_cut[k]:
                return np.asarray(self.boxes[k])
        boxes = self.boxes[group]
        return np.asarray(np.hstack([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)]))

    def _compared(self, at: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return the agreement of one box with each: over the union, and as `join_boxes` compares them."""
        low = np.maximum(self.places[at, :2], self.places[:, :2])
        high = np.minimum(self.places[at, 2:], self.places[:, 2:])
        own = np.maximum(self.boxes[at, :2], low), np.minimum(self.boxes[at, 2:], high)
        others = np.maximum(self.boxes[:, :2], low), np.minimum(self.boxes[:, 2:], high)
        shared = _areas(np.maximum(own[0], others[0]), np.minimum(own[1], others[1]))
        area, areas = _areas(*own), _areas(*others)
        over_union = shared / np.maximum(area + areas - shared, 1e-12)
        over_smaller = shared / np.maximum(np.minimum(area, areas), 1e-12)
        is_cut = self.is_cut | self.is_cut[at]
        return over_union, np.where(is_cut, over_smaller, over_union)


def _are_cut(boxes: Boxes, places: Boxes, tile: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Return whether each box reaches an edge of its tile that is no edge of the image."""
    image = np.hstack([places[:, :2].min(axis=0), places[:, 2:].max(axis=0)])
    at_edge = np.abs(boxes - places[tile]) <= _AT_EDGE
    return np.asarray((at_edge & (places != image)[tile]).any(axis=1))


def _areas(low: Boxes, high: Boxes) -> npt.NDArray[np.float64]:
    return np.asarray(np.prod(np.clip(high - low, 0, None), axis=1))


def _check_places(parts: Sequence[object], windows: Sequence[Window], threshold: float) -> None:
    if not 0 < threshold <= 1:
        raise ParameterError(
            "the threshold is out of its range", got=str(threshold), allowed="above 0, at most 1"
        )
    if len(parts) != len(windows):
        raise DataError(
            "there must be one window for each tile",
            got=f"{len(parts)} tiles, {len(windows)} windows",
        )

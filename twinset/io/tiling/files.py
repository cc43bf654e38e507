"""Cut and join tiles on the disk, and the results of a detector on them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import TILE_COLUMNS, Field
from twinset.core.errors import DataError, ParameterError, did_you_mean
from twinset.io import stream_dataset, write_dataset
from twinset.io.files import read_json, write_text
from twinset.io.formats import writable_formats
from twinset.io.tiling.cutting import cut_tiles
from twinset.io.tiling.grid import Tiling, Window
from twinset.io.tiling.joining import Detections, join_boxes, join_tiles

LAYOUTS = tuple(f.name for f in writable_formats().values() if f.for_tiles)
"""Formats of images; coco, webdataset and parquet keep where tiles lie."""

_WHOLE_NAME = "file"
_RESULT = "a list of {image_id, category_id, bbox: [x, y, width, height], score}"


@dataclass(frozen=True)
class TileSummary:
    """Numbers of rows that were read and written: images and tiles, tiles and images, or boxes."""

    n_read: int
    n_written: int


def tile_files(
    source: Path, to: Path, layout: str = "coco", *, tiling: Tiling | None = None
) -> TileSummary:
    """Cut a set of images into tiles and write them; without a tiling, join a set of tiles.

    Memory holds one image of a folder at a time, beside the labels; when joining, the tiles of one
    image. Formats number their images: the name of a joined one is in a column `file`. There must
    be nothing at `to`.
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
    rows = map(_named, join_tiles(read)) if tiling is None else cut_tiles(read, tiling)
    write_dataset(counted(rows, "written"), to, layout)
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


def join_results(tiles: Path, results: Path, to: Path, *, threshold: float = 0.5) -> TileSummary:
    """Join the boxes that a detector found on tiles, and write them as a COCO file of the whole images.

    `tiles` is the folder of tiles in COCO, or its `annotations.json`, which has the places of the
    tiles; `results` has boxes in the form of COCO's results: a list of image_id, category_id, bbox
    and score. Each annotation of the new file has a `score`. Returns numbers of boxes read and of
    objects written.
    """
    if to.exists():
        raise DataError(f"there is a '{to}' already", todo="name a new place, or remove it first")
    file = tiles / "annotations.json" if tiles.is_dir() else tiles
    content = read_json(file)
    known = _tile_places(content, file.name)
    found = _detections(read_json(results), known, _classes(content), results.name)
    names = list(dict.fromkeys(tile["tile_of"] for tile in known.values()))
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, name in enumerate(names, start=1):
        own = {i: tile for i, tile in known.items() if tile["tile_of"] == name}
        first = next(iter(own.values()))
        width, height = int(first["tile_of_width"]), int(first["tile_of_height"])
        images.append({"id": number, "file_name": name, "width": width, "height": height})
        windows = [_window(tile) for tile in own.values()]
        joined = join_boxes([found[i] for i in own], windows, threshold=threshold)
        for box, score, label in zip(joined.boxes.tolist(), joined.scores.tolist(), joined.labels):
            x0, y0, x1, y1 = box
            bbox = [round(v, 4) for v in (x0, y0, x1 - x0, y1 - y0)]
            annotations.append(
                {"id": len(annotations) + 1, "image_id": number, "category_id": int(label),
                 "bbox": bbox, "area": round(bbox[2] * bbox[3], 4), "iscrowd": 0, "score": score}
            )  # fmt: skip
    whole = {
        "images": images,
        "annotations": annotations,
        "categories": content.get("categories", []),
    }
    write_text(to, json.dumps(whole, ensure_ascii=False, indent=1) + "\n")
    return TileSummary(sum(len(one.boxes) for one in found.values()), len(annotations))


def _tile_places(content: Any, name: str) -> dict[int, Mapping[str, Any]]:
    """Return image id -> place of the tile, with its own width and height."""
    places: dict[int, Mapping[str, Any]] = {}
    images = content.get("images") if isinstance(content, Mapping) else None
    for image in images if isinstance(images, list) else ():
        attributes = image.get("attributes") if isinstance(image, Mapping) else None
        if not isinstance(attributes, Mapping) or not {*TILE_COLUMNS} <= attributes.keys():
            places.clear()
            break
        places[image["id"]] = {**attributes, "width": image["width"], "height": image["height"]}
    if not places:
        raise DataError(
            f"'{name}' does not state where tiles lie",
            allowed="the annotations.json that 'twinset tiles' writes with --format coco",
        )
    return places


def _classes(content: Mapping[str, Any]) -> dict[int, str]:
    return {int(one["id"]): str(one["name"]) for one in content.get("categories", ())}


def _detections(
    results: Any, known: Mapping[int, object], classes: Mapping[int, str], name: str
) -> dict[int, Detections]:
    """Return image id -> objects on that tile."""
    found: dict[int, list[tuple[list[float], float, str]]] = {i: [] for i in known}
    faults: list[str] = []
    for place, entry in enumerate(results if isinstance(results, list) else [None]):
        try:
            i, (x, y, w, h) = entry["image_id"], (float(v) for v in entry["bbox"])
            is_known = i in known
            score, label = float(entry["score"]), int(entry["category_id"])
            if not np.isfinite([x, y, w, h, score]).all() or min(w, h) <= 0:
                raise ValueError(entry["bbox"])
        except (TypeError, KeyError, ValueError):
            faults.append(f"[{place}] is no box with a score")
            continue
        if not is_known:
            faults.append(f"[{place}] is of a tile {i} that there is not")
        elif label not in classes:
            faults.append(f"[{place}] is of a class {label} that there is not")
        else:
            found[i].append(([x, y, x + w, y + h], score, str(label)))
    if faults:
        many = "an entry" if len(faults) == 1 else f"{len(faults):,} entries"
        named = ", ".join(f"{i} ({word})" for i, word in classes.items())
        raise DataError(
            f"'{name}' holds {many} that cannot be used",
            got="; ".join(faults[:5]),
            allowed=f"{_RESULT}, of the tiles in annotations.json and its classes {named}",
        )
    return {
        i: Detections(
            np.array([box for box, _, _ in own], float).reshape(-1, 4),
            np.array([score for _, score, _ in own]),
            [label for _, _, label in own],
        )
        for i, own in found.items()
    }


def _window(tile: Mapping[str, Any]) -> Window:
    x, y = int(tile["tile_x"]), int(tile["tile_y"])
    return Window(x, y, x + int(tile["width"]), y + int(tile["height"]))

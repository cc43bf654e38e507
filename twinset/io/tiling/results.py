"""COCO results of tiles as one COCO file of the whole images: a detector's boxes, joined."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from twinset.core.data.schema import TILE_COLUMNS
from twinset.core.errors import DataError
from twinset.io.files import write_text
from twinset.io.tiling.files import TileSummary
from twinset.io.tiling.grid import Window
from twinset.io.tiling.predictions import Detections, join_boxes

_RESULT = "a list of {image_id, category_id, bbox: [x, y, width, height], score}"


def join_results(tiles: Path, results: Path, to: Path, *, threshold: float = 0.5) -> TileSummary:
    """Join the boxes that a detector found on tiles, and write them as a COCO file of the whole images.

    Parameters
    ----------
    tiles : Path
        The folder of tiles in COCO, or its `annotations.json`: what `image_id` means, and where tiles lie.
    results : Path
        What was found, in the form of COCO's results: a list of image_id, category_id, bbox and score.
    to : Path
        The file to write; each annotation has a `score`. Nothing must be there.
    threshold : float
        As in `join_boxes`.

    Returns
    -------
    TilesMade
        How many boxes were read, and how many objects written.

    Raises
    ------
    DataError
        A file cannot be read, speaks of unknown tiles, or there is something at `to`.
    ParameterError
        The threshold is out of its range.
    """
    if to.exists():
        raise DataError(f"there is a '{to}' already", todo="name a new place, or remove it first")
    file = tiles / "annotations.json" if tiles.is_dir() else tiles
    content = _json(file)
    known = _tiles(content, file.name)
    found = _found(_json(results), known, _classes(content), results.name)
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


def _json(file: Path) -> Any:
    if not file.is_file():
        raise DataError(f"there is no file '{file}'")
    try:
        return json.loads(file.read_bytes())
    except ValueError as error:
        raise DataError(f"'{file.name}' is no JSON", got=str(error)) from error


def _tiles(content: Any, name: str) -> dict[int, Mapping[str, Any]]:
    """Return image id -> where the tile lies, with its own width and height."""
    made: dict[int, Mapping[str, Any]] = {}
    images = content.get("images") if isinstance(content, Mapping) else None
    for image in images if isinstance(images, list) else ():
        attributes = image.get("attributes") if isinstance(image, Mapping) else None
        if not isinstance(attributes, Mapping) or not {*TILE_COLUMNS} <= attributes.keys():
            made.clear()
            break
        made[image["id"]] = {**attributes, "width": image["width"], "height": image["height"]}
    if not made:
        raise DataError(
            f"'{name}' does not say where tiles lie",
            allowed="the annotations.json that 'twinset tiles' writes with --format coco",
        )
    return made


def _classes(content: Mapping[str, Any]) -> dict[int, str]:
    return {int(one["id"]): str(one["name"]) for one in content.get("categories", ())}


def _found(
    results: Any, known: Mapping[int, object], classes: Mapping[int, str], name: str
) -> dict[int, Detections]:
    """Return image id -> what was found on that tile."""
    boxes: dict[int, list[list[float]]] = {i: [] for i in known}
    scores: dict[int, list[float]] = {i: [] for i in known}
    labels: dict[int, list[str]] = {i: [] for i in known}
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
            continue
        if label not in classes:
            faults.append(f"[{place}] is of a class {label} that there is not")
            continue
        boxes[i].append([x, y, x + w, y + h])
        scores[i].append(score)
        labels[i].append(str(label))
    if faults:
        many = "an entry" if len(faults) == 1 else f"{len(faults):,} entries"
        named = ", ".join(f"{i} ({word})" for i, word in classes.items())
        raise DataError(
            f"'{name}' holds {many} that cannot be used",
            got="; ".join(faults[:5]),
            allowed=f"{_RESULT}, of the tiles in annotations.json and its classes {named}",
        )
    return {
        i: Detections(np.array(boxes[i], float).reshape(-1, 4), np.array(scores[i]), labels[i])
        for i in known
    }


def _window(tile: Mapping[str, Any]) -> Window:
    x, y = int(tile["tile_x"]), int(tile["tile_y"])
    return Window(x, y, x + int(tile["width"]), y + int(tile["height"]))

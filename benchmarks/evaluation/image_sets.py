"""Real and simulated image sets for the benchmarks of evaluation: blood cells, nuclei, shapes."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import BLOB, OBJECT, Field, Schema
from twinset.core.data.where import Where
from twinset.core.image.codec import decode_pixels, encode_png
from twinset.core.image.instance_maps import objects_from_ids
from twinset.core.seeding import rng_for
from twinset.registry import build

VISION = Path(__file__).parents[3] / "shared" / "data" / "vision"
_SIDE = 96
_RED_CELLS = 12
_TILE = 96
_SHAPES = {"size": 64, "n_objects_range": (1, 3), "noise": 6.0, "brightness_range": (0.7, 1.1)}


@dataclass(frozen=True)
class ImageSet:
    """A set with images, boxes and a label.

    Parameters
    ----------
    name : str
        What it is called.
    rows : callable
        Seed -> all rows.
    label : str
        Its column of labels.
    rare : str
        The label that is dropped.
    slice : callable
        Set -> which rows are in a slice of a few percent, shape (n,).
    """

    name: str
    rows: Callable[[int], Dataset]
    label: str
    rare: str
    slice: Callable[[Dataset], npt.NDArray[np.bool_]]


def cells(seed: int = 0) -> Dataset:
    """Return windows of 96 pixels round blood cells: all white ones and platelets, 12 red ones an image."""
    rng = rng_for(seed, "cells")
    rows: list[dict[str, Any]] = []
    for note in sorted((VISION / "bccd/BCCD/Annotations").glob("*.xml")):
        image = VISION / "bccd/BCCD/JPEGImages" / f"{note.stem}.jpg"
        if not image.is_file():
            continue
        pixels = decode_pixels(image.read_bytes())
        boxes = _boxes(note, pixels.shape)
        red = [i for i, (label, _) in enumerate(boxes) if label == "RBC"]
        kept = set(rng.permutation(red)[:_RED_CELLS].tolist())
        for i, (label, box) in enumerate(boxes):
            if label != "RBC" or i in kept:
                middle = (box[:2] + box[2:]) / 2 + rng.uniform(-8, 8, 2)
                rows.append({"label": label, **_window(pixels, boxes, middle)})
    return _dataset(rows)


def shapes(seed: int = 0) -> Dataset:
    """Return 2,400 images of `image.shapes`, 64 pixels, with their boxes."""
    drawn = build("generator", "image.shapes", _SHAPES).fit(None, rng_for(seed, "fit"))
    return drawn.sample(2_400, rng_for(seed, "sample")).without_reserved()


def nuclei(seed: int = 0) -> Dataset:
    """Return tiles of 96 pixels of the nuclei images, with instance masks and boxes."""
    rows: list[dict[str, Any]] = []
    for file in sorted((VISION / "nuclei/images").glob("*.png")):
        pixels = decode_pixels(file.read_bytes())
        ids = decode_pixels((VISION / "nuclei/labels" / file.name).read_bytes())
        for top in range(0, pixels.shape[0] - _TILE + 1, _TILE):
            for left in range(0, pixels.shape[1] - _TILE + 1, _TILE):
                part = ids[top : top + _TILE, left : left + _TILE]
                seen = np.unique(part[part > 0])
                rows.append(
                    {
                        "label": "many" if len(seen) > 6 else "few",
                        "image": _png(pixels[top : top + _TILE, left : left + _TILE]),
                        "instances": _png(part.astype(np.uint16)),
                        "objects": objects_from_ids(part, {int(i): "nucleus" for i in seen}),
                    }
                )
    return _dataset(rows)


SETS = {
    "cells": ImageSet("cells", cells, "label", "Platelets", lambda d: _dark(d, "WBC")),
    "shapes": ImageSet(
        "shapes",
        shapes,
        "main_shape",
        "star",
        lambda d: d.mask(Where.parse("light = night and main_shape = ring")),
    ),
}


def _dark(rows: Dataset, label: str) -> npt.NDArray[np.bool_]:
    """Return which images of a label are darker than the usual one of it."""
    codes, levels = rows.codes("label")
    own = codes == levels.index(label)
    light = np.full(len(rows), np.inf)
    column = rows.records.column("image")
    for row in np.flatnonzero(own):
        light[row] = decode_pixels(column[int(row)].as_py()["bytes"]).mean()
    return np.asarray(own & (light < np.median(light[own])))


def _boxes(note: Path, shape: tuple[int, ...]) -> list[tuple[str, npt.NDArray[np.float64]]]:
    found = []
    for one in ET.parse(note).getroot().iter("object"):
        at = one.find("bndbox")
        assert at is not None
        corners = [float(at.findtext(k) or 0) for k in ("xmin", "ymin", "xmax", "ymax")]
        box = np.clip(corners, 0, [shape[1], shape[0]] * 2)
        if (box[2:] - box[:2]).min() >= 4:
            found.append((str(one.findtext("name")), box))
    return found


def _window(
    pixels: npt.NDArray[Any],
    boxes: list[tuple[str, npt.NDArray[np.float64]]],
    middle: npt.NDArray[np.float64],
) -> dict[str, Any]:
    """Return a window of the picture with the boxes whose middle lies in it, cut at its border."""
    most = np.array([pixels.shape[1], pixels.shape[0]]) - _SIDE
    left, top = np.clip(middle - _SIDE / 2, 0, most).astype(int)
    objects: list[dict[str, Any]] = []
    for label, box in boxes:
        moved = box - [left, top, left, top]
        centre = (moved[:2] + moved[2:]) / 2
        if (centre >= 0).all() and (centre < _SIDE).all():
            moved = np.clip(moved, 0, _SIDE)
            objects.append({"id": len(objects) + 1, "category": label, "box": moved.tolist()})
    return {"image": _png(pixels[top : top + _SIDE, left : left + _SIDE]), "objects": objects}


def _png(pixels: npt.NDArray[Any]) -> dict[str, Any]:
    return {"bytes": encode_png(np.ascontiguousarray(pixels)), "path": None}


def _dataset(rows: list[dict[str, Any]]) -> Dataset:
    types = {"image": BLOB, "instances": BLOB, "objects": pa.list_(OBJECT), "label": pa.string()}
    kinds: dict[str, Any] = {"image": "image", "instances": "mask", "objects": "boxes"}
    names = [name for name in types if name in rows[0]]
    table = pa.table({n: pa.array([row[n] for row in rows], types[n]) for n in names})
    fields = [Field(name=n, kind=kinds.get(n, "category")) for n in names]
    return Dataset.from_arrow(table, Schema(tuple(fields)))

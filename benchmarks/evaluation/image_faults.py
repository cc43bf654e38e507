"""Image sets, blood cells and drawn shapes, and faults to plant into images that were never used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks.datasets import blood_cells, png_cell
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import BLOB, OBJECT, Field, Schema
from twinset.core.data.where import Where
from twinset.core.image.codec import decode_pixels
from twinset.core.seeding import rng_for
from twinset.registry import build

Rng = np.random.Generator
Pixels = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
Box = tuple[str, npt.NDArray[np.float64]]

SIDE = 96  # pixels; a white blood cell fills about half of such a window
RED_CELLS = 12  # windows of red cells an image: all of them would be nine tenths of the set
SHAPES = {"size": 64, "n_objects_range": (1, 3), "noise": 6.0, "brightness_range": (0.7, 1.1)}


@dataclass(frozen=True)
class ImageSet:
    """A set with images, boxes and a label."""

    rows: Callable[[int], Dataset]  # seed -> all rows
    label: str  # column of labels
    rare: str  # the label that is dropped
    slice: Callable[[Dataset], Mask]  # which rows are in a slice of a few percent, shape (n,)


def cells(seed: int) -> Dataset:
    """Return windows around blood cells: all white ones and platelets, 12 red ones an image."""
    rng = rng_for(seed, "cells")
    rows: list[dict[str, Any]] = []
    for row in blood_cells().records.to_pylist():
        pixels = decode_pixels(row["image"]["bytes"])
        # The recorded figures are of boxes whose first corner counts from 1, as in the annotations.
        boxes = [(o["category"], np.array(o["box"]) + [1, 1, 0, 0]) for o in row["objects"]]
        # Annotations of a few pixels are mistakes.
        boxes = [(label, box) for label, box in boxes if (box[2:] - box[:2]).min() >= 4]
        red = [i for i, (label, _) in enumerate(boxes) if label == "RBC"]
        taken = set(rng.permutation(red)[:RED_CELLS].tolist())
        for i, (label, box) in enumerate(boxes):
            if label != "RBC" or i in taken:
                middle = (box[:2] + box[2:]) / 2 + rng.uniform(-8, 8, 2)
                rows.append({"label": label, **_window(pixels, boxes, middle)})
    types = {"image": BLOB, "objects": pa.list_(OBJECT), "label": pa.string()}
    table = pa.table({n: pa.array([row[n] for row in rows], t) for n, t in types.items()})
    kinds = {"image": "image", "objects": "boxes", "label": "category"}
    fields = tuple(Field(name=name, kind=kind) for name, kind in kinds.items())
    return Dataset.from_arrow(table, Schema(fields))


def _window(pixels: Pixels, boxes: list[Box], middle: Pixels) -> dict[str, Any]:
    """Return a window of the image with the boxes whose middle lies in it, cut at its border."""
    most = np.array([pixels.shape[1], pixels.shape[0]]) - SIDE
    left, top = np.clip(middle - SIDE / 2, 0, most).astype(int)
    objects: list[dict[str, Any]] = []
    for label, box in boxes:
        moved = box - [left, top, left, top]
        centre = (moved[:2] + moved[2:]) / 2
        if (centre >= 0).all() and (centre < SIDE).all():
            moved = np.clip(moved, 0, SIDE)
            objects.append({"id": len(objects) + 1, "category": label, "box": moved.tolist()})
    return {"image": png_cell(pixels[top : top + SIDE, left : left + SIDE]), "objects": objects}


def shapes(seed: int) -> Dataset:
    """Return 2,400 images of `image.shapes`, 64 pixels, with their boxes."""
    fitted = build("generator", "image.shapes", SHAPES).fit(None, rng_for(seed, "fit"))
    return fitted.sample(2_400, rng_for(seed, "sample")).without_reserved()


def _dark(rows: Dataset) -> Mask:
    """Return which images of white cells are darker than the median one."""
    own = _has_label(rows, "label", "WBC")
    light = np.full(len(rows), np.inf)
    column = rows.records.column("image")
    for row in np.flatnonzero(own):
        light[row] = decode_pixels(column[int(row)].as_py()["bytes"]).mean()
    return np.asarray(own & (light < np.median(light[own])))


Fault = Callable[[Dataset, ImageSet, Rng], Dataset]
"""(rows, image set, rng) -> faulty rows."""
NIGHT_RINGS = Where.parse("light = night and main_shape = ring")
IMAGE_SETS = {
    "cells": ImageSet(cells, "label", "Platelets", _dark),
    "shapes": ImageSet(shapes, "main_shape", "star", lambda data: data.mask(NIGHT_RINGS)),
}


def _pixels(change: Callable[..., Pixels], share: float = 1.0, *by: float) -> Fault:
    """Return a fault of the pixels, floats from 0 to 1, of a share of the images."""

    def plant(rows: Dataset, images: ImageSet, rng: Rng) -> Dataset:
        column = []
        for cell in rows.records.column("image").to_pylist():
            if share == 1 or rng.random() < share:
                pixels = decode_pixels(cell["bytes"])[..., :3].astype(np.float64) / 255
                changed = np.clip(np.round(255 * change(pixels, rng, *by)), 0, 255).astype(np.uint8)
                cell = png_cell(changed)
            column.append(cell)
        return _with(rows, "image", pa.array(column, BLOB))

    return plant


def _jpeg(pixels: Pixels, quality: int) -> Pixels:
    whole = np.round(255 * pixels).astype(np.uint8)
    _, data = cv2.imencode(".jpg", whole[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    again: Any = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return np.asarray(again[..., ::-1] / 255.0)


def _coarse(pixels: Pixels, rng: Rng) -> Pixels:
    side = pixels.shape[0] // 2
    small = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, pixels.shape[1::-1], interpolation=cv2.INTER_LINEAR))


def _quarters(pixels: Pixels, rng: Rng) -> Pixels:
    half = pixels.shape[0] // 2
    parts = [pixels[y : y + half, x : x + half] for y in (0, half) for x in (0, half)]
    a, b, c, d = (parts[i] for i in rng.permutation(4))
    return np.concatenate([np.concatenate([a, b], axis=1), np.concatenate([c, d], axis=1)])


def _has_label(rows: Dataset, column: str, label: str) -> Mask:
    codes, levels = rows.codes(column)
    return np.asarray(codes == levels.index(label))


def _rare(rows: Dataset, images: ImageSet) -> Mask:
    return _has_label(rows, images.label, images.rare)


def _more(rows: Dataset, which: Mask, times: int, rng: Rng) -> Dataset:
    """Return the rows with the others thinned until the slice is `times` as frequent."""
    wanted = min(times * which.mean(), 0.9)
    left = which.sum() / wanted * (1 - wanted) / max((~which).sum(), 1)
    return rows.filter(which | (rng.random(len(rows)) < left))


def _twice(rows: Dataset, images: ImageSet, rng: Rng) -> Dataset:
    order = rng.permutation(len(rows))
    again = order[: int(0.1 * len(rows))]
    return rows.take(np.concatenate([order[: len(rows) - len(again)], again]))


def _flipped(rows: Dataset, images: ImageSet, rng: Rng, share: float) -> Dataset:
    codes, levels = rows.codes(images.label)
    hit = rng.random(len(rows)) < share
    moved = (codes + rng.integers(1, len(levels), len(rows))) % len(levels)
    labels = np.array(levels, dtype=object)[np.where(hit, moved, codes)]
    column = pa.array(labels.tolist(), pa.string()).dictionary_encode()
    return _with(rows, images.label, column.cast(pa.dictionary(pa.int32(), pa.string())))


def _boxes_of(change: Callable[[list[Any], Rng], list[Any]]) -> Fault:
    """Return a fault of the list of objects of every image."""

    def plant(rows: Dataset, images: ImageSet, rng: Rng) -> Dataset:
        objects = [change(row or [], rng) for row in rows.records.column("objects").to_pylist()]
        return _with(rows, "objects", pa.array(objects, pa.list_(OBJECT)))

    return plant


def _moved(one: dict[str, Any], by: float, wider: float) -> dict[str, Any]:
    """Shift a box to the right and down by a part of its size, and widen it."""
    corner, end = np.array(one["box"][:2]), np.array(one["box"][2:])
    size = end - corner
    box = [*(corner + (by - wider / 2) * size), *(end + (by + wider / 2) * size)]
    return {**one, "box": np.maximum(box, 0.0).tolist()}


def _boxes_moved(by: float = 0.0, wider: float = 0.0) -> Fault:
    return _boxes_of(lambda row, r: [_moved(one, by, wider) for one in row])


def _boxes_lost(share: float) -> Fault:
    return _boxes_of(lambda row, r: [one for one in row if r.random() >= share])


def _with(rows: Dataset, name: str, column: pa.Array) -> Dataset:
    place = rows.records.schema.get_field_index(name)
    records = rows.records.set_column(place, name, pa.chunked_array([column]))
    return Dataset(records, rows.schema, rows.card)


IMAGE_FAULTS: dict[str, Fault] = {
    **{f"noise {x}": _pixels(lambda p, r, x: p + x * r.normal(size=p.shape), 1.0, x)
       for x in (0.01, 0.02, 0.05)},
    **{f"blur {x}": _pixels(lambda p, r, x: cv2.GaussianBlur(p, (0, 0), x), 1.0, x)
       for x in (0.35, 0.5, 1.0)},
    **{f"brightness +{x}": _pixels(lambda p, r, x: p + x, 1.0, x) for x in (0.02, 0.05)},
    **{f"contrast x {x}": _pixels(lambda p, r, x: p.mean() + x * (p - p.mean()), 1.0, x)
       for x in (0.95, 0.85)},
    **{f"blue cast {x}": _pixels(lambda p, r, x: p + np.array([-x / 2, -x / 2, x]), 1.0, x)
       for x in (0.02, 0.05)},
    **{f"JPEG quality {q}": _pixels(lambda p, r, q: _jpeg(p, q), 1.0, q) for q in (90, 75, 50)},
    "half the resolution": _pixels(_coarse),
    "quarters shuffled in 5%": _pixels(_quarters, 0.05),
    "quarters shuffled in 20%": _pixels(_quarters, 0.2),
    "black images in 5 %": _pixels(lambda p, r: 0 * p, 0.05),
    # Rows that are left out are not replaced: copies of others would be a fault too.
    "a class dropped": lambda d, s, r: d.filter(~_rare(d, s)),
    "a class halved": lambda d, s, r: d.filter(~_rare(d, s) | (r.random(len(d)) < 0.5)),
    "a slice removed": lambda d, s, r: d.filter(~s.slice(d)),
    "a slice three times as frequent": lambda d, s, r: _more(d, s.slice(d), 3, r),
    "a third of the images three times each":
        lambda d, s, r: d.take(np.repeat(r.permutation(len(d))[: len(d) // 3], 3)),
    "10 % of the images twice": _twice,
    **{f"{x:.0%} of the labels flipped": partial(_flipped, share=x) for x in (0.01, 0.02, 0.05)},
    **{f"boxes shifted by {x:.0%}": _boxes_moved(x) for x in (0.05, 0.1, 0.2)},
    "boxes 20 % too large": _boxes_moved(wider=0.2),
    "10% of the boxes missing": _boxes_lost(0.1),
    "30% of the boxes missing": _boxes_lost(0.3),
}  # fmt: skip
# Faults of the other strengths have to be found; these show where detection begins.
WEAK = ("noise 0.01", "blur 0.35", "brightness +0.02", "contrast x 0.95", "blue cast 0.02",
        "JPEG quality 90", "quarters shuffled in 5%", "10 % of the images twice",
        "1% of the labels flipped", "boxes shifted by 5%", "10% of the boxes missing")  # fmt: skip
STATED = [name for name in IMAGE_FAULTS if name not in WEAK]

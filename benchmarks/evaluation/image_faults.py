"""Image sets, blood cells and drawn shapes, and faults to plant into images that were never used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks.datasets import blood_cells, png_cell, with_column
from benchmarks.runner import load_yaml
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
N_SHAPES = 2_400  # about as many images as there are windows of cells


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
    kinds = zip(types, ("image", "boxes", "category"))
    return Dataset.from_arrow(table, Schema(tuple(Field(name=n, kind=kind) for n, kind in kinds)))


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
    """Return images of `image.shapes`, 64 pixels, with their boxes."""
    fitted = build("generator", "image.shapes", SHAPES).fit(None, rng_for(seed, "fit"))
    return fitted.sample(N_SHAPES, rng_for(seed, "sample")).without_reserved()


def _dark(rows: Dataset) -> Mask:
    """Return which images of white cells are darker than the median one."""
    own = _has_label(rows, "label", "WBC")
    light = np.full(len(rows), np.inf)
    column = rows.records.column("image")
    for row in np.flatnonzero(own):
        light[row] = decode_pixels(column[int(row)].as_py()["bytes"]).mean()
    return np.asarray(own & (light < np.median(light[own])))


def _has_label(rows: Dataset, column: str, label: str) -> Mask:
    codes, levels = rows.codes(column)
    return np.asarray(codes == levels.index(label))


NIGHT_RINGS = Where.parse("light = night and main_shape = ring")
IMAGE_SETS = {
    "cells": ImageSet(cells, "label", "Platelets", _dark),
    "shapes": ImageSet(shapes, "main_shape", "star", lambda data: data.mask(NIGHT_RINGS)),
}


def _jpeg(pixels: Pixels, quality: float) -> Pixels:
    whole = np.round(255 * pixels).astype(np.uint8)
    _, data = cv2.imencode(".jpg", whole[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
    again: Any = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return np.asarray(again[..., ::-1] / 255.0)


def _coarse(pixels: Pixels) -> Pixels:
    side = pixels.shape[0] // 2
    small = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, pixels.shape[1::-1], interpolation=cv2.INTER_LINEAR))


def _quarters(pixels: Pixels, rng: Rng) -> Pixels:
    half = pixels.shape[0] // 2
    parts = [pixels[y : y + half, x : x + half] for y in (0, half) for x in (0, half)]
    a, b, c, d = (parts[i] for i in rng.permutation(4))
    return np.concatenate([np.concatenate([a, b], axis=1), np.concatenate([c, d], axis=1)])


PIXELS: dict[str, Callable[[Pixels, Rng, float], Pixels]] = {
    "noise": lambda p, r, by: p + by * r.normal(size=p.shape),
    "blur": lambda p, r, by: np.asarray(cv2.GaussianBlur(p, (0, 0), by)),
    "brightness": lambda p, r, by: p + by,
    "contrast": lambda p, r, by: np.asarray(p.mean() + by * (p - p.mean())),
    "blue": lambda p, r, by: p + np.array([-by / 2, -by / 2, by]),
    "jpeg": lambda p, r, by: _jpeg(p, by),
    "coarse": lambda p, r, by: _coarse(p),
    "quarters": lambda p, r, by: _quarters(p, r),
    "black": lambda p, r, by: 0 * p,
}


def _changed(cell: dict[str, Any], change: Callable[[Pixels], Pixels]) -> dict[str, Any]:
    pixels = change(decode_pixels(cell["bytes"])[..., :3].astype(np.float64) / 255)
    return png_cell(np.clip(np.round(255 * pixels), 0, 255).astype(np.uint8))


def _moved(one: dict[str, Any], by: float = 0.0, wider: float = 0.0) -> dict[str, Any]:
    """Shift a box to the right and down by a part of its size, and widen it."""
    corner, end = np.array(one["box"][:2]), np.array(one["box"][2:])
    size = end - corner
    box = [*(corner + (by - wider / 2) * size), *(end + (by + wider / 2) * size)]
    return {**one, "box": np.maximum(box, 0.0).tolist()}


BOXES: dict[str, Callable[[list[Any], Rng, float], list[Any]]] = {
    "moved": lambda row, r, by: [_moved(one, by) for one in row],
    "widened": lambda row, r, by: [_moved(one, wider=by) for one in row],
    "lost": lambda row, r, by: [one for one in row if r.random() >= by],
}


def slice_frequent(rows: Dataset, images: ImageSet, rng: Rng, by: float) -> Dataset:
    """Thin the other rows until the slice is so many times as frequent."""
    which = images.slice(rows)
    wanted = min(by * which.mean(), 0.9)
    left = which.sum() / wanted * (1 - wanted) / max((~which).sum(), 1)
    return rows.filter(which | (rng.random(len(rows)) < left))


def twice(rows: Dataset, images: ImageSet, rng: Rng, by: float) -> Dataset:
    order = rng.permutation(len(rows))
    again = order[: int(by * len(rows))]
    return rows.take(np.concatenate([order[: len(rows) - len(again)], again]))


def flipped(rows: Dataset, images: ImageSet, rng: Rng, by: float) -> Dataset:
    codes, levels = rows.codes(images.label)
    hit = rng.random(len(rows)) < by
    moved = (codes + rng.integers(1, len(levels), len(rows))) % len(levels)
    labels = np.array(levels, dtype=object)[np.where(hit, moved, codes)]
    column = pa.array(labels.tolist(), pa.string()).dictionary_encode()
    return with_column(rows, images.label, column.cast(pa.dictionary(pa.int32(), pa.string())))


PLANTS: dict[str, Callable[[Dataset, ImageSet, Rng, float], Dataset]] = {
    "class_dropped": lambda d, s, r, by: d.filter(~_has_label(d, s.label, s.rare)),
    "class_halved": lambda d, s, r, by: d.filter(
        ~_has_label(d, s.label, s.rare) | (r.random(len(d)) < 0.5)
    ),
    "slice_removed": lambda d, s, r, by: d.filter(~s.slice(d)),
    "thrice": lambda d, s, r, by: d.take(np.repeat(r.permutation(len(d))[: len(d) // 3], 3)),
    **{f.__name__: f for f in (slice_frequent, twice, flipped)},
}


def plant_image_fault(name: str, rows: Dataset, images: ImageSet, rng: Rng) -> Dataset:
    """Return fresh rows with a fault of image_faults.yaml."""
    how = IMAGE_FAULTS[name]
    by, share = how.get("by", 0.0), how.get("share", 1)
    if "plant" in how:
        return PLANTS[how["plant"]](rows, images, rng, by)
    if "boxes" in how:
        objects = rows.records.column("objects").to_pylist()
        changed = [BOXES[how["boxes"]](row or [], rng, by) for row in objects]
        return with_column(rows, "objects", pa.array(changed, pa.list_(OBJECT)))
    change = PIXELS[how["pixels"]]
    column = [
        _changed(cell, lambda pixels: change(pixels, rng, by))
        if share == 1 or rng.random() < share
        else cell
        for cell in rows.records.column("image").to_pylist()
    ]
    return with_column(rows, "image", pa.array(column, BLOB))


IMAGE_FAULTS: dict[str, dict[str, Any]] = load_yaml(__file__, "image_faults.yaml")
STATED = [name for name, how in IMAGE_FAULTS.items() if "weak" not in how]

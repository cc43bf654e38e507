"""Image sets, blood cells and drawn shapes, and faults to plant into images that were never used."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks.datasets import data_folder, png_cell
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
    """A set with images, boxes and a label.

    Parameters
    ----------
    rows : callable
        Seed -> all rows.
    label, rare : str
        Column of labels, and the label that is dropped.
    slice : callable
        Dataset -> which rows are in a slice of a few percent, shape (n,).
    """

    rows: Callable[[int], Dataset]
    label: str
    rare: str
    slice: Callable[[Dataset], Mask]


def cells(seed: int) -> Dataset:
    """Return windows around blood cells: all white ones and platelets, 12 red ones an image."""
    rng = rng_for(seed, "cells")
    folder = data_folder("vision", "bccd", "BCCD")
    rows: list[dict[str, Any]] = []
    for note in sorted((folder / "Annotations").glob("*.xml")):
        image = folder / "JPEGImages" / f"{note.stem}.jpg"
        if not image.is_file():
            continue
        pixels = decode_pixels(image.read_bytes())
        boxes = _boxes(note, pixels.shape)
        red = [i for i, (label, _) in enumerate(boxes) if label == "RBC"]
        taken = set(rng.permutation(red)[:RED_CELLS].tolist())
        for i, (label, box) in enumerate(boxes):
            if label != "RBC" or i in taken:
                middle = (box[:2] + box[2:]) / 2 + rng.uniform(-8, 8, 2)
                rows.append({"label": label, **_window(pixels, boxes, middle)})
    types = {"image": BLOB, "objects": pa.list_(OBJECT), "label": pa.string()}
    table = pa.table({n: pa.array([row[n] for row in rows], t) for n, t in types.items()})
    fields = (
        Field(name="image", kind="image"),
        Field(name="objects", kind="boxes"),
        Field(name="label", kind="category"),
    )
    return Dataset.from_arrow(table, Schema(fields))


def _boxes(note: Path, shape: tuple[int, ...]) -> list[Box]:
    found = []
    for one in ET.parse(note).getroot().iter("object"):
        at = one.find("bndbox")
        assert at is not None
        corners = [float(at.findtext(k) or 0) for k in ("xmin", "ymin", "xmax", "ymax")]
        box = np.clip(corners, 0, [shape[1], shape[0]] * 2)
        if (box[2:] - box[:2]).min() >= 4:  # annotations of a few pixels are mistakes
            found.append((str(one.findtext("name")), box))
    return found


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


NIGHT_RINGS = Where.parse("light = night and main_shape = ring")
IMAGE_SETS = {
    "cells": ImageSet(cells, "label", "Platelets", _dark),
    "shapes": ImageSet(shapes, "main_shape", "star", lambda data: data.mask(NIGHT_RINGS)),
}


@dataclass(frozen=True)
class ImageFault:
    """One kind of fault at one strength.

    Parameters
    ----------
    name : str
        Kind and strength.
    plant : callable
        ``(rows, image set, rng)`` -> faulty rows.
    stated : bool
        Whether a fault of this strength has to be found; weaker ones show where detection begins.
    """

    name: str
    plant: Callable[[Dataset, ImageSet, Rng], Dataset]
    stated: bool = True


def image_faults() -> dict[str, ImageFault]:
    """Return all kinds at all strengths by name."""
    found = [
        ImageFault(name, partial(_each, change=change, share=share), stated)
        for name, change, share, stated in PIXEL_CHANGES
    ]
    return {fault.name: fault for fault in [*found, *ROW_FAULTS, *LABEL_FAULTS]}


def _each(
    rows: Dataset, images: ImageSet, rng: Rng, *, change: Callable[..., Pixels], share: float
) -> Dataset:
    """Change the pixels, floats from 0 to 1, of a share of the images."""
    column = []
    for cell in rows.records.column("image").to_pylist():
        if share < 1 and rng.random() >= share:
            column.append(cell)
            continue
        pixels = decode_pixels(cell["bytes"])[..., :3].astype(np.float64) / 255
        changed = np.clip(np.round(255 * change(pixels, rng)), 0, 255).astype(np.uint8)
        column.append(png_cell(changed))
    return _with(rows, "image", pa.array(column, BLOB))


def _noise(size: float) -> Callable[..., Pixels]:
    return lambda p, r: p + size * r.normal(size=p.shape)


def _blur(size: float) -> Callable[..., Pixels]:
    return lambda p, r: cv2.GaussianBlur(p, (0, 0), size)


def _contrast(size: float) -> Callable[..., Pixels]:
    return lambda p, r: p.mean() + size * (p - p.mean())


def _blue(size: float) -> Callable[..., Pixels]:
    return lambda p, r: p + np.array([-size / 2, -size / 2, size])


def _jpeg(quality: int) -> Callable[..., Pixels]:
    def change(pixels: Pixels, rng: Rng) -> Pixels:
        whole = np.round(255 * pixels).astype(np.uint8)
        _, data = cv2.imencode(".jpg", whole[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        again: Any = cv2.imdecode(data, cv2.IMREAD_COLOR)
        return np.asarray(again[..., ::-1] / 255.0)

    return change


def _coarse(pixels: Pixels, rng: Rng) -> Pixels:
    side = pixels.shape[0] // 2
    small = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, pixels.shape[1::-1], interpolation=cv2.INTER_LINEAR))


def _quarters(pixels: Pixels, rng: Rng) -> Pixels:
    half = pixels.shape[0] // 2
    parts = [pixels[y : y + half, x : x + half] for y in (0, half) for x in (0, half)]
    a, b, c, d = (parts[i] for i in rng.permutation(4))
    return np.concatenate([np.concatenate([a, b], axis=1), np.concatenate([c, d], axis=1)])


PIXEL_CHANGES: tuple[tuple[str, Callable[..., Pixels], float, bool], ...] = (
    # name, change, share of the images, stated
    *((f"noise {s}", _noise(s), 1.0, s >= 0.02) for s in (0.01, 0.02, 0.05)),
    *((f"blur {s}", _blur(s), 1.0, s >= 0.5) for s in (0.35, 0.5, 1.0)),
    ("brightness +0.02", lambda p, r: p + 0.02, 1.0, False),
    ("brightness +0.05", lambda p, r: p + 0.05, 1.0, True),
    *((f"contrast x {s}", _contrast(s), 1.0, s <= 0.85) for s in (0.95, 0.85)),
    *((f"blue cast {s}", _blue(s), 1.0, s >= 0.05) for s in (0.02, 0.05)),
    *((f"JPEG quality {q}", _jpeg(q), 1.0, q <= 75) for q in (90, 75, 50)),
    ("half the resolution", _coarse, 1.0, True),
    ("quarters shuffled in 5%", _quarters, 0.05, False),
    ("quarters shuffled in 20%", _quarters, 0.2, True),
    ("black images in 5 %", lambda p, r: 0 * p, 0.05, True),
)


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


# Rows that are left out are not replaced: copies of others would be a fault too.
ROW_FAULTS = (
    ImageFault("a class dropped", lambda d, s, r: d.filter(~_rare(d, s))),
    ImageFault("a class halved", lambda d, s, r: d.filter(~_rare(d, s) | (r.random(len(d)) < 0.5))),
    ImageFault("a slice removed", lambda d, s, r: d.filter(~s.slice(d))),
    ImageFault("a slice three times as frequent", lambda d, s, r: _more(d, s.slice(d), 3, r)),
    ImageFault(
        "a third of the images three times each",
        lambda d, s, r: d.take(np.repeat(r.permutation(len(d))[: len(d) // 3], 3)),
    ),
    ImageFault("10 % of the images twice", _twice, stated=False),
)


def _flipped(rows: Dataset, images: ImageSet, rng: Rng, *, share: float) -> Dataset:
    codes, levels = rows.codes(images.label)
    hit = rng.random(len(rows)) < share
    moved = (codes + rng.integers(1, len(levels), len(rows))) % len(levels)
    labels = np.array(levels, dtype=object)[np.where(hit, moved, codes)]
    column = pa.array(labels.tolist(), pa.string()).dictionary_encode()
    return _with(rows, images.label, column.cast(pa.dictionary(pa.int32(), pa.string())))


def _moved(
    rows: Dataset, images: ImageSet, rng: Rng, *, by: float = 0.0, wider: float = 0.0
) -> Dataset:
    """Shift every box to the right and down by a part of its size, and widen it."""

    def change(one: dict[str, Any]) -> dict[str, Any]:
        x0, y0, x1, y1 = one["box"]
        size = np.array([x1 - x0, y1 - y0])
        box = [*([x0, y0] + (by - wider / 2) * size), *([x1, y1] + (by + wider / 2) * size)]
        return {**one, "box": np.maximum(box, 0.0).tolist()}

    return _with_objects(rows, [[change(one) for one in row] for row in _objects(rows)])


def _lost(rows: Dataset, images: ImageSet, rng: Rng, *, share: float) -> Dataset:
    left = [[one for one in row if rng.random() >= share] for row in _objects(rows)]
    return _with_objects(rows, left)


LABEL_FAULTS = (
    *(
        ImageFault(f"{s:.0%} of the labels flipped", partial(_flipped, share=s), s >= 0.02)
        for s in (0.01, 0.02, 0.05)
    ),
    *(
        ImageFault(f"boxes shifted by {s:.0%}", partial(_moved, by=s), s >= 0.1)
        for s in (0.05, 0.1, 0.2)
    ),
    ImageFault("boxes 20 % too large", partial(_moved, wider=0.2)),
    ImageFault("10% of the boxes missing", partial(_lost, share=0.1), stated=False),
    ImageFault("30% of the boxes missing", partial(_lost, share=0.3)),
)


def _objects(rows: Dataset) -> list[list[dict[str, Any]]]:
    return [row or [] for row in rows.records.column("objects").to_pylist()]


def _with_objects(rows: Dataset, objects: Sequence[Any]) -> Dataset:
    return _with(rows, "objects", pa.array(list(objects), pa.list_(OBJECT)))


def _with(rows: Dataset, name: str, column: pa.Array) -> Dataset:
    place = rows.records.schema.get_field_index(name)
    records = rows.records.set_column(place, name, pa.chunked_array([column]))
    return Dataset(records, rows.schema, rows.card)

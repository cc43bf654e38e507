"""Properties of images that have names: brightness, noise, sharpness, objects and how boxes sit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field, Schema
from twinset.core.errors import DataError
from twinset.core.features.embedders.embedding import one_chunk, with_carried
from twinset.core.features.embedders.handcrafted import as_colour, texture_facts
from twinset.core.image.codec import Pixels, decode_pixels

Floats = npt.NDArray[np.float64]

PIXEL_PROPERTIES = (
    "brightness", "contrast", "saturation", "red cast", "blue cast", "noise", "sharpness",
    "JPEG blocks", "black share", "white share", "height", "width",
)  # fmt: skip
BOX_PROPERTIES = (
    "objects", "object size", "object shape", "object x", "object y", "box off centre x",
    "box off centre y", "box border",
)  # fmt: skip
MASK_PROPERTIES = ("masks", "masked share", "mask border")

_IN_WORDS = ("brightness", "contrast", "sharpness")
_BOXES_IN_WORDS = ("objects", "object size")
_FIELD = "properties"
_MAX_OBJECTS = 20  # boxes of an image that are measured: their mean is stable by then
_MAX_LABELS = 20  # labels with a count of their own, as many as a report can show
_ROUND_BOX = 0.3  # margin around a box in which its border may lie, as a share of its sides


def image_properties(
    dataset: Dataset,  # A set with an image column
    labels: Sequence[str] = (),  # labels of boxes that are counted one by one
) -> Dataset:
    """Return one row an image and one number a property; a property that an image lacks is missing.

    Of the first image column: brightness, contrast (spread of grey), saturation and casts in parts of
    the full range, noise and sharpness as decimal logarithms, JPEG blocks, shares of black and white
    pixels, height and width. Of the first column of boxes: how many objects, of each label too, the
    means of their size (square root of the box's share), shape (logarithm of width by height) and
    place, how far what stands out lies off the box's centre (in parts of the box), and the contrast
    between inside and border. Of the first column of masks: how many, the share they cover, and how
    much steeper the image is at their borders than elsewhere.
    """
    names = [*PIXEL_PROPERTIES]
    if dataset.schema.of_kind("boxes"):
        names += [*BOX_PROPERTIES, *(f"objects '{label}'" for label in labels)]
    names += MASK_PROPERTIES if dataset.schema.of_kind("mask") else ()
    held = _carried(dataset)
    if set(names) <= set(held):
        columns = {name: held[name] for name in names}
    else:
        table = _measured(dataset, names, labels)
        columns = {name: pa.array(table[:, i], from_pandas=True) for i, name in enumerate(names)}
    schema = Schema(tuple(Field(name=name, kind="number") for name in names))
    return Dataset.from_arrow(pa.table(columns), schema, dataset.card)


def with_properties(dataset: Dataset, labels: Sequence[str] = ()) -> Dataset:
    """Return the set with its properties in the struct of its first image column, so that they go with it.

    They are measured once for all who ask `image_properties` afterwards.
    """
    found = image_properties(dataset, labels).records
    columns = [found.column(name).combine_chunks() for name in found.column_names]
    held = pa.StructArray.from_arrays(columns, found.column_names)
    return with_carried(dataset, dataset.schema.of_kind("image")[0].name, {_FIELD: held})


def described(dataset: Dataset) -> Dataset:
    """Return the set with a few properties of its images as columns of numbers, where it has any.

    These are brightness, contrast, sharpness, and, of boxes, their number and usual size: what can be
    said of a slice in words. A column of that name that the set has already stays as it is.
    """
    if not dataset.schema.of_kind("image"):
        return dataset
    wanted = [*_IN_WORDS, *(_BOXES_IN_WORDS if dataset.schema.of_kind("boxes") else ())]
    found = image_properties(dataset)
    records, schema = dataset.records, dataset.schema
    for name in wanted:
        if name not in schema.names:
            schema = schema.with_field(found.schema[name])
            records = records.append_column(name, found.records.column(name))
    return replace(dataset, records=records, schema=schema)


def _carried(dataset: Dataset) -> dict[str, pa.Array]:
    column = _first(dataset, "image")
    if column is None or column.type.get_field_index(_FIELD) < 0:
        return {}
    held = one_chunk(column).field(_FIELD)
    return {part.name: held.field(part.name) for part in held.type}


def _measured(dataset: Dataset, names: Sequence[str], labels: Sequence[str]) -> Floats:
    image, boxes, masks = (_first(dataset, kind) for kind in ("image", "boxes", "mask"))
    out = np.full((len(dataset), len(names)), np.nan)
    # One by one: all the pixels of a set together would not fit the memory.
    for row in range(len(dataset)):
        pixels = _decoded(image, row)
        if pixels is None:
            continue
        colour = as_colour(pixels)
        grey = colour.mean(axis=2)
        found = _of_pixels(colour, grey)
        if boxes is not None:
            objects = boxes[row].as_py()
            if objects is None:
                found += [np.nan] * (len(BOX_PROPERTIES) + len(labels))
            else:
                held = [one["category"] for one in objects]
                found += [*_of_boxes(objects, grey), *(float(held.count(one)) for one in labels)]
        if masks is not None:
            found += _of_mask(_decoded(masks, row), grey)
        out[row] = found
    return out


def box_labels(dataset: Dataset) -> tuple[str, ...]:
    """Return the most frequent labels of the first column of boxes, at most 20, sorted."""
    column = _first(dataset, "boxes")
    counts: dict[str, int] = {}
    for objects in [] if column is None else column.to_pylist():
        for one in objects or ():
            if one["category"] is not None:
                counts[one["category"]] = counts.get(one["category"], 0) + 1
    common = sorted(counts, key=lambda label: (-counts[label], label))
    return tuple(sorted(common[:_MAX_LABELS]))


def largest_objects(dataset: Dataset, labels: Sequence[str]) -> Floats:
    """Return the side of the largest box of each label in each row, shape (n, labels); 0 where none is.

    The side is the square root of the box's area in pixels, of the first column of boxes.

    Examples
    --------
    >>> from twinset.core.data.schema import OBJECT
    >>> rows = [[{"category": "cat", "box": [0, 0, 4, 9]}, {"category": "dog", "box": [1, 1, 2, 2]}], None]
    >>> boxes = pa.table({"objects": pa.array(rows, pa.list_(OBJECT))})
    >>> d = Dataset.from_arrow(boxes, Schema((Field(name="objects", kind="boxes"),)))
    >>> largest_objects(d, ["cat", "dog"]).tolist()
    [[6.0, 1.0], [0.0, 0.0]]
    """
    out = np.zeros((len(dataset), len(labels)))
    place = {label: i for i, label in enumerate(labels)}
    column = _first(dataset, "boxes")
    for row, objects in enumerate([] if column is None else column.to_pylist()):
        for one in objects or ():
            if one["category"] in place:
                x0, y0, x1, y1 = one["box"]
                side = np.sqrt(max(x1 - x0, 0.0) * max(y1 - y0, 0.0))
                at = place[one["category"]]
                out[row, at] = max(out[row, at], side)
    return out


def _first(dataset: Dataset, kind: str) -> pa.ChunkedArray | None:
    fields = dataset.schema.of_kind(kind)
    return dataset.records.column(fields[0].name) if fields else None


def _decoded(column: pa.ChunkedArray | None, row: int) -> Pixels | None:
    cell = None if column is None else column[row].as_py()
    if cell is None or not cell["bytes"]:
        return None
    try:
        return decode_pixels(cell["bytes"])
    except DataError:
        return None


def _of_pixels(colour: npt.NDArray[np.float32], grey: npt.NDArray[np.float32]) -> list[float]:
    red, green, blue = (float(colour[..., channel].mean()) for channel in range(3))
    noise, sharp, blocks = texture_facts(grey)
    return [
        float(grey.mean()),
        float(grey.std()),
        float((colour.max(axis=2) - colour.min(axis=2)).mean()),
        red - green,
        blue - green,
        noise,
        sharp,
        blocks,
        float((grey <= 1 / 255).mean()),
        float((grey >= 254 / 255).mean()),
        float(grey.shape[0]),
        float(grey.shape[1]),
    ]


def _of_boxes(objects: Sequence[Mapping[str, Any]], grey: npt.NDArray[np.float32]) -> list[float]:
    height, width = grey.shape
    seen = []
    for one in objects[:_MAX_OBJECTS]:
        x0, y0, x1, y1 = one["box"]
        wide, high = max(x1 - x0, 1.0), max(y1 - y0, 1.0)
        seen.append(
            [
                float(np.sqrt(wide * high / (width * height))),
                float(np.log(wide / high)),
                (x0 + x1) / 2 / width,
                (y0 + y1) / 2 / height,
                *_seat(grey, (x0, y0, x1, y1)),
            ]
        )
    if not seen:
        return [0.0, *[np.nan] * (len(BOX_PROPERTIES) - 1)]
    table = np.array(seen)
    # Boxes that lie outside the image are not counted.
    known = np.isfinite(table)
    means = np.where(known, table, 0.0).sum(axis=0) / np.where(
        known.any(axis=0), known.sum(axis=0), 1
    )
    return [float(len(objects)), *np.where(known.any(axis=0), means, np.nan).tolist()]


def _seat(
    grey: npt.NDArray[np.float32], box: tuple[float, float, float, float]
) -> tuple[float, float, float]:
    """Return how a box sits on what it frames: off centre in x and y, and the contrast to its border.

    What differs from the rim of the widened box is weighed; its centre should be that of the box.
    """
    x0, y0, x1, y1 = box
    wide, high = x1 - x0, y1 - y0
    left, right = int(max(x0 - _ROUND_BOX * wide, 0)), int(np.ceil(x1 + _ROUND_BOX * wide))
    top, bottom = int(max(y0 - _ROUND_BOX * high, 0)), int(np.ceil(y1 + _ROUND_BOX * high))
    part = grey[top:bottom, left:right]
    if min(part.shape) < 3 or min(wide, high) <= 0:
        return (float("nan"),) * 3
    y, x = np.mgrid[top : top + part.shape[0], left : left + part.shape[1]] + 0.5
    inside = (x >= x0) & (x < x1) & (y >= y0) & (y < y1)
    if not inside.any() or inside.all():
        return (float("nan"),) * 3
    rim = float(np.median(part[~inside]))
    energy = np.abs(part - rim) ** 2
    total = float(energy.sum())
    if total <= 1e-9:
        return 0.0, 0.0, 0.0
    off_x = (float((energy * x).sum()) / total - (x0 + x1) / 2) / wide
    off_y = (float((energy * y).sum()) / total - (y0 + y1) / 2) / high
    return off_x, off_y, float(energy[inside].mean() ** 0.5 - energy[~inside].mean() ** 0.5)


def _of_mask(ids: Pixels | None, grey: npt.NDArray[np.float32]) -> list[float]:
    if ids is None:
        return [np.nan] * len(MASK_PROPERTIES)
    ids = ids[..., 0] if ids.ndim == 3 else ids
    seen = np.unique(ids)
    found = [float((seen != 0).sum()), float((ids != 0).mean())]
    if ids.shape != grey.shape or min(grey.shape) < 2:
        return [*found, np.nan]
    steps = [np.abs(np.diff(grey, axis=axis)) for axis in (0, 1)]
    borders = [np.diff(ids.astype(np.int64), axis=axis) != 0 for axis in (0, 1)]
    at = np.concatenate([step[border] for step, border in zip(steps, borders)])
    away = np.concatenate([step[~border] for step, border in zip(steps, borders)])
    if not len(at) or not len(away):
        return [*found, np.nan]
    return [*found, float(np.log((at.mean() + 1e-4) / (away.mean() + 1e-4)))]

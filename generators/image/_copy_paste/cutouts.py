"""Objects cut out of real images: the bank that copy-paste draws from."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Schema
from twinset.core.errors import DataError, FitError, SchemaError
from twinset.core.image.codec import decode_ids, decode_pixels
from twinset.core.image.instance_maps import ObjectLabel
from twinset.core.image.polygons import fill_parts

Pixels = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]

MASKS_FROM_BOXES = ("refuse", "ellipse", "grabcut")

_MARGIN = 4  # pixels of its old surroundings that a cutout keeps, for soft edges
_MIN_PIXELS = 12  # of an object: smaller ones are specks that show no form
_WHOLE = 0.9  # of an object must be seen for a cutout
_GRABCUT_STEPS = 3  # iterations of GrabCut on a crop that its box already fits closely


@dataclass(frozen=True)
class Cutout:
    """One object with a margin of what stood around it."""

    category: str
    pixels: Pixels  # It and its surroundings, shape (h, w, channels)
    mask: Mask  # Which of the pixels are its own, shape (h, w)
    row: int  # Position of the row it comes from
    # Name -> x, y, v of its keypoints, from the array's upper left corner
    points: Mapping[str, tuple[float, float, int]]
    # What `look_of` says of the image it comes from, shape (channels,)
    look: npt.NDArray[np.float64]


@dataclass(frozen=True)
class ImageColumns:
    """Names of the columns of images, id maps and objects; the last two may be missing."""

    image: str
    mask: str | None
    boxes: str

    @classmethod
    def from_schema(cls, schema: Schema) -> ImageColumns:
        """Return the columns of a schema."""
        found = {k: [f.name for f in schema.of_kind(k)] for k in ("image", "mask", "boxes")}
        if len(found["image"]) != 1 or len(found["boxes"]) != 1 or len(found["mask"]) > 1:
            raise SchemaError(
                "copy-paste needs one column of images and one of objects, and at most one of id maps",
                got=", ".join(name for names in found.values() for name in names) or "none of them",
                todo="give annotated images: COCO, YOLO, VOC or masks",
            )
        return cls(found["image"][0], next(iter(found["mask"]), None), found["boxes"][0])


def cut_out(
    real: Dataset, columns: ImageColumns, masks_from_boxes: str, classes: Collection[str] = ()
) -> list[Cutout]:
    """Return every object of the real rows that is whole and known to the pixel.

    References
    ----------
    Rother, Kolmogorov, Blake, "GrabCut", SIGGRAPH 2004.
    """
    bank: list[Cutout] = []
    for k in range(len(real)):
        row = real.records.slice(k, 1).to_pylist()[0]
        objects: Sequence[ObjectLabel] = row[columns.boxes] or ()
        if row[columns.image] is None or not objects:
            continue
        pixels = decode_pixels(row[columns.image]["bytes"])
        blob = row[columns.mask] if columns.mask else None
        ids = decode_ids(blob["bytes"]) if blob is not None else None
        look = look_of(pixels)
        for item in objects:
            seen = item["visible_fraction"]
            is_whole = not item["truncated"] and (seen is None or seen >= _WHOLE)
            is_whole = is_whole and not _at_frame(item["box"], pixels.shape)
            is_asked = not classes or item["category"] in classes
            if not is_asked or not is_whole or "crowd" in (item.get("flags") or ()):
                continue
            cutout = _cut_object(pixels, look, item, ids, masks_from_boxes, k)
            if cutout is not None:
                bank.append(cutout)
    if not bank:
        raise FitError(
            "there is no object to cut out",
            got=f"{len(real)} rows",
            allowed=f"objects of {_MIN_PIXELS} pixels or more that are seen whole",
        )
    return bank


def _at_frame(box: Sequence[float], shape: tuple[int, ...]) -> bool:
    """Return whether an object touches the edge of its image: sets do not always flag such ones."""
    return box[0] <= 0 or box[1] <= 0 or box[2] >= shape[1] or box[3] >= shape[0]


def look_of(pixels: Pixels) -> npt.NDArray[np.float64]:
    """Return the median colour of an image, as shares of the whole range: how it looks at a glance."""
    whole = np.iinfo(pixels.dtype).max if np.issubdtype(pixels.dtype, np.integer) else 1.0
    sparse = pixels[::4, ::4].reshape(-1, 1 if pixels.ndim == 2 else pixels.shape[2])
    return np.asarray(np.median(sparse, axis=0) / whole)


def _cut_object(
    pixels: Pixels,
    look: npt.NDArray[np.float64],
    item: ObjectLabel,
    ids: Pixels | None,
    masks_from_boxes: str,
    row: int,
) -> Cutout | None:
    height, width = pixels.shape[:2]
    x0, y0, x1, y1 = item["box"]
    left, top = max(int(x0) - _MARGIN, 0), max(int(y0) - _MARGIN, 0)
    right, bottom = min(int(np.ceil(x1)) + _MARGIN, width), min(int(np.ceil(y1)) + _MARGIN, height)
    crop = pixels[top:bottom, left:right]
    polygons = item.get("polygons")
    if ids is not None:
        mask = ids[top:bottom, left:right] == item["id"]
    elif polygons:
        rings = [np.reshape(ring, (-1, 2)) - [left, top] for ring in polygons]
        mask = fill_parts(rings, (bottom - top, right - left))
    else:
        mask = _mask_of_box(crop, (x0 - left, y0 - top, x1 - left, y1 - top), masks_from_boxes)
    if mask.sum() < _MIN_PIXELS:
        return None
    points = {p["name"]: (p["x"] - left, p["y"] - top, p["v"]) for p in item["keypoints"] or ()}
    own = crop if crop.ndim == 3 else crop[..., None]
    return Cutout(item["category"], own.copy(), mask, row, points, look)


def _mask_of_box(crop: Pixels, box: tuple[float, float, float, float], method: str) -> Mask:
    if method == "refuse":
        raise DataError(
            "objects have boxes alone, and a box cannot tell which pixels are an object's",
            todo="give id maps or outlines, or set masks_from_boxes to ellipse (round things) or grabcut",
        )
    x0, y0, x1, y1 = box
    y, x = np.mgrid[: crop.shape[0], : crop.shape[1]] + 0.5
    oval = ((2 * x - x0 - x1) / (x1 - x0)) ** 2 + ((2 * y - y0 - y1) / (y1 - y0)) ** 2 <= 1
    if method == "ellipse" or crop.dtype != np.uint8 or crop.ndim != 3 or crop.shape[2] != 3:
        return np.asarray(oval)
    return _grabcut(crop, oval, box)


def _grabcut(crop: Pixels, oval: Mask, box: tuple[float, float, float, float]) -> Mask:
    """Return the pixels that differ from the surroundings; the oval where that finds next to nothing."""
    import cv2

    x0, y0, x1, y1 = (round(edge) for edge in box)
    guess = np.full(crop.shape[:2], cv2.GC_BGD, np.uint8)
    guess[y0:y1, x0:x1] = cv2.GC_PR_BGD
    guess[oval] = cv2.GC_PR_FGD
    inner = cv2.erode(
        oval.astype(np.uint8), np.ones((3, 3), np.uint8), iterations=max(1, (x1 - x0) // 8)
    )
    guess[inner > 0] = cv2.GC_FGD
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)  # its clusters start at random: equal crops must give equal masks
    cv2.grabCut(
        np.ascontiguousarray(crop), guess, None, *models, _GRABCUT_STEPS, cv2.GC_INIT_WITH_MASK
    )
    found = (guess == cv2.GC_FGD) | (guess == cv2.GC_PR_FGD)
    return found if found.sum() > 0.4 * oval.sum() else oval

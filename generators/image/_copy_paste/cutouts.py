"""Objects cut out of real images, and laid over others: turned, scaled, with edge and light blended."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Schema
from twinset.core.errors import DataError, FitError, SchemaError
from twinset.core.extras import optional
from twinset.core.image.codec import decode_ids, decode_pixels
from twinset.core.image.instance_maps import ObjectLabel
from twinset.core.image.polygons import fill_parts

from .._labelled_images import overlap

Pixels = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]

BLENDS = ("none", "feather", "poisson", "mixed")
MASKS_FROM_BOXES = ("refuse", "ellipse", "grabcut")

_MARGIN = 4  # pixels of its old surroundings that a cutout keeps, for soft edges
_MIN_PIXELS = 12  # of an object: smaller ones are specks that show no form
_WHOLE = 0.9  # of an object must be seen for a cutout
_GRABCUT_STEPS = 3  # iterations of GrabCut on a crop that its box already fits closely
_RING = 3  # pixels about an object whose light is compared with that of its new place
_MAX_SHIFT = 0.25  # of the whole range: further than that the light is not drawn
_SEAM = 7  # pixels that seamless cloning needs about the mask
_RIM = 5  # of the old surroundings go along; OpenCV takes three of them off again


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
    cv2 = optional("cv2")
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


@dataclass(frozen=True)
class Paste:
    """A cutout made ready: on its own grid, to be laid at any whole pixel."""

    pixels: Pixels
    alpha: npt.NDArray[np.float32]
    mask: Mask
    points: Mapping[str, tuple[float, float, int]]
    is_mirrored: bool


def prepare(cutout: Cutout, *, scale: float, turn: float, mirrored: bool, soft: bool) -> Paste:
    """Return a cutout scaled, turned (degrees) and mirrored, with the edge that blending needs."""
    cv2 = optional("cv2")
    h, w = cutout.mask.shape
    angle = np.deg2rad(turn)
    matrix = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    if mirrored:
        matrix = matrix @ np.diag([-1.0, 1.0])
    corners = (np.array([[0, 0], [w, 0], [w, h], [0, h]]) - [w / 2, h / 2]) @ matrix.T
    width, height = np.ceil(corners.max(axis=0) - corners.min(axis=0)).astype(int).tolist()
    shift = np.array([width / 2, height / 2]) - matrix @ [w / 2, h / 2]
    # OpenCV counts from pixel centres, ours lie at +0.5.
    table = np.hstack([matrix, (shift + matrix @ [0.5, 0.5] - 0.5)[:, None]])
    size = (max(width, 1), max(height, 1))
    pixels = _warp(cutout.pixels, table, size, cv2.BORDER_REPLICATE)
    cover = cv2.warpAffine(cutout.mask.astype(np.float32), table, size, flags=cv2.INTER_LINEAR)
    mask = cover >= 0.5
    alpha = mask.astype(np.float32)
    if soft:
        alpha = cv2.GaussianBlur(alpha, (0, 0), 0.9)
    points = {
        name: (*(matrix @ [x, y] + shift).tolist(), v) for name, (x, y, v) in cutout.points.items()
    }
    return Paste(pixels, alpha, mask, points, mirrored)


def lay(image: Pixels, paste: Paste, left: int, top: int, *, blend: str, match: float) -> None:
    """Blend a prepared cutout into `image`, shape (h, w, channels), at a whole pixel."""
    place, own = overlap(paste.mask.shape, left, top, image.shape)
    under = image[place].astype(np.float32)
    over = paste.pixels[own].astype(np.float32)
    if match > 0:
        over += np.float32(match) * _difference(under, over, paste.mask[own], image.dtype)
    if blend == "poisson" and _cloned(image, over, paste.mask[own], place):
        return
    alpha = (paste.alpha if blend != "none" else paste.mask.astype(np.float32))[own]
    made = under + alpha[..., None] * (over - under)
    image[place] = _in_depth(made, image.dtype)


def _warp(pixels: Pixels, table: Any, size: tuple[int, int], border: int) -> Pixels:
    cv2 = optional("cv2")
    pieces = [
        cv2.warpAffine(
            np.ascontiguousarray(pixels[..., k : k + 4]),
            table,
            size,
            flags=cv2.INTER_LINEAR,
            borderMode=border,
        ).reshape(size[1], size[0], -1)
        for k in range(0, pixels.shape[2], 4)
    ]
    return np.concatenate(pieces, axis=2)


def _difference(under: Pixels, over: Pixels, mask: Mask, dtype: Any) -> npt.NDArray[np.float32]:
    """Return by how much the new surroundings are lighter than the old ones, for each channel."""
    cv2 = optional("cv2")
    solid = mask.astype(np.uint8)
    ring = cv2.dilate(solid, np.ones((3, 3), np.uint8), iterations=_RING) > solid
    if ring.sum() < 8:
        return np.zeros(under.shape[2], np.float32)
    most = _MAX_SHIFT * (np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 1.0)
    shift = np.median(under[ring], axis=0) - np.median(over[ring], axis=0)
    return np.asarray(np.clip(shift, -most, most), np.float32)


def _cloned(image: Pixels, over: Pixels, mask: Mask, place: tuple[slice, slice]) -> bool:
    """Blend by gradients where that can be done; return whether it was."""
    cv2 = optional("cv2")
    rows, columns = place
    height, width = image.shape[:2]
    at_frame = (
        rows.start < _SEAM or columns.start < _SEAM
        or rows.stop > height - _SEAM or columns.stop > width - _SEAM
    )  # fmt: skip
    if at_frame or image.dtype != np.uint8 or image.shape[2] != 3:
        return False
    # The step at the object's edge is what makes it stand out, so its other side must go along.
    kernel = np.ones((2 * _RIM + 1, 2 * _RIM + 1), np.uint8)
    solid = cv2.dilate(np.pad(255 * mask.astype(np.uint8), _SEAM), kernel)
    source = np.pad(
        _in_depth(over, image.dtype), ((_SEAM, _SEAM), (_SEAM, _SEAM), (0, 0)), mode="edge"
    )
    ys, xs = np.nonzero(solid)
    # OpenCV lays the box of the mask so that half its size, rounded down, lies before this point.
    x0, y0 = int(xs.min()), int(ys.min())
    middle = (x0 + (int(xs.max()) + 1 - x0) // 2, y0 + (int(ys.max()) + 1 - y0) // 2)
    box = (
        slice(rows.start - _SEAM, rows.stop + _SEAM),
        slice(columns.start - _SEAM, columns.stop + _SEAM),
    )
    window = np.ascontiguousarray(image[box])
    image[box] = cv2.seamlessClone(source, window, solid, middle, cv2.NORMAL_CLONE)
    return True


def _in_depth(values: Pixels, dtype: Any) -> Pixels:
    if np.issubdtype(dtype, np.integer):
        values = np.clip(np.rint(values), 0, np.iinfo(dtype).max)
    return np.asarray(values, dtype)

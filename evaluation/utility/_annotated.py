"""Pictures with their id map or boxes, and varied windows of them to train small nets on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.features.embedders.embedding import decode_images
from twinset.core.features.embedders.handcrafted import as_colour
from twinset.core.image.codec import decode_ids, open_cv

Bytes = npt.NDArray[np.uint8]
Matrix = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int64]
Ids = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]

_LARGEST_ID = 1 << 24  # OpenCV turns maps as float32, which holds no larger whole numbers
_LEAST_SEEN = 0.4  # of a box must lie in a window to be learnt


@dataclass(frozen=True)
class Annotated:
    """A picture and what lies on it.

    Parameters
    ----------
    pixels : numpy.ndarray of uint8, shape (h, w, 3)
        The picture.
    boxes : numpy.ndarray, shape (m, 4)
        x0, y0, x1, y1 of each object, half-open, in pixels.
    classes : numpy.ndarray of int, shape (m,)
        Class of each.
    ids : numpy.ndarray of int, shape (h, w), optional
        Which object owns each pixel; 0 is the ground.
    """

    pixels: Bytes
    boxes: Matrix
    classes: Codes
    ids: Ids | None = None


def annotated(
    rows: Dataset,
    image: str,
    objects: str | None,
    mask: str | None,
    levels: Mapping[str, int],
    longest: int,
) -> list[Annotated]:
    """Return the pictures that can be read and that have labels, no side longer than `longest`.

    Parameters
    ----------
    rows : Dataset
        Any set.
    image, objects, mask : str
        Its columns; of the latter two one may be missing.
    levels : mapping
        Category -> class; objects of other categories are left out.
    longest : int
        Longer sides are shrunk to so many pixels.
    """
    labels = rows.records.column(objects).to_pylist() if objects else None
    maps = rows.records.column(mask) if mask else None
    found = []
    for row, pixels in decode_images(rows.records.column(image)):
        blob = maps[row].as_py() if maps is not None else None
        if (maps is not None and blob is None) or (maps is None and labels is None):
            continue
        kept = [o for o in (labels[row] or () if labels else ()) if o["category"] in levels]
        boxes = np.array([o["box"] for o in kept], np.float32).reshape(-1, 4)
        classes = np.array([levels[o["category"]] for o in kept], np.int64)
        ids = _numbered(decode_ids(blob["bytes"])) if blob is not None else None
        whole = (255 * as_colour(pixels)).round().astype(np.uint8)
        found.append(_shrunk(Annotated(whole, boxes, classes, ids), longest))
    return found


def _numbered(ids: npt.NDArray[Any]) -> Ids:
    """Return an id map as it is, or numbered anew where its numbers would be rounded when it is turned."""
    if ids.max(initial=0) <= _LARGEST_ID:
        return ids.astype(np.int32)
    named, places = np.unique(ids, return_inverse=True)
    return np.asarray(places.reshape(ids.shape) + (named[0] > 0), np.int32)


@dataclass(frozen=True)
class Variation:
    """How windows are drawn: the standard augmentation that synthetic pictures are held against.

    Parameters
    ----------
    name : str
        What it is called.
    scale_range : tuple of float
        Least and greatest scale.
    light : float
        Most by which brightness and contrast change, and each colour half as much.
    any_turn : bool
        Turned by any angle, not by right ones alone; boxes have no exact place after such turns.
    """

    name: str
    scale_range: tuple[float, float] = (1.0, 1.0)
    light: float = 0.0
    any_turn: bool = False


def variations(has_masks: bool) -> tuple[Variation, ...]:
    """Return what is tried; the best on unseen real training pictures is taken for all nets."""
    turns = "any turn" if has_masks else "right-angle turns"
    return (
        Variation("mirrored, right-angle turns"),
        Variation(f"mirrored, {turns}, scale 0.8-1.25, light 15 %", (0.8, 1.25), 0.15, has_masks),
        Variation(f"mirrored, {turns}, scale 0.6-1.6, light 30 %", (0.6, 1.6), 0.3, has_masks),
    )


def window(
    one: Annotated, size: int, variation: Variation, ids_step: int, rng: np.random.Generator
) -> tuple[Matrix, Annotated]:
    """Return a varied window, shape (3, size, size), values 0 to 1; and what lies on it.

    Its id map is drawn at every `ids_step`-th pixel, its boxes are in pixels of the window.
    """
    cv2 = open_cv()
    height, width = one.pixels.shape[:2]
    scale = float(np.exp(rng.uniform(*np.log(variation.scale_range))))
    angle = rng.uniform(0, 2 * np.pi) if variation.any_turn else rng.integers(4) * np.pi / 2
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turn = scale * turn @ np.diag([1.0 - 2 * (rng.random() < 0.5), 1.0])
    half = size / 2 / scale
    middle = [_middle(rng, half, side) for side in (width, height)]
    table = np.hstack([turn, (size / 2 - turn @ middle)[:, None]])
    border = cv2.BORDER_REFLECT if one.ids is not None else cv2.BORDER_REPLICATE
    pixels = _warped(one.pixels, table, size, cv2.INTER_LINEAR, border)
    ids = None
    if one.ids is not None:
        small = table / ids_step
        ids = _warped(
            one.ids.astype(np.float32), small, size // ids_step, cv2.INTER_NEAREST, border
        )
        ids = ids.astype(np.int32)
    corners = one.boxes[:, [0, 1, 2, 3]].reshape(-1, 2, 2) @ turn.T + table[:, 2]
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    inside = np.clip(boxes, 0, size)
    seen = _areas(inside) >= _LEAST_SEEN * np.maximum(_areas(boxes), 1e-6)
    made = _lit(normal(pixels, one.pixels), variation.light, rng)
    what = Annotated(pixels, inside[seen].astype(np.float32), one.classes[: len(seen)][seen], ids)
    return np.ascontiguousarray(made), what


def _middle(rng: np.random.Generator, half: float, side: int) -> float:
    """Return a place from which a window does not leave the picture, where there is one."""
    return float(rng.uniform(half, side - half)) if side > 2 * half else side / 2


def _warped(
    pixels: npt.NDArray[Any], table: Floats, size: int, how: int, border: int
) -> npt.NDArray[Any]:
    # OpenCV counts from pixel centres, ours lie at +0.5.
    shift = table[:, 2] + table[:, :2] @ [0.5, 0.5] - 0.5
    own = np.hstack([table[:, :2], shift[:, None]])
    made = open_cv().warpAffine(pixels, own, (size, size), flags=how, borderMode=border)
    return np.asarray(made)


def normal(pixels: Bytes, whole: Bytes) -> Matrix:
    """Return pixels at the mean colour and the spread of their whole picture, shape (3, h, w).

    Pictures of one set may differ tenfold in brightness; a net of a few pictures must not learn that.
    """
    sparse = whole[::3, ::3].reshape(-1, 3).astype(np.float32)
    mean = sparse.mean(axis=0)
    spread = float((sparse - mean).std()) + 1.0
    made = (pixels.astype(np.float32) - mean) / np.float32(spread)
    return np.asarray(made.transpose(2, 0, 1), np.float32)


def _lit(pixels: Matrix, light: float, rng: np.random.Generator) -> Matrix:
    if not light:
        return pixels
    added = rng.uniform(-light, light) + rng.uniform(-light, light, (3, 1, 1)) / 2
    return (pixels * (1 + rng.uniform(-light, light)) + added).astype(np.float32)


def _shrunk(one: Annotated, longest: int) -> Annotated:
    cv2 = open_cv()
    height, width = one.pixels.shape[:2]
    if max(height, width) <= longest:
        return one
    share = longest / max(height, width)
    size = (max(round(width * share), 1), max(round(height * share), 1))
    pixels = cv2.resize(one.pixels, size, interpolation=cv2.INTER_AREA)
    ids = one.ids
    if ids is not None:
        ids = cv2.resize(
            ids.astype(np.float32), size, interpolation=cv2.INTER_NEAREST_EXACT
        ).astype(np.int32)
    steps = np.array([size[0] / width, size[1] / height] * 2, np.float32)
    return Annotated(pixels, one.boxes * steps, one.classes, ids)


def _areas(boxes: Matrix) -> Matrix:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def windows(
    sources: Sequence[Sequence[Annotated]],
    shares: Sequence[int],
    size: int,
    variation: Variation,
    ids_step: int,
    rng: np.random.Generator,
) -> tuple[Matrix, list[Annotated]]:
    """Return a batch, shape (b, 3, size, size): `shares` says how many windows of each source."""
    drawn = [
        window(source[int(rng.integers(len(source)))], size, variation, ids_step, rng)
        for source, n in zip(sources, shares)
        for _ in range(n)
    ]
    return np.stack([pixels for pixels, _ in drawn]), [what for _, what in drawn]

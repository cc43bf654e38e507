"""Images with id maps or boxes, and augmented windows of them, on which small networks are trained."""

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

_MAX_ID = 1 << 24  # OpenCV rotates maps as float32, which holds no larger whole numbers
_MIN_VISIBLE = 0.4  # share of a box inside a window: less of an object is not recognizable


@dataclass(frozen=True)
class AnnotatedImage:
    """An image, shape (h, w, 3), and the m objects on it."""

    pixels: Bytes
    boxes: Matrix  # x0, y0, x1, y1 of each object, half-open, in pixels, shape (m, 4)
    classes: Codes
    ids: Ids | None = None  # object of each pixel, shape (h, w); 0 is the background


def read_annotated_images(
    rows: Dataset,
    image: str,
    objects: str | None,
    mask: str | None,
    levels: Mapping[str, int],
    longest: int,
) -> list[AnnotatedImage]:
    """Return the images that can be decoded and have labels, no side longer than `longest`.

    `levels` is category -> class; objects of other categories are ignored.
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
        ids = _renumber(decode_ids(blob["bytes"])) if blob is not None else None
        whole = (255 * as_colour(pixels)).round().astype(np.uint8)
        found.append(_shrink(AnnotatedImage(whole, boxes, classes, ids), longest))
    return found


def _renumber(ids: npt.NDArray[Any]) -> Ids:
    """Return an id map, numbered again where a rotation would round its numbers."""
    if ids.max(initial=0) <= _MAX_ID:
        return ids.astype(np.int32)
    named, places = np.unique(ids, return_inverse=True)
    return np.asarray(places.reshape(ids.shape) + (named[0] > 0), np.int32)


@dataclass(frozen=True)
class WindowAugmentation:
    """Random changes of windows: the standard augmentation that synthetic images compete with."""

    name: str
    scale_range: tuple[float, float] = (1.0, 1.0)
    light: float = 0.0  # largest relative change of brightness and contrast; half for each colour
    any_turn: bool = False  # not by right angles alone; boxes are inexact after other rotations


def list_augmentations(has_masks: bool) -> tuple[WindowAugmentation, ...]:
    """Return the candidates; the best on held-out real images is used for all networks."""
    turns = "any turn" if has_masks else "right-angle turns"
    return (
        WindowAugmentation("mirrored, right-angle turns"),
        WindowAugmentation(
            f"mirrored, {turns}, scale 0.8-1.25, light 15 %", (0.8, 1.25), 0.15, has_masks
        ),
        WindowAugmentation(
            f"mirrored, {turns}, scale 0.6-1.6, light 30 %", (0.6, 1.6), 0.3, has_masks
        ),
    )


def draw_window(
    image: AnnotatedImage,
    size: int,
    augmentation: WindowAugmentation,
    ids_step: int,
    rng: np.random.Generator,
) -> tuple[Matrix, AnnotatedImage]:
    """Return an augmented window, shape (3, size, size), normalized; and its labels.

    The id map has every `ids_step`-th pixel; boxes are in pixels of the window.
    """
    cv2 = open_cv()
    height, width = image.pixels.shape[:2]
    scale = float(np.exp(rng.uniform(*np.log(augmentation.scale_range))))
    angle = rng.uniform(0, 2 * np.pi) if augmentation.any_turn else rng.integers(4) * np.pi / 2
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turn = scale * turn @ np.diag([1.0 - 2 * (rng.random() < 0.5), 1.0])
    half = size / 2 / scale
    middle = [_draw_middle(rng, half, side) for side in (width, height)]
    table = np.hstack([turn, (size / 2 - turn @ middle)[:, None]])
    border = cv2.BORDER_REFLECT if image.ids is not None else cv2.BORDER_REPLICATE
    pixels = _warp(image.pixels, table, size, cv2.INTER_LINEAR, border)
    ids = None
    if image.ids is not None:
        small = table / ids_step
        plain = image.ids.astype(np.float32)
        ids = _warp(plain, small, size // ids_step, cv2.INTER_NEAREST, border).astype(np.int32)
    corners = image.boxes[:, [0, 1, 2, 3]].reshape(-1, 2, 2) @ turn.T + table[:, 2]
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    inside = np.clip(boxes, 0, size)
    seen = _areas(inside) >= _MIN_VISIBLE * np.maximum(_areas(boxes), 1e-6)
    x = _change_light(normalize_pixels(pixels, image.pixels), augmentation.light, rng)
    classes = image.classes[: len(seen)][seen]
    labels = AnnotatedImage(pixels, inside[seen].astype(np.float32), classes, ids)
    return np.ascontiguousarray(x), labels


def _draw_middle(rng: np.random.Generator, half: float, side: int) -> float:
    """Return a centre whose window lies inside the image, where there is one."""
    return float(rng.uniform(half, side - half)) if side > 2 * half else side / 2


def _warp(
    pixels: npt.NDArray[Any], table: Floats, size: int, method: int, border: int
) -> npt.NDArray[Any]:
    # OpenCV counts from pixel centres, which lie at +0.5 here.
    shift = table[:, 2] + table[:, :2] @ [0.5, 0.5] - 0.5
    own = np.hstack([table[:, :2], shift[:, None]])
    return np.asarray(
        open_cv().warpAffine(pixels, own, (size, size), flags=method, borderMode=border)
    )


def normalize_pixels(pixels: Bytes, whole: Bytes) -> Matrix:
    """Return pixels less the mean colour of their whole image, over its spread, shape (3, h, w).

    Images of one set may differ tenfold in brightness; a network of few images must not learn that.
    """
    sparse = whole[::3, ::3].reshape(-1, 3).astype(np.float32)
    mean = sparse.mean(axis=0)
    spread = float((sparse - mean).std()) + 1.0
    scaled = (pixels.astype(np.float32) - mean) / np.float32(spread)
    return np.asarray(scaled.transpose(2, 0, 1), np.float32)


def _change_light(pixels: Matrix, light: float, rng: np.random.Generator) -> Matrix:
    if not light:
        return pixels
    added = rng.uniform(-light, light) + rng.uniform(-light, light, (3, 1, 1)) / 2
    return (pixels * (1 + rng.uniform(-light, light)) + added).astype(np.float32)


def _shrink(one: AnnotatedImage, longest: int) -> AnnotatedImage:
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
    return AnnotatedImage(pixels, one.boxes * steps, one.classes, ids)


def _areas(boxes: Matrix) -> Matrix:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def draw_batch(
    sources: Sequence[Sequence[AnnotatedImage]],
    shares: Sequence[int],
    size: int,
    augmentation: WindowAugmentation,
    ids_step: int,
    rng: np.random.Generator,
) -> tuple[Matrix, list[AnnotatedImage]]:
    """Return a batch, shape (b, 3, size, size), of `shares` windows of each source, and labels."""
    drawn = [
        draw_window(source[int(rng.integers(len(source)))], size, augmentation, ids_step, rng)
        for source, n in zip(sources, shares)
        for _ in range(n)
    ]
    return np.stack([pixels for pixels, _ in drawn]), [labels for _, labels in drawn]

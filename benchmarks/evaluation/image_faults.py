"""Faults to plant into images that were never used: what each does, and how strong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks.evaluation.image_sets import ImageSet
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import BLOB, OBJECT
from twinset.core.image.codec import decode_pixels, encode_png

Rng = np.random.Generator
Pixels = npt.NDArray[Any]
Plant = Callable[[Dataset, ImageSet, Rng], Dataset]


@dataclass(frozen=True)
class ImageFault:
    """One kind of fault at one strength.

    Parameters
    ----------
    name : str
        What was done, with its strength.
    plant : callable
        ``(rows, image set, rng)`` -> faulty rows.
    stated : bool
        Whether it is of a strength that has to be found; weaker ones show from where on it is.
    """

    name: str
    plant: Plant
    stated: bool = True


def image_faults() -> list[ImageFault]:
    """Return all kinds at all strengths."""
    return [*_of_pixels(), *_of_rows(), *_of_labels()]


def _of_pixels() -> list[ImageFault]:
    found = []
    for size in (0.01, 0.02, 0.05):
        found.append(
            _each(
                f"noise {size}", lambda p, r, s=size: p + s * r.normal(size=p.shape), size >= 0.02
            )
        )
    for size in (0.35, 0.5, 1.0):
        found.append(
            _each(f"blur {size}", lambda p, r, s=size: cv2.GaussianBlur(p, (0, 0), s), size >= 0.5)
        )
    for size in (0.02, 0.05):
        found.append(_each(f"brightness +{size}", lambda p, r, s=size: p + s, size >= 0.05))
    for size in (0.95, 0.85):
        found.append(
            _each(
                f"contrast x {size}",
                lambda p, r, s=size: p.mean() + s * (p - p.mean()),
                size <= 0.85,
            )
        )
    for size in (0.02, 0.05):
        found.append(
            _each(
                f"blue cast {size}",
                lambda p, r, s=size: p + np.array([-s / 2, -s / 2, s]),
                size >= 0.05,
            )
        )
    for quality in (90, 75, 50):
        found.append(
            _each(f"JPEG quality {quality}", lambda p, r, q=quality: _jpeg(p, q), quality <= 75)
        )
    found.append(_each("half the resolution", lambda p, r: _coarse(p)))
    for share in (0.05, 0.2):
        found.append(
            _each(
                f"quarters shuffled in {share:.0%}",
                lambda p, r: _shuffled(p, r),
                share >= 0.2,
                share,
            )
        )
    found.append(_each("black pictures in 5 %", lambda p, r: 0 * p, share=0.05))
    return found


def _each(
    name: str, change: Callable[..., Pixels], stated: bool = True, share: float = 1.0
) -> ImageFault:
    """Return a fault of the pixels of a share of the images; `change` gets floats from 0 to 1."""

    def plant(rows: Dataset, held: ImageSet, rng: Rng) -> Dataset:
        cells = []
        for cell in rows.records.column("image").to_pylist():
            if share < 1 and rng.random() >= share:
                cells.append(cell)
                continue
            pixels = decode_pixels(cell["bytes"])[..., :3].astype(np.float64) / 255
            made = np.clip(np.round(255 * change(pixels, rng)), 0, 255).astype(np.uint8)
            cells.append({"bytes": encode_png(made), "path": None})
        return _with(rows, "image", pa.array(cells, BLOB))

    return ImageFault(name, plant, stated)


def _jpeg(pixels: Pixels, quality: int) -> Pixels:
    whole = np.round(255 * pixels).astype(np.uint8)
    _, data = cv2.imencode(".jpg", whole[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    again: Any = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return np.asarray(again[..., ::-1] / 255.0)


def _coarse(pixels: Pixels) -> Pixels:
    side = pixels.shape[0] // 2
    small = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, pixels.shape[1::-1], interpolation=cv2.INTER_LINEAR))


def _shuffled(pixels: Pixels, rng: Rng) -> Pixels:
    half = pixels.shape[0] // 2
    parts = [pixels[y : y + half, x : x + half] for y in (0, half) for x in (0, half)]
    a, b, c, d = (parts[i] for i in rng.permutation(4))
    return np.concatenate([np.concatenate([a, b], axis=1), np.concatenate([c, d], axis=1)])


def _of_rows() -> list[ImageFault]:
    return [
        ImageFault("a class dropped", lambda d, s, r: _keep(d, ~_of_label(d, s), r)),
        ImageFault(
            "a class halved",
            lambda d, s, r: _keep(d, ~_of_label(d, s) | (r.random(len(d)) < 0.5), r),
        ),
        ImageFault("a slice removed", lambda d, s, r: _keep(d, ~s.slice(d), r)),
        ImageFault("a slice three times as frequent", lambda d, s, r: _more(d, s.slice(d), 3, r)),
        ImageFault("a third of the images three times each", _repeated),
        ImageFault("10 % of the images twice", lambda d, s, r: _twice(d, 0.1, r), stated=False),
    ]


def _of_label(rows: Dataset, held: ImageSet) -> npt.NDArray[np.bool_]:
    codes, levels = rows.codes(held.label)
    return np.asarray(codes == levels.index(held.rare))


def _keep(rows: Dataset, keep: npt.NDArray[np.bool_], rng: Rng) -> Dataset:
    """Return only the rows that are kept: nothing is filled up by copies, which would be a fault too."""
    return rows.filter(keep)


def _more(rows: Dataset, which: npt.NDArray[np.bool_], times: int, rng: Rng) -> Dataset:
    """Return the rows with the others thinned until the slice is `times` as frequent."""
    share = which.mean()
    wanted = min(times * share, 0.9)
    left = which.sum() / wanted * (1 - wanted) / max((~which).sum(), 1)
    return rows.filter(which | (rng.random(len(rows)) < left))


def _repeated(rows: Dataset, held: ImageSet, rng: Rng) -> Dataset:
    return rows.take(np.repeat(rng.permutation(len(rows))[: len(rows) // 3], 3))


def _twice(rows: Dataset, share: float, rng: Rng) -> Dataset:
    order = rng.permutation(len(rows))
    again = order[: int(share * len(rows))]
    return rows.take(np.concatenate([order[: len(rows) - len(again)], again]))


def _of_labels() -> list[ImageFault]:
    found = []
    for share in (0.01, 0.02, 0.05):
        found.append(
            ImageFault(
                f"{share:.0%} of the labels flipped",
                partial(_flipped, share=share),
                share >= 0.02,
            )
        )
    for by in (0.05, 0.1, 0.2):
        found.append(ImageFault(f"boxes shifted by {by:.0%}", partial(_moved, by=by), by >= 0.1))
    found.append(ImageFault("boxes 20 % too large", partial(_moved, wider=0.2)))
    for share in (0.1, 0.3):
        found.append(
            ImageFault(
                f"{share:.0%} of the boxes missing",
                partial(_lost, share=share),
                share >= 0.3,
            )
        )
    return found


def _flipped(rows: Dataset, held: ImageSet, rng: Rng, *, share: float) -> Dataset:
    codes, levels = rows.codes(held.label)
    hit = rng.random(len(rows)) < share
    moved = (codes + rng.integers(1, len(levels), len(rows))) % len(levels)
    made = np.array(levels, dtype=object)[np.where(hit, moved, codes)]
    column = pa.array(made.tolist(), pa.string()).dictionary_encode()
    return _with(rows, held.label, column.cast(pa.dictionary(pa.int32(), pa.string())))


def _moved(
    rows: Dataset, held: ImageSet, rng: Rng, *, by: float = 0.0, wider: float = 0.0
) -> Dataset:
    """Shift every box to the right and down by a part of its size, and widen it."""

    def change(one: dict[str, Any]) -> dict[str, Any]:
        x0, y0, x1, y1 = one["box"]
        wide, high = x1 - x0, y1 - y0
        box = [x0 + (by - wider / 2) * wide, y0 + (by - wider / 2) * high]
        box += [x1 + (by + wider / 2) * wide, y1 + (by + wider / 2) * high]
        return {**one, "box": np.maximum(box, 0.0).tolist()}

    return _with_objects(rows, [[change(one) for one in row or []] for row in _objects(rows)])


def _lost(rows: Dataset, held: ImageSet, rng: Rng, *, share: float) -> Dataset:
    kept = [[one for one in row or [] if rng.random() >= share] for row in _objects(rows)]
    return _with_objects(rows, kept)


def _objects(rows: Dataset) -> list[Any]:
    return list(rows.records.column("objects").to_pylist())


def _with_objects(rows: Dataset, objects: Sequence[Any]) -> Dataset:
    return _with(rows, "objects", pa.array(list(objects), pa.list_(OBJECT)))


def _with(rows: Dataset, name: str, column: pa.Array) -> Dataset:
    place = rows.records.schema.get_field_index(name)
    records = rows.records.set_column(place, name, pa.chunked_array([column]))
    return Dataset(records, rows.schema, rows.card)

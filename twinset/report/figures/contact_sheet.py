"""Synthetic images for the eye, as data addresses, with the boxes of their objects."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from markupsafe import Markup

from twinset.core.data.dataset import Dataset
from twinset.core.errors import MissingExtraError
from twinset.core.image.codec import hash_images
from twinset.report.figures.samples import label_of, unseen_rows

N_IMAGES = 24
MAX_BYTES = 60_000
MAX_SIDE = 320
N_COLOURS = 6
MOST_CHECKED = 20_000
_LETTER = 0.62
"""Width of a letter, in parts of its size."""


@dataclass(frozen=True)
class ImageSample:
    """One image: its address, its size in pixels, its boxes as (category, x0, y0, x1, y1)."""

    uri: str
    width: int
    height: int
    boxes: tuple[tuple[str, float, float, float, float], ...]
    caption: str = ""


def image_samples(
    synthetic: Dataset, real: Sequence[Dataset], target: str | None, limit: int = N_IMAGES
) -> tuple[ImageSample, ...]:
    """Return synthetic images from all over the set, none of which stands in a real set.

    Small PNG and JPEG files are kept byte for byte; others are drawn anew, at most 320 pixels wide
    or high.

    Raises
    ------
    MissingExtraError
        There are images and OpenCV is not installed.
    """
    field = next(iter(synthetic.schema.of_kind("image")), None)
    if field is None or not len(synthetic):
        return ()
    images = pc.struct_field(synthetic.records.column(field.name), "bytes")
    known = [
        pc.struct_field(d.records.column(field.name), "bytes")
        for d in real
        if field.name in d.schema.names
    ]
    found: list[ImageSample] = []
    for row in unseen_rows(images, known):
        drawn = _sample(synthetic, row, field.name, target) if len(found) < limit else None
        if drawn is not None:
            found.append(drawn)
    return tuple(found)


def numbered_images(
    synthetic: Dataset, real: Sequence[Dataset], numbers: Sequence[int]
) -> dict[int, ImageSample]:
    """Return the images of some rows by the row's number, counted from 1, without their boxes.

    Those whose pixels are those of a real image are left out, however they were saved; and all are where
    there are more than 20,000 real images to compare with.

    Raises
    ------
    MissingExtraError
        There are images and OpenCV is not installed.
    """
    field = next(iter(synthetic.schema.of_kind("image")), None)
    held = [d.records.column(field.name) for d in real if field and field.name in d.schema.names]
    if field is None or sum(map(len, held)) > MOST_CHECKED:
        return {}
    rows = [number - 1 for number in numbers if 1 <= number <= len(synthetic)]
    keys = hash_images(synthetic.records.column(field.name).take(pa.array(rows, pa.int64())))
    known = {key for column in held for key in hash_images(column).to_pylist()} if rows else set()
    found = {}
    for row, key in zip(rows, keys.to_pylist()):
        drawn = None if key in known else _sample(synthetic, row, field.name, None)
        if drawn is not None:
            found[row + 1] = replace(drawn, boxes=())
    return found


def _sample(synthetic: Dataset, row: int, column: str, target: str | None) -> ImageSample | None:
    """Return the image of a row with its boxes; None where it is missing or cannot be read."""
    image = synthetic.records.column(column)[row].as_py()
    drawn = _drawable(image["bytes"]) if image is not None and image["bytes"] else None
    if drawn is None:
        return None
    boxed = next(iter(synthetic.schema.of_kind("boxes")), None)
    objects = synthetic.records.column(boxed.name)[row].as_py() if boxed is not None else None
    return ImageSample(*drawn, _boxes(objects or ()), label_of(synthetic, row, target))


def image_figure(sample: ImageSample, colours: Mapping[str, int], number: int) -> Markup:
    """Return the image with its boxes as an SVG element; `colours` maps a category to a colour."""
    parts = [
        Markup(
            '<rect class="box c{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}">'
            "<title>{}</title></rect>"
        ).format(colours.get(category, 0), x0, y0, max(0.0, x1 - x0), max(0.0, y1 - y0), category)
        for category, x0, y0, x1, y1 in sample.boxes
    ]
    size = max(sample.width, sample.height) / 17
    parts += [
        Markup('<text class="boxname" x="{:.1f}" y="{:.1f}" font-size="{:.1f}">{}</text>').format(
            x, y, size, name
        )
        for name, x, y in box_names(sample, size)
    ]
    told = f"Synthetic image {number}"
    if sample.boxes:
        told += f" with {len(sample.boxes)} boxes: " + ", ".join(
            sorted({b[0] for b in sample.boxes})
        )
    return Markup(
        '<svg class="picture{}" viewBox="0 0 {} {}" role="img" aria-label="{}">'
        '<image href="{}" width="{}" height="{}"/>{}</svg>'
    ).format(
        Markup(" pixels") if max(sample.width, sample.height) <= 96 else "",
        sample.width,
        sample.height,
        told,
        sample.uri,
        sample.width,
        sample.height,
        Markup("").join(parts),
    )


def box_names(sample: ImageSample, size: float) -> list[tuple[str, float, float]]:
    """Return (name, x, y) of the names that find room beside their box; colours tell the others.

    Large boxes are named first: above, below, or inside; a name that would lie on another one, or leave
    the picture, is left out.

    Examples
    --------
    >>> twice = ImageSample("", 100, 100, (("car", 5.0, 20.0, 60.0, 60.0), ("car", 6.0, 21.0, 60.0, 60.0)))
    >>> [(name, round(y)) for name, _, y in box_names(twice, 6.0)]
    [('car', 18), ('car', 66)]
    """
    taken: list[tuple[float, float, float, float]] = []
    found = []
    for name, x0, y0, _, y1 in sorted(
        sample.boxes, key=lambda box: -(box[3] - box[1]) * (box[4] - box[2])
    ):
        width = _LETTER * size * len(name)
        x = min(x0 + size / 5, sample.width - width)
        for y in (y0 - size / 4, y1 + size, y0 + size * 1.1):
            own = (x, y - size, x + width, y + size / 5)
            inside = x >= 0 and own[1] >= 0 and own[3] <= sample.height
            if inside and not any(_overlap(own, other) for other in taken):
                taken.append(own)
                found.append((name, x, y))
                break
    return found


def _overlap(
    one: tuple[float, float, float, float], other: tuple[float, float, float, float]
) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def category_colours(samples: Sequence[ImageSample]) -> dict[str, int]:
    """Return category -> number of its colour; names decide, so a run always looks the same."""
    names = sorted({box[0] for sample in samples for box in sample.boxes})
    return {name: i % N_COLOURS for i, name in enumerate(names)}


def _boxes(
    objects: Sequence[Mapping[str, Any]],
) -> tuple[tuple[str, float, float, float, float], ...]:
    return tuple(
        (str(found["category"]), *(float(v) for v in found["box"]))  # type: ignore[misc]
        for found in objects
        if found and found.get("box") is not None and len(found["box"]) == 4
    )


def _drawable(data: bytes) -> tuple[str, int, int] | None:
    """Return (data address, width, height) of an encoded image; None when it cannot be read."""
    try:
        import cv2
    except ImportError as error:
        raise MissingExtraError.for_library("cv2", "image") from error
    pixels = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        return None
    height, width = pixels.shape[:2]
    kind = (
        "png" if data.startswith(b"\x89PNG") else "jpeg" if data.startswith(b"\xff\xd8\xff") else ""
    )
    if not kind or len(data) > MAX_BYTES:
        shrink = min(1.0, MAX_SIDE / max(height, width))
        small = (max(1, round(width * shrink)), max(1, round(height * shrink)))
        pixels = cv2.resize(pixels, small, interpolation=cv2.INTER_AREA)
        kind, data = (
            "jpeg",
            cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes(),
        )
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}", width, height

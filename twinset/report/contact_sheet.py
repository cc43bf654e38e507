"""Synthetic images for the eye, as data addresses, with the boxes of their objects."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc
from markupsafe import Markup

from twinset.core.dataset import Dataset
from twinset.core.errors import MissingExtraError
from twinset.report.samples import label_of, unseen_rows

N_IMAGES = 24
MAX_BYTES = 60_000
MAX_SIDE = 320
N_COLOURS = 6


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
    boxed = next(iter(synthetic.schema.of_kind("boxes")), None)
    objects = synthetic.records.column(boxed.name) if boxed is not None else None
    found: list[ImageSample] = []
    for row in unseen_rows(images, known):
        drawn = _drawable(images[row].as_py()) if len(found) < limit else None
        if drawn is not None:
            boxes = _boxes(objects[row].as_py() or ()) if objects is not None else ()
            found.append(ImageSample(*drawn, boxes, label_of(synthetic, row, target)))
    return tuple(found)


def image_figure(sample: ImageSample, colours: Mapping[str, int], number: int) -> Markup:
    """Return the image with its boxes as an SVG element; `colours` maps a category to a colour."""
    parts = []
    size = max(sample.width, sample.height) / 17
    for category, x0, y0, x1, y1 in sample.boxes:
        parts.append(
            Markup(
                '<rect class="box c{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}">'
                "<title>{}</title></rect>"
            ).format(
                colours.get(category, 0), x0, y0, max(0.0, x1 - x0), max(0.0, y1 - y0), category
            )
        )
        parts.append(
            Markup(
                '<text class="boxname" x="{:.1f}" y="{:.1f}" font-size="{:.1f}">{}</text>'
            ).format(x0 + size / 5, max(y0 - size / 4, size * 0.9), size, category)
        )
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
        raise MissingExtraError.of("cv2", "image") from error
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

"""Samples for the eye: synthetic images with their boxes, texts with their spans, and a few rows."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from markupsafe import Markup

from twinset.core.data.dataset import Dataset
from twinset.core.extras import optional
from twinset.core.image.codec import hash_images
from twinset.core.seeding import rng_for
from twinset.report.figures.columns import element, svg

N_TEXTS = 20  # texts of a page: a reader sees all labels of a small set and still scrolls once
N_ROWS = 5  # real rows that a page may print, when it was requested
N_IMAGES = 24  # images of a page: four rows of six on a wide screen
N_CANDIDATE_ROWS = 240  # ten times the images shown: enough are left when real ones are excluded
MAX_BYTES = 60_000  # of an image that is kept byte for byte, so that 24 stay below 2 MB
MAX_SIDE = 320  # pixels of a larger image: twice its width on the page, for sharp screens
N_COLOURS = 6  # colours of boxes in report.css
MAX_CHECKED = 20_000  # real images that are hashed for a few thumbnails: about ten seconds
_LETTER = 0.62  # width of a letter, in parts of its size
_GOLDEN = (5**0.5 - 1) / 2  # steps of the golden ratio: the first few are spread as all are
_MOVE = 1 / 24  # random move of a step, in parts of the set: rows of one image of the page
_TEXT_LENGTH, _CELL_LENGTH = 600, 60  # characters of a text and of a table cell that are shown


@dataclass(frozen=True)
class TextSample:
    """A text cut into (piece, label) pairs; the label is empty outside spans."""

    pieces: tuple[tuple[str, str], ...]
    caption: str = ""


@dataclass(frozen=True)
class RowSample:
    """The first rows of a set as texts."""

    series: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class ImageSample:
    """One image: its address, its size in pixels, its boxes as (category, x0, y0, x1, y1)."""

    uri: str
    width: int
    height: int
    boxes: tuple[tuple[str, float, float, float, float], ...]
    caption: str = ""


def text_samples(
    synthetic: Dataset, real: Sequence[Dataset], target: str | None, limit: int = N_TEXTS
) -> tuple[TextSample, ...]:
    """Return synthetic texts from all over the set, none of which stands in a real set.

    Spans are in code points, half-open; of two that overlap the earlier one is marked.
    """
    field = next(iter(synthetic.schema.of_kind("text")), None)
    if field is None or not len(synthetic):
        return ()
    texts = synthetic.records.column(field.name)
    known = [d.records.column(field.name) for d in real if field.name in d.schema.names]
    marked = next(iter(synthetic.schema.of_kind("spans")), None)
    spans = synthetic.records.column(marked.name) if marked is not None else None
    found = []
    for row in _rows_without(texts, known)[:limit]:
        own = (spans[row].as_py() if spans is not None else None) or ()
        pieces = mark_spans(texts[row].as_py()[:_TEXT_LENGTH], own)
        found.append(TextSample(pieces, _label(synthetic, row, target)))
    return tuple(found)


def mark_spans(text: str, spans: Iterable[Mapping[str, Any]]) -> tuple[tuple[str, str], ...]:
    """Cut `text` at its spans into (piece, label) pairs.

    >>> mark_spans("call Ann now", [{"start": 5, "end": 8, "label": "name"}])
    (('call ', ''), ('Ann', 'name'), (' now', ''))
    """
    pieces, at = [], 0
    for span in sorted(spans, key=lambda s: (s["start"], -s["end"])):
        start, end = span["start"], min(span["end"], len(text))
        if start < at or start >= end:
            continue
        pieces += [(text[at:start], "")] if start > at else []
        pieces.append((text[start:end], str(span["label"])))
        at = end
    return (*pieces, *([(text[at:], "")] if at < len(text) else []))


def row_samples(sets: Mapping[str, Dataset], limit: int = N_ROWS) -> tuple[RowSample, ...]:
    """Return the first rows of every given set, as texts cut to table cells."""
    samples = []
    for series, dataset in sets.items():
        names = dataset.schema.names
        records = dataset.slice(0, limit).without_reserved().records.to_pylist()
        rows = tuple(tuple(_cell(record[name]) for name in names) for record in records)
        samples.append(RowSample(series, names, rows))
    return tuple(samples)


def spread_rows(n: int, max_rows: int = N_CANDIDATE_ROWS) -> list[int]:
    """Return up to `max_rows` row positions spread evenly over `n` rows, and so the first few of them.

    Each is moved a little at random, always the same: even steps coincide with a rhythm of the rows, and
    of labels that alternate they would show one alone.

    >>> sorted(spread_rows(4)), len(spread_rows(9_000))
    ([0, 1, 2, 3], 240)
    """
    rng = rng_for(0, "rows for the eye")
    at = np.arange(2 * max_rows) * _GOLDEN + rng.random(2 * max_rows) * _MOVE
    spread = (np.modf(at)[0] * n).astype(int).tolist()
    return list(dict.fromkeys([*spread, *range(min(n, max_rows))]))[:max_rows]


def _rows_without(values: pa.ChunkedArray, known: Sequence[pa.ChunkedArray]) -> list[int]:
    """Return rows from all over `values` whose value is neither missing nor among the known ones."""
    rows = spread_rows(len(values))
    candidates = values.take(pa.array(rows, pa.int64())).combine_chunks()
    unfit = np.asarray(pc.is_null(candidates).to_numpy(zero_copy_only=False))
    for chunk in (chunk for column in known for chunk in column.chunks):
        hits = pc.is_in(candidates, value_set=chunk)
        unfit |= np.asarray(hits.to_numpy(zero_copy_only=False))
    return [row for row, bad in zip(rows, unfit) if not bad]


def _label(dataset: Dataset, row: int, target: str | None) -> str:
    """Return the row's label when the target is a category, else an empty text."""
    if target is None or target not in dataset.schema.names:
        return ""
    if not dataset.schema[target].has_levels:
        return ""
    value = dataset.records.column(target)[row].as_py()
    return "" if value is None else str(value)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, dict) and "bytes" in value:
        return f"{len(value['bytes'] or b''):,} bytes"
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _CELL_LENGTH else text[: _CELL_LENGTH - 1] + "…"


def image_samples(
    synthetic: Dataset, real: Sequence[Dataset], target: str | None, limit: int = N_IMAGES
) -> tuple[ImageSample, ...]:
    """Return synthetic images from all over the set, none of which stands in a real set.

    Small PNG and JPEG files are kept byte for byte; others are encoded again, at most 320 pixels wide
    or high.
    """
    field = next(iter(synthetic.schema.of_kind("image")), None)
    if field is None or not len(synthetic):
        return ()
    images, *known = (
        pc.struct_field(d.records.column(field.name), "bytes")
        for d in (synthetic, *real)
        if field.name in d.schema.names
    )
    found: list[ImageSample] = []
    for row in _rows_without(images, known):
        sample = _sample(synthetic, row, field.name, target) if len(found) < limit else None
        found += [] if sample is None else [sample]
    return tuple(found)


def numbered_images(
    synthetic: Dataset, real: Sequence[Dataset], numbers: Sequence[int]
) -> dict[int, ImageSample]:
    """Return the images of some rows by the row's number, counted from 1, without their boxes.

    Those whose pixels are those of a real image are excluded, however they were saved; and all are where
    there are more than 20,000 real images to compare with.
    """
    field = next(iter(synthetic.schema.of_kind("image")), None)
    columns = [d.records.column(field.name) for d in real if field and field.name in d.schema.names]
    if field is None or sum(map(len, columns)) > MAX_CHECKED:
        return {}
    rows = [number - 1 for number in numbers if 1 <= number <= len(synthetic)]
    keys = hash_images(synthetic.records.column(field.name).take(pa.array(rows, pa.int64())))
    known = {key for column in columns for key in hash_images(column).to_pylist()} if rows else ()
    found = {}
    for row, key in zip(rows, keys.to_pylist()):
        sample = None if key in known else _sample(synthetic, row, field.name, None)
        if sample is not None:
            found[row + 1] = replace(sample, boxes=())
    return found


def _sample(synthetic: Dataset, row: int, column: str, target: str | None) -> ImageSample | None:
    """Return the image of a row with its boxes; None where it is missing or cannot be read."""
    image = synthetic.records.column(column)[row].as_py()
    drawn = _encode(image["bytes"]) if image is not None and image["bytes"] else None
    if drawn is None:
        return None
    boxed = next(iter(synthetic.schema.of_kind("boxes")), None)
    objects = synthetic.records.column(boxed.name)[row].as_py() if boxed is not None else None
    boxes = tuple(
        (str(found["category"]), *(float(v) for v in found["box"]))
        for found in objects or ()
        if found and found.get("box") is not None and len(found["box"]) == 4
    )
    return ImageSample(*drawn, boxes, _label(synthetic, row, target))  # type: ignore[arg-type]


def _encode(data: bytes) -> tuple[str, int, int] | None:
    """Return (data address, width, height) of an encoded image; None when it cannot be read."""
    cv2 = optional("cv2")
    pixels = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        return None
    height, width = pixels.shape[:2]
    starts = {"png": b"\x89PNG", "jpeg": b"\xff\xd8\xff"}
    kind = next((name for name, start in starts.items() if data.startswith(start)), "")
    if not kind or len(data) > MAX_BYTES:
        shrink = min(1.0, MAX_SIDE / max(height, width))
        small = (max(1, round(width * shrink)), max(1, round(height * shrink)))
        pixels = cv2.resize(pixels, small, interpolation=cv2.INTER_AREA)
        encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 88])[1]
        kind, data = "jpeg", encoded.tobytes()
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}", width, height


def image_figure(sample: ImageSample, colours: Mapping[str, int], number: int) -> Markup:
    """Return the image with its boxes as an SVG element; `colours` maps a category to a colour."""
    width, height = sample.width, sample.height
    parts = [element("image", href=sample.uri, width=width, height=height)]
    for category, x0, y0, x1, y1 in sample.boxes:
        kind, title = f"box c{colours.get(category, 0)}", element("title", category)
        w, h = max(0.0, x1 - x0), max(0.0, y1 - y0)
        parts.append(element("rect", title, class_=kind, x=x0, y=y0, width=w, height=h))
    size = max(width, height) / 17
    parts += [
        element("text", name, class_="boxname", x=x, y=y, font_size=size)
        for name, x, y in box_names(sample, size)
    ]
    label = f"Synthetic image {number}"
    if sample.boxes:
        names = ", ".join(sorted({box[0] for box in sample.boxes}))
        label += f" with {len(sample.boxes)} boxes: {names}"
    return svg(
        width, height, label, parts, "sample pixels" if max(width, height) <= 96 else "sample"
    )


def box_names(sample: ImageSample, size: float) -> list[tuple[str, float, float]]:
    """Return (name, x, y) of the names that find room beside their box; colours tell the others.

    Large boxes are named first: above, below, or inside; a name that would lie on another one, or leave
    the image, is excluded.

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
            left, top, right, low = own = (x, y - size, x + width, y + size / 5)
            is_free = not any(
                left < other[2] and other[0] < right and top < other[3] and other[1] < low
                for other in taken
            )
            if x >= 0 and top >= 0 and low <= sample.height and is_free:
                taken.append(own)
                found.append((name, x, y))
                break
    return found


def category_colours(samples: Sequence[ImageSample]) -> dict[str, int]:
    """Return category -> number of its colour; names decide, so a run always looks the same."""
    names = sorted({box[0] for sample in samples for box in sample.boxes})
    return {name: i % N_COLOURS for i, name in enumerate(names)}

"""Facts of single images and of their objects: file, pixels, boxes and masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.errors import DataError
from twinset.core.features.embedders.handcrafted import as_colour
from twinset.core.image.codec import Pixels, decode_pixels, hash_pixels, open_cv
from twinset.core.image.header import PNG, read_header

from .._bootstrap_metric import Bools, Floats, Ints
from ._object_fit import measure_boxes, measure_keypoints, measure_masks

THUMBNAIL_SIDE = (
    16  # pixels of a thumbnail: small enough that noise and compression leave it as it is
)
_MIN_EDGE = 3  # lines of one colour that count as a border: noise makes one by chance
_QUANTILES = (
    0.1,
    0.5,
    0.9,
)  # dark, usual and bright parts of a channel; of equal distance to the middle
_MAX_SIDE = 64  # pixels of each axis that quantiles are taken of
_MIN_LENGTH = 1e-5  # of a small image without its mean: less is rounding
_JPEG_END = b"\xff\xd9"
_MAX_TRAILER = 64  # bytes after the mark that ends a file, e.g. of cameras
_MAX_BOXES = 200  # of one image whose overlaps are measured: their pairs grow with the square

Facts = dict[str, float]
Grey = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ImageContents:
    """Facts of the images of a column, one row each."""

    forms: Mapping[str, list[str]]  # size, channels, depth and file format; "" if unreadable
    keys: list[bytes]  # equal for equal pixels
    thumbnails: Floats  # (n, 256), zero mean and length 1; zero for an image of one colour
    levels: Ints  # (n, 256), grey levels of the thumbnails, 0 to 255
    colours: Floats  # (n, 9), quantiles of red, green and blue from 0 to 1; NaN where unreadable
    flags: Mapping[str, Bools]
    # Kind of the column that they are facts of -> name -> values; NaN where an image has none
    scores: Mapping[str, Mapping[str, Floats]]

    @classmethod
    def from_columns(
        cls, images: pa.ChunkedArray, boxes: pa.ChunkedArray | None, masks: pa.ChunkedArray | None
    ) -> ImageContents:
        """Return the facts of images and of the objects beside them."""
        files = [_bytes_of(cell) for cell in images]
        rows = []
        for place, data in enumerate(files):
            found, grey = _of_file(data)
            if boxes is not None:
                found["boxes"] = _of_boxes(boxes[place].as_py() or (), grey)
            if masks is not None:
                found["mask"] = _of_mask(_bytes_of(masks[place]), grey)
            rows.append(found)
        flags: dict[str, Bools] = {}
        scores: dict[str, dict[str, Floats]] = {}
        for kind in OBJECT_KINDS:
            facts = [row.get(kind, {}) for row in rows]
            names = dict.fromkeys(name for one in facts for name in one)
            table = {n: np.array([one.get(n, np.nan) for one in facts]) for n in names}
            flags |= {name: table.pop(name) > 0 for name in [*table] if name in FLAGS}
            scores[kind] = table
        small = np.array([row["small"] for row in rows]).reshape(-1, THUMBNAIL_SIDE**2)
        centred = small - small.mean(axis=1, keepdims=True)
        length = np.linalg.norm(centred, axis=1, keepdims=True)
        return cls(
            {name: [row["form"].get(name, "") for row in rows] for name in FORMS},
            [row["key"] for row in rows],
            # Rounding leaves a length of an image of one colour.
            np.where(length > _MIN_LENGTH, centred / np.maximum(length, _MIN_LENGTH), 0.0),
            np.rint(255 * small).astype(np.int64),
            np.array([row["colours"] for row in rows]).reshape(-1, 3 * len(_QUANTILES)),
            flags,
            scores,
        )


OBJECT_KINDS = ("image", "boxes", "mask")
FORMS = ("size in pixels", "channels", "bits", "file format", "turn by EXIF")
FORM_FLAGS = ("unreadable", "one colour only", "a file that is cut off")
FLAGS = (
    *FORM_FLAGS, "no object", "objects on one colour", "a box outside of the image",
    "a mask without ground", "a box without area", "a whole box thinner than two pixels", "equal boxes",
    "an object without a label", "a mask of another size", "an unreadable mask",
)  # fmt: skip
"""What no valid image has; whether real ones have it nevertheless is counted."""

RARE_FLAGS = (
    "no object", "equal boxes", "a whole box thinner than two pixels", "a mask without ground",
)  # fmt: skip
"""Of these, what a valid image may have nevertheless."""

_FORMATS = {b"\x89PNG": "PNG", b"\xff\xd8\xff": "JPEG", b"BM": "BMP", b"RIFF": "WebP"}


def _bytes_of(cell: Any) -> bytes:
    value = cell.as_py()
    return (value or {}).get("bytes") or b""


def _of_file(data: bytes) -> tuple[dict[str, Any], Grey | None]:
    """Return form, key, small image and facts of one image file, and its grey levels from 0 to 1."""
    pixels = _decode(data)
    if pixels is None:
        nothing = {"form": {}, "key": b"", "small": np.zeros(THUMBNAIL_SIDE**2)}
        nothing["colours"] = np.full(3 * len(_QUANTILES), np.nan)
        return nothing | {"image": {"unreadable": 1.0}}, None
    height, width = pixels.shape[:2]
    header = read_header(data)
    form = {
        "size in pixels": f"{width} x {height}",
        "channels": str(1 if pixels.ndim == 2 else pixels.shape[2]),
        "bits": str(8 * pixels.dtype.itemsize),
        "file format": next((n for start, n in _FORMATS.items() if data.startswith(start)), "TIFF"),
        "turn by EXIF": str(1 if header is None else header.orientation),
    }
    colour = as_colour(pixels)
    grey: Grey = np.ascontiguousarray(colour.mean(axis=2))
    small = open_cv().resize(grey, (THUMBNAIL_SIDE,) * 2, interpolation=open_cv().INTER_AREA)
    facts = {
        "unreadable": 0.0,
        "one colour only": float(np.ptp(grey) == 0),
        "a file that is cut off": float(_is_cut(data)),
        "lines of one colour at the edges": float(_count_edges(colour)),
    }
    rows = np.sort(
        colour[:: -(-height // _MAX_SIDE), :: -(-width // _MAX_SIDE)].reshape(-1, 3), axis=0
    )
    colours = rows[[int(q * (len(rows) - 1)) for q in _QUANTILES]].T.ravel()
    found = {
        "colours": colours,
        "form": form,
        "key": hash_pixels(pixels),
        "small": small.ravel().astype(np.float64),
    }
    return found | {"image": facts}, grey


def _is_cut(data: bytes) -> bool:
    """Return whether the mark that ends a JPEG or PNG file is missing."""
    mark = {PNG[:4]: b"IEND", b"\xff\xd8\xff\xe0": _JPEG_END, b"\xff\xd8\xff\xe1": _JPEG_END}
    end = mark.get(data[:4])
    return end is not None and end not in data[-_MAX_TRAILER:]


def _decode(data: bytes) -> Pixels | None:
    try:
        return decode_pixels(data) if data else None
    except DataError:
        return None


def _count_edges(colour: Grey) -> int:
    """Return how many lines at the four edges have one colour; fewer than 3 at an edge do not count."""
    total = 0
    for axis in (0, 1):
        is_plain = (np.ptp(colour, axis=1 - axis) == 0).all(axis=1)
        for line in (is_plain, is_plain[::-1]):
            n = len(line) if line.all() else int(np.argmin(line))
            total += n if n >= _MIN_EDGE else 0
    return total


def _of_boxes(objects: Sequence[Mapping[str, Any]], grey: Grey | None) -> Facts:
    """Return facts of the objects of one image."""
    given = [one["box"] for one in objects if one["box"] is not None]
    box = np.array(given, dtype=float).reshape(-1, 4)
    sides = box[:, 2:] - box[:, :2]
    facts: Facts = {
        "no object": float(not len(box)),
        "a box without area": float((sides <= 0).any()),
        "an object without a label": float(any(not one["category"] for one in objects)),
        "equal boxes": float(len(np.unique(box, axis=0)) < len(box)),
    }
    if not len(box):
        return facts
    is_whole: Bools = np.ones(len(box), dtype=bool)
    if grey is not None:
        limits = np.array(grey.shape[::-1], dtype=float)
        # Half a pixel is rounding.
        beyond = max((-box[:, :2]).max(), (box[:, 2:] - limits).max())
        facts["a box outside of the image"] = float(beyond > 0.5)
        is_whole = np.asarray(((box[:, :2] > 0) & (box[:, 2:] < limits)).all(axis=1))
        facts["a whole box thinner than two pixels"] = float((sides[is_whole] < 2).any())
        facts["objects on one colour"] = float(np.ptp(grey) == 0)
        facts["boxes at the edge"] = float((~is_whole).sum())
        facts |= measure_boxes(grey, box)
    area = np.sqrt(np.maximum(sides, 0).prod(axis=1))
    shape = np.abs(np.log(np.maximum(sides[:, 0], 1) / np.maximum(sides[:, 1], 1)))
    facts["flattest box"] = shape.max()
    facts["boxes on one another"] = _largest_overlap(box[:_MAX_BOXES])
    labels = np.array([one["category"] or "" for one in objects if one["box"] is not None])
    for label in ("", *np.unique(labels)):
        own = area[(labels == label) | (label == "")]
        noun = f"'{label}'" if label else "box"
        facts[f"largest {noun}"] = own.max()
        # The edge of the image cuts objects off.
        if (whole := area[((labels == label) | (label == "")) & is_whole]).size:
            facts[f"smallest whole {noun}"] = whole.min()
        if label and grey is not None:
            facts[f"brightness of {noun}"] = _brightness(grey, box[labels == label])
    return facts | measure_keypoints(objects)


def _brightness(grey: Grey, box: Floats) -> float:
    """Return the mean grey level within boxes, beside that of the image; NaN where they are outside."""
    parts = [
        grey[max(int(y0), 0) : int(y1) + 1, max(int(x0), 0) : int(x1) + 1]
        for x0, y0, x1, y1 in box[:_MAX_BOXES]
    ]
    means = [float(part.mean()) for part in parts if part.size]
    return float(np.mean(means)) - float(grey.mean()) if means else float("nan")


def _largest_overlap(box: Floats) -> float:
    """Return the largest intersection over union of two boxes, 0 to 1."""
    low = np.maximum(box[:, None, :2], box[None, :, :2])
    high = np.minimum(box[:, None, 2:], box[None, :, 2:])
    shared = np.maximum(high - low, 0).prod(axis=2)
    area = np.maximum(box[:, 2:] - box[:, :2], 0).prod(axis=1)
    union = area[:, None] + area[None, :] - shared
    overlap = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    np.fill_diagonal(overlap, 0.0)
    return float(overlap.max(initial=0.0))


def _of_mask(data: bytes, grey: Grey | None) -> Facts:
    """Return facts of the mask of one image."""
    ids = _decode(data)
    if ids is None:
        return {"an unreadable mask": 1.0}
    ids = ids[..., 0] if ids.ndim == 3 else ids
    own: Ints = np.unique(ids[ids != 0], return_counts=True)[1]
    facts: Facts = {
        "an unreadable mask": 0.0,
        "no object": float(not len(own)),
        "a mask without ground": float(bool(ids.all())),
        "a mask of another size": float(grey is not None and ids.shape != grey.shape),
    }
    if len(own):
        facts["largest object of the mask"] = np.sqrt(own.max())
        facts["smallest object of the mask"] = np.sqrt(own.min())
        if grey is not None and ids.shape == grey.shape:
            facts["objects on one colour"] = float(np.ptp(grey) == 0)
            facts |= measure_masks(grey, ids)
    return facts

"""Facts of single images and of their objects: file, pixels, boxes and masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.errors import DataError
from twinset.core.image.codec import Pixels, decode_pixels, hash_image, open_cv

from .._bootstrap_metric import Bools, Floats, Ints

THUMBNAIL_SIDE = (
    16  # pixels of a thumbnail: small enough that noise and compression leave it as it is
)
_MIN_EDGE = 3  # lines of one colour that count as a border: noise makes one by chance
_MAX_BOXES = 200  # of one image whose overlaps are measured: their pairs grow with the square

Facts = dict[str, float]


@dataclass(frozen=True)
class ImageContents:
    """Facts of the images of a column, one row each."""

    forms: Mapping[str, list[str]]  # size, channels, depth and file format; "" if unreadable
    keys: list[bytes]  # equal for equal pixels
    thumbnails: Floats  # (n, 256), zero mean and length 1; zero for an image of one colour
    flags: Mapping[str, Bools]
    scores: Mapping[str, Floats]  # NaN where an image has none

    @classmethod
    def from_columns(
        cls, images: pa.ChunkedArray, boxes: pa.ChunkedArray | None, masks: pa.ChunkedArray | None
    ) -> ImageContents:
        """Return the facts of images and of the objects beside them."""
        files = [_bytes_of(cell) for cell in images]
        rows = []
        for place, data in enumerate(files):
            found = _of_file(data)
            size = found["size"]
            if boxes is not None:
                found["facts"] |= _of_boxes(boxes[place].as_py() or (), size)
            if masks is not None:
                found["facts"] |= _of_mask(_bytes_of(masks[place]), size)
            rows.append(found)
        names = dict.fromkeys(name for row in rows for name in row["facts"])
        table = {n: np.array([row["facts"].get(n, np.nan) for row in rows]) for n in names}
        flags = {name: table.pop(name) > 0 for name in [*table] if name in FLAGS}
        return cls(
            {name: [row["form"].get(name, "") for row in rows] for name in FORMS},
            [hash_image(data) if data else b"" for data in files],
            np.stack([row["thumbnail"] for row in rows]),
            flags,
            table,
        )


FORMS = ("size in pixels", "channels", "bits", "file format")
FORM_FLAGS = ("unreadable", "one colour only")
FLAGS = (
    *FORM_FLAGS, "no object", "a box outside of the image", "a box without area",
    "equal boxes", "an object without a label", "a mask of another size", "an unreadable mask",
)  # fmt: skip
"""What no valid image has; whether real ones have it nevertheless is counted."""

_FORMATS = {b"\x89PNG": "PNG", b"\xff\xd8\xff": "JPEG", b"BM": "BMP", b"RIFF": "WebP"}


def _bytes_of(cell: Any) -> bytes:
    value = cell.as_py()
    return (value or {}).get("bytes") or b""


def _of_file(data: bytes) -> dict[str, Any]:
    """Return form, thumbnail, size and facts of one image file."""
    pixels = _decode(data)
    if pixels is None:
        nothing = {"unreadable": 1.0}
        return {
            "form": {},
            "thumbnail": np.zeros(THUMBNAIL_SIDE**2),
            "size": None,
            "facts": nothing,
        }
    height, width = pixels.shape[:2]
    grey = pixels.astype(np.float32)
    grey = grey if grey.ndim == 2 else grey[..., :3].mean(axis=2)
    form = {
        "size in pixels": f"{width} x {height}",
        "channels": str(1 if pixels.ndim == 2 else pixels.shape[2]),
        "bits": str(8 * pixels.dtype.itemsize),
        "file format": next((n for start, n in _FORMATS.items() if data.startswith(start)), "TIFF"),
    }
    small = (
        open_cv().resize(grey, (THUMBNAIL_SIDE,) * 2, interpolation=open_cv().INTER_AREA).ravel()
    )
    small = small.astype(np.float64) - small.mean(dtype=np.float64)
    length = float(np.linalg.norm(small))
    facts = {
        "unreadable": 0.0,
        "one colour only": float(np.ptp(grey) == 0),
        "lines of one colour at the edges": float(_count_edges(grey)),
    }
    thumbnail = small / length if length > 0 else small
    return {"form": form, "thumbnail": thumbnail, "size": (height, width), "facts": facts}


def _decode(data: bytes) -> Pixels | None:
    try:
        return decode_pixels(data) if data else None
    except DataError:
        return None


def _count_edges(grey: npt.NDArray[np.float32]) -> int:
    """Return how many lines at the four edges have one colour; fewer than 3 at an edge do not count."""
    total = 0
    for axis in (0, 1):
        is_plain = np.ptp(grey, axis=1 - axis) == 0
        for line in (is_plain, is_plain[::-1]):
            n = len(line) if line.all() else int(np.argmin(line))
            total += n if n >= _MIN_EDGE else 0
    return total


def _of_boxes(objects: Sequence[Mapping[str, Any]], size: tuple[int, int] | None) -> Facts:
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
    if size is not None and len(box):
        limits = np.array([size[1], size[0]], dtype=float)
        beyond = np.maximum(-box[:, :2], box[:, 2:] - limits).max()
        # Half a pixel is rounding.
        facts["a box outside of the image"] = float(beyond > 0.5)
        facts["boxes at the edge"] = float(
            ((box[:, :2] <= 0) | (box[:, 2:] >= limits)).any(1).sum()
        )
    if len(box):
        area = np.sqrt(np.maximum(sides, 0).prod(axis=1))
        shape = np.abs(np.log(np.maximum(sides[:, 0], 1) / np.maximum(sides[:, 1], 1)))
        facts |= {
            "largest box": area.max(),
            "smallest box": area.min(),
            "flattest box": shape.max(),
        }
        facts["boxes on one another"] = _largest_overlap(box[:_MAX_BOXES])
        for label in {one["category"] for one in objects if one["category"]}:
            own = area[[one["category"] == label for one in objects if one["box"] is not None]]
            if len(own):
                facts |= {f"largest '{label}'": own.max(), f"smallest '{label}'": own.min()}
    return facts


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


def _of_mask(data: bytes, size: tuple[int, int] | None) -> Facts:
    """Return facts of the mask of one image."""
    ids = _decode(data)
    if ids is None:
        return {"an unreadable mask": 1.0}
    ids = ids[..., 0] if ids.ndim == 3 else ids
    own: Ints = np.unique(ids[ids != 0], return_counts=True)[1]
    facts: Facts = {
        "an unreadable mask": 0.0,
        "no object": float(not len(own)),
        "a mask of another size": float(size is not None and ids.shape != size),
    }
    if len(own):
        facts |= {
            "largest object of the mask": np.sqrt(own.max()),
            "smallest object of the mask": np.sqrt(own.min()),
        }
    return facts

"""Instance-id maps: the one truth about where objects are, and the labels derived from it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

from twinset.core.errors import DataError, ParameterError

IdMap = npt.NDArray[np.integer[Any]]

# Their numbers fit the 16 bits of an id map; noise that is taken for one has millions.
MAX_OBJECTS = 65_535
_SLACK = 0.01  # pixels by which rounding may take a box out of its image
_TABLE_CELLS = 1 << 27  # of one byte: a table of objects and rows that takes less than most images


class _Always(TypedDict):
    id: int
    category: str
    box: list[float]
    area: float
    visible_fraction: float | None
    truncated: bool
    keypoints: list[Any]


class ObjectLabel(_Always, total=False):
    """One entry of an `objects` column; boxes are [x0, y0, x1, y1), half-open, in pixels.

    `amodal_box` is that of the whole object, with nothing before it and no edge that cuts it. `polygons`
    are outlines x0, y0, x1, y1, ... where the source has outlines and no id map. `flags` are words of the
    source or the image: crowd, difficult, occluded, approximate.
    """

    amodal_box: list[float] | None
    polygons: list[list[float]] | None
    flags: list[str] | None


def check_box(
    box: Sequence[float],  # x0, y0, x1, y1 in pixels
    shape: tuple[int, int],  # height and width of its image
) -> tuple[float, float, float, float]:
    """Return the edges of a box; raise DataError unless it holds pixels, all of them in its image."""
    x0, y0, x1, y1 = (float(edge) for edge in box)
    shown, (height, width) = f"[{x0:g}, {y0:g}, {x1:g}, {y1:g})", shape
    if not np.isfinite([x0, y0, x1, y1]).all():
        raise DataError(f"the box {shown} is no box of numbers")
    if x1 <= x0 or y1 <= y0:
        raise DataError(
            f"the box {shown} holds nothing: its right or lower edge is not beyond the other one"
        )
    if x0 < -_SLACK or y0 < -_SLACK or x1 > width + _SLACK or y1 > height + _SLACK:
        raise DataError(f"the box {shown} leaves its image of {width} x {height}")
    return x0, y0, x1, y1


def objects_from_ids(
    ids: IdMap,  # 0 is the ground; any other value is the object that owns the pixel, shape (h, w)
    categories: Mapping[int, str],  # id -> category. An object without a visible pixel is left out
    *,
    # id -> pixels that the object would cover with nothing before it and no edge that cuts it.
    # Where an id has none, its visible fraction is unknown (None)
    full_areas: Mapping[int, int] | None = None,
    truncated: Collection[int] = (),  # ids of the objects that the edge of the image cuts
    # id -> box of the whole object; it may leave the image
    amodal_boxes: Mapping[int, Sequence[float]] | None = None,
) -> list[ObjectLabel]:
    """Return the labels of the objects that can be seen in `ids`, by rising id."""
    seen, boxes, areas = extents_of(ids)
    nameless = [int(i) for i in seen if int(i) not in categories]
    if nameless:
        raise DataError(
            "an instance-id map holds an object that is not in the list of objects",
            got=f"id {nameless[0]}",
            allowed=", ".join(str(i) for i in sorted(categories)[:30]) or "no id but 0",
        )
    full = full_areas or {}
    made = [
        ObjectLabel(
            id=int(i),
            category=categories[int(i)],
            box=[float(edge) for edge in box],
            area=float(area),
            visible_fraction=float(area / full[int(i)]) if int(i) in full else None,
            truncated=int(i) in truncated,
            keypoints=[],
        )
        for i, box, area in zip(seen, boxes, areas)
    ]
    for label in made:
        if amodal_boxes and label["id"] in amodal_boxes:
            label["amodal_box"] = [float(edge) for edge in amodal_boxes[label["id"]]]
    return made


def extents_of(ids: IdMap) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the distinct ids (k,), ascending, their boxes (k, 4) and their pixel counts (k,)."""
    flat = np.flatnonzero(ids != 0)  # four times as quick as of the numbers themselves
    owners = ids.ravel()[flat]
    most = int(owners.max(initial=0))
    if most > MAX_OBJECTS:  # too wide for a table
        kept, small = np.unique(owners, return_inverse=True)
        if len(kept) > MAX_OBJECTS:
            raise DataError(
                "an id map holds too many objects",
                got=f"{len(kept):,} numbers",
                allowed=f"up to {MAX_OBJECTS:,}",
                todo="check that it is an id map, not an image",
            )
        again = np.zeros(ids.shape, np.int64)
        again.ravel()[flat] = small + 1
        found, boxes, areas = extents_of(again)
        return kept[found - 1], boxes, areas
    areas = np.bincount(owners, minlength=most + 1)
    seen = np.flatnonzero(areas)
    # Rows and columns in which each id stands: the first and the last of them are its box.
    edges = []
    for length, position in zip(ids.shape, np.divmod(flat, ids.shape[1])):
        if (most + 1) * length > _TABLE_CELLS:
            first, last = np.full(most + 1, length), np.zeros(most + 1, np.int64)
            np.minimum.at(first, owners, position)
            np.maximum.at(last, owners, position + 1)
            edges += [first[seen], last[seen]]
            continue
        stands = np.zeros((most + 1, length), bool)
        stands[owners, position] = True
        stands = stands[seen]
        edges += [stands.argmax(axis=1), length - stands[:, ::-1].argmax(axis=1)]
    top, bottom, left, right = edges
    boxes = np.stack([left, top, right, bottom], axis=1).astype(np.int64)
    return seen, boxes, areas[seen].astype(np.int64)


def semantic_map(
    ids: IdMap, categories: Mapping[int, str], classes: Sequence[str]
) -> npt.NDArray[np.uint16]:
    """Return the class of each pixel, shape (h, w): 0 is the ground, k + 1 the class `classes[k]`."""
    seen = np.unique(ids)
    table = np.zeros(len(seen), np.uint16)
    for k, i in enumerate(seen.tolist()):
        if i and categories.get(i) not in classes:
            raise DataError(
                "an object of an instance-id map belongs to no class",
                got=f"id {i}",
                allowed=", ".join(classes[:30]),
            )
        table[k] = classes.index(categories[i]) + 1 if i else 0
    return table[np.searchsorted(seen, ids)]


def drop_hidden(
    ids: IdMap,  # the map; left as it is, shape (h, w)
    objects: Sequence[ObjectLabel],
    min_visible_fraction: float,  # least share of an object's pixels that must be seen, 0 to 1
) -> tuple[IdMap, list[ObjectLabel]]:
    """Return the map and the labels without the objects that are seen too little of.

    Their pixels become ground, so that map and labels go on telling the same. An object whose visible
    fraction is unknown stays.
    """
    if not 0 <= min_visible_fraction <= 1:
        raise ParameterError(
            "'min_visible_fraction' is out of its range",
            got=str(min_visible_fraction),
            allowed="0 to 1",
        )
    kept: list[ObjectLabel] = []
    gone: list[ObjectLabel] = []
    for label in objects:
        seen = label["visible_fraction"]
        (gone if seen is not None and seen < min_visible_fraction else kept).append(label)
    if gone:
        ids = np.where(np.isin(ids, [label["id"] for label in gone]), 0, ids).astype(ids.dtype)
    return ids, kept

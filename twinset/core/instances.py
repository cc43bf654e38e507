"""Instance-id maps: the one truth about where objects are, and the labels derived from it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

from twinset.core.errors import DataError

IdMap = npt.NDArray[np.integer[Any]]


class ObjectLabel(TypedDict):
    """One entry of an `objects` column; box = [x0, y0, x1, y1), half-open, in pixels."""

    id: int
    category: str
    box: list[float]
    area: float
    visible_fraction: float | None
    truncated: bool
    keypoints: list[Any]


def objects_from_ids(
    ids: IdMap,
    categories: Mapping[int, str],
    *,
    full_areas: Mapping[int, int] | None = None,
    truncated: Collection[int] = (),
) -> list[ObjectLabel]:
    """Return the labels of the objects that can be seen in `ids`, by rising id.

    Parameters
    ----------
    ids : numpy.ndarray of integers, shape (h, w)
        0 is the ground; any other value is the object that owns the pixel.
    categories : mapping
        Id -> category. An object without a visible pixel is left out.
    full_areas : mapping, optional
        Id -> pixels that the object would cover with nothing before it and no frame round it. Where
        an id has none, its visible fraction is unknown (None).
    truncated : collection of int
        Ids of the objects that the frame cuts.

    Raises
    ------
    DataError
        The map holds an id that has no category.

    Examples
    --------
    >>> ids = np.array([[0, 7, 7], [0, 0, 7]])
    >>> found, = objects_from_ids(ids, {7: "ring"}, full_areas={7: 4})
    >>> found["box"], found["area"], found["visible_fraction"]
    ([1.0, 0.0, 3.0, 2.0], 3.0, 0.75)
    """
    seen, boxes, areas = _extents(ids)
    nameless = [int(i) for i in seen if int(i) not in categories]
    if nameless:
        raise DataError(
            "an instance-id map holds an object that is not in the list of objects",
            got=f"id {nameless[0]}",
            allowed=", ".join(str(i) for i in sorted(categories)[:30]) or "no id but 0",
        )
    full = full_areas or {}
    return [
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


def _extents(ids: IdMap) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the distinct ids (k,), their boxes (k, 4) and their pixel counts (k,) in one pass."""
    flat = np.flatnonzero(ids)
    seen, which, areas = np.unique(ids.ravel()[flat], return_inverse=True, return_counts=True)
    y, x = np.divmod(flat, ids.shape[1])
    boxes = np.empty((len(seen), 4), dtype=np.int64)
    boxes[:, :2], boxes[:, 2:] = max(ids.shape), 0
    for column, position in ((0, x), (1, y)):
        np.minimum.at(boxes[:, column], which, position)
        np.maximum.at(boxes[:, column + 2], which, position + 1)
    return seen, boxes, areas

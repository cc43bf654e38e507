"""Keypoints and who can see them: 0 outside the image, 1 hidden by another object, 2 seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from twinset.core.image.instance_maps import IdMap

Points = npt.NDArray[np.float64]

OUT, HIDDEN, SEEN = 0, 1, 2


class Keypoint(TypedDict):
    """One named point; x and y in pixels from the image's upper left corner, v as above."""

    name: str
    x: float
    y: float
    v: int


def keypoints_from_ids(
    points: Mapping[str, Sequence[float]],  # name -> x, y in pixels
    ids: IdMap,  # the map, shape (h, w)
    own_id: int,  # the object's id
) -> list[Keypoint]:
    """Return the keypoints of one object, with their visibility read from the id map.

    A point is seen unless another object owns its pixel; beside the object's own edge, where rounding
    decides who owns a pixel, it is seen when a neighbouring pixel is the object's. Outside the image it
    is (0, 0) with v = 0, as in COCO.
    """
    made = []
    for name, (x, y) in points.items():
        if not in_frame(x, y, ids.shape[:2]):
            made.append(Keypoint(name=name, x=0.0, y=0.0, v=OUT))
            continue
        row, column = int(y), int(x)
        near = ids[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
        is_seen = int(ids[row, column]) in (0, own_id) or bool((near == own_id).any())
        made.append(Keypoint(name=name, x=float(x), y=float(y), v=SEEN if is_seen else HIDDEN))
    return made


def move_keypoints(
    keypoints: Sequence[Keypoint],  # before the move
    move: Callable[[Points], Points],  # takes and returns points, shape (k, 2)
    shape: tuple[int, ...],  # height and width after the move
    # name -> name after a mirroring, e.g. ``{"left_eye": "right_eye", "right_eye": "left_eye"}``
    rename: Mapping[str, str] | None = None,
) -> list[Keypoint]:
    """Return keypoints after their image was moved; those that leave the image get v = 0.

    A move of the whole image neither hides nor shows a point, so v stays otherwise.
    """
    if not keypoints:
        return []
    moved = move(np.array([[point["x"], point["y"]] for point in keypoints], float))
    made = []
    for point, (x, y) in zip(keypoints, moved.tolist()):
        stays = point["v"] != OUT and in_frame(x, y, shape)
        name = (rename or {}).get(point["name"], point["name"])
        made.append(
            Keypoint(
                name=name,
                x=float(x) if stays else 0.0,
                y=float(y) if stays else 0.0,
                v=point["v"] if stays else OUT,
            )
        )
    return made


def in_frame(x: float, y: float, shape: tuple[int, ...]) -> bool:
    """Return whether a point lies in an image of this height and width."""
    return 0 <= x < shape[1] and 0 <= y < shape[0]

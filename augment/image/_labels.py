"""Object labels of a varied image, from what the pipeline did to its id map or its boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from twinset.core.errors import DataError
from twinset.core.instances import ObjectLabel, objects_from_ids

Objects = Sequence[ObjectLabel]


def objects_from_map(ids: npt.NDArray[Any], parents: Objects) -> list[ObjectLabel]:
    """Return the labels that the transformed id map shows; categories are the parents'.

    An object whose pixel count changed and which touches the frame counts as truncated, and its
    visible fraction is unknown (None), because what left the frame can no longer be counted.
    """
    before = {parent["id"]: parent for parent in parents}
    found = objects_from_ids(ids, {i: parent["category"] for i, parent in before.items()})
    return [_inherit(label, before[label["id"]], ids.shape) for label in found]


def objects_from_boxes(
    boxes: npt.NDArray[Any], positions: npt.NDArray[Any], parents: Objects, shape: tuple[int, ...]
) -> list[ObjectLabel]:
    """Return labels for boxes that were moved as boxes; approximate when the pipeline rotates.

    Parameters
    ----------
    boxes : numpy.ndarray, shape (k, 4)
        What is left of the parents' boxes.
    positions : numpy.ndarray, shape (k,)
        Which parent each box belongs to.
    parents : sequence of ObjectLabel
        Labels before the pipeline.
    shape : tuple of int
        Height and width of the varied image.
    """
    made = []
    for box, position in zip(boxes, positions):
        parent = parents[int(position)]
        edges = [float(edge) for edge in box[:4]]
        old = parent["area"] / max(_box_area(parent["box"]), 1e-9) if parent["area"] else 1.0
        label = ObjectLabel(
            id=parent["id"],
            category=parent["category"],
            box=edges,
            area=old * _box_area(edges),
            visible_fraction=None,
            truncated=False,
            keypoints=[],
        )
        made.append(_inherit(label, parent, shape))
    return made


def refuse_keypoints(objects: Objects | None) -> None:
    """Raise DataError when an object holds keypoints: they would stay behind."""
    if any(item["keypoints"] for item in objects or ()):
        raise DataError(
            "objects hold keypoints, which cannot be moved with their image yet",
            todo="drop the keypoints, or leave out the augment step",
        )


def _inherit(label: ObjectLabel, parent: ObjectLabel, shape: tuple[int, ...]) -> ObjectLabel:
    """Carry over what the frame does not change: how much of the object others hide."""
    left, top, right, bottom = label["box"]
    at_frame = left <= 0 or top <= 0 or right >= shape[1] or bottom >= shape[0]
    changed = abs(label["area"] - (parent["area"] or 0.0)) > 1e-3 * label["area"]
    cut = bool(at_frame and changed)
    label["truncated"] = bool(parent["truncated"]) or cut
    label["visible_fraction"] = None if cut else parent["visible_fraction"]
    return label


def _box_area(box: Sequence[float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])

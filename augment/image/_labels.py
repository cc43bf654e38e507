"""Object labels of a varied image, from what the pipeline did to its id map or to its outlines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.errors import DataError
from twinset.core.image.instance_maps import ObjectLabel, objects_from_ids
from twinset.core.image.keypoints import Keypoint, move_keypoints
from twinset.core.image.polygons import clip_ring, signed_area

from ._motion import Moves, Points

Objects = Sequence[ObjectLabel]

_N_CORNERS = 64  # of a polygon in place of an ellipse: its box is exact to 0.1 % of the size
_APPROXIMATE = "approximate"


def objects_from_map(
    ids: npt.NDArray[Any], parents: Objects, motion: Moves | None
) -> list[ObjectLabel]:
    """Return the labels that the transformed id map shows; categories are the parents'.

    An object whose pixel count changed and which touches the edge of the image counts as truncated, and its
    visible fraction is unknown (None), because what left the image can no longer be counted.
    """
    before = {parent["id"]: parent for parent in parents}
    found = objects_from_ids(ids, {i: parent["category"] for i, parent in before.items()})
    return [_inherit(label, before[label["id"]], ids.shape, motion) for label in found]


def objects_from_outlines(
    parents: Objects, motion: Moves | None, shape: tuple[int, ...]
) -> list[ObjectLabel]:
    """Return labels moved by their outlines, or by their boxes where they have no outline.

    An outline is moved corner by corner and cut at the edge of the image: its box is exact. A box
    alone stays exact while upright boxes stay upright (flips, crops, scaling). Otherwise it is bounded
    by the ellipse inside it, and the label is flagged "approximate".
    """
    if motion is None:
        return [_copy(parent) for parent in parents]
    if not motion.is_plane and parents:
        raise DataError(
            "a transform bends the image, which boxes and outlines cannot follow",
            allowed="bending transforms where every row has an id map",
            todo="leave ElasticTransform and GridDistortion out, or give id maps",
        )
    made = []
    for parent in parents:
        label = _moved(parent, motion, shape)
        if label is not None:
            made.append(label)
    return made


def _moved(parent: ObjectLabel, motion: Moves, shape: tuple[int, ...]) -> ObjectLabel | None:
    rings, is_exact = _rings(parent, motion)
    whole = [motion(ring) for ring in rings]
    if not all(np.isfinite(ring).all() for ring in whole):
        return None
    kept = [ring for ring in (clip_ring(ring, shape) for ring in whole) if len(ring) >= 3]
    area = abs(sum(signed_area(ring) for ring in kept))
    if area < 1e-6:
        return None
    corners = np.concatenate(kept)
    box = [*corners.min(axis=0).tolist(), *corners.max(axis=0).tolist()]
    full = abs(sum(signed_area(ring) for ring in whole))
    old = abs(sum(signed_area(ring) for ring in rings))
    share = (parent["area"] or old) / max(old, 1e-9)  # of a box's area, as far as it is known
    is_cut = area < full * (1 - 1e-6)
    label = _copy(parent)
    label["box"] = box
    label["area"] = share * area
    label["truncated"] = bool(parent["truncated"]) or is_cut
    label["visible_fraction"] = None if is_cut else parent["visible_fraction"]
    label["keypoints"] = _points(parent, motion, shape)
    label["amodal_box"] = _amodal(parent, motion)
    label["polygons"] = [r.ravel().tolist() for r in kept] if parent.get("polygons") else None
    if not is_exact:
        label["flags"] = sorted({*(parent.get("flags") or ()), _APPROXIMATE})
    return label


def _rings(parent: ObjectLabel, motion: Moves) -> tuple[list[Points], bool]:
    """Return what is moved for an object, and whether its bounds will be exact."""
    polygons = parent.get("polygons")
    if polygons:
        return [np.asarray(ring, float).reshape(-1, 2) for ring in polygons], True
    x0, y0, x1, y1 = parent["box"]
    if motion.is_upright:
        return [np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], float)], True
    angles = 2 * np.pi * np.arange(_N_CORNERS) / _N_CORNERS
    centre, half = np.array([x0 + x1, y0 + y1]) / 2, np.array([x1 - x0, y1 - y0]) / 2
    return [centre + half * np.stack([np.cos(angles), np.sin(angles)], axis=1)], False


def _inherit(
    label: ObjectLabel, parent: ObjectLabel, shape: tuple[int, ...], motion: Moves | None
) -> ObjectLabel:
    """Return a label with what the edge of the image does not change, e.g. the share that others hide."""
    left, top, right, bottom = label["box"]
    at_frame = left <= 0 or top <= 0 or right >= shape[1] or bottom >= shape[0]
    changed = abs(label["area"] - (parent["area"] or 0.0)) > 1e-3 * label["area"]
    cut = bool(at_frame and changed)
    label["truncated"] = bool(parent["truncated"]) or cut
    label["visible_fraction"] = None if cut else parent["visible_fraction"]
    label["keypoints"] = _points(parent, motion, shape)
    label["amodal_box"] = _amodal(parent, motion)
    label["flags"] = parent.get("flags")
    return label


def _points(parent: ObjectLabel, motion: Moves | None, shape: tuple[int, ...]) -> list[Keypoint]:
    points: list[Keypoint] = list(parent["keypoints"] or ())
    if motion is None or not points:
        return points
    swapped = {p["name"]: _other_side(p["name"]) for p in points} if motion.is_mirrored else None
    return move_keypoints(points, motion, shape, swapped)


def _other_side(name: str) -> str:
    """In a mirror a left hand looks like a right one: the words left and right change places."""
    if "left" in name:
        return name.replace("left", "right")
    return name.replace("right", "left")


def _amodal(parent: ObjectLabel, motion: Moves | None) -> list[float] | None:
    box = parent.get("amodal_box")
    if box is None or motion is None:
        return box
    if not motion.is_upright:
        return None  # what lies beyond the old frame, or behind others, nobody can turn
    corners = motion(np.asarray(box, float).reshape(2, 2))
    return [*corners.min(axis=0).tolist(), *corners.max(axis=0).tolist()]


def _copy(parent: ObjectLabel) -> ObjectLabel:
    copied = parent.copy()
    copied["keypoints"] = list(parent["keypoints"] or ())
    return copied

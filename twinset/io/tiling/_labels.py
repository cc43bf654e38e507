"""The labels of one tile, from those of the whole image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from twinset.core.errors import DataError
from twinset.core.image.instance_maps import ObjectLabel, extents_of
from twinset.core.image.keypoints import Keypoint, move_keypoints
from twinset.core.image.polygons import clip_ring, signed_area
from twinset.io.tiling.grid import Window

Ids = npt.NDArray[Any]

_WHOLE = 1 - 1e-9
_APPROXIMATE = "approximate"


class Piece(NamedTuple):
    """What a tile shows of an object: its share of what the image shows, in the tile's pixels."""

    share: float
    box: list[float]
    area: float
    polygons: list[list[float]] | None
    is_exact: bool = True


def labels_in(
    parents: Sequence[ObjectLabel],
    window: Window,
    ids: Ids | None,
    full_areas: Mapping[int, int],
    min_visible_fraction: float,
) -> tuple[list[ObjectLabel], list[int]]:
    """Return the labels of the objects that a tile shows enough of, and the ids of the others.

    Pixels are counted where there is a map; else outlines are cut; of an object known by its box alone the
    part of the box is taken, and flagged "approximate" when the tile cuts it.

    Parameters
    ----------
    parents : sequence of ObjectLabel
        Labels of the whole image.
    window : Window
        The tile.
    ids : numpy.ndarray, optional
        The tile's part of the id map.
    full_areas : mapping
        Id -> pixels in the whole map.
    min_visible_fraction : float
        Share of an object that must be seen.

    Raises
    ------
    DataError
        The map holds an object that is not in the list.
    """
    pieces: dict[int, tuple[list[float], float]] = {}
    if ids is not None:
        for number, box, area in zip(*extents_of(ids)):
            pieces[int(number)] = ([float(edge) for edge in box], float(area))
    nameless = pieces.keys() - {parent["id"] for parent in parents}
    if nameless:
        raise DataError(
            "an instance-id map holds an object that is not in the list of objects",
            got=f"id {min(nameless)}",
        )
    kept: list[ObjectLabel] = []
    gone: list[int] = []
    for parent in parents:
        piece = _piece(parent, window, pieces.get(parent["id"]), full_areas)
        if piece is None:
            continue
        if piece.share >= min_visible_fraction:
            kept.append(_label(parent, window, piece))
        else:
            gone.append(parent["id"])
    return kept, gone


def _piece(
    parent: ObjectLabel,
    window: Window,
    seen: tuple[list[float], float] | None,
    full_areas: Mapping[int, int],
) -> Piece | None:
    polygons = parent.get("polygons")
    outline = _cut_outline(polygons, window) if polygons else None
    if parent["id"] in full_areas:
        if seen is None:
            return None
        share = seen[1] / full_areas[parent["id"]]
        if outline is None:
            return Piece(share, *seen, None)
        # Annotators' outlines need not end at the edges of pixels; what is cut off is counted in these.
        return outline._replace(share=share, area=share * (parent["area"] or 0.0))
    if polygons:
        return outline and outline._replace(area=outline.share * (parent["area"] or 0.0))
    return _cut_box(parent, window)


def _cut_outline(polygons: Sequence[Sequence[float]], window: Window) -> Piece | None:
    offset = np.array([window.x0, window.y0], float)
    rings = [np.asarray(ring, float).reshape(-1, 2) - offset for ring in polygons]
    kept = [ring for ring in (clip_ring(ring, window.shape) for ring in rings) if len(ring) >= 3]
    area = abs(sum(signed_area(ring) for ring in kept))
    whole = abs(sum(signed_area(ring) for ring in rings))
    if area < 1e-6:
        return None
    corners = np.concatenate(kept)
    box = [*corners.min(axis=0).tolist(), *corners.max(axis=0).tolist()]
    return Piece(min(area / whole, 1.0), box, area, [ring.ravel().tolist() for ring in kept])


def _cut_box(parent: ObjectLabel, window: Window) -> Piece | None:
    x0, y0, x1, y1 = parent["box"]
    height, width = window.shape
    left, right = max(x0 - window.x0, 0.0), min(x1 - window.x0, float(width))
    top, bottom = max(y0 - window.y0, 0.0), min(y1 - window.y0, float(height))
    if right <= left or bottom <= top:
        return None
    share = (right - left) * (bottom - top) / ((x1 - x0) * (y1 - y0))
    area = share * (parent["area"] or 0.0)
    return Piece(min(share, 1.0), [left, top, right, bottom], area, None, share >= _WHOLE)


def _label(parent: ObjectLabel, window: Window, piece: Piece) -> ObjectLabel:
    """Return the label of what a tile shows; an object that it does not cut keeps its own numbers."""
    offset = np.array([window.x0, window.y0], float)
    is_cut = piece.share < _WHOLE
    label = parent.copy()
    shifted = np.asarray(parent["box"], float).reshape(2, 2) - offset
    label["box"] = piece.box if is_cut else shifted.ravel().tolist()
    label["area"] = piece.area if is_cut else parent["area"]
    label["polygons"] = piece.polygons
    amodal = parent.get("amodal_box")
    if amodal is not None:
        whole = np.asarray(amodal, float).reshape(2, 2) - offset
        label["amodal_box"] = whole.ravel().tolist()
        height, width = window.shape
        is_cut = is_cut or whole.min() < 0 or whole[1, 0] > width or whole[1, 1] > height
    label["truncated"] = bool(parent["truncated"] or is_cut)
    known = parent["visible_fraction"]
    label["visible_fraction"] = None if known is None else known * piece.share
    points: list[Keypoint] = list(parent["keypoints"] or ())
    label["keypoints"] = move_keypoints(points, lambda at: at - offset, window.shape)
    if not piece.is_exact:
        label["flags"] = sorted({*(parent.get("flags") or ()), _APPROXIMATE})
    return label

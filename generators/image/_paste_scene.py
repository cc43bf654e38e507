"""One real image while objects are pasted onto it: pixels, who owns them, and the labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from twinset.core.instances import ObjectLabel, extents_of
from twinset.core.keypoints import Keypoint, in_frame
from twinset.core.pixels import decode_ids, decode_pixels, encode_lossless

from ._cutouts import Cutout, ImageColumns, Pixels, look_of
from ._pasting import Paste, lay, place_slices, prepare

if TYPE_CHECKING:
    from .copy_paste import CopyPaste

_N_PLACES = 15
_EDGES = ("none", "feather", "poisson")


@dataclass
class PasteScene:
    """A real image and its labels, changed paste by paste.

    Where the image has an id map, it is the truth. Without one, boxes of the objects below stay as they
    are, and no paste may lie over more than the allowed share of a box.
    """

    columns: ImageColumns
    image: Pixels
    is_grey: bool
    ids: npt.NDArray[Any] | None
    objects: list[ObjectLabel]

    @classmethod
    def of(cls, row: Mapping[str, Any], columns: ImageColumns) -> Self:
        """Return the scene of a real row."""
        pixels = decode_pixels(row[columns.image]["bytes"])
        blob = row[columns.mask] if columns.mask else None
        ids = None if blob is None else decode_ids(blob["bytes"])
        if ids is not None:
            ids = ids.astype(np.uint16 if ids.max(initial=0) < 60_000 else np.int32)
        image = (pixels if pixels.ndim == 3 else pixels[..., None]).copy()
        return cls(columns, image, pixels.ndim == 2, ids, list(row[columns.boxes] or ()))

    def look(self) -> npt.NDArray[np.float64]:
        """Return how the image looks at a glance."""
        return look_of(self.image)

    def paste(self, cutout: Cutout, settings: CopyPaste, rng: np.random.Generator) -> bool:
        """Paste a cutout where it may lie; return whether there was such a place."""
        if cutout.pixels.dtype != self.image.dtype or cutout.pixels.shape[2] != self.image.shape[2]:
            return False
        edge = settings.blend if settings.blend != "mixed" else _EDGES[int(rng.integers(3))]
        paste = prepare(
            cutout,
            scale=float(rng.uniform(*settings.scale_range)),
            turn=float(rng.uniform(-settings.turn, settings.turn)),
            mirrored=bool(settings.mirror and rng.random() < 0.5),
            soft=edge != "none",
        )
        height, width = self.image.shape[:2]
        h, w = paste.mask.shape
        for _ in range(_N_PLACES):
            left, top = (
                int(rng.integers(-w // 2, width - w // 2)),
                int(rng.integers(-h // 2, height - h // 2)),
            )
            if self._may_lie(paste, left, top, settings):
                lay(self.image, paste, left, top, blend=edge, match=settings.match)
                self._label(cutout.category, paste, left, top)
                return True
        return False

    def cells(self) -> dict[str, Any]:
        """Return the cells of the made row."""
        image = self.image[..., 0] if self.is_grey else self.image
        made: dict[str, Any] = {self.columns.image: {"bytes": encode_lossless(image), "path": None}}
        if self.columns.mask is not None:
            blob = None if self.ids is None else {"bytes": encode_lossless(self.ids), "path": None}
            made[self.columns.mask] = blob
        made[self.columns.boxes] = self.objects
        return made

    def _may_lie(self, paste: Paste, left: int, top: int, settings: CopyPaste) -> bool:
        place, own = place_slices(paste, left, top, *self.image.shape[:2])
        mask = paste.mask[own]
        total = int(paste.mask.sum())
        if total == 0 or mask.sum() < max(settings.min_inside_fraction * total, 1):
            return False
        most = settings.max_hidden_fraction
        if self.ids is not None:
            hidden = np.bincount(self.ids[place][mask].ravel().astype(np.int64))
            areas = {item["id"]: item["area"] for item in self.objects}
            return all(
                hidden[i] <= most * areas.get(int(i), np.inf) for i in np.flatnonzero(hidden) if i
            )
        box = _box_of(mask, place)
        return all(_overlap(box, item["box"]) <= most * _area(item["box"]) for item in self.objects)

    def _label(self, category: str, paste: Paste, left: int, top: int) -> None:
        place, own = place_slices(paste, left, top, *self.image.shape[:2])
        mask = paste.mask[own]
        number = max((item["id"] for item in self.objects), default=0) + 1
        if self.ids is not None:
            number = max(number, int(self.ids.max(initial=0)) + 1)
            self.ids[place][mask] = number
            self.objects = self._seen()
        self._hide_points(mask, place)
        total, inside = int(paste.mask.sum()), int(mask.sum())
        whole = _box_of(paste.mask, (slice(top, None), slice(left, None)))
        self.objects.append(
            ObjectLabel(
                id=number,
                category=category,
                box=_box_of(mask, place),
                area=float(inside),
                visible_fraction=inside / total,
                truncated=inside < total,
                keypoints=self._points(paste, left, top),
                amodal_box=whole,
            )
        )

    def _seen(self) -> list[ObjectLabel]:
        """Return the labels of the objects below as the map shows them now."""
        assert self.ids is not None
        found = {int(i): (b, a) for i, b, a in zip(*extents_of(self.ids))}
        kept = []
        for item in self.objects:
            if item["id"] not in found:
                continue
            box, area = found[item["id"]]
            share = float(area) / item["area"] if item["area"] else 1.0
            label = item.copy()
            if share < 1:
                seen = item["visible_fraction"]
                label["visible_fraction"] = None if seen is None else seen * share
                label["polygons"] = None
            label["box"], label["area"] = [float(edge) for edge in box], float(area)
            kept.append(label)
        return kept

    def _hide_points(self, mask: npt.NDArray[np.bool_], place: tuple[slice, slice]) -> None:
        """Mark the keypoints below that the paste lies over as hidden."""
        rows, columns = place
        for item in self.objects:
            for point in item["keypoints"] or ():
                y, x = int(point["y"]) - rows.start, int(point["x"]) - columns.start
                inside = 0 <= y < mask.shape[0] and 0 <= x < mask.shape[1]
                if point["v"] == 2 and inside and mask[y, x]:
                    point["v"] = 1

    def _points(self, paste: Paste, left: int, top: int) -> list[Keypoint]:
        made = []
        for name, (x, y, v) in paste.points.items():
            at = (x + left, y + top)
            stays = v > 0 and in_frame(*at, self.image.shape)
            if paste.is_mirrored:  # in a mirror a left hand looks like a right one
                swapped = name.replace("left", "right")
                name = swapped if swapped != name else name.replace("right", "left")
            made.append(
                Keypoint(
                    name=name,
                    x=at[0] if stays else 0.0,
                    y=at[1] if stays else 0.0,
                    v=v if stays else 0,
                )
            )
        return made


def _box_of(mask: npt.NDArray[np.bool_], place: tuple[slice, slice]) -> list[float]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, left = place[0].start, place[1].start
    ends = (left + columns[0], top + rows[0], left + columns[-1] + 1, top + rows[-1] + 1)
    return [float(end) for end in ends]


def _overlap(a: list[float], b: list[float]) -> float:
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return max(wide, 0.0) * max(high, 0.0)


def _area(box: list[float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])

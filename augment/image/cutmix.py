"""Cover a part of each image by a part of another one; labels show what remains visible."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from twinset.core.errors import DataError
from twinset.core.parameters import Ascending, Each, Ends, Interval

from ._labels import objects_from_map
from ._mixing import Canvas, Mixing, check_max_id, window_of
from ._motion import Shift
from ._rows import Row


@dataclass(frozen=True, kw_only=True)
class Cutmix(Mixing):
    """Cover a rectangle of each image by a part of another one, with the labels of both.

    Pixels, boxes and visible fractions of partly hidden objects are updated; hidden objects lose their
    labels. Objects need an id map: a box does not show what remains of them. If there is a target, only
    images of one label are combined, so that it stays right.

    Parameters
    ----------
    area_range : tuple of float
        Share of the image that is covered, smallest and largest, 0.01 to 0.5.

    References
    ----------
    Yun et al., "CutMix: regularization strategy to train strong classifiers with localizable features",
    ICCV 2019.

    Examples
    --------
    >>> from twinset.core.seeding import rng_for
    >>> import pyarrow as pa
    >>> from twinset.core.data.dataset import Dataset
    >>> from twinset.core.image.codec import decode_pixels, encode_png
    >>> cells = [{"bytes": encode_png(np.full((10, 10), k, np.uint8)), "path": None} for k in range(9)]
    >>> data = Dataset.from_arrow(pa.table({"image": cells}))
    >>> cut = Cutmix(area_range=(0.25, 0.25))
    >>> out = cut.apply(data, {"seed": np.arange(9), "partners": np.full((9, 1), 8)})
    >>> int((decode_pixels(out.records["image"][0].as_py()["bytes"]) == 8).sum())
    25
    """

    area_range: Annotated[Ends, Each(Interval(ge=0.01, le=0.5)), Ascending()] = (0.1, 0.4)

    def _mix(self, own: Row, others: list[Row], rng: np.random.Generator) -> Row:
        image, ids, objects = own
        if objects and ids is None:
            raise DataError(
                "cutmix needs id maps: a box alone cannot tell what is left of an object",
                todo="give id maps, or use image.mosaic",
            )
        height, width = image.shape[:2]
        side = float(rng.uniform(*self.area_range)) ** 0.5
        w, h = max(1, round(side * width)), max(1, round(side * height))
        x, y = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
        canvas = Canvas.like(own)
        canvas.image[...] = image
        if ids is not None:
            self._keep(canvas, own, (slice(y, y + h), slice(x, x + w)))
        scale, corner = window_of(others[0][0], w, h, 1.0, rng)
        canvas.put(others[0], (x, y, x + w, y + h), scale, corner)
        return canvas.image, canvas.ids, canvas.objects

    def _keep(self, canvas: Canvas, own: Row, hole: tuple[slice, slice]) -> None:
        """Put what is left of the own objects onto the canvas."""
        _, ids, objects = own
        assert ids is not None
        assert canvas.ids is not None
        left = ids.copy()
        left[hole] = 0
        check_max_id(int(left.max(initial=0)))
        canvas.ids[...] = left
        if objects is None or canvas.objects is None:
            return
        areas = {item["id"]: item["area"] for item in objects}
        for label in objects_from_map(left, objects, Shift((1.0, 1.0), (0.0, 0.0))):
            share = label["area"] / areas[label["id"]] if areas[label["id"]] else 1.0
            parent = next(item for item in objects if item["id"] == label["id"])
            seen = parent["visible_fraction"]
            label["visible_fraction"] = None if seen is None else seen * share
            label["truncated"] = bool(parent["truncated"])
            rows, columns = hole
            for point in label["keypoints"]:
                is_beside = columns.start <= point["x"] < columns.stop
                if is_beside and rows.start <= point["y"] < rows.stop:
                    point["v"] = min(point["v"], 1)
            canvas.objects.append(label)

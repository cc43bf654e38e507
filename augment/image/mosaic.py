"""Combine parts of four images into one, with id maps, boxes and keypoints of all four."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from twinset.core.parameters import Ascending, Each, Ends, Interval

from ._mixing import Canvas, Mixing, window_of
from ._rows import Row


@dataclass(frozen=True, kw_only=True)
class Mosaic(Mixing):
    """Combine parts of four images into one, with the labels of their visible objects.

    The image keeps its size; a random point divides it into four rectangles. One shows the image itself,
    each other one a scaled part of another image of the same chunk. Objects without visible pixels lose
    their labels. If there is a target, only images of one label are combined. Columns other than image,
    id map and objects keep the parent's values.

    Parameters
    ----------
    scale_range : tuple of float
        Scale of the parts, smallest and largest, 0.1 to 4; raised where a part would not fill its place.
    centre_range : tuple of float
        Position of the dividing point, as shares of width and height, 0.1 to 0.9.

    References
    ----------
    Bochkovskiy, Wang, Liao, "YOLOv4: optimal speed and accuracy of object detection", 2020.

    Examples
    --------
    >>> from twinset.core.seeding import rng_for
    >>> import pyarrow as pa
    >>> from twinset.core.data.dataset import Dataset
    >>> from twinset.core.image.codec import decode_pixels, encode_png
    >>> cells = [{"bytes": encode_png(np.full((8, 8), k, np.uint8)), "path": None} for k in range(9)]
    >>> data = Dataset.from_arrow(pa.table({"image": cells}))
    >>> mosaic = Mosaic()
    >>> out = mosaic.apply(data, mosaic.draw(data, rng_for(0, "doc")))
    >>> len(np.unique(decode_pixels(out.records["image"][3].as_py()["bytes"]))) > 1
    True
    """

    n_partners: ClassVar[int] = 3

    scale_range: Annotated[Ends, Each(Interval(ge=0.1, le=4)), Ascending()] = (0.6, 1.2)
    centre_range: Annotated[Ends, Each(Interval(ge=0.1, le=0.9)), Ascending()] = (0.3, 0.7)

    def _mix(self, own: Row, others: list[Row], rng: np.random.Generator) -> Row:
        canvas = Canvas.like(own)
        height, width = own[0].shape[:2]
        share_x, share_y = rng.uniform(*self.centre_range, 2)
        x, y = max(1, round(width * share_x)), max(1, round(height * share_y))
        places = [(0, 0, x, y), (x, 0, width, y), (0, y, x, height), (x, y, width, height)]
        order = rng.permutation(4)
        for place, row in zip((places[int(k)] for k in order), [own, *others]):
            x0, y0, x1, y1 = place
            if x0 >= x1 or y0 >= y1:
                continue
            min_scale = float(rng.uniform(*self.scale_range))
            scale, corner = window_of(row[0], x1 - x0, y1 - y0, min_scale, rng)
            canvas.put(row, place, scale, corner)
        return canvas.image, canvas.ids, canvas.objects

"""Blend each image with a second one of the same label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from twinset.core.data.schema import KINDS
from twinset.core.errors import DataError
from twinset.core.parameters import Ascending, Each, Ends, Interval

from ._mixing import Mixing, resized
from ._rows import Row


@dataclass(frozen=True, kw_only=True)
class Mixup(Mixing):
    """Blend each image with a second one of the same label.

    For classified images: only images of one target label are blended, so that the label stays right and
    is not split into shares. Images with objects are an error: two objects would own one pixel.

    Parameters
    ----------
    share_range : tuple of float
        Share of the second image, smallest and largest, 0 to 0.5.

    References
    ----------
    Zhang et al., "mixup: beyond empirical risk minimization", ICLR 2018.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.data.dataset import Dataset
    >>> from twinset.core.image.codec import decode_pixels, encode_png
    >>> cells = [{"bytes": encode_png(np.full((2, 2), k, np.uint8)), "path": None} for k in (0, 100)]
    >>> data = Dataset.from_arrow(pa.table({"image": cells}))
    >>> mix = Mixup(share_range=(0.3, 0.3))
    >>> out = mix.apply(data, {"seed": np.arange(2), "partners": np.array([[1], [0]])})
    >>> [int(decode_pixels(c["bytes"]).max()) for c in out.records["image"].to_pylist()]
    [30, 70]
    """

    kinds: ClassVar[frozenset[str]] = frozenset(KINDS) - {"mask", "boxes"}

    share_range: Annotated[Ends, Each(Interval(ge=0, le=0.5)), Ascending()] = (0.1, 0.4)

    def _mix(self, own: Row, others: list[Row], rng: np.random.Generator) -> Row:
        image, ids, objects = own
        if ids is not None or objects:
            raise DataError(
                "mixup cannot blend images with objects: two of them would own one pixel",
                todo="use image.cutmix or image.mosaic",
            )
        share = np.float32(rng.uniform(*self.share_range))
        second = resized(others[0][0], image.shape[:2]).astype(np.float32)
        blended = image + share * (second - image.astype(np.float32))
        if image.dtype != np.float32:
            blended = np.rint(blended)
        return blended.astype(image.dtype), None, objects

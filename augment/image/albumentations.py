"""Vary images by one albumentations pipeline; boxes are derived from the transformed id map."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from ._rows import Row, SeededImages
from ._transforms import DEFAULT, build_pipeline, check_names, vary_image


@dataclass(frozen=True, kw_only=True)
class Albumentations(SeededImages):
    """Vary images by flips, affine moves, light, blur and noise; masks, boxes and keypoints follow.

    Where a row has an id map, boxes, areas and the truncated flag are derived from the transformed
    map and so are exact; objects that vanish are removed. Without a map, outlines are moved corner by
    corner, and boxes alone stay exact while they stay upright; rotated ones are bounded and flagged
    "approximate". Keypoints move with the pixels; in mirrored images the words left and right in their
    names are exchanged. Images may be uint8, uint16 or float32, of any number of channels; they come out as
    PNG or TIFF. Other columns keep the values of the parent row. Every row has its own seed, so order and
    number of workers change nothing.

    Parameters
    ----------
    transforms : sequence of mapping
        Transforms in order, each ``{name: settings}`` as in albumentations 2.0.8, e.g.
        ``[{HorizontalFlip: {p: 0.5}}, {RandomFog: {p: 0.1}}]``. Transforms that would make
        labels wrong are an error, which gives the reason.

    References
    ----------
    Buslaev et al., "Albumentations: fast and flexible image augmentations", Information 11(2), 2020.

    Examples
    --------
    >>> import numpy as np
    >>> import pyarrow as pa
    >>> from twinset.core.data.dataset import Dataset
    >>> from twinset.core.image.codec import decode_pixels, encode_png
    >>> from twinset.core.seeding import rng_for
    >>> png = encode_png(np.array([[0, 9]], np.uint8))
    >>> data = Dataset.from_arrow(pa.table({"image": [{"bytes": png, "path": None}]}))
    >>> flip = Albumentations(transforms=[{"HorizontalFlip": {"p": 1.0}}])
    >>> out = flip.apply(data, flip.draw(data, rng_for(0, "doc")))
    >>> decode_pixels(out.records["image"][0]["bytes"].as_py())
    array([[9, 0]], dtype=uint8)
    """

    use: ClassVar[str] = "image.albumentations"

    transforms: Sequence[Mapping[str, Mapping[str, object] | None]] = DEFAULT

    def __post_init__(self) -> None:
        super().__post_init__()
        check_names(self.transforms)

    def prepare(self) -> Callable[[Row, int], Row]:
        """Return the function that varies a row by its seed; threads do not share it."""
        return partial(vary_image, build_pipeline(self.transforms))

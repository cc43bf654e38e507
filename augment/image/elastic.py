"""Bend images by a smooth random field; id maps, boxes and keypoints bend with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.errors import DataError
from twinset.core.extras import optional
from twinset.core.parameters import Interval

from ._labels import objects_from_map
from ._motion import Moves, Points
from ._pixels import Pixels, compact, from_working, map_channels, to_working
from ._rows import Row, SeededImages

Field = npt.NDArray[np.float32]

_MAX_SLOPE = 0.7  # change of the field per pixel; below 1 nothing folds over
# Steps of the fixed-point search and its precision in pixels: errors fall by _MAX_SLOPE each step.
_MAX_STEPS, _PRECISION = 40, 1e-3


@dataclass(frozen=True, kw_only=True)
class Elastic(SeededImages):
    """Bend images by a smooth random field; id maps, boxes and keypoints bend with them exactly.

    A coarse grid of random shifts is enlarged to the size of the image, and scaled down until no part of
    the image folds over another. Objects need an id map: a box does not show what fills it.

    Parameters
    ----------
    shift : float
        Standard deviation of the shifts over the longer side of the image, above 0, at most 0.1.
    n_cells : int
        Cells of the grid along the longer side, 2 to 32; more cells give finer waves.

    References
    ----------
    Simard, Steinkraus, Platt, "Best practices for convolutional neural networks applied to visual
    document analysis", ICDAR 2003.

    Examples
    --------
    >>> from twinset.core.seeding import rng_for
    >>> import pyarrow as pa
    >>> from twinset.core.data.dataset import Dataset
    >>> from twinset.core.image.codec import decode_pixels, encode_png
    >>> png = encode_png(np.tile(np.arange(64, dtype=np.uint8) * 4, (64, 1)))
    >>> data = Dataset.from_arrow(pa.table({"image": [{"bytes": png, "path": None}]}))
    >>> bend = Elastic(shift=0.03)
    >>> out = bend.apply(data, bend.draw(data, rng_for(0, "doc")))
    >>> decode_pixels(out.records["image"][0]["bytes"].as_py()).shape
    (64, 64)
    """

    use: ClassVar[str] = "image.elastic"

    shift: Annotated[float, Interval(gt=0, le=0.1)] = 0.02
    n_cells: Annotated[int, Interval(ge=2, le=32)] = 6

    def _vary(self, row: Row, seed: int) -> Row:
        image, ids, objects = row
        if ids is None and objects:
            raise DataError(
                "a bent image needs id maps: a box alone cannot tell what fills it",
                todo="give id maps, or leave out image.elastic",
            )
        field = self._field(image.shape, np.random.default_rng(seed))
        bent = from_working(_bend(to_working(image, colours=False), field, smooth=True), image)
        if ids is None:
            return bent, None, objects
        bent_ids = _bend(ids, field, smooth=False)
        labels = None if objects is None else objects_from_map(bent_ids, objects, _Bend(field))
        return bent, bent_ids, labels

    def _field(self, shape: tuple[int, ...], rng: np.random.Generator) -> Field:
        """Return where each new pixel comes from, as shifts in pixels, shape (2, h, w)."""
        cv2 = optional("cv2")
        height, width = shape[:2]
        longer = max(height, width)
        # Three more nodes than cells: the cubic interpolation of the border has neighbours too.
        rows, columns = (
            max(4, round(self.n_cells * side / longer) + 3) for side in (height, width)
        )
        nodes = rng.standard_normal((2, rows, columns)).astype(np.float32)
        nodes *= np.float32(self.shift * longer)
        field = np.stack(
            [cv2.resize(n, (width, height), interpolation=cv2.INTER_CUBIC) for n in nodes]
        )
        # Every fourth pixel: the field is smooth.
        coarse = field[:, ::4, ::4]
        steepest = max(float(np.abs(np.diff(coarse, axis=k)).max(initial=0)) / 4 for k in (1, 2))
        if steepest > _MAX_SLOPE / 2:  # two shifts may add up
            field *= np.float32(_MAX_SLOPE / 2 / steepest)
        return field


@dataclass(frozen=True)
class _Bend(Moves):
    """Where points go: the new place p is the one whose shift leads back, p + field(p) = old."""

    field: Field

    def __call__(self, points: Points) -> Points:
        """Return where points went, shape (k, 2)."""
        moved = points.copy()
        for _ in range(_MAX_STEPS):  # a contraction, as the field is gentle
            before, moved = moved, points - self._shift_at(moved)
            if np.abs(moved - before).max(initial=0) < _PRECISION:
                break
        return moved

    def _shift_at(self, points: Points) -> Points:
        height, width = self.field.shape[1:]
        x = np.clip(points[:, 0] - 0.5, 0, width - 1)
        y = np.clip(points[:, 1] - 0.5, 0, height - 1)
        left = np.minimum(x.astype(int), max(width - 2, 0))
        top = np.minimum(y.astype(int), max(height - 2, 0))
        right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
        u, v = x - left, y - top
        corner = self.field[:, top, left] * (1 - u) + self.field[:, top, right] * u
        below = self.field[:, bottom, left] * (1 - u) + self.field[:, bottom, right] * u
        shifts: Points = (corner * (1 - v) + below * v).T.astype(float)
        return shifts


def _bend(pixels: Pixels, field: Field, *, smooth: bool) -> Pixels:
    cv2 = optional("cv2")
    height, width = pixels.shape[:2]
    x = field[0] + np.arange(width, dtype=np.float32)
    y = field[1] + np.arange(height, dtype=np.float32)[:, None]
    if not smooth:
        # Whole numbers already, because OpenCV's own rounding differs between its versions.
        small, names = compact(pixels)
        moved = cv2.remap(
            small, np.rint(x), np.rint(y), cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT
        )
        return moved if names.size == 0 else np.asarray(names[moved].astype(pixels.dtype))
    border = cv2.BORDER_CONSTANT
    return map_channels(pixels, lambda p: cv2.remap(p, x, y, cv2.INTER_LINEAR, borderMode=border))

"""Images mixed from parts of several: pixels, id maps and labels of each part."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Augmenter
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import KINDS
from twinset.core.errors import DataError
from twinset.core.extras import optional
from twinset.core.image.instance_maps import ObjectLabel

from .._seeded import with_parents
from ._labels import objects_from_map, objects_from_outlines
from ._motion import Shift
from ._pixels import Pixels, map_channels
from ._rows import AugmentColumns, Row

_MAX_ID = 65_535  # largest id that a 16-bit map holds


@dataclass(frozen=True)
class Canvas:
    """An image that is filled part by part; later parts replace earlier ones where they are put."""

    image: Pixels
    ids: Pixels | None  # Its id map; ids of all parts, counted through
    objects: list[ObjectLabel] | None  # Its labels

    @classmethod
    def like(cls, row: Row) -> Canvas:
        """Return an empty canvas of the size and columns of a row."""
        image, ids, objects = row
        return cls(
            np.zeros_like(image),
            None if ids is None else np.zeros(ids.shape, np.uint16),
            None if objects is None else [],
        )

    def put(
        self, row: Row, place: tuple[int, int, int, int], scale: float, at: tuple[int, int]
    ) -> None:
        """Fill the rectangle `place` (x0, y0, x1, y1) with the row's image.

        The image is scaled by `scale`; then its pixel `at` (x, y) comes to the rectangle's corner.
        """
        image, ids, objects = row
        x0, y0, x1, y1 = place
        (left, top), height, width = at, y1 - y0, x1 - x0
        window = slice(top, top + height), slice(left, left + width)
        rows, columns = scaled_size(image, scale)
        self.image[y0:y1, x0:x1] = resized(image, (rows, columns))[window]
        part = None if ids is None else _scaled_ids(ids, scale)[window]
        if objects is None or self.objects is None:
            if part is not None and self.ids is not None:
                self._put_ids(part, np.unique(part[part > 0]).tolist(), int(self.ids.max()), place)
            return
        factors = columns / image.shape[1], rows / image.shape[0]
        shift = Shift(factors, (-float(left), -float(top)))
        if part is None:
            labels = objects_from_outlines(objects, shift, (height, width))
        else:
            labels = objects_from_map(part, objects, shift)
        last = max((label["id"] for label in self.objects), default=0)
        self._put_ids(part, [label["id"] for label in labels], last, place)
        for k, label in enumerate(labels, start=1):
            self.objects.append(_shifted(label, last + k, x0, y0))

    def _put_ids(
        self, part: Pixels | None, ids: Sequence[int], last: int, place: tuple[int, int, int, int]
    ) -> None:
        """Fill a rectangle with a part's ids, numbered on from `last`; other ids become 0."""
        check_max_id(last + 1 + len(ids))
        if part is None or self.ids is None:
            return
        x0, y0, x1, y1 = place
        numbers = {i: last + k for k, i in enumerate(ids, start=1)}
        seen, where = np.unique(part, return_inverse=True)
        table = np.array([numbers.get(int(i), 0) for i in seen], np.uint16)
        self.ids[y0:y1, x0:x1] = table[where].reshape(part.shape)


def check_max_id(highest: int) -> None:
    """Raise an error for a number that a 16-bit map cannot hold."""
    if highest > _MAX_ID:
        raise DataError(
            "a mixed image holds more objects than an id map can number",
            got=f"number {highest}",
            allowed=f"up to {_MAX_ID}",
            todo="number the objects of each image from 1",
        )


class Mixing(Augmenter):
    """Base of augmenters that put each row together with others of its label."""

    kinds: ClassVar[frozenset[str]] = frozenset(KINDS)
    chunk_rows: ClassVar[int] = 64
    extra: ClassVar[str | None] = "image"
    n_partners: ClassVar[int] = 1

    @abstractmethod
    def _mix(self, own: Row, others: list[Row], rng: np.random.Generator) -> Row:
        """Return a row with parts of others."""

    def draw(self, dataset: Dataset, rng: np.random.Generator) -> Mapping[str, npt.NDArray[Any]]:
        """Return a seed and other rows per row: ``seed`` (n,), ``partners`` (n, n_partners).

        Where there is a target, only rows of one label are mixed, so that the label stays right.
        """
        n, target = len(dataset), dataset.schema.target
        seeds = rng.integers(0, 2**31 - 1, size=n, dtype=np.int64)
        shares = rng.random((n, self.n_partners))
        groups = np.zeros(n, np.int64)
        if target is not None and target.has_levels:
            groups = dataset.codes(target.name)[0].astype(np.int64)
        partners = np.zeros((n, self.n_partners), np.int64)
        for group in np.unique(groups):
            members = np.flatnonzero(groups == group)
            partners[members] = members[(shares[members] * len(members)).astype(np.int64)]
        return {"seed": seeds, "partners": partners}

    def apply(self, dataset: Dataset, params: Mapping[str, npt.NDArray[Any]]) -> Dataset:
        """Return the mixed rows, in order; the same parameters give the same bytes."""
        columns = AugmentColumns.from_schema(dataset.schema)
        cells = dataset.records.select(columns.names).to_pylist()
        rows = [columns.read(row) for row in cells]
        ids = (
            dataset.records.column("_id").to_pylist()
            if "_id" in dataset.records.column_names
            else []
        )
        parents: list[list[str]] = []
        for k, own in enumerate(rows):
            partners = params["partners"][k].tolist()
            others = [row for p in partners if (row := rows[p]) is not None]
            if own is not None and len(others) == len(partners):
                fitting = [row if _fits(row, own) else own for row in others]
                rng = np.random.default_rng(int(params["seed"][k]))
                cells[k] = columns.write(cells[k], self._mix(own, fitting, rng))
            parents.append([ids[p] for p in dict.fromkeys(partners) if p != k] if ids else [])
        return with_parents(columns.put(dataset, cells), params["seed"], parents)


def window_of(
    image: Pixels, width: int, height: int, min_scale: float, rng: np.random.Generator
) -> tuple[float, tuple[int, int]]:
    """Return a scale, at least `min_scale`, and a random corner (x, y) of a window in the scaled image."""
    rows, columns = image.shape[:2]
    scale = float(max(min_scale, (width + 1) / columns, (height + 1) / rows))
    rows, columns = scaled_size(image, scale)
    x = int(rng.integers(0, max(columns - width, 0) + 1))
    return scale, (x, int(rng.integers(0, max(rows - height, 0) + 1)))


def scaled_size(image: Pixels, scale: float) -> tuple[int, int]:
    """Return height and width of a scaled image."""
    return max(1, round(image.shape[0] * scale)), max(1, round(image.shape[1] * scale))


def resized(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Return pixels smoothly brought to a height and width."""
    cv2 = optional("cv2")
    height, width = size
    if pixels.shape[:2] == (height, width):
        return pixels
    method = cv2.INTER_AREA if height < pixels.shape[0] else cv2.INTER_LINEAR
    return map_channels(pixels, lambda p: cv2.resize(p, (width, height), interpolation=method))


def _scaled_ids(ids: Pixels, scale: float) -> Pixels:
    """Sample ids at pixel centres: by hand, so that all versions of OpenCV give the same."""
    height, width = scaled_size(ids, scale)
    rows = ((np.arange(height) + 0.5) * ids.shape[0] / height).astype(np.intp)
    columns = ((np.arange(width) + 0.5) * ids.shape[1] / width).astype(np.intp)
    return np.asarray(ids[rows[:, None], columns])


def _fits(row: Row, own: Row) -> bool:
    """Return whether two images can share one canvas: same depth and channels, same kinds of labels."""
    image, ids, objects = row
    return (
        image.dtype == own[0].dtype
        and image.shape[2:] == own[0].shape[2:]
        and (ids is None) == (own[1] is None)
        and (objects is None) == (own[2] is None)
    )


def _shifted(label: ObjectLabel, number: int, dx: int, dy: int) -> ObjectLabel:
    moved = label.copy()
    moved["id"] = number
    moved["box"] = _box(label["box"], dx, dy)
    amodal, polygons = label.get("amodal_box"), label.get("polygons")
    moved["amodal_box"] = _box(amodal, dx, dy) if amodal else None
    moved["polygons"] = (
        [(np.reshape(ring, (-1, 2)) + [dx, dy]).ravel().tolist() for ring in polygons]
        if polygons
        else None
    )
    moved["keypoints"] = [
        point | {"x": point["x"] + dx, "y": point["y"] + dy} if point["v"] else point
        for point in label["keypoints"]
    ]
    return moved


def _box(box: Sequence[float], dx: int, dy: int) -> list[float]:
    return [float(box[0] + dx), float(box[1] + dy), float(box[2] + dx), float(box[3] + dy)]

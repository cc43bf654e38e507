"""Pictures put together from parts of others: pixels, id maps and labels of each part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Augmenter
from twinset.core.data.dataset import Dataset
from twinset.core.errors import DataError, ParameterError
from twinset.core.image.instance_maps import ObjectLabel

from .._seeded import with_parents
from ._labels import objects_from_map, objects_from_outlines
from ._motion import Shift
from ._rows import AugmentColumns, Pixels, Row, put_columns, read_row, write_row

_MOST_IDS = 65_535


@dataclass(frozen=True)
class Canvas:
    """A picture that grows part by part; later parts lie over earlier ones only where they are put."""

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
        """Fill the rectangle `place` (x0, y0, x1, y1) with the row's picture.

        The picture is scaled by `scale`; then its pixel `at` (x, y) comes to the rectangle's corner.
        """
        image, ids, objects = row
        x0, y0, x1, y1 = place
        height, width = y1 - y0, x1 - x0
        left, top = at
        window = slice(top, top + height), slice(left, left + width)
        self.image[y0:y1, x0:x1] = resized(image, scaled_size(image, scale))[window]
        if objects is None or self.objects is None:
            if ids is not None and self.ids is not None:
                self._number_through(_scaled_ids(ids, scale)[window], place)
            return
        rows, columns = scaled_size(image, scale)
        factors = columns / image.shape[1], rows / image.shape[0]
        shift = Shift(factors, (-float(left), -float(top)))
        if ids is None or self.ids is None:
            labels = objects_from_outlines(objects, shift, (height, width))
        else:
            part = _scaled_ids(ids, scale)[window]
            labels = objects_from_map(part, objects, shift)
        first = max((label["id"] for label in self.objects), default=0) + 1
        numbers = {label["id"]: first + k for k, label in enumerate(labels)}
        check_most_ids(first + len(labels))
        if ids is not None and self.ids is not None:
            self.ids[y0:y1, x0:x1] = _renumbered(part, numbers)
        for label in labels:
            self.objects.append(_shifted(label, numbers[label["id"]], x0, y0))

    def _number_through(self, part: Pixels, place: tuple[int, int, int, int]) -> None:
        """Fill a rectangle with a part's ids, numbered on from those of the parts before."""
        assert self.ids is not None
        x0, y0, x1, y1 = place
        first = int(self.ids.max(initial=0)) + 1
        seen = [int(i) for i in np.unique(part) if i]
        check_most_ids(first + len(seen))
        self.ids[y0:y1, x0:x1] = _renumbered(part, {i: first + k for k, i in enumerate(seen)})


def check_most_ids(highest: int) -> None:
    """Refuse a number that the 16-bit map of a picture put together cannot hold."""
    if highest > _MOST_IDS:
        raise DataError(
            "a picture put together holds more objects than an id map can number",
            got=f"number {highest}",
            allowed=f"up to {_MOST_IDS}",
            todo="number the objects of each picture from 1",
        )


def mix_rows(
    dataset: Dataset,
    params: Mapping[str, npt.NDArray[Any]],
    mix: Any,
) -> Dataset:
    """Return the rows of a set, each mixed with its partners."""
    columns = AugmentColumns.of(dataset.schema)
    cells = dataset.records.select(columns.names).to_pylist()
    decoded: list[Row | None] = [read_row(row, columns) for row in cells]
    varied: dict[str, list[Any]] = {name: [] for name in columns.names}
    parents: list[list[str]] = []
    named = "_id" in dataset.records.column_names
    ids = dataset.records.column("_id").to_pylist() if named else []
    for k, own in enumerate(decoded):
        partners = [int(p) for p in params["partners"][k]]
        others = [row for p in partners if (row := decoded[p]) is not None]
        made = cells[k]
        if own is not None and len(others) == len(partners):
            fitting = [row if _fits(row, own) else own for row in others]
            rng = np.random.default_rng(int(params["seed"][k]))
            made = write_row(cells[k], mix(own, fitting, rng), columns)
        for name in columns.names:
            varied[name].append(made[name])
        parents.append([ids[p] for p in dict.fromkeys(partners) if p != k] if named else [])
    return with_parents(put_columns(dataset, varied), params["seed"], parents)


class Mixing(Augmenter):
    """An augmenter that puts each row together with others of its label; a subclass says how."""

    chunk_rows: ClassVar[int] = 64
    extra: ClassVar[str | None] = "image"
    n_partners: ClassVar[int] = 1

    def draw(self, dataset: Dataset, rng: np.random.Generator) -> Mapping[str, npt.NDArray[Any]]:
        """Return a seed and partners per row: ``seed`` (n,), ``partners`` (n, n_partners)."""
        return draw_partners(dataset, self.n_partners, rng)

    def apply(self, dataset: Dataset, params: Mapping[str, npt.NDArray[Any]]) -> Dataset:
        """Return the mixed rows, in order; the same parameters give the same bytes."""
        return mix_rows(dataset, params, self._mix)

    def _mix(self, own: Row, others: list[Row], rng: np.random.Generator) -> Row:
        raise NotImplementedError


def check_range(name: str, given: tuple[float, float], least: float, most: float) -> None:
    """Raise ParameterError unless least <= low <= high <= most."""
    low, high = given
    if not least <= low <= high <= most:
        raise ParameterError(
            f"'{name}' is out of its range",
            got=f"{low} to {high}",
            allowed=f"{least:g} to {most:g}, low end first",
        )


def draw_partners(
    dataset: Dataset, n_partners: int, rng: np.random.Generator
) -> Mapping[str, npt.NDArray[Any]]:
    """Return a seed and `n_partners` other rows for each row, of the same target label where there is one.

    Only rows of one label are mixed, so that the label stays right without being split in shares.
    """
    n = len(dataset)
    seeds = rng.integers(0, 2**31 - 1, size=n, dtype=np.int64)
    shares = rng.random((n, n_partners))
    target = dataset.schema.target
    groups = np.zeros(n, np.int64)
    if target is not None and target.kind in ("category", "boolean"):
        groups = dataset.codes(target.name)[0].astype(np.int64)
    partners = np.zeros((n, n_partners), np.int64)
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        partners[members] = members[(shares[members] * len(members)).astype(np.int64)]
    return {"seed": seeds, "partners": partners}


def covering_scale(image: Pixels, width: int, height: int, least: float) -> float:
    """Return the scale, at least `least`, at which an image covers a rectangle."""
    return float(max(least, (width + 1) / image.shape[1], (height + 1) / image.shape[0]))


def corner(
    image: Pixels, scale: float, width: int, height: int, rng: np.random.Generator
) -> tuple[int, int]:
    """Return a random corner of a window of that size in the scaled image, x and y."""
    room = scaled_size(image, scale)
    return (
        int(rng.integers(0, max(room[1] - width, 0) + 1)),
        int(rng.integers(0, max(room[0] - height, 0) + 1)),
    )


def scaled_size(image: Pixels, scale: float) -> tuple[int, int]:
    """Return height and width of a scaled image."""
    return max(1, round(image.shape[0] * scale)), max(1, round(image.shape[1] * scale))


def resized(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Return pixels smoothly brought to a height and width."""
    import cv2

    height, width = size
    if pixels.shape[:2] == (height, width):
        return pixels
    how = cv2.INTER_AREA if height < pixels.shape[0] else cv2.INTER_LINEAR
    planes = pixels.reshape(*pixels.shape[:2], -1)
    pieces = [
        cv2.resize(np.ascontiguousarray(planes[..., k : k + 4]), (width, height), interpolation=how)
        for k in range(0, planes.shape[2], 4)
    ]
    made = np.concatenate([p.reshape(height, width, -1) for p in pieces], axis=2)
    return made.reshape(height, width, *pixels.shape[2:])


def _scaled_ids(ids: Pixels, scale: float) -> Pixels:
    """Sample ids at pixel centres: by hand, so that all versions of OpenCV give the same."""
    height, width = scaled_size(ids, scale)
    rows = ((np.arange(height) + 0.5) * ids.shape[0] / height).astype(np.intp)
    columns = ((np.arange(width) + 0.5) * ids.shape[1] / width).astype(np.intp)
    return np.asarray(ids[rows[:, None], columns])


def _fits(row: Row, own: Row) -> bool:
    """Whether two pictures can share one canvas: same depth and channels, same kinds of labels."""
    image, ids, objects = row
    return (
        image.dtype == own[0].dtype
        and image.shape[2:] == own[0].shape[2:]
        and (ids is None) == (own[1] is None)
        and (objects is None) == (own[2] is None)
    )


def _renumbered(part: Pixels, numbers: Mapping[int, int]) -> Pixels:
    seen, where = np.unique(part, return_inverse=True)
    table = np.array([numbers.get(int(i), 0) for i in seen], np.uint16)
    return np.asarray(table[where].reshape(part.shape))


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

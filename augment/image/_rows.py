"""Vary the images of a table row by row: columns that go together, one seed a row, replay of one row."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import KINDS, Schema
from twinset.core.errors import DataError, SchemaError
from twinset.core.image.codec import decode_ids, decode_pixels, encode_lossless

from .._seeded import Seeded, with_parents
from ._labels import Objects

Pixels = npt.NDArray[Any]
Row = tuple[Pixels, Pixels | None, Objects | None]
"""Image, id map and labels of one row."""
Change = Callable[[Pixels, Pixels | None, Objects | None, int], Row]
"""Takes a row and its seed, and returns the varied row."""


@dataclass(frozen=True, kw_only=True)
class SeededImages(Seeded):
    """An augmenter of images that draws one seed a row and changes each row by that seed alone."""

    kinds: ClassVar[frozenset[str]] = frozenset(KINDS)
    chunk_rows: ClassVar[int] = 64
    extra: ClassVar[str | None] = "image"
    libraries: ClassVar[tuple[str, ...]] = (
        "numpy",
        "opencv-python-headless",
        "albumentations",
        "twinset",
    )

    @abstractmethod
    def change(self) -> Change:
        """Return what is done to a row: takes image, id map, labels, seed; returns the first three."""

    def apply(self, dataset: Dataset, params: Mapping[str, npt.NDArray[Any]]) -> Dataset:
        """Return the varied rows, in order; the same seeds give the same bytes."""
        columns = AugmentColumns.of(dataset.schema)
        change = self.change()
        varied: dict[str, list[Any]] = {name: [] for name in columns.names}
        for row, seed in zip(dataset.records.select(columns.names).to_pylist(), params["seed"]):
            for name, value in _vary(row, int(seed), change, columns).items():
                varied[name].append(value)
        return with_parents(put_columns(dataset, varied), params["seed"])


@dataclass(frozen=True)
class AugmentColumns:
    """Names of the columns that go together."""

    image: str
    mask: str | None
    boxes: str | None

    @property
    def names(self) -> list[str]:
        """Those that there are."""
        return [name for name in (self.image, self.mask, self.boxes) if name is not None]

    @classmethod
    def of(cls, schema: Schema) -> AugmentColumns:
        """Return the columns of a schema."""
        found = {
            kind: [f.name for f in schema.of_kind(kind)] for kind in ("image", "mask", "boxes")
        }
        if len(found["image"]) != 1:
            raise SchemaError(
                "varying images needs exactly one image column",
                got=", ".join(found["image"]) or "none",
            )
        for kind, noun in (("mask", "id map"), ("boxes", "column of objects")):
            if len(found[kind]) > 1:
                raise SchemaError(f"more than one {noun}", got=", ".join(found[kind]))
        return cls(found["image"][0], *(next(iter(found[k]), None) for k in ("mask", "boxes")))


def read_row(row: Mapping[str, Any], columns: AugmentColumns) -> Row | None:
    """Return the decoded cells of a row; None when it has no image."""
    data, map_data = _bytes_in(row, columns.image), _bytes_in(row, columns.mask)
    if data is None:
        return None
    objects: Objects | None = row[columns.boxes] if columns.boxes else None
    if map_data is None and objects and columns.mask is not None:
        raise DataError(
            "a row has objects but no id map, while the set has a column of id maps",
            todo="give every row its id map, or leave the column out",
        )
    image = decode_pixels(data)
    ids = decode_ids(map_data) if map_data is not None else None
    if ids is not None and ids.shape != image.shape[:2]:
        raise DataError(
            "an id map is of another size than its image",
            got=f"{ids.shape[1]} x {ids.shape[0]} for an image of {image.shape[1]} x {image.shape[0]}",
            todo="give every image a map of its own size",
        )
    return image, ids, objects


def compact(ids: Pixels) -> tuple[Pixels, Pixels]:
    """Return a map that OpenCV can move, and the ids that its numbers mean (empty: the same)."""
    if ids.dtype in (np.uint8, np.uint16):
        return ids, np.empty(0, ids.dtype)
    seen, small = np.unique(ids, return_inverse=True)
    if seen[0] != 0:  # what comes into the picture at its edges is ground, number 0
        seen, small = np.concatenate([[0], seen]), small + 1
    return small.reshape(ids.shape).astype(np.uint16), seen


def write_row(row: Mapping[str, Any], made: Row, columns: AugmentColumns) -> dict[str, Any]:
    """Return the cells of a row with the changed ones encoded."""
    image, ids, objects = made
    cells = dict(row)
    cells[columns.image] = {"bytes": encode_lossless(image), "path": None}
    if ids is not None and columns.mask is not None:
        cells[columns.mask] = {"bytes": encode_lossless(ids), "path": None}
    if columns.boxes is not None:
        cells[columns.boxes] = objects
    return cells


def put_columns(dataset: Dataset, varied: Mapping[str, list[Any]]) -> Dataset:
    """Return the set with these columns replaced."""
    records = dataset.records
    for name, values in varied.items():
        column = pa.array(values, dataset.schema[name].arrow_type)
        records = records.set_column(records.schema.get_field_index(name), name, column)
    return replace(dataset, records=records)


def _vary(
    row: Mapping[str, Any], seed: int, change: Change, columns: AugmentColumns
) -> Mapping[str, Any]:
    given = read_row(row, columns)
    return row if given is None else write_row(row, change(*given, seed), columns)


def _bytes_in(row: Mapping[str, Any], name: str | None) -> bytes | None:
    cell = row[name] if name is not None else None
    return cell["bytes"] if cell is not None else None

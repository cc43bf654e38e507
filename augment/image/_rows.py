"""Rows of images, id maps and labels: read, varied by one seed a row, and written back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy.typing as npt
import pyarrow as pa

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import KINDS, Schema
from twinset.core.errors import DataError, SchemaError
from twinset.core.image.codec import decode_ids, decode_pixels, encode_lossless

from .._seeded import Seeded, with_parents
from ._labels import Objects
from ._pixels import Pixels

Row = tuple[Pixels, Pixels | None, Objects | None]
"""Image, id map and labels of one row."""


@dataclass(frozen=True, kw_only=True)
class SeededImages(Seeded):
    """An augmenter of images that draws one seed a row and changes each row by that seed alone."""

    kinds: ClassVar[frozenset[str]] = frozenset(KINDS)
    chunk_rows: ClassVar[int] = 64
    extra: ClassVar[str | None] = "image"
    libraries: ClassVar[tuple[str, ...]] = (
        "numpy", "opencv-python-headless", "albumentations", "twinset",
    )  # fmt: skip

    def prepare(self) -> Callable[[Row, int], Row]:
        """Return the function that varies a row by its seed; threads do not share it."""
        return self._vary

    def _vary(self, row: Row, seed: int) -> Row:
        raise NotImplementedError

    def apply(self, dataset: Dataset, params: Mapping[str, npt.NDArray[Any]]) -> Dataset:
        """Return the varied rows, in order; the same seeds give the same bytes."""
        columns = AugmentColumns.from_schema(dataset.schema)
        cells = dataset.records.select(columns.names).to_pylist()
        vary = self.prepare()
        for k, (row, seed) in enumerate(zip(cells, params["seed"])):
            decoded = columns.read(row)
            if decoded is not None:
                cells[k] = columns.write(row, vary(decoded, int(seed)))
        return with_parents(columns.put(dataset, cells), params["seed"])


@dataclass(frozen=True)
class AugmentColumns:
    """Names of the columns of images, id maps and objects; reads and writes their cells."""

    image: str
    mask: str | None
    boxes: str | None

    @property
    def names(self) -> list[str]:
        """Those that there are."""
        return [name for name in (self.image, self.mask, self.boxes) if name is not None]

    @classmethod
    def from_schema(cls, schema: Schema) -> AugmentColumns:
        """Return the columns of a schema."""
        found = {k: [f.name for f in schema.of_kind(k)] for k in ("image", "mask", "boxes")}
        if len(found["image"]) != 1:
            raise SchemaError(
                "varying images needs exactly one image column",
                got=", ".join(found["image"]) or "none",
            )
        for kind, noun in (("mask", "id map"), ("boxes", "column of objects")):
            if len(found[kind]) > 1:
                raise SchemaError(f"more than one {noun}", got=", ".join(found[kind]))
        return cls(found["image"][0], *(next(iter(found[k]), None) for k in ("mask", "boxes")))

    def read(self, row: Mapping[str, Any]) -> Row | None:
        """Return the decoded cells of a row; None when it has no image."""
        data, map_data = (
            row[name] and row[name]["bytes"] if name else None for name in (self.image, self.mask)
        )
        if data is None:
            return None
        objects: Objects | None = row[self.boxes] if self.boxes else None
        if map_data is None and objects and self.mask is not None:
            raise DataError(
                "a row has objects but no id map, while the set has a column of id maps",
                todo="give every row its id map, or leave the column out",
            )
        image = decode_pixels(data)
        ids = decode_ids(map_data) if map_data is not None else None
        if ids is not None and ids.shape != image.shape[:2]:
            height, width = image.shape[:2]
            raise DataError(
                "an id map is of another size than its image",
                got=f"{ids.shape[1]} x {ids.shape[0]} for an image of {width} x {height}",
                todo="give every image a map of its own size",
            )
        return image, ids, objects

    def write(self, cells: Mapping[str, Any], row: Row) -> dict[str, Any]:
        """Return the cells of a row with the changed ones encoded."""
        image, ids, objects = row
        changed = {**cells, self.image: {"bytes": encode_lossless(image), "path": None}}
        if ids is not None and self.mask is not None:
            changed[self.mask] = {"bytes": encode_lossless(ids), "path": None}
        if self.boxes is not None:
            changed[self.boxes] = objects
        return changed

    def put(self, dataset: Dataset, cells: Sequence[Mapping[str, Any]]) -> Dataset:
        """Return the set with these cells in the columns."""
        records = dataset.records
        for name in self.names:
            column = pa.array([row[name] for row in cells], dataset.schema[name].arrow_type)
            records = records.set_column(records.schema.get_field_index(name), name, column)
        return replace(dataset, records=records)

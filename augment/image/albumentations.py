"""Vary images by one albumentations pipeline; boxes are derived anew from the id map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.contracts import Augmenter
from twinset.core.dataset import Dataset
from twinset.core.errors import DataError, SchemaError
from twinset.core.pixels import decode_ids, decode_pixels, encode_lossless
from twinset.core.schema import KINDS, Schema

from ._labels import Objects
from ._running import vary_image
from ._transforms import DEFAULT, Pipeline, build_pipeline, check_names


@dataclass(frozen=True, kw_only=True)
class Albumentations(Augmenter):
    """Vary images by flips, affine moves, light, blur and noise; masks and boxes follow.

    Where a row has an id map, boxes, areas and the truncated flag are derived from the transformed
    map and so are exact; objects that vanish are dropped. Boxes without a map are moved as boxes, which
    turns loose when the pipeline rotates. Other columns keep the values of the parent row. Images come
    out as PNG. Every row has its own seed, so it does not matter in which order or on how many workers
    rows are made.

    Parameters
    ----------
    transforms : sequence of mapping
        Transforms in order, each ``{name: settings}`` in the words of albumentations 2.0.8, e.g.
        ``[{HorizontalFlip: {p: 0.5}}, {RandomFog: {p: 0.1}}]``. Only transforms that keep labels
        true are allowed.

    Raises
    ------
    UnknownNameError
        A transform is not on the safe list.
    ParameterError
        A setting does not fit its transform.

    References
    ----------
    Buslaev et al., "Albumentations: fast and flexible image augmentations", Information 11(2), 2020.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.seeding import rng_for
    >>> png = encode_lossless(np.array([[0, 9]], np.uint8))
    >>> data = Dataset.from_arrow(pa.table({"image": [{"bytes": png, "path": None}]}))
    >>> flip = Albumentations(transforms=[{"HorizontalFlip": {"p": 1.0}}])
    >>> out = flip.apply(data, flip.draw(data, rng_for(0, "doc")))
    >>> decode_pixels(out.records["image"][0]["bytes"].as_py())
    array([[9, 0]], dtype=uint8)
    """

    kinds: ClassVar[frozenset[str]] = frozenset(KINDS)
    chunk_rows: ClassVar[int] = 64
    extra: ClassVar[str | None] = "image"

    transforms: Sequence[Mapping[str, Mapping[str, object] | None]] = DEFAULT

    def __post_init__(self) -> None:
        check_names(self.transforms)

    def draw(self, dataset: Dataset, rng: np.random.Generator) -> Mapping[str, npt.NDArray[Any]]:
        """Return one seed per row, ``{"seed": (n,) int64}``."""
        return {"seed": rng.integers(0, 2**31 - 1, size=len(dataset), dtype=np.int64)}

    def apply(self, dataset: Dataset, params: Mapping[str, npt.NDArray[Any]]) -> Dataset:
        """Return the varied rows, in order; the same seeds give the same bytes.

        Raises
        ------
        SchemaError
            There is not exactly one image column, or more than one id map or boxes column.
        DataError
            An image cannot be decoded, is not 8-bit grey or RGB, or its objects hold keypoints.
        """
        columns = _Columns.of(dataset.schema)
        pipeline = build_pipeline(self.transforms)
        varied: dict[str, list[Any]] = {name: [] for name in columns.names}
        for row, seed in zip(dataset.records.select(columns.names).to_pylist(), params["seed"]):
            for name, value in _vary(row, int(seed), pipeline, columns).items():
                varied[name].append(value)
        records = dataset.records
        for name, values in varied.items():
            place = records.schema.get_field_index(name)
            column = pa.array(values, dataset.schema[name].arrow_type)
            records = records.set_column(place, name, column)
        return _with_parents(replace(dataset, records=records), params["seed"])


@dataclass(frozen=True)
class _Columns:
    """Names of the columns that a pipeline changes."""

    image: str
    mask: str | None
    boxes: str | None

    @property
    def names(self) -> list[str]:
        return [name for name in (self.image, self.mask, self.boxes) if name is not None]

    @classmethod
    def of(cls, schema: Schema) -> _Columns:
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


def _vary(
    row: Mapping[str, Any], seed: int, pipeline: Pipeline, columns: _Columns
) -> Mapping[str, Any]:
    """Return the changed cells of one row; a row without an image stays as it is."""
    data, map_data = _bytes_in(row, columns.image), _bytes_in(row, columns.mask)
    if data is None:
        return row
    objects: Objects | None = row[columns.boxes] if columns.boxes else None
    if map_data is None and objects and columns.mask is not None:
        raise DataError(
            "a row has objects but no id map, while the set has a column of id maps",
            todo="give every row its id map, or leave the column out",
        )
    image = decode_pixels(data)
    ids = decode_ids(map_data) if map_data is not None else None
    image, ids, objects = vary_image(pipeline, image, ids, objects, seed)
    cells = dict(row)
    cells[columns.image] = _blob(image)
    if ids is not None and columns.mask is not None:
        cells[columns.mask] = _blob(ids)
    if columns.boxes is not None:
        cells[columns.boxes] = objects
    return cells


def _blob(pixels: npt.NDArray[Any]) -> dict[str, Any]:
    return {"bytes": encode_lossless(pixels), "path": None}


def _bytes_in(row: Mapping[str, Any], name: str | None) -> bytes | None:
    cell = row[name] if name is not None else None
    return cell["bytes"] if cell is not None else None


def _with_parents(dataset: Dataset, seeds: npt.NDArray[Any]) -> Dataset:
    if "_id" not in dataset.records.column_names:
        return dataset
    parents = dataset.records.column("_id").to_pylist()
    ids = [f"{parent}~{int(seed):08x}" for parent, seed in zip(parents, seeds)]
    return dataset.with_card(origin="augmented").with_reserved(
        ids=ids, parents=[[p] for p in parents]
    )

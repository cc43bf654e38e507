"""Shared by all generators of labelled images: choices, labels, rows and the set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.contracts import Generator
from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.schema import BLOB, Field, Schema, Taxonomy
from twinset.core.data.where import Where
from twinset.core.errors import ParameterError, UnknownNameError, did_you_mean
from twinset.core.image.codec import encode_png
from twinset.core.image.instance_maps import ObjectLabel, objects_from_ids
from twinset.core.parameters import read_weights

from .._conditions import outcomes_that_meet

Ids = npt.NDArray[np.uint16]
Rows = npt.NDArray[Any]
Box = tuple[float, float, float, float]
Rgb = tuple[float, float, float]
Slices = tuple[slice, slice]
# Weight of a value that a condition names and the settings give no weight: it comes, if rarely.
_MIN_WEIGHT = 1e-9


def pick(weights: Mapping[Any, float], rng: np.random.Generator) -> Any:
    """Return a value, drawn by weight."""
    values = list(weights)
    edges = np.cumsum(list(weights.values()))
    return values[int(np.searchsorted(edges, rng.uniform(0, edges[-1]), side="right"))]


def read_factors(
    given: Mapping[str, Sequence[str] | Mapping[str, float]],
    levels: Mapping[str, Sequence[str]],
    defaults: Mapping[str, Mapping[str, float]],
) -> dict[str, dict[str, float]]:
    """Return condition -> {level: weight}; by default as in `defaults`, else all levels equally."""
    for name in given:
        if name not in levels:
            raise UnknownNameError.for_name("condition", name, levels, "factors")
    return {
        name: read_weights(
            given.get(name, defaults.get(name, known)), known, f"factors.{name}", "level"
        )
        for name, known in levels.items()
    }


@dataclass(frozen=True)
class Choices:
    """Every column that is chosen, with its values and their weights; the columns are independent."""

    weights: Mapping[str, Mapping[Any, float]]

    def under(self, where: Where | None, schema: Schema, name: str) -> Self:
        """Return the choices that meet a condition."""
        kept = dict(self.weights)
        for column, condition in (where.conditions if where is not None else {}).items():
            if column not in kept:
                raise ParameterError(
                    f"'{name}' cannot make rows under a condition on '{column}'",
                    allowed="conditions on " + ", ".join(kept),
                )
            own = kept[column]
            meets = outcomes_that_meet(
                Where({column: condition}), {column: list(own)}, schema, name
            )
            kept[column] = {v: own[v] or _MIN_WEIGHT for v, fits in zip(own, meets) if fits}
        return replace(self, weights=kept)


@dataclass(frozen=True)
class Outcomes:
    """What an image can be: column -> its value in each of k outcomes, and their weights, shape (k,)."""

    columns: Mapping[str, Sequence[Any]]
    weights: npt.NDArray[np.float64]

    def under(self, where: Where | None, schema: Schema, name: str) -> npt.NDArray[np.float64]:
        """Return the weights, 0 where an outcome does not meet a condition."""
        meets = outcomes_that_meet(where, self.columns, schema, name)
        weights = np.where(meets, self.weights, 0.0)
        if not weights.sum():
            raise ParameterError(
                f"'{name}' draws no image that meets the condition",
                got=str(where),
                todo="give what it asks for a share above 0",
            )
        return weights

    def row(self, outcome: int) -> dict[str, Any]:
        """Return column -> value of an outcome."""
        return {name: values[outcome] for name, values in self.columns.items()}


def find_asset(assets: Mapping[str, Dataset], name: str, place: str, file: str) -> Dataset:
    """Return an asset that a setting names; `file` is what the recipe may name for it."""
    if name not in assets:
        raise ParameterError(
            f"{place} names an asset that the recipe does not have",
            got=name,
            allowed=", ".join(assets) or "none: the recipe names no assets",
            todo=did_you_mean(name, assets) or f"add assets: {{{name}: {file}}} to the recipe",
        )
    return assets[name]


def height_and_width(size: int | tuple[int, int]) -> tuple[int, int]:
    """Return height and width of images whose setting `size` is one side or both."""
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def overlap(
    size: tuple[int, int], left: int, top: int, shape: Sequence[int]
) -> tuple[Slices, Slices]:
    """Return the (rows, columns) that an array shares with an image, in the image's and own pixels."""
    h, w = size
    y0, y1 = max(top, 0), max(min(top + h, shape[0]), max(top, 0))
    x0, x1 = max(left, 0), max(min(left + w, shape[1]), max(left, 0))
    own = slice(y0 - top, y1 - top), slice(x0 - left, x1 - left)
    return (slice(y0, y1), slice(x0, x1)), own


@dataclass(frozen=True)
class WholeObject:
    """Extent of an object before others hide it and the edge of the image cuts it."""

    category: str
    area: int  # Its number of pixels
    box: Box  # x0, y0, x1, y1 of these pixels; it may leave the image


def box_of_mask(mask: npt.NDArray[np.bool_], left: int, top: int) -> Box:
    """Return x0, y0, x1, y1 of the pixels in a mask whose first pixel lies at (left, top)."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (
        float(left + columns[0]),
        float(top + rows[0]),
        float(left + columns[-1] + 1),
        float(top + rows[-1] + 1),
    )


def label_objects(ids: Ids, wholes: Mapping[int, WholeObject]) -> list[ObjectLabel]:
    """Return the labels of the objects that an id map shows: id -> its whole extent."""
    height, width = ids.shape
    cut = {
        i
        for i, whole in wholes.items()
        if min(whole.box[:2]) < 0 or whole.box[2] > width or whole.box[3] > height
    }
    return objects_from_ids(
        ids,
        {i: whole.category for i, whole in wholes.items()},
        full_areas={i: whole.area for i, whole in wholes.items()},
        truncated=cut,
        amodal_boxes={i: whole.box for i, whole in wholes.items()},
    )


def category_field(name: str, levels: Iterable[str]) -> Field:
    """Return the field of a condition that every image has."""
    return Field(name=name, kind="category", nullable=False, levels=tuple(sorted(levels)))


def label_schema(taxonomy: Taxonomy, *others: Field) -> Schema:
    """Return the schema of image, id map and objects, followed by other fields."""
    return Schema(
        (
            Field(name="image", kind="image", nullable=False, description="8-bit RGB, PNG"),
            Field(name="instances", kind="mask", nullable=False, description="16-bit id map, PNG"),
            Field(name="objects", kind="boxes", nullable=False, taxonomy=taxonomy),
            *others,
        )
    )


def label_cells(
    image: npt.NDArray[np.uint8], ids: Ids, objects: Sequence[ObjectLabel]
) -> dict[str, Any]:
    """Return the cells of image, id map and objects of one row."""
    return {
        "image": {"bytes": encode_png(image), "path": None},
        "instances": {"bytes": encode_png(ids), "path": None},
        "objects": list(objects),
    }


def build_dataset(
    rows: Sequence[Mapping[str, Any]], schema: Schema, name: str, settings: Generator
) -> Dataset:
    """Return rows, column -> cell, as the set of the generator `name` with its card."""
    arrays = {
        f.name: pa.array(
            [row[f.name] for row in rows], BLOB if f.column_kind.holds_files else f.stored_type
        )
        for f in schema.fields
    }
    used = asdict(settings)  # type: ignore[call-overload]
    card = Card(name=name, origin="synthetic", component=name, settings=used)
    return Dataset.from_arrow(pa.table(arrays), schema, card)

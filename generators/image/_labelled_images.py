"""Write labelled images: from an id map to the labels, the row and the set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.contracts import Generator
from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.schema import BLOB, Field, Schema, Taxonomy
from twinset.core.image.codec import encode_png
from twinset.core.image.instance_maps import ObjectLabel, objects_from_ids

Ids = npt.NDArray[np.uint16]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class WholeObject:
    """Extent of an object before others hide it and the edge of the image cuts it.

    Parameters
    ----------
    category : str
        Its class.
    area : int
        Its number of pixels.
    box : tuple of float
        x0, y0, x1, y1 of these pixels; it may leave the image.
    """

    category: str
    area: int
    box: Box


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


def label_fields(taxonomy: Taxonomy) -> tuple[Field, ...]:
    """Return the fields of image, id map and objects."""
    return (
        Field(name="image", kind="image", nullable=False, description="8-bit RGB, PNG"),
        Field(name="instances", kind="mask", nullable=False, description="16-bit id map, PNG"),
        Field(name="objects", kind="boxes", nullable=False, taxonomy=taxonomy),
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

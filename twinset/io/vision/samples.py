"""Annotated images between a folder's format and a table: one sample a picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.schema import BLOB, OBJECT, RESERVED, Field, Label, Schema, Taxonomy
from twinset.core.errors import DataError, TwinsetError
from twinset.core.image.codec import encode_lossless
from twinset.core.image.instance_maps import ObjectLabel
from twinset.core.image.polygons import fill_window
from twinset.io.files import inside
from twinset.io.image_header import ImageHeader, check_image_header, read_image_header
from twinset.io.vision.faults import Faults

Ids = npt.NDArray[Any]

_SLACK = 0.01  # pixels by which rounding may take a box out of its image


@dataclass
class Sample:
    """One picture: its file, the labels of its objects, and the id map, as a file, where there is one."""

    path: str
    data: bytes
    objects: list[ObjectLabel] = field(default_factory=list)
    map_data: bytes | None = None
    extras: dict[str, Any] = field(default_factory=dict)


Samples = Generator[Sample, None, list[Label]]
"""Yields the pictures of a set one at a time, and returns its labels in the end."""


def encoded(ids: Ids | None) -> bytes | None:
    """Return an id map as a file: maps of large pictures are large."""
    return None if ids is None else encode_lossless(ids)


def read_image(folder: Path, relative: str, faults: Faults) -> tuple[bytes, ImageHeader] | None:
    """Return an image file and its facts; note a fault and return None when it cannot be used."""
    try:
        file = inside(folder, relative)
        data = file.read_bytes() if file.is_file() else None
        if data is None:
            faults.add(relative, "there is no such image file")
            return None
        return data, checked_facts(data)
    except TwinsetError as error:
        faults.add(relative, str(error))
        return None


def checked_facts(data: bytes) -> ImageHeader:
    """Return the facts of an image file that is whole and upright.

    Raises
    ------
    DataError
        The file is empty, breaks off, is no image, or is to be shown turned.
    """
    facts = check_image_header(data)
    if facts.orientation != 1:
        raise DataError(
            f"the picture is stored turned (EXIF orientation {facts.orientation}), and labels may "
            "speak of either form",
            todo="write it upright first",
        )
    return facts


def box_fault(box: Sequence[float], facts: ImageHeader) -> str:
    """Return what is wrong with a box [x0, y0, x1, y1); empty when it can be used."""
    x0, y0, x1, y1 = box
    said = f"[{x0:g}, {y0:g}, {x1:g}, {y1:g})"
    if not all(np.isfinite(edge) for edge in box):
        return f"the box {said} is no box of numbers"
    if x1 <= x0 or y1 <= y0:
        return f"the box {said} holds nothing: its right or lower edge is not beyond the other one"
    if x0 < -_SLACK or y0 < -_SLACK or x1 > facts.width + _SLACK or y1 > facts.height + _SLACK:
        return f"the box {said} leaves its image of {facts.width} x {facts.height}"
    return ""


def new_object(
    number: int, category: str, box: Sequence[float], area: float | None = None
) -> ObjectLabel:
    """Return a label as a source without an id map knows it: nothing about what is hidden."""
    x0, y0, x1, y1 = (float(edge) for edge in box)
    return ObjectLabel(
        id=number,
        category=category,
        box=[x0, y0, x1, y1],
        area=(x1 - x0) * (y1 - y0) if area is None else float(area),
        visible_fraction=None,
        truncated=False,
        keypoints=[],
    )


def checked_object(made: ObjectLabel) -> ObjectLabel:
    """Return a label that a column of objects can hold.

    Raises
    ------
    DataError
        One of its values is of another kind than such a column holds.
    """
    try:
        pa.array([made], OBJECT)
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise DataError("a value of the object is of another kind", got=str(error)) from error
    return made


def settle_extras(samples: Sequence[Sample], faults: Faults) -> None:
    """Take out the extra values that their column cannot hold, each with a fault.

    A column holds values of one kind; numbers with and without a fraction are of one.
    """
    for key in dict.fromkeys(key for sample in samples for key in sample.extras):
        own = [s for s in samples if s.extras.get(key) is not None]
        if _is_column([s.extras[key] for s in own]):
            continue
        kinds = Counter(_kind(s.extras[key]) for s in own)
        usual = kinds.most_common(1)[0][0]
        for sample in own:
            value = sample.extras[key]
            if _kind(value) != usual or not _is_column([value]):
                faults.add(
                    sample.path,
                    f"its '{key}' is {value!r:.40}, and a column of {usual} values cannot hold it",
                )
                sample.extras[key] = None


def _kind(value: Any) -> str:
    return "float" if type(value) is int else type(value).__name__


def _is_column(values: list[Any]) -> bool:
    try:
        pa.array(values)
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        return False
    return True


def paint_outlines(objects: Sequence[ObjectLabel], shape: tuple[int, int]) -> Ids | None:
    """Return the id map of objects that all have outlines, None otherwise; a later one lies on top."""
    if not objects or not all(item.get("polygons") for item in objects):
        return None
    ids = np.zeros(shape, np.uint16)
    for item in objects:
        for ring in item.get("polygons") or ():  # parts that overlap are united
            window, inside = fill_window([np.reshape(ring, (-1, 2))], shape)
            ids[window][inside] = item["id"]
    return ids


def to_dataset(
    samples: Sequence[Sample], labels: Sequence[Label], name: str, notes: tuple[str, ...]
) -> Dataset:
    """Return the table of samples: image, instances where any picture has a map, objects, extras.

    Raises
    ------
    DataError
        There is no sample.
    """
    if not samples:
        raise DataError(f"'{name}' holds no image that can be used", got="; ".join(notes[:3]))
    columns: dict[str, pa.Array] = {}
    columns["image"] = pa.array([{"bytes": s.data, "path": s.path} for s in samples], BLOB)
    fields = [Field(name="image", kind="image", nullable=False)]
    if any(s.map_data is not None for s in samples):
        maps = [_map_blob(sample) for sample in samples]
        columns["instances"] = pa.array(maps, BLOB)
        fields.append(Field(name="instances", kind="mask"))
    columns["objects"] = pa.array([s.objects for s in samples], pa.list_(OBJECT))
    fields.append(Field(name="objects", kind="boxes", taxonomy=Taxonomy(tuple(labels))))
    extras = {key: None for s in samples for key in s.extras if key not in columns}
    table = pa.table({key: pa.array([s.extras.get(key) for s in samples]) for key in extras})
    own = [key for key in extras if key not in RESERVED]
    if own:
        rest = Dataset.from_arrow(table.select(own))
        fields += rest.schema.fields
        columns |= {key: rest.records.column(key) for key in own}
    columns |= {key: table.column(key) for key in extras if key in RESERVED}
    card = Card(name=name, origin="real", notes=notes)
    return Dataset.from_arrow(pa.table(columns), Schema(tuple(fields)), card)


def whole_row(sample: Sample, schema: Schema) -> pa.Table:
    """Return one sample as a row of the columns that `to_dataset` gave its set."""
    columns: dict[str, pa.Array] = {}
    for one in schema.fields:
        if one.kind == "image":
            columns[one.name] = pa.array([{"bytes": sample.data, "path": sample.path}], BLOB)
        elif one.kind == "mask":
            columns[one.name] = pa.array([_map_blob(sample)], BLOB)
        elif one.kind == "boxes":
            columns[one.name] = pa.array([sample.objects], pa.list_(OBJECT))
        else:
            columns[one.name] = pa.array([sample.extras.get(one.name)])
    return pa.table(columns)


def _map_blob(sample: Sample) -> dict[str, bytes] | None:
    if sample.map_data is not None:
        return {"bytes": sample.map_data}
    if sample.objects:
        return None
    facts = read_image_header(sample.data)
    empty = np.zeros((facts.height, facts.width), np.uint16)  # nothing in it: all is ground
    return {"bytes": encode_lossless(empty)}


def rows_of(chunk: Dataset) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of a chunk as mappings, one at a time: images are large."""
    for start in range(len(chunk)):
        yield chunk.records.slice(start, 1).to_pylist()[0]

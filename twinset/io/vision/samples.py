"""Annotated images between the files of a format and a table: one sample for each image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.schema import BLOB, OBJECT, RESERVED, Field, Label, Schema, Taxonomy
from twinset.core.errors import DataError, SchemaError, TwinsetError
from twinset.core.image.codec import encode_lossless
from twinset.core.image.instance_maps import ObjectLabel
from twinset.core.image.polygons import fill_window
from twinset.io.faults import Faults, OnFault
from twinset.io.files import inside
from twinset.io.image_header import ImageHeader, check_image_header, read_image_header

Ids = npt.NDArray[Any]

IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
MAX_IDS = 65_535  # objects of one image: their numbers fit the 16 bits of an id map

_SLACK = 0.01  # pixels by which rounding may take a box out of its image


@dataclass(frozen=True)
class ImageColumns:
    """Names of the columns of annotated images: image, id map and objects; "" if there is none."""

    image: str
    mask: str = ""
    boxes: str = ""

    @classmethod
    def from_schema(cls, schema: Schema) -> ImageColumns:
        """Return the columns of a set.

        Raises
        ------
        SchemaError
            There is not exactly one column of images, or more than one of id maps or objects.
        """
        found = {k: [f.name for f in schema.of_kind(k)] for k in ("image", "mask", "boxes")}
        if len(found["image"]) != 1 or len(found["mask"]) > 1 or len(found["boxes"]) > 1:
            raise SchemaError(
                "annotated images need one column of images, and at most one each of id maps and objects",
                got=", ".join(name for names in found.values() for name in names) or "none of them",
                todo="write parquet or jsonl instead",
            )
        return cls(*(next(iter(names), "") for names in found.values()))


@dataclass
class Sample:
    """One image: its file, the labels of its objects, the file of its id map if any, other values."""

    path: str
    data: bytes
    objects: list[ObjectLabel] = field(default_factory=list)
    map_data: bytes | None = None
    extras: dict[str, Any] = field(default_factory=dict)


Samples = Generator[Sample, None, list[Label]]
"""Yields the images of a set one at a time, and returns its labels at the end."""

ReadSamples = Callable[[Path, Faults], Samples]


def encoded(ids: Ids | None) -> bytes | None:
    """Return an id map as a file: decoded maps of a whole set would not fit memory."""
    return None if ids is None else encode_lossless(ids)


def read_image(folder: Path, relative: str, faults: Faults) -> tuple[bytes, ImageHeader] | None:
    """Return an image file and its header; add a fault and return None if it cannot be used."""
    try:
        file = inside(folder, relative)
        data = file.read_bytes() if file.is_file() else None
        if data is None:
            faults.add(relative, "there is no such image file")
            return None
        return data, checked_header(data)
    except TwinsetError as error:
        faults.add(relative, str(error))
        return None


def checked_header(data: bytes) -> ImageHeader:
    """Return the header of an image file; raise DataError unless the file is whole and upright."""
    header = check_image_header(data)
    if header.orientation != 1:
        raise DataError(
            f"the image is stored turned (EXIF orientation {header.orientation}), and labels may "
            "belong to either form",
            todo="write it upright first",
        )
    return header


def box_fault(box: Sequence[float], header: ImageHeader) -> str:
    """Return what is wrong with a box [x0, y0, x1, y1); empty if it can be used."""
    x0, y0, x1, y1 = box
    shown = f"[{x0:g}, {y0:g}, {x1:g}, {y1:g})"
    if not all(np.isfinite(edge) for edge in box):
        return f"the box {shown} is no box of numbers"
    if x1 <= x0 or y1 <= y0:
        return f"the box {shown} holds nothing: its right or lower edge is not beyond the other one"
    if x0 < -_SLACK or y0 < -_SLACK or x1 > header.width + _SLACK or y1 > header.height + _SLACK:
        return f"the box {shown} leaves its image of {header.width} x {header.height}"
    return ""


def new_object(
    number: int, category: str, box: Sequence[float], area: float | None = None
) -> ObjectLabel:
    """Return the label of an object without an id map: nothing is known of its hidden part."""
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


def checked_object(label: ObjectLabel) -> ObjectLabel:
    """Return a label; raise DataError if a column of objects cannot hold one of its values."""
    try:
        pa.array([label], OBJECT)
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise DataError("a value of the object is of another kind", got=str(error)) from error
    return label


def _check_extras(samples: Sequence[Sample], faults: Faults) -> None:
    """Remove the extra values that their column cannot hold, each with a fault.

    A column holds values of one kind; numbers with and without a fraction are of one kind.
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


def paint_polygons(objects: Sequence[ObjectLabel], shape: tuple[int, int]) -> Ids | None:
    """Return the id map of objects that all have polygons, else None; a later object lies on top."""
    if not objects or not all(item.get("polygons") for item in objects):
        return None
    ids = np.zeros(shape, np.uint16)
    for item in objects:
        for ring in item.get("polygons") or ():  # parts that overlap are united
            window, inside = fill_window([np.reshape(ring, (-1, 2))], shape)
            ids[window][inside] = item["id"]
    return ids


def _to_dataset(
    samples: Sequence[Sample], labels: Sequence[Label], name: str, notes: tuple[str, ...]
) -> Dataset:
    """Return the table of samples: image, instances if any image has a map, objects, extras."""
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


def _to_row(sample: Sample, schema: Schema) -> pa.Table:
    """Return one sample as a row of the columns that `_to_dataset` gave its set."""
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
    header = read_image_header(sample.data)
    empty = np.zeros((header.height, header.width), np.uint16)  # no object: all is background
    return {"bytes": encode_lossless(empty)}


def read_samples(
    reader: ReadSamples,
    format: str,  # noqa: A002
    path: Path,
    name: str,
    on_fault: OnFault = "stop",
) -> Dataset:
    """Return an annotated set as a table: image, instances, objects and the other values of the format.

    Raises
    ------
    DataError
        Something cannot be used; the error lists all faults with file and line.
    """
    samples: list[Sample] = []
    labels, notes = _read_all(reader, format, path, name, on_fault, samples, keep_files=True)
    return _to_dataset(samples, labels, name, notes)


def stream_samples(
    reader: ReadSamples,
    format: str,  # noqa: A002
    path: Path,
    name: str,
    on_fault: OnFault = "stop",
) -> Iterator[Dataset]:
    """Yield the rows of `read_samples` one at a time: memory holds all labels, and one image.

    Every file is read twice, first to find all faults and the columns.

    Raises
    ------
    DataError
        Something cannot be used; the error lists all faults with file and line, before the first row.
    """
    samples: list[Sample] = []
    labels, notes = _read_all(reader, format, path, name, on_fault, samples, keep_files=False)
    if any(sample.map_data is not None for sample in samples):
        for sample in samples:
            sample.map_data = b""
    whole = _to_dataset(samples, labels, name, notes)
    for sample, first in zip(reader(path, Faults("skip")), samples):
        row = _to_row(replace(sample, extras=first.extras), whole.schema)
        yield Dataset.from_arrow(row, whole.schema, whole.card)


def _read_all(
    reader: ReadSamples,
    format: str,  # noqa: A002
    path: Path,
    name: str,
    on_fault: OnFault,
    samples: list[Sample],
    *,
    keep_files: bool,
) -> tuple[list[Label], tuple[str, ...]]:
    """Append all samples to `samples`; return the labels of the set and the notes of faults."""
    faults = Faults(on_fault)
    found = reader(path, faults)
    while True:
        try:
            sample = next(found)
        except StopIteration as end:
            labels = list(end.value)
            break
        if not keep_files:
            sample = replace(sample, data=b"", map_data=sample.map_data and b"")
        samples.append(sample)
    _check_extras(samples, faults)
    return labels, faults.resolve(f"the {format} set '{name}'")

"""Annotated images between the files of a format and a table: samples, reading, and the base writer."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from os.path import isfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.schema import BLOB, OBJECT, RESERVED, Field, Label, Schema, Taxonomy
from twinset.core.errors import DataError, SchemaError
from twinset.core.image.codec import decode_ids, encode_lossless, read_image_header
from twinset.core.image.header import ImageHeader
from twinset.core.image.instance_maps import MAX_OBJECTS, ObjectLabel, check_box
from twinset.core.image.polygons import paint_rings
from twinset.io.faults import Faults, OnFault
from twinset.io.files import image_ending, inside, read_whole
from twinset.io.formats import Format
from twinset.io.image_header import check_image, check_image_header
from twinset.io.writer import Target, Writer

Ids = npt.NDArray[Any]

IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")


@dataclass(frozen=True)
class ImageColumns:
    """Names of the columns of annotated images: image, id map and objects; "" if there is none."""

    image: str
    mask: str = ""
    boxes: str = ""

    @classmethod
    def from_schema(cls, schema: Schema) -> ImageColumns:
        """Return the columns of a set."""
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
    header: ImageHeader
    objects: list[ObjectLabel] = field(default_factory=list)
    map_data: bytes | None = None
    extras: dict[str, Any] = field(default_factory=dict)
    keeps_boxes: bool = False  # Whether boxes that leave the image or hold nothing are kept

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return self.header.height, self.header.width

    def keep_map(self, ids: Ids | None) -> None:
        """Keep an id map as a file: decoded maps of a whole set would not fit memory."""
        self.map_data = None if ids is None else encode_lossless(ids)

    def read_map(self, data: bytes) -> Ids:
        """Return the id map in a file; raise DataError if it is of another size than the image."""
        check_image_header(data)
        ids = decode_ids(data)
        if ids.shape != self.shape:
            size = f"{ids.shape[1]} x {ids.shape[0]}, its image {self.shape[1]} x {self.shape[0]}"
            raise DataError(f"its id map is {size}")
        return ids

    def new_object(
        self, number: int, category: str, box: Sequence[float], area: float | None = None
    ) -> ObjectLabel:
        """Return the label of an object without an id map: nothing is known of its hidden part."""
        x0, y0, x1, y1 = (float(edge) for edge in box)
        if not (self.keeps_boxes and all(map(isfinite, box))):
            check_box(box, self.shape)
        if not category.strip():
            raise DataError("an object has no class name")
        return ObjectLabel(
            id=number,
            category=category,
            box=[x0, y0, x1, y1],
            area=(x1 - x0) * (y1 - y0) if area is None else float(area),
            visible_fraction=None,
            truncated=False,
            keypoints=[],
        )


Samples = Generator[Sample, None, list[Label]]
"""Yields the images of a set one at a time, and returns its labels at the end."""


def read_image(folder: Path, relative: str, faults: Faults) -> Sample | None:
    """Return an image file; add a fault and return None if it cannot be used."""
    with faults.caught(relative):
        file = inside(folder, relative)
        if not isfile(file):  # also of a name that is too long
            raise DataError("there is no such image file")
        data = read_whole(file)
        keeps_boxes = faults.on_fault == "keep"
        return Sample(relative, data, check_image(data), keeps_boxes=keeps_boxes)
    return None


def check_object(label: ObjectLabel) -> None:
    """Raise DataError if a column of objects cannot hold one of the values of a label."""
    if _is_usual(label):
        return
    try:
        pa.array([label], OBJECT)
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise DataError("a value of the object is of another kind", got=str(error)) from error


def _is_usual(label: ObjectLabel) -> bool:
    """Return whether a label is one of the usual ones, of which the column need not be tried."""
    numbers = [label["box"], *(label.get("polygons") or ())]
    unusual = (label.get("amodal_box"), label.get("flags"), label["visible_fraction"])
    return (
        not label["keypoints"]
        and unusual == (None, None, None)
        and type(label["id"]) is int
        and 0 <= label["id"] <= MAX_OBJECTS
        and type(label["category"]) is str
        and type(label["truncated"]) is bool
        and type(label["area"]) is float
        and all(type(number) is float for part in numbers for number in part)
    )


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
    rings = [(ring, item["id"]) for item in objects for ring in item.get("polygons") or ()]
    corners = [np.reshape(np.asarray(ring, float), (-1, 2)) for ring, _ in rings]
    paint_rings(ids, corners, [number for _, number in rings])
    return ids


def read_samples(entry: Format, path: Path, name: str, on_fault: OnFault = "stop") -> Dataset:
    """Return an annotated set as a table: image, instances, objects and the other values of the format."""
    return _to_dataset(*_read_all(entry, path, name, on_fault, keep_files=True))


def stream_samples(
    entry: Format, path: Path, name: str, on_fault: OnFault = "stop"
) -> Iterator[Dataset]:
    """Yield the rows of `read_samples` one at a time: memory holds all labels, and one image.

    Every file is read twice, first to find all faults and the columns.
    """
    samples, labels, card = _read_all(entry, path, name, on_fault, keep_files=False)
    if any(sample.map_data is not None for sample in samples):
        for sample in samples:
            sample.map_data = b""
    schema = _to_dataset(samples, labels, card).schema
    for sample, first in zip(entry.code("read")(path, Faults("skip")), samples):
        row = _columns([replace(sample, extras=first.extras)], schema.names)
        yield Dataset.from_arrow(row, schema, card)


def _read_all(
    entry: Format, path: Path, name: str, on_fault: OnFault, *, keep_files: bool
) -> tuple[list[Sample], list[Label], Card]:
    """Return all samples, the labels of the set and its card with the notes of faults."""
    faults, samples = Faults(on_fault), list[Sample]()
    found: Samples = entry.code("read")(path, faults)
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
    notes = faults.resolve(f"the {entry.name} set '{name}'")
    if not samples:
        raise DataError(f"'{name}' holds no image that can be used", got="; ".join(notes[:3]))
    return samples, labels, Card(name=name, origin="real", notes=notes)


def _to_dataset(samples: Sequence[Sample], labels: Sequence[Label], card: Card) -> Dataset:
    """Return the table of samples: image, instances if any image has a map, objects, extras."""
    fields = [Field(name="image", kind="image", nullable=False)]
    if any(sample.map_data is not None for sample in samples):
        fields.append(Field(name="instances", kind="mask"))
    fields.append(Field(name="objects", kind="boxes", taxonomy=Taxonomy(tuple(labels))))
    names = [one.name for one in fields]
    names += dict.fromkeys(key for s in samples for key in s.extras if key not in names)
    table = _columns(samples, names)
    own = [name for name in names[len(fields) :] if name not in RESERVED]
    if own:
        fields += Dataset.from_arrow(table.select(own)).schema.fields
    return Dataset.from_arrow(table, Schema(tuple(fields)), card)


def _columns(samples: Sequence[Sample], names: Iterable[str]) -> pa.Table:
    """Return these columns of samples."""
    columns: dict[str, pa.Array] = {}
    for name in names:
        if name == "image":
            columns[name] = pa.array([{"bytes": s.data, "path": s.path} for s in samples], BLOB)
        elif name == "instances":
            columns[name] = pa.array([_map_blob(s) for s in samples], BLOB)
        elif name == "objects":
            columns[name] = pa.array([s.objects for s in samples], pa.list_(OBJECT))
        else:
            columns[name] = pa.array([s.extras.get(name) for s in samples])
    return pa.table(columns)


def _map_blob(sample: Sample) -> dict[str, bytes] | None:
    if sample.map_data is not None:
        return {"bytes": sample.map_data}
    # Without an object all is background.
    return None if sample.objects else {"bytes": encode_lossless(np.zeros(sample.shape, np.uint16))}


class ImageRow:
    """One row to be written; its files are decoded on demand."""

    def __init__(self, number: int, row: dict[str, Any], columns: ImageColumns) -> None:
        self.number = number
        self.data: bytes = row[columns.image]["bytes"]
        self.stem = f"{number:07d}"
        self.name = f"{self.stem}{image_ending(self.data)}"
        blob = row.get(columns.mask)
        self.map_data: bytes | None = blob["bytes"] if blob else None
        self.objects: list[ObjectLabel] = list(row.get(columns.boxes) or ())
        used = (columns.image, columns.mask, columns.boxes)
        self.extras = {k: v for k, v in row.items() if k not in used}

    @property
    def header(self) -> ImageHeader:
        """Size of the image."""
        return read_image_header(self.data)

    @property
    def map_ending(self) -> str:
        """Ending of the file of the id map."""
        return ".png" if (self.map_data or b"").startswith(b"\x89PNG") else ".tif"

    def ids(self) -> Ids | None:
        """Return the id map, if there is one."""
        return None if self.map_data is None else decode_ids(self.map_data)


class ClassIndex:
    """The classes of a set in order: those of its taxonomy, then any others by first appearance."""

    def __init__(self) -> None:
        self.labels: list[Label] = []

    def add_taxonomy(self, schema: Schema, boxes: str) -> None:
        """Add the taxonomy of a schema, once."""
        taxonomy = schema[boxes].taxonomy if boxes else None
        if not self.labels and taxonomy is not None:
            self.labels = list(taxonomy.labels)

    def label(self, name: str) -> Label:
        """Return the label of a name; one that is not in the taxonomy is added."""
        found = next((x for x in self.labels if x.name == name), None)
        if found is None:
            found = Label(name)
            self.labels.append(found)
        return found

    def position(self, name: str) -> int:
        """Return the position of a class, from 0."""
        return self.labels.index(self.label(name))

    @property
    def are_numbered(self) -> bool:
        """Whether every class has a number of its own."""
        numbers = [x.number for x in self.labels]
        return None not in numbers and len(set(numbers)) == len(numbers)


class LayoutWriter(Writer):
    """Writes a set of annotated images; a format defines `put` for each image and `finish`."""

    is_folder = True

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self.classes = ClassIndex()
        self.n_written = 0

    def write(self, chunk: Dataset) -> None:
        """Append the rows of `chunk`."""
        columns = ImageColumns.from_schema(chunk.schema)
        self.classes.add_taxonomy(chunk.schema, columns.boxes)
        for start in range(len(chunk)):  # one row at a time: images are large
            row = chunk.records.slice(start, 1).to_pylist()[0]
            if row[columns.image] is None or row[columns.image]["bytes"] is None:
                raise DataError(f"row {self.n_written} has no image", todo="leave the row out")
            self.put(ImageRow(self.n_written, row, columns))
            self.n_written += 1

    @abstractmethod
    def put(self, image: ImageRow) -> None:
        """Write one image."""

    def save(self, relative: str, data: bytes) -> None:
        """Write a file of the set."""
        place = self.draft / relative
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)


def short_number(value: float) -> float | int:
    """Return a number of pixels rounded to four digits; whole ones as integers.

    Examples
    --------
    >>> short_number(3.0), short_number(3.14159265), short_number(-0.00001)
    (3, 3.1416, 0)
    """
    rounded = round(float(value), 4)
    return int(rounded) if rounded == int(rounded) else rounded

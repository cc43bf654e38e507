"""Base class of the writers of annotated images: classes, rows, files and numbers of a set."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Label, Schema
from twinset.core.errors import DataError
from twinset.core.image.codec import decode_ids
from twinset.core.image.instance_maps import ObjectLabel
from twinset.io.files import image_ending
from twinset.io.image_header import ImageHeader, read_image_header
from twinset.io.vision.samples import Ids, ImageColumns
from twinset.io.writer import Writer


class ImageRow:
    """One row to be written; its files are decoded on demand."""

    def __init__(self, number: int, row: dict[str, Any], columns: ImageColumns) -> None:
        self.number = number
        self.data: bytes = row[columns.image]["bytes"]
        self.stem = f"{number:07d}"
        self.ending = image_ending(self.data)
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

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.classes = ClassIndex()
        self.n_written = 0

    def write(self, chunk: Dataset) -> None:
        """Append the rows of `chunk`.

        Raises
        ------
        SchemaError
            There is not exactly one column of images, or more than one of id maps or objects.
        DataError
            A row has no image.
        """
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

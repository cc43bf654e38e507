"""Base class of the writers of annotated images: classes, rows and files of a set."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Label, Schema
from twinset.core.errors import DataError, SchemaError
from twinset.core.image.codec import decode_ids
from twinset.core.image.instance_maps import ObjectLabel
from twinset.io.image_header import ImageHeader, read_image_header
from twinset.io.images import ending_of
from twinset.io.vision.samples import Ids, rows_of


class ImageRow:
    """One row to be written, its files decoded when they are asked for."""

    def __init__(self, number: int, row: dict[str, Any], image: str, mask: str, boxes: str) -> None:
        self.number = number
        self.data: bytes = row[image]["bytes"]
        self.stem = f"{number:07d}"
        self.ending = _ending(self.data)
        blob = row.get(mask)
        self.map_data: bytes | None = blob["bytes"] if blob else None
        self.objects: list[ObjectLabel] = list(row.get(boxes) or ())
        self.extras = {k: v for k, v in row.items() if k not in (image, mask, boxes)}

    @property
    def facts(self) -> ImageHeader:
        """Size of the picture."""
        return read_image_header(self.data)

    def ids(self) -> Ids | None:
        """Return the id map, where there is one."""
        return None if self.map_data is None else decode_ids(self.map_data)


def _ending(data: bytes) -> str:
    if data.startswith(b"BM"):
        return ".bmp"
    return ".webp" if data[:4] + data[8:12] == b"RIFFWEBP" else ending_of(data)


class ClassIndex:
    """The classes of a set in order: those of its taxonomy, then any others as they come."""

    def __init__(self) -> None:
        self.labels: list[Label] = []

    def learn(self, schema: Schema, boxes: str) -> None:
        """Take the taxonomy of a schema, once."""
        taxonomy = schema[boxes].taxonomy if boxes else None
        if not self.labels and taxonomy is not None:
            self.labels = list(taxonomy.labels)

    def label(self, name: str) -> Label:
        """Return the label of a name; one that nobody declared is added."""
        found = next((x for x in self.labels if x.name == name), None)
        if found is None:
            found = Label(name)
            self.labels.append(found)
        return found

    def position(self, name: str) -> int:
        """Return which class this is, from 0."""
        return self.labels.index(self.label(name))

    @property
    def are_numbered(self) -> bool:
        """Whether every class has a number of its own."""
        numbers = [x.number for x in self.labels]
        return None not in numbers and len(set(numbers)) == len(numbers)


class LayoutWriter(ABC):
    """Takes the chunks of one set; a format says what becomes of a picture and what comes last."""

    losses = None

    def __init__(self, folder: Path) -> None:
        self.folder = folder
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
        image, mask, boxes = _columns(chunk.schema)
        self.classes.learn(chunk.schema, boxes)
        for row in rows_of(chunk):
            if row[image] is None or row[image]["bytes"] is None:
                raise DataError(f"row {self.n_written} has no image", todo="leave the row out")
            self.put(ImageRow(self.n_written, dict(row), image, mask, boxes))
            self.n_written += 1

    @abstractmethod
    def put(self, picture: ImageRow) -> None:
        """Write one picture."""

    @abstractmethod
    def close(self) -> None:
        """Write what stands for the whole set."""

    def save(self, relative: str, data: bytes) -> None:
        """Write a file of the set."""
        place = self.folder / relative
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)


def _columns(schema: Schema) -> tuple[str, str, str]:
    found = {k: [f.name for f in schema.of_kind(k)] for k in ("image", "mask", "boxes")}
    if len(found["image"]) != 1 or len(found["mask"]) > 1 or len(found["boxes"]) > 1:
        raise SchemaError(
            "a format of annotated images holds one column of images, of id maps and of objects",
            got=", ".join(name for names in found.values() for name in names) or "none of them",
            todo="write parquet or jsonl instead",
        )
    mask, boxes = (next(iter(found[kind]), "") for kind in ("mask", "boxes"))
    return found["image"][0], mask, boxes

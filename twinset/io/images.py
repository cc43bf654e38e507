"""Read a folder of images as a table, and the image files beside a text table."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.schema import BLOB, Schema
from twinset.core.errors import DataError
from twinset.core.image.codec import encode_lossless
from twinset.core.image.tiff import MAGIC as TIFF_MAGIC
from twinset.core.image.tiff import plane_names, read_planes
from twinset.io.dicom import image_of_dicom, is_dicom
from twinset.io.files import inside, read_whole
from twinset.io.image_header import check_image
from twinset.io.text_tables import read_csv

_MAGIC = {
    ".png": (b"\x89PNG\r\n\x1a\n",),
    ".jpg": (b"\xff\xd8\xff",),
    ".jpeg": (b"\xff\xd8\xff",),
    ".tif": TIFF_MAGIC,
    ".tiff": TIFF_MAGIC,
}
_TIFF = (".tif", ".tiff")
_DICOM = (".dcm", ".dicom")
IMAGE_ENDINGS = (*_MAGIC, *_DICOM)
_OTHER_IMAGES = frozenset(
    [
        ".apng",
        ".avif",
        ".bmp",
        ".cr2",
        ".dng",
        ".eps",
        ".exr",
        ".gif",
        ".heic",
        ".heif",
        ".ico",
        ".jfif",
        ".jp2",
        ".jxl",
        ".nef",
        ".pbm",
        ".pgm",
        ".pnm",
        ".ppm",
        ".psd",
        ".svg",
        ".tga",
        ".webp",
    ]
)
_MAX_NAMED = 5  # files in one error: enough to recognise a folder or a program that wrote them
_LABELS = "labels.csv"
_FILE_COLUMNS = ("file", "filename", "file_name", "path", "image")


class _ImageFile(NamedTuple):
    """One image of a folder: its file, and its name within a file of several images."""

    path: Path
    plane: str = ""

    @property
    def name(self) -> str:
        """Name of the image, e.g. "a/1.png" or "a/stack.tif#page=2"."""
        return self.path.as_posix() + (f"#{self.plane}" if self.plane else "")


def read_images(folder: Path, text_columns: Sequence[str] = ()) -> pa.Table:
    """Return the PNG, JPEG, TIFF and DICOM images of a folder as rows, in the order of their names.

    Sub-folders are labels: `cats/1.png` has the label "cats". A `labels.csv` beside the images adds its
    columns, joined by the file's relative path or name; its own column `label`, if any, replaces the labels
    of the sub-folders.

    Returns
    -------
    pyarrow.Table
        `image` struct<bytes, path> with the file's own encoding (of DICOM the pixels alone), then `label`
        and the columns of `labels.csv`. Each image of a TIFF file with several is a row of its own, with a
        path such as `stack.tif#page=2`, encoded without loss.
    """
    images, columns = _list_images(folder)
    blobs = list(_read_images(folder, images))
    return pa.table({"image": pa.chunked_array([pa.array(blobs, BLOB)]), **columns})


def stream_images(folder: Path, name: str) -> Iterator[Dataset]:
    """Yield the rows of `read_images` one at a time; each file is read when its row is requested."""
    images, columns = _list_images(folder)
    schema = None
    for k, blob in enumerate(_read_images(folder, images)):
        image = pa.table({"image": pa.chunked_array([pa.array([blob], BLOB)])})
        if schema is None:  # of the other columns the schema of all rows
            more = Dataset.from_arrow(pa.table(columns)).schema.fields if columns else ()
            schema = Schema((*Dataset.from_arrow(image).schema.fields, *more))
        for column, values in columns.items():
            image = image.append_column(column, values.slice(k, 1))
        yield Dataset.from_arrow(image, schema, Card(name=name, origin="real"))


def sniff_images(path: Path) -> Path:
    """Return any folder: what it lacks is reported when it is read."""
    return path


def holds_images(folder: Path) -> bool:
    """Return whether a folder has a PNG, JPEG, TIFF or DICOM file."""
    return any(_is_image(path, folder) for path in folder.rglob("*"))


def list_files(folder: Path) -> list[Path]:
    """Return the image files of a folder, relative to it and sorted; raise DataError without any."""
    paths = sorted(
        (p.relative_to(folder) for p in folder.rglob("*") if _is_image(p, folder)),
        key=lambda p: p.as_posix(),
    )
    if not paths:
        raise DataError(
            f"the folder '{folder}' holds no image",
            allowed="PNG, JPEG, TIFF and DICOM files, in sub-folders named by their label; for meshes "
            "STL, OBJ, PLY, OFF and GLB files",
            todo="give the folder that holds the files, or a data file",
        )
    return paths


def _list_images(folder: Path) -> tuple[list[_ImageFile], dict[str, pa.ChunkedArray]]:
    """Return the images of a folder, and the columns of labels."""
    paths = list_files(folder)
    _refuse_other_images(folder, len(paths))
    images = [image for path in paths for image in _images_in_file(folder, path)]
    columns: dict[str, pa.ChunkedArray] = {}
    more = _read_labels(folder, images) if (folder / _LABELS).is_file() else {}
    if "label" not in more and any(len(p.parts) > 1 for p in paths):
        labels = [one.path.parts[0] if len(one.path.parts) > 1 else None for one in images]
        columns["label"] = pa.chunked_array([pa.array(labels, pa.string()).dictionary_encode()])
    return images, {**columns, **more}


def _refuse_other_images(folder: Path, n_images: int) -> None:
    """Raise DataError for images in formats that are not read: rows would be lost without a word."""
    others = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.suffix.lower() in _OTHER_IMAGES and path.is_file()
    )
    if others:
        shown = ", ".join(f"'{name}'" for name in others[:_MAX_NAMED])
        raise DataError(
            f"{len(others):,} images beside the {n_images:,} in '{folder}' have a format that is not read",
            got=shown + (", ..." if len(others) > _MAX_NAMED else ""),
            allowed=", ".join(IMAGE_ENDINGS),
            todo="convert them to PNG, one file a frame, or move them away",
        )


def _is_image(path: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return path.suffix.lower() in IMAGE_ENDINGS and not hidden and path.is_file()


def _images_in_file(folder: Path, path: Path) -> list[_ImageFile]:
    if path.suffix.lower() not in _TIFF:
        return [_ImageFile(path)]
    with inside(folder, path.as_posix()).open("rb") as file:
        if file.read(4) not in TIFF_MAGIC:
            return [_ImageFile(path)]  # refused with its name when it is read
        file.seek(0)
        try:
            return [_ImageFile(path, plane) for plane in plane_names(file)]
        except DataError as error:
            raise _name_file(error, path.as_posix(), folder) from error


def _read_images(folder: Path, images: list[_ImageFile]) -> Iterator[dict[str, object]]:
    """Yield struct<bytes, path> of each image; a file of several images is read once.

    Faults are raised together, once all files were looked at.
    """
    faults: list[tuple[str, DataError]] = []
    n_files = 0
    for path, group in itertools.groupby(images, key=lambda image: image.path):
        name = path.as_posix()
        n_files += 1
        try:
            yield from _read_file_images(folder, path, list(group))
        except DataError as error:
            faults.append((name, error))
    if faults:
        name, first = faults[0]
        raise (
            _name_file(first, name, folder)
            if len(faults) == 1
            else _name_files(faults, n_files, folder)
        ) from first


def _read_file_images(
    folder: Path, path: Path, in_file: list[_ImageFile]
) -> Iterator[dict[str, object]]:
    """Yield struct<bytes, path> of the images in a file."""
    data = _read_file(folder, path)
    if not in_file[0].plane:
        check_image(data)
        yield {"bytes": data, "path": path.as_posix()}
        return
    for image, (_, pixels) in zip(in_file, read_planes(data), strict=True):
        if pixels is None:
            raise DataError(
                "a TIFF file of several images has a colour model that is not read",
                allowed="grey, RGB, a palette",
                todo="save its pages as RGB",
            )
        yield {"bytes": encode_lossless(pixels), "path": image.name}


def _read_file(folder: Path, path: Path) -> bytes:
    """Return the content of an image file; of DICOM the pixels alone."""
    data = read_whole(inside(folder, path.as_posix()))
    ending = path.suffix.lower()
    if ending in _DICOM and is_dicom(data):
        return image_of_dicom(data)
    if ending in _DICOM or not data.startswith(_MAGIC[ending]):
        raise DataError(
            f"it is no {ending[1:].upper()} image",
            got="an empty file" if not data else "another content",
        )
    return data


def _name_file(error: DataError, name: str, folder: Path) -> DataError:
    """Return the error with the name of the file that it concerns."""
    return DataError(
        f"the image file '{name}' cannot be used: {error.message}",
        got=error.got,
        allowed=error.allowed,
        todo=error.todo or f"replace or remove the file in '{folder}'",
    )


def _name_files(faults: list[tuple[str, DataError]], n_files: int, folder: Path) -> DataError:
    """Return one error for several image files."""
    return DataError(
        f"{len(faults):,} of {n_files:,} image files cannot be used",
        got=_list_faults([(f"'{name}'", error) for name, error in faults]),
        todo=f"replace or remove the files in '{folder}'",
    )


def _list_faults(faults: list[tuple[str, DataError]]) -> str:
    """Return the places of the first faults and what is wrong there."""
    shown = [f"{place} ({error.message})" for place, error in faults[:_MAX_NAMED]]
    return ", ".join(shown) + (", ..." if len(faults) > _MAX_NAMED else "")


def check_images(dataset: Dataset, names: Iterable[str]) -> None:
    """Raise DataError for images of these columns that cannot be decoded or would lose something."""
    for name in names:
        faults: list[tuple[str, DataError]] = []
        for row, cell in enumerate(dataset.records.column(name)):
            data = cell["bytes"].as_buffer() if cell.is_valid else None
            if data is None:
                continue
            try:
                check_image(data.to_pybytes())
            except DataError as error:
                faults.append((f"row {row}", error))
        if faults:
            raise DataError(
                f"{len(faults):,} of {len(dataset):,} images in the column '{name}' cannot be used",
                got=_list_faults(faults),
                todo="replace the images, or leave out their rows",
            ) from faults[0][1]


def _read_labels(folder: Path, images: list[_ImageFile]) -> dict[str, pa.ChunkedArray]:
    """Return the columns of `labels.csv`, a row for each image; a file's row goes to all its images."""
    place = folder / _LABELS
    table = read_csv(place, text_columns=_FILE_COLUMNS)
    key = next((n for n in table.column_names if n.lower() in _FILE_COLUMNS), table.column_names[0])
    names = [str(v) for v in pc.cast(table.column(key), pa.string()).to_pylist()]
    if len(set(names)) != len(names):
        raise DataError(f"'{place}' names a file twice in its column '{key}'")
    row_of = {name: row for row, name in enumerate(names)}
    rows = [
        next(
            (row_of[n] for n in (one.name, one.path.as_posix(), one.path.name) if n in row_of), None
        )
        for one in images
    ]
    n_unknown = len(names) - len({row for row in rows if row is not None})
    if n_unknown:
        raise DataError(
            f"'{place}' names {n_unknown} files that are not in the folder",
            todo=f"correct the column '{key}' or add the files",
        )
    taken = table.drop_columns([key]).take(pa.array(rows, pa.int64()))
    return {name: taken.column(name) for name in taken.column_names}


def load_side_files(column: pa.ChunkedArray, folder: Path, name: str) -> pa.ChunkedArray:
    """Return the images that a column of relative paths names, as struct<bytes, path>."""
    blobs: list[dict[str, object] | None] = []
    for row, relative in enumerate(column.to_pylist()):
        if relative is None:
            blobs.append(None)
            continue
        file = inside(folder, relative)
        if not file.is_file():
            raise DataError(f"the file that column '{name}' names in row {row} is missing")
        try:
            data = read_whole(file)
            check_image(data)
        except DataError as error:
            raise _name_file(error, relative, folder) from error
        blobs.append({"bytes": data, "path": relative})
    return pa.chunked_array([pa.array(blobs, BLOB)])

"""Images: a folder of files as a table, and the image files that stand beside a text table."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.schema import BLOB
from twinset.core.errors import DataError
from twinset.core.image.header import check_whole
from twinset.io.csv import read_csv
from twinset.io.dicom import image_of_dicom, is_dicom
from twinset.io.files import flush_file, flush_folder, inside

_MAGIC = {
    ".png": (b"\x89PNG\r\n\x1a\n",),
    ".jpg": (b"\xff\xd8\xff",),
    ".jpeg": (b"\xff\xd8\xff",),
    ".tif": (b"II*\0", b"MM\0*"),
    ".tiff": (b"II*\0", b"MM\0*"),
}
_DICOM = (".dcm", ".dicom")
IMAGE_ENDINGS = (*_MAGIC, *_DICOM)
_LABELS = "labels.csv"
_FILE_COLUMNS = ("file", "filename", "file_name", "path", "image")


def read_image_folder(folder: Path) -> pa.Table:
    """Return the PNG, JPEG, TIFF and DICOM files of a folder as rows, in the order of their names.

    Parameters
    ----------
    folder : Path
        Sub-folders are labels: `cats/1.png` has the label "cats". A `labels.csv` beside the images
        adds its columns, joined by the file's relative path or name; its own column `label`, if any,
        is taken instead of the sub-folders.

    Returns
    -------
    pyarrow.Table
        `image` struct<bytes, path> with the file's own encoding (of DICOM the pixels alone), then `label`
        and the columns of `labels.csv`.

    Raises
    ------
    DataError
        There is no image, a file is not what its ending says, or `labels.csv` does not fit.
    """
    paths, columns = _listed(folder)
    blobs = [{"bytes": _read_image(folder, p), "path": p.as_posix()} for p in paths]
    return pa.table({"image": pa.chunked_array([pa.array(blobs, BLOB)]), **columns})


def stream_image_folder(folder: Path) -> Iterator[pa.Table]:
    """Yield the rows of `read_image_folder` one at a time, each file read when its row is asked for.

    Raises
    ------
    DataError
        As `read_image_folder`; of a file, when its row is asked for.
    """
    paths, columns = _listed(folder)
    for k, path in enumerate(paths):
        blob = {"bytes": _read_image(folder, path), "path": path.as_posix()}
        rest = {name: column.slice(k, 1) for name, column in columns.items()}
        yield pa.table({"image": pa.chunked_array([pa.array([blob], BLOB)]), **rest})


def beside_images(folder: Path) -> pa.Table:
    """Return the columns that `read_image_folder` has beside the images; no file of them is read."""
    return pa.table(_listed(folder)[1])


def _listed(folder: Path) -> tuple[list[Path], dict[str, pa.ChunkedArray]]:
    """Return the images of a folder, and the columns beside them."""
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
    columns: dict[str, pa.ChunkedArray] = {}
    more = _read_labels(folder, paths) if (folder / _LABELS).is_file() else {}
    if "label" not in more and any(len(p.parts) > 1 for p in paths):
        labels = [p.parts[0] if len(p.parts) > 1 else None for p in paths]
        columns["label"] = pa.chunked_array([pa.array(labels, pa.string()).dictionary_encode()])
    return paths, {**columns, **more}


def holds_images(folder: Path) -> bool:
    """Return whether a folder holds a PNG, JPEG, TIFF or DICOM file."""
    return any(_is_image(path, folder) for path in folder.rglob("*"))


def _is_image(path: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return path.suffix.lower() in IMAGE_ENDINGS and not hidden and path.is_file()


def _read_image(folder: Path, relative: Path) -> bytes:
    data = inside(folder, relative.as_posix()).read_bytes()
    name = relative.as_posix()
    is_medical = relative.suffix.lower() in _DICOM
    if is_medical and is_dicom(data):
        return _from_dicom(data, name)
    if is_medical or not data.startswith(_MAGIC[relative.suffix.lower()]):
        raise DataError(
            f"the file '{name}' is no {relative.suffix[1:].upper()} image",
            got="an empty file" if not data else "another content",
            todo=f"replace or remove the file in '{folder}'",
        )
    _check_whole(data, name, folder)
    return data


def _from_dicom(data: bytes, name: str) -> bytes:
    try:
        return image_of_dicom(data)
    except DataError as error:
        what = f"{error.what.replace('a DICOM file', f'the DICOM file {name!r}')}"
        raise DataError(what, got=error.got, allowed=error.allowed, todo=error.todo) from error


def _check_whole(data: bytes, name: str, folder: Path) -> None:
    """Raise DataError with the file's name where it breaks off or is damaged."""
    try:
        check_whole(data)
    except DataError as error:
        raise DataError(
            f"the image file '{name}' {error.what.removeprefix('the image ')}",
            got=error.got,
            todo=f"replace or remove the file in '{folder}'",
        ) from error


def _read_labels(folder: Path, paths: list[Path]) -> dict[str, pa.ChunkedArray]:
    place = folder / _LABELS
    table = read_csv(place, text_columns=_FILE_COLUMNS)
    key = next((n for n in table.column_names if n.lower() in _FILE_COLUMNS), table.column_names[0])
    names = [str(v) for v in pc.cast(table.column(key), pa.string()).to_pylist()]
    if len(set(names)) != len(names):
        raise DataError(f"'{place}' names a file twice in its column '{key}'")
    row_of = {name: row for row, name in enumerate(names)}
    rows = [row_of.get(p.as_posix(), row_of.get(p.name)) for p in paths]
    lost = len(names) - len({row for row in rows if row is not None})
    if lost:
        raise DataError(
            f"'{place}' names {lost} files that are not in the folder",
            todo=f"correct the column '{key}' or add the files",
        )
    taken = table.drop_columns([key]).take(pa.array(rows, pa.int64()))
    return {name: taken.column(name) for name in taken.column_names}


def load_side_files(column: pa.ChunkedArray, folder: Path, name: str) -> pa.ChunkedArray:
    """Return the images that a column of relative paths names, as struct<bytes, path>.

    Raises
    ------
    DataError
        A path leads out of `folder`, or its file is missing.
    """
    blobs: list[dict[str, object] | None] = []
    for row, relative in enumerate(column.to_pylist()):
        if relative is None:
            blobs.append(None)
            continue
        file = inside(folder, relative)
        if not file.is_file():
            raise DataError(f"the file that column '{name}' names in row {row} is missing")
        data = file.read_bytes()
        _check_whole(data, relative, folder)
        blobs.append({"bytes": data, "path": relative})
    return pa.chunked_array([pa.array(blobs, BLOB)])


class SideFiles:
    """The folder `<stem>_files` beside a text table, filled chunk by chunk and shown at the end.

    Parameters
    ----------
    table_path : Path
        The table that will hold the paths.
    draft : Path
        Where the folder grows until `publish` moves it to its place.
    """

    def __init__(self, table_path: Path, draft: Path) -> None:
        self.folder = table_path.with_name(f"{table_path.name.partition('.')[0]}_files")
        self._draft = draft
        self._counts: dict[str, int] = {}

    def save(self, column: pa.ChunkedArray, name: str, position: int) -> pa.ChunkedArray:
        """Write the images of a column; return their paths relative to the table, shape (n,)."""
        shelf = name if _fits_a_folder(name) else f"column-{position}"
        (self._draft / shelf).mkdir(parents=True, exist_ok=True)
        paths: list[str | None] = []
        for blob in column.to_pylist():
            at = self._counts.get(name, 0)
            self._counts[name] = at + 1
            if blob is None or blob["bytes"] is None:
                paths.append(None)
                continue
            # Numbered by row: a source's own file name may tell who is in the picture.
            file = f"{shelf}/{at:07d}{ending_of(blob['bytes'])}"
            (self._draft / file).write_bytes(blob["bytes"])
            flush_file(self._draft / file)
            paths.append(f"{self.folder.name}/{file}")
        return pa.chunked_array([pa.array(paths, pa.string())])

    def publish(self) -> None:
        """Move the folder to its place, if anything was written; an earlier one is replaced."""
        if not self._draft.exists():
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        os.replace(self._draft, self.folder)
        flush_folder(self.folder.parent)


def _fits_a_folder(name: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9_-]{1,80}", name) is not None


def ending_of(data: bytes) -> str:
    """Return the ending of a file name that fits the bytes of an image."""
    if data.startswith(_MAGIC[".png"]):
        return ".png"
    if data.startswith(_MAGIC[".jpg"]):
        return ".jpg"
    if data.startswith(_MAGIC[".tif"]):
        return ".tif"
    return ".bin"

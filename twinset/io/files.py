"""Names and digests of files, and writing that leaves a whole file or none."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from twinset.core.errors import DataError, RecipeError
from twinset.core.image.tiff import MAGIC as TIFF_MAGIC
from twinset.core.limits import check_file_size
from twinset.core.untrusted import parse_json
from twinset.io.drafts import make_private, new_draft, put_folder
from twinset.io.paths import (
    cannot_read,
    cannot_write,
    check_output,
    check_path,
    check_source,
    real_path,
)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_IMAGE_ENDINGS = {
    b"\x89PNG": ".png",
    b"\xff\xd8\xff": ".jpg",
    b"BM": ".bmp",
    **dict.fromkeys(TIFF_MAGIC, ".tif"),
}


def check_name(name: str, noun: str = "data set") -> str:
    """Return `name` if it can be the name of a set and of its file.

    Examples
    --------
    >>> check_name("fraud-2024.train")
    'fraud-2024.train'
    """
    if not _NAME.fullmatch(name):
        raise RecipeError(
            f"the name of a {noun} cannot be used for a file",
            got=repr(name[:100]),
            allowed="letters, digits, '.', '_' and '-', beginning with a letter or digit",
        )
    return name


def inside(base: Path, relative: str) -> Path:
    """Return `base / relative`, links resolved, if that lies inside `base`."""
    check_path(relative)
    root = real_path(base)
    found = real_path(root / relative)
    if not found.is_relative_to(root):
        raise DataError(
            "a path leads out of its folder", got=repr(relative), allowed=f"paths inside '{base}'"
        )
    return found


def read_whole(file: Path, noun: str = "the image file") -> bytes:
    """Return the content of a file that fits memory; raise DataError for a larger one, unread."""
    check_file_size(file.stat().st_size, noun)
    return file.read_bytes()


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def replacing(path: Path, *, private: bool = False) -> Iterator[Path]:
    """Yield a new path in a draft folder; at the end of the block it replaces `path` in one step.

    The file is flushed to the disk before it is renamed, so `path` holds the old bytes or the new ones,
    also after a crash. If the block raises an error, nothing is left. Of a `private` file only the
    owner may read it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        check_output(path)
        with new_draft(path.parent) as folder:
            draft = folder / path.name
            yield draft
            flush_file(draft)
            if private:
                make_private(draft)
            os.replace(draft, path)
            flush_folder(path.parent)
    except OSError as error:
        raise cannot_write(path, error) from error


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder in a draft folder; at the end of the block it replaces `path`.

    If the block raises an error, nothing is left of it, and `path` is as it was.
    """
    try:
        with new_draft(path.parent) as folder:
            draft = folder / path.name
            draft.mkdir()
            yield draft
            put_folder(draft, path)
            flush_folder(path.parent)
    except OSError as error:
        raise cannot_write(path, error) from error


def read_json(file: Path) -> Any:
    """Return the values of a JSON file."""
    check_source(file)
    try:
        return parse_json(file.read_bytes())
    except OSError as error:
        raise cannot_read(file, error) from error
    except ValueError as error:
        raise DataError(f"'{file.name}' is no JSON", got=str(error)) from error


def write_text(path: Path, text: str, *, private: bool = False) -> None:
    """Write `text` as UTF-8 with Unix line ends on every system; `private`: for the owner alone."""
    with replacing(path, private=private) as draft:
        draft.write_bytes(text.encode())


def flush_file(path: Path) -> None:
    """Flush the bytes of a file to the disk."""
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())


def flush_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk (Windows does so by itself)."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def image_ending(data: bytes) -> str:
    """Return the ending of a file name that fits the bytes of an image, ".bin" if none does.

    Examples
    --------
    >>> image_ending(b"BM....")
    '.bmp'
    """
    if data[:4] + data[8:12] == b"RIFFWEBP":
        return ".webp"
    fits = (ending for magic, ending in _IMAGE_ENDINGS.items() if data.startswith(magic))
    return next(fits, ".bin")


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, or of all files of a folder, with their names."""
    check_source(path)
    # The ending decides how the bytes are read.
    sink = hashlib.sha256("".join(path.suffixes).lower().encode())
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for file in files:
        sink.update(str(file.relative_to(path)).encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                sink.update(block)
    return sink.hexdigest()

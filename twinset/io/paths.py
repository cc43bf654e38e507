"""Checks of paths before a file is read or written: their names, and what lies there."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from twinset.core.errors import DataError, RecipeError, did_you_mean

# Bytes: the limits of Linux, and of file systems elsewhere within a few bytes.
_LONGEST_NAME, _LONGEST_PATH = 255, 4095
_SPECIAL = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def path_fault(path: str | Path) -> str:
    """Return why no file can have this path, an empty text if one can.

    Examples
    --------
    >>> path_fault("a" * 300 + ".csv"), path_fault("people.csv")
    ('it has a name of 304 bytes; allowed: 255', '')
    """
    text = str(path)
    if not text.strip():
        return "it is empty"
    try:
        names = [len(os.fsencode(name)) for name in Path(text).parts]
        size = len(os.fsencode(text))
    except UnicodeEncodeError:
        return "it holds half a character"
    if "\0" in text:
        return "it holds a character with the code 0"
    if max(names, default=0) > _LONGEST_NAME:
        return f"it has a name of {max(names):,} bytes; allowed: {_LONGEST_NAME}"
    return f"it has {size:,} bytes; allowed: {_LONGEST_PATH:,}" if size > _LONGEST_PATH else ""


def check_path(path: str | Path) -> None:
    """Raise RecipeError if no file can have this path."""
    if fault := path_fault(path):
        raise RecipeError(f"the path '{path}' cannot be used: {fault}", todo="name another place")


def check_source(path: Path) -> None:
    """Raise DataError unless `path` is a file or a folder that can be read to its end.

    Of a folder, everything in it is looked at, hidden names aside: no row is lost because a folder
    may not be entered or a link leads nowhere.
    """
    check_path(path)
    try:
        _refuse_special(path)
        for below in _tree(path) if path.is_dir() else ():
            _refuse_special(below)
    except (FileNotFoundError, NotADirectoryError):
        near = os.listdir(path.parent) if path.parent.is_dir() else []
        raise DataError(f"there is no file '{path}'", todo=did_you_mean(path.name, near)) from None
    except OSError as error:
        raise cannot_read(path, error) from error


def check_output(path: Path) -> None:
    """Raise RecipeError when no file can be written to `path`; asked before the work begins."""
    check_path(path)
    try:
        is_free = not path.exists() and not path.is_symlink()
        mode = stat.S_IFREG if is_free else path.stat().st_mode
    except OSError as error:
        raise cannot_write(path, error) from error
    if stat.S_ISDIR(mode):
        raise RecipeError(f"'{path}' is a folder", todo="name a file in it")
    if not stat.S_ISREG(mode):
        raise RecipeError(f"'{path}' is {_kind_of(mode)}", todo="name a file")
    if not path.parent.is_dir():
        raise RecipeError(
            f"the folder '{path.parent}' does not exist", todo="make it, or name another place"
        )
    if not os.access(path.parent, os.W_OK):
        raise RecipeError(
            f"the folder '{path.parent}' may not be written to",
            todo="check its rights, or name another place",
        )


def real_path(path: Path) -> Path:
    """Return `path` with its links resolved as far as they lead somewhere."""
    return Path(os.path.realpath(path))


def cannot_read(path: Path, error: OSError) -> DataError:
    """Return the error that says why `path` could not be read."""
    place = error.filename if isinstance(error.filename, str) else path
    return DataError(
        f"cannot read '{place}'", got=_reason(error), todo="check the path and its rights"
    )


def cannot_write(path: Path, error: OSError) -> DataError:
    """Return the error that says why `path` could not be written."""
    return DataError(
        f"cannot write '{path}'",
        got=_reason(error),
        todo="check the path, its rights and the free space",
    )


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__


def _tree(folder: Path) -> Iterator[Path]:
    """Yield what is neither file nor folder below `folder`, links followed; hidden names aside."""
    folders = [folder]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))
                elif not entry.is_file():
                    yield Path(entry.path)


def _refuse_special(path: Path) -> None:
    """Raise DataError for a pipe, a socket, a device, or a link in a folder that leads nowhere."""
    if path.is_symlink() and not path.exists():
        raise DataError(f"'{path}' is a link that leads nowhere", todo="repair it, or remove it")
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise DataError(
            f"'{path}' is {_kind_of(mode)}",
            allowed="a regular file, or a folder of them",
            todo="write what it yields into a file first",
        )


def _kind_of(mode: int) -> str:
    return _SPECIAL.get(stat.S_IFMT(mode), "no regular file")

"""The one table of file formats: every module of this folder lists its own in `FORMATS`.

To add a format, add a module here. Recipes, deliveries, the command line and reading follow from it.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from pathlib import Path

from twinset.core.errors import UnknownNameError
from twinset.io.formats._format import Format, Writer

__all__ = ["Format", "Writer", "all_formats", "file_name", "find_format", "writable_formats"]


@cache
def all_formats() -> dict[str, Format]:
    """Return name -> format, of every module in this folder."""
    modules = sorted(one.name for one in pkgutil.iter_modules(__path__))
    found = [
        entry
        for name in modules
        if not name.startswith("_")
        for entry in importlib.import_module(f"{__name__}.{name}").FORMATS
    ]
    return {entry.name: entry for entry in found}


def writable_formats(holds: str = "") -> dict[str, Format]:
    """Return name -> format of those that can be delivered, all or those of one kind of set.

    Examples
    --------
    >>> list(writable_formats("image"))
    ['coco', 'yolo', 'voc', 'masks', 'webdataset']
    """
    formats = all_formats().items()
    return {k: f for k, f in formats if f.can_write and holds in ("", f.holds)}


def writable_format(name: str, place: str = "") -> Format:
    """Return the format of that name.

    Raises
    ------
    UnknownNameError
        No format that can be delivered has this name.
    """
    known = writable_formats()
    if name not in known:
        raise UnknownNameError.for_name("format", name, tuple(known), place)
    return known[name]


def file_name(stem: str, format: str) -> str:  # noqa: A002
    """Return the name of a file (or folder) in a format, with the ending that its tools expect.

    Examples
    --------
    >>> file_name("train", "csv"), file_name("train", "rasa")
    ('train.csv', 'train.rasa.yml')
    """
    return f"{stem}.{all_formats()[format].ending or format}"


def find_format(path: Path) -> tuple[Format, Path] | None:
    """Return the format of a file or folder and the path to read; None where no format fits.

    The content decides first (a `.jsonl` file with tokens and tags is a text set), then the ending.

    Raises
    ------
    DataError
        A folder holds several sets of one format.
    """
    formats = [entry for entry in all_formats().values() if entry.can_read]
    for entry in sorted(formats, key=lambda entry: entry.rank):
        found = entry.sniff(path) if entry.sniff is not None else None
        if found is not None:
            return entry, found
    if path.is_dir():
        return None
    name = path.name.lower()
    matches = (entry for entry in formats if name.endswith(entry.read_endings))
    return next(((entry, path) for entry in matches), None)

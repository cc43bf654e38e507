"""Text files that commands write: whole, or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from twinset.core.errors import DataError, RecipeError


def check_place(path: Path) -> None:
    """Raise RecipeError when no file can be written to `path`: it is a folder, or lies in none."""
    if path.is_dir():
        raise RecipeError(f"'{path}' is a folder", todo="name a file in it")
    if not path.parent.is_dir():
        raise RecipeError(
            f"the folder '{path.parent}' does not exist", todo="make it, or name another place"
        )


def check_places(outputs: Mapping[str, Path | None], inputs: Iterable[Path | None] = ()) -> None:
    """Raise RecipeError when an output cannot be written, is an input, or is named twice.

    Parameters
    ----------
    outputs : mapping
        Option -> the file to write; None where it is not asked for.
    inputs : iterable of Path
        Files that are read.
    """
    read = {path.resolve() for path in inputs if path is not None}
    taken: dict[Path, str] = {}
    for option, path in outputs.items():
        if path is None:
            continue
        check_place(path)
        place = path.resolve()
        if place in read:
            raise RecipeError(f"{option} would overwrite '{path}'", todo="name another file")
        if place in taken:
            raise RecipeError(
                f"{taken[place]} and {option} name the same file '{path}'", todo="name two files"
            )
        taken[place] = option


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path`, by way of a hidden file beside it.

    Raises
    ------
    DataError
        The system refuses.
    """
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".twinset-") as folder:
            staged = Path(folder) / path.name
            staged.write_bytes(text.encode())
            staged.replace(path)
    except OSError as error:
        raise DataError(f"cannot write '{path}'", got=error.strerror or str(error)) from error

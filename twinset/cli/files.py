"""Text files that commands write: whole, or not at all."""

from __future__ import annotations

import tempfile
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

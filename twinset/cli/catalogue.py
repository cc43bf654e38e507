"""The catalogue that a command reads: it must be there already."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from twinset.core.errors import CatalogError

if TYPE_CHECKING:
    from twinset.catalog import Catalog


def open_catalogue(root: Path) -> Catalog:
    """Return the catalogue in `root`.

    Raises
    ------
    CatalogError
        There is none: a command that only reads makes no empty one.
    """
    if not root.is_dir():
        raise CatalogError(
            f"there is no catalogue in '{root}'",
            todo="name its folder with --root, or make one by twinset run or twinset register",
        )
    from twinset.catalog import Catalog

    return Catalog(root)

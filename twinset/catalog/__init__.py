"""Data sets as immutable, content-addressed versions with cards and lineage."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twinset.catalog.store import Catalog
    from twinset.catalog.version import Ancestor, Lineage, Version

__all__ = ["Ancestor", "Catalog", "Lineage", "Version"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    home = "store" if name == "Catalog" else "version"
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)

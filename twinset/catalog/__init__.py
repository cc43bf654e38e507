"""Data sets as immutable, content-addressed versions with cards and lineage."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twinset.catalog.lineage import Lineage
    from twinset.catalog.store import Catalog
    from twinset.catalog.version import Version

__all__ = ["Catalog", "Lineage", "Version"]

_HOMES = {
    "Catalog": "twinset.catalog.store",
    "Lineage": "twinset.catalog.lineage",
    "Version": "twinset.catalog.version",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)

"""Large images as tiles with exact labels, and objects found on tiles back on the whole image."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from twinset.core.data.schema import TILE_COLUMNS

if TYPE_CHECKING:
    from twinset.io.tiling.cutting import cut_tiles
    from twinset.io.tiling.grid import Tiling, Window
    from twinset.io.tiling.joining import (
        Detections,
        find_by_tiles,
        join_boxes,
        join_maps,
        join_tiles,
    )

_HOMES = {"Tiling": "grid", "Window": "grid", "cut_tiles": "cutting"}
__all__ = [
    "TILE_COLUMNS",
    "Detections",
    "Tiling",
    "Window",
    "cut_tiles",
    "find_by_tiles",
    "join_boxes",
    "join_maps",
    "join_tiles",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES.get(name, 'joining')}"), name)

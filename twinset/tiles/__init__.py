"""Large images as tiles with exact labels, and what was found on tiles back on the whole image."""

from twinset.core.schema import TILE_COLUMNS
from twinset.tiles.cutting import cut_tiles
from twinset.tiles.grid import Tiling, Window
from twinset.tiles.joining import join_tiles
from twinset.tiles.predictions import Found, find_by_tiles, join_boxes, join_maps

__all__ = [
    "TILE_COLUMNS",
    "Found",
    "Tiling",
    "Window",
    "cut_tiles",
    "find_by_tiles",
    "join_boxes",
    "join_maps",
    "join_tiles",
]

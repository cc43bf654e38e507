"""Large images as tiles with exact labels, and what was found on tiles back on the whole image."""

from twinset.core.data.schema import TILE_COLUMNS
from twinset.io.tiling.cutting import cut_tiles
from twinset.io.tiling.grid import Tiling, Window
from twinset.io.tiling.joining import join_tiles
from twinset.io.tiling.predictions import Detections, find_by_tiles, join_boxes, join_maps

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

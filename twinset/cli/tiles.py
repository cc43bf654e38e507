"""`twinset tiles`: large images as tiles with exact labels, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from twinset.cli.options import Count, Real
from twinset.cli.terminal import print_json, print_lines
from twinset.core.limits import MAX_IMAGE_BYTES, images_up_to
from twinset.io.formats import writable_formats

_LAYOUTS = ", ".join(name for name, entry in writable_formats().items() if entry.for_tiles)


def tiles(
    source: Path,
    to: Path,
    /,
    *,
    size: Count = 640,
    overlap: Count = 64,
    min_visible_fraction: Real = 0.1,
    drop_empty: bool = False,
    join: bool = False,
    predictions: Path | None = None,
    layout: Annotated[
        str,
        Parameter(
            name="--format",
            help=f"One of {_LAYOUTS}; coco, webdataset and parquet keep the places of the tiles.",
        ),
    ] = "coco",
    max_image_bytes: Count = MAX_IMAGE_BYTES,
    json: bool = False,
) -> None:
    """Cut large images into tiles with their labels, or join tiles.

    Pixels and id maps are cut, not resampled; boxes, areas, outlines, keypoints and visible fractions are
    those of what the tile shows. The columns tile_of, tile_x and tile_y say where it lies.

    Parameters
    ----------
    source : Path
        Images, with or without labels: a folder or file as `source: {path: ...}` of a recipe takes it.
    to : Path
        Where to write; nothing must be there.
    size : int
        Side of the tiles in pixels.
    overlap : int
        Pixels by which neighbours overlap, at least.
    min_visible_fraction : float
        Objects of which a tile shows a smaller share are left out of its map and its labels.
    drop_empty : bool
        Leave out tiles without an object.
    join : bool
        The way back: the source holds tiles, and whole images are written.
    predictions : Path
        What a detector found on the tiles of the source (COCO), as a COCO results file: its boxes are
        joined, and a COCO file of the whole images is written, with a score for each object.
    layout : str
        Format of the tiles or images.
    max_image_bytes : int
        Images of more bytes, once decoded, are refused; about three times as much memory is needed.
    json : bool
        Print the result as JSON.
    """
    from twinset.core.errors import ParameterError
    from twinset.io.tiling.files import join_results, tile_files
    from twinset.io.tiling.grid import Tiling

    if join and predictions is not None:
        raise ParameterError(
            "images and predictions are joined by two calls", got="--join and --predictions"
        )
    if predictions is not None:
        joined = join_results(source, predictions, to)
        counts = {"file": to, "boxes": joined.n_read, "objects": joined.n_written}
        if json:
            print_json(counts)
        else:
            print_lines(f"{joined.n_read:,} boxes on tiles are {joined.n_written:,} objects.", to)
        return
    tiling = Tiling(
        size=size,
        overlap=overlap,
        min_visible_fraction=min_visible_fraction,
        keep_empty=not drop_empty,
    )
    with images_up_to(max_image_bytes):
        made = tile_files(source, to, layout, tiling=None if join else tiling)
    if json:
        print_json({"folder": to, "read": made.n_read, "written": made.n_written})
        return
    nouns = ("tiles", "images") if join else ("images", "tiles")
    print_lines(f"{made.n_read:,} {nouns[0]} read, {made.n_written:,} {nouns[1]} written.", to)

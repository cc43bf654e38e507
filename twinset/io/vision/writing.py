"""Write a set of annotated images as a folder of COCO, YOLO, Pascal VOC, masks or WebDataset shards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twinset.core.errors import UnknownNameError
from twinset.io.files import replacing_folder
from twinset.io.formats import IMAGE_FORMATS
from twinset.io.vision.writer import LayoutWriter


@contextmanager
def open_layout(path: Path, layout: str) -> Iterator[LayoutWriter]:
    """Open a folder for chunks of one set; it appears when the block ends well.

    Raises
    ------
    UnknownNameError
        The layout is not one of `IMAGE_FORMATS`.
    DataError
        The folder cannot be written.
    """
    if layout not in IMAGE_FORMATS:
        raise UnknownNameError.of("format", layout, IMAGE_FORMATS)
    with replacing_folder(path) as draft:
        writer = _writer(layout)(draft)
        yield writer
        writer.close()


def _writer(layout: str) -> type[LayoutWriter]:
    from twinset.io.vision.coco_writing import CocoWriter
    from twinset.io.vision.folder_writing import MasksWriter, VocWriter, YoloWriter
    from twinset.io.vision.shard_writing import ShardWriter

    return {
        "coco": CocoWriter,
        "yolo": YoloWriter,
        "voc": VocWriter,
        "masks": MasksWriter,
        "webdataset": ShardWriter,
    }[layout]

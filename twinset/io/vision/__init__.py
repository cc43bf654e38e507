"""Folders of annotated images: COCO, YOLO, Pascal VOC, masks and WebDataset shards."""

from twinset.io.vision.layouts import find_layout, read_layout, stream_layout
from twinset.io.vision.writing import open_layout

__all__ = ["find_layout", "open_layout", "read_layout", "stream_layout"]

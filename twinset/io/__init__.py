"""The only openers of data files."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twinset.io.reading import read_dataset, read_table
    from twinset.io.weights import read_weights
    from twinset.io.writing import open_writer, write_dataset

__all__ = [
    "FORMATS",
    "IMAGE_FORMATS",
    "open_writer",
    "read_dataset",
    "read_table",
    "read_weights",
    "write_dataset",
]

FORMATS = ("csv", "jsonl", "parquet")
"""Formats of tables that can be written, by the ending of the file."""

IMAGE_FORMATS = ("coco", "yolo", "voc", "masks", "webdataset")
"""Formats of annotated images that can be written, by the ending of the folder."""

_HOMES = {
    "read_dataset": "twinset.io.reading",
    "read_table": "twinset.io.reading",
    "read_weights": "twinset.io.weights",
    "open_writer": "twinset.io.writing",
    "write_dataset": "twinset.io.writing",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)

"""The only openers of data files."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from twinset.io.formats import all_formats, file_name, writable_formats

if TYPE_CHECKING:
    from twinset.io.reading import read_dataset, read_table, stream_dataset
    from twinset.io.weights import read_weights
    from twinset.io.writing import open_writer, write_dataset

__all__ = [
    "all_formats",
    "file_name",
    "open_writer",
    "read_dataset",
    "read_table",
    "read_weights",
    "stream_dataset",
    "writable_formats",
    "write_dataset",
]


_HOMES = {
    "read_dataset": "twinset.io.reading",
    "read_table": "twinset.io.reading",
    "stream_dataset": "twinset.io.reading",
    "read_weights": "twinset.io.weights",
    "open_writer": "twinset.io.writing",
    "write_dataset": "twinset.io.writing",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)

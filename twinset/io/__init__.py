"""The only openers of data files."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from twinset.io.formats import all_formats, file_name, writable_formats

if TYPE_CHECKING:
    from twinset.io.checkpoint import read_weights
    from twinset.io.datasets import (
        open_writer,
        read_dataset,
        read_table,
        stream_dataset,
        write_dataset,
    )

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


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    home = "twinset.io.checkpoint" if name == "read_weights" else "twinset.io.datasets"
    return getattr(importlib.import_module(home), name)

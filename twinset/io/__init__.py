"""The only openers of data files."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twinset.io.reading import read_dataset, read_table, stream_dataset
    from twinset.io.weights import read_weights
    from twinset.io.writing import open_writer, write_dataset

__all__ = [
    "FORMATS",
    "IMAGE_FORMATS",
    "TEXT_FORMATS",
    "file_name",
    "open_writer",
    "read_dataset",
    "read_table",
    "read_weights",
    "stream_dataset",
    "write_dataset",
]

FORMATS = ("csv", "jsonl", "parquet")
"""Formats of tables that can be written, by the ending of the file."""

IMAGE_FORMATS = ("coco", "yolo", "voc", "masks", "webdataset")
"""Formats of annotated images that can be written, by the ending of the folder."""

TEXT_FORMATS = ("conll", "bilou", "conllu", "tokens", "spacy", "rasa", "labelstudio")
"""Formats of labelled texts that can be written; tokens and labelstudio are folders."""


def file_name(stem: str, format: str) -> str:  # noqa: A002
    """Return the name of a file (or folder) in a format, whose ending its tools know it by.

    Examples
    --------
    >>> file_name("train", "csv"), file_name("train", "rasa")
    ('train.csv', 'train.rasa.yml')
    """
    return f"{stem}.{'rasa.yml' if format == 'rasa' else format}"


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

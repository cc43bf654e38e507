"""TODO."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


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

"""Which format a file of labelled texts is in, and its one way into a table."""

from __future__ import annotations

import json
import re
from pathlib import Path

from twinset.core.data.dataset import Dataset
from twinset.core.errors import DataError
from twinset.io.text.rows import LABEL, Row, to_dataset
from twinset.io.text.tags import split_tag
from twinset.io.vision.faults import Faults, OnFault

TAGGED = (".conll", ".bio", ".iob", ".iob2", ".bilou", ".bioes")
ENDINGS = (*TAGGED, ".conllu", ".yml", ".yaml", ".spacy")
"""Endings of files that are labelled texts by their name alone."""

_HEAD = 1 << 16


def find_text(path: Path) -> tuple[str, Path] | None:
    """Return the format of a file (or folder) of labelled texts and what to read; None when it is none.

    A file of JSON Lines is one when its first row has tokens and tags, a text file when its lines end in
    tags.
    """
    from twinset.io.text.hf_tokens import ROWS
    from twinset.io.text.label_studio import TASKS, is_label_studio

    if path.is_dir():
        if (path / TASKS).is_file() and is_label_studio(path / TASKS):
            return "labelstudio", path / TASKS
        return ("tokens", path / ROWS) if (path / ROWS).is_file() else None
    name = path.name.lower()
    if not path.is_file():
        return None
    if name.endswith(TAGGED):
        return "conll", path
    if name.endswith((".yml", ".yaml")):
        return "rasa", path
    if name.endswith((".conllu", ".spacy")):
        return name.rpartition(".")[2], path
    if name.endswith(".json") and is_label_studio(path):
        return "labelstudio", path
    if name.endswith((".jsonl", ".ndjson")) and _has_tokens(path):
        return "tokens", path
    return ("conll", path) if name.endswith(".txt") and _has_tags(path) else None


def read_text_set(format: str, path: Path, name: str, on_fault: OnFault = "stop") -> Dataset:  # noqa: A002
    """Return labelled texts as a table: text, spans, and what else the format tells.

    Parameters
    ----------
    format : {"conll", "conllu", "tokens", "spacy", "rasa", "labelstudio"}
        The format, as `find_text` returns it.
    path : Path
        What to read, from the same place.
    name : str
        Name of the set.
    on_fault : {"stop", "skip"}
        Whether faults end the reading, or rows with faults are left out and noted on the card.

    Raises
    ------
    DataError
        Something cannot be used; all faults are told with file and line.
    """
    from twinset.io.text.conll import read_conll
    from twinset.io.text.docbin import read_docbin
    from twinset.io.text.hf_tokens import read_tokens
    from twinset.io.text.label_studio import read_label_studio
    from twinset.io.text.rasa import read_rasa

    if path.stat().st_size == 0:
        raise DataError(f"the file '{path}' is empty", todo="give a file with at least one text")
    faults = Faults(on_fault)
    rows: list[Row]
    notes, label, has_spans = tuple[str, ...](), "", True
    if format in ("conll", "conllu"):
        rows = read_conll(_text(path), path.name, faults, is_conllu=format == "conllu")
    elif format == "tokens":
        rows = read_tokens(path, faults)
    elif format == "spacy":
        rows, label = read_docbin(path)
    elif format == "rasa":
        rows, notes = read_rasa(_text(path), path.name, faults)
        label, has_spans = LABEL, any(row.spans for row in rows)
    else:
        rows, notes, label = read_label_studio(path, faults)
    notes += faults.settle(f"the {format} set '{name}'")
    return to_dataset(rows, name, notes, has_spans=has_spans, label=label)


def _text(path: Path) -> str:
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"the file '{path}', line {line} is not encoded in UTF-8",
            todo=f"convert it, e.g.: iconv -f WINDOWS-1252 -t UTF-8 '{path.name}' > "
            f"'utf8-{path.name}'",
        ) from None


def _has_tokens(path: Path) -> bool:
    from twinset.io.text.hf_tokens import tag_key

    with path.open("rb") as stream:
        head = stream.readline(_HEAD)
    try:
        row = json.loads(head)
    except (ValueError, RecursionError):
        return False
    return isinstance(row, dict) and bool(tag_key(list(row)))


def _has_tags(path: Path) -> bool:
    """Return whether the first lines of a text file are tokens with tags behind them."""
    with path.open("rb") as stream:
        head = stream.read(_HEAD).decode("utf-8", errors="replace")
    lines = [line.split() for line in re.split(r"\r?\n", head)[:-1] or [head]]
    lines = [columns for columns in lines if columns and columns[0] != "-DOCSTART-"][:20]
    tagged = [len(columns) > 1 and split_tag(columns[-1])[0] != "?" for columns in lines]
    return bool(tagged) and sum(tagged) > 0.9 * len(tagged)

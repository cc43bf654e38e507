"""Recognise files of labelled texts by their first lines."""

from __future__ import annotations

import json
import re
from pathlib import Path

from twinset.io.text.hf_tokens import tag_key
from twinset.io.text.tags import split_tag

_HEAD = 1 << 16  # bytes that are looked at: some hundred lines


def has_tokens(path: Path) -> bool:
    """Return whether the first row of a JSON Lines file has tokens and tags."""
    with path.open("rb") as stream:
        head = stream.readline(_HEAD)
    try:
        row = json.loads(head)
    except (ValueError, RecursionError):
        return False
    return isinstance(row, dict) and bool(tag_key(list(row)))


def has_tags(path: Path) -> bool:
    """Return whether the first lines of a text file are tokens with tags behind them."""
    with path.open("rb") as stream:
        head = stream.read(_HEAD).decode("utf-8", errors="replace")
    lines = [line.split() for line in re.split(r"\r?\n", head)[:-1] or [head]]
    lines = [columns for columns in lines if columns and columns[0] != "-DOCSTART-"][:20]
    tagged = [len(columns) > 1 and split_tag(columns[-1])[0] != "?" for columns in lines]
    return bool(tagged) and sum(tagged) > 0.9 * len(tagged)

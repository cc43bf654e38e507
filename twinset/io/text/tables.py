"""Spans in plain tables: brought to their type, and held against the texts that they speak of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import SPAN
from twinset.io.text.rows import SPANS, TEXT
from twinset.io.vision.faults import Faults, OnFault


def with_spans(table: pa.Table) -> pa.Table:
    """Return a table whose column ``spans`` is one, also where all lists are empty or are JSON in CSV.

    Examples
    --------
    >>> with_spans(pa.table({"text": ["a"], "spans": [[]]})).column("spans").type == pa.list_(SPAN)
    True
    """
    if SPANS not in table.column_names:
        return table
    at = table.schema.get_field_index(SPANS)
    column = table.column(at)
    kind = column.type
    if pa.types.is_list(kind) and pa.types.is_null(kind.value_type):
        found: pa.Array = pa.array(column.to_pylist(), pa.list_(SPAN))
    elif pa.types.is_string(kind):
        told = column.to_pylist()
        if not all(value is None or value.startswith("[") for value in told):
            return table
        try:
            lists = [None if value is None else json.loads(value) for value in told]
            found = pa.array(lists, pa.list_(SPAN))
        except (ValueError, TypeError, pa.ArrowException):
            return table
    else:
        return table
    return table.set_column(at, SPANS, found)


def settle_spans(rows: Dataset, path: Path, on_fault: OnFault) -> Dataset:
    """Return the set with the value of every span filled in; a span that is not in its text is a fault.

    Nothing is looked at where it is not clear which texts the spans speak of.

    Raises
    ------
    DataError
        A span leaves its text, holds nothing, has no label, or tells another value than stands there.
    """
    spans = [field.name for field in rows.schema.of_kind("spans")]
    texts = [field.name for field in rows.schema.of_kind("text")]
    if len(texts) != 1:
        texts = [TEXT] if TEXT in rows.schema.names else []
    if len(spans) != 1 or not texts:
        return rows
    faults, keep, changed = Faults(on_fault), np.ones(len(rows), dtype=bool), False
    marks, places = rows.records.column(spans[0]).to_pylist(), _Places(path, len(rows))
    for k, (text, own) in enumerate(zip(rows.records.column(texts[0]).to_pylist(), marks)):
        for span in own or ():
            wrong = _fault(span, text or "")
            if wrong:
                faults.add(f"{path.name}, {places.of(k)}", wrong)
                keep[k] = False
            elif span["value"] is None:
                span["value"], changed = text[span["start"] : span["end"]], True
    notes = faults.settle(f"the set '{rows.card.name}'")
    if changed:
        at = rows.records.schema.get_field_index(spans[0])
        column = pa.array(marks, rows.records.schema.field(at).type)
        rows = replace(rows, records=rows.records.set_column(at, spans[0], column))
    return rows.filter(keep).with_card(notes=(*rows.card.notes, *notes)) if notes else rows


class _Places:
    """Says where a row stands in its file: its line, where a line is a row. A file is read when asked."""

    def __init__(self, path: Path, n_rows: int) -> None:
        self._path, self._n_rows = path, n_rows

    def of(self, row: int) -> str:
        return f"line {self._lines[row]}" if self._lines else f"row {row} (counted from 0)"

    @cached_property
    def _lines(self) -> list[int]:
        """Return the line of each row; none where a row may fill several, or share one."""
        if not self._path.name.endswith((".jsonl", ".ndjson")):
            return []
        lines = self._path.read_bytes().split(b"\n")
        found = [number for number, line in enumerate(lines, start=1) if line.strip()]
        return found if len(found) == self._n_rows else []


def _fault(span: Mapping[str, Any], text: str) -> str:
    start, end = span["start"], span["end"]
    if start is None or end is None or not span["label"]:
        return "a span has no start, end or label"
    if not 0 <= start < end <= len(text):
        return f"the span [{start}, {end}) does not lie in its text of {len(text)} characters"
    if span["value"] is not None and text[start:end] != span["value"]:
        return (
            f"the span [{start}, {end}) is not where its value stands; places count Unicode "
            "characters from 0, not bytes or units of UTF-16"
        )
    return ""

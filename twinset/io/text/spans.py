"""Spans of entities in texts, and their column in plain tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import pyarrow as pa

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import SPAN, SPAN_FACTS, Field, Schema
from twinset.core.untrusted import parse_json
from twinset.io.faults import Faults, OnFault

TEXT, SPANS, LABEL = "text", "spans", "label"
"""Names of the columns of a text set that is read from a file."""


class Span(TypedDict):
    """Place of an entity: half-open, in code points; ``text[start:end] == value``."""

    start: int
    end: int
    label: str
    value: str


def span_at(text: str, start: int, end: int, label: str) -> Span:
    """Return the span of a place in a text."""
    return Span(start=start, end=end, label=label, value=text[start:end])


def facts_as_ids(schema: Schema) -> Schema:
    """Return an inferred schema in which the facts of spans are ids, not classes or texts."""
    found = [field for field in schema.fields if field.name == SPAN_FACTS]
    if not found or found[0].kind not in ("category", "text", "id"):
        return schema
    text = "JSON: for each span its canonical value, role and group, where it has one"
    return schema.with_field(
        Field(name=SPAN_FACTS, kind="id", nullable=found[0].nullable, description=text)
    )


def facts_cell(facts: Sequence[Mapping[str, str]]) -> str:
    """Return the facts of each span of a row as its cell."""
    return json.dumps(list(facts), ensure_ascii=False)


def with_spans(table: pa.Table) -> pa.Table:
    """Return a table whose column ``spans`` is of spans, also if all lists are empty or are JSON in CSV.

    Examples
    --------
    >>> with_spans(pa.table({"text": ["a"], "spans": [[]]})).column("spans").type == pa.list_(SPAN)
    True
    """
    at = table.schema.get_field_index(SPANS)
    column = table.column(at)
    kind = column.type
    if pa.types.is_list(kind) and pa.types.is_null(kind.value_type):
        return table.set_column(at, SPANS, pa.array(column.to_pylist(), pa.list_(SPAN)))
    texts = column.to_pylist() if pa.types.is_string(kind) else ["no JSON"]
    if not all(value is None or value.startswith("[") for value in texts):
        return table
    try:
        lists = [None if value is None else parse_json(value) for value in texts]
        return table.set_column(at, SPANS, pa.array(lists, pa.list_(SPAN)))
    except (ValueError, TypeError, pa.ArrowException):
        return table


def check_spans(rows: Dataset, path: Path, on_fault: OnFault) -> Dataset:
    """Return the set with the value of every span filled in; a span that is not in its text is a fault.

    Nothing is checked if it is not clear which texts the spans belong to.
    """
    spans = [field.name for field in rows.schema.of_kind("spans")]
    texts = [field.name for field in rows.schema.of_kind("text")]
    if len(texts) != 1:
        texts = [TEXT] if TEXT in rows.schema.names else []
    if len(spans) != 1 or not texts:
        return rows
    faults, keep, changed = Faults(on_fault), np.ones(len(rows), dtype=bool), False
    cells, places = rows.records.column(spans[0]).to_pylist(), _RowPlaces(path, len(rows))
    for k, (text, own) in enumerate(zip(rows.records.column(texts[0]).to_pylist(), cells)):
        for span in own or ():
            fault = _span_fault(span, text or "")
            if fault:
                faults.add(f"{path.name}, {places.name(k)}", fault)
                keep[k] = False
            elif span["value"] is None:
                span["value"], changed = text[span["start"] : span["end"]], True
    notes = faults.resolve(f"the set '{rows.card.name}'")
    if changed:
        at = rows.records.schema.get_field_index(spans[0])
        column = pa.array(cells, rows.records.schema.field(at).type)
        rows = replace(rows, records=rows.records.set_column(at, spans[0], column))
    return rows.filter(keep).with_card(notes=(*rows.card.notes, *notes)) if notes else rows


class _RowPlaces:
    """Places of rows in their file: lines, if every line is a row. The file is read on demand."""

    def __init__(self, path: Path, n_rows: int) -> None:
        self._path, self._n_rows = path, n_rows

    def name(self, row: int) -> str:
        return f"line {self._lines[row]}" if self._lines else f"row {row} (counted from 0)"

    @cached_property
    def _lines(self) -> list[int]:
        """Line of each row; none if a row may fill several lines, or share one."""
        if not self._path.name.endswith((".jsonl", ".ndjson")):
            return []
        lines = self._path.read_bytes().split(b"\n")
        found = [number for number, line in enumerate(lines, start=1) if line.strip()]
        return found if len(found) == self._n_rows else []


def _span_fault(span: Mapping[str, Any], text: str) -> str:
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

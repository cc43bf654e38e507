"""Labelled passages of a text."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from twinset.core.data.kinds.boxes import item_fields
from twinset.core.data.kinds.kind import ColumnKind, ColumnSample, Encoding

SPAN = pa.struct(
    [("start", pa.int32()), ("end", pa.int32()), ("label", pa.string()), ("value", pa.string())]
)
SPAN_FACTS = "span_facts"
"""Column with a JSON list a row: for each span its canonical value, role and group, where it has one."""


class _Spans(ColumnKind):
    """A list of passages, each with its ends in characters and its label."""

    arrow_type = pa.list_(SPAN)
    form = "spans list<struct<start, end, label, value>>"
    is_annotation = True
    label_key = "label"
    encoding = Encoding.LABELS

    def infer(self, sample: ColumnSample) -> dict[str, Any] | None:
        """Accept lists of structures with start, end and label."""
        return {"stored": ""} if {"start", "end", "label"} <= item_fields(sample.type) else None


KIND = _Spans()

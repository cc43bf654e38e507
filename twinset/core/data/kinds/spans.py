"""Labelled passages of a text."""

from __future__ import annotations

import pyarrow as pa

from twinset.core.data.kinds.kind import ColumnKind, Encoding

SPAN = pa.struct(
    [("start", pa.int32()), ("end", pa.int32()), ("label", pa.string()), ("value", pa.string())]
)
SPAN_FACTS = "span_facts"
"""Column with a JSON list a row: for each span its canonical value, role and group, where it has one."""


class _Spans(ColumnKind):
    """A list of passages, each with its ends in characters and its label."""

    arrow_type = pa.list_(SPAN)
    item_fields = frozenset({"start", "end", "label"})
    form = "spans list<struct<start, end, label, value>>"
    is_annotation = True
    label_key = "label"
    encoding = Encoding.LABELS


KIND = _Spans()

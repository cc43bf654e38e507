"""Objects in an image: label, box, outline and keypoints of each."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from twinset.core.data.kinds.kind import ColumnKind, ColumnSample, Encoding

KEYPOINT = pa.struct(
    [("name", pa.string()), ("x", pa.float32()), ("y", pa.float32()), ("v", pa.int8())]
)
OBJECT = pa.struct(
    [
        ("id", pa.int32()),
        ("category", pa.string()),
        ("box", pa.list_(pa.float32())),
        ("area", pa.float64()),
        ("visible_fraction", pa.float32()),
        ("truncated", pa.bool_()),
        ("keypoints", pa.list_(KEYPOINT)),
        ("amodal_box", pa.list_(pa.float32())),
        ("polygons", pa.list_(pa.list_(pa.float32()))),
        ("flags", pa.list_(pa.string())),
    ]
)


class _Boxes(ColumnKind):
    """A list of objects."""

    arrow_type = pa.list_(OBJECT)
    form = "objects list<struct<category, box, ...>>"
    is_annotation = True
    label_key = "category"
    encoding = Encoding.LABELS

    def infer(self, sample: ColumnSample) -> dict[str, Any] | None:
        """Accept lists of structures with a category and a box."""
        return {"stored": ""} if {"category", "box"} <= item_fields(sample.type) else None


def item_fields(kind: pa.DataType) -> set[str]:
    """Return the field names of the structures that a list type holds; empty for other types."""
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        return set()
    return {f.name for f in kind.value_type} if pa.types.is_struct(kind.value_type) else set()


KIND = _Boxes()

"""Objects in an image: label, box, outline and keypoints of each."""

from __future__ import annotations

import pyarrow as pa

from twinset.core.data.kinds.kind import ColumnKind, Encoding

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
    item_fields = frozenset({"category", "box"})
    form = "objects list<struct<category, box, ...>>"
    is_annotation = True
    label_key = "category"
    encoding = Encoding.LABELS


KIND = _Boxes()

"""Labels from a list."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.kinds.kind import (
    ColumnKind,
    ColumnSample,
    Encoding,
    is_text,
    plain_values,
    whole_floats,
)

MAX_LISTED_LEVELS = 1_000  # a schema file that lists more is not read by anybody


class _Category(ColumnKind):
    """Labels, held as dictionary-encoded texts."""

    arrow_type = pa.dictionary(pa.int32(), pa.string())
    delivered_type = pa.string()
    sources = (pa.types.is_null, pa.types.is_dictionary, pa.types.is_integer, is_text)
    precedence = 3  # after datetime, id and text: takes every other text
    is_tabular = has_levels = True
    encoding = Encoding.LEVELS

    def infer(self, sample: ColumnSample) -> dict[str, Any] | None:
        """Accept texts, dictionaries, empty columns and flags such as 0 / 1."""
        if pa.types.is_null(sample.type):
            return {"nullable": True, "stored": "null", "levels": ()}
        column = plain_values(sample.column)
        if pa.types.is_integer(sample.type) and not _is_flag(sample):
            return None
        texts = pc.cast(pc.unique(column), pa.string()).to_pylist()
        levels = sorted(text for text in texts if text is not None)
        return {
            "stored": "string" if sample.is_text else str(column.type),
            "levels": tuple(levels) if len(levels) <= MAX_LISTED_LEVELS else None,
        }

    def cast(self, column: pa.ChunkedArray, target: pa.DataType) -> pa.ChunkedArray:
        """Encode any values as their texts."""
        if column.type == target:
            return column.unify_dictionaries()
        text = plain_values(column)
        if pa.types.is_floating(text.type):
            text = whole_floats(text)
        return pc.dictionary_encode(pc.cast(text, pa.string())).unify_dictionaries().cast(target)


def _is_flag(sample: ColumnSample) -> bool:
    """Return whether integers are two neighbouring values, unlike two ages that happen to occur."""
    if not 1 <= sample.n_distinct <= 2:
        return False
    ends = pc.min_max(sample.column).as_py()
    return bool(ends["max"] - ends["min"] <= 1)


KIND = _Category()

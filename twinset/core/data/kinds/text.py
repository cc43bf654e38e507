"""Free texts."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from twinset.core.data.kinds.kind import ColumnKind, ColumnSample, Encoding, is_text


class _Text(ColumnKind):
    """Running text."""

    arrow_type = pa.string()
    sources = (is_text,)
    precedence = 2  # after datetime and id
    is_free_text = has_placeholders = True
    encoding = Encoding.EMBEDDER

    def infer(self, sample: ColumnSample) -> dict[str, Any] | None:
        """Accept texts that seldom repeat, and long ones that often do not."""
        is_long = sample.mean_words >= 6 and sample.n_distinct > 0.1 * len(sample.present)
        return {"stored": "string"} if sample.seldom_repeats or is_long else None


KIND = _Text()

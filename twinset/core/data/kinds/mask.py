"""Maps of the instance at each pixel of an image."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from twinset.core.data.kinds.image import is_file
from twinset.core.data.kinds.kind import BLOB, ColumnKind, ColumnSample


class _Mask(ColumnKind):
    """An image file whose pixels are ids of instances."""

    arrow_type = BLOB
    is_annotation = True

    def infer(self, sample: ColumnSample) -> dict[str, Any] | None:
        """Accept files in a column of a usual name."""
        return (
            {"stored": ""}
            if sample.name in ("instances", "mask") and is_file(sample.type)
            else None
        )

    def content(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        """Return hashes of the pixels."""
        from twinset.core.image.codec import hash_images

        return hash_images(column)


KIND = _Mask()

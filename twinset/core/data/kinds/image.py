"""Images as files."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from twinset.core.data.kinds.kind import BLOB, ColumnKind, ColumnSample, Encoding


class _Image(ColumnKind):
    """An image file, decoded only where its pixels are needed."""

    arrow_type = BLOB
    form = "image struct<bytes, path>"
    precedence = 1  # after mask, which has the same type
    is_media = True
    encoding = Encoding.EMBEDDER

    def infer(self, sample: ColumnSample) -> dict[str, Any] | None:
        """Accept a structure of bytes and path."""
        return {"stored": ""} if is_file(sample.type) else None

    def content(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        """Return hashes of the pixels."""
        from twinset.core.image.codec import hash_images

        return hash_images(column)


def is_file(kind: pa.DataType) -> bool:
    """Return whether a type has the fields of a file, in any order."""
    return pa.types.is_struct(kind) and {f.name for f in kind} == {f.name for f in BLOB}


KIND = _Image()

"""Images as files."""

from __future__ import annotations

from twinset.core.data.kinds.kind import BLOB, ColumnKind, Encoding, is_file


class _Image(ColumnKind):
    """An image file, decoded only where its pixels are needed."""

    arrow_type = BLOB
    sources = (is_file,)
    form = "image struct<bytes, path>"
    precedence = 1  # after mask, which has the same type
    is_media = True
    encoding = Encoding.EMBEDDER


KIND = _Image()

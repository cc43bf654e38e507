"""Maps of the instance at each pixel of an image."""

from __future__ import annotations

from twinset.core.data.kinds.kind import BLOB, ColumnKind, is_file


class _Mask(ColumnKind):
    """An image file whose pixels are ids of instances."""

    arrow_type = BLOB
    sources = (is_file,)
    usual_names = ("instances", "mask")
    is_annotation = True


KIND = _Mask()

"""True and false."""

from __future__ import annotations

import pyarrow as pa

from twinset.core.data.kinds.kind import ColumnKind, Encoding


class _Boolean(ColumnKind):
    """True and false."""

    arrow_type = pa.bool_()
    sources = (pa.types.is_boolean,)
    is_tabular = has_levels = has_float_values = True
    encoding = Encoding.LEVELS

    def level_value(self, text: str) -> str | bool:
        """Return true or false."""
        return text == "true"

    def level_words(self, name: str, text: str) -> str:
        """Return e.g. "insured" or "not insured"."""
        return name if text == "true" else f"not {name}"


KIND = _Boolean()

"""Whole numbers."""

from __future__ import annotations

import pyarrow as pa

from twinset.core.data.kinds.kind import ColumnKind, Encoding, Floats


class _Integer(ColumnKind):
    """Whole numbers of up to 64 bits."""

    arrow_type = pa.int64()
    sources = (pa.types.is_integer,)
    precedence = 4  # after category and id, which take flags and keys
    is_tabular = is_numeric = has_order = has_float_values = True
    is_whole = True
    encoding = Encoding.NUMBER

    def canonical_type(self, stored: pa.DataType) -> pa.DataType:
        """Keep the width and sign of the source."""
        return stored if pa.types.is_integer(stored) else self.arrow_type

    def cast(self, column: pa.ChunkedArray, target: pa.DataType) -> pa.ChunkedArray:
        """Read whole floats, too, NaN as missing."""
        if pa.types.is_floating(column.type):
            chunks = [
                pa.array(c.to_numpy(zero_copy_only=False), from_pandas=True) for c in column.chunks
            ]
            column = pa.chunked_array(chunks, type=column.type)
        return super().cast(column, target)

    def step(self, values: Floats, decimals: int | None) -> float | None:
        """Return 1."""
        return 1.0


KIND = _Integer()

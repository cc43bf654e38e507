"""Numbers with a fractional part."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.kinds.kind import ColumnKind, ColumnSample, Encoding, Floats
from twinset.core.errors import SchemaError


class _Number(ColumnKind):
    """Floats and decimals; NaN and null are both missing."""

    arrow_type = pa.float64()
    sources = (pa.types.is_decimal, pa.types.is_floating)
    is_tabular = is_numeric = is_continuous = has_order = has_float_values = True
    encoding = Encoding.NUMBER

    def infer(self, sample: ColumnSample) -> dict[str, Any] | None:
        """Return decimals and whether NaN or null occurs, for floats and decimals."""
        if pa.types.is_decimal(sample.type):
            return {"decimals": sample.type.scale}
        values = np.asarray(sample.column.to_numpy(zero_copy_only=False), dtype=float)
        return {
            "nullable": bool(np.isnan(values).any()),
            "decimals": count_decimals(values[np.isfinite(values)]),
        }

    def canonical_type(self, stored: pa.DataType) -> pa.DataType:
        """Keep decimals, which have no exact float, and single precision."""
        keeps = pa.types.is_decimal(stored) or pa.types.is_float32(stored)
        return stored if keeps else self.arrow_type

    def cast(self, column: pa.ChunkedArray, target: pa.DataType) -> pa.ChunkedArray:
        """Read integers, too: large ones are rounded to the nearest float."""
        if pa.types.is_integer(column.type):
            return pc.cast(column, target, safe=False)
        return super().cast(column, target)

    def check(self, column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
        """Make NaN missing; refuse infinite values."""
        if not pa.types.is_floating(column.type):
            return column
        values = column.to_numpy(zero_copy_only=False)
        with np.errstate(over="ignore", invalid="ignore"):
            # One pass shows for most columns that they hold neither NaN nor infinity.
            if np.isfinite(np.sum(values, dtype=np.float64)):
                return column
        if np.isinf(values).any():
            raise SchemaError(
                f"the column '{name}' holds {int(np.isinf(values).sum())} infinite values",
                allowed="finite numbers or missing values",
                todo="replace them in the source",
            )
        if np.isnan(values).sum() > column.null_count:
            return pa.chunked_array([pa.array(values, type=column.type, from_pandas=True)])
        return column

    def step(self, values: Floats, decimals: int | None) -> float | None:
        """Return the last decimal place, e.g. 0.01 for cents."""
        return None if decimals is None else 10.0**-decimals


def count_decimals(values: Floats) -> int | None:
    """Return how many digits after the point the values use (0 to 6), None for more."""
    for decimals in range(7):
        scaled = values * 10.0**decimals
        if bool(np.all(np.abs(scaled - np.round(scaled)) <= 1e-9 * np.maximum(1, np.abs(scaled)))):
            return decimals
    return None


KIND = _Number()

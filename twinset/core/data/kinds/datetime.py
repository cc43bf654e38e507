"""Dates and times."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.kinds.kind import ColumnKind, ColumnSample, Encoding, Floats, is_text

MICROSECONDS = {
    "day": 86_400e6,
    "hour": 3_600e6,
    "minute": 60e6,
    "second": 1e6,
    "milli": 1e3,
}  # of each unit
_ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d|$)")
_N_LOOKED_AT = 50  # texts that must look like dates before the whole column is parsed


class _Datetime(ColumnKind):
    """Microseconds since 1970, with the time zone of the source."""

    arrow_type = pa.timestamp("us")
    sources = (pa.types.is_timestamp, pa.types.is_date, is_text)
    is_tabular = has_order = has_float_values = True
    is_time = True
    encoding = Encoding.NUMBER

    def infer(self, sample: ColumnSample) -> dict[str, Any] | None:
        """Accept timestamps, dates, and texts that are all ISO dates."""
        if not sample.is_text:
            return {}
        return {"stored": "string"} if _are_dates(sample.present) else None

    def canonical_type(self, stored: pa.DataType) -> pa.DataType:
        """Keep the time zone."""
        return (
            pa.timestamp("us", tz=stored.tz) if pa.types.is_timestamp(stored) else self.arrow_type
        )

    def cast(self, column: pa.ChunkedArray, target: pa.DataType) -> pa.ChunkedArray:
        """Read texts and dates; what is finer than a microsecond is cut off."""
        if not pa.types.is_timestamp(column.type):
            column = pc.cast(column, pa.timestamp("us"))
        return pc.cast(column, target, safe=False)

    def step(self, values: Floats, decimals: int | None) -> float | None:
        """Return the coarsest unit, in microseconds, that divides all values."""
        values = values[~np.isnan(values)]
        fits = (step for step in MICROSECONDS.values() if not np.any(values % step))
        return next(fits, 1.0)


def _are_dates(present: pa.ChunkedArray) -> bool:
    if not len(present):
        return False
    if not all(_ISO_DATE.match(text) for text in present.slice(0, _N_LOOKED_AT).to_pylist()):
        return False
    try:
        pc.cast(present, pa.timestamp("us"))
    except pa.ArrowInvalid:
        return False
    return True


KIND = _Datetime()

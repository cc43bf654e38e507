"""What clocks and calendars say of a datetime column, and how its rows follow each other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.dataset import Dataset

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

DAY = 86_400_000_000
"""Microseconds of a day."""


def local_microseconds(rows: Dataset, name: str) -> Floats:
    """Return what clocks of the column's own zone show, in microseconds, NaN where it is missing.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> noon = pa.array([datetime(2024, 7, 1, 12, tzinfo=UTC), None])
    >>> rows = Dataset.from_arrow(pa.table({"t": noon.cast(pa.timestamp("us", "Europe/Paris"))}))
    >>> (local_microseconds(rows, "t") % DAY / DAY * 24).tolist()
    [14.0, nan]
    """
    column = rows.records.column(name)
    if pa.types.is_timestamp(column.type) and column.type.tz is not None:
        column = pc.local_timestamp(column)
    whole = column.cast(pa.timestamp("us")).cast(pa.int64())
    return np.asarray(pc.cast(whole, pa.float64()).to_numpy(), dtype=np.float64)


def hours(shown: Floats) -> Codes:
    """Return the hour of day, 0 to 23."""
    return (np.mod(shown, DAY) // (DAY // 24)).astype(np.int64)


def weekdays(shown: Floats) -> Codes:
    """Return the weekday, 0 to 6, Monday first.

    Examples
    --------
    >>> weekdays(np.array([0.0, 4.0 * DAY])).tolist()  # 1 January 1970 was a Thursday
    [3, 0]
    """
    return np.mod(shown // DAY + 3, 7).astype(np.int64)


def months(shown: Floats) -> Codes:
    """Return the month of the year, 0 to 11."""
    days = (shown // DAY).astype(np.int64).astype("datetime64[D]")
    return np.asarray(days.astype("datetime64[M]").astype(np.int64) % 12)


def gaps_within(shown: Floats, entity: Codes) -> Floats:
    """Return the times between rows that follow each other within one entity, in microseconds.

    Rows without a time or an entity (below 0) are left out.

    Examples
    --------
    >>> gaps_within(np.array([5.0, 1.0, 2.0, 9.0]), np.array([0, 1, 0, 1])).tolist()
    [3.0, 8.0]
    """
    known = ~np.isnan(shown) & (entity >= 0)
    order = np.lexsort((shown[known], entity[known]))
    time, own = shown[known][order], entity[known][order]
    return np.asarray(np.diff(time)[own[1:] == own[:-1]])


def autocorrelations(series: Floats, most: int) -> Floats:
    """Return the autocorrelation of each line at the lags 1 to `most`, shape (b, most).

    A line that is constant has none: 0.

    Parameters
    ----------
    series : numpy.ndarray, shape (b, t)
        Counts, one a day; t must be more than `most`.
    most : int
        The largest lag, in days.

    Examples
    --------
    >>> autocorrelations(np.array([[1.0, 0.0, 1.0, 0.0]]), 2).round(2).tolist()
    [[-0.75, 0.5]]
    """
    centred = series - series.mean(axis=1, keepdims=True)
    square = (centred**2).sum(axis=1)
    told = [(centred[:, lag:] * centred[:, :-lag]).sum(axis=1) for lag in range(1, most + 1)]
    return np.stack([np.divide(t, square, out=np.zeros_like(t), where=square > 0) for t in told], 1)

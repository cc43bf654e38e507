"""The type matrix: one small table a case, with frauds, that a sampler should take and give back."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

N, RARE = 240, 40


def labels() -> np.ndarray:
    """Return labels of the rows: 200 times 0, then 40 times 1."""
    return np.repeat([0, 1], [N - RARE, RARE])


_X = np.random.default_rng(7).normal(size=(N, 4)) + 2 * labels()[:, None]
_GAPPY = np.where(np.random.default_rng(7).random(_X.shape) < 0.2, np.nan, _X)
_GAP = np.random.default_rng(7).random(N) < 0.2
_COUNTS = np.random.default_rng(7).poisson(6, N)
_WORDS = np.array(["web", "shop", "phone"], dtype=object)[_COUNTS % 3]


def cases() -> dict[str, Callable[[], Any]]:
    """Return name -> function that builds a table of 240 rows; each stands for one demand."""
    return {
        "numpy float64": _X.copy,
        "numpy float32": lambda: _X.astype(np.float32),
        "numpy int16": lambda: (10 * _X).astype(np.int16),
        "numpy bool": lambda: _X > 0,
        "numpy float64 with NaN": _GAPPY.copy,
        "numpy object, mixed": _objects,
        "pandas float and int": lambda: _frame(n=_COUNTS),
        "pandas NaN in numbers": lambda: _frame(gap=_GAPPY[:, 0]),
        "pandas nullable Int64": lambda: _frame(n=_series(_COUNTS, "Int64")),
        "pandas nullable boolean": lambda: _frame(ok=_series(_COUNTS % 2 == 0, "boolean")),
        "pandas string": lambda: _frame(s=_series(_WORDS, "string")),
        "pandas Arrow-backed": _arrow_backed,
        "pandas datetime with zone": lambda: _frame(t=_times("Europe/Berlin")),
        "pandas datetime with NaT": lambda: _frame(t=_times(None, gaps=True)),
        "pandas timedelta": lambda: _frame(d=_times(None) - _times(None).min()),
        "pandas category, ordered": lambda: _frame(c=_category(ordered=True)),
        "pandas category with NaN": lambda: _frame(c=_category(ordered=False, gaps=True)),
        "pandas decimal objects": lambda: _frame(money=_decimals()),
        "pandas datetime index": lambda: _frame(n=_COUNTS).set_axis(_times(None), axis=0),
        "polars, mixed with nulls": _polars,
        "pyarrow, mixed with nulls": _pyarrow,
    }


def type_of(table: Any) -> list[Any]:
    """Return what must be the same before and after: container, types of columns, type of the index."""
    kind = type(table)
    if kind.__module__.startswith("pandas"):
        return [kind, *table.dtypes, type(table.index), table.index.dtype]
    if kind.__module__.startswith("polars"):
        return [kind, *table.schema.items()]
    return [kind, table.schema] if hasattr(table, "schema") else [kind, table.dtype, table.ndim]


def same_rows(one: Any, other: Any) -> bool:
    """Return whether two tables of one type hold the same rows."""
    if isinstance(one, np.ndarray):
        return bool(pd.DataFrame(one).equals(pd.DataFrame(other)))
    return bool(one.equals(other))


def _frame(**columns: Any) -> Any:
    return pd.DataFrame({"amount": np.round(np.exp(_X[:, 0]), 2), **columns})


def _objects() -> np.ndarray:
    out = np.empty((N, 3), dtype=object)
    out[:, 0], out[:, 1], out[:, 2] = _WORDS, _COUNTS.tolist(), _X[:, 0].tolist()
    return out


def _series(values: np.ndarray, dtype: str) -> Any:
    return pd.Series(values, dtype=dtype).mask(_GAP, pd.NA)


def _times(zone: str | None, *, gaps: bool = False) -> Any:
    hours = np.sort(np.random.default_rng(7).integers(0, 9_000, N))
    series = pd.Series(pd.Timestamp("2024-01-01") + pd.to_timedelta(hours, unit="h"))
    series = series.mask(_GAP, pd.NaT) if gaps else series
    return series if zone is None else series.dt.tz_localize("UTC").dt.tz_convert(zone)


def _category(*, ordered: bool, gaps: bool = False) -> Any:
    words = pd.Series(_WORDS).mask(_GAP) if gaps else _WORDS
    # One category that no row has: it must not get lost.
    kept = ["web", "phone", "shop", "letter"]
    return pd.Series(pd.Categorical(words, categories=kept, ordered=ordered))


def _decimals() -> Any:
    values = [decimal.Decimal(int(cents)) / 100 for cents in 100 * np.exp(_X[:, 1])]
    return pd.Series(values, dtype=object)


def _arrow_backed() -> Any:
    frame = _frame(n=_series(_COUNTS, "Int64"), s=_series(_WORDS, "string"), t=_times(None))
    converted = frame.convert_dtypes(dtype_backend="pyarrow")
    return converted.assign(x=pd.array(_X[:, 0], dtype="float32[pyarrow]"))


def _polars() -> Any:
    frame = pl.from_arrow(_pyarrow())
    assert isinstance(frame, pl.DataFrame)
    kinds = pl.Enum(["web", "shop", "phone", "letter"])
    return frame.with_columns(pl.col("s").cast(kinds).alias("e"), pl.col("s").cast(pl.Categorical))


def _pyarrow() -> Any:
    days = [datetime.date(2024, 1, 1) + datetime.timedelta(days=int(n)) for n in 9 * _COUNTS]
    return pa.table(
        {
            "x": pa.array(_X[:, 0], mask=_GAP),
            "f": pa.array(_X[:, 1].astype(np.float32)),
            "n": pa.array(_COUNTS.astype(np.int32), mask=_GAP),
            "s": pa.array(_WORDS, pa.string(), mask=_GAP),
            "d": pa.array(days),
            "b": pa.array(_COUNTS % 2 == 0, mask=_GAP),
            "m": pa.array(_decimals().tolist(), pa.decimal128(12, 2)),
            "w": pa.array(_COUNTS * 3_600_000_000, pa.duration("us")),
        }
    )

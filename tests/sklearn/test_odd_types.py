"""Seldom types of columns: they come back as they were, too, or are refused in one sentence."""

import datetime as dt
import decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from benchmarks.minority.dtype_cases import same_rows, type_of
from twinset.sklearn import SMOTE, CopulaSampler, HardNegatives, RandomOverSampler

N = 120
Y = np.repeat([0, 1], [100, 20])


def days(n: int = N) -> list[dt.date]:
    return [dt.date(2020, 1, 1) + dt.timedelta(days=i % 28) for i in range(n)]


def frame(values, dtype=None) -> pd.DataFrame:
    x = np.random.default_rng(0).normal(size=N)
    return pd.DataFrame({"x": x, "c": pd.Series(values, dtype=dtype)})


def objects(*values) -> pd.DataFrame:
    column = np.empty(N, dtype=object)
    column[:] = [values[i % len(values)] for i in range(N)]
    return frame(column, object)


def arrow(values, kind: pa.DataType) -> pd.DataFrame:
    return frame(values, pd.ArrowDtype(kind))


NUMBERS = np.random.default_rng(1).normal(size=(N, 3))
HOURS = pd.date_range("2020-10-24", periods=N, freq="h")
CASES = {
    "all missing": frame(np.full(N, np.nan)),
    "all None": objects(None),
    "booleans and None": objects(True, None, False),
    "period": frame(pd.period_range("2020-01", periods=N, freq="M")),
    "interval": frame(pd.arrays.IntervalArray.from_breaks(range(N + 1))),
    "category of intervals": frame(pd.cut(pd.Series(NUMBERS[:, 0]), 5)),
    "category of numbers": frame(pd.Categorical(np.arange(N) % 5 / 2)),
    "category of times": frame(pd.Categorical(HOURS)),
    "category without a value": frame(pd.Categorical([None] * N, categories=["a"])),
    "sparse beside dense": frame(pd.arrays.SparseArray(np.arange(N) % 2 * 3.0)),
    "great integers": frame(np.arange(N) * 10**14 + 2**62),
    "great unsigned integers": frame(np.arange(N).astype(np.uint64) * 10**14 + 2**63),
    "UInt8": frame(np.arange(N), "UInt8"),
    "Float32": frame(NUMBERS[:, 0], "Float32"),
    "dates as objects": frame(np.array(days(), dtype=object), object),
    "times as objects": objects(dt.time(3), dt.time(4), dt.time(22)),
    "all sorts as objects": objects(1, "a", 2.5, None),
    "1 and '1'": objects(1, "1"),
    "bytes": objects(b"a", b"b"),
    "texts that all differ": frame([f"name {i}" for i in range(N)]),
    "long texts": frame([f"{'a' * 200}{i % 3}" for i in range(N)]),
    "Arrow dictionary": arrow(["a", "b"] * 60, pa.dictionary(pa.int32(), pa.string())),
    "Arrow dates": arrow(days(), pa.date32()),
    "Arrow decimals": arrow([decimal.Decimal(i) / 4 for i in range(N)], pa.decimal128(10, 2)),
    "Arrow zone": arrow(HOURS.tz_localize("UTC"), pa.timestamp("us", tz="Europe/Berlin")),
    "Arrow times": arrow([dt.time(i % 24) for i in range(N)], pa.time64("us")),
    "Arrow durations": arrow([dt.timedelta(hours=i) for i in range(N)], pa.duration("us")),
    "Arrow null": arrow([None] * N, pa.null()),
    "Arrow binary": arrow([b"a", b"b"] * 60, pa.binary()),
    "zone with a change of clocks": frame(HOURS.tz_localize("UTC").tz_convert("Europe/Berlin")),
    "columns of two levels": pd.DataFrame(
        NUMBERS[:, :2], columns=pd.MultiIndex.from_tuples([("a", 1), ("a", 2)])
    ),
    "float16": NUMBERS.astype(np.float16),
    "longdouble": NUMBERS.astype(np.longdouble),
    "numpy texts": np.array(["ab", "c"])[np.arange(2 * N).reshape(N, 2) % 2],
    "numpy bytes": np.array([b"ab", b"c"])[np.arange(2 * N).reshape(N, 2) % 2],
    "numpy days": np.array(days(), dtype="M8[D]").reshape(-1, 1),
    "numpy durations": np.arange(N).astype("m8[h]").reshape(-1, 1),
    "column by column": np.asfortranarray(NUMBERS),
    "every second column": NUMBERS[:, ::2],
    "big-endian": NUMBERS.astype(">f8"),
    "constant": np.ones((N, 1)),
    "all rows alike": np.tile([1.5, 2.5], (N, 1)),
    "a class without a value": np.where((Y == 1)[:, None], np.nan, NUMBERS),
    "great floats": NUMBERS * 1e100,
    "polars": pl.DataFrame(
        {
            "m": [decimal.Decimal(i) / 4 for i in range(N)],
            "t": [dt.time(i % 24) for i in range(N)],
            "d": days(),
            "w": [dt.timedelta(days=i) for i in range(N)],
            "b": [b"a", b"b"] * 60,
            "none": [None] * N,
            "nan": [float("nan"), None, 1.25] * 40,
            "i": pl.Series(range(N), dtype=pl.Int8),
        }
    ),
    "pyarrow": pa.table(
        {
            "l": pa.array(["a", "b"] * 60, pa.large_string()),
            "v": pa.array(["a", "b"] * 60, pa.string_view()),
            "i": pa.array([5, 7] * 60).dictionary_encode(),
            "h": pa.array(NUMBERS[:, 0].astype(np.float16)),
            "d": pa.array(days(), pa.date64()),
        }
    ),
    "pyarrow in chunks": pa.concat_tables(
        [
            pa.table({"s": ["u", "v"] * 30, "e": [1] * 60}),
            pa.table({"s": ["w"] * 60, "e": [2] * 60}),
        ]
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_seldom_types_come_back(case: str) -> None:
    real = CASES[case]
    for sampler in (SMOTE, CopulaSampler, RandomOverSampler):
        table, y = sampler(random_state=0).fit_resample(real, Y)
        assert type_of(table) == type_of(real)
        assert len(table) == len(y) == 200
        assert same_rows(table[:N], real)
    few, _ = HardNegatives(random_state=0, n_folds=2).fit_resample(real, Y)
    assert type(few) is type(real)


def test_what_cannot_be_is_said() -> None:
    with pytest.raises(ValueError, match="1 rows"):
        SMOTE(random_state=0).fit_resample([[1.5], [2.5], [3.5]], [0, 0, 1])
    with pytest.raises(ValueError, match="nested"):
        SMOTE().fit_resample(pl.DataFrame({"d": [[1], [2]] * 60}), Y)

"""Every type of table comes back as it went in: container, dtypes, index, real rows, missing cells."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from benchmarks.minority.dtype_cases import cases, labels, same_rows, type_of
from twinset.sklearn import (
    ROSE,
    SMOTE,
    BorderlineSMOTE,
    CopulaSampler,
    FilteredSampler,
    RandomOverSampler,
    TreesSampler,
)

N, N_NEW = 240, 160
# The others convert tables by the same code: a table of each library is enough for them.
BASIC = ("numpy float64 with NaN", "pandas category with NaN", "polars, mixed with nulls",
         "pyarrow, mixed with nulls")  # fmt: skip


def missing_share(table, name) -> float:
    if isinstance(table, np.ndarray):
        return float(pd.isna(table[:, name]).mean())
    if isinstance(table, pd.DataFrame):
        return float(table[name].isna().mean())
    column = table[name]
    return (
        column.null_count / len(column) if isinstance(table, pa.Table) else column.is_null().mean()
    )


def names_of(table) -> list:
    if isinstance(table, np.ndarray):
        return list(range(table.shape[1]))
    return list(table.column_names if isinstance(table, pa.Table) else table.columns)


def check_types(real, sampler) -> object:
    """Return the resampled table, whose types, real rows and gaps are as they were."""
    table, y = sampler(random_state=0).fit_resample(real, labels())
    assert type_of(table) == type_of(real)
    assert len(table) == len(y) == N + N_NEW
    assert same_rows(table[:N], real)
    frauds, new = real[200:], table[N:]
    for name in names_of(real):
        before, after = missing_share(frauds, name), missing_share(new, name)
        assert before > 0 or after == 0
        if sampler is BorderlineSMOTE:
            continue  # It starts from some rows only, which may miss more or less.
        assert before == 0 or after > 0
        assert after == pytest.approx(before, abs=0.25)
    return table


@pytest.mark.parametrize("case", cases())
def test_types_and_kinds_of_values_come_back(case: str) -> None:
    real = cases()[case]()
    for sampler in (RandomOverSampler, CopulaSampler):
        check_types(real, sampler)
    frame = check_types(real, SMOTE)
    if not isinstance(frame, pd.DataFrame):
        return
    new, old = frame.iloc[N:], frame.iloc[:N]
    cents = new["amount"] * 100
    assert np.allclose(cents, np.round(cents), atol=1e-6)
    assert new["amount"].between(old["amount"][200:].min(), old["amount"][200:].max()).all()
    for name in set(frame) & {"s", "c"}:
        assert set(new[name].dropna()) <= set(old[name].dropna())
    for name in set(frame) & {"t"}:
        assert (new[name].dropna().dt.minute == 0).all()
    if "d" in frame:
        assert (new["d"] % pd.Timedelta("1h") == pd.Timedelta(0)).all()
    if "money" in frame:
        assert all(value.as_tuple().exponent >= -2 for value in new["money"])


@pytest.mark.parametrize("sampler", [ROSE, BorderlineSMOTE, TreesSampler, FilteredSampler])
def test_types_come_back_from_every_sampler(sampler) -> None:
    for case in BASIC:
        check_types(cases()[case](), sampler)


def test_labels_come_back_in_their_own_type() -> None:
    X = cases()["numpy float64"]()
    y = np.array(["good", "bad"])[labels()]
    given = [
        y,
        y.tolist(),
        pd.Series(y, name="kind", dtype="category"),
        pd.Series(y, dtype="string"),
        pd.Series(labels(), dtype="Int64"),
        pd.Series(labels(), dtype="int8[pyarrow]"),
        pd.DataFrame({"kind": y}),
        pl.Series("kind", y),
        pa.array(y),
        pa.chunked_array([pa.array(labels())]),
        labels().astype(bool),
    ]
    for one in given:
        _, out = SMOTE(random_state=0).fit_resample(X, one)
        assert type(out) is type(one)
        assert len(out) == 400
        for attribute in ("dtype", "dtypes", "type", "name"):
            before, after = getattr(one, attribute, None), getattr(out, attribute, None)
            assert str(before) == str(after)


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (pd.RangeIndex(4), [0, 1, 2, 3, 4, 5]),
        (pd.Index([10, 40, 20, 30], name="k"), [10, 40, 20, 30, 41, 42]),
        (pd.Index(list("abcd")), ["a", "b", "c", "d", "synthetic-0", "synthetic-1"]),
        (
            pd.Index(["a", "synthetic-4", "c", "synthetic-x"]),
            ["a", "synthetic-4", "c", "synthetic-x", "synthetic-5", "synthetic-6"],
        ),
        (pd.MultiIndex.from_product([["u", "v"], [1, 2]]), None),
        (pd.date_range("2024-01-01", periods=4, freq="D"), None),
    ],
)
def test_real_rows_keep_their_index(index, expected) -> None:
    X = pd.DataFrame({"x": [1.5, 2.25, 3.125, 4.5]}, index=index)
    y = pd.Series([0, 0, 0, 1], index=index)
    made, out = RandomOverSampler(random_state=0).fit_resample(X, y)
    assert made.index.equals(out.index)
    assert made.index[:4].equals(index)
    assert made.index.names == index.names
    if expected is None:
        # The label of the only real row of the class.
        assert made.index[4:].to_list() == [index[3]] * 2
    else:
        assert made.index.to_list() == expected


def test_odd_column_names_are_kept() -> None:
    X = pd.DataFrame(cases()["numpy float64"](), columns=["_id", 3, "x", "x"])
    X.insert(0, "word", "a")
    made, _ = SMOTE(random_state=0).fit_resample(X, labels())
    assert made.columns.to_list() == ["word", "_id", 3, "x", "x"]


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.array([[1.0], [np.inf], [2.0]]), "infinity"),
        (pd.DataFrame({"a": [1.0, -np.inf, 2.0]}), "infinity"),
        (pl.DataFrame({"a": [1.0, float("inf"), 2.0]}), "infinity"),
        (pa.table({"a": [[1], [2], [3]]}), "nested"),
        (pd.DataFrame({"a": [{}, {}, {}]}), "cannot be compared"),
        (np.zeros(3), "2D"),
        (pd.DataFrame(index=[0, 1, 2]), "0 feature"),
    ],
)
def test_what_cannot_be_used_is_said(X, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SMOTE(random_state=0).fit_resample(X, [0, 0, 1])

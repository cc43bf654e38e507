"""Conditions on the chain of trees: random sets of them on real tables, and the corners."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Condition, Where
from twinset.core.errors import ParameterError, SchemaError
from twinset.core.seeding import rng_for
from twinset.generators.tabular.trees import Trees
from twinset.io import read_dataset

ROWS = 2500


def adult(folder: Path) -> Dataset:
    text = gzip.decompress((folder / "tabular/adult/adult.data.gz").read_bytes())
    read = pa.csv.ReadOptions(autogenerate_column_names=True)
    convert = pa.csv.ConvertOptions(null_values=["?"], strings_can_be_null=True)
    table = pa.csv.read_csv(io.BytesIO(text.replace(b", ", b",")), read, convert_options=convert)
    return Dataset.from_arrow(table)


def real_table(folder: Path, name: str) -> Dataset:
    if name == "adult":
        data = adult(folder)
    elif name == "shoppers":
        data = read_dataset(folder / "tabular/shoppers/online_shoppers_intention.csv.gz")
    else:
        data = read_dataset(folder / "health/thyroid/thyroidDF.csv")
    kept = [f.name for f in data.schema.fields if f.kind not in ("id", "text")]
    data = Dataset(data.records.select(kept), data.schema.select(kept), data.card)
    return data.take(np.random.default_rng(0).permutation(len(data))[:ROWS])


def one_condition(data: Dataset, name: str, rng: np.random.Generator) -> Condition:
    """Return a random condition that some value of the column meets."""
    column = data.records.column(name)
    null = data.is_null(name)
    pick = rng.choice(np.flatnonzero(~null), 3)
    values = [column[int(i)].as_py() for i in pick]
    if null.any() and rng.random() < 0.2:
        return None if rng.random() < 0.5 else {"not": None}
    if data.schema[name].kind in ("number", "integer"):
        low, high = sorted(values[:2])
        return [{"ge": low, "le": high}, {"ge": low}, {"le": high}, values[0],
                {"not": {"gt": high}}][rng.integers(5)]  # fmt: skip
    shapes: list[Condition] = [values[0], values]
    if (np.array(column.to_pylist(), dtype=object)[~null] != values[0]).any():
        shapes.append({"not": values[0]})
    if null.any():
        shapes.append([values[0], None])
    return shapes[rng.integers(len(shapes))]


def random_where(data: Dataset, rng: np.random.Generator) -> Where:
    names = rng.choice(data.schema.names, rng.integers(1, 5), replace=False)
    return Where({str(name): one_condition(data, str(name), rng) for name in names})


@pytest.mark.parametrize("name", ["adult", "shoppers", "thyroid"])
def test_random_conditions_on_real_tables(shared_data: Path, name: str) -> None:
    """Random sets of conditions over three tables: exact counts, all met, none hangs."""
    data = real_table(shared_data, name)
    fitted = Trees().fit(data, rng_for(0, "fit"))
    rng = np.random.default_rng(1)
    for _ in range(12):
        where, n = random_where(data, rng), int(rng.integers(1, 60))
        made = fitted.sample(n, rng_for(1, "draw"), where)
        assert len(made) == n
        assert made.mask(where).all(), str(where)
    assert len(fitted._orders) <= 16


def mixed(n: int = 2000) -> Dataset:
    rng = np.random.default_rng(0)
    x = rng.normal(size=n).round(2)
    kind = np.array(["a", "b", "c"])[rng.choice(3, n, p=[0.7, 0.25, 0.05])]
    return Dataset.from_arrow(
        pa.table(
            {
                "kind": kind,
                "x": x,
                "y": (x + (kind == "c") * 4 + 0.5 * rng.normal(size=n)).round(3),
                "gap": pa.array(rng.normal(size=n).round(3), mask=x > 1),
                "flag": rng.random(n) < 0.1,
            }
        )
    )


@pytest.fixture(scope="module")
def fitted():
    return Trees().fit(mixed(), rng_for(0, "fit"))


def test_conditioned_rows_are_like_real_rows_that_meet_it(fitted) -> None:
    real, where = mixed(), Where({"y": {"ge": 2}})
    made, meant = fitted.sample(2000, rng_for(0, "draw"), where), real.where(where)
    assert made.mask(where).all()
    for name in ("x", "y"):
        far = abs(made.values(name).mean() - meant.values(name).mean())
        assert far < 0.25 * meant.values(name).std()
    share = [np.mean(np.array(d.records.column("kind").to_pylist()) == "c") for d in (made, meant)]
    assert share[0] == pytest.approx(share[1], abs=0.1)


def test_null_and_not_null(fitted) -> None:
    for condition in (None, {"not": None}, {"ge": 0.5}):
        where = Where({"gap": condition})
        made = fitted.sample(300, rng_for(0, "draw"), where)
        assert made.mask(where).all()
        missing = made.is_null("gap")
        assert missing.all() == (condition is None)
        # It is missing just where x > 1.
        assert np.mean((made.values("x") > 1) == missing) > 0.97


def test_conditions_that_no_row_meets_together_are_met_all_the_same(fitted) -> None:
    where = Where({"x": {"ge": 1.5}, "gap": {"ge": 1.5}, "kind": "c"})
    assert not mixed().mask(where).any()
    made = fitted.sample(100, rng_for(0, "draw"), where)
    assert made.mask(where).all()


def test_impossible_conditions_are_errors(fitted) -> None:
    wheres: list[dict[str, Condition]] = [
        {"x": {"ge": 1000}}, {"kind": "z"}, {"x": None}, {"x": {"ge": 1, "lt": 0}}, {"flag": []},
    ]  # fmt: skip
    for where in wheres:
        with pytest.raises(ParameterError, match="no row with"):
            fitted.sample(5, rng_for(0, "draw"), Where(where))
    with pytest.raises(SchemaError, match="does not exist"):
        fitted.sample(5, rng_for(0, "draw"), Where({"kinf": "a"}))


def test_no_rows_and_one_row(fitted) -> None:
    for n in (0, 1):
        assert len(fitted.sample(n, rng_for(0, "draw"))) == n
        assert len(fitted.sample(n, rng_for(0, "draw"), Where({"flag": True}))) == n


def test_a_value_that_the_tree_of_a_long_table_did_not_see(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trees learn from a part of the rows; conditions may mean any row."""
    monkeypatch.setattr("twinset.generators.tabular._trees.chain.MAX_TREE_ROWS", 300)
    real = mixed()
    fitted = Trees().fit(real, rng_for(0, "fit"))
    for value in np.unique(real.values("x"))[:5]:
        made = fitted.sample(20, rng_for(0, "draw"), Where({"x": float(value)}))
        assert made.values("x").tolist() == [value] * 20


def test_few_orders_are_kept(fitted) -> None:
    rng = np.random.default_rng(0)
    for _ in range(25):
        fitted.sample(1, rng, random_where(mixed(), rng))
    assert len(fitted._orders) <= 16

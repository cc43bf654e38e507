"""Aggregates by hand, against a plain loop, and in a run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field, Schema
from twinset.core.data.window_features import (
    Aggregate,
    aggregate,
    agreement,
    recomputed,
    with_aggregate,
)
from twinset.core.errors import RecipeError, SchemaError
from twinset.workflows.run import run
from twinset.workflows.twin import twin

CARD = ["a", "a", "b", "a", None, "a"]
TIME = [0, 10, 12, 15, 15, 40]
AMOUNT = [1.0, 2.0, 3.0, None, 5.0, 8.0]


def cards() -> Dataset:
    fields = (
        Field(name="card", kind="category", role="group"),
        Field(name="t", kind="integer", role="time"),
        Field(name="amount", kind="number"),
    )
    return Dataset.from_arrow(pa.table({"card": CARD, "t": TIME, "amount": AMOUNT}), Schema(fields))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"how": "count", "over": 10}, [1, 1, 1, 2, 1, 1]),
        ({"how": "count"}, [1, 2, 1, 3, 1, 4]),
        ({"how": "count", "over": 11, "with_row": False}, [0, 1, 0, 1, 0, 0]),
        ({"how": "sum", "of": "amount", "over": 20}, [1, 3, 3, 3, 5, 8]),
        ({"how": "mean", "of": "amount", "over": 20}, [1, 1.5, 3, 1.5, 5, 8]),
        ({"how": "max", "of": "amount"}, [1, 2, 3, 2, 5, 8]),
        ({"how": "min", "of": "amount", "with_row": False}, [None, 1, None, 1, None, 1]),
        ({"how": "since_last"}, [None, 10, None, 5, None, 25]),
    ],
)
def test_values_by_hand(spec: dict[str, Any], expected: list[float | None]) -> None:
    found = aggregate(cards(), Aggregate.from_json(spec))
    assert [None if np.isnan(v) else v for v in found.tolist()] == expected


rows = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 30), st.floats(-100, 100)), min_size=1, max_size=40
)


@settings(max_examples=60, deadline=None)
@given(rows, st.sampled_from(["count", "sum", "mean", "max", "min"]), st.integers(1, 20))
def test_values_are_those_of_a_plain_loop(
    found: list[tuple[int, int, float]], how: Any, over: int
) -> None:
    card, t, amount = map(np.array, zip(*found))
    table = pa.table({"card": card.astype(str), "t": t, "amount": amount})
    data = Dataset.from_arrow(table, cards().schema)
    made = aggregate(data, Aggregate(how=how, of="amount", over=over))
    for i, value in enumerate(made):
        window = amount[(card == card[i]) & (t <= t[i]) & (t > t[i] - over)]
        plain = len(window) if how == "count" else getattr(window, how)()
        assert value == pytest.approx(float(plain), abs=1e-9)


def test_datetimes_count_in_seconds_and_ties_do_not_depend_on_the_order() -> None:
    day = 86_400_000_000
    fields = (*cards().schema.fields[:1], Field(name="t", kind="datetime", role="time"))
    times = pa.array([0, 6 * day, 7 * day, 7 * day], pa.timestamp("us"))
    data = Dataset.from_arrow(pa.table({"card": ["a"] * 4, "t": times}), Schema(fields))
    week = Aggregate(how="count", over="7d")
    assert aggregate(data, week).tolist() == [1, 2, 3, 3]
    assert aggregate(data.take([3, 2, 1, 0]), week).tolist() == [3, 3, 2, 1]


def test_synthetic_rows_look_at_the_real_past_and_at_one_another() -> None:
    real = with_aggregate(cards(), "n", Aggregate(how="count"))
    assert real.schema["n"].kind == "integer"
    assert real.values("n").tolist() == [1, 2, 1, 3, 1, 4]
    made = real.take([2, 0]).with_schema(real.schema)
    again = recomputed(made, [real])
    assert again.values("n").tolist() == [2, 2]
    assert recomputed(cards()) == cards()
    assert agreement(real) == {"n": 1.0}
    assert agreement(real.take([5, 4]))["n"] == 0.5


def test_a_whole_amount_agrees_to_half_a_unit() -> None:
    total = Aggregate(how="sum", of="amount")
    real = with_aggregate(cards(), "sum", total)
    fields = [replace(f, decimals=0) if f.name == "sum" else f for f in real.schema.fields]
    at = real.records.column_names.index("sum")
    near = pa.array(real.values("sum") + 0.4)
    rounded = replace(real, records=real.records.set_column(at, "sum", near))
    assert agreement(rounded) == {"sum": 0.0}
    assert agreement(rounded.with_schema(Schema(tuple(fields)))) == {"sum": 1.0}


def test_a_huge_value_takes_no_digits_from_other_windows() -> None:
    columns = {
        "card": ["a", "b", "a", "c"],
        "t": [0, 0, 50, 0],
        "amount": [1e17, 0.1, 0.25, 0.3],
    }
    data = Dataset.from_arrow(pa.table(columns), cards().schema)
    found = aggregate(data, Aggregate(how="sum", of="amount", over=20))
    assert found.tolist() == [1e17, 0.1, 0.25, 0.3]
    mean = aggregate(data, Aggregate(how="mean", of="amount", over=20))
    assert mean.tolist() == [1e17, 0.1, 0.25, 0.3]


def test_a_declared_aggregate_survives_json() -> None:
    spec = Aggregate(how="sum", of="amount", over="7d", with_row=False)
    schema = Schema((Field(name="s", kind="number", aggregate=spec),))
    assert Schema.from_json(json.loads(json.dumps(schema.to_json()))) == schema
    plain = Schema((Field(name="s", kind="number"),))
    assert "aggregate" not in plain.to_json()["fields"][0]


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"how": "summ", "of": "x"}, "did you mean 'sum'"),
        ({"how": "sum"}, "name it under 'of'"),
        ({"of": "x"}, "does not say how"),
        ({"how": "count", "over": "7 days"}, "e.g. 7d"),
        ({"how": "count", "over": 0}, "window of an aggregate is empty"),
        ({"how": "count", "window": "7d"}, "no setting 'window'"),
    ],
)
def test_a_wrong_declaration_is_refused(spec: dict[str, Any], told: str) -> None:
    with pytest.raises(SchemaError, match=told):
        Aggregate.from_json(spec)


def test_an_aggregate_without_a_group_is_refused() -> None:
    field = replace(cards().schema["card"], role="feature")
    data = cards().with_schema(cards().schema.with_field(field))
    with pytest.raises(SchemaError, match="role group"):
        aggregate(data, Aggregate(how="count"))


RECIPE = """
name: velocity
seed: 1
brief: {task: classification, target: fraud}
source:
  path: real.csv
  licence: CC0-1.0
  schema:
    card: {kind: category, role: group}
    t: {role: time}
    n_20: {aggregate: {how: count, over: 20}}
    spent: {aggregate: {how: sum, of: amount, over: 50}}
split: {by: time, on: t, holdout_fraction: 0.3}
generate: [{use: tabular.bootstrap, rows: 40}, {use: tabular.marginals, rows: 30}]
evaluate: {metrics: [gap.marginals]}
deliver: {to: out}
"""


def test_a_run_computes_declared_aggregates_of_real_and_synthetic_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    table = pa.table(
        {
            "card": [f"c{i}" for i in rng.integers(0, 20, 300)],
            "t": np.arange(300),
            "amount": np.round(rng.gamma(2, 20, 300), 2),
            "fraud": np.where(rng.random(300) < 0.2, "yes", "no"),
        }
    )
    pa.csv.write_csv(table, tmp_path / "real.csv")
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    run(tmp_path / "recipe.yaml", root=tmp_path / "root")
    from twinset.catalog import Catalog

    catalog = Catalog(tmp_path / "root")
    train = catalog.load(catalog.find("velocity.real.train"))
    assert [f.name for f in train.schema.aggregates] == ["n_20", "spent"]
    assert agreement(train) == {"n_20": 1.0, "spent": 1.0}
    for step in ("bootstrap", "marginals"):
        made = catalog.load(catalog.find(f"velocity.{step}"))
        again = recomputed(made, [train])
        assert again.records.equals(made.records)
    with pytest.raises(RecipeError, match="did you mean 'count'"):
        run(
            tmp_path / "recipe.yaml",
            root=tmp_path / "root",
            overrides=["source.schema.n_20.aggregate.how=cuont"],
        )


def test_a_twin_gets_its_aggregates_computed() -> None:
    rng = np.random.default_rng(0)
    table = pa.table(
        {
            "card": [f"c{i}" for i in rng.integers(0, 20, 300)],
            "t": np.arange(300),
            "amount": np.round(rng.gamma(2, 20, 300), 2),
        }
    )
    schema = cards().schema
    spec = Aggregate(how="sum", of="amount", over=50)
    real = with_aggregate(Dataset.from_arrow(table, schema), "spent", spec)
    made = twin(real, use="tabular.marginals", rows=80, holdout_fraction=0).synthetic
    assert recomputed(made, [real]).values("spent") == pytest.approx(made.values("spent"))

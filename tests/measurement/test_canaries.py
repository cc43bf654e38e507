import numpy as np
import pyarrow as pa
import pytest

from twinset.core.data.dataset import Dataset
from twinset.core.data.rule import Rule
from twinset.core.data.schema import Field, Schema
from twinset.core.errors import DataError, ParameterError, SchemaError
from twinset.core.rules.violations import violations
from twinset.core.seeding import rng_for
from twinset.measurement.canaries import plant_canaries, recover_canaries
from twinset.testing import example_dataset


def customers(n: int, seed: int) -> Dataset:
    rng = rng_for(seed, "customers")
    age = rng.integers(18, 90, n)
    table = {
        "age": age,
        "income": pa.array(
            np.round(800.0 * age + rng.normal(0, 2000, n), 2), mask=rng.random(n) < 0.1
        ),
        "town": np.where(age > 50, "Oslo", np.where(rng.random(n) < 0.02, "Moss", "Bergen")),
        "old": age > 50,
    }
    return Dataset.from_arrow(pa.table(table))


def independent(dataset: Dataset, rng: np.random.Generator) -> Dataset:
    columns = [
        dataset.records.column(name).take(pa.array(rng.permutation(len(dataset))))
        for name in dataset.schema.names
    ]
    return Dataset.from_arrow(pa.table(columns, names=list(dataset.schema.names)), dataset.schema)


def test_all_come_back_in_a_copy_and_none_in_the_table_before() -> None:
    real = customers(800, 1)
    planted, canaries = plant_canaries(real, 20, rng_for(1, "plant"))
    found = recover_canaries(canaries, planted)
    assert (found.n, found.recall, found.control_recall) == (20, 1.0, 0.0)
    assert found.auc == 1.0
    assert found.interval[0] > 0.9
    before = recover_canaries(canaries, real)
    assert before.recall == 0
    assert before.interval[0] < 0.5 < before.interval[1]


def test_every_cell_is_a_real_value_and_every_row_is_far_and_new() -> None:
    real = customers(500, 2)
    canaries = plant_canaries(real, 30, rng_for(2, "plant"))[1]
    for part in (canaries.planted, canaries.control):
        for name in real.schema.names:
            seen = set(real.records.column(name).to_pylist())
            assert set(part.records.column(name).to_pylist()) <= seen
    rows = {tuple(row.values()) for row in real.records.to_pylist()}
    both = Dataset.concat([canaries.planted, canaries.control]).records.to_pylist()
    made = {tuple(row.values()) for row in both}
    assert len(made) == 60
    assert not made & rows
    # Which are planted is left to chance.
    assert canaries.planted.values("age").max() > canaries.control.values("age").mean()
    assert canaries.control.values("age").max() > canaries.planted.values("age").mean()
    # Far: in the real rows age tells income to within a few thousand; a canary breaks such ties.
    off = np.abs(canaries.planted.values("income") - 800 * canaries.planted.values("age"))
    assert np.median(off) > 5000


def test_real_rows_stay_in_order_and_canaries_stand_anywhere() -> None:
    real = customers(300, 3)
    planted, canaries = plant_canaries(real, 10, rng_for(3, "plant"))
    rows = [tuple(row.values()) for row in planted.records.to_pylist()]
    own = {tuple(row.values()) for row in canaries.planted.records.to_pylist()}
    places = [i for i, row in enumerate(rows) if row in own]
    assert len(places) == 10
    assert max(places) - min(places) > 100
    assert [row for row in rows if row not in own] == [
        tuple(row.values()) for row in real.records.to_pylist()
    ]
    assert "canaries" in planted.card.notes[-1]
    assert real.card.notes == ()


def test_the_same_stream_plants_the_same_canaries() -> None:
    real = customers(300, 4)
    one, other, third = (
        plant_canaries(real, 5, rng_for(seed, "plant"))[0].digest for seed in (1, 1, 2)
    )
    assert one == other != third


def test_a_generator_that_learns_nothing_by_heart_scores_chance() -> None:
    real, values = customers(400, 5), []
    for seed in range(12):
        planted, canaries = plant_canaries(real, 20, rng_for(seed, "plant"))
        found = recover_canaries(canaries, independent(planted, rng_for(seed, "shuffle")))
        values.append(found.auc)
        assert found.recall <= 0.1
    assert np.mean(values) == pytest.approx(0.5, abs=0.08)


def test_rows_near_the_canaries_are_told_though_none_is_exact() -> None:
    planted, canaries = plant_canaries(customers(500, 6), 30, rng_for(6, "plant"))
    table = planted.to_arrow().to_pandas()
    table["income"] += 0.37
    found = recover_canaries(canaries, Dataset.from_arrow(table, planted.schema))
    assert found.recall == 0
    assert found.interval[0] > 0.9


def test_recall_compares_what_is_delivered() -> None:
    planted, canaries = plant_canaries(customers(300, 7), 10, rng_for(7, "plant"))
    table = planted.to_arrow().to_pandas()
    table["income"] += 0.001
    assert recover_canaries(canaries, Dataset.from_arrow(table, planted.schema)).recall == 1.0


def test_rules_hold_in_canaries() -> None:
    rng = rng_for(8, "sums")
    net = np.round(rng.gamma(2.0, 50.0, 400), 2)
    tax = np.round(0.2 * net + rng.random(400), 2)
    fields = tuple(Field(name=name, kind="number", decimals=2) for name in ("net", "tax", "all"))
    schema = Schema(fields, (Rule("sum", ("all", "net", "tax")),))
    real = Dataset.from_arrow(
        pa.table({"net": net, "tax": tax, "all": np.round(net + tax, 2)}), schema
    )
    planted, canaries = plant_canaries(real, 10, rng_for(8, "plant"))
    assert not violations(schema.rules[0], planted).any()
    assert recover_canaries(canaries, planted).recall == 1.0


def test_ids_are_fresh_and_texts_are_placeholders() -> None:
    table = {
        "card": [f"C-{i:04d}" for i in range(200)],
        "note": [f"call number {i}" for i in range(200)],
        "x": np.arange(200) / 7,
        "y": np.arange(200) / 3,
    }
    kinds = {"card": "id", "note": "text", "x": "number", "y": "number"}
    schema = Schema(tuple(Field(name=name, kind=kind) for name, kind in kinds.items()))
    real = Dataset.from_arrow(pa.table(table), schema)
    planted, canaries = plant_canaries(real, 10, rng_for(9, "plant"))
    ids = planted.records.column("card").to_pylist()
    assert len(set(ids)) == 210
    notes = canaries.planted.records.column("note").to_pylist()
    assert not set(notes) & set(table["note"])


def test_what_cannot_be_planted_is_said() -> None:
    real = customers(50, 1)
    with pytest.raises(ParameterError):
        plant_canaries(real, 0, rng_for(1, "x"))
    with pytest.raises(DataError):
        plant_canaries(real.slice(0, 1), 1, rng_for(1, "x"))
    every = Dataset.from_arrow(pa.table({"a": [True, True, False, False], "b": [True, False] * 2}))
    with pytest.raises(DataError, match="no room"):
        plant_canaries(every, 1, rng_for(1, "x"))
    with pytest.raises(SchemaError, match="boxes"):
        plant_canaries(example_dataset({"number", "boxes"}), 1, rng_for(1, "x"))
    planted, canaries = plant_canaries(real, 2, rng_for(1, "x"))
    with pytest.raises(DataError):
        recover_canaries(canaries, planted.slice(0, 0))
    with pytest.raises(SchemaError, match="income"):
        recover_canaries(canaries, planted.select(["age", "town", "old"]))

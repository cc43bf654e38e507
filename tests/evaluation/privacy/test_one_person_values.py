import numpy as np
import pyarrow as pa

from twinset.core.data.dataset import Dataset
from twinset.core.findings import OnePersonCounts
from twinset.core.seeding import rng_for
from twinset.evaluation.privacy.one_person_values import OnePersonValues, count_one_person_values


def table(n: int, seed: int) -> Dataset:
    rng = rng_for(seed, "rows")
    amount = np.round(np.exp(rng.normal(6, 1, n)), 2)
    return Dataset.from_arrow(pa.table({"amount": amount, "age": rng.integers(20, 60, n)}))


def test_a_copied_column_counts_and_fresh_rows_do_not(compare, rng) -> None:
    train, fresh, holdout = (table(400, seed) for seed in range(3))
    honest = OnePersonValues().compute(compare(fresh, holdout, train), rng)
    assert honest.value == 0
    copied = train.records.set_column(1, "age", fresh.records.column("age"))
    leak = OnePersonValues().compute(compare(Dataset.from_arrow(copied), holdout, train), rng)
    found = leak.finding(OnePersonCounts)
    assert leak.value > 0.9
    assert found.columns == ("amount",)
    assert found.n_kept > 0.9 * found.n_values
    assert found.n_expected < 20


def test_small_excesses_of_many_columns_add_up(compare, rng) -> None:
    def wide(seed: int) -> np.ndarray:
        return rng_for(seed, "wide").normal(size=(60, 40)).round(6)

    def named(values: np.ndarray) -> Dataset:
        return Dataset.from_arrow(pa.table({f"x{j}": column for j, column in enumerate(values.T)}))

    train, made = wide(0), wide(1)
    made[:2] = train[:2]  # two values of each column: no column shows it, two whole rows do
    both = [named(values) for values in (train, made, wide(2))]
    assert OnePersonValues().compute(compare(both[1], both[2], both[0]), rng).value == 0
    made[:20, :20] = train[:20, :20]
    leak = OnePersonValues().compute(compare(named(made), both[2], both[0]), rng)
    assert leak.value > 0.1


def test_coarse_numbers_are_hit_by_chance(compare, rng) -> None:
    """An age that one person has is hit by fresh rows too, and that is no leak."""
    train, fresh, holdout = (table(120, seed).select(["age"]) for seed in (3, 4, 5))
    counts = count_one_person_values(train, fresh, holdout)["age"]
    assert counts.kept > 0
    assert OnePersonValues().compute(compare(fresh, holdout, train), rng).value == 0


def test_several_rows_of_one_person_hold_one_value(compare, rng) -> None:
    from dataclasses import replace

    birth = np.repeat(np.arange(100) * 137, 5)
    rows = Dataset.from_arrow(pa.table({"who": np.repeat(np.arange(100), 5), "birth": birth}))
    grouped = replace(
        rows, schema=rows.schema.with_field(replace(rows.schema["who"], role="group"))
    )
    assert count_one_person_values(rows, rows, rows)["birth"].n_values == 0
    assert count_one_person_values(grouped, rows, rows)["birth"].n_values == 100


def test_a_table_without_such_values_leaks_none(compare, rng) -> None:
    rows = Dataset.from_arrow(pa.table({"c": ["a", "b"] * 20}))
    found = OnePersonValues().compute(compare(rows, rows, rows), rng)
    assert found.value == 0
    assert found.finding(OnePersonCounts).n_values == 0

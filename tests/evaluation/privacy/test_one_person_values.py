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
    train, fresh, holdout = (table(40, seed).select(["age"]) for seed in (3, 4, 5))
    counts = count_one_person_values(train, fresh, holdout)["age"]
    assert counts.kept > 0
    assert OnePersonValues().compute(compare(fresh, holdout, train), rng).value == 0


def test_a_running_number_is_hit_by_chance_and_a_copied_one_is_not(compare, rng) -> None:
    """No number of a key occurs in two real rows; what is drawn near it hits it all the same."""
    order = rng_for(0, "order").permutation(1_200)

    def rows(numbers: np.ndarray) -> Dataset:
        return Dataset.from_arrow(pa.table({"number": 3 * numbers}))

    train, holdout = rows(order[:800]), rows(order[800:])
    drawn = rng_for(1, "drawn").integers(0, 1_200, 800)
    made = OnePersonValues().compute(compare(rows(drawn), holdout, train), rng)
    assert made.value == 0
    assert made.finding(OnePersonCounts).n_kept > 300
    assert OnePersonValues().compute(compare(train, holdout, train), rng).value > 0.2
    sparse, apart = rows(order[:800] ** 2), rows(order[800:] ** 2)  # places near these are free
    assert OnePersonValues().compute(compare(sparse, apart, sparse), rng).value > 0.9


def test_too_few_rows_show_nothing(compare, rng) -> None:
    train, made, holdout = table(30, 0), table(30, 1), table(15, 2)
    few = OnePersonValues().compute(compare(made, holdout, train), rng)
    assert (few.value, len(few.replicates)) == (0, 2)  # the verdict is "cannot tell"
    many = OnePersonValues().compute(compare(*(table(120, seed) for seed in range(3))), rng)
    assert (many.value, len(many.replicates)) == (0, 0)
    assert OnePersonValues().compute(compare(train, holdout, train), rng).value > 0.5


def test_several_rows_of_one_person_hold_one_value(compare, rng) -> None:
    from dataclasses import replace

    birth = np.repeat(np.arange(100) * 137, 5)
    rows = Dataset.from_arrow(pa.table({"who": np.repeat(np.arange(100), 5), "birth": birth}))
    grouped = replace(
        rows, schema=rows.schema.with_field(replace(rows.schema["who"], role="group"))
    )
    later = pa.table({"who": np.repeat(np.arange(100, 200), 5), "birth": birth + 1})
    unseen = Dataset.from_arrow(later)
    assert count_one_person_values(rows, rows, unseen)["birth"].n_values == 0
    assert count_one_person_values(grouped, rows, unseen)["birth"].n_values == 100


def test_a_table_without_such_values_leaks_none(compare, rng) -> None:
    rows = Dataset.from_arrow(pa.table({"c": ["a", "b"] * 20}))
    found = OnePersonValues().compute(compare(rows, rows, rows), rng)
    assert found.value == 0
    assert found.finding(OnePersonCounts).n_values == 0

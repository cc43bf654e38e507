import numpy as np
import pyarrow as pa

from twinset.core.data.dataset import Dataset
from twinset.core.findings import ColumnLimit
from twinset.core.seeding import rng_for
from twinset.evaluation.gap.rules_kept import RulesKept


def bills(n: int, seed: int) -> Dataset:
    """Draw rows in which net + tax = all, town decides county, and wives are women."""
    rng = rng_for(seed, "bills")
    net, tax = rng.integers(1, 900, n), rng.integers(1, 90, n)
    town = rng.integers(0, 6, n)
    woman = rng.random(n) < 0.5
    role = np.where(rng.random(n) < 0.4, "single", np.where(woman, "wife", "husband"))
    columns = {"net": net, "tax": tax, "all": net + tax, "town": [f"t{i}" for i in town]}
    columns |= {"county": [f"c{i // 2}" for i in town], "sex": np.where(woman, "f", "m")}
    return Dataset.from_arrow(pa.table({**columns, "role": role}))


def with_column(dataset: Dataset, name: str, rows: int, values: list[object]) -> Dataset:
    """Return the set with the first rows of a column replaced."""
    columns = {n: dataset.to_arrow().column(n).to_pylist() for n in dataset.schema.names}
    columns[name][:rows] = values
    return Dataset.from_arrow(pa.table(columns), dataset.schema)


def test_columns_in_which_no_combination_is_looked_for_are_told(compare, rng) -> None:
    wide = Dataset.from_arrow(pa.table({f"c{i}": ["a", "b"] * 50 for i in range(32)}))
    found = RulesKept().compute(compare(wide, wide), rng)
    assert found.finding(ColumnLimit) is not None
    narrow = wide.select([f"c{i}" for i in range(4)])
    assert RulesKept().compute(compare(narrow, narrow), rng).finding(ColumnLimit) is None


def test_real_rows_keep_the_rules(compare, rng) -> None:
    found = RulesKept().compute(compare(bills(500, 1), bills(500, 2), bills(900, 3)), rng)
    assert found.value == 0.0
    assert "sum(all, net, tax)" in found.facts["rule_names"]
    assert "dependency(town, county)" in found.facts["rule_names"]
    assert "combination(sex, role)" in found.facts["rule_names"]
    assert found.facts["broken"] == []


def test_labels_that_real_rows_never_show_are_found(compare, rng) -> None:
    made = with_column(bills(500, 1), "role", 15, ["Wife"] * 15)
    found = RulesKept().compute(compare(made, bills(500, 2), bills(900, 3)), rng)
    assert found.value == 15 / 500
    (worst,) = found.facts["broken"]
    assert (worst["rule"], worst["columns"]) == ("labels(role)", ["role"])
    assert worst["beyond_real"]


def test_columns_with_ever_new_labels_are_no_rule(compare, rng) -> None:
    def rows(seed: int) -> Dataset:
        names = [f"n{i}" for i in rng_for(seed, "names").integers(0, 5_000, 400)]
        return Dataset.from_arrow(pa.table({"name": names, "sex": ["f", "m"] * 200}))

    train = rows(1)
    found = RulesKept().compute(compare(rows(2), rows(3), train), rng)
    assert found.facts["rule_names"] == ["labels(sex)"]
    assert found.value == 0

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.contracts import NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.data.rule import Rule
from twinset.core.findings import BrokenRule, BrokenRules, ColumnLimit
from twinset.core.seeding import rng_for
from twinset.evaluation.gap._label_rules import find_exclusive_codes, find_rows_unlike_train
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


def test_columns_in_which_no_combination_is_looked_for_are_reported(compare, rng) -> None:
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


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("all", 5000, "sum(all, net, tax)"),
        ("county", "c9", "dependency(town, county)"),
        ("role", None, ""),
    ],
)
def test_a_broken_rule_is_named_with_its_rows(compare, rng, column, value, rule) -> None:
    made = with_column(bills(500, 1), column, 40, [value] * 40)
    found = RulesKept().compute(compare(made, bills(500, 2), bills(900, 3)), rng)
    if not rule:
        # A missing value breaks nothing.
        assert found.value == 0.0
        return
    assert found.value == 0.08
    first = found.facts["broken"][0]
    assert (first["rule"], first["synthetic_rows"], first["real_rows"]) == (rule, 40, 0)
    assert first["beyond_real"]
    assert found.finding(BrokenRules).rules[0] == BrokenRule(rule, 40, 0)
    assert found.replicates.mean() == pytest.approx(0.08, abs=0.02)


def test_labels_that_never_stand_together_are_found(compare, rng) -> None:
    made = bills(500, 1)
    other = np.where(np.array(made.to_arrow().column("sex")) == "f", "m", "f").tolist()
    swapped = with_column(made, "sex", 500, other)
    found = RulesKept().compute(compare(swapped, bills(500, 2), bills(900, 3)), rng)
    assert found.facts["broken"][0]["rule"] == "combination(sex, role)"
    assert found.value == pytest.approx(0.6, abs=0.07)


def test_few_real_rows_are_not_counted(compare, rng) -> None:
    made = with_column(bills(500, 1), "all", 40, [5000] * 40)
    real = with_column(bills(500, 2), "all", 3, [5000] * 3)
    found = RulesKept().compute(compare(made, real, bills(900, 3)), rng)
    assert found.facts["broken"][0]["real_rows"] is None


def test_declared_rules_count_and_unknown_values_break_nothing(compare, rng) -> None:
    real = Dataset.from_arrow(pa.table({"a": ["u", "v"] * 20, "b": ["p", "q"] * 20}))
    rules = (Rule("combination", ("a", "b")), Rule("dependency", ("a", "b")))
    declared = replace(real, schema=replace(real.schema, rules=rules))
    made = Dataset.from_arrow(pa.table({"a": ["u", "u", "w", "v"], "b": ["p", "q", "q", "q"]}))
    metric = RulesKept(discover=False)
    found = metric.compute(compare(made, real, declared), rng)
    by_rule = {one["rule"]: one["synthetic_rows"] for one in found.facts["broken"]}
    # The combination w, q is new; for the dependency nothing is known of w.
    assert by_rule == {"combination(a, b)": 2, "dependency(a, b)": 1}
    assert found.value == 0.5


def test_the_most_frequent_answer_of_train_counts() -> None:
    left, right = np.array([0, 0, 0, 1, 1, -1]), np.array([2, 2, 3, 4, 3, 3])
    rows = np.array([0, 0, 1, 1, 5, -1, 0]), np.array([2, 3, 3, 4, 2, 2, -1])
    # Beside 1 train shows 3 and 4 once each: the lesser one counts.
    assert (
        find_rows_unlike_train(*rows, left, right).tolist()
        == [False, True, False, True] + [False] * 3
    )


def test_rare_labels_are_not_kept_apart() -> None:
    a, b = np.repeat([0, 1, 1], [80, 10, 10]), np.repeat([0, 1, 0], [80, 10, 10])
    # Chance would bring 0 and 1 together in 80 * 10 / 100 = 8 rows: too few to tell.
    assert not find_exclusive_codes(a, b).any()
    assert find_exclusive_codes(np.repeat(a, 2), np.repeat(b, 2)).tolist() == [
        [False, True],
        [False, False],
    ]


def test_without_any_rule_it_is_not_measurable(compare, rng) -> None:
    data = Dataset.from_arrow(pa.table({"x": rng.normal(size=60)}))
    with pytest.raises(NotMeasurable, match="no rule"):
        RulesKept().compute(compare(data, data), rng)

"""How rows are mended: by hand for each kind, then chained and overlapping rules, and no way out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.data.dataset import Dataset
from twinset.core.data.rule import Rule
from twinset.core.data.where import Where
from twinset.core.errors import RecipeError
from twinset.core.rules.enforce import (
    BORROWED,
    MOVED,
    REDRAWN,
    EnforcedRows,
    RuleEnforcer,
    RuleTally,
)
from twinset.core.rules.violations import violations

REAL = Dataset.from_arrow(
    pa.table(
        {
            "net": [1.25, 2.5, 7.75, 4.0],
            "tax": [0.25, 0.5, 1.5, 1.0],
            "gross": [1.5, 3.0, 9.25, 5.0],
            "units": [3, 10, 30, 7],
            "start": np.array(["2024-01-01", "2024-01-05", "2024-02-01", "2024-03-01"], "M8[us]"),
            "end": np.array(["2024-01-02", "2024-01-05", "2024-03-31", "2024-03-09"], "M8[us]"),
            "city": ["Rome", "Oslo", "Rome", "Bergen"],
            "land": ["IT", "NO", "IT", "NO"],
            "code": [39, 47, 39, 47],
            "a": [1, 0, 1, 0],
            "b": [0, 1, 0, 0],
            "c": [0, 0, 0, 1],
        }
    )
)
ONE = {name: values[0] for name, values in REAL.to_arrow().to_pydict().items()}


def made(*rows: dict[str, Any]) -> Dataset:
    """Return rows equal to the first real one but for the values given."""
    columns = {name: [row.get(name, ONE[name]) for row in rows] for name in ONE}
    types = {f.name: f.type for f in REAL.to_arrow().schema}
    table = pa.table({n: pa.array(v, types[n]) for n, v in columns.items()})
    return Dataset.from_arrow(table, REAL.schema)


def keeper(*rules: Rule) -> RuleEnforcer:
    found = RuleEnforcer.learn(REAL, rules)
    assert found is not None
    return found


def mended(
    rules: Sequence[Rule], *rows: dict[str, Any], where: Where | None = None
) -> list[dict[str, Any]]:
    """Return what the rows hold after mending, in the columns that the rules name."""
    held = keeper(*rules).enforce(made(*rows), np.random.default_rng(0), where)
    names = dict.fromkeys(name for rule in rules for name in rule.columns)
    return held.dataset.records.select(list(names)).to_pylist()


def day(text: str) -> Any:
    return pa.scalar(np.datetime64(text, "us")).as_py()


SUM = Rule("sum", ("gross", "net", "tax"))


def test_the_total_of_a_sum_is_recomputed_with_its_decimals() -> None:
    assert mended([SUM], {"net": 3.1, "tax": 0.77}) == [{"gross": 3.87, "net": 3.1, "tax": 0.77}]


def test_a_total_that_a_condition_asks_for_stays_and_a_part_gives_way() -> None:
    (row,) = mended([SUM], {"net": 2.0, "tax": 0.5, "gross": 5.0}, where=Where({"gross": 5.0}))
    assert row["gross"] == 5.0
    assert row["net"] + row["tax"] == pytest.approx(5.0)


def test_a_linear_relation_is_solved_for_its_first_column_on_the_grid() -> None:
    factors = {"units": 1, "gross": -2}
    rule = Rule(
        "linear", ("units", "gross"), {"coefficients": factors, "equals": 0, "tolerance": 0.5}
    )
    assert mended([rule], {"gross": 4.1, "units": 30}) == [{"units": 8, "gross": 4.1}]


def test_an_inequality_is_met_with_the_least_move_on_the_right_side_of_the_grid() -> None:
    rule = Rule("linear", ("units",), {"coefficients": {"units": 2}, "at_most": 13.0})
    assert mended([rule], {"units": 9}) == [{"units": 6}]
    rule = Rule("linear", ("units",), {"coefficients": {"units": 2}, "at_least": 13.0})
    assert mended([rule], {"units": 3}) == [{"units": 7}]


def test_dates_in_the_wrong_order_are_swapped() -> None:
    rule = Rule("order", ("start", "end"))
    row = {"start": day("2024-02-10"), "end": day("2024-02-01")}
    assert mended([rule], row) == [{"start": row["end"], "end": row["start"]}]


def test_values_that_do_not_fit_the_other_column_are_shifted_instead() -> None:
    # 100 units lie outside the real range of both: only the bound is moved.
    assert mended([Rule("order", ("units", "code"))], {"units": 100, "code": 41}) == [
        {"units": 100, "code": 100}
    ]


def test_a_strict_order_leaves_a_step_between_equal_values() -> None:
    rule = Rule("order", ("start", "end"), {"strict": True})
    same = day("2024-02-01")
    (row,) = mended([rule], {"start": same, "end": same})
    assert row["end"] - row["start"] == day("2024-02-02") - same


def test_an_order_keeps_the_side_that_a_condition_asks_for() -> None:
    rule = Rule("order", ("start", "end"))
    row = {"start": day("2024-02-10"), "end": day("2024-02-01")}
    where = Where({"start": {"ge": "2024-02-10"}})
    assert mended([rule], row, where=where) == [{"start": row["start"], "end": row["start"]}]


def test_a_value_out_of_range_is_reflected_and_then_held() -> None:
    rule = Rule("range", ("units",), {"low": 5, "high": 20})
    assert mended([rule], {"units": 2}, {"units": 400}) == [{"units": 8}, {"units": 10}]


def test_one_flag_is_kept_or_set() -> None:
    rule = Rule("one_hot", ("a", "b", "c"))
    rows = mended([rule], {"a": 1, "b": 1, "c": 0}, {"a": 0, "b": 0, "c": 0})
    assert all(
        [list(row.values()).count("1"), list(row.values()).count("0")] == [1, 2] for row in rows
    )
    assert rows[0]["c"] == "0"


def test_the_flag_that_a_condition_asks_for_stays() -> None:
    rule = Rule("one_hot", ("a", "b", "c"))
    rows = mended([rule], *[{"a": 1, "b": 1, "c": 1}] * 20, where=Where({"b": 1}))
    assert all(row == {"a": "0", "b": "1", "c": "0"} for row in rows)


def test_a_dependent_value_is_looked_up_in_the_real_rows() -> None:
    rules = [Rule("dependency", ("city", "land")), Rule("dependency", ("land", "code"))]
    assert mended(rules, {"city": "Bergen", "land": "IT", "code": 39}) == [
        {"city": "Bergen", "land": "NO", "code": 47}
    ]


def test_what_decides_moves_where_the_decided_value_is_asked_for() -> None:
    rule = Rule("dependency", ("city", "land"))
    rows = mended([rule], *[{"city": "Rome", "land": "NO"}] * 20, where=Where({"land": "NO"}))
    assert {row["city"] for row in rows} == {"Oslo", "Bergen"}


def test_an_unknown_number_is_decided_like_the_nearest_known_one_everywhere() -> None:
    rule = Rule("dependency", ("units", "land"))
    rows = mended([rule], {"units": 8, "land": "IT"}, {"units": 29, "land": "NO"})
    assert [row["land"] for row in rows] == ["NO", "IT"]


def test_a_combination_keeps_as_much_of_the_row_as_it_can() -> None:
    rule = Rule("combination", ("city", "land", "code"))
    rows = mended([rule], *[{"city": "Oslo", "land": "IT", "code": 47}] * 20)
    assert {tuple(row.values()) for row in rows} == {("Oslo", "NO", 47)}


def test_only_listed_combinations_are_moved_to() -> None:
    allowed = [["Rome", "IT"], ["Bergen", "NO"]]
    rule = Rule("combination", ("city", "land"), {"allowed": allowed})
    assert mended([rule], {"city": "Oslo", "land": "NO"}) == [{"city": "Bergen", "land": "NO"}]


def test_missing_values_stay_missing_and_rows_that_hold_stay_as_they_are() -> None:
    rules = [SUM, Rule("order", ("start", "end")), Rule("dependency", ("city", "land"))]
    rows = made({"tax": None}, {"city": None, "land": "NO"}, {})
    held = keeper(*rules).enforce(rows, np.random.default_rng(0))
    assert held.dataset.digest == rows.digest
    assert not held.marks[MOVED].any()


def test_chained_and_overlapping_rules_settle() -> None:
    rules = (
        SUM,
        Rule("order", ("tax", "net", "gross")),
        Rule("range", ("gross",), {"low": 0, "high": 9.25}),
        Rule("linear", ("net", "tax"), {"coefficients": {"net": 1, "tax": -2}, "at_least": 0}),
        Rule("dependency", ("city", "land")),
        Rule("combination", ("land", "code")),
    )
    rng = np.random.default_rng(4)
    n = 500
    table = {
        "net": np.round(rng.uniform(0, 8, n), 2), "tax": np.round(rng.uniform(0, 8, n), 2),
        "gross": np.round(rng.uniform(0, 20, n), 2), "city": rng.choice(["Rome", "Oslo", "Bergen"], n),
        "land": rng.choice(["IT", "NO"], n), "code": rng.choice([39, 47], n),
    }  # fmt: skip
    rows = made(*[{k: v[i] for k, v in table.items()} for i in range(n)])
    found = keeper(*rules).enforce(rows, rng).dataset
    assert not any(violations(rule, found).any() for rule in rules)


def test_the_same_stream_repairs_alike() -> None:
    rules = keeper(Rule("one_hot", ("a", "b", "c")), SUM)
    rows = made(*[{"a": 0, "net": 1.1 * i} for i in range(50)])
    one, other = (rules.enforce(rows, np.random.default_rng(3)).dataset.digest for _ in range(2))
    assert one == other


def test_what_cannot_be_moved_is_drawn_again_and_counted() -> None:
    rule = Rule("predicate", (), {"expression": "units > 5"})
    asked: list[int] = []

    def redraw(n: int) -> Dataset:
        asked.append(n)
        return made(*[{"units": 2 + i % 9} for i in range(n)])

    held = keeper(rule).enforce(
        made({"units": 1}, {"units": 9}), np.random.default_rng(0), None, redraw
    )
    assert [row["units"] > 5 for row in held.dataset.records.to_pylist()] == [True, True]
    assert asked
    assert held.marks[REDRAWN].tolist() == [[True, False]]
    tally = RuleTally((rule,))
    tally.add(held)
    assert tally.notes() == ("Rule predicate(units > 5) was repaired; of 2 rows 1 drawn again.",)


def test_columns_are_borrowed_together_when_no_draw_will_do() -> None:
    rule = Rule("predicate", (), {"expression": "gross = net + tax"})
    wrong = made(*[{"net": 1.0 + i, "gross": 100.0} for i in range(5)])
    held = keeper(rule).enforce(wrong, np.random.default_rng(0), None, lambda n: wrong)
    assert not violations(rule, held.dataset).any()
    assert held.marks[BORROWED].all()
    # What the rule does not name is left as it was drawn.
    assert held.dataset.records.column("units").to_pylist() == [3] * 5


def test_a_whole_real_row_is_never_handed_out() -> None:
    real = Dataset.from_arrow(pa.table({"x": [1.0, 2.0], "y": [5.0, 9.0]}))
    rule = Rule("predicate", (), {"expression": "x = 1 and y = 5 or x = 2 and y = 9"})
    found = RuleEnforcer.learn(real, [rule])
    assert found is not None
    wrong = Dataset.from_arrow(pa.table({"x": [1.5], "y": [5.5]}), real.schema)
    with pytest.raises(RecipeError, match="no row can be made"):
        found.enforce(wrong, np.random.default_rng(0), None, lambda n: wrong)


def test_rules_that_contradict_one_another_are_named_and_end() -> None:
    rules = (
        Rule("range", ("units",), {"high": 4}),
        Rule("linear", ("units",), {"coefficients": {"units": 1}, "at_least": 6}),
        Rule("order", ("start", "end")),
    )
    with pytest.raises(RecipeError) as caught:
        keeper(*rules).enforce(
            made({}, {}), np.random.default_rng(0), None, lambda n: made(*[{}] * n)
        )
    assert "linear(units)" in str(caught.value) or "range(units)" in str(caught.value)
    assert "order" not in str(caught.value)


def test_a_condition_that_the_rules_leave_no_row_for_is_named() -> None:
    rule = Rule("dependency", ("city", "land"))
    where = Where({"city": "Rome", "land": "NO"})
    rows = made({"city": "Rome", "land": "NO"})
    with pytest.raises(RecipeError, match="city = Rome and land = NO"):
        keeper(rule).enforce(rows, np.random.default_rng(0), where, lambda n: rows)


@pytest.mark.parametrize(
    ("kind", "values", "total"),
    [
        (pa.decimal128(9, 2), ["1.10", "2.25"], "3.35"),
        (pa.float32(), [1.5, 2.25], 3.75),
        (pa.int8(), [100, 20], 120),
        (pa.uint16(), [60_000, 5_000], 65_000),
    ],
    ids=str,
)
def test_a_recomputed_value_keeps_the_stored_type(
    kind: pa.DataType, values: list[Any], total: Any
) -> None:
    import decimal

    def read(value: Any) -> Any:
        return decimal.Decimal(value) if isinstance(value, str) else value

    a, b = map(read, values)
    # Three different values in each column, so that none is taken for a label.
    columns = {"t": [read(total), a, b], "a": [a, a - a, b], "b": [b, a, a - a]}
    real = Dataset.from_arrow(pa.table({name: pa.array(v, kind) for name, v in columns.items()}))
    found = RuleEnforcer.learn(real, [Rule("sum", ("t", "a", "b"))])
    assert found is not None
    records = real.records.slice(0, 1)
    wrong = records.set_column(
        0, "t", pa.chunked_array([pa.array([a], records.schema.field("t").type)])
    )
    held = found.enforce(replace(real, records=wrong), np.random.default_rng(0))
    assert held.dataset.records.schema.field("t").type == records.schema.field("t").type
    assert held.dataset.records.column("t").to_pylist() == [read(total)]


def test_rows_without_rules_pass() -> None:
    assert RuleEnforcer.learn(REAL) is None
    held = EnforcedRows.untouched(REAL)
    assert held.take(np.array([1])).dataset.digest == REAL.slice(1, 1).digest


def test_rare_good_rows_are_waited_for_where_nothing_may_be_borrowed() -> None:
    real = Dataset.from_arrow(pa.table({"x": np.arange(200.0), "y": np.arange(200.0) ** 2}))
    rule = Rule("predicate", (), {"expression": "x * x <= y + 100 and y <= x * x + 100"})
    found = RuleEnforcer.learn(real, [rule])
    assert found is not None
    rng = np.random.default_rng(0)

    def independent(n: int) -> Dataset:
        return replace(
            real, records=pa.table({k: real.values(k)[rng.integers(0, 200, n)] for k in ("x", "y")})
        )

    held = found.enforce(independent(300), rng, None, independent)
    assert not violations(rule, held.dataset).any()
    assert held.marks[REDRAWN].sum() > 250
    assert not held.marks[BORROWED].any()

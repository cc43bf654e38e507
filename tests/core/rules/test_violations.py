"""Which rows break a rule, kind by kind, on rows checked by hand; and what a rule cannot be given."""

import json

import pyarrow as pa
import pytest

from twinset.core.data.dataset import Dataset
from twinset.core.data.rule import Rule, rules_from_json, rules_to_json
from twinset.core.errors import RecipeError, SchemaError
from twinset.core.rules.violations import broken_by_real_rows, violations

DATA = Dataset.from_arrow(
    pa.table(
        {
            "low": [1.0, 5.0, None, 2.0],
            "high": [2.0, 4.0, 1.0, 2.0],
            "sum": [3.0, 9.0, 1.0, 5.0],
            "a": [1, 0, 0, 1],
            "b": [0, 1, 0, 1],
            "city": ["Rome", "Oslo", "Rome", "Rome"],
            "land": ["IT", "NO", "IT", "NO"],
            "code": [39, 47, 39, 39],
        }
    )
)


def linear(**settings: object) -> Rule:
    return Rule("linear", ("sum", "high"), {"coefficients": {"sum": 1, "high": -2}, **settings})


def test_each_kind_of_rule_finds_the_rows_that_break_it() -> None:
    for rule, expected in [
        (Rule("range", ("high",), {"low": 2}), [False, False, True, False]),
        (Rule("range", ("low",), {"high": 2}), [False, True, False, False]),
        (Rule("order", ("low", "high")), [False, True, False, False]),
        (Rule("order", ("low", "high"), {"strict": True}), [False, True, False, True]),
        (Rule("sum", ("sum", "low", "high")), [False, False, False, True]),
        (Rule("sum", ("sum", "low", "high"), {"tolerance": 1}), [False, False, False, False]),
        # sum - 2 high = -1, 1, -1, 1
        (linear(equals=-1), [False, True, False, True]),
        (linear(at_most=0), [False, True, False, True]),
        (linear(at_least=0, at_most=1), [True, False, True, False]),
        (linear(equals=0, tolerance=1), [False, False, False, False]),
        (Rule("one_hot", ("a", "b")), [False, False, True, True]),
        (Rule("dependency", ("city", "land")), [False, False, False, True]),
        (Rule("dependency", ("city", "a", "land")), [False, False, False, True]),
        (Rule("dependency", ("land", "code")), [False, False, False, True]),
        (
            Rule("combination", ("city", "land"), {"allowed": [["Rome", "IT"], ["Oslo", "NO"]]}),
            [False, False, False, True],
        ),
        (
            Rule("combination", ("land", "code"), {"allowed": [["IT", 39], ["NO", 47]]}),
            [False, False, False, True],
        ),
        (Rule("combination", ("city", "land")), [False, False, False, False]),
        (Rule("unique", ("city",)), [False, False, True, True]),
        (Rule("unique", ("city", "land")), [False, False, True, False]),
        (
            Rule("predicate", (), {"expression": "sum > 2 * high or a = 1"}),
            [False, False, True, False],
        ),
    ]:
        assert violations(rule, DATA).tolist() == expected


def test_a_missing_value_breaks_no_rule() -> None:
    for rule in [
        Rule("one_hot", ("a", "b")),
        Rule("dependency", ("city", "land")),
        Rule("combination", ("city", "land"), {"allowed": [["Oslo", "NO"]]}),
        Rule("unique", ("city",)),
        Rule("sum", ("a", "b")),
        Rule("order", ("a", "b")),
    ]:
        table = pa.table(
            {
                "a": pa.array([None, None], pa.int64()),
                "b": pa.array([5.5, None]),
                "city": pa.array([None, None], pa.string()),
                "land": ["NO", "IT"],
            }
        )
        assert not violations(rule, Dataset.from_arrow(table)).any()


def test_a_sum_of_float32_allows_for_its_last_digits() -> None:
    parts = {"a": pa.array([1e5 / 3], pa.float32()), "b": pa.array([2e5 / 3], pa.float32())}
    d = Dataset.from_arrow(pa.table({"t": pa.array([1e5], pa.float32()), **parts}))
    assert not violations(Rule("sum", ("t", "a", "b")), d).any()


def test_rules_survive_json() -> None:
    rules = (
        Rule("order", ("low", "high"), {"strict": True}),
        Rule("range", ("low",), {"low": 0, "high": 9}),
        linear(at_most=0),
        Rule("predicate", (), {"expression": "low < high"}),
    )
    assert rules_from_json(rules_to_json(rules)) == rules


def test_linear_rules_and_predicates_name_their_columns_themselves() -> None:
    one, other = rules_from_json(
        [
            {"kind": "linear", "coefficients": {"sum": 1, "high": -2}, "equals": 0},
            {"kind": "predicate", "expression": "a = 1"},
        ]
    )
    assert (one.columns, other.columns) == (("sum", "high"), ("a",))


def test_a_rule_that_makes_no_sense_is_refused() -> None:
    for value, told in [
        ({"kind": "order"}, "needs 'kind' and 'columns'"),
        ({"kind": "ordr", "columns": ["a", "b"]}, "did you mean 'order'"),
        ({"kind": "order", "columns": ["a"]}, "at least 2"),
        ({"kind": "order", "columns": ["a", "a"]}, "twice"),
        ({"kind": "range", "columns": ["a", "b"]}, "one column"),
        ({"kind": "range", "columns": ["low"], "low": "abc"}, "wrong type"),
        ({"kind": "range", "columns": ["low"], "low": 3, "high": 2}, "leaves no value"),
        ({"kind": "range", "columns": ["low"], "lowest": 1}, "did you mean 'low'"),
        ({"kind": "sum", "columns": ["low", "high"], "tolerance": None}, "wrong type"),
        ({"kind": "sum", "columns": ["low", "high"], "tolerance": -1}, "negative"),
        ({"kind": "order", "columns": ["low", "high"], "strict": 1}, "true or false"),
        ({"kind": "combination", "columns": ["city"], "allowed": 5}, "a list of rows"),
        ({"kind": "combination", "columns": ["city"], "allowed": ["Rome"]}, "a list of rows"),
        ({"kind": "combination", "columns": ["city"], "allowed": []}, "allows nothing"),
        ({"kind": "combination", "columns": ["city"], "allowed": [["a", "b"]]}, "another length"),
        ({"kind": "linear", "columns": ["low"], "equals": 1}, "a coefficient"),
        ({"kind": "linear", "coefficients": {"low": 0}, "equals": 1}, "other than 0"),
        ({"kind": "linear", "coefficients": {"low": "x"}, "equals": 1}, "column: number"),
        ({"kind": "linear", "coefficients": {"low": 1}}, "none of them"),
        ({"kind": "linear", "coefficients": {"low": 1}, "equals": 1, "at_most": 2}, "both"),
        ({"kind": "linear", "coefficients": {"a": 1}, "at_least": 1, "at_most": 0}, "no value"),
    ]:
        with pytest.raises(RecipeError, match=told):
            rules_from_json([value])


def test_a_rule_on_columns_of_the_wrong_kind_is_reported() -> None:
    with pytest.raises(SchemaError, match="not numeric"):
        violations(Rule("order", ("city", "low")), DATA)
    with pytest.raises(RecipeError, match="allows a text"):
        violations(Rule("combination", ("city", "high"), {"allowed": [["Rome", "two"]]}), DATA)


def test_rules_that_real_rows_break_are_counted() -> None:
    rules = (Rule("order", ("low", "high")), Rule("range", ("low",), {"low": 0}))
    schema = type(DATA.schema)(DATA.schema.fields, rules)
    told = broken_by_real_rows(Dataset(DATA.records, schema))
    assert told == ("Rule order(low, high): 1 of 4 real rows breaks it.",)


def test_a_linear_rule_does_not_care_for_the_order_of_its_coefficients() -> None:
    """A catalogue keeps JSON with sorted keys: what was declared as (tax, net) comes back as (net, tax)."""
    data = Dataset.from_arrow(pa.table({"net": [10.0, 20.0], "tax": [2.0, 5.0]}))
    declared = Rule(
        "linear", ("tax", "net"), {"coefficients": {"tax": 1, "net": -0.2}, "equals": 0}
    )
    stored = json.loads(json.dumps(rules_to_json([declared]), sort_keys=True))
    (back,) = rules_from_json(stored)
    assert back.columns == declared.columns
    for rule in (declared, back):
        assert violations(rule, data).tolist() == [False, True]

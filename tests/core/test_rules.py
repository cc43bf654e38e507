import pyarrow as pa
import pytest

from twinset.core.dataset import Dataset
from twinset.core.errors import RecipeError
from twinset.core.rules import Rule, rules_from_json, rules_to_json

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
        }
    )
)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Rule("range", ("high",), {"low": 2}), [False, False, True, False]),
        (Rule("range", ("low",), {"high": 2}), [False, True, False, False]),
        (Rule("order", ("low", "high")), [False, True, False, False]),
        (Rule("sum", ("sum", "low", "high")), [False, False, False, True]),
        (Rule("one_hot", ("a", "b")), [False, False, True, True]),
        (Rule("dependency", ("city", "land")), [False, False, False, True]),
        (
            Rule("combination", ("city", "land"), {"allowed": [["Rome", "IT"], ["Oslo", "NO"]]}),
            [False, False, False, True],
        ),
        (Rule("unique", ("city",)), [False, False, True, True]),
    ],
    ids=str,
)
def test_each_kind_of_rule_finds_the_rows_that_break_it(rule: Rule, expected: list[bool]) -> None:
    assert rule.violations(DATA).tolist() == expected


def test_rules_survive_json() -> None:
    rules = (Rule("order", ("low", "high")), Rule("range", ("low",), {"low": 0, "high": 9}))
    assert rules_from_json(rules_to_json(rules)) == rules


@pytest.mark.parametrize("value", [{"kind": "order"}, {"kind": "ordr", "columns": ["a", "b"]}])
def test_a_rule_without_sense_is_refused(value: dict[str, object]) -> None:
    with pytest.raises(RecipeError):
        rules_from_json([value])


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"kind": "range", "columns": ["low"], "low": "abc"}, "wrong type"),
        ({"kind": "range", "columns": ["low"], "lowest": 1}, "did you mean 'low'"),
        ({"kind": "sum", "columns": ["low", "high"], "tolerance": None}, "wrong type"),
        ({"kind": "combination", "columns": ["city"], "allowed": 5}, "a list of rows"),
        ({"kind": "combination", "columns": ["city"], "allowed": ["Rome"]}, "a list of rows"),
    ],
)
def test_a_setting_that_does_not_suit_its_rule_is_refused(
    value: dict[str, object], told: str
) -> None:
    with pytest.raises(RecipeError, match=told):
        rules_from_json([value])

"""What predicates may say, what they answer on rows with missing values, and how bad ones are refused."""

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.data.dataset import Dataset
from twinset.core.data.rule import Rule
from twinset.core.errors import RecipeError
from twinset.core.rules.violations import violations

DATA = Dataset.from_arrow(
    pa.table(
        {
            "age": [15, 40, None, 70],
            "net price": [10.0, 0.0, 5.0, 8.0],
            "gross": [12.0, 0.0, 5.0, 9.6],
            "job": ["none", "cook", None, "pilot"],
            "home": ["Oslo", "Rome", "cook", "pilot"],
            "member": [True, False, None, True],
            "born": np.array(
                ["2009-01-01", "1984-06-01", "1990-01-01", "1954-02-03"], dtype="datetime64[us]"
            ),
            "died": np.array(
                ["2009-01-11", "1984-06-01", "1990-01-31", "NaT"], dtype="datetime64[us]"
            ),
        }
    )
)


def met(expression: str) -> list[bool]:
    return (~violations(Rule("predicate", (), {"expression": expression}), DATA)).tolist()


def test_expressions_answer_row_by_row() -> None:
    for expression, expected in [
        ("age >= 18", [False, True, True, True]),
        ("age >= 18 or job = 'none'", [True, True, True, True]),
        ("not (age < 18)", [False, True, True, True]),
        ("18 <= age < 70", [False, True, True, False]),
        ("`net price` * 1.2 <= gross + 0.001", [True, True, False, True]),
        ("gross / `net price` > 1.1", [True, True, False, True]),
        ("-age + 2 * 20 == 0", [False, True, True, False]),
        ("job in ('cook', 'pilot')", [False, True, True, True]),
        ("job not in ('cook', 'pilot')", [True, False, True, False]),
        ("job != home", [True, True, True, False]),
        ("job is null", [False, False, True, False]),
        ("age is not null and job is not null", [True, True, False, True]),
        ("member", [True, False, True, True]),
        ("not member", [False, True, True, False]),
        ("member = false or age > 60", [False, True, True, True]),
        ("born < '1990-01-01'", [False, True, False, True]),
        ("died - born <= 20", [True, True, False, True]),
        ("born + 10 = died", [True, False, False, True]),
        ("age in (15, 40)", [True, True, True, False]),
        ("job = 'nobody has it'", [False, False, True, False]),
        ("(age > 18 or member) and gross >= 0", [True, True, True, True]),
    ]:
        assert met(expression) == expected


def test_one_known_part_decides_though_the_other_is_missing() -> None:
    # Row 2: age is missing, so only the other part can decide.
    assert met("age > 18 and gross > 100")[2] is False
    assert met("age > 18 or gross > 100")[2] is True
    assert met("age > 18 and gross > 1")[2] is True
    assert met("100 < gross < age")[2] is False


def test_what_is_not_of_the_language_is_refused_in_one_sentence() -> None:
    for expression, told in [
        ("", "needs an expression"),
        ("age >=", "no expression"),
        ("1 < 2", "names no column"),
        ("age", "neither true nor false"),
        ("__import__('os').system('true')", "'call' is not part"),
        ("age.real > 1", "'attribute' is not part"),
        ("[x for x in age]", "'listcomp' is not part"),
        ("age ** 9 > 1", "'pow' is not part"),
        ("(lambda: age) > 1", "'lambda' is not part"),
        ("age > 1 if member else gross > 1", "'ifexp' is not part"),
        ("job < 'm'", "has no order"),
        ("job + 1 > 2", "no number"),
        ("age > 'old'", "another kind"),
        ("age == null", "is null"),
        ("age in 5", "list in brackets"),
        ("age in ()", "list in brackets"),
        ("born > 'soon'", "no date"),
        ("age / 0 > 1 and 1 / 0 > age", "divides by zero"),
        ("age > 1" + " + 1" * 200, "nested too deeply"),
        ("(" * 300 + "age" + ")" * 300 + " > 1", "no expression"),
        ("age > 1" + " " * 3_000, "2,000 characters"),
    ]:
        with pytest.raises(RecipeError, match=told):
            violations(Rule("predicate", (), {"expression": expression}), DATA)


def test_a_predicate_knows_its_columns() -> None:
    rule = Rule("predicate", (), {"expression": "`net price` <= gross or `net price` is null"})
    assert rule.columns == ("net price", "gross")
    with pytest.raises(RecipeError, match="other columns"):
        Rule("predicate", ("age",), {"expression": "gross > 1"})

"""Numbers that no column holds, in settings, rules, conditions and recipes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest

from twinset.core.data.rule import Rule
from twinset.core.data.where import Where
from twinset.core.errors import ParameterError, RecipeError, TwinsetError
from twinset.core.parameters import Ge, Interval, check_parameters, is_number
from twinset.recipe import read_yaml
from twinset.registry import setting_faults

BAD = [10**400, -(10**400), 2**63, float("nan"), float("inf"), float("-inf"), 10**5000]
IDS = ["400 digits", "below zero", "2 to the 63", "nan", "inf", "-inf", "5000 digits"]


@dataclass(frozen=True)
class Bins:
    """Settings with and without an upper bound."""

    n_bins: Annotated[int, Ge(2)] = 32
    share: Annotated[float, Interval(gt=0)] = 0.5


@pytest.mark.parametrize("number", BAD, ids=IDS)
def test_a_number_that_no_column_holds_is_refused(number: float) -> None:
    assert not is_number(number)
    for name in ("n_bins", "share"):
        with pytest.raises(ParameterError, match="too large or not finite"):
            check_parameters(Bins(**{name: number}))  # type: ignore[arg-type]
    for settings in ({"low": 0, "high": number}, {"low": number}):
        with pytest.raises(RecipeError, match="too large or not finite"):
            Rule("range", ("height",), settings)
    with pytest.raises(RecipeError, match="too large or not finite"):
        Rule("combination", ("height",), {"allowed": [[1], [number]]})
    with pytest.raises(TwinsetError):
        Where({"height": {"ge": number}})
    for key in ("min_leaf", "temperature", "shares"):
        ((place, fault),) = setting_faults("generator", "tabular.trees", {key: [number]})
        assert place == key
        assert "too large or not finite" in str(fault)


@pytest.mark.parametrize("number", [0, -1, 2**63 - 1, -(2**63), 1e308, 5e-324])
def test_every_other_number_may_be_one(number: float) -> None:
    assert is_number(number)


@pytest.mark.parametrize("text", ["9" * 400, "-" + "9" * 19, "0x" + "f" * 40, "1e400", "9" * 5000])
def test_a_recipe_holds_no_number_that_is_too_large(text: str) -> None:
    for spelled in (text, f"[1, {{a: {text}}}]"):
        (fault,) = read_yaml(spelled).faults
        assert "too large" in fault.text
    assert read_yaml(f"'{text}'").data == text


@pytest.mark.parametrize(
    "text", ["height < 1e999", f"height < {'9' * 400}", f"height * 1{'0' * 19} < 3"]
)
def test_a_predicate_holds_no_number_that_is_too_large(text: str) -> None:
    with pytest.raises(RecipeError, match="too large"):
        Rule("predicate", (), {"expression": text})

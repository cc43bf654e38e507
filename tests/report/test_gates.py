import math

import pytest

from twinset.core.errors import RecipeError, UnknownNameError
from twinset.report import Gate, apply_gates, check_gates, read_gates


def test_the_limit_itself_passes(score):
    scores = [score("privacy.exact_copies", value=0.0), score("coverage.x", value=0.9)]
    gates = {"privacy.exact_copies": {"max": 0}, "coverage.x": {"min": 0.9}}
    assert apply_gates(scores, gates) == (
        Gate("privacy.exact_copies", "max", 0.0, "value", 0.0, True),
        Gate("coverage.x", "min", 0.9, "value", 0.9, True),
    )


def test_a_value_beyond_the_limit_fails(score):
    for bounds, passed in [({"max": 0.01}, False), ({"min": 0.03}, False)]:
        assert apply_gates([score("gap.a", value=0.02)], {"gap.a": bounds})[0].passed is passed


def test_one_metric_may_have_both_bounds(score):
    gates = apply_gates([score("gap.a", value=0.02)], {"gap.a": {"min": 0.01, "max": 0.015}})
    assert [(gate.bound, gate.passed) for gate in gates] == [("max", False), ("min", True)]


def test_of_a_difference_the_far_end_of_its_interval_counts(score):
    wide = [score("gap.a", value=0.02, baseline=0.01, interval=(-0.03, 0.05))]
    high = apply_gates(wide, {"gap.a": {"max": 0.02, "of": "difference"}})[0]
    low = apply_gates(wide, {"gap.a": {"min": -0.02, "of": "difference"}})[0]
    assert (high.value, high.passed) == (0.05, False)
    assert (low.value, low.passed) == (-0.03, False)


def test_without_an_interval_the_difference_itself_counts(score):
    exact = [score("gap.a", value=0.5, baseline=0.25, interval=None)]
    gate = apply_gates(exact, {"gap.a": {"max": 0.3, "of": "difference"}})[0]
    assert (gate.value, gate.passed) == (0.25, True)


def test_what_cannot_be_measured_fails(score):
    for of in ["value", "difference"]:
        for bound in [{"max": 1e9}, {"min": -1e9}]:
            gate = apply_gates([score("gap.a", "not measurable")], {"gap.a": {**bound, "of": of}})[
                0
            ]
            assert (gate.value, gate.passed) == (None, False)


def test_a_value_that_is_no_number_fails(score):
    assert not apply_gates([score("gap.a", value=math.nan)], {"gap.a": {"max": 1}})[0].passed


def test_an_unknown_metric_is_refused_with_the_nearest_name(score):
    with pytest.raises(UnknownNameError, match=r"did you mean 'gap\.marginals'"):
        apply_gates([score("gap.marginals")], {"gap.marginal": {"max": 1}})


def test_a_gate_that_is_not_understood_is_refused(score):
    for settings in [
        {},
        {"of": "value"},
        {"maxi": 1},
        {"max": "1"},
        {"max": True},
        {"max": math.nan},
        {"max": 1, "of": "ratio"},
        {"max": None},
    ]:
        with pytest.raises(RecipeError, match=r"evaluate\.gates\.gap\.a"):
            apply_gates([score("gap.a")], {"gap.a": settings})


def test_words_mean_what_a_recipe_means():
    words = ["privacy.exact_copies<=0", " coverage.x  >= 0.9 ", "gap.a difference <= 5e-2"]
    assert read_gates([*words, "coverage.x value <= 1"]) == {
        "privacy.exact_copies": {"max": 0.0},
        "coverage.x": {"min": 0.9, "max": 1.0},
        "gap.a": {"of": "difference", "max": 0.05},
    }


def test_words_and_recipe_have_one_outcome(score):
    scores = [score("gap.a", value=0.02, baseline=0.01, interval=(-0.03, 0.05))]
    for words, settings in [
        ("gap.a <= 0.02", {"max": 0.02}),
        ("gap.a difference <= 0.02", {"max": 0.02, "of": "difference"}),
        ("gap.a >= 0.03", {"min": 0.03}),
    ]:
        assert apply_gates(scores, read_gates([words])) == apply_gates(scores, {"gap.a": settings})


def test_words_that_are_not_understood_are_refused():
    for words in [
        "",
        "gap.a",
        "gap.a = 0",
        "gap.a < 0",
        "gap.a <= much",
        "gap.a <= nan",
        "<= 0",
        "gap.a <= 0 0",
        "gap.a ratio <= 0",
    ]:
        with pytest.raises(RecipeError, match="METRIC <= NUMBER"):
            read_gates([words])


def test_words_that_do_not_go_together_are_refused():
    for second in ["gap.a <= 1", "gap.a difference >= 1"]:
        with pytest.raises(RecipeError, match="do not go together"):
            read_gates(["gap.a <= 0", second])


def test_an_unknown_metric_is_refused_before_anything_is_measured():
    with pytest.raises(UnknownNameError, match=r"did you mean 'gap\.marginals'"):
        check_gates(read_gates(["gap.marginal <= 0"]), ["gap.marginals"])

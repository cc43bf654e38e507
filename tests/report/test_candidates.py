import json
from itertools import product

import pytest

from tests.report.conftest import components
from twinset.report.candidates import CandidateReport

HOSTILE = "<script>window.hacked=1</script>"
FAMILIES = ("gap", "coverage", "utility", "privacy")
VERDICTS = ("as good as real", "different", "cannot tell", "not measurable")


@pytest.fixture
def candidates(score):
    """Return a maker of reports: name -> one verdict for each family, and intervals by metric."""

    def make(verdicts, intervals=None, **facts):
        scores = {
            name: tuple(
                score(
                    f"{family}.a",
                    verdict,
                    **(
                        {}
                        if verdict == "not measurable"
                        else {"interval": spans.get(family, (0.0, 0.02))}
                    ),
                )
                for family, verdict in zip(FAMILIES, own)
            )
            for name, own in verdicts.items()
            for spans in [(intervals or {}).get(name, {})]
        }
        return CandidateReport(title="people", scores=scores, **facts)

    return make


ALL_GOOD = ("as good as real",) * 4
LEAKS = ("as good as real", "as good as real", "as good as real", "different")


def test_the_one_that_is_ahead_and_has_nothing_against_it_is_taken(candidates):
    found = candidates({"a": ALL_GOOD, "b": ("different", *ALL_GOOD[1:])}).recommendation
    assert (found.candidate, found.mark) == ("a", "good")
    assert found.text == "Take a: it is ahead in closeness to real."


def test_equal_verdicts_and_touching_intervals_recommend_nobody(candidates):
    found = candidates({"a": ALL_GOOD, "b": ALL_GOOD}).recommendation
    assert (found.candidate, found.mark) == (None, "inconclusive")
    assert found.text == (
        "Neither a nor b can be recommended over the other: they cannot be distinguished."
    )


def test_equal_verdicts_are_decided_by_clear_intervals(candidates):
    clear = {"a": {"utility": (0.0, 0.01)}, "b": {"utility": (0.02, 0.03)}}
    found = candidates({"a": ALL_GOOD, "b": ALL_GOOD}, clear).recommendation
    assert (found.candidate, found.text) == ("a", "Take a: it is ahead in usefulness.")


def test_each_ahead_in_something_recommends_nobody_and_says_in_what(candidates):
    first = ("different", "as good as real", "as good as real", "as good as real")
    second = ("as good as real", "as good as real", "different", "as good as real")
    found = candidates({"a": first, "b": second}).recommendation
    assert found.candidate is None
    assert "a is ahead in usefulness and b is ahead in closeness to real" in found.text


def test_a_leaking_candidate_is_never_taken_however_good_it_is(candidates):
    poor = ("different", "different", "different", "as good as real")
    found = candidates({"copy": LEAKS, "poor": poor}).recommendation
    assert (found.candidate, found.mark) == ("poor", "inconclusive")
    assert found.text == (
        "poor is the best of these: copy shows signs of leaking; but it is different from real rows, "
        "it misses something and it does not help."
    )
    none = candidates({"a": LEAKS, "b": LEAKS}).recommendation
    assert (none.candidate, none.mark) == (None, "bad")


def test_what_was_not_measured_or_decided_is_said(candidates):
    better = ("as good as real", "cannot tell", "as good as real", "not measurable")
    worse = ("different", "cannot tell", "as good as real", "not measurable")
    found = candidates({"a": better, "b": worse}).recommendation
    assert found.text.endswith("; but coverage is undecided and privacy is not measured.")
    assert found.mark == "inconclusive"


def test_take_is_said_only_where_every_verdict_is_good(candidates):
    for one in product(VERDICTS, repeat=4):
        for other in (ALL_GOOD, LEAKS, ("not measurable",) * 4):
            report = candidates({"a": one, "b": other})
            found = report.recommendation
            if found.candidate is not None:
                marks = [s.mark for s in report.verdicts[found.candidate].values()]
                assert marks[3] != "bad"
                assert (
                    found.text.startswith("Take ")
                    == (set(marks) == {"good"})
                    == (found.mark == "good")
                )
            assert found.text.endswith(".")


def test_answers_group_the_candidates_by_verdict(candidates):
    report = candidates(
        {"a": ALL_GOOD, "b": ("different", *ALL_GOOD[1:]), "c": ("different", *ALL_GOOD[1:])}
    )
    gap, coverage, _, privacy = report.answers
    assert gap.text == (
        "a is as good as real rows; b and c are different from real rows; none is clearly ahead of "
        "all others in the one test."
    )
    assert (gap.mark, gap.marks) == ("mixed", {"a": "good", "b": "bad", "c": "bad"})
    assert coverage.text.startswith("All candidates miss nothing that was looked for; ")
    assert coverage.mark == "good"
    assert "no sign is no proof of safety" in privacy.text


def test_a_question_that_nobody_could_be_asked_is_one_short_sentence(candidates):
    blind = ("as good as real", "not measurable", "as good as real", "as good as real")
    assert (
        candidates({"a": blind, "b": blind}).answers[1].text == "Not measurable for any candidate."
    )


def test_the_summary_has_one_line_a_question_and_one_for_the_choice(candidates):
    lines = candidates({"a": ALL_GOOD, "b": LEAKS}).summary().splitlines()
    assert [line[0] for line in lines] == ["+", "+", "+", "+", "~"]
    assert "Which one?" in lines[0]


def test_json_holds_every_score_the_best_and_no_bare_nan(candidates):
    clear = {"a": {"gap": (0.0, 0.01)}, "b": {"gap": (0.02, float("inf"))}}
    report = candidates({"a": ALL_GOOD, "b": LEAKS}, clear, facts={"seed": 3}, notes=("careful",))
    found = json.loads(report.to_json())
    assert found["recommendation"]["candidate"] == "a"
    assert {row["metric"]: row["best"] for row in found["metrics"]}["gap.a"] == "a"
    assert len(found["candidates"]["b"]["scores"]) == 4
    assert found["candidates"]["b"]["verdict"][3]["mark"] == "bad"
    assert (found["facts"], found["notes"]) == ({"seed": 3}, ["careful"])
    assert report.to_json() == report.to_json()


def test_the_page_shows_every_candidate_once_a_metric_and_marks_the_best(candidates):
    clear = {"a": {"gap": (0.0, 0.01)}, "b": {"gap": (0.02, 0.03)}}
    page = candidates({"a": ALL_GOOD, "b": LEAKS}, clear).to_html()
    assert page.count('class="best"') == 1
    assert page.count('<span class="value ') == 8
    assert page.count("<tr>") - 1 == 4
    assert "Take a: b shows signs of leaking." in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")


def test_hostile_names_are_shown_and_never_run(candidates):
    report = candidates({HOSTILE: ALL_GOOD, "b | c\n# d": LEAKS}, notes=(HOSTILE,))
    assert "<script" not in report.to_html()
    assert "&lt;script&gt;" in report.to_html()
    assert "<script" not in report.to_junit()
    head = next(line for line in report.to_markdown().splitlines() if "real vs real" in line)
    assert head.endswith(r"| \<script\>window.hacked=1\</script\> | b \| c \# d | best |")


def test_pictures_that_are_unlike_real_ones_are_said_before_the_advice(candidates, score):
    from dataclasses import replace

    report = candidates({"a": ALL_GOOD, "b": LEAKS})
    parts = (components("measure", "sharpness"),)
    blurred = score("gap.image_properties", "different", findings=parts)
    scores = {name: (*own, blurred) for name, own in report.scores.items()}
    found = replace(report, scores=scores).recommendation
    assert found.mark == "inconclusive"
    assert found.text.startswith(
        "Mind of a that its images are unlike real ones in sharpness. a is"
    )

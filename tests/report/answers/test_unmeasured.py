"""A reason that many tests share is said once."""

from __future__ import annotations

from twinset.report.answers.verdict import merged, summarize_families, unmeasured

NONE = "there is no real set to compare with"


def lacking(score, *names: str, why: str = NONE) -> list:
    return [score(name, "not measurable", reason=why) for name in names]


def test_three_tests_share_a_reason_and_two_do_not(score) -> None:
    three = lacking(score, "gap.a", "gap.b", "privacy.a")
    two = lacking(score, "gap.c", "gap.d", why="no dates")
    found = unmeasured([*three, *two, score("gap.e")])
    assert [(reason, len(own)) for reason, own in found] == [
        ("there is no real set to compare with", 3)
    ]


def test_where_nothing_was_measured_every_reason_is_told(score) -> None:
    scores = [*lacking(score, "gap.a", "gap.b"), *lacking(score, "gap.c", why="no dates")]
    assert [len(own) for _, own in unmeasured(scores)] == [2, 1]


def test_four_answers_become_one_only_where_all_are_the_same(score) -> None:
    names = ("gap.a", "coverage.a", "utility.a", "privacy.a")
    (one,) = merged(summarize_families(lacking(score, *names)))
    assert one.text == "Not measurable: there is no real set to compare with."
    assert one.question.startswith("How far from real? What is missing?")
    assert len(merged(summarize_families([score("gap.a"), *lacking(score, *names[1:])]))) == 4


def test_a_page_without_a_real_set_says_so_once_above_and_once_in_the_scores(people, score) -> None:
    from twinset.report import build_report

    families = ("gap", "coverage", "utility", "privacy")
    scores = lacking(score, *[f"{family}.{name}" for family in families for name in "abc"])
    report = build_report(
        title="t", train=None, synthetic=people, holdout=None, scores=scores, gates=[]
    )
    page = report.to_html()
    assert page.count("there is no real set to compare with") == 2
    assert "<b>12 tests</b>" in page
    assert '<table class="scores">' not in page
    assert '<table class="uses">' not in page
    assert report.to_markdown().count("there is no real set") == 2
    assert len(report.summary().splitlines()) == 1

"""The finding that is surely the farthest off is told first, by the worst of its parts."""

import itertools

import pytest

from tests.report.conftest import components
from twinset.report import build_report, summarize_families
from twinset.report.answers.phrases import (
    compute_certain_degradation,
    compute_degradation,
    worst_first,
)
from twinset.report.answers.purposes import uses


def parts(certain=1.0, names=("age",)):
    return (components("column", *names, certain=certain),)


def test_harm_counts_margins_in_the_direction_of_harm(score):
    assert compute_degradation(
        score("gap.a", value=0.3, baseline=0.1, margin=0.1)
    ) == pytest.approx(2.0)
    better = score("coverage.a", value=0.3, baseline=0.1, margin=0.1, higher_is_better=True)
    assert compute_degradation(better) == pytest.approx(-2.0)
    assert compute_degradation(score("gap.a", "not measurable")) == 0.0


def test_only_what_the_interval_leaves_no_doubt_of_is_sure(score):
    assert compute_certain_degradation(
        score("gap.a", interval=(0.1, 0.9), margin=0.05)
    ) == pytest.approx(2.0)
    merit = score("coverage.a", interval=(-0.9, -0.2), margin=0.05, higher_is_better=True)
    assert compute_certain_degradation(merit) == pytest.approx(4.0)


def test_the_worst_part_counts_where_the_mean_hides_it(score):
    wide = {"interval": (0.15, 0.25), "value": 0.3, "baseline": 0.1, "margin": 0.05}
    whole = score("gap.whole", "different", **wide)  # 3 margins are sure
    hidden = score("gap.hidden", "different", interval=(-0.01, 0.01), findings=parts(9.0))
    mild = score("gap.mild", "different", interval=(-0.01, 0.01), findings=parts(1.5))
    of_both = score("gap.of_both", "different", interval=(0.2, 0.3), findings=parts(1.5))
    order = [s.metric for s in worst_first([mild, whole, hidden, of_both])]
    assert order == ["gap.hidden", "gap.of_both", "gap.whole", "gap.mild"]


def test_a_part_whose_distance_is_not_reported_is_just_beyond_its_margin(score):
    told = score("gap.a", "different", interval=(-0.01, 0.01), findings=parts())
    assert compute_certain_degradation(told) == 1.0


def test_verdicts_come_in_order_and_ties_by_name_whatever_the_order_given(score):
    made = [
        score("gap.d", "not measurable"),
        score("gap.c", value=0.03),
        score("gap.b", "cannot tell"),
        score("gap.a", "cannot tell"),
        score("gap.e", "cannot tell", value=0.9),
        score("gap.f", "different"),
    ]
    wanted = ["gap.f", "gap.e", "gap.a", "gap.b", "gap.c", "gap.d"]
    for given in itertools.permutations(made):
        assert [s.metric for s in worst_first(given)] == wanted


@pytest.fixture
def scores(score):
    """One column is far off, and a test of all columns is off by little."""
    return [
        score("gap.classifier", "different", interval=(0.11, 0.13), value=0.6, baseline=0.5),
        score("gap.pairs"),
        score(
            "gap.marginals", "different", interval=(-0.01, 0.01), findings=parts(9.0, ["salary"])
        ),
    ]


def test_the_verdict_and_the_uses_name_the_worst_part_first(scores):
    told = next(
        sentence.text for sentence in summarize_families(scores) if sentence.family == "gap"
    )
    assert "most of all in single columns" in told
    assert told.endswith("by column salary.")
    why = next(use.reason for use in uses(scores) if use.purpose.startswith("Explore"))
    assert "off in single columns (salary)" in why


def test_tables_of_scores_begin_with_the_worst(scores, people):
    report = build_report(
        title="t", train=people, synthetic=people, holdout=None, scores=scores, gates=[]
    )
    wanted = ["gap.marginals", "gap.classifier", "gap.pairs"]
    for text in (report.to_html(), report.to_markdown(), report._repr_html_()):
        places = [text.index(metric) for metric in wanted]
        assert places == sorted(places)


def test_a_test_of_everything_at_once_comes_after_what_names_a_place(score):
    sure = score("gap.classifier", "different", interval=(0.4, 0.5), value=0.95, baseline=0.5)
    slight = score("gap.marginals", "different", interval=(0.0, 0.1), findings=parts(1.5, ["fee"]))
    assert [s.metric for s in worst_first([sure, slight])] == ["gap.marginals", "gap.classifier"]
    told = next(
        sentence.whole
        for sentence in summarize_families([sure, slight])
        if sentence.family == "gap"
    )
    # What is worse all the same must not be hidden behind it.
    assert told == (
        "Different from real rows in both tests; the worst place is single columns (0.020, real rows get "
        "0.010), by column fee. All columns at once are further off: separating real from synthetic rows "
        "(0.950, real rows get 0.500)."
    )
    alone = next(
        sentence.text for sentence in summarize_families([sure]) if sentence.family == "gap"
    )
    assert "most of all in separating real from synthetic rows" in alone
    both_open = [
        score("gap.classifier", "cannot tell", value=0.9),
        score("gap.pairs", "cannot tell"),
    ]
    assert worst_first(both_open)[0].metric == "gap.classifier"

import pytest

from twinset.report import summarize_families
from twinset.report.verdict import reasons


def answer(scores, family):
    return next(sentence for sentence in summarize_families(scores) if sentence.family == family)


def test_all_good_is_as_good_as_real(score):
    found = answer([score("gap.a"), score("gap.b")], "gap")
    assert (found.mark, found.text) == ("good", "As good as real rows in both tests.")


def test_one_different_decides_and_the_worst_metric_and_column_are_named(score):
    scores = [
        score("gap.pairs", "different", value=0.2, baseline=0.1, interval=(0.08, 0.12)),
        score(
            "gap.marginals", "different", value=0.5, baseline=0.1, interval=(0.38, 0.42),
            details={"columns": {"Amount": 0.61, "V1": 0.4}},
        ),
        score("gap.classifier"),
    ]  # fmt: skip
    found = answer(scores, "gap")
    assert found.mark == "bad"
    assert found.text == (
        "Different from real rows in 2 of 3 tests. Furthest off: single columns "
        "(0.500, real rows get 0.100), worst column Amount at 0.610."
    )


def test_the_worst_pair_is_named(score):
    pairs = [["a", "b", 0.1], ["b", "c", 0.7], ["a", "c", 0.2]]
    found = answer([score("gap.pairs", "different", details={"pairs": pairs})], "gap")
    assert "worst pair b and c at 0.700" in found.text


def test_undecided_says_how_many_rows_are_needed(score):
    sentence = "cannot tell: needs about 4,000 rows, there are 78; 0.020, real rows 0.010; and more"
    undecided = score("gap.a", "cannot tell", sentence=sentence)
    found = answer([score("gap.b"), undecided], "gap")
    assert found.mark == "unclear"
    assert found.text == (
        "No difference found so far; undecided in 1 of 2 tests. "
        "A: needs about 4,000 rows, there are 78."
    )


def test_nothing_measurable_gives_the_reason(score):
    blind = score("privacy.a", "not measurable", sentence="not measurable: no holdout")
    found = answer([blind], "privacy")
    assert (found.mark, found.text) == ("unmeasured", "Not measurable: no holdout.")


def test_a_family_without_scores_is_not_measured():
    assert {sentence.text for sentence in summarize_families([])} == {"Not measured."}


def test_what_could_not_be_measured_is_counted_beside_the_rest(score):
    found = answer([score("coverage.a"), score("coverage.b", "not measurable")], "coverage")
    assert found.mark == "good"
    assert "the one test made (1 further test could not be measured)" in found.text


def test_leaks_are_never_called_safe(score):
    found = answer([score("privacy.a"), score("privacy.b")], "privacy")
    assert found.mark == "good"
    assert found.text.startswith("No sign of leaking")
    assert "smoke alarm, not a proof" in found.text


def test_signs_of_leaking_tell_what_the_metric_found(score):
    copies = score(
        "privacy.exact_copies", "different", details={"summary": "7 of 9 rows are equal"}
    )
    found = answer([copies], "privacy")
    assert found.mark == "bad"
    assert "7 of 9 rows are equal" in found.text


def details(answer_mixed, *sets):
    values = {"real": 0.5, "synthetic": 0.4, "mixed": 0.6}
    changes = {"mixed": {"difference": 0.1, "interval": [0.02, 0.18]}}
    return {
        "measures": {"average precision": {name: values[name] for name in sets}},
        "changes": {"average precision": changes},
        "answers": {"mixed": answer_mixed},
    }


def test_usefulness_is_about_the_mixed_set_first(score):
    told = {"helps": "good", "hurts": "bad", "no evidence": "unclear"}
    for finding, mark in told.items():
        facts = details(finding, "real", "synthetic", "mixed")
        found = answer([score("utility.a", "different", details=facts)], "utility")
        assert found.mark == mark
        assert "(average precision +0.100, 95 % interval +0.020 to +0.180)" in found.text
        assert "do not train as well" in found.text


def test_rare_rows_alone_are_not_said_to_train_a_model(score):
    facts = details("helps", "real", "mixed")
    found = answer([score("utility.a", details=facts)], "utility")
    assert "too few classes to train on" in found.text
    assert "as well as" not in found.text


def test_usefulness_without_details_falls_back_on_the_verdict(score):
    found = answer([score("utility.a", value=0.7, baseline=0.71)], "utility")
    assert found.mark == "good"
    assert found.text == (
        "Synthetic rows alone train nearly as well as real ones, within the margin"
        " (0.700, trained on real rows 0.710)."
    )


def test_numbers_and_summaries_that_stand_elsewhere_are_not_repeated(score):
    sentence = "as good as real: 0.000, real rows 0.000; no worse than that. 0 of 9 rows are equal"
    found = score("privacy.a", sentence=sentence, details={"summary": "0 of 9 rows are equal"})
    assert reasons(found) == []
    assert reasons(score("gap.a")) == []


def test_a_summary_is_said_once_where_a_note_follows_it(score):
    said = "different: worse by at least 0.1; allowed is 0.01. none of 500 differs. The holdout is later"
    found = score("gap.a", sentence=said, details={"summary": "none of 500 differs"})
    assert not any("none of 500" in reason for reason in reasons(found))
    assert any("The holdout is later" in reason for reason in reasons(found))


def test_a_summary_that_finds_nothing_is_not_told_as_the_furthest_off(score):
    for denial in (
        "no column differs beyond chance",
        "rules: 9, broken more often: none",
        "none of 5",
    ):
        found = answer([score("gap.a", "different", details={"summary": denial})], "gap")
        assert found.text.endswith("Furthest off: a (0.020, real rows get 0.010).")


def test_the_parts_that_are_different_are_named_first(score):
    parts = {"what": "column", "names": ["age", "fee", "sex", "town"], "margin": 0.05}
    facts = {"different": parts, "summary": "no column differs beyond chance"}
    found = answer([score("gap.marginals", "different", details=facts)], "gap")
    assert found.text.endswith("(0.020, real rows get 0.010), by columns age, fee, sex and 1 more.")


def test_the_exchange_rate_is_not_told_as_average_precision(score):
    summary = "1,000 rows are worth 141 more real ones. It cannot be told whether they help at all"
    rate = score(
        "utility.exchange_rate", "cannot tell", value=141.0, baseline=1000.0, margin=250.0,
        higher_is_better=True, details={"summary": summary},
    )  # fmt: skip
    facts = details("helps", "real", "synthetic", "mixed")
    facts["answers"]["synthetic"] = "hurts"
    models = score("utility.train_synthetic_test_real", "cannot tell", details=facts)
    found = answer([rate, models], "utility")
    assert found.mark == "good"
    assert found.text.endswith(
        "Synthetic rows alone do not train as well as real ones (average precision 0.400, trained on "
        "real rows 0.500). 1,000 rows are worth 141 more real ones."
    )
    assert "cannot be told" not in found.text
    facts["answers"] = {"synthetic": "no evidence", "mixed": "no evidence"}
    assert answer([rate, models], "utility").text.endswith("whether they help at all.")
    blind = score("utility.train_synthetic_test_real", "not measurable")
    alone = answer([blind, rate], "utility")
    assert (alone.mark, alone.text) == ("unclear", f"{summary}.")
    assert answer([blind], "utility").mark == "unmeasured"


def test_a_model_a_little_worse_within_the_margin_is_called_so(score):
    facts = details("no evidence", "real", "synthetic", "mixed")
    facts["answers"]["synthetic"] = "hurts"
    found = answer([score("utility.train_synthetic_test_real", details=facts)], "utility")
    assert "a little worse than real ones, within the margin" in found.text


def test_one_test_of_many_for_leaks_is_no_clean_bill(score) -> None:
    blind = [score(f"privacy.{name}", "not measurable") for name in ("outliers", "linkability")]
    found = summarize_families([score("privacy.exact_copies"), *blind])[3]
    assert (found.mark, found.text) == (
        "unclear",
        "No leak found, but only 1 of 3 tests could be made: that shows little.",
    )


@pytest.mark.parametrize(("metric", "place"), [("gap.k_marginals", 0), ("coverage.slices", 1)])
def test_what_time_alone_explains_is_told(score, metric: str, place: int) -> None:
    later = score(metric, "different", details={"compared": {"train_rows_instead": 0.702}})
    told = summarize_families([later])[place].text
    assert told.endswith("real training rows score 0.702 here: part of the distance is time.")
    assert (
        "part of the distance" not in summarize_families([score(metric, "different")])[place].text
    )

from dataclasses import replace

from tests.report.conftest import components, models
from twinset.core.findings import (
    BrokenRules,
    ColumnDistances,
    ComparisonBasis,
    CopyCounts,
    DecidingRows,
    DifferingComponents,
    DifferingTriples,
    MissingCellPattern,
    PairDistances,
    PermutationTest,
    RegionShares,
)
from twinset.core.model_findings import AddedRows, Effect, ExchangeRate
from twinset.report import summarize_families
from twinset.report.answers.purposes import uses
from twinset.report.answers.sentences import reasons, remarks


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
            findings=(ColumnDistances({"Amount": 0.61, "V1": 0.4}),),
        ),
        score("gap.classifier"),
    ]  # fmt: skip
    found = answer(scores, "gap")
    assert found.mark == "bad"
    assert found.text == (
        "Different from real rows in 2 of 3 tests, most of all in single columns "
        "(0.500, real rows get 0.100), worst column Amount at 0.610."
    )


def test_the_worst_pair_is_named(score):
    pairs = (("a", "b", 0.1), ("b", "c", 0.7), ("a", "c", 0.2))
    found = answer([score("gap.pairs", "different", findings=(PairDistances(pairs),))], "gap")
    assert "worst pair b and c at 0.700" in found.text


def test_undecided_says_how_many_rows_are_needed(score):
    rows = (DecidingRows(78, "rows on each side"),)
    undecided = score("gap.a", "cannot tell", interval=(0.0, 0.07), findings=rows)
    found = answer([score("gap.b"), undecided], "gap")
    assert found.mark == "inconclusive"
    assert found.text == (
        "No difference found so far, but undecided in 1 of 2 tests; "
        "a needs about 430 rows on each side, there are 78."
    )


def test_nothing_measurable_gives_the_reason(score):
    blind = score("privacy.a", "not measurable", reason="no holdout")
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
    assert "no proof of safety" in found.text


def test_signs_of_leaking_tell_what_the_metric_found(score):
    counts = (CopyCounts(None, 7, 9, 0, 9),)
    found = answer([score("privacy.exact_copies", "different", findings=counts)], "privacy")
    assert found.mark == "bad"
    assert "7 of 9 synthetic rows equal a training one" in found.text


def test_usefulness_is_about_the_mixed_set_first(score):
    for effect, mark in [("helps", "good"), ("hurts", "bad"), ("no evidence", "inconclusive")]:
        found = answer(
            [score("utility.a", "different", findings=(models(effect, "hurts"),))], "utility"
        )
        assert found.mark == mark
        assert "(average precision +0.010, 95 % interval −0.010 to +0.030)" in found.text
        assert "do not train as well" in found.detail


def test_rare_rows_alone_are_not_said_to_train_a_model(score):
    found = answer([score("utility.a", findings=(models("helps", None),))], "utility")
    assert "too few classes to train on" in found.detail
    assert "as well as" not in found.text


def test_usefulness_without_details_falls_back_on_the_verdict(score):
    found = answer([score("utility.a", value=0.7, baseline=0.71)], "utility")
    assert found.mark == "good"
    assert found.text == (
        "Synthetic rows alone train nearly as well as real ones, within the margin"
        " (0.700, trained on real rows 0.710)."
    )


def test_a_finding_is_said_beside_its_score_and_not_among_the_reasons(score):
    counts = (CopyCounts(None, 0, 9, 0, 9),)
    found = score("privacy.a", interval=(0.0, 0.0), findings=counts)
    assert reasons(found) == []
    assert len(remarks(found)) == 1


NOTHING = (
    DifferingComponents("column", (), 9), BrokenRules((), 9), DifferingTriples(0, 5),
    MissingCellPattern(n_missing=9), PermutationTest(0.4), RegionShares(),
)  # fmt: skip


def test_a_finding_of_nothing_is_not_reported_as_the_furthest_off(score):
    for nothing in NOTHING:
        found = answer([score("gap.a", "different", findings=(nothing,))], "gap")
        assert found.text.endswith("most of all in a (0.020, real rows get 0.010).")
        assert remarks(score("gap.a", findings=(nothing,))) != []


def test_the_components_that_are_different_are_named_first(score):
    found = components("column", "age", "fee", "sex", "town"), DifferingComponents("column", (), 4)
    text = answer([score("gap.marginals", "different", findings=found)], "gap").text
    assert text.endswith("(0.020, real rows get 0.010), by columns age, fee, sex and 1 more.")


def test_the_exchange_rate_is_not_reported_as_average_precision(score):
    worth = ExchangeRate("y", "boosted trees", (), 141.0, 20.0, Effect.HELPS)
    rate = score(
        "utility.exchange_rate", "cannot tell", value=141.0, baseline=1000.0, margin=250.0,
        higher_is_better=True, findings=(worth, AddedRows(best=500)),
    )  # fmt: skip
    tested = models("helps", "worse")
    score_of_models = score("utility.train_synthetic_test_real", "cannot tell", findings=(tested,))
    found = answer([rate, score_of_models], "utility")
    assert found.mark == "good"
    assert found.detail == (
        "Synthetic rows alone train worse than real ones; whether by more than the margin is "
        "inconclusive (average precision 0.790, trained on real rows 0.800). 1,000 of these synthetic "
        "rows are worth 141 ± 20 more real ones for this task (predicting 'y' by boosted trees)."
    )
    open_models = score("utility.train_synthetic_test_real", "cannot tell", findings=(models(),))
    open_rate = replace(
        rate, findings=(replace(worth, effect=Effect.NOT_SHOWN), AddedRows(best=500))
    )
    assert "worth between" in answer([open_rate, open_models], "utility").detail
    blind = score("utility.train_synthetic_test_real", "not measurable")
    alone = answer([blind, rate], "utility")
    assert (alone.mark, alone.text[:5]) == ("inconclusive", "1,000")
    assert answer([blind], "utility").mark == "unmeasured"


def test_a_model_a_little_worse_within_the_margin_is_called_so(score):
    tested = (models("no evidence", "worse"),)
    found = answer([score("utility.train_synthetic_test_real", findings=tested)], "utility")
    assert "a little worse than real ones, within the margin" in found.detail


def test_one_test_of_many_for_leaks_is_no_clean_bill(score) -> None:
    blind = [score(f"privacy.{name}", "not measurable") for name in ("outliers", "linkability")]
    found = summarize_families([score("privacy.exact_copies"), *blind])[3]
    assert (found.mark, found.text) == (
        "inconclusive",
        "No leak found, but only 1 of 3 tests could be made, which shows little.",
    )


def test_what_drift_alone_explains_is_reported(score) -> None:
    for metric, place in [("gap.k_marginals", 0), ("coverage.slices", 1)]:
        basis = ComparisonBasis(train_value=0.702, is_later=True)
        told = summarize_families([score(metric, "different", findings=(basis,))])[place].detail
        assert "is later than the train set: real train rows score 0.702 here" in told
        plain = summarize_families([score(metric, "different")])[place].whole
        assert "train rows" not in plain


MODELS = "utility.train_synthetic_test_real"
OPEN = ("open", "may or may not", "inconclusive", "disagree", "No evidence", "No gain")


def test_whether_adding_helps_has_one_answer(score) -> None:
    for by_models, by_rate, addition, mark in [
        # As on the page of the fraud set: it hurts by the models, and the rate contains zero.
        ("hurts", Effect.NOT_SHOWN, "no", "bad"),
        ("helps", Effect.NOT_SHOWN, "yes", "good"),
        ("no evidence", Effect.HURTS, "no gain shown", "inconclusive"),
        ("no evidence", Effect.NOT_SHOWN, "no gain shown", "inconclusive"),
        ("helps", Effect.HURTS, "cannot tell", "inconclusive"),
        ("hurts", Effect.HURTS, "no", "bad"),
        ("worse", Effect.NOT_SHOWN, "no gain shown", "inconclusive"),
        ("helps", Effect.WORSE, "cannot tell", "inconclusive"),
    ]:
        worth = ExchangeRate("Class", "boosted trees", ("1",), -40.0, 90.0, by_rate)
        scores = [
            score(MODELS, findings=(models(by_models),)),
            score("utility.exchange_rate", "different", findings=(worth,), higher_is_better=True),
        ]
        found = answer(scores, "utility")
        assert (found.mark, uses(scores)[1].answer, uses(scores)[1].mark) == (mark, addition, mark)
        says = {
            "good": "It helps" in found.text,
            "bad": "It hurts" in found.text or "add none" in found.text,
            "inconclusive": any(word in found.text for word in OPEN),
        }
        assert {key for key, is_there in says.items() if is_there} == {mark}
        # The sentence of the rate alone gives numbers and no answer to the question.
        is_decided = by_rate != Effect.NOT_SHOWN
        assert ("harm" in remarks(scores[1])[0]) == is_decided
        assert "open whether" not in remarks(scores[1])[0]


def test_whether_synthetic_rows_replace_real_ones_has_one_answer(score) -> None:
    for verdict in ["as good as real", "different", "cannot tell"]:
        for effect in ["helps", "hurts", "no evidence"]:
            scores = [score(MODELS, verdict, findings=(models("helps", effect),))]
            text = answer(scores, "utility").whole.partition("Synthetic rows alone ")[2]
            assert uses(scores)[0].answer == {"different": "no", "cannot tell": "cannot tell"}.get(
                verdict, "yes"
            )
            assert text.startswith("do not train") == (verdict == "different")
            assert ("inconclusive" in text) == (verdict == "cannot tell")

"""What a set may be used for."""

from __future__ import annotations

from tests.report.conftest import components, models
from twinset.core.findings import GroupOutcome, GroupResults, RegionShare, RegionShares
from twinset.report.answers.purposes import caution, in_short, uses

MODELS = "utility.train_synthetic_test_real"
BASIC = ("gap.marginals", "gap.pairs")


def answers(scores) -> list[str]:
    return [use.answer for use in uses(scores)]


def test_a_good_set_serves_all_purposes(score) -> None:
    scores = [
        *[score(name) for name in BASIC],
        score(MODELS, findings=(models(mixed="helps"),), value=0.79, baseline=0.8),
        score("privacy.membership"),
    ]
    assert answers(scores) == ["yes", "yes", "yes", "no sign of leaking"]
    assert uses(scores)[0].reason == "models reach 0.790, on real rows 0.800"
    assert (
        uses(scores)[1].reason
        == "average precision changes by +0.010 (95 % interval −0.010 to +0.030)"
    )
    assert in_short(uses(scores)).startswith("Train on it instead of real rows: yes; Add it")


def test_training_follows_the_models(score) -> None:
    for verdict, mixed, expected in [
        ("different", "hurts", ["no", "no"]),
        ("cannot tell", "no evidence", ["cannot tell", "no gain shown"]),
        ("as good as real", "helps", ["yes", "yes"]),
        ("as good as real", "hurts", ["with care", "no"]),
        ("not measurable", "", ["not measured", "not measured"]),
    ]:
        found = () if verdict == "not measurable" else (models(mixed),)
        assert answers([score(MODELS, verdict, findings=found)])[:2] == expected


def test_a_group_that_is_off_asks_for_care(score) -> None:
    parts = (components("group", "sex = f", "a", "b"),)
    scores = [
        *[score(name) for name in BASIC],
        score(MODELS, findings=(models(),)),
        score("coverage.group_outcomes", "different", findings=parts),
    ]
    found = uses(scores)
    assert [use.answer for use in found[:3]] == ["with care", "no gain shown", "with care"]
    assert found[0].reason.endswith(
        "but off in outcomes of groups of people (sex = f, a and 1 more)"
    )
    assert found[2].mark == "inconclusive"


def test_pairs_that_are_wrong_throughout_cannot_be_looked_at(score) -> None:
    wrong = score("gap.pairs", "different", value=0.15)
    assert answers([score("gap.marginals"), wrong])[2] == "no"
    assert answers([score("gap.marginals"), score("gap.pairs", "cannot tell")])[2] == "cannot tell"


def test_pairs_near_the_floor_say_no_and_a_few_that_are_off_ask_for_care(score) -> None:
    parts = (components("pair", "a with b"),)
    far, near = (
        score("gap.pairs", "different", value=v, baseline=0.01, floor=0.2, findings=parts)
        for v in (0.15, 0.05)
    )
    assert answers([score("gap.marginals"), far])[2] == "no"
    assert answers([score("gap.marginals"), near])[2] == "with care"


def test_a_underrepresented_region_is_named(score) -> None:
    told = (RegionShares((RegionShare("night and rain", 0.031, 0.002, 1_916, 54),)),)
    scores = [
        score(MODELS, findings=(models(),)),
        score("coverage.slices", "different", findings=told),
    ]
    assert uses(scores)[0].reason.endswith(
        "off in under-represented rows (night and rain: 0.2 % of 54 synthetic rows compared, 3.1 % of "
        "1,916 real rows compared)"
    )


def test_leaks_are_named_and_silence_is_no_proof(score) -> None:
    leak = [score("privacy.exact_copies", "different"), score("privacy.membership", "different")]
    found = uses(leak)[3]
    assert found.answer == "no"
    assert "exact copies of training rows and separating training rows" in found.reason
    assert uses([score("privacy.membership", "cannot tell")])[3].answer == "not shown to be safe"
    assert "for you to decide" in uses([score("privacy.membership")])[3].reason
    assert uses([score("privacy.membership", "not measurable")])[3].mark == "unmeasured"


def test_rare_cases_alone_cannot_replace_real_rows(score) -> None:
    found = uses([score(MODELS, findings=(models("helps", None),))])
    assert [use.answer for use in found[:2]] == ["no", "yes"]


def test_what_leaks_is_used_with_care_and_says_why(score) -> None:
    scores = [
        *[score(name) for name in BASIC],
        score(MODELS, findings=(models(mixed="helps"),)),
        score("privacy.membership", "different"),
    ]
    found = uses(scores)
    assert [use.answer for use in found] == ["with care", "yes", "with care", "no"]
    assert found[2].reason == "it leaks: guard it like the real rows"


def test_an_outcome_that_is_off_is_reported_with_both_shares(score) -> None:
    groups = (GroupOutcome("sex = f", 0.45, 0.15),)
    told = components("group", "sex = f"), GroupResults("ill", ("no", "yes"), groups)
    scores = [
        score(MODELS, findings=(models(),)),
        score("coverage.group_outcomes", "different", findings=told),
    ]
    ending = "(sex = f, share of rows with 'ill' = yes: 15 % instead of 45 %)"
    assert uses(scores)[0].reason.endswith(ending)


def test_rows_of_single_real_rows_are_not_given_away(score) -> None:
    good = [score("privacy.membership"), score("privacy.outliers")]
    assert uses(good)[3].answer == "no sign of leaking"
    assert uses(good, from_real=True)[3].answer == "no"


def test_one_test_of_many_shows_no_safety(score) -> None:
    blind = [score(f"privacy.{name}", "not measurable") for name in ("outliers", "linkability")]
    found = uses([score("privacy.exact_copies"), *blind])[3]
    assert (found.answer, found.reason) == (
        "not shown to be safe",
        "only 1 of 3 tests could be made",
    )


def test_an_allowed_leak_leaves_nothing_to_be_learnt_from_models(score) -> None:
    scores = [score(MODELS, findings=(models(mixed="helps"),))]
    found = uses(scores, leak_allowed=True)
    assert [use.answer for use in found[:2]] == ["cannot tell", "cannot tell"]
    assert "a leak was allowed" in found[1].reason


def test_columns_are_hopeless_by_their_size_not_by_their_number(score) -> None:
    parts = (components("column", "a", "b"),)
    far = score("gap.marginals", "different", value=0.95, baseline=0.01, findings=parts)
    near = score("gap.marginals", "different", value=0.035, baseline=0.01)
    assert answers([far, score("gap.pairs")])[2] == "no"
    assert answers([near, score("gap.pairs")])[2] == "with care"


IMAGES = (components("measure", "sharpness", "noise"),)


def test_blurred_images_are_said_before_any_use(score) -> None:
    scores = [
        score("gap.image_properties", "different", value=0.15, findings=IMAGES),
        score(MODELS, findings=(models(mixed="helps"),), value=0.985, baseline=0.979),
    ]
    careful = "its images are unlike real ones in sharpness and noise"
    assert caution(scores) == careful
    found = uses(scores)
    assert [use.answer for use in found[:3]] == ["with care", "with care", "with care"]
    assert all(use.reason.startswith(careful) for use in found[:2])
    assert in_short(found, caution(scores)).startswith(f"Mind that {careful}. Train on it")


def test_a_set_that_may_look_like_real_ones_asks_for_no_caution(score) -> None:
    for verdict in ("as good as real", "cannot tell"):
        assert caution([score("gap.image_properties", verdict)]) == ""
    assert caution([score("gap.marginals", "different")]) == ""
    assert caution([score("gap.image_properties", "different")]).endswith("all their properties")

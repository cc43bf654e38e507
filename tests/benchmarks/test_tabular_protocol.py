"""The benchmark's scorer on tables of a few rows whose answers were worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from benchmarks import intervals
from benchmarks.tabular import detect, mle, privacy, protocol, score, sets
from benchmarks.tabular.sets import Coded, Roles, TableSet, code

ROLES = Roles(("x", "y", "c", "t"), ("c", "t"), "t", "yes")


def table(x: list[float], y: list[float], c: str, t: str = "") -> pd.DataFrame:
    said = t or "n" * len(x)
    return pd.DataFrame(
        {"x": x, "y": y, "c": list(c), "t": ["yes" if i == "y" else "no" for i in said]}
    )


REAL = table([0.0, 1.0, 2.0, 10.0], [0.0, 1.0, 2.0, 3.0], "aabb", "ynyn")
MADE = table([0.0, 0.0, 1.0, 9.0], [3.0, 2.0, 1.0, 0.0], "aaac", "yyyn")


def test_shape_is_ks_for_numbers_and_total_variation_for_categories() -> None:
    errors = protocol.shape(*code(ROLES, REAL, MADE))
    # x: at 0 the shares at or below are 1/4 and 2/4; nowhere further apart. y: the same values.
    # c: a 2/4 against 3/4, b 2/4 against 0, c 0 against 1/4: half of 1/4 + 2/4 + 1/4. t: 1/4.
    assert dict(zip(errors.names, errors.values)) == {"x": 0.25, "y": 0.0, "c": 0.5, "t": 0.25}
    assert errors.mean == 0.25
    assert errors.worst == ("c", 0.5)


def test_trend_of_two_numbers_is_half_the_difference_of_correlations() -> None:
    errors = protocol.trend(*code(ROLES, REAL, MADE))
    real = np.corrcoef([0, 1, 2, 10], [0, 1, 2, 3])[0, 1]
    made = np.corrcoef([0, 0, 1, 9], [3, 2, 1, 0])[0, 1]
    assert dict(zip(errors.names, errors.values))["x ~ y"] == pytest.approx((real - made) / 2)


def test_trend_of_two_categories_is_the_distance_of_joint_tables() -> None:
    errors = protocol.trend(*code(ROLES, REAL, MADE))
    # real: a-yes, a-no, b-yes, b-no one quarter each; made: a-yes 3/4, c-no 1/4.
    assert dict(zip(errors.names, errors.values))["c ~ t"] == 0.75


def test_own_bins_depend_on_the_extremes_and_shared_bins_do_not() -> None:
    real = table([0.0, 4.9, 5.1, 10.0], [0.0] * 4, "abab")
    made = table([0.0, 4.9, 5.1, 11.0], [0.0] * 4, "abab")
    coded = code(ROLES, real, made)
    own, shared = (
        dict(zip(errors.names, errors.values))["x ~ c"]
        for errors in (protocol.trend(*coded), protocol.trend(*coded, "shared"))
    )
    # Edges of width 1.1 put 5.1 into bin 5 instead of 6: that row alone moves.
    assert (own, shared) == (0.25, 0.0)


def test_the_largest_value_falls_into_an_eleventh_own_bin() -> None:
    column = np.array([[0.0], [9.5], [10.0]])
    assert protocol.own_bins(column).ravel().tolist() == [1, 10, 11]
    assert protocol.shared_bins(column, column).ravel().tolist() == [0, 9, 9]
    outside = np.array([[-5.0], [25.0]])
    assert protocol.shared_bins(outside, column).ravel().tolist() == [0, 9]


def test_a_constant_column_has_no_correlation_and_is_left_out_of_the_mean() -> None:
    constant = table([1.0, 2.0], [7.0, 7.0], "aa")
    errors = protocol.trend(*code(ROLES, constant, constant))
    assert np.isnan(dict(zip(errors.names, errors.values))["x ~ y"])
    assert errors.mean == 0.0


def test_large_joint_tables_are_counted_alike() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 5, 50), rng.integers(0, 5, 50)
    assert protocol.distance(a, b, 1 << 40) == pytest.approx(protocol.distance(a, b, 5))


def test_excess_is_what_train_does_not_show() -> None:
    train, holdout, made = code(ROLES, REAL, table([5.0] * 4, [0.0] * 4, "aabb"), MADE)
    same = protocol.shape(holdout, train)
    assert protocol.excess(same, same) == 0.0
    found = protocol.excess(protocol.shape(holdout, made), same)
    # against the holdout, made: x .75 (5 lies above three of four), y .75, c .5, t .75;
    # train: x .75, y .75, c 0, t .5.
    assert found == pytest.approx((0.75 + 0.75 + 0.5 + 0.75) / 4 - (0.75 + 0.75 + 0 + 0.5) / 4)


def test_auc_and_its_error_by_hand() -> None:
    auc, error = intervals.auc_with_error(np.array([2.0, 4.0]), np.array([1.0, 3.0]))
    # 2 beats one of two, 4 both; 1 is beaten by both, 3 by one: variances 1/8 and 1/8.
    assert auc == 0.75
    assert error == pytest.approx(np.sqrt(0.125 / 2 + 0.125 / 2))


def test_ties_count_half() -> None:
    assert intervals.auc_with_error(np.array([1.0, 1.0]), np.array([1.0, 1.0]))[0] == 0.5


def test_alpha_precision_and_beta_recall_by_hand() -> None:
    roles = Roles(("x", "c"), ("c",), "c", "a")
    real = pd.DataFrame({"x": [0.0, 1.0, 3.0, 10.0], "c": list("aaaa")})
    reference = protocol.Reference.from_table(code(roles, real)[0])
    assert reference.to_other.tolist() == pytest.approx([0.1, 0.1, 0.2, 0.7])
    copied = protocol.alpha_beta(reference, code(roles, real, real)[1])
    # A copy lies within every radius as the real rows do, up to the steps of four rows.
    alphas = np.linspace(0, 1, 30)
    steps = np.array([np.ceil(a * 3 + 1e-9) if a * 3 % 1 else a * 3 + 1 for a in alphas])
    inside = np.where(np.isclose(alphas * 3 % 1, 0), alphas * 3 + 1, steps) / 4
    assert copied[0] == pytest.approx(1 - np.abs(alphas - inside).sum() / alphas.sum())
    far = pd.DataFrame({"x": [100.0, 101.0, 102.0, 103.0], "c": list("aaaa")})
    precision, recall = protocol.alpha_beta(reference, code(roles, real, far)[1])
    # No synthetic row within any radius, no real row covered: the curves are 0 throughout.
    assert (precision, recall) == (0.0, 0.0)


def test_alpha_beta_wants_equal_sizes() -> None:
    reference = protocol.Reference.from_table(code(ROLES, REAL)[0])
    with pytest.raises(ValueError, match="as many"):
        protocol.alpha_beta(reference, code(ROLES, REAL, MADE.head(3))[1])


def test_nearest_rows_and_their_distances() -> None:
    points = np.array([[0.0, 0.0], [3.0, 4.0], [3.0, 5.0]])
    distances, found = protocol.nearest(np.array([[3.0, 3.9], [0.0, 0.1]]), points)
    assert found.tolist() == [1, 0]
    assert distances == pytest.approx([0.1, 0.1])
    distances, found = protocol.nearest(points, points, other=True)
    assert (found.tolist(), distances.tolist()) == ([1, 2, 1], [5.0, 1.0, 1.0])


def test_closest_is_l1_with_a_category_counting_two() -> None:
    query, rows = code(
        ROLES, table([0.0, 10.0], [0.0, 3.0], "ab"), table([1.0, 5.0, 10.0], [0.0, 0.0, 3.0], "bba")
    )
    scale = np.array([10.0, 3.0])
    from_query, from_table = privacy.closest(query, rows, scale, groups=(2,))
    # (0, 0, a): to (1, 0, b) 0.1 + 2, to (10, 3, a) 1 + 1. (10, 3, b): to (5, 0, b) 0.5 + 1 and
    # to (10, 3, a) 2.
    assert from_query == pytest.approx(np.array([[2.1, 2.0], [1.5, 2.0]]))
    assert from_table == pytest.approx([1.9, 1.5, 2.0])


def test_closest_agrees_with_all_distances_whatever_the_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(privacy, "_ROWS", 3)
    monkeypatch.setattr(privacy, "_COLUMNS", 4)
    rng = np.random.default_rng(1)
    levels = (tuple("abc"), tuple("yn"))

    def draw(n: int) -> Coded:
        codes = np.stack([rng.integers(0, 3, n), rng.integers(0, 2, n)], axis=1)
        return Coded(rng.normal(size=(n, 2)), codes.astype(np.int32), levels, ("x", "y", "c", "t"))

    query, rows = draw(10), draw(9)
    gaps = np.abs(query.numbers[:, None] - rows.numbers[None]).sum(axis=2)
    gaps += 2 * (query.codes[:, None] != rows.codes[None]).sum(axis=2)
    from_query, from_table = privacy.closest(query, rows, np.ones(2), groups=(5,))
    expected = np.stack([gaps[:, :5].min(axis=1), gaps[:, 5:].min(axis=1)], axis=1)
    assert from_query == pytest.approx(expected, abs=1e-5)
    assert from_table == pytest.approx(gaps.min(axis=0), abs=1e-5)
    own = np.abs(rows.numbers[:, None] - rows.numbers[None]).sum(axis=2)
    own += 2 * (rows.codes[:, None] != rows.codes[None]).sum(axis=2) + np.diag([np.inf] * 9)
    assert privacy.closest(rows, rows, np.ones(2), other=True)[0] == pytest.approx(
        own.min(axis=1), abs=1e-5
    )


def test_copies_count_beyond_those_of_the_holdout() -> None:
    holdout = table([0.0, 7.0, 7.0, 7.0], [0.0] * 4, "aaaa", "yyyy")
    made = table([0.0, 1.0, 2.0, 10.0], [0.0, 1.0, 2.0, 3.5], "aabb", "ynyn")
    train, held, synthetic = code(ROLES, REAL, holdout, made)
    assert privacy.equal_rows(synthetic, train).tolist() == [True, True, True, False]
    assert privacy.copies_beyond(synthetic, train, held) == 0.75 - 0.25


def test_negative_zero_is_a_copy_of_zero() -> None:
    train, made = code(ROLES, REAL, REAL.assign(x=[-0.0, 1.0, 2.0, 10.0]))
    assert privacy.equal_rows(made, train).all()


def test_leakage_of_a_copier_and_of_an_honest_generator() -> None:
    rng = np.random.default_rng(3)

    def draw(n: int) -> pd.DataFrame:
        return table(list(rng.normal(size=n)), list(rng.normal(size=n)), "a" * n)

    members, control, fresh = code(ROLES, draw(400), draw(400), draw(400))
    targets = privacy.AttackTargets.from_halves(members, control)
    copier, honest = privacy.leakage(targets, members), privacy.leakage(targets, fresh)
    assert (copier["dcr"], copier["member_copies"], copier["membership"]) == (1.0, 1.0, 1.0)
    assert honest["member_copies"] == 0.0
    assert abs(honest["dcr"] - 0.5) < 4 * honest["dcr_error"]
    assert honest["membership"] < 0.56
    assert honest["isolated_upper"] > honest["isolated"]
    tied = privacy.leakage(targets, privacy.stack(members, control).take(np.array([0, 400])))
    assert (tied["dcr"], tied["member_copies"]) == (0.5, 0.0)


def test_the_logistic_score_is_one_for_a_copy_and_small_for_a_shifted_table() -> None:
    rng = np.random.default_rng(0)
    real = table(list(rng.normal(size=300)), list(rng.normal(size=300)), "abc" * 100)
    assert detect.logistic_score(real, real) > 0.85
    assert detect.logistic_score(real, real.assign(x=real.x + 9)) < 0.01
    assert detect.logistic_score(real, real.assign(c="new")) < 0.05


def test_the_boosted_detector_has_an_interval_that_narrows_with_rows() -> None:
    rng = np.random.default_rng(0)

    def draw(n: int, shift: float) -> pd.DataFrame:
        return table(list(rng.normal(size=n) + shift), list(rng.normal(size=n)), "ab" * (n // 2))

    small = detect.boosted_auc(*code(ROLES, draw(100, 0), draw(300, 0)), repeats=2)
    large = detect.boosted_auc(*code(ROLES, draw(400, 0), draw(400, 0)), repeats=1, folds=3)
    assert small.low < 0.5 < small.high
    assert large.high - large.low < small.high - small.low
    assert (
        detect.boosted_auc(*code(ROLES, draw(200, 0), draw(200, 3)), repeats=1, folds=3).mean > 0.95
    )


def test_the_log_error_is_taken_only_where_the_first_number_is_large() -> None:
    small, large = REAL, REAL.assign(x=REAL.x * 200)
    negative = large.assign(x=large.x - 1)
    taken = [mle.takes_logs(ROLES, code(ROLES, frame)[0]) for frame in (small, large, negative)]
    assert taken == [False, True, False]


def test_efficiency_learns_from_the_synthetic_rows_alone() -> None:
    pytest.importorskip("xgboost", reason="xgboost is not installed")
    rng = np.random.default_rng(0)
    x = rng.normal(size=900)
    rule = "".join("y" if value > 0 else "n" for value in x)
    made = table(list(x), list(rng.normal(size=900)), "ab" * 450, rule)
    opposite = made.assign(t=np.where(made.t == "yes", "no", "yes"))
    held = made.head(300)
    right, wrong = (
        mle.efficiency(ROLES, *code(ROLES, frame, held)).score for frame in (made, opposite)
    )
    assert right > 0.99
    assert wrong < 0.01


def test_a_regression_is_scored_on_the_log_target_and_the_error_is_in_the_choice_alone() -> None:
    pytest.importorskip("xgboost", reason="xgboost is not installed")
    rng = np.random.default_rng(0)
    roles = Roles(("x", "y", "c"), ("c",), "y")
    x = rng.uniform(0, 5, size=900)
    made = pd.DataFrame({"x": x, "y": np.exp(x), "c": "a"})
    coded = code(roles, made, made.head(200))
    assert mle.efficiency(roles, *coded, mode="corrected").score < 0.1
    # The target unlogged is far above any prediction: the largest predictions are chosen.
    assert mle.efficiency(roles, *coded).score < 0.5


def test_the_split_shuffles_the_shuffled_positions_again_when_a_level_is_missing() -> None:
    frame = pd.DataFrame({"c": ["only"] + ["b"] * 19})
    train, holdout = sets.split_rows(frame, ("c",))
    assert sorted([*train, *holdout]) == list(range(20))
    assert 0 in train
    first = np.arange(20)
    np.random.RandomState(1234).shuffle(first)
    lucky = frame.assign(c="b")
    assert sets.split_rows(lucky, ("c",))[0].tolist() == first[:18].tolist()
    missing = pd.DataFrame({"c": ["b"] * 20})
    missing.loc[first[19], "c"] = "only"
    again = first.copy()
    np.random.RandomState(1235).shuffle(again)
    assert sets.split_rows(missing, ("c",))[0].tolist() == again[:18].tolist()


def test_halves_are_disjoint_and_equal() -> None:
    members, control = sets.halves(11)
    assert (len(members), len(control)) == (5, 5)
    assert not set(members) & set(control)


def test_conform_brings_back_the_types_of_the_file() -> None:
    real = pd.DataFrame({"x": [1.5], "code": [3], "flag": [True], "word": [" a"]})
    like = TableSet(
        "t", real, real, Roles(("x", "code", "flag", "word"), ("code", "flag", "word"), "flag"), ""
    )
    made = like.conform(
        pd.DataFrame({"word": [" a"], "x": [2], "code": ["3"], "flag": ["False"], "more": [0]})
    )
    assert made.to_dict("list") == {"x": [2.0], "code": [3], "flag": [False], "word": [" a"]}


def test_rules_that_real_rows_obey_are_counted_when_broken() -> None:
    frame = pd.DataFrame({"fConc": [0.5, 0.2], "fConc1": [0.4, 0.3], "fLength": 9, "fWidth": 3})
    like = TableSet("magic", frame, frame, Roles(tuple(frame.columns), (), "fWidth"), "")
    assert score.broken_share(like, frame) == 0.5
    unknown = TableSet("other", frame, frame, like.roles, "")
    assert np.isnan(score.broken_share(unknown, frame))


@pytest.mark.parametrize(
    ("name", "rows", "split"),
    [
        ("adult", (32_561, 16_281), "given"),
        ("default", (27_000, 3_000), "14924ce9acb2"),
        ("shoppers", (11_097, 1_233), "2507661abe68"),
        ("magic", (17_117, 1_902), "93f80d52a87b"),
        ("beijing", (37_581, 4_176), "1dc4b658389f"),
    ],
)
def test_the_five_sets_have_the_published_sizes(
    name: str, rows: tuple[int, int], split: str, shared_data: object
) -> None:
    found = sets.load(name)
    assert (len(found.train), len(found.holdout), found.split) == (*rows, split)
    assert score.broken_share(found, found.train) < 0.0004


def test_codes_mean_the_same_level_in_every_table() -> None:
    a = pd.DataFrame({"x": [1.0, 2.0], "c": ["b", "a"]})
    b = pd.DataFrame({"x": [3.0], "c": ["z"]})
    found = code(Roles(("x", "c"), ("c",), "c", "b"), a, b)
    assert [table.codes.ravel().tolist() for table in found] == [[1, 0], [2]]

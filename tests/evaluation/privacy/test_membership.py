import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import roc_auc_score

from twinset.core.contracts import Comparison, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.findings import DecidingRows
from twinset.core.seeding import rng_for
from twinset.core.stats.hypothesis_tests import areas
from twinset.evaluation.privacy._attacks import AttackTargets, draw_counts, true_positive_rate
from twinset.evaluation.privacy.membership import Membership, attack_signals

SIGNALS = st.integers(1, 12).flatmap(
    lambda n: arrays(float, n, elements=st.sampled_from([0, 1, 2, 5]))
)


@given(SIGNALS, SIGNALS)
def test_the_auc_is_that_of_scikit_learn(members: np.ndarray, control: np.ndarray) -> None:
    label = [1] * len(members) + [0] * len(control)
    expected = roc_auc_score(label, np.concatenate([members, control]))
    assert areas(control, members)[0] == pytest.approx(expected)


def test_weights_are_repeated_rows() -> None:
    members, control = np.array([3.0, 1.0, 2.0]), np.array([2.0, 0.0])
    weights = np.array([[2.0, 0.0, 1.0]]), np.array([[1.0, 3.0]])
    repeated = areas(np.array([2.0, 0.0, 0.0, 0.0]), np.array([3.0, 3.0, 2.0]))[0]
    assert areas(control, members, weights[1], weights[0])[0] == pytest.approx(repeated)


def test_every_replicate_draws_as_many_rows_as_there_are(rng) -> None:
    found = draw_counts(7, 30, rng)
    assert found.sum(axis=1).tolist() == [7] * 30
    assert found.std() > 0.5


def test_the_ratio_ranks_a_far_row_by_what_is_far_there() -> None:
    # The second row is nearer to the synthetic rows, but in a crowd; the first stands alone.
    found = attack_signals(np.array([3.0, 2.0]), np.array([9.0, 1.0]))
    assert found["distance"][0] < found["distance"][1]
    assert found["density_ratio"][0] > found["density_ratio"][1]


def test_scale_does_not_matter() -> None:
    near, apart = np.array([0.0, 2.0, 3.0]), np.array([1.0, 4.0, 2.0])
    one, other = (attack_signals(f * near, f * apart)["density_ratio"] for f in (1.0, 1e-4))
    assert one == pytest.approx(other)


def test_the_true_positive_rate_lets_one_control_row_in_a_hundred_pass() -> None:
    control = np.arange(200.0)
    assert true_positive_rate(np.repeat([197.0, 197.5, 198.5, 500.0], 9), control) == 0.75
    assert true_positive_rate(np.array([500.0]), control[:99]) is None


def test_members_and_control_are_treated_alike(people) -> None:
    train, holdout, made = people(300, 1), people(200, 2), people(250, 3)
    one = Membership().compute(Comparison(train, made, holdout), rng_for(1, "x"))
    other = Membership().compute(Comparison(holdout, made, train), rng_for(1, "x"))
    for name, value in one.facts["auc"].items():
        # Where ties of distances are split by rounding a pair may count otherwise.
        assert value == pytest.approx(1 - other.facts["auc"][name], abs=1e-3)


def test_levels_of_either_side_are_distinguished(compare) -> None:
    one, other = (
        Dataset.from_arrow(pa.table({"c": levels})) for levels in (["a", "b"], ["p", "q"])
    )
    for sides in ((one, other), (other, one)):
        rows = np.arange(2)
        found = AttackTargets.from_comparison(compare(one, sides[1], sides[0]), rows, rows).features
        apart = np.linalg.norm(found[:, None] - found, axis=2)
        assert apart == pytest.approx(1 - np.eye(4), abs=1e-6)


def test_a_rate_of_1_to_10_members_is_not_disclosed(people, compare, rng) -> None:
    train, holdout, fresh = people(100, 1), people(300, 2), people(100, 3)
    for copies, is_told in ((4, False), (60, True)):
        rows = Dataset.from_arrow(
            pa.concat_tables([train.to_arrow().slice(0, copies), fresh.to_arrow().slice(copies)])
        )
        found = Membership().compute(compare(rows, holdout, train), rng)
        told = found.facts["true_positive_rate_at_1_percent_false"]
        assert (told is not None) == is_told
        assert told is None or told * 100 >= 11


def jittered(dataset: Dataset, by: float, seed: int) -> Dataset:
    rng = rng_for(seed, "jitter")
    table = dataset.to_arrow().to_pandas()
    for name in ("x", "y"):
        table[name] += by * rng.normal(size=len(table))
    return Dataset.from_arrow(table, dataset.schema)


def test_a_copy_is_reported_and_a_jittered_copy_too(people, compare, rng) -> None:
    train, holdout = people(600, 1), people(300, 2)
    copied = Membership().compute(compare(train, holdout, train), rng)
    assert copied.value > 0.95
    assert copied.facts["true_positive_rate_at_1_percent_false"] > 0.9
    near = Membership().compute(compare(jittered(train, 0.02, 1), holdout, train), rng)
    far = Membership().compute(compare(jittered(train, 1.0, 1), holdout, train), rng)
    assert copied.value > near.value > 0.6 > far.value


def test_fresh_rows_score_one_half_inside_their_interval(people, compare) -> None:
    inside, values = 0, []
    for seed in range(40):
        sides = [people(n, 3 * seed + i) for i, n in enumerate((300, 150, 300))]
        found = Membership().compute(compare(sides[2], sides[1], sides[0]), rng_for(seed, "x"))
        signed = np.mean(list(found.facts["auc"].values()))
        inside += abs(signed - 0.5) < 1.96 * found.replicates.std(ddof=1)
        values.append(signed)
    # 38 of 40 expected; below 34 has a chance of 2 in 100.
    assert inside >= 34
    assert np.mean(values) == pytest.approx(0.5, abs=0.015)


def test_a_cap_is_kept_and_said(people, compare, rng) -> None:
    metric = Membership(max_rows=50, max_synthetic=40)
    found = metric.compute(compare(people(90, 1), people(60, 2), people(200, 3)), rng)
    assert found.facts["rows"] == {"train": 50, "control": 50, "synthetic": 40}
    assert found.finding(DecidingRows).n == 50


def test_nothing_in_the_details_belongs_to_one_row(people, compare, rng) -> None:
    few, many = (
        Membership().compute(compare(people(n, 1), people(n, 2), people(n, 3)), rng).facts
        for n in (40, 400)
    )
    # As long whatever the number of rows, give or take a few digits.
    assert abs(len(json.dumps(few)) - len(json.dumps(many))) < 60


def test_integers_on_one_side_and_numbers_on_the_other_agree(compare, rng) -> None:
    one = Dataset.from_arrow(pa.table({"n": [*range(40)]}))
    other = Dataset.from_arrow(pa.table({"n": [i + 0.5 for i in range(40)]}))
    assert Membership().compute(compare(one, other, one), rng).value > 0.95


def test_nothing_to_look_at_is_said(people, compare, rng) -> None:
    empty = people(5, 1).filter(np.zeros(5, dtype=bool))
    with pytest.raises(NotMeasurable):
        Membership().compute(compare(people(5, 1), people(5, 2), empty), rng)

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.core.findings import ConfidentRow, ConfidentRows, FeatureImportances
from twinset.core.seeding import rng_for
from twinset.evaluation.gap._explanation import (
    DiscriminatorScores,
    find_common_condition,
    find_confident_rows,
    list_conditions,
)
from twinset.evaluation.gap.classifier import Classifier
from twinset.measurement.harness import measure


def workers(n: int, seed: int, *, odd: float = 0.0) -> Dataset:
    """Draw people of whom the share `odd` are 15 to 19 years old and work 91 hours or more."""
    rng = rng_for(seed, "workers")
    age, hours = rng.integers(15, 80, n), rng.integers(10, 100, n)
    impossible = (age < 20) & (hours > 90)
    hours[impossible] = 40
    fake = np.arange(n) < odd * n
    age[fake], hours[fake] = rng.integers(15, 20, fake.sum()), rng.integers(91, 100, fake.sum())
    job = np.array(["clerk", "cook", "nurse"])[rng.integers(0, 3, n)]
    return Dataset.from_arrow(pa.table({"age": age, "hours": hours, "job": job}))


def judged_by(synthetic: Dataset, reference: Dataset, said: np.ndarray) -> DiscriminatorScores:
    n = len(reference) + len(synthetic)
    return DiscriminatorScores(reference, synthetic, said, np.arange(n) % 5)


def test_planted_rows_are_the_surest_and_the_rule_is_theirs(compare, rng) -> None:
    made, real = workers(1500, 1, odd=0.1), workers(1500, 2)
    found = Classifier(iterations=20).compute(compare(made, real), rng).finding(ConfidentRows)
    assert all(row.number <= 150 for row in found.rows)
    assert "age" in found.common.condition
    assert "hours" in found.common.condition
    assert found.common.real == 0.0
    assert 0.07 < found.common.synthetic < 0.13


def test_a_few_plain_fakes_are_named_though_the_area_hardly_moves(compare) -> None:
    for seed in range(3):
        made, real = workers(3000, 2 * seed, odd=0.04), workers(3000, 2 * seed + 1)
        found = Classifier(iterations=30, replicates=2).compute(compare(made, real), rng_for(seed))
        assert found.value < 0.54
        assert set(list(found.finding(FeatureImportances).importances)[:2]) == {"age", "hours"}
        assert all(row.number <= 120 for row in found.finding(ConfidentRows).rows)


def test_row_numbers_are_those_of_the_set_that_was_given() -> None:
    made, real = workers(1200, 1, odd=0.1), workers(1600, 2)
    # Turned round and beside rows that the condition leaves out, the odd rows stand at the end.
    turned = Dataset.concat([made, made.take(np.arange(len(made))[::-1])])
    score, *_ = measure(
        train=real,
        synthetic=turned,
        holdout=workers(1600, 3),
        metrics=[("gap.classifier", Classifier(iterations=20))],
        where=Where({"age": {"lt": 40}}),
    )
    for row in score.finding(ConfidentRows).rows:
        place = row.number - 1
        assert place < 120 or place >= len(turned) - 120
        assert row.values["age"] == str(int(turned.values("age")[place]))


def test_values_that_few_real_rows_hold_are_not_shown() -> None:
    real = Dataset.from_arrow(pa.table({"x": [1] * 5 + [2] * 20 + [3] * 75}))
    made = Dataset.from_arrow(pa.table({"x": [1, 2, 4]}))
    said = np.append(np.zeros(100), [0.9, 0.8, 0.7])
    rows = find_confident_rows(judged_by(made, real, said), ["x"], np.arange(3), real.slice(0, 0))
    assert rows == (
        ConfidentRow(1, 0.9),
        ConfidentRow(2, 0.8, {"x": "2"}),
        ConfidentRow(3, 0.7, {"x": "4"}),
    )
    # In the train part they are as real.
    unseen = find_confident_rows(
        judged_by(made, real.slice(30, 70), said[30:]), ["x"], np.arange(3), real
    )
    assert unseen[0].values == {}


def test_rows_varied_from_real_ones_show_no_values() -> None:
    real = workers(60, 1)
    made = workers(10, 2).with_card(origin="augmented")
    rows = find_confident_rows(
        judged_by(made, real, np.linspace(0, 1, 70)), ["age"], np.arange(10) + 7, real
    )
    assert [row.number for row in rows] == [17, 16, 15, 14, 13, 12]
    assert not any(row.values for row in rows)


def test_rows_without_anything_in_common_have_no_rule() -> None:
    for seed in range(5):
        made, real = workers(800, 2 * seed), workers(800, 2 * seed + 1)
        said = rng_for(seed, "guess").random(1600)
        assert find_common_condition(judged_by(made, real, said), ["age", "hours", "job"]) is None


def test_few_rows_have_no_rule() -> None:
    made, real = workers(40, 1, odd=1.0), workers(40, 2)
    said = np.repeat([0.0, 1.0], 40)
    assert find_common_condition(judged_by(made, real, said), ["age", "hours"]) is None


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (pa.array([1.5, None, 1.5, 1.5]), {"x = 1.5", "x is missing"}),
        (pa.array([True, False, True, True]), {"x", "not x"}),
        (pa.array([np.datetime64("2024-03-01T10:00", "us")] * 4), {"x = 2024-03-01 10:00"}),
    ],
)
def test_conditions_say_what_they_hold_for(column: pa.Array, words: set[str]) -> None:
    rows = Dataset.from_arrow(pa.table({"x": column}))
    found = {one.words: one.rows for one in list_conditions(rows, rows, ["x"], np.arange(4))}
    assert words <= set(found)
    assert all(holds.shape == (8,) and holds.any() for holds in found.values())
    if "x is missing" in words:
        assert found["x is missing"].tolist() == [False, True, False, False] * 2

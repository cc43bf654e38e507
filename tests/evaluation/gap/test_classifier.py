import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from twinset.core.contracts import NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.findings import ConfidentRows, FeatureImportances, RegionShare
from twinset.core.seeding import rng_for
from twinset.core.stats.hypothesis_tests import areas
from twinset.evaluation.gap.classifier import Classifier

scores = st.lists(st.integers(0, 6).map(float), min_size=1, max_size=25)


@given(scores, scores)
def test_the_area_is_that_of_sklearn(low: list[float], high: list[float]) -> None:
    truth = np.repeat([0, 1], [len(low), len(high)])
    expected = roc_auc_score(truth, [*low, *high])
    assert areas(np.array(low), np.array(high))[0] == pytest.approx(expected)


def test_drawing_a_row_twice_counts_it_twice() -> None:
    low, high = np.array([0.1, 0.6]), np.array([0.5, 0.9])
    found = areas(low, high, np.array([[2.0, 0.0]]), np.array([[1.0, 1.0]]))
    assert found.tolist() == [1.0]


def test_rows_of_another_law_are_distinguished_and_fresh_ones_are_not(people, compare, rng) -> None:
    real = people(600, 1)
    shifted = Dataset.from_arrow(
        pa.table(
            {**{n: real.to_arrow().column(n) for n in real.schema.names}, "x": real.values("x") + 2}
        ),
        real.schema,
    )
    assert Classifier().compute(compare(shifted, people(600, 2)), rng).value > 0.9
    assert Classifier().compute(compare(people(600, 3), people(600, 2)), rng).value < 0.56


def test_an_area_below_a_half_is_chance(people, compare) -> None:
    found = [
        Classifier(iterations=5).compute(compare(people(40, i), people(40, 50 + i)), rng_for(i))
        for i in range(8)
    ]
    assert min(f.facts["auc"] for f in found) < 0.5
    assert min(f.value for f in found) == 0.5


def test_the_cap_on_rows_is_kept_and_stated(people, compare, rng) -> None:
    found = Classifier(max_rows=50).compute(compare(people(80, 1), people(90, 2)), rng)
    assert found.facts["rows"] == {"real": 50, "synthetic": 50}
    assert found.facts["max_rows"] == 50


def test_three_rows_are_too_few(people, compare, rng) -> None:
    with pytest.raises(NotMeasurable, match="at least 4 rows"):
        Classifier().compute(compare(people(3, 1), people(30, 2)), rng)


def changed(dataset: Dataset, name: str, column: object) -> Dataset:
    columns = {n: dataset.to_arrow().column(n) for n in dataset.schema.names}
    return Dataset.from_arrow(pa.table({**columns, name: column}), dataset.schema)


def linked(n: int, seed: int) -> Dataset:
    """Draw four linked numbers, each a sum of the one before and noise, and a number to round."""
    rng = rng_for(seed, "linked")
    steps = np.cumsum(rng.normal(size=(4, n)), axis=0)
    columns = dict(zip("abcd", steps)) | {"pay": rng.integers(1_000, 99_999, n)}
    return Dataset.from_arrow(pa.table(columns))


def test_a_shuffled_column_is_named_first(compare) -> None:
    name = "c"
    made = linked(1500, 1)
    column = pa.array(made.values(name)[rng_for(1, name).permutation(1500)])
    sets = compare(changed(made, name, column), linked(1500, 2))
    found = Classifier(iterations=40).compute(sets, rng_for(3))
    assert next(iter(found.finding(FeatureImportances).importances)) == name
    assert found.finding(FeatureImportances).names[0] == name
    # A single column is as it was: a judge without interplay sees nothing.
    assert found.facts["logistic_auc"] < 0.56


def test_a_rounded_column_is_named_first_and_alone(compare, rng) -> None:
    made = linked(800, 1)
    rounded = changed(made, "pay", pa.array(made.values("pay").astype(int) // 100 * 100))
    found = Classifier().compute(compare(rounded, linked(800, 2)), rng)
    assert found.value > 0.95
    assert found.finding(FeatureImportances).names == ("pay",)
    assert found.finding(ConfidentRows).common == RegionShare(
        "pay is a multiple of 100", 0.0, 1.0, n_real=320, n_synthetic=320
    )


def test_a_discriminator_that_guesses_names_nobody(people, compare) -> None:
    found = [
        Classifier(iterations=10).compute(compare(people(200, i), people(200, 50 + i)), rng_for(i))
        for i in range(10)
    ]
    assert sum(bool(f.findings) for f in found) <= 1


def test_the_logistic_discriminator_sees_a_shift(people, compare, rng) -> None:
    made = people(400, 1)
    shifted = changed(made, "x", pa.array(made.values("x") + 2))
    found = Classifier(iterations=5).compute(compare(shifted, people(400, 2)), rng)
    assert found.facts["logistic_auc"] > 0.85


def test_of_two_columns_that_tell_by_their_tie_the_shuffled_one_is_named(compare) -> None:
    """Code and its text say the same; code alone has a second, weaker tie, to size."""

    def coded(n: int, seed: int, *, shuffle: bool) -> Dataset:
        rng = rng_for(seed, "coded")
        code = rng.integers(0, 6, n)
        told = rng.permutation(code) if shuffle else code
        columns = {
            "text": [f"t{i}" for i in code],
            "code": told,
            "size": code + 3 * rng.normal(size=n),
        }
        return Dataset.from_arrow(pa.table(columns))

    for i in range(2):
        sets = coded(600, 2 * i, shuffle=True), coded(600, 2 * i + 1, shuffle=False)
        found = Classifier(iterations=30, replicates=2).compute(compare(*sets), rng_for(i))
        assert next(iter(found.finding(FeatureImportances).importances)) == "code"

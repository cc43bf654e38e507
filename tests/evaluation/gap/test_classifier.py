import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from twinset.core.contracts import NotMeasurable
from twinset.core.dataset import Dataset
from twinset.core.seeding import rng_for
from twinset.evaluation.gap.classifier import Classifier, areas

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


def test_rows_of_another_law_are_told_apart_and_fresh_ones_are_not(people, compare, rng) -> None:
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
    assert min(f.details["auc"] for f in found) < 0.5
    assert min(f.value for f in found) == 0.5


def test_the_cap_on_rows_is_kept_and_stated(people, compare, rng) -> None:
    found = Classifier(max_rows=50).compute(compare(people(80, 1), people(90, 2)), rng)
    assert found.details["rows"] == {"real": 50, "synthetic": 50}
    assert found.details["max_rows"] == 50


def test_three_rows_are_too_few(people, compare, rng) -> None:
    with pytest.raises(NotMeasurable, match="at least 4 rows"):
        Classifier().compute(compare(people(3, 1), people(30, 2)), rng)

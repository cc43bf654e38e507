import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from twinset.core.dataset import Dataset
from twinset.core.errors import ParameterError
from twinset.core.seeding import rng_for
from twinset.evaluation.gap.marginals import Marginals, ks_distance

numbers = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=30)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # scipy: no exact p-value, which is not used
@given(numbers, numbers)
def test_ks_is_that_of_scipy(x: list[float], y: list[float]) -> None:
    assert ks_distance(np.array(x), np.array(y)) == pytest.approx(
        ks_2samp(x, y, method="asymp").statistic
    )


def test_by_hand(compare, rng) -> None:
    made = Dataset.from_arrow(pa.table({"n": [1.5, 1.5, 2.5, 2.5], "c": ["a", "a", "a", "b"]}))
    real = Dataset.from_arrow(pa.table({"n": [1.5, 2.5, 2.5, 2.5], "c": ["a", "b", "b", None]}))
    found = Marginals().compute(compare(made, real), rng)
    # n: 2/4 against 1/4 at 1.5. c: a 3/4 against 1/4, b 1/4 against 2/4, missing 0 against 1/4.
    assert found.details["columns"] == {"c": 0.5, "n": 0.25}
    assert list(found.details["columns"]) == ["c", "n"]
    assert found.value == 0.375
    assert found.details["missing"] == {"c": {"synthetic": 0.0, "real": 0.25}}


def test_missing_numbers_count_as_below_all_others(compare, rng) -> None:
    made = Dataset.from_arrow(pa.table({"x": pa.array([None, None, 1.5, 2.5])}))
    real = Dataset.from_arrow(pa.table({"x": pa.array([1.5, 2.5, 1.5, 2.5])}))
    assert Marginals().compute(compare(made, real), rng).value == 0.5


def test_datetimes_and_booleans_and_empty_columns(compare, rng) -> None:
    days = pa.array([0, 1, 2, 3], pa.int64()).cast(pa.timestamp("us"))
    table = {"t": days, "b": [True, True, False, None], "e": pa.array([None] * 4, pa.float64())}
    data = Dataset.from_arrow(pa.table(table))
    found = Marginals().compute(compare(data, data), rng)
    assert found.details["columns"] == {"t": 0.0, "b": 0.0, "e": 0.0}


def test_the_spread_of_the_replicates_is_that_of_fresh_samples(people, compare) -> None:
    fresh = [
        Marginals().compute(compare(people(300, 2 * i), people(300, 2 * i + 1)), rng_for(i)).value
        for i in range(40)
    ]
    found = Marginals().compute(compare(people(300, 100), people(300, 101)), rng_for(1))
    assert found.replicates.std() == pytest.approx(np.std(fresh), rel=0.5)


def test_a_negative_margin_is_refused() -> None:
    with pytest.raises(ParameterError):
        Marginals(margin=-0.1)

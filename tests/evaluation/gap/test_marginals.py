import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp
from scipy.stats import wasserstein_distance as scipy_wasserstein

from twinset.core.contracts import Comparison
from twinset.core.data.dataset import Dataset
from twinset.core.findings import ColumnDistances, DifferingComponents
from twinset.core.seeding import rng_for
from twinset.evaluation.gap._column_tests import ks_distance, wasserstein_distance
from twinset.evaluation.gap._columns import PooledColumn
from twinset.evaluation.gap.marginals import Marginals, tail_weights
from twinset.measurement.verdict import find_different_components

numbers = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=30)


def _column(x: list[float], y: list[float]) -> PooledColumn:
    made, real = (Dataset.from_arrow(pa.table({"x": pa.array(v, pa.float64())})) for v in (x, y))
    return PooledColumn.from_sets(made, real, "x")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # scipy: no exact p-value, which is not used
@given(numbers, numbers)
def test_ks_is_that_of_scipy(x: list[float], y: list[float]) -> None:
    assert ks_distance(_column(x, y)) == pytest.approx(ks_2samp(x, y, method="asymp").statistic)


def test_by_hand(compare, rng) -> None:
    made = Dataset.from_arrow(pa.table({"n": [1.5, 1.5, 2.5, 2.5], "c": ["a", "a", "a", "b"]}))
    real = Dataset.from_arrow(pa.table({"n": [1.5, 2.5, 2.5, 2.5], "c": ["a", "b", "b", None]}))
    found = Marginals().compute(compare(made, real), rng)
    # n: 2/4 against 1/4 at 1.5. c: a 3/4 against 1/4, b 1/4 against 2/4, missing 0 against 1/4.
    assert found.finding(ColumnDistances).distances == {"c": 0.5, "n": 0.25}
    assert list(found.finding(ColumnDistances).distances) == ["c", "n"]
    assert found.value == 0.375
    assert found.facts["missing"] == {"c": {"synthetic": 0.0, "real": None}}


def test_missing_shares_of_1_to_10_real_rows_are_not_reported(compare, rng) -> None:
    def column(missing: int) -> Dataset:
        return Dataset.from_arrow(
            pa.table({"c": pa.array([None] * missing + ["a"] * (40 - missing))})
        )

    for missing, told in ((1, None), (10, None), (11, 0.275)):
        found = Marginals().compute(compare(column(0), column(missing)), rng)
        assert found.facts["missing"] == {"c": {"synthetic": 0.0, "real": told}}
    assert Marginals().compute(compare(column(0), column(0)), rng).facts["missing"] == {}


def test_missing_numbers_count_as_below_all_others(compare, rng) -> None:
    made = Dataset.from_arrow(pa.table({"x": pa.array([None, None, 1.5, 2.5])}))
    real = Dataset.from_arrow(pa.table({"x": pa.array([1.5, 2.5, 1.5, 2.5])}))
    assert Marginals().compute(compare(made, real), rng).value == 0.5


def test_datetimes_and_booleans_and_empty_columns(compare, rng) -> None:
    days = pa.array([0, 1, 2, 3], pa.int64()).cast(pa.timestamp("us"))
    table = {"t": days, "b": [True, True, False, None], "e": pa.array([None] * 4, pa.float64())}
    data = Dataset.from_arrow(pa.table(table))
    found = Marginals().compute(compare(data, data), rng)
    assert found.finding(ColumnDistances).distances == {"t": 0.0, "b": 0.0, "e": 0.0}


def test_the_spread_of_the_replicates_is_that_of_fresh_samples(people, compare) -> None:
    fresh = [
        Marginals().compute(compare(people(300, 2 * i), people(300, 2 * i + 1)), rng_for(i)).value
        for i in range(40)
    ]
    found = Marginals().compute(compare(people(300, 100), people(300, 101)), rng_for(1))
    assert found.replicates.std() == pytest.approx(np.std(fresh), rel=0.5)


@given(numbers, numbers)
def test_wasserstein_is_that_of_scipy(x: list[float], y: list[float]) -> None:
    spread = np.std(y) or 1.0
    assert wasserstein_distance(_column(x, y)) == pytest.approx(scipy_wasserstein(x, y) / spread)


def test_a_column_that_differs_is_named_and_others_are_not(people, compare, rng) -> None:
    made = people(600, 1)
    columns = {name: made.to_arrow().column(name) for name in made.schema.names}
    columns["x"] = pa.chunked_array([made.values("x") + 0.3])
    shifted = Dataset.from_arrow(pa.table(columns), made.schema)
    found = Marginals().compute(compare(shifted, people(600, 2)), rng)
    assert found.finding(DifferingComponents) == DifferingComponents("column", ("x",), 3)
    assert next(iter(found.facts["wasserstein"])) == "x"
    assert found.facts["wasserstein"]["x"] == pytest.approx(0.3, abs=0.1)


def test_rounding_is_seen_though_the_distribution_hardly_moves(compare, rng) -> None:
    made, real = (rng_for(i, "pay").integers(10_000, 99_999, 500) for i in (1, 2))
    for step in (10, 500):
        sets = [Dataset.from_arrow(pa.table({"pay": pay})) for pay in (made // step * step, real)]
        found = Marginals().compute(compare(*sets), rng)
        assert found.finding(DifferingComponents).names == ("pay",)


def test_dates_cut_to_whole_days_are_seen(compare, rng) -> None:
    seconds = rng_for(1, "when").integers(0, 10**8, (2, 300)) * 10**6
    day = 86_400 * 10**6
    cut = pa.array(seconds[0] // day * day, pa.timestamp("us"))
    real = pa.array(seconds[1], pa.timestamp("us"))
    sets = [Dataset.from_arrow(pa.table({"t": column})) for column in (cut, real)]
    assert Marginals().compute(compare(*sets), rng).finding(DifferingComponents).names == ("t",)


def test_ties_are_seen(compare, rng) -> None:
    hours = rng_for(1, "hours").normal(40, 10, (2, 1000)).round()
    # A third of the rows say exactly 40: hours move by little, and pile up.
    heaped = np.where(np.abs(hours[0] - 40) < 4, 40, hours[0])
    sets = [Dataset.from_arrow(pa.table({"h": column})) for column in (heaped, hours[1])]
    assert Marginals().compute(compare(*sets), rng).finding(DifferingComponents).names == ("h",)


def test_real_columns_are_hardly_ever_named() -> None:
    named = 0
    for i in range(120):
        rng = rng_for(i, "null")
        sets = [
            Dataset.from_arrow(
                pa.table(
                    {
                        "x": rng.normal(size=300),
                        "tied": rng.poisson(1.0, 300),
                        "cents": rng.exponential(50, 300).round(2),
                        "many": rng.zipf(1.6, 300).clip(0, 60).astype(str),
                        "flag": rng.random(300) < 0.02,
                    }
                )
            )
            for _ in range(2)
        ]
        found = Marginals(replicates=2).compute(Comparison(sets[1], sets[0], sets[1]), rng)
        named += bool(found.finding(DifferingComponents).names)
    assert named <= 10  # 6 expected at most; more than 10 in 120 has a chance of 4 %


def _incomes(n: int, seed: int) -> np.ndarray:
    return rng_for(seed, "incomes").lognormal(10, 0.6, n)


def test_a_tail_that_was_cut_off_is_a_different_part(compare) -> None:
    """Cut at the 95th percentile: the whole distance moves by .05, within chance of 1,500 rows."""
    train, real, fresh = (_incomes(1_500, seed) for seed in (1, 2, 3))
    cut = np.minimum(fresh, np.quantile(fresh, 0.95))
    found = {}
    for name, made in (("real", _incomes(1_500, 4)), ("cut", cut)):
        sets = [Dataset.from_arrow(pa.table({"x": v})) for v in (made, real, train)]
        found[name] = Marginals().compute(compare(*sets), rng_for(0, "m")).components
    assert found["cut"].names == ("x", "x (lower tail)", "x (upper tail)")
    told = find_different_components(Marginals(), found["cut"], found["real"], 1_500)
    assert told.names == ("x (upper tail)",)


def test_a_tie_at_the_end_is_no_tail(compare, rng) -> None:
    heaped = np.append(np.zeros(200), np.arange(300.0))
    data = Dataset.from_arrow(pa.table({"x": heaped, "c": ["a", "b"] * 250}))
    found = Marginals().compute(compare(data, data), rng)
    assert found.components.names == ("x", "c", "x (upper tail)")
    assert found.components.values.tolist() == [0.0, 0.0, 0.0]


@given(numbers, numbers)
def test_only_the_tail_is_looked_up_and_all_others_weigh_nothing(
    x: list[float], y: list[float]
) -> None:
    known, values = np.sort(np.repeat(y, 7)), np.array([*x, -99.0, 99.0])
    below, most = (np.searchsorted(known, values, side=s) / len(known) for s in ("left", "right"))
    for is_upper in (False, True):
        outside = 1 - (below + most) / 2 if is_upper else (below + most) / 2
        every = np.maximum(0.05 - outside, 0) / 0.025
        assert tail_weights(values, known, is_upper) == pytest.approx(every, abs=1e-12)


def test_the_weight_of_a_tail_by_hand() -> None:
    known = np.arange(100.0)
    # Ranks 0.005, 0.015 and 0.045 of a tail that ends at 0.05; a value beyond all is at rank 0.
    weights = tail_weights(np.array([0.0, 1.0, 4.0, -9.0, 50.0]), known, False)
    assert weights == pytest.approx([1.8, 1.4, 0.2, 2.0, 0.0])
    assert tail_weights(99 - known, known, True) == pytest.approx(tail_weights(known, known, False))

import json

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.data.dataset import Dataset
from twinset.core.errors import ParameterError
from twinset.core.findings import ColumnLimit, MissingCellPattern
from twinset.core.seeding import rng_for
from twinset.evaluation.gap.missingness import Missingness, row_gap, share_gap
from twinset.measurement.harness import measure


def draw(n: int, seed: int, how: str = "real") -> Dataset:
    """Draw age, and two columns missing together in a tenth of the rows: those of low age."""
    rng = rng_for(seed, "missing")
    age, job, pay = rng.normal(size=(3, n))
    at_random = rng.random(n) < 0.1
    by_age = age < -1.2816
    job_gone = {"real": by_age, "random": at_random, "more": by_age | (rng.random(n) < 0.05)}
    masks = job_gone.get(how, np.zeros(n, dtype=bool)), at_random if how == "random" else by_age
    columns = {"age": age, "job": pa.array(job, mask=masks[0]), "pay": pa.array(pay, mask=masks[1])}
    return Dataset.from_arrow(pa.table(columns))


def test_share_gaps_by_hand() -> None:
    found = share_gap(np.array([0.2, 0.0, 0.05, 0.001]), np.array([0.05, 0.3, 0.09, 0.003]))
    assert found == pytest.approx([0.75, 1.0, 4 / 9, 0.2])


def test_row_gaps_by_hand() -> None:
    x = 10 * np.array([[0.8, 0.2, 1.0, 0.0]])
    y = 10 * np.array([[0.4, 0.6, 0.0, 1.0]])
    assert row_gap(x, y, np.array([0, 2]))[0] == pytest.approx([0.4, 1.0], abs=1e-9)
    assert row_gap(0 * x, y, np.array([0, 2])).tolist() == [[1.0, 1.0]]
    assert row_gap(x, x, np.array([0, 2])).tolist() == [[0.0, 0.0]]


def test_values_missing_at_random_are_found_and_named(compare, rng) -> None:
    found = Missingness().compute(compare(draw(2000, 1, "random"), draw(2000, 2)), rng)
    assert found.value > 0.5
    assert found.facts["different_shares"] == []
    assert ["job", "age"] in found.facts["different_rows"]
    assert found.finding(MissingCellPattern).moved == "job"


def test_more_missing_cells_are_found_and_named(compare, rng) -> None:
    found = Missingness().compute(compare(draw(2000, 1, "more"), draw(2000, 2)), rng)
    assert found.facts["different_shares"] == ["job"]
    assert found.facts["gaps"]["job"]["share"] > 0.05
    assert found.facts["gaps"]["pay"]["share"] < found.facts["gaps"]["job"]["share"]


def test_a_column_that_is_never_missing_any_more_is_at_the_far_end(compare, rng) -> None:
    found = Missingness().compute(compare(draw(2000, 1, "none"), draw(2000, 2)), rng)
    assert found.value == 1.0


def test_real_rows_are_not_blamed(compare) -> None:
    found = [
        Missingness().compute(compare(draw(800, 2 * i), draw(800, 2 * i + 1)), rng_for(i))
        for i in range(40)
    ]
    named = [f.facts["different_shares"] or f.facts["different_rows"] for f in found]
    assert sum(bool(names) for names in named) <= 5
    # A tenth of 800 rows: chance alone moves 80 missing cells by 12 on either side.
    assert np.median([f.value for f in found]) < 0.3


def test_few_real_rows_are_not_counted(compare, rng) -> None:
    rare = np.arange(400) < 4
    x = pa.table({"x": pa.array(np.arange(400.0), mask=rare), "y": np.arange(400.0)})
    found = Missingness().compute(compare(draw(400, 1), draw(400, 2)), rng)
    assert found.facts["shares"]["job"]["real"] is not None
    data = Dataset.from_arrow(x)
    found = Missingness().compute(compare(data, data), rng)
    assert found.facts["gaps"]["x"]["share"] is None
    assert found.facts["shares"] == {"x": {"synthetic": 0.01, "real": None}}
    assert found.facts["gaps"]["x"]["where"] is None
    json.dumps(dict(found.facts))


def sparse(n: int, seed: int, share: float) -> Dataset:
    rng = rng_for(seed, "sparse")
    x = pa.array(rng.normal(size=n), mask=rng.random(n) < share)
    return Dataset.from_arrow(pa.table({"x": x, "y": rng.normal(size=n)}))


@pytest.mark.parametrize(("real", "made"), [(0.025, 0.015), (0.1, 0.06)])
def test_few_rows_do_not_pass_a_gap_of_four_times_the_margin(real: float, made: float) -> None:
    passed = 0
    for seed in range(40):
        (score,) = measure(
            train=sparse(1000, 3 * seed, real),
            synthetic=sparse(1000, 3 * seed + 1, made),
            holdout=sparse(2000, 3 * seed + 2, real),
            metrics=[("gap.missingness", Missingness(replicates=100))],
            seed=seed,
        )
        passed += score.verdict == "as good as real"
    assert passed <= 2


def test_columns_beyond_the_most_still_count_and_are_told(compare, rng) -> None:
    def wide(share: float, seed: int) -> Dataset:
        rng = rng_for(seed, "wide")
        shares = {"a": 0.5, "b": 0.4, "c": 0.3, "last": share}
        columns = {
            k: pa.array(rng.normal(size=2000), mask=rng.random(2000) < v) for k, v in shares.items()
        }
        return Dataset.from_arrow(pa.table(columns))

    found = Missingness(max_columns=3).compute(compare(wide(0.02, 1), wide(0.2, 2)), rng)
    assert found.value > 0.8
    assert found.facts["different_shares"] == ["last"]
    assert found.facts["gaps"]["last"]["where"] is None
    assert found.finding(ColumnLimit) is not None
    narrow = Missingness().compute(compare(wide(0.2, 1), wide(0.2, 2)), rng)
    assert narrow.finding(ColumnLimit) is None


def test_where_nothing_is_missing_the_pattern_is_the_same(compare, rng) -> None:
    whole = draw(50, 1).select(["age"])
    found = Missingness().compute(compare(whole, whole), rng)
    assert found.value == 0
    assert found.finding(MissingCellPattern) == MissingCellPattern()


def test_missing_cells_where_real_rows_have_none_are_different() -> None:
    train, fresh, holdout = (draw(800, seed).select(["age"]) for seed in (1, 2, 3))
    age = pa.array(fresh.values("age"), mask=rng_for(0, "hit").random(800) < 0.05)
    made = Dataset.from_arrow(pa.table({"age": age}), fresh.schema)
    for synthetic, verdict in ((made, "different"), (fresh, "as good as real")):
        (score,) = measure(
            train=train,
            synthetic=synthetic,
            holdout=holdout,
            metrics=[("gap.missingness", Missingness())],
        )
        assert score.verdict == verdict


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ParameterError):
        Missingness(max_columns=1)


@pytest.mark.parametrize(("n", "verdict"), [(25, "as good as real"), (10, "cannot tell")])
def test_nothing_missing_on_either_side_is_as_good_as_real_once_there_are_rows(
    n: int, verdict: str
) -> None:
    """None of n cells missing bounds the share by a few in n, which a margin of a tenth forgives."""
    sets = [
        Dataset.from_arrow(pa.table({"x": rng_for(i).normal(size=m)}))
        for i, m in enumerate((n, n, 2 * n))
    ]
    (score,) = measure(
        train=sets[0],
        synthetic=sets[1],
        holdout=sets[2],
        metrics=[("gap.missingness", Missingness())],
    )
    assert score.verdict == verdict
    assert score.interval is not None
    assert 0 < score.interval[1] < 0.15

import json

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.contracts import NotMeasurable
from twinset.core.dataset import Dataset
from twinset.core.errors import ParameterError
from twinset.core.seeding import rng_for
from twinset.evaluation.gap.missingness import Missingness, share_gap, where_gap


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
    n = 10**10
    assert share_gap(np.array([0.2]), np.array([0.05]), n, n).tolist() == [
        pytest.approx(0.75, abs=1e-3)
    ]
    assert share_gap(np.array([0.0]), np.array([0.3]), n, n).tolist() == [
        pytest.approx(1.0, abs=1e-3)
    ]
    # 5 of 100 against 9 of 100: the error is sqrt(0.07 * 0.93 / 50) = 0.036, twice that is more.
    assert share_gap(np.array([0.05]), np.array([0.09]), 100, 100).tolist() == [0.0]


def test_where_gaps_by_hand() -> None:
    many = 1e12
    x = many * np.array([[0.8, 0.2, 1.0, 0.0]])
    y = many * np.array([[0.4, 0.6, 0.0, 1.0]])
    assert where_gap(x, y, np.array([0, 2]))[0] == pytest.approx([0.4, 1.0], abs=1e-4)
    assert where_gap(0 * x, y, np.array([0, 2])).tolist() == [[1.0, 1.0]]
    assert where_gap(x / many * 10, x / many * 10, np.array([0, 2])).tolist() == [[0.0, 0.0]]


def test_values_missing_at_random_are_found_and_named(compare, rng) -> None:
    found = Missingness().compute(compare(draw(2000, 1, "random"), draw(2000, 2)), rng)
    assert found.value > 0.5
    assert found.details["different_shares"] == []
    assert ["job", "age"] in found.details["different_rows"]
    assert "is missing in other rows" in found.details["summary"]


def test_more_missing_cells_are_found_and_named(compare, rng) -> None:
    found = Missingness().compute(compare(draw(2000, 1, "more"), draw(2000, 2)), rng)
    assert found.details["different_shares"] == ["job"]
    assert found.details["gaps"]["job"]["share"] > 0.05
    assert found.details["gaps"]["pay"]["share"] == 0.0


def test_a_column_that_is_never_missing_any_more_is_at_the_far_end(compare, rng) -> None:
    found = Missingness().compute(compare(draw(2000, 1, "none"), draw(2000, 2)), rng)
    assert found.value == 1.0


def test_real_rows_are_not_blamed(compare) -> None:
    found = [
        Missingness().compute(compare(draw(800, 2 * i), draw(800, 2 * i + 1)), rng_for(i))
        for i in range(40)
    ]
    named = [f.details["different_shares"] or f.details["different_rows"] for f in found]
    assert sum(bool(names) for names in named) <= 5
    assert np.median([f.value for f in found]) < 0.1


def test_few_real_rows_are_not_counted(compare, rng) -> None:
    rare = np.arange(400) < 4
    x = pa.table({"x": pa.array(np.arange(400.0), mask=rare), "y": np.arange(400.0)})
    found = Missingness().compute(compare(draw(400, 1), draw(400, 2)), rng)
    assert found.details["shares"]["job"]["real"] is not None
    data = Dataset.from_arrow(x)
    found = Missingness().compute(compare(data, data), rng)
    assert found.details["shares"] == {"x": {"synthetic": 0.01, "real": None}}
    assert found.details["gaps"]["x"]["where"] is None
    json.dumps(dict(found.details))


def test_nothing_missing_is_not_measurable(compare, rng) -> None:
    whole = draw(50, 1).select(["age"])
    with pytest.raises(NotMeasurable, match="no cell is missing"):
        Missingness().compute(compare(whole, whole), rng)


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ParameterError):
        Missingness(max_columns=1)

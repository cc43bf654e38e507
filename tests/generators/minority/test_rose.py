"""The smoothed bootstrap: width of the noise, ties, gaps, range."""

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.data.dataset import Dataset
from twinset.core.errors import ParameterError
from twinset.core.seeding import rng_for
from twinset.generators.minority.rose import Rose


def draw(table: pa.Table, n: int, **settings) -> tuple[Dataset, np.ndarray]:
    return Rose(**settings).fit(Dataset.from_arrow(table), rng_for(0)).draw(n, rng_for(1))


def test_noise_is_as_wide_as_silvermans_rule_says() -> None:
    """Two numbers, 1,000 rows: (4 / (4 * 1000)) ** (1 / 6) = 0.316 standard deviations."""
    rng = np.random.default_rng(0)
    table = pa.table({"x": rng.normal(0, 3, 1000), "y": rng.normal(50, 0.1, 1000)})
    made, parents = draw(table, 40_000)
    for name in ("x", "y"):
        real = table[name].to_numpy()
        moved = made.values(name) - real[parents[:, 0]]
        inner = np.abs(real[parents[:, 0]] - real.mean()) < 1.5 * real.std()  # far from reflection
        assert moved[inner].std() / real.std() == pytest.approx(0.001 ** (1 / 6), rel=0.02)
        assert moved[inner].mean() == pytest.approx(0, abs=0.01 * real.std())
        assert real.min() <= made.values(name).min()
        assert made.values(name).max() <= real.max()
    assert (parents[:, 0] == parents[:, 1]).all()
    half, whose = draw(table, 40_000, shrinkage=0.5)
    moved = half.values("x") - table["x"].to_numpy()[whose[:, 0]]
    assert moved.std() / table["x"].to_numpy().std() == pytest.approx(0.158, rel=0.05)


def test_ties_labels_and_gaps_are_those_of_the_row() -> None:
    rng = np.random.default_rng(0)
    amount = np.where(rng.random(500) < 0.4, 0.0, rng.gamma(2, 10, 500))
    table = pa.table(
        {
            "amount": amount,
            "gap": pa.array(rng.normal(size=500), mask=amount > 30),
            "c": np.where(amount == 0, "none", "some"),
        }
    )
    made, parents = draw(table, 5000)
    assert np.array_equal(made.values("amount") == 0, amount[parents[:, 0]] == 0)
    assert np.array_equal(made.is_null("gap"), amount[parents[:, 0]] > 30)
    assert np.array_equal(made.codes("c")[0] == 0, made.values("amount") == 0)


def test_rows_that_occur_twice_are_drawn_twice_as_often() -> None:
    x = np.sqrt(np.arange(60.0))
    x[59] = x[0]  # below 5 %, so no tie
    parents = draw(pa.table({"x": x}), 60_000, shrinkage=0.1)[1][:, 0]
    drawn = np.bincount(parents, minlength=60)
    assert drawn[0] == pytest.approx(2000, abs=150)
    assert drawn[1:59].mean() == pytest.approx(1000, abs=20)
    assert drawn[59] == 0, "the first of equal rows is named"


def test_refusals() -> None:
    for wrong in (0, -1, float("inf"), float("nan")):
        with pytest.raises(ParameterError, match="shrinkage"):
            Rose(shrinkage=wrong)

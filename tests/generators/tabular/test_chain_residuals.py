"""Numbers that lean on a forest, and donors weighted to keep the distribution of each column."""

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.dataset import Dataset
from twinset.core.seeding import rng_for
from twinset.core.where import Where
from twinset.generators.tabular._chain_expectation import Expectation
from twinset.generators.tabular._chain_grain import Grain
from twinset.generators.tabular._chain_residuals import Residuals, find_leaning
from twinset.generators.tabular.trees import Trees


def waves(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Four even features, and a number that follows two of them with a noise of 0.1."""
    rng = np.random.default_rng(seed)
    x = np.asfortranarray(rng.random((n, 4)), dtype=np.float32)
    return x, np.sin(6 * x[:, 0]) + x[:, 1] ** 2 + 0.1 * rng.normal(size=n)


def test_expectation_is_honest_about_rows_it_has_seen() -> None:
    x, y = waves(3000)
    found = Expectation.fit(x, y, 0.1, np.random.default_rng(1))
    assert found is not None
    forest, unseen = found
    fresh, truth = waves(3000, seed=5)
    seen_error = np.mean((forest.expected(x) - y) ** 2)
    unseen_error = np.mean((unseen - y) ** 2)
    fresh_error = np.mean((forest.expected(fresh) - truth) ** 2)
    # 0.01 is the noise. Rows of its own look too good; unseen thirds do not, and err a bit more
    # than all trees together do.
    assert seen_error < 0.7 * fresh_error
    assert 0.01 < fresh_error < unseen_error < 1.6 * fresh_error
    assert unseen_error < 0.03


def test_noise_has_no_expectation() -> None:
    x, _ = waves(3000)
    noise = np.random.default_rng(2).normal(size=3000)
    assert Expectation.fit(x, noise, 0.1, np.random.default_rng(1)) is None


def test_scores_become_numbers_by_interpolation_or_in_steps() -> None:
    forest = Expectation(*(np.zeros(0),) * 5)  # type: ignore[arg-type]
    rest = np.zeros(0, dtype=np.float32)
    smooth = Residuals(forest, rest, np.array([-1.0, 0.0, 2.0]), np.array([10.0, 20.0, 40.0]))
    drawn = smooth.drawn(np.array([-1.5, -1.0, -0.5, 1.0, 2.5]))
    assert drawn[1:4].tolist() == [10, 15, 30]
    assert np.isnan(drawn[[0, 4]]).all()
    steps = Residuals(forest, rest, np.array([-1.0, 1.0]), np.array([1.0, 2.0, 5.0]))
    assert steps.drawn(np.array([-9, -1, 0, 1, 9.0])).tolist() == [1, 2, 2, 5, 5]


@pytest.mark.parametrize(
    ("spoil", "leans"),
    [
        (lambda y: y, True),
        (lambda y: np.where(np.arange(len(y)) % 3 == 0, 0.0, y), False),  # a third are one atom
        (lambda y: np.random.default_rng(0).permutation(y), False),  # nothing explains it
        (lambda y: y[:500], False),  # too few rows
    ],
)
def test_which_numbers_lean(spoil, leans: bool) -> None:
    x, y = waves(3000)
    y = spoil(y)
    grain = Grain.of(y, 256, None)
    codes = grain.codes(y)
    found = find_leaning(
        x[: len(y)], y, grain, codes, ~grain.atom[codes], False, np.random.default_rng(0)
    )
    assert (found is not None) == leans


def twin_of(x: np.ndarray, y: np.ndarray, **settings: object) -> tuple[Dataset, object]:
    columns = {f"x{i}": x[:, i].astype(float).round(4) for i in range(4)} | {"y": y.round(4)}
    real = Dataset.from_arrow(pa.table(columns))
    return real, Trees(**settings).fit(real, rng_for(0, "fit"))


def test_a_smooth_dependence_is_drawn_as_narrow_as_it_is() -> None:
    x, y = waves(4000)
    _, fitted = twin_of(x, y)
    made = fitted.sample(4000, rng_for(0, "draw"))
    first, second, drawn = (made.values(name) for name in ("x0", "x1", "y"))
    off = drawn - np.sin(6 * first) - second**2
    assert np.std(off) == pytest.approx(0.1, abs=0.06)
    assert abs(off.mean()) < 0.02
    assert np.quantile(drawn, [0.1, 0.5, 0.9]) == pytest.approx(
        np.quantile(y, [0.1, 0.5, 0.9]), abs=0.05
    )


def test_a_condition_on_a_number_that_leans_is_met_exactly() -> None:
    x, y = waves(4000)
    _, fitted = twin_of(x, y)
    where = Where({"y": {"ge": 1.0}, "x0": {"lt": 0.2}})
    made = fitted.sample(300, rng_for(0, "draw"), where)
    assert len(made) == 300
    assert where.mask(made).all()


def test_levels_keep_their_shares_along_a_chain_of_weak_links() -> None:
    """Each column follows the one before in four rows of five; errors would add up."""
    rng = np.random.default_rng(0)
    n, columns = 6000, {}
    last = rng.choice(4, n, p=[0.7, 0.2, 0.08, 0.02])
    for i in range(12):
        fresh = rng.choice(4, n, p=[0.7, 0.2, 0.08, 0.02])
        last = np.where(rng.random(n) < 0.8, last, fresh)
        columns[f"c{i}"] = np.array(["a", "b", "c", "d"])[last]
    real = Dataset.from_arrow(pa.table(columns))
    made = Trees().fit(real, rng_for(0, "fit")).sample(6000, rng_for(0, "draw"))
    for name in columns:
        shares = [
            [(np.array(d.records.column(name).to_pylist()) == level).mean() for level in "abcd"]
            for d in (real, made)
        ]
        assert shares[1] == pytest.approx(shares[0], abs=0.012), name

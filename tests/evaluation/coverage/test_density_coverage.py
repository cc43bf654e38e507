import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinset.core.contracts import NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.seeding import rng_for
from twinset.evaluation.coverage.density_coverage import DensityCoverage, density_coverage


def formulas(real: np.ndarray, made: np.ndarray, k: int) -> dict[str, float]:
    """Naeem et al. 2020, eqs. 2, 3, 4 and 5, written out with whole distance matrices."""

    def apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.sqrt(((a[:, None] - b[None]) ** 2).sum(axis=2))

    radius_real = np.sort(apart(real, real), axis=1)[:, k]
    radius_made = np.sort(apart(made, made), axis=1)[:, k]
    cross = apart(real, made)
    return {
        "precision": (cross < radius_real[:, None]).any(axis=0).mean(),
        "recall": (cross < radius_made[None, :]).any(axis=1).mean(),
        "density": (cross < radius_real[:, None]).sum(axis=0).mean() / k,
        "coverage": (cross.min(axis=1) < radius_real).mean(),
    }


@given(st.integers(0, 1000), st.integers(1, 5), st.integers(6, 40), st.integers(6, 40))
def test_the_four_numbers_are_those_of_the_paper(seed: int, k: int, n: int, m: int) -> None:
    rng = rng_for(seed, "coverage")
    real, made = rng.normal(size=(n, 3)), 0.7 * rng.normal(size=(m, 3)) + 0.3
    assert density_coverage(real, made, k) == pytest.approx(formulas(real, made, k))


def test_rows_on_the_rim_count_so_that_a_copy_of_categories_is_covered() -> None:
    corners = np.repeat(np.eye(3), 4, axis=0)
    found = density_coverage(corners, corners, k=2)
    assert (found["precision"], found["recall"], found["coverage"]) == (1, 1, 1)


@pytest.mark.parametrize("unit", [1.0, 0.1, np.pi, 1e5 / 3])
def test_the_rim_is_inside_whatever_the_rounding(unit: float) -> None:
    # The balls of 0 and 1 have the radius 1: the made rows at 2 lie on the rim of the second.
    real, made = np.array([[0.0], [1.0]]) * unit, np.array([[2.0], [2.0], [2.0]]) * unit
    assert density_coverage(real, made, k=1)["coverage"] == 0.5


def test_a_missing_cluster_lowers_coverage_and_recall_but_not_precision(compare, rng) -> None:
    x = np.concatenate([rng.normal(0, 1, 150), rng.normal(50, 1, 150)])
    real = Dataset.from_arrow(pa.table({"x": x}))
    made = Dataset.from_arrow(pa.table({"x": rng.normal(0, 1, 300)}))
    found = DensityCoverage().compute(compare(made, real), rng)
    assert found.value == pytest.approx(0.5, abs=0.05)
    assert found.facts["recall"] == pytest.approx(0.5, abs=0.05)
    assert found.facts["precision"] > 0.9


def test_the_spread_of_the_replicates_is_that_of_fresh_samples(people, compare) -> None:
    fresh = [
        DensityCoverage()
        .compute(compare(people(200, 2 * i), people(200, 2 * i + 1)), rng_for(i))
        .value
        for i in range(30)
    ]
    found = DensityCoverage().compute(compare(people(200, 100), people(200, 101)), rng_for(1))
    assert np.std(fresh) / 2 < found.replicates.std() < 3 * np.std(fresh)


def test_five_rows_are_too_few_for_five_neighbours(people, compare, rng) -> None:
    with pytest.raises(NotMeasurable, match="at least 6 rows"):
        DensityCoverage().compute(compare(people(5, 1), people(50, 2)), rng)

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, fisher_exact

from twinset.core.seeding import rng_for
from twinset.core.stats.hypothesis_tests import excess_p
from twinset.evaluation.gap._column_tests import chance_distance, chi_square_p

counts = st.lists(st.tuples(st.integers(5, 60), st.integers(5, 60)), min_size=2, max_size=8)


@given(counts)
def test_chi_square_is_that_of_scipy(cells: list[tuple[int, int]]) -> None:
    table = np.array(cells, dtype=float).T
    if (expected := chi2_contingency(table, correction=False)).expected_freq.min() < 5:
        return
    assert chi_square_p(table[0], table[1]) == pytest.approx(expected.pvalue, abs=1e-9)


def test_rare_cells_are_put_together() -> None:
    x, y = np.array([50.0, 40, 4, 3, 3]), np.array([50.0, 40, 3, 3, 4])
    assert chi_square_p(x, y) == pytest.approx(
        chi2_contingency([[50, 40, 10], [50, 40, 10]], correction=False).pvalue
    )


def test_a_rest_too_rare_joins_the_rarest_cell() -> None:
    x, y = np.array([50.0, 30, 1]), np.array([31.0, 50, 0])
    assert chi_square_p(x, y) == pytest.approx(
        chi2_contingency([[50, 31], [31, 50]], correction=False).pvalue
    )
    assert chi_square_p(np.array([9.0, 1]), np.array([10.0, 0])) == 1.0
    assert chi_square_p(np.zeros(2), np.array([10.0, 0])) == 1.0


def test_the_excess_test_is_that_of_scipy() -> None:
    expected = fisher_exact([[9, 91], [2, 118]], alternative="greater").pvalue
    assert excess_p(9, 100, 2, 120) == pytest.approx(expected)


def test_the_distance_by_chance_is_that_of_fresh_samples() -> None:
    rng, shares = rng_for(1, "chance"), np.array([0.5, 0.3, 0.15, 0.04, 0.009, 0.001])
    x, y = rng.multinomial(400, shares, 300), rng.multinomial(300, shares, 300)
    seen = 0.5 * np.abs(x / 400 - y / 300).sum(axis=1).mean()
    told = np.mean([chance_distance(a, b) for a, b in zip(x.astype(float), y.astype(float))])
    assert told == pytest.approx(seen, rel=0.05)

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinset.core.contracts import Measurement, NotMeasurable
from twinset.core.seeding import rng_for
from twinset.evaluation.coverage.alpha_beta import (
    AlphaBeta,
    Reach,
    alpha_precision,
    authenticity,
)


def formulas(real: np.ndarray, made: np.ndarray) -> tuple[float, float]:
    """Alpha-precision and beta-recall written out with whole distance matrices."""

    def apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.sqrt(((a[:, None] - b[None]) ** 2).sum(axis=2))

    levels = np.linspace(0, 1, 30)
    centre = real.mean(axis=0, keepdims=True)
    radii = np.quantile(apart(real, centre)[:, 0], levels)
    precision = [np.mean(apart(made, centre)[:, 0] <= radius * (1 + 1e-6)) for radius in radii]
    own = apart(real, real) + np.diag(np.full(len(real), np.inf))
    cross = apart(real, made)
    away = apart(made[cross.argmin(axis=1)], made.mean(axis=0, keepdims=True))[:, 0]
    ok = cross.min(axis=1) <= own.min(axis=1) * (1 + 1e-6)
    recall = [np.mean(ok & (away <= radius * (1 + 1e-6))) for radius in np.quantile(away, levels)]
    return tuple(1 - np.abs(levels - np.array(c)).sum() / levels.sum() for c in (precision, recall))


@given(st.integers(0, 1000), st.integers(5, 40), st.integers(5, 40))
def test_the_numbers_are_those_of_the_definition(seed: int, n: int, m: int) -> None:
    rng = rng_for(seed, "alpha")
    real, made = rng.normal(size=(n, 3)), 0.8 * rng.normal(size=(m, 3)) + 0.2
    found = alpha_precision(real, made), Reach.measure(real, made).recall()
    assert found == pytest.approx(formulas(real, made), abs=1e-6)


def test_fresh_real_rows_score_a_half_and_copies_of_the_reference_more(
    people, compare, rng
) -> None:
    real, fresh = people(600, 1), people(600, 2)
    found = AlphaBeta().compute(compare(fresh, real, people(600, 3)), rng)
    assert found.value == pytest.approx(0.5, abs=0.08)
    assert found.facts["alpha_precision"] > 0.9
    expected = found.facts["real_authenticity"]
    assert found.facts["authenticity"] == pytest.approx(expected, abs=0.06)
    assert AlphaBeta().compute(compare(real, real, people(600, 3)), rng).value > 0.9


def test_copies_of_train_are_not_authentic(people, compare, rng) -> None:
    train = people(400, 1)
    found = AlphaBeta().compute(compare(train, people(400, 2), train), rng)
    assert found.facts["authenticity"] == 0.0
    assert found.facts["real_authenticity"] > 0.3
    # The rows compared with are not those that were copied: copying earns nothing.
    assert found.value == pytest.approx(0.5, abs=0.08)


def test_authenticity_by_hand() -> None:
    train = np.array([[0.0], [1.0], [9.0]])
    # Nearest train rows 0, 9 and 9, whose own nearest lie at 1, 8 and 8.
    assert authenticity(train, np.array([[-1.5], [16.0], [18.0]])) == pytest.approx(2 / 3)


def test_a_part_of_the_law_reaches_fewer_rows(people, compare, rng) -> None:
    made = people(1500, 1)
    half = made.filter(made.values("x") > 0)
    n = len(half)
    whole = AlphaBeta().compute(compare(made.slice(0, n), people(n, 2)), rng)
    part = AlphaBeta().compute(compare(half, people(n, 2)), rng)
    assert part.value < whole.value - 0.03


def test_the_spread_of_the_replicates_is_that_of_fresh_samples(people, compare) -> None:
    def measured(i: int) -> Measurement:
        sets = people(300, 2 * i), people(300, 2 * i + 1), people(300, 999)
        return AlphaBeta().compute(compare(*sets), rng_for(i))

    fresh = np.std([measured(i).value for i in range(20)])
    assert measured(100).replicates.std() == pytest.approx(fresh, rel=0.5)


def test_two_rows_are_too_few(people, compare, rng) -> None:
    with pytest.raises(NotMeasurable, match="at least 3 rows"):
        AlphaBeta().compute(compare(people(2, 1), people(30, 2)), rng)

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics.pairwise import rbf_kernel

from twinset.core.contracts import NotMeasurable
from twinset.core.errors import ParameterError
from twinset.core.seeding import rng_for
from twinset.evaluation.coverage.vendi import (
    Vendi,
    _bootstrap_factor,
    gaussian_similarity,
    vendi_score,
)


def test_the_similarity_is_that_of_sklearn() -> None:
    rows = rng_for(1, "rows").normal(size=(20, 3))
    assert gaussian_similarity(rows, 2.0) == pytest.approx(rbf_kernel(rows, gamma=0.25))


def test_the_score_by_hand() -> None:
    groups = np.kron(np.eye(3), np.ones((2, 2)))
    assert vendi_score(groups) == pytest.approx(3.0)
    # Eigenvalues of the halved matrix: 0.75 and 0.25.
    expected = np.exp(-0.75 * np.log(0.75) - 0.25 * np.log(0.25))
    assert vendi_score(np.array([[1.0, 0.5], [0.5, 1.0]])) == pytest.approx(expected)


@given(st.integers(0, 500), st.integers(1, 30))
def test_it_lies_between_1_and_n_and_repeating_all_rows_changes_nothing(seed: int, n: int) -> None:
    rows = rng_for(seed, "vendi").normal(size=(n, 2))
    found = vendi_score(gaussian_similarity(rows, 1.0))
    assert 1 - 1e-9 <= found <= n + 1e-9
    assert vendi_score(gaussian_similarity(np.repeat(rows, 2, axis=0), 1.0)) == pytest.approx(found)


def test_real_rows_score_1_and_repeated_ones_less(people, compare, rng) -> None:
    real = people(1000, 1)
    fresh = Vendi().compute(compare(people(1000, 2), real), rng)
    assert fresh.value == pytest.approx(1.0, abs=0.06)
    assert fresh.replicates.std() < 0.05
    few = people(1000, 2).take(np.arange(1000) % 12)
    assert Vendi().compute(compare(few, real), rng).value < 0.75


def test_it_is_cut_off_at_2(people, compare, rng) -> None:
    same = people(400, 1).take(np.zeros(400, dtype=np.int64))
    assert Vendi().compute(compare(people(400, 1), same, people(400, 2)), rng).value == 2.0


@pytest.mark.parametrize(("n", "size"), [(100, 50), (149, 74), (320, 53), (4000, 250)])
def test_no_block_is_smaller_than_50_rows(people, compare, rng, n: int, size: int) -> None:
    found = Vendi().compute(compare(people(n, 1), people(n, 2)), rng)
    assert found.facts["rows_in_block"] == size


def test_the_order_of_train_does_not_matter(people, compare) -> None:
    train, real, made = people(4000, 1), people(400, 2), people(400, 3)
    ordered = train.take(np.argsort(train.values("x"), kind="stable"))
    found = [
        Vendi().compute(compare(made, real, rows), rng_for(1, "v")).facts["real_score"]
        for rows in (train, ordered)
    ]
    # The first rows of the ordered set are all alike: their kernel is twice as short.
    assert found[1] == pytest.approx(found[0], rel=0.15)


def test_too_few_rows_and_settings_out_of_range(people, compare, rng) -> None:
    with pytest.raises(NotMeasurable, match="at least 100 rows in each set, there are 99"):
        Vendi().compute(compare(people(99, 1), people(300, 2)), rng)
    with pytest.raises(ParameterError):
        Vendi(block_rows=49)


@pytest.mark.parametrize("n_blocks", [4, 12])
def test_intervals_of_few_blocks_cover_what_they_say(n_blocks: int) -> None:
    rng = rng_for(1, "blocks")
    blocks = rng.normal(size=(2, 2_000, n_blocks))
    places = rng.integers(0, n_blocks, (2, 200, n_blocks))
    means = blocks.mean(axis=2)
    drawn = [
        side[:, place].mean(axis=2) - mean[:, None]
        for side, place, mean in zip(blocks, places, means)
    ]
    spread = _bootstrap_factor(n_blocks) * np.std(drawn[0] - drawn[1], axis=1)
    covered = np.abs(means[0] - means[1]) <= 1.96 * spread
    assert covered.mean() == pytest.approx(0.95, abs=0.02)

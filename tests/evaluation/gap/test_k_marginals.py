import numpy as np
import pyarrow as pa
import pytest

from twinset.core.contracts import NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.findings import DifferingTriples
from twinset.core.seeding import rng_for
from twinset.evaluation.gap.k_marginals import KMarginals, choose_triples, joint_cells


def bits(n: int, seed: int, *, linked: bool) -> Dataset:
    """Draw four columns of 0 and 1, any two of them independent; c is the parity of a and b."""
    rng = rng_for(seed, "bits")
    a, b, c, d = rng.integers(0, 2, (4, n))
    columns = {"a": a, "b": b, "c": (a + b) % 2 if linked else c, "d": d}
    return Dataset.from_arrow(pa.table({k: v.astype(str) for k, v in columns.items()}))


def test_by_hand(compare, rng) -> None:
    real = {"a": ["x", "x", "y", "y"], "b": ["u", "v", "u", "v"], "c": ["p", "p", "p", "p"]}
    made = {"a": ["x", "x", "x", "x"], "b": ["u", "v", "u", "v"], "c": ["p", "p", "p", "q"]}
    sets = [Dataset.from_arrow(pa.table(columns)) for columns in (made, real)]
    found = KMarginals().compute(compare(*sets), rng)
    # Made: xup 2/4, xvp 1/4, xvq 1/4. Real: a quarter each in xup, xvp, yup, yvp.
    assert found.value == 0.5
    assert found.facts["sdnist_score"] == 500.0
    assert found.facts["worst"][0]["columns"] == ["a", "b", "c"]


def test_what_no_pair_shows_is_seen_and_named(compare, rng) -> None:
    real, made = bits(2000, 1, linked=True), bits(2000, 2, linked=False)
    found = KMarginals().compute(compare(made, real), rng)
    # Half of the rows of a, b, c stand in cells that do not exist; the other three triples are alike.
    assert found.value == pytest.approx(0.5 / 4, abs=0.03)
    assert found.facts["worst"][0]["columns"] == ["a", "b", "c"]
    assert found.facts["triples_that_differ"] == 1
    assert found.finding(DifferingTriples).worst == ("a", "b", "c")


def test_real_rows_are_not_blamed(people, compare) -> None:
    blamed = 0
    for i in range(30):
        found = KMarginals().compute(
            compare(people(500, 2 * i), people(500, 2 * i + 1)), rng_for(i)
        )
        blamed += found.facts["triples_that_differ"] > 0
    assert blamed <= 4


def test_the_spread_of_the_replicates_is_that_of_fresh_samples(people, compare) -> None:
    train = people(900, 999)
    fresh = [
        KMarginals()
        .compute(compare(people(400, 2 * i), people(400, 2 * i + 1), train), rng_for(i))
        .value
        for i in range(40)
    ]
    found = KMarginals().compute(compare(people(400, 100), people(400, 101), train), rng_for(1))
    assert found.replicates.std() == pytest.approx(np.std(fresh), rel=0.6)


def test_of_many_triples_a_part_is_drawn_with_all_of_the_target(rng) -> None:
    names = [f"c{i}" for i in range(12)]
    found = choose_triples(names, "c3", 60, rng)
    assert sum("c3" in triple for triple in found) == 55
    assert 55 < len(found) <= 60 + 55
    assert len(set(found)) == len(found)
    assert len(choose_triples(names, "c3", 20, rng)) == 20
    assert choose_triples(names, None, 20, rng_for(1)) == choose_triples(
        names, None, 20, rng_for(1)
    )


def test_cells_are_numbered_without_gaps() -> None:
    parts = [([np.array([0, 3]), np.array([3])], 4), ([np.array([9, 0]), np.array([9])], 10)]
    cells, n = joint_cells(parts)
    assert [c.tolist() for c in cells] == [[0, 1], [2]]
    assert n == 3


def test_two_columns_are_too_few(people, compare, rng) -> None:
    two = people(40, 1).select(["x", "y"])
    with pytest.raises(NotMeasurable, match="three columns"):
        KMarginals().compute(compare(two, two), rng)

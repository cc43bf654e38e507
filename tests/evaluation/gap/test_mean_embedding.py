import numpy as np
import pyarrow as pa
import pytest
from scipy.spatial.distance import cdist
from sklearn.metrics.pairwise import rbf_kernel

from twinset.core.contracts import NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.errors import ParameterError
from twinset.core.findings import PermutationTest
from twinset.core.seeding import rng_for
from twinset.evaluation.gap.mean_embedding import (
    MeanEmbedding,
    discrepancy,
    draw_frequencies,
    fourier_features,
    median_distance,
)


def test_the_estimate_is_the_sum_over_all_pairs() -> None:
    rng = rng_for(1, "rows")
    frequencies = draw_frequencies(3, 20, 1.0, rng)
    x, y = (fourier_features(rng.normal(size=(7, 3)), frequencies).astype(float) for _ in range(2))
    inside = [sum(v[i] @ v[j] for i in range(7) for j in range(7) if i != j) / 42 for v in (x, y)]
    between = (x @ y.T).mean()
    found = discrepancy(x.sum(axis=0), y.sum(axis=0), 7)
    assert found == pytest.approx(sum(inside) - 2 * between, abs=1e-6)


def test_the_features_are_those_of_the_kernel() -> None:
    rng = rng_for(2, "kernel")
    x = rng.normal(size=(12, 4))
    made = fourier_features(x, draw_frequencies(4, 60_000, 1.5, rng)).astype(float)
    squared = cdist(x, x, "sqeuclidean")
    scales = 1.5 * np.array([0.25, 0.5, 1.0, 2.0, 4.0])
    exact = np.mean([1 / (1 + squared / scale**2) for scale in scales], axis=0)
    assert made @ made.T == pytest.approx(exact, abs=0.02)
    # A rational quadratic kernel has heavier tails than any one Gaussian kernel.
    assert abs(rbf_kernel(x, gamma=1 / 1.5**2) - exact).max() > 0.1


def test_the_median_distance_by_hand() -> None:
    assert median_distance(np.array([[0.0, 0.0], [3.0, 4.0]])) == 5.0
    assert median_distance(np.zeros((3, 2))) == 1.0
    assert median_distance(np.zeros((0, 2))) == 1.0


def test_rows_that_hang_together_otherwise_are_found(people, compare, rng) -> None:
    real, made = people(800, 1), people(800, 2)
    columns = {name: made.to_arrow().column(name) for name in made.schema.names}
    columns["x"] = pa.chunked_array([made.values("x")[rng.permutation(800)]])
    unlinked = Dataset.from_arrow(pa.table(columns), made.schema)
    found = MeanEmbedding().compute(compare(unlinked, real), rng)
    assert found.facts["p_value"] < 0.01
    assert found.value > 0.03
    assert not found.finding(PermutationTest).found_nothing


def test_the_order_of_train_does_not_matter(people, compare) -> None:
    train, real = people(4000, 1), people(300, 2)
    made = real.take(np.flatnonzero(real.values("x") > 0).repeat(2)[:200])
    # The same row 500 times and 0.0001 on from there: a kernel of that length sees no two rows alike.
    columns = {
        name: train.to_arrow().column(name).to_numpy().copy() for name in ("x", "y", "colour")
    }
    for name in ("x", "y"):
        columns[name][:500] = np.arange(500) % 3 * 1e-4
    columns["colour"][:500] = "red"
    ordered = Dataset.from_arrow(pa.table(columns), train.schema)
    train = ordered.take(rng_for(1, "order").permutation(4000))
    found = [
        MeanEmbedding(permutations=1).compute(compare(made, real, rows), rng_for(1, "m")).value
        for rows in (train, ordered)
    ]
    assert found[1] == pytest.approx(found[0], rel=0.1)


def test_p_values_of_real_rows_are_even(people, compare) -> None:
    p = [
        MeanEmbedding(permutations=60, n_frequencies=100)
        .compute(compare(people(150, 2 * i), people(150, 2 * i + 1)), rng_for(i))
        .facts["p_value"]
        for i in range(60)
    ]
    assert 0.3 < np.mean(p) < 0.7
    assert np.mean(np.array(p) <= 0.1) <= 0.2


def test_texts_are_compared(compare, rng) -> None:
    calm = [f"thank you all is well today number {i}" for i in range(80)]
    angry = [f"refund now this is broken case {i}" for i in range(80)]
    real, same = (
        Dataset.from_arrow(pa.table({"t": calm})),
        Dataset.from_arrow(pa.table({"t": calm})),
    )
    other = Dataset.from_arrow(pa.table({"t": angry}))
    assert real.schema["t"].kind == "text"
    assert MeanEmbedding().compute(compare(other, real), rng).value > 0.2
    assert MeanEmbedding().compute(compare(same, real), rng).value == 0.0


def test_three_rows_are_too_few(people, compare, rng) -> None:
    with pytest.raises(NotMeasurable, match="at least 4 rows"):
        MeanEmbedding().compute(compare(people(3, 1), people(30, 2)), rng)


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ParameterError):
        MeanEmbedding(n_frequencies=0)
    with pytest.raises(ParameterError):
        MeanEmbedding(max_rows=3)

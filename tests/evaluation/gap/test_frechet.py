import numpy as np
import pyarrow as pa
import pytest
from scipy.linalg import sqrtm

from twinset.core.contracts import NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.errors import ParameterError
from twinset.core.findings import ComparisonBasis, DifferentComponents
from twinset.core.seeding import rng_for
from twinset.evaluation.gap.frechet import (
    Frechet,
    at_infinity,
    frechet_distance,
    gaussian_distances,
)
from twinset.measurement.harness import measure


def numbers(x: np.ndarray) -> Dataset:
    return Dataset.from_arrow(pa.table({f"x{i}": column for i, column in enumerate(x.T)}))


def test_two_gaussians_on_one_axis_by_hand() -> None:
    # N(0, 4) and N(3, 1): 3^2 + (2 - 1)^2 = 10.
    assert (
        gaussian_distances(np.array([[[0.0]], [[3.0]]]), np.array([[[[4.0]]], [[[1.0]]]]))[0]
        == 10.0
    )


def test_two_gaussians_that_share_axes_by_hand() -> None:
    # Diagonal covariances: the squared differences of the spreads, (3-1)^2 + (2-4)^2, and the means 1.
    means = np.array([[[0.0, 0.0]], [[1.0, 0.0]]])
    covariances = np.array([[np.diag([9.0, 4.0])], [np.diag([1.0, 16.0])]])
    assert gaussian_distances(means, covariances)[0] == pytest.approx(9.0)


def test_it_is_that_of_scipys_matrix_root() -> None:
    rng = rng_for(1, "x")
    x, y = rng.normal(size=(50, 4)), rng.normal(size=(60, 4)) @ rng.normal(size=(4, 4)) + 1
    a, b = np.cov(x.T), np.cov(y.T)
    gap = ((x.mean(axis=0) - y.mean(axis=0)) ** 2).sum()
    wanted = gap + np.trace(a + b - 2 * np.real(sqrtm(a @ b)))
    assert frechet_distance(x, y) == pytest.approx(wanted, abs=1e-6)


def test_fewer_rows_than_directions_give_a_finite_distance() -> None:
    x = rng_for(2, "x").normal(size=(3, 8))
    assert frechet_distance(x, x) == pytest.approx(0.0, abs=1e-9)


def test_the_line_to_endless_rows_takes_the_bias_off() -> None:
    found, plain = [], []
    for seed in range(8):
        rng = rng_for(seed, "pair")
        x, y = rng.normal(size=(2, 400, 32)) / np.sqrt(32)
        y = y + np.sqrt(0.05 / 32)  # the true distance is 0.05
        plain.append(frechet_distance(x, y))
        found.append(at_infinity(x, y, rng.permutation(400)))
    assert np.mean(plain) > 0.085
    assert np.mean(found) == pytest.approx(0.05, abs=0.008)


def test_too_few_rows_for_quarters_leave_the_distance_as_it_is() -> None:
    x = rng_for(3, "x").normal(size=(20, 8))
    assert at_infinity(x, x + 1, np.arange(20)) == frechet_distance(x, x + 1)


def test_it_is_a_share_of_the_variance_of_train(compare, rng) -> None:
    x = rng_for(4, "x").normal(size=(2000, 3))
    found = Frechet().compute(compare(numbers(x + 0.5), numbers(x)), rng)
    assert found.value == pytest.approx(0.25, abs=0.02)
    assert found.facts["embeddings"]["all columns"]["directions"] == 3
    assert found.components is None


def test_it_says_how_many_rows_it_needs(compare, rng) -> None:
    x = rng_for(5, "x").normal(size=(30, 8))
    with pytest.raises(NotMeasurable, match="at least 16 rows in each set for 8 directions"):
        Frechet().compute(compare(numbers(x[:15]), numbers(x)), rng)
    with pytest.raises(NotMeasurable, match="all real rows are the same"):
        Frechet().compute(compare(numbers(0 * x), numbers(0 * x)), rng)


def test_verdicts_of_fresh_and_of_moved_rows() -> None:
    draw = rng_for(6, "x")
    train, made, holdout = (numbers(draw.normal(size=(3000, 4))) for _ in range(3))
    moved = numbers(draw.normal(size=(3000, 4)) + 0.3)
    verdicts = [
        measure(train=train, synthetic=s, holdout=holdout, metrics=[("gap.frechet", Frechet())])[0]
        for s in (made, moved)
    ]
    assert [score.verdict for score in verdicts] == ["as good as real", "different"]
    assert verdicts[1].value == pytest.approx(0.09, abs=0.03)


def test_images_have_one_embedding_an_embedder() -> None:
    pytest.importorskip("cv2")
    from tests.core.features.test_embedders import pictures
    from twinset.core.features.embedders import Classical
    from twinset.evaluation.gap.image_properties import ImageProperties

    train, made, holdout = pictures(160, 0), pictures(160, 1, noise=9.0), pictures(320, 2)
    frechet, named = measure(
        train=train, synthetic=made, holdout=holdout, embedders=[Classical()],
        metrics=[("gap.frechet", Frechet(n_directions=8)), ("gap.image_properties", ImageProperties())],
    )  # fmt: skip
    assert set(frechet.facts["embeddings"]) == {"classical", "all columns"}
    assert frechet.verdict == "different"
    assert frechet.finding(ComparisonBasis).embedders["photo"]["classical"]["size"] == 210
    assert named.verdict == "different"
    assert "noise" in named.finding(DifferentComponents).names
    assert "brightness" not in named.finding(DifferentComponents).names


def test_settings_out_of_range_are_refused() -> None:
    for settings in ({"margin": -1.0}, {"n_directions": 0}, {"replicates": 1}):
        with pytest.raises(ParameterError):
            Frechet(**settings)

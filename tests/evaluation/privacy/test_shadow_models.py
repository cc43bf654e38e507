"""Rows of six linked columns: copied, drawn afresh, and made by what the registry holds."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.contracts import Comparison, ComparisonContext, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.errors import ParameterError
from twinset.core.seeding import rng_for
from twinset.evaluation.privacy.shadow_models import ShadowModels, ShadowPool, ShadowScores

Made = Callable[[Dataset, np.random.Generator], Dataset]


def rows(n: int, *name: str | int) -> Dataset:
    rng = rng_for(3, "shadows", *name)
    x = rng.normal(size=(n, 5))
    columns = {f"x{i}": x[:, i] + x[:, 0] for i in range(5)}
    return Dataset.from_arrow(pa.table({**columns, "c": np.where(x[:, 1] > 0, "a", "b")}))


def attacked(make: Made, seed: int = 0, n: int = 500, **settings: int) -> tuple[float, dict]:
    """Return the AUC and the details where `make` is the generator."""
    train, control = rows(n, "train", seed), rows(n, "control", seed)

    def again(seen, others, most, rng):
        return make(Dataset.concat([train.take(seen), control.take(others)]), rng)

    synthetic = make(train, rng_for(seed, "release"))
    told = Comparison(train, synthetic, control, context=ComparisonContext(refit=again))
    found = ShadowModels(n_shadows=8, **settings).compute(told, rng_for(seed, "attack"))
    return found.facts["auc"], dict(found.facts)


def copied(real: Dataset, rng: np.random.Generator) -> Dataset:
    return real


def fresh(real: Dataset, rng: np.random.Generator) -> Dataset:
    return rows(len(real), "fresh", int(rng.integers(2**31)))


def noisy(real: Dataset, rng: np.random.Generator) -> Dataset:
    columns = {f"x{i}": real.values(f"x{i}") + 0.4 * rng.normal(size=len(real)) for i in range(5)}
    return Dataset.from_arrow(pa.table({**columns, "c": real.to_arrow().column("c")}))


def test_a_copying_generator_is_caught() -> None:
    auc, details = attacked(copied)
    assert auc >= 0.95
    assert details["true_positive_rate_at_1_percent_false"] > 0.9
    assert details["upper_bound"] >= auc


def test_fresh_real_rows_tell_nothing() -> None:
    found = [attacked(fresh, seed, n=1200, replicates=40) for seed in range(4)]
    # Four areas of 1,200 a side: a standard error of 0.0059.
    assert np.mean([auc for auc, _ in found]) == pytest.approx(0.5, abs=0.02)
    assert all(details["upper_bound"] > auc for auc, details in found)


def test_noisy_copies_are_reported_better_than_by_distances_alone(rng) -> None:
    from twinset.evaluation.privacy.membership import Membership

    train, control = rows(500, "train", 0), rows(500, "control", 0)
    made = noisy(train, rng_for(0, "release"))
    plain = Membership().compute(Comparison(train, made, control), rng).value
    auc, _ = attacked(noisy)
    assert auc > max(plain, 0.7)


def test_the_same_stream_gives_the_same_numbers() -> None:
    assert attacked(noisy, n=60) == attacked(noisy, n=60)


def test_every_row_is_in_half_of_the_shadows(rng) -> None:
    from twinset.evaluation.privacy._attacks import AttackTargets

    train, control = rows(40, "train", 0), rows(30, "control", 0)
    told = Comparison(train, train, control)
    attacked_rows = np.arange(20), np.arange(25)
    victims = AttackTargets.from_comparison(told, *attacked_rows)
    seen = []

    def release(places, stream):
        seen.append(places)
        return train

    pool = ShadowPool.from_rows(told, attacked_rows, 10, rng)
    assert sum(map(len, pool.others)) == 10
    shadows = ShadowScores.fit(pool, victims, release, 6, rng)
    assert shadows.is_in.sum(axis=0).tolist() == [3] * 45
    for places, inside in zip(seen, shadows.is_in):
        assert set(np.flatnonzero(inside[:20])) <= set(places[0])
        assert not set(np.flatnonzero(~inside[:20])) & set(places[0])
        assert not set(np.flatnonzero(~inside[20:])) & set(places[1])


def test_the_score_is_the_ratio_of_two_normal_laws() -> None:
    """One signal, in both columns alike up to noise: rows in lie one unit above rows out."""
    rng = rng_for(1, "law")
    k, n = 40, 300
    order = np.argsort(rng.random((n, k)), axis=1).T
    is_in = order < k // 2
    base = rng.normal(size=n)
    signals = (base + is_in)[:, :, None] + 0.5 * rng.normal(size=(k, n, 2))
    member = np.arange(n) % 2 == 0
    released = (base + member)[:, None] + 0.5 * rng.normal(size=(n, 2))
    found = ShadowScores(signals, is_in).scores(released)
    # log N(s; base + 1) - log N(s; base) = (s - base - 1/2) / 0.25 for each of two signals, up to a
    # constant, since what moves all rows is taken off.
    expected = ((released - base[:, None] - 0.5) / 0.25).sum(axis=1)
    assert np.corrcoef(found, expected)[0, 1] > 0.97


def test_without_the_generator_it_is_not_measurable(rng) -> None:
    told = Comparison(rows(50, 1), rows(50, 2), rows(50, 3))
    with pytest.raises(NotMeasurable, match="cannot be fitted again"):
        ShadowModels().compute(told, rng)


def test_few_rows_are_too_few(rng) -> None:
    told = Comparison(
        rows(50, 1),
        rows(50, 2),
        rows(12, 3),
        context=ComparisonContext(refit=lambda *_: rows(50, 4)),
    )
    with pytest.raises(NotMeasurable, match="at least 20 rows"):
        ShadowModels().compute(told, rng)


@pytest.mark.parametrize("settings", [{"n_shadows": 5}, {"n_shadows": 2}, {"max_rows": 0}])
def test_settings_out_of_range_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(ParameterError):
        ShadowModels(**settings)

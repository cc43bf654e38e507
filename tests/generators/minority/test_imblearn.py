"""Over-samplers of imbalanced-learn behind twinset's types."""

from typing import get_args

import numpy as np
import pyarrow as pa
import pytest

pytest.importorskip("imblearn", reason="the extra 'imbalanced' is not installed")

from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.core.errors import FitError, ParameterError
from twinset.core.seeding import rng_for
from twinset.generators.minority.imblearn import Imblearn, Sampler

SETTINGS = {"KMeansSMOTE": {"kmeans_estimator": 4, "cluster_balance_threshold": 0.0}}


def frauds(n: int = 500, n_rare: int = 60) -> Dataset:
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], [n - n_rare, n_rare])
    channel = np.where(rng.random(n) < 0.3 + 0.3 * y, "web", "shop")
    table = {
        "amount": np.round(np.exp(rng.normal(size=n) + 0.8 * y), 2),
        "items": rng.poisson(3 + y),
        "channel": pa.array(channel, mask=rng.random(n) < 0.2),
        "ok": rng.random(n) < 0.5,
        "age": pa.array(rng.integers(18, 90, n), mask=rng.random(n) < 0.2),
        "y": y,
    }
    real = Dataset.from_arrow(pa.table(table))
    return real.with_schema(real.schema.with_target("y", kind="category"))


@pytest.mark.parametrize("sampler", get_args(Sampler))
def test_every_sampler_keeps_types(sampler: str) -> None:
    real = frauds()
    generator = Imblearn(sampler=sampler, settings=SETTINGS.get(sampler, {}))
    fitted = generator.fit(real, rng_for(0, "fit"))
    for n in (0, 1, 300):
        made = fitted.sample(n, rng_for(0, "draw"), Where({"y": 1}))
        assert len(made) == n
        assert made.schema == real.schema
    own = real.where(Where({"y": 1}))
    assert set(made.codes("channel")[1]) <= {"web", "shop"}
    assert np.allclose(made.values("amount") * 100, np.round(made.values("amount") * 100))
    assert made.values("amount").max() <= own.values("amount").max()
    assert not np.any(made.values("items") % 1)
    assert made.is_null("age").mean() == pytest.approx(own.is_null("age").mean(), abs=0.2)
    assert made.codes("y")[1] == ("1",)


def test_the_class_alone_is_enough_for_some() -> None:
    real = frauds().where(Where({"y": 1}))
    assert len(Imblearn(sampler="SMOTE").fit(real, rng_for(0)).sample(20, rng_for(1))) == 20
    with pytest.raises(FitError, match="other classes"):
        Imblearn(sampler="ADASYN").fit(real, rng_for(0))


def test_what_cannot_be_is_said() -> None:
    with pytest.raises(ParameterError, match="ADASYN"):
        Imblearn(sampler="Adasyn")
    with pytest.raises(ParameterError, match="random_state"):
        Imblearn(settings={"random_state": 1})
    with pytest.raises(ParameterError, match="no such setting"):
        Imblearn(settings={"neighbours": 1}).fit(frauds(), rng_for(0))
    distant = Dataset.from_arrow(
        pa.table({"x": np.append(np.arange(50.0), 900 + np.arange(9.0)), "y": [0] * 50 + [1] * 9})
    )
    distant = distant.with_schema(distant.schema.with_target("y", kind="category"))
    with pytest.raises(FitError, match="cannot draw rows"):
        Imblearn(sampler="ADASYN").fit(distant, rng_for(0)).sample(9, rng_for(0), Where({"y": 1}))

"""SDV by name; skipped where the extra is not installed."""

import importlib.util

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.dataset import Dataset
from twinset.core.errors import FitError, MissingExtraError, ParameterError
from twinset.core.seeding import rng_for
from twinset.core.where import Where
from twinset.generators.tabular.sdv import Sdv

INSTALLED = importlib.util.find_spec("sdv") is not None
needs_sdv = pytest.mark.skipif(not INSTALLED, reason="the extra 'sdv' is not installed")


def real(n: int = 200) -> Dataset:
    rng = np.random.default_rng(0)
    x = rng.normal(size=n)
    table = pa.table(
        {
            "x": pa.array(np.round(x, 2), mask=rng.random(n) < 0.1),
            "n": rng.poisson(4, n),
            "c": np.where(x > 0.5, "high", "low"),
            "ok": pa.array(rng.random(n) < 0.5, mask=rng.random(n) < 0.1),
            "day": pa.array(rng.integers(0, 900, n) * 86_400_000_000).cast(pa.timestamp("us")),
            "one": ["same"] * n,
        }
    )
    return Dataset.from_arrow(table)


def test_settings_are_checked_without_sdv() -> None:
    with pytest.raises(ParameterError, match="gaussian_copula, ctgan, tvae, copula_gan"):
        Sdv(model="gan")
    with pytest.raises(ParameterError, match="epochs"):
        Sdv(epochs=0)
    with pytest.raises(FitError, match="9 rows"):
        Sdv().fit(real(9), rng_for(0))


@pytest.mark.skipif(INSTALLED, reason="the extra 'sdv' is installed")
def test_the_extra_is_named() -> None:
    with pytest.raises(MissingExtraError, match=r"twinset\[sdv\]"):
        Sdv().fit(real(), rng_for(0))


@needs_sdv
@pytest.mark.slow
@pytest.mark.parametrize("model", ["gaussian_copula", "ctgan", "tvae", "copula_gan"])
def test_every_model_makes_rows_again_and_again(model: str) -> None:
    data = real()
    fitted = Sdv(model=model, epochs=1).fit(data, rng_for(0, "fit"))
    made = fitted.sample(50, rng_for(0, "draw"))
    assert len(made) == 50
    assert made.schema == data.schema
    assert made.digest == fitted.sample(50, rng_for(0, "draw")).digest
    assert made.digest != fitted.sample(50, rng_for(1, "draw")).digest
    assert set(made.codes("c")[1]) <= {"high", "low"}
    assert not np.any(made.values("day") % 86_400e6)
    assert set(made.records.column("one").to_pylist()) == {"same"}


@needs_sdv
@pytest.mark.slow
def test_conditions() -> None:
    fitted = Sdv().fit(real(), rng_for(0, "fit"))
    for where in ({"c": "high"}, {"ok": True, "n": {"ge": 3}}, {"x": None}, {"one": "same"}):
        made = fitted.sample(40, rng_for(0, "draw"), Where(where))
        assert len(made) == 40
        assert Where(where).mask(made).all()
    with pytest.raises(ParameterError, match="'n'"):
        fitted.sample(5, rng_for(0), Where({"n": {"gt": 1000}}))

"""SDV by name; skipped where the extra is not installed."""

import importlib.util
import io
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.data.dataset import Dataset
from twinset.core.data.rule import Rule
from twinset.core.data.schema import Field
from twinset.core.data.where import Where
from twinset.core.errors import FitError, MissingExtraError, ParameterError
from twinset.core.rules.violations import violations
from twinset.core.seeding import rng_for
from twinset.generators.tabular.sdv import Sdv, _BarReader

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
    with pytest.raises(ParameterError, match="multiples of 10"):
        Sdv(batch_rows=25)
    with pytest.raises(ParameterError, match="gaussian_kde"):
        Sdv(distribution="cauchy")
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
        assert made.mask(Where(where)).all()
    with pytest.raises(ParameterError, match="'n'"):
        fitted.sample(5, rng_for(0), Where({"n": {"gt": 1000}}))


def with_rules(n: int = 300) -> Dataset:
    """Numbers in order, a one-hot group, a town that decides its county, labels of one value."""
    rng = np.random.default_rng(1)
    low = rng.integers(0, 50, n)
    town = rng.choice(["a", "b", "c"], n)
    group = rng.integers(0, 3, n)
    table = pa.table(
        {
            "low": low,
            "high": low + rng.integers(0, 20, n),
            "town": town,
            "county": np.where(town == "c", "north", "south"),
            **{f"is_{i}": (group == i).astype(int) for i in range(3)},
            "other": rng.normal(size=n),
        }
    )
    schema = Dataset.from_arrow(table).schema
    for i in range(3):
        schema = schema.with_field(Field(name=f"is_{i}", kind="integer", stored="int64"))
    rules = (
        Rule("order", ("low", "high")),
        Rule("dependency", ("town", "county")),
        Rule("one_hot", ("is_0", "is_1", "is_2")),
        Rule("order", ("high", "low")),  # real rows break it
        Rule("range", ("other",), {"low": -9.0}),  # SDV has none for it
    )
    return Dataset.from_arrow(table, replace(schema, rules=rules))


@needs_sdv
def test_rules_that_sdv_knows_become_constraints() -> None:
    from twinset.core.data.encoding import TableEncoding
    from twinset.generators.tabular.sdv import _constraints, _to_frame

    data = with_rules()
    made = _constraints(data, _to_frame(data, TableEncoding.from_dataset(data)))
    names = [type(c).__name__ for c in made]
    assert names == ["Inequality", "FixedCombinations", "OneHotEncoding"]


@needs_sdv
@pytest.mark.slow
@pytest.mark.parametrize("model", ["gaussian_copula", "tvae"])
def test_sdv_holds_the_rules_it_was_given(model: str) -> None:
    data = with_rules()
    made = Sdv(model=model, epochs=1).fit(data, rng_for(0)).sample(200, rng_for(1))
    broken = [int(violations(rule, made).sum()) for rule in data.schema.rules]
    assert broken[:3] == [0, 0, 0]
    free = Sdv(model=model, epochs=1, use_rules=False).fit(data, rng_for(0)).sample(200, rng_for(1))
    assert sum(int(violations(rule, free).sum()) for rule in data.schema.rules[:3]) > 0


@needs_sdv
@pytest.mark.slow
def test_rules_and_conditions_together() -> None:
    data = with_rules()
    fitted = Sdv().fit(data, rng_for(0))
    for where in ({"town": "c"}, {"town": "a", "low": {"ge": 20}}, {"low": 7}, {"is_1": 1}):
        made = fitted.sample(30, rng_for(2), Where(where))
        assert made.mask(Where(where)).all()
        assert len(made) == 30


@needs_sdv
@pytest.mark.slow
@pytest.mark.parametrize("model", ["ctgan", "tvae", "copula_gan"])
def test_epochs_are_told(model: str) -> None:
    told: list[tuple[str, int, int]] = []
    settings = {"epochs": 3, "batch_rows": 50}
    Sdv(model=model, **settings).fit(real(), rng_for(0), lambda *step: told.append(step))
    assert told[-1] == ("train", 3, 3)
    assert told == sorted(told)


def test_bars_are_read() -> None:
    told: list[tuple[str, int, int]] = []
    screen = io.StringIO()
    reader = _BarReader(lambda *step: told.append(step), screen)
    for text in ("Gen. (0.1) | Discrim. (-0.2):   1%|#| 4/300 [00:02<", "\r", "4/300 [", "5/300 ["):
        assert reader.write(text) == len(text)
    assert told == [("train", 4, 300), ("train", 5, 300)]
    assert not screen.getvalue()

"""Independent columns and real rows again."""

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.core.errors import FitError, ParameterError, SchemaError
from twinset.core.seeding import rng_for
from twinset.generators.tabular.bootstrap import Bootstrap
from twinset.generators.tabular.marginals import Marginals

REAL = Dataset.from_arrow(
    pa.table({"n": [1, 2, 3, None], "c": ["a", "a", "b", "b"], "x": [0.5, 1.5, 2.5, 3.5]})
)


def draw(generator: Marginals | Bootstrap, n: int, where: dict | None = None, real=REAL) -> Dataset:
    return generator.fit(real, rng_for(0, "fit")).sample(
        n, rng_for(0, "draw"), Where.from_value(where)
    )


def test_columns_keep_their_shares_and_lose_one_another() -> None:
    made = draw(Marginals(), 8000)
    assert np.isnan(made.values("n")).mean() == pytest.approx(0.25, abs=0.02)
    is_a = made.codes("c")[0] == 0
    assert is_a.mean() == pytest.approx(0.5, abs=0.02)
    # In the real rows x < 2 exactly where c is "a".
    assert ((made.values("x") < 2) == is_a).mean() == pytest.approx(0.5, abs=0.02)


def test_marginals_meet_a_combination_that_no_real_row_has() -> None:
    made = draw(Marginals(), 50, {"c": "b", "x": {"lt": 1}})
    assert set(made.codes("c")[1]) == {"b"}
    assert set(made.values("x")) == {0.5}


def test_bootstrap_copies_rows_and_names_them() -> None:
    made = draw(Bootstrap(), 200, real=REAL.with_reserved(ids=["p", "q", "r", "s"]))
    real = dict(zip("pqrs", REAL.records.to_pylist(), strict=True))
    for row in made.records.to_pylist():
        (parent,) = row.pop("_parents")
        assert row == real[parent]
    assert "_parents" not in draw(Bootstrap(), 3).records.column_names


def test_bootstrap_draws_only_rows_that_meet_the_condition() -> None:
    made = draw(Bootstrap(), 40, {"c": "a", "n": {"ge": 2}})
    assert made.records.to_pylist() == [{"n": 2, "c": "a", "x": 1.5}] * 40
    with pytest.raises(ParameterError, match="'c', 'x'"):
        draw(Bootstrap(), 40, {"c": "b", "x": {"lt": 1}})


@pytest.mark.parametrize("generator", [Marginals(), Bootstrap()])
def test_refusals(generator: Marginals | Bootstrap) -> None:
    with pytest.raises(ParameterError, match="'n'"):
        draw(generator, 4, {"n": 17})
    with pytest.raises(FitError, match="needs a real set"):
        generator.fit(None, rng_for(0))
    with pytest.raises(FitError, match="0 rows"):
        generator.fit(REAL.slice(0, 0), rng_for(0))
    image = pa.table({"image": [{"bytes": b"x", "path": "y"}]})
    with pytest.raises(SchemaError, match="'image'"):
        generator.fit(Dataset.from_arrow(image), rng_for(0))

"""Filtered rows: those that a discriminator takes for real are kept, at every class's share."""

from functools import cache

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.core.errors import ParameterError
from twinset.core.seeding import rng_for
from twinset.generators.minority._engine.filter import FittedFilter
from twinset.generators.minority.filtered import Filtered
from twinset.generators.minority.rose import Rose


def ring(rows: int = 300) -> Dataset:
    """Return points on a circle, which noise leaves."""
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, rows)
    table = pa.table(
        {
            "x": np.cos(angle),
            "y": np.sin(angle),
            "up": pa.array(np.where(np.sin(angle) > 0, "up", "down"), mask=rng.random(rows) < 0.1),
            "label": np.where(np.arange(rows) < rows // 3, "a", "b"),
        }
    )
    real = Dataset.from_arrow(table)
    return real.with_schema(real.schema.with_target("label"))


def off_the_ring(made: Dataset) -> float:
    return float(np.abs(np.hypot(made.values("x"), made.values("y")) - 1).mean())


@cache
def fitted(method: str) -> FittedFilter:
    found = Filtered(method=method).fit(ring(), rng_for(0))
    assert isinstance(found, FittedFilter)
    return found


def test_rows_near_the_real_ones_are_kept() -> None:
    plain = off_the_ring(Rose().fit(ring(), rng_for(0)).sample(1500, rng_for(1)))
    every = Filtered(method="rose", keep=1.0).fit(ring(), rng_for(0)).sample(1500, rng_for(1))
    third = fitted("rose").sample(1500, rng_for(1))
    assert off_the_ring(every) == pytest.approx(plain, rel=0.1)
    assert off_the_ring(third) < 0.75 * plain


def test_the_share_kept_is_the_requested_one() -> None:
    (one, _), _ = fitted("smote")._fit_of(None)
    drawn, _ = one._draw_raw(8000, rng_for(7))
    assert (one._score(drawn) >= one.threshold).mean() == pytest.approx(1 / 3, abs=0.03)


@pytest.mark.parametrize("method", ["smote", "rose", "copula"])
def test_prefix_order_and_shares(method: str) -> None:
    real = ring()
    few, parents = fitted(method).draw(200, rng_for(1))
    many, others = fitted(method).draw(1200, rng_for(1))
    assert few.digest == many.slice(0, 200).digest
    assert np.array_equal(parents, others[:200])
    out = np.empty((200, 2))
    assert np.array_equal(fitted(method).fill(out, rng_for(1)), parents)
    assert np.array_equal(out, np.column_stack([few.values("x"), few.values("y")]))
    assert (many.codes("label")[0] == 0).mean() == pytest.approx(1 / 3, abs=0.002)
    labels = real.codes("label")[0]
    if method == "copula":
        assert (others == -1).all()
    else:
        assert np.array_equal(labels[others[:, 0]], many.codes("label")[0])
    only = fitted(method).sample(50, rng_for(1), Where({"label": "a", "x": {"ge": 0}}))
    assert set(only.codes("label")[1]) == {"a"}
    assert only.values("x").min() >= 0


def test_the_order_of_real_rows_does_not_matter() -> None:
    order = np.random.default_rng(5).permutation(300)
    again = Filtered(method="rose").fit(ring().take(order), rng_for(0))
    assert again.sample(200, rng_for(1)).digest == fitted("rose").sample(200, rng_for(1)).digest


def test_refusals() -> None:
    for wrong in ({"method": "gan"}, {"keep": 0}, {"keep": 1.5}, {"k_neighbors": 0}):
        with pytest.raises(ParameterError, match=next(iter(wrong))):
            Filtered(**wrong)
    with pytest.raises(ParameterError, match="'x'"):
        Filtered().fit(ring(60), rng_for(0)).sample(5, rng_for(0), Where({"x": {"ge": 2}}))

"""Filtered rows: those that a judge takes for real are kept, at every class's share."""

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.core.errors import ParameterError
from twinset.core.seeding import rng_for
from twinset.generators.minority.filtered import METHODS, Filtered
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


def test_rows_near_the_real_ones_are_kept() -> None:
    real = ring()
    plain = off_the_ring(Rose().fit(real, rng_for(0)).sample(3000, rng_for(1)))
    off = [
        off_the_ring(Filtered(method="rose", keep=k).fit(real, rng_for(0)).sample(3000, rng_for(1)))
        for k in (1.0, 1 / 3, 0.1)
    ]
    assert off[0] == pytest.approx(plain, rel=0.1)
    assert off[1] < 0.75 * off[0]
    assert off[2] < off[1]


def test_the_share_kept_is_the_one_asked_for() -> None:
    fitted = Filtered(method="smote", keep=0.25).fit(ring(), rng_for(0))
    (one, _), _ = fitted._of(None)
    drawn, _ = one._drawn(8000, rng_for(7))
    assert (one._score(drawn) >= one.line).mean() == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize("method", METHODS)
def test_prefix_order_and_shares(method: str) -> None:
    real = ring()
    fitted = Filtered(method=method).fit(real, rng_for(0))
    few, whose = fitted.draw(200, rng_for(1))
    many, others = fitted.draw(3000, rng_for(1))
    assert few.digest == many.slice(0, 200).digest
    assert np.array_equal(whose, others[:200])
    assert (many.codes("label")[0] == 0).mean() == pytest.approx(1 / 3, abs=0.001)
    labels = real.codes("label")[0]
    if method == "copula":
        assert (others == -1).all()
    else:
        assert np.array_equal(labels[others[:, 0]], many.codes("label")[0])
    order = np.random.default_rng(5).permutation(len(real))
    again = Filtered(method=method).fit(real.take(order), rng_for(0))
    assert again.sample(200, rng_for(1)).digest == few.digest
    only = fitted.sample(50, rng_for(1), Where({"label": "a", "x": {"ge": 0}}))
    assert set(only.codes("label")[1]) == {"a"}
    assert only.values("x").min() >= 0


def test_both_lanes_give_the_same_rows() -> None:
    fitted = Filtered().fit(ring(), rng_for(0))
    made, parents = fitted.draw(100, rng_for(1))
    out = np.empty((100, 2))
    assert np.array_equal(fitted.fill(out, rng_for(1)), parents)
    assert np.array_equal(out, np.column_stack([made.values("x"), made.values("y")]))


def test_refusals() -> None:
    for wrong in ({"method": "gan"}, {"keep": 0}, {"keep": 1.5}, {"k_neighbors": 0}):
        with pytest.raises(ParameterError, match=next(iter(wrong))):
            Filtered(**wrong)
    with pytest.raises(ParameterError, match="'x'"):
        Filtered().fit(ring(60), rng_for(0)).sample(5, rng_for(0), Where({"x": {"ge": 2}}))

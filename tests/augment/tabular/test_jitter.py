"""Numbers move a little, a few labels are swapped, the rest stays."""

import numpy as np
import pyarrow as pa
import pytest

from twinset.augment.tabular.jitter import Jitter
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field, Schema
from twinset.core.errors import ParameterError
from twinset.core.seeding import rng_for

RNG = np.random.default_rng(0)
FIELDS = (
    Field(name="x", kind="number"),
    Field(name="price", kind="number", decimals=2),
    Field(name="n", kind="integer"),
    Field(name="c", kind="category"),
    Field(name="ok", kind="boolean"),
    Field(name="y", kind="category", role="target"),
    Field(name="t", kind="integer", role="time"),
    Field(name="key", kind="id", role="identifier"),
)
REAL = Dataset.from_arrow(
    pa.table(
        {
            "x": pa.array(RNG.normal(5, 2, 2000), mask=RNG.random(2000) < 0.1),
            "price": np.round(RNG.gamma(2, 10, 2000), 2),
            "n": RNG.poisson(4, 2000),
            "c": RNG.choice(["a", "b", "c"], 2000, p=[0.6, 0.3, 0.1]),
            "ok": RNG.random(2000) < 0.2,
            "y": RNG.choice(["0", "1"], 2000),
            "t": np.arange(2000),
            "key": [f"k{i}" for i in range(2000)],
        }
    ),
    Schema(FIELDS),
)


def vary(real: Dataset = REAL, **settings: float) -> Dataset:
    jitter = Jitter(**settings)
    return jitter.apply(real, jitter.draw(real, rng_for(0, "jitter")))


def test_numbers_move_by_a_share_of_their_spread() -> None:
    made = vary(scale=0.1)
    moved = made.values("x") - REAL.values("x")
    assert np.nanstd(moved) == pytest.approx(0.1 * np.nanstd(REAL.values("x")), rel=0.1)
    assert np.array_equal(made.is_null("x"), REAL.is_null("x"))
    assert np.nanmax(made.values("x")) <= np.nanmax(REAL.values("x"))


def test_grids_and_means_are_kept() -> None:
    made = vary(scale=0.3)
    assert np.array_equal(np.round(made.values("price"), 2), made.values("price"))
    assert made.values("n").mean() == pytest.approx(REAL.values("n").mean(), abs=0.1)
    assert made.values("n").min() >= 0
    assert (made.values("n") != REAL.values("n")).mean() > 0.2


def test_labels_are_swapped_at_the_rate_and_keep_their_shares() -> None:
    made = vary(swap_fraction=0.5)
    same = 0.6**2 + 0.3**2 + 0.1**2
    changed = made.codes("c")[0] != REAL.codes("c")[0]
    assert changed.mean() == pytest.approx(0.5 * (1 - same), abs=0.04)
    shares = np.bincount(made.codes("c")[0]) / 2000
    assert shares == pytest.approx([0.6, 0.3, 0.1], abs=0.03)
    assert (made.values("ok") != REAL.values("ok")).any()


def test_targets_times_and_ids_are_never_touched() -> None:
    made = vary(scale=1.0, swap_fraction=1.0)
    for name in ("y", "t", "key"):
        assert made.records.column(name).to_pylist() == REAL.records.column(name).to_pylist()


def test_nothing_moves_at_zero() -> None:
    made = vary(scale=0.0, swap_fraction=0.0)
    assert made.records.to_pylist() == REAL.records.to_pylist()


def test_rows_name_their_parent() -> None:
    made = vary(REAL.with_reserved(ids=[f"r{i}" for i in range(2000)]))
    assert made.records.column("_parents").to_pylist()[:2] == [["r0"], ["r1"]]
    assert "_parents" not in vary().records.column_names


def test_empty_columns_and_no_rows_work() -> None:
    table = pa.table({"a": pa.array([None, None], pa.float64()), "b": ["u", None]})
    assert vary(Dataset.from_arrow(table), swap_fraction=1.0).records.to_pylist() == (
        table.to_pylist()
    )
    assert len(vary(REAL.slice(0, 0))) == 0


@pytest.mark.parametrize("settings", [{"scale": -0.1}, {"swap_fraction": 1.5}, {"scale": np.nan}])
def test_settings_are_checked(settings: dict[str, float]) -> None:
    with pytest.raises(ParameterError, match=next(iter(settings))):
        Jitter(**settings)

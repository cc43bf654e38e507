"""SMOTE: rows on lines between neighbours, in the table's own types."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.core.errors import FitError, ParameterError
from twinset.core.seeding import rng_for
from twinset.generators.minority.smote import Smote


def draw(table: pa.Table, n: int, where: dict | None = None, **parameters) -> Dataset:
    fitted = Smote(**parameters).fit(Dataset.from_arrow(table), rng_for(0, "fit"))
    made = fitted.sample(n, rng_for(0, "draw"), Where.of(where))
    assert len(made) == n
    return made


def test_rows_lie_between_the_two_real_ones() -> None:
    made = draw(pa.table({"x": [0.125, 1 / 3], "y": [10 / 3, 30.1]}), 400, k_neighbors=1)
    x, y = made.values("x"), made.values("y")
    along = (x - 0.125) / (1 / 3 - 0.125)
    assert 0 <= along.min() < 0.05
    assert 0.95 < along.max() <= 1
    assert y == pytest.approx(10 / 3 + along * (30.1 - 10 / 3))


def test_neighbours_are_found_on_scaled_columns() -> None:
    """Unscaled, `big` alone would decide: rows 0 and 1 are near in it and far in `small`."""
    table = pa.table({"small": [0.0001, 0.9, 0.0, 0.91111], "big": [0.0, 600.0, 1400.3, 2000.0]})
    small = draw(table, 300, k_neighbors=1).values("small")
    assert not ((small > 0.1) & (small < 0.8)).any()


def test_parents_are_those_that_imbalanced_learn_would_take() -> None:
    """Against scikit-learn, whose neighbours imbalanced-learn uses: same rows, same lines."""
    from sklearn.neighbors import NearestNeighbors

    points = np.random.default_rng(0).normal(size=(300, 4)) * [1, 5, 100, 0.01]
    real = Dataset.from_arrow(pa.table({c: points[:, i] for i, c in enumerate("abcd")}))
    fitted = Smote().fit(real, rng_for(0, "fit"))
    made, parents = fitted.draw(2_000, rng_for(0, "draw"))
    scaled = points / points.std(axis=0)
    near = NearestNeighbors(n_neighbors=6).fit(scaled).kneighbors(scaled)[1]
    assert all(other in near[seed, 1:] for seed, other in parents)
    assert set(parents[:, 0]) == set(range(300))
    rows = np.column_stack([made.values(c) for c in "abcd"])
    start, end = points[parents[:, 0]], points[parents[:, 1]]
    along = (rows - start) / (end - start)
    assert np.ptp(along, axis=1).max() < 1e-6
    assert 0 <= along.min() < 0.01
    assert 0.99 < along.max() < 1
    assert along.mean() == pytest.approx(0.5, abs=0.02)


def test_integers_and_decimals_are_restored_without_bias() -> None:
    rng = np.random.default_rng(0)
    counts, prices = rng.poisson(2.75, 400), np.round(rng.gamma(2, 20, 400), 2)
    made = draw(pa.table({"n": counts, "price": prices}), 20_000)
    price = made.values("price")
    assert np.array_equal(price, np.round(price, 2))
    assert not np.any(made.values("n") % 1)
    # Truncation would cost half a unit: 2.25.
    exact = draw(pa.table({"n": counts + 1e-7 * rng.random(400), "price": prices}), 20_000)
    assert made.values("n").mean() == pytest.approx(exact.values("n").mean(), abs=0.05)


def test_labels_are_legal_and_follow_their_neighbours() -> None:
    x = np.concatenate([np.linspace(0, 1, 30), np.linspace(50, 51, 30)])
    table = pa.table(
        {"x": x, "side": ["left"] * 30 + ["right"] * 30, "up": [True] * 30 + [False] * 30}
    )
    made = draw(table, 500)
    right = made.values("x") > 25
    assert (made.codes("side")[0] == right).all()
    assert (made.values("up") == ~right).all()


def test_labels_alone_work() -> None:
    """Two clusters that agree in all but one label; nothing may mix them."""
    rng = np.random.default_rng(0)
    cluster = np.repeat([0, 1], 40)
    table = pa.table(
        {f"c{i}": np.array(["a", "b"])[cluster] for i in range(3)}
        | {"free": np.array(["u", "v", "w"])[rng.integers(0, 3, 80)]}
    )
    made = draw(table, 400)
    codes = np.column_stack([made.codes(f"c{i}")[0] for i in range(3)])
    assert (codes == codes[:, :1]).all()
    assert 0.3 < codes[:, 0].mean() < 0.7


def test_missing_values_come_as_often_as_in_the_class() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=300)
    table = pa.table(
        {
            "x": x,
            "gap": pa.array(rng.normal(size=300), mask=x > 0.5),
            "label": pa.array(np.where(x > 0, "p", "q"), mask=x < -1),
        }
    )
    made = draw(table, 3000)
    assert made.is_null("gap").mean() == pytest.approx((x > 0.5).mean(), abs=0.06)
    assert made.values("x")[made.is_null("gap")].min() > 0
    assert made.is_null("label").mean() == pytest.approx((x < -1).mean(), abs=0.06)


def test_constant_columns_and_dates_pass_through() -> None:
    days = pa.array([0, 4, 9], pa.date32()).cast(pa.timestamp("us"))
    table = pa.table({"Class": [1, 1, 1], "day": days, "none": pa.array([None] * 3, pa.int64())})
    made = draw(table, 60)
    assert made.codes("Class")[1] == ("1",)
    assert made.is_null("none").all()
    assert not np.any(made.values("day") % 86_400e6)
    assert len(set(made.values("day"))) > 3
    assert (
        draw(pa.table({"a": [0.5, 0.5], "b": ["x", "x"]}), 3).records.to_pylist()
        == [{"a": 0.5, "b": "x"}] * 3
    )


@settings(max_examples=15)
@given(st.integers(2, 7), st.integers(1, 9), st.integers(0, 30))
def test_few_rows_and_any_k(rows: int, k: int, n: int) -> None:
    rng = np.random.default_rng(rows)
    table = pa.table({"x": rng.normal(size=rows), "c": list("abcdefg")[:rows]})
    made = draw(table, n, k_neighbors=k)
    assert set(made.codes("c")[1]) <= set("abcdefg"[:rows])


def test_conditions_are_met_by_rows_that_meet_them() -> None:
    rng = np.random.default_rng(0)
    table = pa.table(
        {"x": rng.normal(size=200), "n": rng.integers(0, 9, 200), "Class": [0, 1] * 100}
    )
    made = draw(table, 300, {"Class": 1, "n": {"not": [4, 5]}, "x": {"ge": -1}})
    assert made.mask(Where({"Class": 1, "n": {"not": [4, 5]}, "x": {"ge": -1}})).all()
    with pytest.raises(ParameterError, match="'n'"):
        draw(table, 5, {"n": 77})
    with pytest.raises(ParameterError, match="'x'"):
        draw(table, 5, {"x": {"ge": float(table["x"].to_numpy().max())}})


def test_refusals() -> None:
    with pytest.raises(FitError, match="1 rows"):
        draw(pa.table({"x": [1.5]}), 3)
    with pytest.raises(ParameterError, match="k_neighbors"):
        Smote(k_neighbors=0)


def test_no_row_is_a_copy_where_real_rows_repeat() -> None:
    rows = [(1.5, 2.25), (1.5, 2.25), (1.5, 2.25), (3.125, 7.5), (2.0, 5.0)]
    real = Dataset.from_arrow(pa.table({"a": [r[0] for r in rows], "b": [r[1] for r in rows]}))
    fitted = Smote(k_neighbors=2).fit(real, rng_for(1, "fit"))
    made = fitted.sample(200, rng_for(1, "sample"))
    copies = {*zip(made.values("a").tolist(), made.values("b").tolist(), strict=True)} & set(
        rows[:1]
    )
    assert not copies


def test_a_whole_table_keeps_its_classes_apart_and_at_their_shares() -> None:
    """Class 1 lies inside class 0: among all neighbours its label would be outvoted."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.uniform(0, 100, 285), np.linspace(40, 41, 15)])
    table = pa.table({"x": x, "label": ["0"] * 285 + ["1"] * 15})
    real = Dataset.from_arrow(table)
    fitted = Smote().fit(real.with_schema(real.schema.with_target("label")), rng_for(0))
    for n in (0, 1, 39, 400):
        made = fitted.sample(n, rng_for(n))
        rare = made.codes("label")[0] == 1 if n > 1 else np.zeros(n, dtype=bool)
        assert len(made) == n
        assert n < 2 or n * 0.05 - 1 < rare.sum() < n * 0.05 + 1
    inside = made.values("x")[rare]
    assert ((inside >= 40) & (inside <= 41)).all()
    only = fitted.sample(50, rng_for(1), Where({"label": "1"}))
    assert ((only.values("x") >= 40) & (only.values("x") <= 41)).all()


def test_a_class_of_one_row_is_not_copied() -> None:
    rng = np.random.default_rng(0)
    table = pa.table(
        {"x": np.append(rng.normal(size=60), 9.75), "label": ["a"] * 30 + ["b"] * 30 + ["c"]}
    )
    real = Dataset.from_arrow(table)
    fitted = Smote().fit(real.with_schema(real.schema.with_target("label")), rng_for(0))
    made = fitted.sample(3000, rng_for(1))
    assert len(made) == 3000
    assert not np.isin(made.values("x"), 9.75).any()
    shares = np.bincount(made.codes("label")[0]) / 3000
    assert shares[:2] == pytest.approx([0.5, 0.5], abs=0.02)

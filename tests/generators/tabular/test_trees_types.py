"""Every type of column through the chain of trees, on realistic and on real tables."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field, Schema
from twinset.core.data.where import Where
from twinset.core.seeding import rng_for
from twinset.generators.tabular.trees import Trees
from twinset.io import read_dataset

DAY = 86_400


def of(**columns: object) -> Dataset:
    return Dataset.from_arrow(pa.table(columns))


def twin(real: Dataset, n: int | None = None, **settings: object) -> Dataset:
    fitted = Trees(**settings).fit(real, rng_for(0, "fit"))
    return fitted.sample(len(real) if n is None else n, rng_for(0, "draw"))


def stamps(seconds: np.ndarray, mask: np.ndarray | None = None) -> pa.Array:
    return pa.array((seconds * 10**6).astype("int64"), mask=mask).cast(pa.timestamp("us"))


def test_decimals_integers_and_booleans_keep_their_form() -> None:
    rng = np.random.default_rng(0)
    real = of(
        price=rng.gamma(2, 20, 800).round(2),
        count=rng.poisson(40, 800).astype("int16"),
        free=rng.normal(size=800),
        flag=rng.random(800) < 0.2,
    )
    made = twin(real)
    assert made.schema == real.schema
    assert [made.records.column(n).type for n in made.schema.names] == [
        real.records.column(n).type for n in made.schema.names
    ]
    price = made.values("price")
    assert np.array_equal(price, price.round(2))
    assert not np.isin(price, real.values("price")).all()
    for name in ("price", "count", "free"):
        low, high = real.values(name).min(), real.values(name).max()
        assert made.values(name).min() >= low
        assert made.values(name).max() <= high
    assert made.values("flag").mean() == pytest.approx(real.values("flag").mean(), abs=0.05)


@pytest.mark.parametrize("zone", ["America/Los_Angeles", "Asia/Tokyo", "UTC", None])
def test_office_hours_stay_office_hours(zone: str | None) -> None:
    """Hours and weekdays are those of the place: 17 h in Los Angeles is the next day in UTC."""
    rng = np.random.default_rng(0)
    day = rng.integers(18_000, 18_700, 2000)
    day = day[(day + 3) % 7 < 5]
    when = stamps(day * DAY + 9 * 3600 + rng.integers(0, 8 * 3600, len(day)))
    if zone is not None:
        when = pc.assume_timezone(when, zone)
    real = of(when=when, kind=np.array(["a", "b"])[day % 2])
    made = twin(real).records.column("when")
    assert made.type == pa.timestamp("us", zone)
    clock = made if zone is None else pc.local_timestamp(made)
    hours, weekday = (f(clock).to_numpy() for f in (pc.hour, pc.day_of_week))
    assert weekday.max() == 4
    assert hours.min() == 9
    assert hours.max() == 16
    assert np.bincount(weekday) / len(made) == pytest.approx(np.full(5, 0.2), abs=0.05)
    assert len(set(made.to_pylist()) - set(when.to_pylist())) > 0.9 * len(made)


def stays(n: int = 2000) -> Dataset:
    """Start and end dates: never the wrong way round, the end unknown in one ward."""
    rng = np.random.default_rng(1)
    start = rng.integers(18_000, 18_700, n)
    end = start + rng.geometric(0.1, n) - 1
    ward = np.array(["x", "y", "z"])[rng.integers(0, 3, n)]
    return of(ward=ward, start=stamps(start * DAY), end=stamps(end * DAY, ward == "x"))


def gaps(data: Dataset) -> np.ndarray:
    days = (data.values("end") - data.values("start")) / (DAY * 1e6)
    return days[~np.isnan(days)]


def assert_same_gaps(real: Dataset, made: Dataset) -> None:
    assert gaps(made).min() >= 0
    levels = [0.1, 0.25, 0.5, 0.75, 0.9]
    far = np.abs(np.quantile(gaps(made), levels) - np.quantile(gaps(real), levels))
    assert far.max() <= 2.5


def test_an_end_follows_its_start() -> None:
    real = stays()
    made = twin(real)
    assert_same_gaps(real, made)
    assert made.is_null("end").tolist() == [
        w == "x" for w in made.records.column("ward").to_pylist()
    ]


def test_conditions_on_dates_keep_the_gap() -> None:
    real = stays()
    fitted = Trees().fit(real, rng_for(0, "fit"))
    for conditions in (
        {"end": {"ge": "2020-10-01"}},
        {"start": {"ge": "2020-10-01"}, "end": {"ge": "2020-11-01"}},
        {"end": {"lt": "2019-06-01"}},
        {"start": {"ge": "2020-10-01"}},
    ):
        where = Where(conditions)
        made = fitted.sample(1000, rng_for(0, "draw"), where)
        assert made.mask(where).all()
        assert_same_gaps(real.where(where), made)


def test_missing_exactly_where_another_column_says_so() -> None:
    rng = np.random.default_rng(0)
    kind = np.array(["x", "y", "z"])[rng.integers(0, 3, 1500)]
    real = of(kind=kind, size=pa.array(rng.normal(size=1500).round(3), mask=kind == "x"),
              label=pa.array(kind, mask=kind == "z"))  # fmt: skip
    made = twin(real)
    kinds = np.array(made.records.column("kind").to_pylist())
    assert np.array_equal(made.is_null("size"), kinds == "x")
    assert np.array_equal(made.is_null("label"), kinds == "z")


def null_matrix(data: Dataset, names: list[str]) -> np.ndarray:
    return np.column_stack([data.is_null(name) for name in names]).astype(float)


def null_gap(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Return the mean differences of null shares and of the shares null in pairs of columns."""
    pairs = [m.T @ m / len(m) for m in (one, other)]
    off = ~np.eye(one.shape[1], dtype=bool)
    share = np.abs(one.mean(0) - other.mean(0)).mean()
    return float(share), float(np.abs(pairs[0] - pairs[1])[off].mean())


@pytest.mark.slow
@pytest.mark.parametrize("path", ["health/thyroid/thyroidDF.csv",
                                  "fraud/polish_bankruptcy/5year.parquet"])  # fmt: skip
def test_missing_values_as_in_fresh_real_rows(shared_data: Path, path: str) -> None:
    """Null shares and joint null shares differ no more than those of other real halves do."""
    data = read_dataset(shared_data / path)
    kept = [f.name for f in data.schema.fields if f.kind not in ("id", "text")]
    kept = kept[:30]
    data = Dataset(data.records.select(kept), data.schema.select(kept), data.card)
    names = [n for n in data.schema.names if data.is_null(n).any()]
    assert len(names) >= 5
    data = data.slice(0, 2000)
    half = len(data) // 2
    real, halves = [], []
    for seed in range(15):
        rows = np.random.default_rng(seed).permutation(len(data))
        halves.append(rows)
        one, other = (null_matrix(data.take(part), names) for part in (rows[:half], rows[half:]))
        real.append(null_gap(one, other))
    train, fresh = data.take(halves[0][:half]), data.take(halves[0][half:])
    made = null_matrix(twin(train, half), names)
    gap = null_gap(made, null_matrix(fresh, names))
    limits = np.array(real).mean(0) + 4 * np.array(real).std(0)
    assert np.all(np.array(gap) <= limits), (gap, limits)


def test_constants_and_columns_without_a_value() -> None:
    rng = np.random.default_rng(0)
    n = 300
    table = pa.table({"x": rng.normal(size=n), "same": np.full(n, 3.25), "word": np.full(n, "a"),
                      "none": pa.nulls(n, pa.float64()), "no_word": pa.nulls(n, pa.string()),
                      "no_day": pa.nulls(n, pa.timestamp("us"))})  # fmt: skip
    kinds = ("number", "number", "category", "number", "category", "datetime")
    fields = tuple(Field(name=n, kind=k) for n, k in zip(table.column_names, kinds, strict=True))
    real = Dataset.from_arrow(table, Schema(fields))
    fitted = Trees().fit(real, rng_for(0, "fit"))
    for where in (None, Where({"none": None}), Where({"no_word": None, "x": {"ge": 0}})):
        made = fitted.sample(50, rng_for(0, "draw"), where)
        assert made.schema.names == real.schema.names
        assert all(made.is_null(name).all() for name in ("none", "no_word", "no_day"))
        assert set(made.records.column("same").to_pylist()) == {3.25}
        assert set(made.records.column("word").to_pylist()) == {"a"}
    filled = fitted.complete(real, rng_for(0, "fill"))
    assert filled.records.equals(real.records)


def test_fifty_thousand_levels() -> None:
    """Fits in bounded time, keeps what goes with the level, and can be asked for any of them."""
    rng = np.random.default_rng(0)
    codes = np.append(np.arange(50_000), (rng.pareto(1.0, 20_000) * 20).astype(int) % 50_000)
    codes = rng.permutation(codes)
    names = np.char.add("level ", codes.astype(str))
    kinds = (("c", "category"), ("x", "number"), ("y", "boolean"))
    real = Dataset.from_arrow(
        pa.table(
            {
                "c": names,
                "x": rng.normal(size=70_000),
                "y": (codes < 40) & (rng.random(70_000) < 0.9),
            }
        ),
        Schema(tuple(Field(name=n, kind=k) for n, k in kinds)),
    )
    started = time.process_time()
    fitted = Trees().fit(real, rng_for(0, "fit"))
    made = fitted.sample(70_000, rng_for(0, "draw"))
    assert time.process_time() - started < 20
    drawn = np.array(made.records.column("c").to_pylist())
    assert set(drawn.tolist()) <= set(names.tolist())
    assert len(set(drawn.tolist())) > 25_000
    top = np.char.add("level ", np.arange(40).astype(str))
    share = np.isin(drawn, top)
    assert share.mean() == pytest.approx(np.isin(names, top).mean(), abs=0.01)
    assert made.values("y")[share].mean() == pytest.approx(0.9, abs=0.03)
    assert made.values("y")[~share].mean() < 0.01
    for level in ("level 49999", "level 31234"):
        asked = fitted.sample(20, rng_for(0, "one"), Where({"c": level}))
        assert asked.records.column("c").to_pylist() == [level] * 20


def test_sixty_rows() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=60).round(2)
    real = of(x=x, y=(2 * x + rng.normal(size=60)).round(2), c=np.where(x > 0, "p", "n"),
              gap=pa.array(rng.normal(size=60), mask=x > 1))  # fmt: skip
    made = twin(real, 500)
    assert len(made) == 500
    assert made.values("x").mean() == pytest.approx(x.mean(), abs=0.25)
    assert made.values("x").std() == pytest.approx(x.std(), rel=0.2)


def test_two_rows() -> None:
    real = of(x=[1.5, 2.5], c=["a", "b"], gap=pa.array([None, 3]))
    made = twin(real, 20)
    assert len(made) == 20
    assert set(made.records.column("c").to_pylist()) <= {"a", "b"}


def wide(width: int) -> Dataset:
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(300, 5))
    columns: dict[str, object] = {}
    for i in range(width):
        value = hidden[:, i % 5] + 0.5 * rng.normal(size=300)
        columns[f"c{i}"] = np.where(value > 0, "p", "n") if i % 4 == 0 else value.round(3)
    return of(**columns)


@pytest.mark.parametrize("width", [100, pytest.param(250, marks=pytest.mark.slow)])
def test_wide_tables(width: int) -> None:
    """More columns than a tree looks at: those that go together still do."""
    real = wide(width)
    started = time.process_time()
    made = twin(real)
    assert time.process_time() - started < 0.08 * width
    assert made.schema == real.schema
    for one, other in (("c1", "c6"), ("c11", "c21"), (f"c{width - 3}", "c2")):
        real_r, r = (np.corrcoef(d.values(one), d.values(other))[0, 1] for d in (real, made))
        assert r == pytest.approx(real_r, abs=0.2)


def test_a_sum_stays_a_sum() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.gamma(2, size=2000).round(2), rng.gamma(1, size=2000).round(2)
    few, more = rng.poisson(2, 2000), rng.poisson(3, 2000)
    real = of(a=a, b=b, c=(a + b).round(2), few=few, more=more, both=few + more, again=few)
    for settings in ({}, {"temperature": 2.0}, {"private": True}):
        made = twin(real, 5000, **settings)
        v = {name: made.values(name) for name in made.schema.names}
        assert np.array_equal(v["c"], (v["a"] + v["b"]).round(2))
        assert np.array_equal(v["both"], v["few"] + v["more"])
        assert np.array_equal(v["again"], v["few"])


def test_a_sum_holds_under_conditions_and_without_a_grid() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.gamma(2, size=(2, 2000))
    fitted = Trees().fit(of(a=a, b=b, c=a + b), rng_for(0, "fit"))
    for where in (None, {"a": {"ge": 2}}, {"c": {"lt": 2}}, {"a": {"ge": 1}, "b": {"ge": 1}}):
        made = fitted.sample(1000, rng_for(0, "draw"), Where.from_value(where))
        assert len(made) == 1000
        assert where is None or made.mask(Where(where)).all()
        total = made.values("a") + made.values("b")
        assert made.values("c") == pytest.approx(total, rel=1e-6)


def test_equal_columns_are_equal_as_often() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=3000).round(3)
    y = np.where(rng.random(3000) < 0.3, x, rng.normal(size=3000).round(3))
    made = twin(of(x=x, y=y), 6000)
    share = (made.values("x") == made.values("y")).mean()
    assert share == pytest.approx((x == y).mean(), abs=0.025)

"""What holds for every sampler of the engine: order, prefix, lanes, rounding, copies, parents."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinset.core.contracts import Generator, TracedGenerator
from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.core.errors import FewRowsWarning
from twinset.core.seeding import rng_for
from twinset.generators.minority._engine.streams import BLOCK_ROWS
from twinset.generators.minority.borderline import Borderline
from twinset.generators.minority.rose import Rose
from twinset.generators.minority.smote import Smote

SAMPLERS: dict[str, Generator] = {
    "smote": Smote(),
    "smote-parent": Smote(labels="parent"),
    "borderline": Borderline(k_neighbors=3),
    "rose": Rose(),
}


def example(rows: int = 150) -> pa.Table:
    rng = np.random.default_rng(3)
    x = rng.normal(size=rows)
    return pa.table(
        {
            "x": x,
            "gap": pa.array(np.round(rng.gamma(2, 30, rows), 2), mask=x > 0.8),
            "n": rng.poisson(3, rows),
            "day": pa.array(rng.integers(0, 900, rows), pa.int32()).cast(pa.date32()),
            "colour": pa.array([["red", "green", "blue"][v] for v in rng.integers(0, 3, rows)]),
            "ok": pa.array(rng.random(rows) < 0.4, mask=x < -1.5),
            "label": pa.array(np.where(rng.random(rows) < 0.3, "b", "a")),
        }
    )


def fit(table: pa.Table, sampler: Generator) -> TracedGenerator:
    real = Dataset.from_arrow(table)
    fitted = sampler.fit(real.with_schema(real.schema.with_target("label")), rng_for(0, "fit"))
    assert isinstance(fitted, TracedGenerator)
    return fitted


@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
@pytest.mark.parametrize("where", [None, {"label": "b"}, {"label": "b", "x": {"ge": 0}}])
def test_the_first_rows_of_a_larger_request(sampler: Generator, where: dict | None) -> None:
    fitted = fit(example(), sampler)
    n = BLOCK_ROWS + 77 if where is None else 300
    few, whose = fitted.draw(n, rng_for(1), Where.from_value(where))
    many, others = fitted.draw(2 * n, rng_for(1), Where.from_value(where))
    assert few.digest == many.slice(0, n).digest
    assert np.array_equal(whose, others[:n])


@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
def test_the_order_of_real_rows_and_threads_do_not_matter(sampler: Generator) -> None:
    table = example()
    order = np.random.default_rng(0).permutation(len(table))
    fitted = fit(table, sampler)
    made, parents = fitted.draw(500, rng_for(1))
    other, theirs = fit(table.take(pa.array(order)), sampler).draw(500, rng_for(1))
    assert made.digest == other.digest
    assert np.array_equal(parents, order[theirs])
    with ThreadPoolExecutor(4) as pool:
        drawn = list(pool.map(lambda s: fit(table, sampler).sample(500, rng_for(s)).digest, [1, 1]))
    assert drawn == [made.digest] * 2


@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
def test_both_lanes_give_the_same_rows(sampler: Generator) -> None:
    fitted = fit(example(), sampler)
    made, parents = fitted.draw(900, rng_for(1), Where({"label": "a"}))
    for out in (np.empty((900, 4)), np.empty((900, 4), order="F"), np.empty((1000, 4))[100:]):
        assert np.array_equal(fitted.fill(out, rng_for(1), Where({"label": "a"})), parents)
        for i, name in enumerate(("x", "gap", "n", "day")):
            assert np.array_equal(out[:, i], made.values(name), equal_nan=True)
    half = Where({"label": "a", "x": {"ge": 0}})
    made, parents = fitted.draw(50, rng_for(1), half)
    out = np.empty((50, 4))
    assert np.array_equal(fitted.fill(out, rng_for(1), half), parents)
    assert np.array_equal(out[:, 0], made.values("x"))
    assert out[:, 0].min() >= 0


def test_parents_name_rows_of_the_class_and_their_ids() -> None:
    table = example().append_column("_id", pa.array([f"r{i}" for i in range(150)]))
    fitted = fit(table, Smote())
    made, parents = fitted.draw(300, rng_for(2), Where({"label": "b"}))
    labels = np.array(table.column("label").to_pylist())
    assert (labels[parents] == "b").all()
    ids = fitted.sample(300, rng_for(2), Where({"label": "b"})).records.column("_parents")
    assert ids.to_pylist() == [[f"r{i}", f"r{j}"] for i, j in parents]
    x = table.column("x").to_numpy()[parents]
    assert (made.values("x") >= x.min(axis=1)).all()
    assert (made.values("x") <= x.max(axis=1)).all()


def test_means_of_integers_stay_and_cents_are_those_of_a_file() -> None:
    rng = np.random.default_rng(0)
    counts, prices = rng.poisson(2.75, 3000), np.round(rng.gamma(2, 20, 3000), 2)
    fitted = Smote().fit(Dataset.from_arrow(pa.table({"n": counts, "p": prices})), rng_for(0))
    made, parents = fitted.draw(200_000, rng_for(1))
    exact = counts[parents].mean()
    assert made.values("n").mean() == pytest.approx(exact, rel=0.005)
    assert all(float(f"{p:.2f}") == p for p in made.values("p")[:3000])


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 40), st.integers(1, 5), st.integers(0, 99))
def test_no_row_is_a_copy_where_that_can_be_avoided(rows: int, levels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = pa.table(
        {"x": rng.normal(size=rows), "c": [f"l{v}" for v in rng.integers(0, levels, rows)]}
    )
    real = Dataset.from_arrow(table)
    made = Smote(k_neighbors=1).fit(real, rng_for(0)).sample(400, rng_for(seed))
    known = set(zip(table["x"].to_pylist(), table["c"].to_pylist(), strict=True))
    assert not known & {(r["x"], r["c"]) for r in made.records.to_pylist()}


def test_few_neighbours_are_said() -> None:
    real = Dataset.from_arrow(pa.table({"x": [0.5, 0.25, 0.75, 0.5]}))
    with pytest.warns(FewRowsWarning, match="3 different rows: k_neighbors is 2 instead of 5"):
        Smote().fit(real, rng_for(0)).sample(10, rng_for(0))

"""Types, threads and memory: what goes in comes out, on any machine."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from threadpoolctl import threadpool_limits

from twinset.core.contracts import Generator
from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.core.seeding import rng_for
from twinset.generators.minority.borderline import Borderline
from twinset.generators.minority.rose import Rose
from twinset.generators.minority.smote import Smote


def typed(rows: int = 60) -> pa.Table:
    rng = np.random.default_rng(0)
    start = datetime(2024, 1, 1, tzinfo=UTC)
    when = [start + timedelta(minutes=int(m)) for m in rng.integers(0, 9999, rows)]
    gone = rng.random(rows) < 0.2
    return pa.table(
        {
            "money": pa.array(
                [Decimal(int(v)) / 100 for v in rng.integers(0, 9999, rows)], pa.decimal128(9, 2)
            ),
            "small": pa.array(rng.integers(0, 255, rows), pa.uint8(), mask=gone),
            "large": pa.array(2**52 + rng.integers(0, 999, rows), pa.int64()),
            "single": pa.array(rng.normal(size=rows), pa.float32()),
            "when": pa.array(when, pa.timestamp("us", tz="UTC")),
            "day": pa.array([w.date() for w in when], pa.date32()),
            "flag": pa.array(rng.random(rows) < 0.5, mask=gone),
            "kind": pa.array(["a", "b", "c"] * (rows // 3)).dictionary_encode(),
            "rare": pa.array(["yes"] * rows),
        }
    )


@pytest.mark.parametrize("sampler", [Smote(), Smote(labels="parent"), Rose()], ids=str)
def test_types_come_back_as_they_were(sampler: Generator) -> None:
    table = typed()
    made = sampler.fit(Dataset.from_arrow(table), rng_for(0)).sample(500, rng_for(1)).to_arrow()
    plain = table.set_column(7, "kind", table["kind"].cast(pa.string()))
    assert {f.name: f.type for f in made.schema} == {
        f.name: f.type if f.name != "kind" else made.schema.field("kind").type for f in table.schema
    }
    for name in ("money", "small", "large", "single", "when", "day"):
        real, new = pc.min_max(plain[name]).as_py(), pc.min_max(made[name]).as_py()
        assert real["min"] <= new["min"] <= new["max"] <= real["max"], name
    assert made["small"].null_count > 0
    assert made["when"].null_count == 0
    assert not any(w.second for w in made["when"].to_pylist())
    assert set(made["kind"].to_pylist()) == {"a", "b", "c"}


def test_threads_of_the_matrix_library_change_nothing() -> None:
    rng = np.random.default_rng(0)
    columns = {f"x{i}": rng.normal(size=9000) for i in range(12)}
    columns["y"] = np.where(np.arange(9000) < 700, "rare", "many")
    real = Dataset.from_arrow(pa.table(columns))
    real = real.with_schema(real.schema.with_target("y"))
    drawn = []
    for threads in (1, 3):
        with threadpool_limits(limits=threads, user_api="blas"):
            fitted = Borderline().fit(real, rng_for(0))
            drawn.append(fitted.draw(3000, rng_for(1), Where({"y": "rare"})))
    assert np.array_equal(drawn[0][1], drawn[1][1])
    assert drawn[0][0].digest == drawn[1][0].digest


def test_a_column_without_values_and_huge_outliers() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=50)
    x[7] = 1e200
    table = pa.table({"x": x, "none": pa.array([None] * 50, pa.float64()), "y": rng.random(50)})
    made = Smote().fit(Dataset.from_arrow(table), rng_for(0)).sample(300, rng_for(1))
    assert made.is_null("none").all()
    assert np.isfinite(made.values("x")).all()


def test_many_levels_take_no_memory_of_their_own() -> None:
    """imbalanced-learn would make a matrix of 3,000 x 3,000 numbers for each neighbour."""
    import tracemalloc

    rng = np.random.default_rng(0)
    codes = [f"v{v}" for v in rng.permutation(3000)]
    real = Dataset.from_arrow(pa.table({"x": rng.normal(size=3000), "c": pa.array(codes)}))
    field = real.schema["c"].__class__(name="c", kind="category", stored="string")
    real = real.with_schema(real.schema.with_field(field))
    tracemalloc.start()
    Smote().fit(real, rng_for(0)).sample(3000, rng_for(1))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6

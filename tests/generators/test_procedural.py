"""The two generators that need no real data, as the frame uses them: chunk by chunk, through one table."""

import random

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.core.seeding import rng_for
from twinset.generators.image.shapes import Shapes
from twinset.generators.text.templates import Templates

pytest.importorskip("cv2")
pytest.importorskip("faker")

GENERATORS = [
    pytest.param(Shapes(size=48), {"main_shape": "star"}, id="image.shapes"),
    pytest.param(Templates(), {"label": "refund"}, id="text.templates"),
]


def fit(generator):
    return generator.fit(None, rng_for(0, "fit"))


@pytest.mark.parametrize(("generator", "where"), GENERATORS)
@pytest.mark.parametrize("n", [0, 1, 7])
def test_exact_number_of_rows_in_the_schema(generator, where, n):
    fitted = fit(generator)
    for condition in (None, Where(where)):
        data = fitted.sample(n, rng_for(1, "draw"), condition)
        assert len(data) == n
        assert data.schema == fitted.schema
        assert data.schema.kinds <= type(generator).kinds
        types = [data.records.column(f.name).type for f in data.schema.fields]
        assert types == [f.arrow_type for f in data.schema.fields]
        assert all(data.is_null(f.name).sum() == 0 for f in data.schema.fields)


@pytest.mark.parametrize(("generator", "where"), GENERATORS)
def test_same_stream_same_bytes_and_nothing_global(generator, where):
    states = random.getstate(), np.random.get_state()[1].copy()
    first = fit(generator).sample(9, rng_for(1, "draw"))
    again = fit(generator).sample(9, rng_for(1, "draw"))
    assert first.digest == again.digest
    assert first.digest != fit(generator).sample(9, rng_for(2, "draw")).digest
    assert random.getstate() == states[0]
    np.testing.assert_array_equal(np.random.get_state()[1], states[1])


@pytest.mark.parametrize(("generator", "where"), GENERATORS)
def test_the_first_rows_do_not_depend_on_how_many_follow(generator, where):
    fitted = fit(generator)
    for condition in (None, Where(where)):
        few = fitted.sample(5, rng_for(3, "draw"), condition).to_arrow()
        many = fitted.sample(12, rng_for(3, "draw"), condition).to_arrow()
        assert few.equals(many.slice(0, 5))


@pytest.mark.parametrize(("generator", "where"), GENERATORS)
def test_chunks_make_one_registered_set(generator, where):
    fitted = fit(generator)
    parts = [fitted.sample(4, rng_for(5, f"chunk-{k}")) for k in range(3)]
    whole = Dataset.concat(parts)
    stamped = whole.with_reserved(ids=[f"s-{i}" for i in range(12)])
    assert stamped.records.column("_origin").to_pylist() == ["synthetic"] * 12
    assert stamped.records.column("_parents").to_pylist() == [[]] * 12
    assert stamped.where(Where(where)).schema == fitted.schema
    stored = pa.BufferOutputStream()
    with pa.ipc.new_stream(stored, stamped.to_arrow().schema) as writer:
        writer.write_table(stamped.to_arrow())
    table = pa.ipc.open_stream(stored.getvalue()).read_all()
    again = Dataset.from_arrow(table, fitted.schema).without_reserved()
    assert again.digest == whole.digest


@pytest.mark.parametrize(("generator", "where"), GENERATORS)
def test_settings_are_facts_of_the_card(generator, where):
    card = fit(generator).sample(1, rng_for(0, "draw")).card
    assert card.origin == "synthetic"
    assert type(generator)(**card.settings) == generator

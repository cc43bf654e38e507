import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinset.core.dataset import Dataset
from twinset.core.fresh import WORDS, FreshColumns
from twinset.core.schema import Field, Schema


def fresh_ids(real: list[object], n: int, seed: int = 1) -> list[object]:
    schema = Schema((Field(name="key", kind="id", stored=str(pa.array(real).type)),))
    data = Dataset.from_arrow(pa.table({"key": real}), schema)
    fresh = FreshColumns.fit(data)
    assert fresh is not None
    return fresh.fill(n, 0, seed, schema.fields)["key"].to_pylist()


@pytest.mark.parametrize(
    ("real", "pattern"),
    [
        ([f"AB-{i:04d}" for i in range(300)], r"AB-\d{4}"),
        (
            [f"{i:03d}-{i % 90 + 10}-{i * 7919 % 10000:04d}" for i in range(900)],
            r"\d{3}-\d\d-\d{4}",
        ),
        ([f"u{i:06x}@x" for i in range(10, 400)], r"u.*@x"),
        (list(range(1000, 1400)), r"\d{4}"),
    ],
)
def test_ids_keep_the_format_are_unique_and_never_real(real: list[object], pattern: str) -> None:
    made = fresh_ids(real, 500)
    assert len(set(made)) == 500
    assert not set(map(str, made)) & set(map(str, real))
    assert all(re.fullmatch(pattern, str(value)) for value in made)


def test_more_ids_than_the_format_has_room_for_grow_longer() -> None:
    real = [f"K{i}" for i in range(8)]
    made = fresh_ids(real, 30)
    assert len(set(made)) == 30
    assert not set(made) & set(real)


@given(st.lists(st.text("ab01-", min_size=1, max_size=6), min_size=1, max_size=40, unique=True))
def test_any_ids_give_fresh_ones(real: list[str]) -> None:
    made = fresh_ids(list(real), 60)
    assert len(set(made)) == 60
    assert not set(made) & set(real)


def test_a_row_depends_on_its_position_alone() -> None:
    data = Dataset.from_arrow(
        pa.table(
            {
                "id": [f"C{i:05d}" for i in range(50)],
                "note": [f"the customer number {i} rang us twice about it" for i in range(50)],
            }
        )
    )
    fresh = FreshColumns.fit(data)
    assert fresh is not None
    whole = fresh.fill(40, 0, 3, data.schema.fields)
    part = fresh.fill(10, 25, 3, data.schema.fields)
    for name in ("id", "note"):
        assert whole[name].slice(25, 10).equals(part[name])


def test_texts_keep_their_length_and_no_word_of_the_source() -> None:
    data = Dataset.from_arrow(
        pa.table({"note": [f"patient {i} complained of chest pain again" for i in range(60)]})
    )
    fresh = FreshColumns.fit(data)
    assert fresh is not None
    for text in fresh.fill(100, 0, 3, data.schema.fields)["note"].to_pylist():
        words = text.rstrip(".").lower().split()
        assert len(words) == 7
        assert set(words) <= set(WORDS)


def test_a_long_format_is_kept() -> None:
    real: list[object] = [f"{i:08x}-{i * 7:012x}" for i in range(1 << 16, (1 << 16) + 90)]
    made = fresh_ids(real, 50)
    assert all(len(str(v)) == 21 and str(v)[8] == "-" for v in made)
    assert len(set(made)) == 50

"""Fresh ids look like the source's and are none of them; fresh texts hold none of its words."""

import uuid

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinset.core.data.dataset import Dataset
from twinset.core.data.placeholders import WORDS, FreshColumns, IdShape, permuted
from twinset.core.data.schema import Field, Schema
from twinset.core.errors import DataError


def fresh_ids(ids: list[object], n: int, *, seed: int = 7, stored: str = "string") -> list[str]:
    fields = (Field(name="key", kind="id", stored=stored),)
    real = Dataset.from_arrow(pa.table({"key": pa.array(ids)}), Schema(fields))
    fresh = FreshColumns.fit(real)
    assert fresh is not None
    whole = fresh.fill(n, 0, seed, fields)["key"].to_pylist()
    parts = [*fresh.fill(n // 3, 0, seed, fields)["key"].to_pylist()]
    parts += fresh.fill(n - n // 3, n // 3, seed, fields)["key"].to_pylist()
    assert parts == whole
    return whole


@given(
    st.lists(st.from_regex(r"[A-C][0-9]{1,3}(-[a-z])?", fullmatch=True), max_size=60),
    st.integers(0, 2**31),
)
def test_ids_never_repeat_and_are_never_real(ids: list[str], seed: int) -> None:
    made = fresh_ids([*ids], 300, seed=seed)
    assert len(set(made)) == 300
    assert not set(made) & set(ids)


@pytest.mark.parametrize(
    ("ids", "pattern"),
    [
        ([f"C{i:06d}" for i in range(0, 900_000, 30_000)], r"C\d{6}"),
        ([f"DE-{i}-2024" for i in range(100, 900, 37)], r"DE-\d{3}-2024"),
        ([f"{k}{i}" for k in "AB" for i in range(10_000, 90_000, 77)], r"[AB][1-8]\d{4}"),
        (list(range(1000, 3000, 50)), r"[1-9]\d{3}"),
    ],
)
def test_ids_have_the_shape_of_the_source(ids: list[object], pattern: str) -> None:
    import re

    stored = "int64" if isinstance(ids[0], int) else "string"
    assert all(re.fullmatch(pattern, one) for one in fresh_ids(ids, 20, stored=stored))


def test_uuids_stay_uuids_of_version_4() -> None:
    rng = np.random.default_rng(0)
    real = [str(uuid.UUID(bytes=rng.bytes(16), version=4)) for _ in range(300)]
    made = fresh_ids([*real], 500)
    assert {uuid.UUID(one).version for one in made} == {4}
    assert {one[14] for one in made} == {"4"}
    # Every free place takes many characters: nothing is carried over from row to row.
    assert min(len({one[i] for one in made}) for i in (0, 3, 9, 35)) >= 14


def test_consecutive_numbers_leave_no_gap_to_a_held_out_id() -> None:
    """Of 1..9999 a fifth is held out: a free four-digit number would be one of these."""
    kept = [i for i in range(1, 10_000) if i % 5]
    made = fresh_ids([*kept], 1000, stored="int64")
    assert not {int(one) for one in made} & set(range(1, 10_000))


def test_an_integer_type_without_room_is_said() -> None:
    with pytest.raises(DataError, match=r"not enough new ids for the column 'key'.*int16"):
        fresh_ids(list(range(100)), 40_000, stored="int16")


def test_ids_are_read_back_as_their_type() -> None:
    fields = Schema((Field(name="key", kind="id", stored="int32"),))
    made = fresh_ids(list(range(100, 140)), 50, stored="int32")
    table = Dataset.from_arrow(pa.table({"key": made}), fields).to_arrow()
    assert table.schema.field("key").type == pa.int32()
    assert len(set(table.column("key").to_pylist())) == 50


@given(st.integers(1, 700), st.integers(0, 2**32))
def test_the_walk_is_a_permutation(size: int, seed: int) -> None:
    keys = np.random.default_rng(seed).integers(0, 2**63, size=5, dtype=np.uint64)
    walked = permuted(np.arange(size, dtype=np.uint64), size, keys)
    assert sorted(walked.tolist()) == list(range(size))


def test_shape_by_hand() -> None:
    shape = IdShape.from_ids(["x1", "x2", "y3"])
    assert shape.alphabets == ("abcdefghijklmnopqrstuvwxyz", "0123456789")
    assert shape.size == 260
    taken = shape.positions(pa.array(["a0", "b3", "b3", "B3", "b33"]))
    assert taken.tolist() == [0, 13]
    assert shape.widened().alphabets[2] == "0123456789"


def test_texts_have_the_word_counts_and_gaps_of_the_source_and_none_of_its_words() -> None:
    fields = (Field(name="note", kind="text"),)
    texts = ["my card was stolen", "help", None, "please call Mrs Zyx now"] * 25
    real = Dataset.from_arrow(pa.table({"note": texts}), Schema(fields))
    fresh = FreshColumns.fit(real)
    assert fresh is not None
    made = fresh.fill(4000, 0, 7, fields)["note"].to_pylist()
    counts = [len(one.split()) for one in made if one is not None]
    assert set(counts) == {1, 4, 5}
    assert np.mean([one is None for one in made]) == pytest.approx(0.25, abs=0.03)
    assert np.mean([c == 4 for c in counts]) == pytest.approx(1 / 3, abs=0.04)
    words = {w.strip(".").lower() for one in made if one for w in one.split()}
    assert words <= set(WORDS)
    assert fresh.fill(40, 100, 7, fields)["note"].to_pylist() == made[100:140]


def test_nothing_to_make_afresh() -> None:
    assert FreshColumns.fit(Dataset.from_arrow(pa.table({"a": [1.5, 2.5]}))) is None


def test_missing_ids_stay_missing_as_often() -> None:
    made = fresh_ids([f"X{i:04d}" if i % 4 else None for i in range(400)], 4_000)
    assert 0.2 < sum(v is None for v in made) / 4_000 < 0.3

"""Equal values have equal digests, however they lie in memory; other values have others."""

from __future__ import annotations

import hashlib
from datetime import datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from twinset.core.data.dataset import update_digest

COLUMNS = {
    "float": pa.array([1.5, None, -2.0, 0.0, 9.25]),
    "int8": pa.array([1, None, 3, 4, 5], pa.int8()),
    "bool": pa.array([True, None, False, True, True]),
    "text": pa.array(["a", None, "", "long text", "é"]),
    "large": pa.array(["a", None, "", "b", "c"], pa.large_string()),
    "bytes": pa.array([b"\x00", None, b"", b"ab", b"c"]),
    "when": pa.array([datetime(2024, 1, 1), None, *[datetime(2025, 1, 1)] * 3]),
    "decimal": pa.array([Decimal("1.50"), None, *[Decimal("2.25")] * 3]),
    "list": pa.array([["x", None], None, [], ["y"], ["z", "z"]]),
    "struct": pa.array([{"a": 1, "b": "x"}, None, {"a": None, "b": "y"}, *[{"a": 2, "b": ""}] * 2]),
    "nested": pa.array([[{"a": [1.0]}], None, [], [{"a": None}, None], [{"a": []}]]),
    "null": pa.nulls(5),
    "levels": pa.array(["r", None, "g", "r", "b"]).dictionary_encode(),
}


def digest(column: pa.Array | pa.ChunkedArray) -> str:
    sink = hashlib.sha256()
    update_digest(sink, pa.table({"column": column}))
    return sink.hexdigest()


def test_layout_makes_no_difference() -> None:
    for name in list(COLUMNS):
        column = COLUMNS[name]
        expected = digest(column)
        assert digest(pa.chunked_array([column.slice(0, 2), column.slice(2)])) == expected
        assert digest(column.take(pa.array(range(5)))) == expected
        twice = pa.concat_arrays([column, column])
        assert digest(twice.slice(5)) == expected
        assert digest(pa.array(column.to_pylist(), column.type)) == expected


def test_other_values_or_another_order_are_another_digest() -> None:
    for name in [name for name in COLUMNS if name != "null"]:
        column = COLUMNS[name]
        found = {
            digest(column),
            digest(column.take(pa.array([1, 0, 2, 3, 4]))),
            digest(column.slice(1)),
        }
        found.add(digest(column.take(pa.array([0, 1, 0, 3, 4]))))
        assert len(found) == 4


def test_what_lies_under_missing_values_is_not_looked_at() -> None:
    mask = np.array([False, True])
    one, other = (
        pa.array(np.array([1.0, 2.0]), mask=mask),
        pa.array(np.array([1.0, 7.0]), mask=mask),
    )
    assert digest(one) == digest(other)


def test_texts_do_not_run_into_each_other() -> None:
    assert digest(pa.array(["ab", "c"])) != digest(pa.array(["a", "bc"]))
    assert digest(pa.array([["a"], []])) != digest(pa.array([[], ["a"]]))
    assert digest(pa.array([1], pa.int8())) != digest(pa.array([1], pa.int16()))


@given(st.lists(st.none() | st.text(max_size=3)), st.lists(st.none() | st.text(max_size=3)))
def test_equal_digests_mean_equal_lists(first: list[str | None], second: list[str | None]) -> None:
    same = digest(pa.array(first, pa.string())) == digest(pa.array(second, pa.string()))
    assert same == (first == second)

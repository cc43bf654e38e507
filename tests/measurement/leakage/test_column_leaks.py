"""Columns that know the target or test rows, by words and by few rare levels."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field, Schema
from twinset.measurement.leakage import find_leakage

N = 800


def with_notes(tells: bool) -> Dataset:
    """Return labels and notes; the notes of a class hold one word, or half of them do."""
    rng = np.random.default_rng(0)
    label = rng.random(N) < 0.3
    marked = label if tells else label & (rng.random(N) < 0.5)
    words = np.array([f"w{i}" for i in range(60)])
    notes = [
        " ".join([*rng.choice(words, 6), "Collection," if hit else "closed", *rng.choice(words, 3)])
        for hit in marked
    ]
    numbers = {name: rng.normal(size=N) for name in "abcd"}
    fields = [Field(name=name, kind="number") for name in numbers]
    fields += [Field(name="note", kind="text"), Field(name="y", kind="category", role="target")]
    table = pa.table({**numbers, "note": notes, "y": np.where(label, "yes", "no")})
    return Dataset.from_arrow(table, Schema(tuple(fields)))


@pytest.mark.parametrize("tells", [True, False])
def test_a_word_that_tells_the_label_is_found(tells: bool) -> None:
    data = with_notes(tells)
    found = find_leakage(data.slice(0, N // 2), data.slice(N // 2, N // 2), target="y")
    assert [(leak.kind, leak.columns) for leak in found.leaks] == [("label", ("note",))] * tells


@pytest.mark.parametrize("over_both", [True, False])
def test_frauds_of_terminals_that_occur_once_or_twice(over_both: bool) -> None:
    """Most levels are single rows and have no fraud: only the few others can tell."""
    rng = np.random.default_rng(2)
    terminal = rng.integers(0, 3_000, 4_000)
    fraud = rng.random(4_000) < 0.03
    in_train = np.arange(4_000) < 2_000
    counted = fraud if over_both else fraud & in_train
    frauds = np.bincount(terminal, weights=counted, minlength=3_000).astype(int)[terminal]
    table = {
        "terminal": [f"T{i}" for i in terminal],
        "frauds": frauds,
        "amount": rng.gamma(2, 9, 4_000),
    }
    data = Dataset.from_arrow(pa.table({**table, "fraud": np.where(fraud, "yes", "no")}))
    found = find_leakage(data.slice(0, 2_000), data.slice(2_000, 2_000), target="fraud")
    kinds = {leak.kind for leak in found.leaks}
    assert ("preprocessing" in kinds) == over_both

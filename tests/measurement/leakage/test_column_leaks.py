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


@pytest.mark.parametrize("scaled", [True, False])
def test_scaling_over_both_sets_is_found_and_counts_with_unit_quartiles_pass(scaled: bool) -> None:
    rng = np.random.default_rng(5)
    if scaled:
        values = rng.lognormal(0, 1, 1_000)
        low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
        values = (values - middle) / (high - low)
    else:
        values = rng.choice([-1.0, 0.0, 1.0, 60.0], 1_000, p=[0.252, 0.3, 0.252, 0.196])
        values[:500] = rng.choice([-1.0, 0.0, 1.0, 60.0], 500, p=[0.26, 0.3, 0.2, 0.24])
        values *= np.where(rng.random(1_000) < 0.1, rng.uniform(0.99, 1.01, 1_000), 1.0)
    table = pa.table({"x": values, "other": rng.normal(size=1_000)})
    data = Dataset.from_arrow(table)
    found = find_leakage(data.slice(0, 500), data.slice(500, 500))
    assert [leak.columns for leak in found.leaks] == [("x",)] * scaled


def test_ranks_over_both_sets_are_found_and_rounded_shares_pass() -> None:
    rng = np.random.default_rng(6)
    scores = np.round(rng.lognormal(0, 1, 5_000), 2)
    order = np.argsort(np.argsort(scores, kind="stable"), kind="stable") / 5_000
    shares = np.round(rng.beta(2, 3, 5_000), 4)
    for values, expected in ((order, [("x",)]), (shares, [])):
        data = Dataset.from_arrow(pa.table({"x": values, "other": rng.normal(size=len(values))}))
        half = len(values) // 2
        found = find_leakage(data.slice(0, half), data.slice(half, half))
        assert [leak.columns for leak in found.leaks] == expected

"""The memory of keys, and keys beyond the room they have; see also test_keeping_rules."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinset.core.data.dataset import Dataset
from twinset.core.data.rule import Rule
from twinset.core.errors import RecipeError
from twinset.core.rules.enforce import EnforcedRows, RuleEnforcer
from twinset.core.rules.unique_keys import KeyLedger, SeenKeys
from twinset.core.rules.violations import violations


@given(st.lists(st.lists(st.integers(0, 40), max_size=30), max_size=12))
def test_the_memory_of_keys_is_a_set(batches: list[list[int]]) -> None:
    seen, known = SeenKeys(), set[int]()
    every = np.arange(41, dtype=np.uint64)
    for batch in batches:
        seen.add(np.array(sorted(set(batch) - known), dtype=np.uint64))
        known |= set(batch)
        assert set(every[seen.has(every)].tolist()) == known
    assert len(seen.blocks) <= 8


def ledger(rules: tuple[Rule, ...], **columns: object) -> tuple[KeyLedger, Dataset]:
    real = Dataset.from_arrow(pa.table(columns))
    real = replace(real, schema=replace(real.schema, rules=rules))
    keeper = RuleEnforcer.learn(real)
    assert keeper is not None
    return KeyLedger(keeper), real


def admitted(of: KeyLedger, rows: Dataset, n: int) -> Dataset:
    marks = np.zeros((len(of.enforcer.rules), len(rows)), dtype=bool)
    held = EnforcedRows(rows, np.stack([marks] * 3))
    # The generator knows nothing but these rows: only moves can help.
    return of.admit(held, n, np.random.default_rng(0), None, lambda k: rows.slice(0, 1)).dataset


def test_a_repeated_number_moves_to_a_free_place_nearby() -> None:
    of, real = ledger((Rule("unique", ("n",)),), n=[10, 20, 30, 40])
    rows = replace(real, records=pa.table({"n": pa.array([20, 20, 20, 30])}))
    values = admitted(of, rows, 4).values("n").tolist()
    assert values[0] == 20
    assert len(set(values)) == 4
    assert all(10 <= value <= 40 for value in values)
    # The next chunk knows what was handed out.
    again = admitted(of, rows, 4).values("n").tolist()
    assert not set(values) & set(again)


def test_categories_alone_have_no_more_keys_than_combinations() -> None:
    of, real = ledger((Rule("unique", ("a", "b")),), a=list("xyxy"), b=list("uuvv"))
    rows = real.take([0, 0, 0, 0])
    made = admitted(of, rows, 4)
    assert {tuple(row.values()) for row in made.records.to_pylist()} == {
        ("x", "u"), ("x", "v"), ("y", "u"), ("y", "v"),
    }  # fmt: skip
    with pytest.raises(RecipeError, match=r"not enough different values for unique\(a, b\)"):
        admitted(of, rows, 1)


def test_a_move_breaks_no_other_rule() -> None:
    rules = (Rule("unique", ("low",)), Rule("order", ("low", "high")))
    of, real = ledger(rules, low=[1, 2, 3, 60], high=[50, 51, 52, 80])
    rows = replace(real, records=pa.table({"low": [3] * 40, "high": [50] * 40}))
    made = admitted(of, rows, 40)
    assert not any(violations(rule, made).any() for rule in rules)

"""Notes on columns that give the label away, and on groups of one row."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.seeding import rng_for
from twinset.workflows.advise.labelled_table import (
    data_warnings,
    read_labelled_table,
    split_test_set,
)
from twinset.workflows.options import AdviseOptions


def warnings_of(**more: Callable[[np.ndarray], object]) -> str:
    rng = np.random.default_rng(0)
    fraud = rng.random(1_000) < 0.05
    table = pa.table(
        {"x": rng.normal(fraud), "fraud": fraud, **{k: f(fraud) for k, f in more.items()}}
    )
    labelled = read_labelled_table(
        table, AdviseOptions(target="fraud", group="card" if "card" in more else None)
    )
    return " ".join(data_warnings(labelled, split_test_set(labelled, 0.3, None, rng_for(1, "cut"))))


def test_nothing_is_said_of_an_honest_table() -> None:
    assert warnings_of() == ""


@pytest.mark.parametrize(
    "leak",
    [
        lambda fraud: np.where(fraud, 3.0, np.random.default_rng(1).random(len(fraud))),
        lambda fraud: -fraud.astype(float),
        lambda fraud: pa.array(np.where(fraud, "closed", "open")),
        lambda fraud: pa.array(np.ones(len(fraud)), mask=fraud),
    ],
    ids=["high", "low", "label", "missing"],
)
def test_a_column_that_tells_the_label_is_named(leak) -> None:
    assert warnings_of(late=leak).startswith("'late' alone gives the label away nearly always")


def test_rows_that_are_their_own_group_are_questioned() -> None:
    assert "one row only" in warnings_of(card=lambda fraud: np.arange(len(fraud)))
    assert warnings_of(card=lambda fraud: np.arange(len(fraud)) // 10) == ""

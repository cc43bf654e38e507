"""Columns that give the label away, and groups of one row, are told."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

import twinset as tw
from twinset.core.errors import ParameterError, RecipeError
from twinset.core.seeding import rng_for
from twinset.workflows.advise.folds import outer_cut, suspicions
from twinset.workflows.advise.labelled_table import ColumnRoles, read_labelled_table


def told(**more: Callable[[np.ndarray], object]) -> str:
    rng = np.random.default_rng(0)
    fraud = rng.random(1_000) < 0.05
    table = pa.table(
        {"x": rng.normal(fraud), "fraud": fraud, **{k: f(fraud) for k, f in more.items()}}
    )
    labelled = read_labelled_table(
        table, ColumnRoles(target="fraud", group="card" if "card" in more else None)
    )
    return " ".join(suspicions(labelled, outer_cut(labelled, 0.3, None, rng_for(1, "cut"))))


def test_nothing_is_said_of_an_honest_table() -> None:
    assert told() == ""


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
    assert told(late=leak).startswith("'late' alone tells the label nearly always")


def test_rows_that_are_their_own_group_are_questioned() -> None:
    assert "one row only" in told(card=lambda fraud: np.arange(len(fraud)))
    assert told(card=lambda fraud: np.arange(len(fraud)) // 10) == ""


def test_a_delay_needs_a_time_and_a_rate_needs_an_alert() -> None:
    rng = np.random.default_rng(0)
    fraud = rng.random(1_000) < 0.05
    table = pa.table({"x": rng.normal(fraud), "fraud": fraud})
    with pytest.raises(ParameterError, match="needs to know when rows happen"):
        tw.advise(table, target="fraud", delay=3)
    with pytest.raises(ParameterError, match="leaves no alert"):
        tw.advise(table, target="fraud", alert_rate=1e-6)
    with pytest.raises(RecipeError, match=r"no column looks like .* x, y; name it by --target"):
        tw.advise(pa.table({"x": rng.normal(size=50), "y": rng.normal(size=50)}))

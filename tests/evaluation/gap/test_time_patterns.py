"""Patterns in time: by hand, and planted faults that each name their own pattern."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.contracts import Comparison, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Schema
from twinset.core.errors import ParameterError
from twinset.evaluation.gap.time_patterns import (
    DAY,
    TimePatterns,
    autocorrelations,
    gaps_within,
    hours,
    months,
)

HOUR = DAY // 24
START = 19_723 * DAY  # 1 January 2024, a Monday


def card_rows(
    n_days: int, seed: int, *, weekly: bool = True, hour: float = 12.0, pause: float = 2.0
) -> Dataset:
    """Thirty cards that pay every `pause` hours or so, three times as much on working days."""
    rng = np.random.default_rng(seed)
    days = np.arange(n_days)
    share = np.where((days % 7 < 5) | (not weekly), 3.0, 1.0)
    day = rng.choice(days, 40 * n_days, p=share / share.sum())
    first = START + day * DAY + (hour + rng.normal(size=len(day))) * HOUR
    card = rng.integers(0, 30, len(day))
    time = np.concatenate([first, first + pause * HOUR]).astype(np.int64)
    table = pa.table(
        {"t": pa.array(time, pa.timestamp("us")), "card": np.tile(card, 2).astype(str)}
    )
    schema = Dataset.from_arrow(table).schema
    roles = {"t": "time", "card": "group"}
    fields = tuple(replace(field, role=roles[field.name]) for field in schema.fields)
    return Dataset.from_arrow(table, Schema(fields))


def patterns(made: Dataset, real: Dataset, replicates: int = 20) -> dict[str, float]:
    found = TimePatterns(replicates=replicates).compute(
        Comparison(real, made, real), np.random.default_rng(0)
    )
    assert found.components is not None
    assert found.value == pytest.approx(found.components.values.mean())
    assert found.replicates.shape == (replicates,)
    return dict(zip(found.components.names, found.components.values.tolist()))


def test_clocks_by_hand() -> None:
    shown = np.array([0.0, 23.5 * HOUR, 31.0 * DAY, 366.0 * DAY])
    assert hours(shown).tolist() == [0, 23, 0, 0]
    assert months(shown).tolist() == [0, 0, 1, 0]
    gaps = gaps_within(np.array([3.0, np.nan, 1.0, 7.0, 4.0]), np.array([0, 0, 0, -1, 1]))
    assert gaps.tolist() == [2.0]
    # 1 3 1 3 about its mean 2: -1 1 -1 1, of square 4; lag 1 gives -3, lag 2 gives 2.
    assert autocorrelations(np.array([[1.0, 3, 1, 3], [2, 2, 2, 2]]), 2).tolist() == [
        [-0.75, 0.5],
        [0, 0],
    ]


def test_each_fault_is_named() -> None:
    real = card_rows(70, 0)
    fresh = patterns(card_rows(70, 1), real)
    assert set(fresh) == {
        "hour of t",
        "weekday of t",
        "rhythm of t",
        "time between rows of one card",
    }
    assert max(fresh.values()) < 0.05
    later = patterns(card_rows(70, 1, hour=15.0), real)
    assert later["hour of t"] > 0.5 > 0.05 > later["weekday of t"]
    even = patterns(card_rows(70, 1, weekly=False), real)
    assert even["weekday of t"] > 0.1
    assert even["rhythm of t"] > 0.1
    assert even["hour of t"] < 0.05
    slower = patterns(card_rows(70, 1, pause=9.0), real)
    assert slower["time between rows of one card"] > 0.15


def test_seasons_count_from_a_year_on_and_dates_have_no_hours() -> None:
    days = np.arange(400)
    whole = pa.table({"d": pa.array(START + days * DAY, pa.timestamp("us")).cast(pa.date32())})
    real = Dataset.from_arrow(whole)
    found = patterns(real.take(np.flatnonzero(days % 365 < 180)), real)
    assert {"weekday of d", "month of d"} <= set(found)
    assert "hour of d" not in found
    assert found["month of d"] > 0.4 > 0.1 > found["weekday of d"]


def test_cards_that_never_come_back_have_no_gaps() -> None:
    real = card_rows(70, 0)
    alone = real.to_arrow().set_column(1, "card", pa.array([f"c{i}" for i in range(len(real))]))
    found = patterns(Dataset.from_arrow(alone, real.schema), real)
    assert found["time between rows of one card"] == 1.0


def test_what_cannot_be_measured_is_said() -> None:
    plain = Dataset.from_arrow(pa.table({"x": [1.0] * 60}))
    with pytest.raises(NotMeasurable, match="no column holds dates"):
        TimePatterns().compute(Comparison(plain, plain, plain), np.random.default_rng(0))
    few = card_rows(70, 0).take(range(20))
    with pytest.raises(NotMeasurable, match="at least 50 rows"):
        TimePatterns().compute(Comparison(few, few, few), np.random.default_rng(0))
    with pytest.raises(ParameterError, match="out of its range"):
        TimePatterns(replicates=1)

"""Cuts by time, group and chance, and the folds inside the train part."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinset.core.errors import DataError
from twinset.core.seeding import rng_for
from twinset.report.advice import format_label_delay
from twinset.workflows.advise.labelled_table import (
    LabelledTable,
    inner_folds,
    read_labelled_table,
    split_test_set,
)
from twinset.workflows.options import AdviseOptions


def labelled_of(table: pa.Table, **roles: str) -> LabelledTable:
    return read_labelled_table(table, AdviseOptions(target="fraud", **roles))


def test_by_time_the_latest_rows_are_tested_on_and_the_gap_is_left_out() -> None:
    table = pa.table({"x": range(10), "day": range(10), "fraud": [0, 1, 0, 0, 0, 0, 0, 0, 1, 0]})
    labelled = labelled_of(table, time="day")
    split = split_test_set(labelled, 0.3, 2.0, rng_for(1, "cut"))
    assert split.test.tolist() == [7, 8, 9]
    # The last row before the test part is of day 6; labels of days 5 and 6 are not known yet.
    assert split.train.tolist() == [0, 1, 2, 3, 4]
    assert split.gap == 2.0


def test_the_gap_is_by_default_a_twentieth_of_the_time_and_at_most_seven_days() -> None:
    table = pa.table(
        {"x": range(1000), "day": range(1000), "fraud": [i % 9 == 0 for i in range(1000)]}
    )
    assert split_test_set(
        labelled_of(table, time="day"), 0.3, None, rng_for(1, "c")
    ).gap == pytest.approx(34.95)
    in_days = labelled_of(table, time="day", time_unit="day")
    assert split_test_set(in_days, 0.3, None, rng_for(1, "c")).gap == 7.0


def test_a_delay_has_a_unit_or_says_how_to_name_it() -> None:
    assert "after 3.500 days: set" in format_label_delay(3.5, in_days=True)
    assert "after 8,640 units of the time: set --delay if not; --time-unit" in format_label_delay(
        8640, False
    )


def test_no_group_occurs_in_train_and_test(table: pa.Table) -> None:
    labelled = labelled_of(table, group="card")
    split = split_test_set(labelled, 0.3, None, rng_for(1, "cut"))
    assert labelled.group is not None
    assert not set(labelled.group[split.train]) & set(labelled.group[split.test])
    assert 0.2 < len(split.test) / len(labelled) < 0.4
    for fold in inner_folds(labelled, split.train, 3, 0.0, rng_for(1, "f")):
        assert not set(labelled.group[fold.train]) & set(labelled.group[fold.test])


def test_time_and_group_hold_together(table: pa.Table) -> None:
    labelled = labelled_of(table, group="card", time="day")
    split = split_test_set(labelled, 0.3, 1.0, rng_for(1, "cut"))
    assert labelled.group is not None
    assert labelled.time is not None
    assert not set(labelled.group[split.train]) & set(labelled.group[split.test])
    assert labelled.time[split.train].max() + 1.0 <= labelled.time[split.test].min()
    folds = list(inner_folds(labelled, split.train, 3, 1.0, rng_for(1, "f")))
    assert len(folds) == 3
    for fold in folds:
        assert not set(labelled.group[fold.train]) & set(labelled.group[fold.test])
        assert labelled.time[fold.train].max() + 1.0 <= labelled.time[fold.test].min()


@pytest.mark.parametrize("fraction", [0.1, 0.4, 0.6, 0.7, 0.9])
def test_as_many_groups_are_tested_on_as_asked(table: pa.Table, fraction: float) -> None:
    labelled = labelled_of(table, group="card")
    split = split_test_set(labelled, fraction, None, rng_for(1, "cut"))
    # 300 cards of 10 rows.
    assert len(split.test) / len(labelled) == pytest.approx(fraction, abs=0.005)
    assert labelled.truth[split.test].sum() / labelled.truth.sum() == pytest.approx(
        fraction, abs=0.08
    )


def test_a_fold_that_lacks_a_class_is_passed_over() -> None:
    table = pa.table(
        {
            "x": range(40),
            "card": [i // 4 for i in range(40)],
            "day": range(40),
            "fraud": [i // 4 in (2, 5) and i % 4 < 2 for i in range(40)],
        }
    )
    rows = np.arange(40)
    folds = list(inner_folds(labelled_of(table, group="card"), rows, 3, 0.0, rng_for(1, "f")))
    # Two cards hold the positives, so the third fold has none to test on.
    assert len(folds) == 2
    one = labelled_of(
        table.set_column(3, "fraud", pa.array([8 <= i < 11 for i in range(40)])), group="card"
    )
    assert not list(inner_folds(one, rows, 3, 0.0, rng_for(1, "f")))


def test_inner_folds_by_time_never_learn_from_what_comes_later(table: pa.Table) -> None:
    labelled = labelled_of(table, time="day")
    split = split_test_set(labelled, 0.3, 1.0, rng_for(1, "cut"))
    folds = list(inner_folds(labelled, split.train, 3, 1.0, rng_for(1, "f")))
    assert len(folds) == 3
    assert labelled.time is not None
    for fold in folds:
        assert labelled.time[fold.train].max() + 1.0 <= labelled.time[fold.test].min()
        assert np.isin(fold.test, split.train).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(6, 40))
def test_folds_cover_the_rows_once_and_share_out_the_positives(seed: int, rare: int) -> None:
    fraud = np.zeros(200, dtype=bool)
    fraud[rng_for(seed, "rows").choice(200, rare, replace=False)] = True
    labelled = labelled_of(pa.table({"x": np.arange(200), "fraud": fraud}))
    rows = np.arange(0, 200, 1)
    folds = list(inner_folds(labelled, rows, 3, 0.0, rng_for(seed, "f")))
    assert sorted(np.concatenate([fold.test for fold in folds]).tolist()) == rows.tolist()
    counts = [int(labelled.truth[fold.test].sum()) for fold in folds]
    assert max(counts) - min(counts) <= 1


def test_a_part_without_positives_is_refused() -> None:
    table = pa.table({"x": range(10), "day": range(10), "fraud": [1, 1, 0, 0, 0, 0, 0, 0, 0, 0]})
    with pytest.raises(DataError, match="test set lacks"):
        split_test_set(labelled_of(table, time="day"), 0.3, 0.0, rng_for(1, "cut"))

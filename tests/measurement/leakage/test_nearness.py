"""Rows that were doubled or changed a little before the split are found; natural near pairs are not."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.data.dataset import Dataset
from twinset.measurement.leakage.evidence import SplitRows
from twinset.measurement.leakage.nearness import compare_gaps, find_near_duplicates

N = 500  # rows: a hundred copies are beyond chance
NAMES = ("a", "b", "c", "d", "kind")


def people(seed: int) -> np.ndarray:
    """Return four numbers, the last ones whole, and a kind."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(N, 3))
    return np.column_stack([x, np.rint(3 * x[:, 0] + rng.normal(0, 2, N)), rng.integers(0, 4, N)])


def jitter(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rows + rng.normal(0, 0.005, rows.shape) * [1, 1, 1, 0, 0]


def kinds_found(train: np.ndarray, test: np.ndarray) -> list[str]:
    sets = [
        Dataset.from_arrow(
            pa.table(
                {n: rows[:, i] for i, n in enumerate(NAMES[:-1])}
                | {"kind": [str(value) for value in rows[:, -1]]}
            )
        )
        for rows in (train, test)
    ]
    split = SplitRows.from_datasets(sets, None)
    assert split is not None
    return [leak.kind for leak in find_near_duplicates(*sets, split, np.random.default_rng(0))]


@pytest.mark.parametrize("times", [1, 2])
def test_copies_that_were_added_before_the_split_are_found(times: int) -> None:
    rng = np.random.default_rng(9)
    rows = np.vstack([people(0), people(1)])
    grown = np.vstack([rows, *(jitter(rows[:300], rng) for _ in range(times))])
    order = rng.permutation(len(grown))
    half = len(grown) // 2
    assert kinds_found(grown[order[:half]], grown[order[half:]]) == ["near_copies"]


def test_rows_without_copies_and_copies_of_train_rows_pass() -> None:
    rng = np.random.default_rng(9)
    train, test = people(0), people(1)
    assert kinds_found(train, test) == []
    for times in (1, 2, 3):
        assert kinds_found(np.vstack([train, *[jitter(train, rng)] * times]), test) == []


def test_rows_of_which_four_are_alike_by_nature_pass() -> None:
    """Rows around few centres are near one, two, three or four others, each as often."""
    rng = np.random.default_rng(3)
    gaps = rng.exponential(1, (400, 4)) / np.arange(1, 5) * rng.choice([0.3, 1.5], (400, 1))
    distances = np.exp(np.cumsum(np.column_stack([np.full(400, -3.0), gaps]), axis=1))
    assert compare_gaps(distances, (4.0, 3.0, 2.0)) is None
    distances[:100, 0] = np.exp(-9.0)
    found = compare_gaps(distances, (4.0, 3.0, 2.0))
    assert found is not None
    assert found[1] >= 100

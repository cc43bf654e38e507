"""Rows that were interpolated and rounded to whole numbers before the cut."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.data.dataset import Dataset
from twinset.measurement.leakage import find_leakage
from twinset.measurement.leakage.evidence import SplitRows
from twinset.measurement.leakage.interpolation import _select_rounded_numbers, log_between

N_REAL, N_RARE, N_MADE = 1_500, 500, 1_000


def table(seed: int, n_made: int) -> Dataset:
    """Return whole numbers like a census's, with interpolated rows of the rare class; shuffled."""
    rng = np.random.default_rng(seed)
    n = N_REAL + N_RARE
    real = np.column_stack(
        [
            rng.integers(17, 90, n),
            rng.integers(1_000, 20_000, n),
            rng.integers(1, 17, n),
            np.where(rng.random(n) < 0.6, 40, rng.integers(1, 99, n)),
            rng.integers(0, 400, n),
        ]
    )
    rare = real[N_REAL:]
    apart = np.abs(rare[:, None, 1] - rare[None, :, 1])
    seeds = rng.integers(0, N_RARE, n_made)
    others = np.argsort(apart[seeds], axis=1)[np.arange(n_made), rng.integers(1, 6, n_made)]
    way = rng.random((n_made, 1))
    made = np.trunc(rare[seeds] + way * (rare[others] - rare[seeds])).astype(int)
    rows = np.vstack([real, made])
    labels = np.repeat(["no", "yes"], [N_REAL, N_RARE + n_made])
    order = rng.permutation(len(rows))
    columns = {f"x{j}": rows[order, j] for j in range(rows.shape[1])}
    return Dataset.from_arrow(pa.table({**columns, "y": labels[order]}))


@pytest.mark.parametrize("seed", range(3))
def test_rounded_rows_before_the_cut_are_refused(seed: int) -> None:
    rows = table(seed, N_MADE)
    cut = int(0.7 * len(rows))
    found = find_leakage(rows.slice(0, cut), rows.slice(cut, len(rows) - cut), target="y")
    assert [leak.kind for leak in found.leaks] == ["interpolated"]
    assert "rounded before the split" in found.leaks[0].message


@pytest.mark.parametrize("seed", range(3))
def test_the_same_table_without_them_passes(seed: int) -> None:
    rows = table(seed, 0)
    cut = int(0.7 * len(rows))
    assert find_leakage(rows.slice(0, cut), rows.slice(cut, len(rows) - cut), target="y").is_clean


def test_a_place_between_two_neighbours_by_hand() -> None:
    near = np.array([[[0, 0, 0], [100, 50, 200], [90, 10, 150]]], dtype=float)
    third = np.array([[33.0, 16.0, 66.0]])  # (33, 16.5, 66) truncated
    expected = 0.0
    scatter = 2 * np.abs(near[0] - third).mean(axis=0)
    for j, length in ((0, 100), (1, 50)):
        allowed = 1 + length / 200
        expected += np.log(2 * allowed / (scatter[j] + 2 * allowed))
    assert log_between(third, near)[0] == pytest.approx(expected)
    # Two steps off in one column, or beyond the farther one: no place between them.
    assert log_between(third + [0, 2, 0], near)[0] == 0
    assert log_between(np.array([[120.0, 60.0, 240.0]]), near)[0] == 0


def test_missing_numbers_fit_and_coarse_ones_have_wide_steps() -> None:
    near = np.array([[[0, 0, 0, np.nan], [100, 50, 200, 5], [90, 10, 150, 7]]], dtype=float)
    third = np.array([[33.0, 16.0, 66.0, 9.0]])
    whole = log_between(third[:, :3], near[:, :, :3])[0]
    assert log_between(third, near)[0] == pytest.approx(whole)
    # Steps of ten in each column say less than steps of one.
    assert whole < log_between(third[:, :3], near[:, :, :3], np.full((1, 3), 10.0))[0] < 0


def test_rows_with_more_decimals_than_others_are_scaled_by_column() -> None:
    values = np.array([0.25, 1.5, 3.0, 7.75, 2.0, np.nan])
    data = Dataset.from_arrow(pa.table({"x": values, "y": list("aabbab")}))
    split = SplitRows.from_datasets((data, data.slice(0, 2)), "y")
    assert split is not None
    points, steps = _select_rounded_numbers(split)
    assert points[:5, 0].tolist() == [25, 150, 300, 775, 200]
    assert steps[:5, 0].tolist() == [1, 10, 100, 1, 100]

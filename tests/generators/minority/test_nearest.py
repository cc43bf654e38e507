"""The search for neighbours against an answer that is worked out pair by pair."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinset.core.data.dataset import Dataset
from twinset.generators.minority._engine.matrices import DistinctRows, Grid
from twinset.generators.minority._engine.neighbors import Points, Scale, Search, nearest_points


def points_of(table: pa.Table) -> tuple[DistinctRows, Points]:
    dataset = Dataset.from_arrow(table)
    cells = DistinctRows.from_grid(Grid.from_dataset(dataset, np.arange(len(dataset))))
    return cells, Points.from_arrays(Scale.fit(cells), cells.numbers, cells.codes)


def all_pairs(cells: DistinctRows) -> np.ndarray:
    """Return every squared distance as the scale defines it."""
    squared = np.zeros((len(cells), len(cells)))
    for column in cells.numbers.T:
        present = column[~np.isnan(column)]
        if len(present) == 0:
            continue
        spread = present.std()
        gap = np.isnan(column)
        distance = ((column[:, None] - column) / (spread or 1.0)) ** 2
        either = gap[:, None] | gap
        squared += np.where(either, gap[:, None] != gap, distance)
    for codes in cells.codes.T:
        squared += codes[:, None] != codes
    np.fill_diagonal(squared, np.inf)
    return squared


def test_distances_by_hand() -> None:
    """Deviation 2: 4 apart is 2, squared 4; a label adds 1; a gap in one row adds 1."""
    table = pa.table({"x": [0.5, 4.5, 0.5, None], "c": ["a", "a", "b", "a"]})
    numbers = np.array([0.5, 4.5, 0.5])
    spread = numbers.std()
    cells, points = points_of(table)
    squared, indices = nearest_points(points, 3)
    first = int(np.flatnonzero(cells.origin == 0)[0])
    near = cells.origin[indices[first]]
    assert sorted(near[:2]) == [2, 3]
    assert near[2] == 1
    assert squared[first] == pytest.approx([1, 1, (4 / spread) ** 2])


@settings(max_examples=60, deadline=None)
@given(
    st.integers(2, 120), st.integers(0, 3), st.integers(0, 3), st.integers(1, 7), st.integers(0, 9)
)
def test_as_pair_by_pair(rows: int, p: int, c: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    columns = {}
    for i in range(p):
        values = rng.integers(0, 4, rows) if seed % 2 else rng.lognormal(0, 2, rows)
        columns[f"x{i}"] = pa.array(values.astype(float), mask=rng.random(rows) < 0.1 * (i % 2))
    for i in range(c):
        columns[f"c{i}"] = pa.array([f"l{v}" for v in rng.integers(0, 3, rows)])
    columns["same"] = pa.array([1.5] * rows)
    cells, points = points_of(pa.table(columns))
    if len(cells) <= k:
        return
    squared, indices = nearest_points(points, k)
    truth = all_pairs(cells)
    assert squared == pytest.approx(np.sort(truth, axis=1)[:, :k])
    assert np.take_along_axis(truth, indices, axis=1) == pytest.approx(squared)
    assert all(len(set(row)) == k for row in indices)
    tied = np.diff(squared, axis=1) == 0
    assert (np.diff(indices, axis=1)[tied] > 0).all(), "of equally near rows the first comes first"


@pytest.mark.parametrize("labels_only", [False, True])
def test_many_tiles_agree_with_one(labels_only: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    columns = {f"c{i}": [f"l{v}" for v in rng.integers(0, 6, 900)] for i in range(4)}
    if not labels_only:
        columns |= {"x": rng.normal(size=900), "n": rng.poisson(2, 900)}
    _, points = points_of(pa.table(columns))
    squared, indices = nearest_points(points, 6)
    module = "twinset.generators.minority._engine.neighbors"
    monkeypatch.setattr(f"{module}._TILE", 97)
    monkeypatch.setattr(f"{module}._QUERIES", 13)
    again, also = nearest_points(points, 6)
    assert np.array_equal(squared, again)
    assert np.array_equal(indices, also)


def test_rows_beyond_the_limit_are_not_wanted() -> None:
    cells, points = points_of(pa.table({"x": [0.0, 1.0, 2.0, 10.0]}))
    spread = np.std([0.0, 1.0, 2.0, 10.0])
    limit = np.full(4, (1.5 / spread) ** 2)
    search = Search(points, np.arange(4), 3, within=limit)
    search.add(points, own=True)
    squared, indices = search.squared, search.indices
    found = {
        cells.numbers[i, 0]: {cells.numbers[j, 0] for j in near[d <= limit[0]]}
        for i, (near, d) in enumerate(zip(indices, squared, strict=True))
    }
    assert found == {0.0: {1.0}, 1.0: {0.0, 2.0}, 2.0: {1.0}, 10.0: set()}


def test_rows_may_come_in_parts_and_settled_ones_look_no_further() -> None:
    rng = np.random.default_rng(0)
    table = pa.table({"x": rng.normal(size=400), "c": [f"l{v}" for v in rng.integers(0, 3, 400)]})
    cells, points = points_of(table)
    whole = Search(points, np.arange(50), 4)
    whole.add(points)
    queries = []

    def settled(squared: np.ndarray, rows: np.ndarray) -> np.ndarray:
        queries.append(len(rows))
        return rows < 20

    parts = Search(points, np.arange(50), 4, settled=settled)
    for start in range(0, 400, 100):
        some = slice(start, start + 100)
        part = Points.from_arrays(points.scale, cells.numbers[some], cells.codes[some])
        parts.add(part, start=start)
    assert queries == [50, 30, 30, 30]
    assert np.array_equal(parts.squared[20:], whole.squared[20:])
    assert np.array_equal(parts.indices[20:], whole.indices[20:])
    assert (parts.indices[:20] < 100).all()

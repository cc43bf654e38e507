"""Pairs of rows that may be interpolated, and the rows between them (SMOTE)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from twinset.core.data.window_spec import window_length
from twinset.core.errors import FewRowsWarning, FitError, ParameterError

from .class_points import ClassNeighbors, ClassPoints
from .engine import NewRows, RowMaker
from .neighbors import Points
from .streams import PARENTS, Floats, Positions, RandomDraws

Labels = Literal["vote", "parent"]
_CELLS = 2_000_000  # distances computed at a time: 16 MB


@dataclass(frozen=True)
class PairRule:
    """What two rows must share to be interpolated.

    Parameters
    ----------
    across_entities : bool
        Allow pairs of rows of different entities (columns with the role group).
    time_window : str
        Longest time between two rows of a pair, e.g. "7d"; empty for any.
    """

    across_entities: bool = False
    time_window: str = ""

    def __post_init__(self) -> None:
        if self.time_window and not window_length(self.time_window) > 0:
            raise ParameterError("time_window is empty", got=self.time_window, allowed="above 0")

    def find_neighbors(self, class_rows: ClassPoints, k: int) -> ClassNeighbors:
        """Return the neighbors of a class's rows among those that each may pair with.

        Raises
        ------
        ParameterError
            There is a time window and no column has the role time.
        FitError
            No row has another one to pair with.
        """
        entities = None if self.across_entities else _entities(class_rows)
        times, window = None, np.inf
        if self.time_window:
            times, unit = _times(class_rows)
            window = window_length(self.time_window) * unit
        if entities is None and times is None:
            return ClassNeighbors(class_rows, k)
        return RelatedNeighbors(class_rows, k, entities, times, window)


class RelatedNeighbors(ClassNeighbors):
    """The nearest neighbors of each row among those of its entity, within a window of time.

    Rows with fewer related rows have fewer neighbors. A row of an unknown entity (-1) is related to
    no other, and a row without a time (NaN) is in no window.
    """

    def __init__(
        self,
        class_rows: ClassPoints,
        k: int,
        entities: npt.NDArray[np.int64] | None,
        times: Floats | None,
        window: float,
    ) -> None:
        super().__init__(class_rows, k)
        table = find_nearest_related(self.points, self.k, entities, times, window)
        n = len(class_rows)
        self._count = (table >= 0).sum(axis=1)
        self.seeds = np.flatnonzero(self._count)
        if not len(self.seeds):
            raise FitError(
                "no row of a class has another one of its own that it may be interpolated with",
                got=f"{n} different rows, each alone in its entity or its window of time",
                allowed="two rows of one entity within the window",
                todo="set across_entities: true, widen time_window, or use minority.bursts",
            )
        if len(self.seeds) < n:
            warnings.warn(
                f"{n - len(self.seeds)} of {n} different rows of a class have no other row of the same "
                "entity and time to be interpolated with: no new row starts from them",
                FewRowsWarning,
                stacklevel=2,
            )
        # Where there are fewer related rows than k, they are repeated in turn, so that votes stay votes.
        place = np.arange(self.k) % np.maximum(self._count, 1)[:, None]
        self._table[:] = np.maximum(np.take_along_axis(table, place, axis=1), 0)
        self._count_votes(self.seeds)

    def pick(self, rows: Positions, chance: Floats) -> Positions:
        """Return one neighbor of each row, shape (n,), by a number in [0, 1) for each."""
        place = (chance * self._count[rows]).astype(np.int64)
        return np.asarray(self._table[rows, place], dtype=np.int64)


def find_nearest_related(
    points: Points,
    k: int,
    entities: npt.NDArray[np.int64] | None,
    times: Floats | None,
    window: float,
) -> npt.NDArray[np.int32]:
    """Return the k nearest related rows of each, nearest first, shape (n, k); -1 if there are fewer."""
    n = len(points)
    found = np.full((n, k), -1, dtype=np.int32)
    entity = np.zeros(n) if entities is None else entities
    order = np.argsort(entity, kind="stable")
    starts = np.flatnonzero(np.diff(entity[order])) + 1
    for members in np.split(order, starts):
        if len(members) < 2 or entity[members[0]] < 0:
            continue
        step = max(1, _CELLS // len(members))
        for start in range(0, len(members), step):
            rows = members[start : start + step]
            squared = squared_distances(points, rows, members)
            squared[rows[:, None] == members] = np.inf
            if times is not None:
                squared[~(np.abs(times[rows][:, None] - times[members]) <= window)] = np.inf
            near = np.argsort(squared, axis=1, kind="stable")[:, :k]
            is_related = np.isfinite(np.take_along_axis(squared, near, axis=1))
            found[rows, : near.shape[1]] = np.where(is_related, members[near], -1)
    return found


def squared_distances(points: Points, rows: Positions, others: Positions) -> Floats:
    """Return the squared distances of rows, shape (m, n), as `Scale` defines them."""
    total = np.zeros((len(rows), len(others)))
    for values in points.values.T:
        squared = (values[rows][:, None] - values[others]) ** 2
        is_missing = np.isnan(values)
        if is_missing.any():
            both = is_missing[rows][:, None] & is_missing[others]
            squared = np.where(both, 0.0, np.nan_to_num(squared, nan=1.0))
        total += squared
    for codes in points.codes:
        total += codes[rows][:, None] != codes[others]
    return total


def _entities(class_rows: ClassPoints) -> npt.NDArray[np.int64] | None:
    """Return a code for the entity of each row, -1 where it is missing; None where none is declared."""
    grid, cells = class_rows.grid, class_rows.cells
    names = {field.name for field in grid.schema.with_role("group")}
    for column, codes in zip(grid.label_columns, cells.codes.T):
        if column.field.name in names:
            return np.asarray(codes, dtype=np.int64)
    for column, values in zip(grid.number_columns, cells.numbers.T):
        if column.field.name in names:
            codes = np.unique(values, return_inverse=True)[1]
            return np.where(np.isnan(values), -1, codes).astype(np.int64)
    return None


def _times(class_rows: ClassPoints) -> tuple[Floats, float]:
    """Return the time of each row, and the number of its units in a second."""
    names = {field.name for field in class_rows.grid.schema.with_role("time")}
    for column, values in zip(class_rows.grid.number_columns, class_rows.cells.numbers.T):
        if column.field.name in names:
            return values, 1e6 if column.field.is_time else 1.0
    raise ParameterError(
        "time_window needs to know when rows happen",
        got="no column of dates or numbers with the role time",
        todo="give one column the role time, or leave out time_window",
    )


class Interpolation(RowMaker):
    """New rows between a real row that has a neighbor and one of its k nearest ones."""

    stays_in_range: ClassVar[bool] = True

    def __init__(
        self, class_rows: ClassPoints, k_neighbors: int, labels: Labels, rule: PairRule
    ) -> None:
        self.class_rows, self.labels = class_rows, labels
        self.neighbors = rule.find_neighbors(class_rows, k_neighbors)
        self.seeds: Positions = self.neighbors.seeds
        n = len(class_rows)
        if n <= k_neighbors:
            few = f"a class has only {n} different rows: k_neighbors is {n - 1} instead of {k_neighbors}"
            equal = "all rows of a class are equal: every row made from them is a copy"
            warnings.warn(equal if n == 1 else few, FewRowsWarning, stacklevel=2)

    def make(self, draws: RandomDraws) -> NewRows:
        """Return one row for each of `draws`."""
        chance = draws.uniform(PARENTS, 4)
        seeds = self.seeds[(chance[:, 0] * len(self.seeds)).astype(np.int64)]
        self.neighbors.find(seeds)
        others = self.neighbors.pick(seeds, chance[:, 1])
        # That little short of the end, no rounding of floats can carry a value past it.
        step = np.minimum(chance[:, 2], 1 - 2.0**-40)
        cells = self.class_rows.cells
        start, numbers = (np.take(cells.numbers, rows, axis=0) for rows in (seeds, others))
        numbers -= start
        numbers *= step[:, None]
        numbers += start
        nearer = np.where(step < 0.5, seeds, others)
        if self.class_rows.has_gaps:
            rows, columns = np.nonzero(np.isnan(numbers))
            numbers[rows, columns] = cells.numbers[nearer[rows], columns]
        vote = self.labels == "vote"
        codes = self.neighbors.vote(seeds, chance[:, 3]) if vote else cells.codes[nearer]
        return NewRows(numbers, codes, np.column_stack([seeds, others]))

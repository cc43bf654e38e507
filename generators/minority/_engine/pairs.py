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
from .engine import Maker, NewRows
from .neighbors import Points
from .streams import PARENTS, Floats, Positions, RandomDraws

Mask = npt.NDArray[np.bool_]
_CELLS = 2_000_000


@dataclass(frozen=True)
class PairRule:
    """What two rows must share to be interpolated.

    Parameters
    ----------
    across_entities : bool
        Whether rows of different entities (columns with the role group) may pair.
    time_window : str
        Longest time between two rows of a pair, e.g. "7d"; empty for any.
    """

    across_entities: bool = False
    time_window: str = ""

    def __post_init__(self) -> None:
        if self.time_window and not window_length(self.time_window) > 0:
            raise ParameterError("time_window is empty", got=self.time_window, allowed="above 0")

    def neighbours(self, class_rows: ClassPoints, k: int) -> ClassNeighbors:
        """Return the neighbours of a class's rows among those that each may pair with.

        Raises
        ------
        ParameterError
            A window is asked for and no column has the role time.
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
    """The nearest neighbours of each row among those of its entity, within a window of time.

    Parameters
    ----------
    class_rows : ClassPoints
        The rows.
    k : int
        Neighbours of each, 1 or more; rows with less kin have fewer.
    entities : numpy.ndarray of int64, shape (n,), optional
        Entity of each row, -1 where it is not known: such a row has no kin. None: all are kin.
    times : numpy.ndarray, shape (n,), optional
        Time of each row; NaN is within no window.
    window : float
        Longest time between kin, in the unit of `times`.
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
        self._count = (table >= 0).sum(axis=1)
        self.seeds = np.flatnonzero(self._count)
        if not len(self.seeds):
            raise FitError(
                "no row of a class has another one of its own that it may be interpolated with",
                got=f"{len(class_rows)} different rows, each alone in its entity or its window of time",
                allowed="two rows of one entity within the window",
                todo="set across_entities: true, widen time_window, or use minority.bursts",
            )
        if len(self.seeds) < len(class_rows):
            warnings.warn(
                _lone(len(class_rows) - len(self.seeds), len(class_rows)),
                FewRowsWarning,
                stacklevel=2,
            )
        # Where there is less kin than asked for, it is gone round again, so that votes stay votes.
        place = np.arange(self.k) % np.maximum(self._count, 1)[:, None]
        self._table[:] = np.maximum(np.take_along_axis(table, place, axis=1), 0)
        self._fill(self.seeds)

    def pick(self, rows: Positions, chance: Floats) -> Positions:
        """Return one neighbour of each row, shape (n,); `chance` in [0, 1) says which."""
        place = (chance * self._count[rows]).astype(np.int64)
        return np.asarray(self._table[rows, place], dtype=np.int64)


def find_nearest_related(
    points: Points,
    k: int,
    entities: npt.NDArray[np.int64] | None,
    times: Floats | None,
    window: float,
) -> npt.NDArray[np.int32]:
    """Return the k nearest kin of each row, nearest first, shape (n, k); -1 where there are fewer."""
    n = len(points)
    found = np.full((n, k), -1, dtype=np.int32)
    order = np.argsort(np.zeros(n) if entities is None else entities, kind="stable")
    starts = np.flatnonzero(np.diff(np.zeros(n) if entities is None else entities[order])) + 1
    for members in np.split(order, starts):
        if len(members) < 2 or (entities is not None and entities[members[0]] < 0):
            continue
        step = max(1, _CELLS // len(members))
        for start in range(0, len(members), step):
            mine = members[start : start + step]
            apart = squared_distances(points, mine, members)
            apart[mine[:, None] == members] = np.inf
            if times is not None:
                apart[~(np.abs(times[mine][:, None] - times[members]) <= window)] = np.inf
            near = np.argsort(apart, axis=1, kind="stable")[:, :k]
            is_kin = np.isfinite(np.take_along_axis(apart, near, axis=1))
            found[mine, : near.shape[1]] = np.where(is_kin, members[near], -1)
    return found


def squared_distances(points: Points, mine: Positions, others: Positions) -> Floats:
    """Return the squared distances of rows, shape (m, n), as `Scale` defines them."""
    total = np.zeros((len(mine), len(others)))
    for values in points.values.T:
        apart = (values[mine][:, None] - values[others]) ** 2
        lacks = np.isnan(values)
        if lacks.any():
            apart = np.where(
                lacks[mine][:, None] & lacks[others], 0.0, np.nan_to_num(apart, nan=1.0)
            )
        total += apart
    for codes in points.codes:
        total += codes[mine][:, None] != codes[others]
    return total


def _entities(class_rows: ClassPoints) -> npt.NDArray[np.int64] | None:
    """Return a code for the entity of each row, -1 where it is not known; None where none is declared."""
    owners = {field.name for field in class_rows.grid.schema.with_role("group")}
    for column, codes in zip(class_rows.grid.label_columns, class_rows.cells.codes.T, strict=True):
        if column.field.name in owners:
            return np.asarray(codes, dtype=np.int64)
    for column, values in zip(
        class_rows.grid.number_columns, class_rows.cells.numbers.T, strict=True
    ):
        if column.field.name in owners:
            codes = np.unique(values, return_inverse=True)[1]
            return np.where(np.isnan(values), -1, codes).astype(np.int64)
    return None


def _times(class_rows: ClassPoints) -> tuple[Floats, float]:
    """Return the time of each row, and how many of its units a second has."""
    timed = {field.name for field in class_rows.grid.schema.with_role("time")}
    for column, values in zip(
        class_rows.grid.number_columns, class_rows.cells.numbers.T, strict=True
    ):
        if column.field.name in timed:
            return values, 1e6 if column.field.is_time else 1.0
    raise ParameterError(
        "time_window needs to know when rows happen",
        got="no column of dates or numbers with the role time",
        todo="give one column the role time, or leave out time_window",
    )


def _lone(n: int, of: int) -> str:
    return (
        f"{n} of {of} different rows of a class have no other row of the same entity and time to be "
        "interpolated with: no new row starts from them"
    )


Labels = Literal["vote", "parent"]
_ANY = PairRule()


class Segments(Maker):
    """New rows between a real row and one of its k nearest ones.

    Parameters
    ----------
    class_rows : ClassPoints
        Rows of one class.
    k_neighbors : int
        Neighbours to choose from.
    labels : {"vote", "parent"}
        Where labels come from; see `minority.smote`.
    bond : Bond
        What the two rows of a pair must share. Seeds are the rows that have somebody to pair with.
    """

    stays_in_range: ClassVar[bool] = True

    def __init__(
        self, class_rows: ClassPoints, k_neighbors: int, labels: Labels, bond: PairRule = _ANY
    ) -> None:
        self.class_rows, self.labels = class_rows, labels
        self.neighbours = bond.neighbours(class_rows, k_neighbors)
        self.seeds: Positions = self.neighbours.seeds
        if len(class_rows) <= k_neighbors:
            warnings.warn(_few_rows(len(class_rows), k_neighbors), FewRowsWarning, stacklevel=2)

    def make(self, draws: RandomDraws) -> NewRows:
        """Return one row for each of `draws`."""
        chance = draws.uniform(PARENTS, 4)
        seeds = self.seeds[(chance[:, 0] * len(self.seeds)).astype(np.int64)]
        self.neighbours.find(seeds)
        others = self.neighbours.pick(seeds, chance[:, 1])
        # That little short of the end, no rounding of floats can carry a value past it.
        gap = np.minimum(chance[:, 2], 1 - 2.0**-40)
        cells = self.class_rows.cells
        start, made = (np.take(cells.numbers, rows, axis=0) for rows in (seeds, others))
        made -= start
        made *= gap[:, None]
        made += start
        nearer = np.where(gap < 0.5, seeds, others)
        if self.class_rows.has_gaps:
            rows, columns = np.nonzero(np.isnan(made))
            made[rows, columns] = cells.numbers[nearer[rows], columns]
        vote = self.labels == "vote"
        codes = self.neighbours.vote(seeds, chance[:, 3]) if vote else cells.codes[nearer]
        return NewRows(made, codes, np.column_stack([seeds, others]))


def _few_rows(n: int, k_neighbors: int) -> str:
    if n == 1:
        return "all rows of a class are equal: every row made from them is a copy"
    return f"a class has only {n} different rows: k_neighbors is {n - 1} instead of {k_neighbors}"

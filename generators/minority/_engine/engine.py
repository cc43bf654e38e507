"""Blocks of synthetic rows: makers of rows, rounding, rejection of copies, and the fitted samplers."""

from __future__ import annotations

import json
import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import FittedGenerator
from twinset.core.data.conditions import column_masks, parents_of, unmet
from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where

from .class_points import ClassPoints
from .matrices import Codes, Grid
from .streams import BLOCK_ROWS, CLASSES, ROUNDING, Floats, Positions, RandomDraws, Streams

_MAX_REDRAWS = (
    5  # of a row that copies a real one: where few values exist, a copy may be unavoidable
)
_ON_POINT = 1e-6  # of a step: nearer than this to a point, a value is on it but for its last bits


@dataclass(frozen=True)
class NewRows:
    """New rows; the parents of a maker are positions in its class, those of the engine in `fit`'s rows."""

    numbers: Floats  # shape (n, p), in the unit of the table; missing is NaN
    codes: Codes  # shape (n, c); missing is -1
    parents: Positions  # shape (n, 2)

    def put(self, rows: Positions, other: NewRows) -> None:
        """Write other rows in place of some of these."""
        self.numbers[rows], self.codes[rows] = other.numbers, other.codes
        self.parents[rows] = other.parents


class RowMaker(ABC):
    """Makes rows of one class: what differs between the samplers.

    Class attributes
    ----------------
    stays_in_range : bool
        Whether every number that it makes lies in the range of its class.
    """

    class_rows: ClassPoints
    stays_in_range: ClassVar[bool] = False

    @abstractmethod
    def make(self, draws: RandomDraws) -> NewRows:
        """Return one row for each of `draws`, from them alone, not yet rounded."""


@dataclass(frozen=True)
class Rounding:
    """Unbiased rounding of numbers to integers, decimals and whole days: up or down at random."""

    columns: Positions  # columns whose values lie on a grid of points
    # A value times `times` / `over` counts the points: 100 / 1 for cents, 1 / 86,400e6 for days.
    times: Floats
    over: Floats

    @classmethod
    def from_grid(cls, grid: Grid) -> Rounding:
        """Return the rounding that the columns of `grid` need."""
        steps = {i: c.step for i, c in enumerate(grid.number_columns) if c.step is not None}
        step = np.array(list(steps.values()), dtype=np.float64)
        # Cents are divided by 100 in the end, which gives the number that a file holds.
        times = np.where(step < 1, np.round(1 / np.where(step > 0, step, 1)), 1.0)
        return cls(np.array(list(steps), dtype=np.int64), times, np.maximum(step, 1.0))

    def apply(self, numbers: Floats, draws: RandomDraws) -> None:
        """Round the columns of `numbers` in place."""
        if not len(self.columns):
            return
        scaled = numbers[:, self.columns] * (self.times / self.over)
        points = np.floor(scaled)
        above = scaled - points
        above[above < _ON_POINT] = 0.0
        above[above > 1 - _ON_POINT] = 1.0
        points += draws.uniform(ROUNDING, len(self.columns)) < above
        points *= self.over
        points /= self.times
        numbers[:, self.columns] = points


class Engine:
    """The makers of all classes of a grid, each with its share of the rows; shares sum to 1."""

    def __init__(self, grid: Grid, makers: Sequence[RowMaker], shares: Floats) -> None:
        self.grid, self.makers, self.shares = grid, tuple(makers), shares
        self.rounding = Rounding.from_grid(grid)

    def blocks(self, streams: Streams, start: int, stop: int) -> Iterator[tuple[slice, NewRows]]:
        """Yield rows `start` to `stop` of the endless sequence of `streams`, with their places."""
        for block in range(start // BLOCK_ROWS, -(-stop // BLOCK_ROWS)):
            first = block * BLOCK_ROWS
            new = self._block(streams, block, min(stop - first, BLOCK_ROWS))
            skipped = max(start - first, 0)
            if skipped:
                new = NewRows(new.numbers[skipped:], new.codes[skipped:], new.parents[skipped:])
            at = first + skipped - start
            yield slice(at, at + len(new.numbers)), new

    def dataset(self, streams: Streams, start: int, stop: int) -> tuple[Dataset, Positions]:
        """Return rows `start` to `stop` of the sequence as a set, and their parents."""
        n, grid = stop - start, self.grid
        numbers = np.empty((len(grid.number_columns), n))
        codes = np.empty((len(grid.label_columns), n), dtype=np.int32)
        parents = np.empty((n, 2), dtype=np.int64)
        for rows, block in self.blocks(streams, start, stop):
            numbers[:, rows], codes[:, rows] = block.numbers.T, block.codes.T
            parents[rows] = block.parents
        return grid.to_dataset(numbers, codes), parents

    def _block(self, streams: Streams, block: int, n: int) -> NewRows:
        """Return the first n rows of one block."""
        if len(self.makers) == 1:
            return self._make(self.makers[0], RandomDraws(streams, block, np.arange(n)))
        new = NewRows(
            np.empty((n, len(self.grid.number_columns))),
            np.empty((n, len(self.grid.label_columns)), dtype=np.int32),
            np.empty((n, 2), dtype=np.int64),
        )
        class_of_row = apportion_rows(self.shares, n, streams.at(block, CLASSES))
        for i, maker in enumerate(self.makers):
            rows = np.flatnonzero(class_of_row == i)
            if len(rows):
                new.put(rows, self._make(maker, RandomDraws(streams, block, rows)))
        return new

    def _make(self, maker: RowMaker, draws: RandomDraws) -> NewRows:
        """Return rows of one maker; those that copy a real row are drawn again, a few times."""
        new, known = self._rounded(maker, draws), maker.class_rows.known
        copies = known.find_copies(new.numbers, new.codes)
        for attempt in range(1, _MAX_REDRAWS + 1):
            if not len(copies):
                break
            again = self._rounded(
                maker, RandomDraws(draws.streams, draws.block, draws.rows[copies], attempt)
            )
            new.put(copies, again)
            copies = copies[known.find_copies(again.numbers, again.codes)]
        return NewRows(new.numbers, new.codes, maker.class_rows.cells.origin[new.parents])

    def _rounded(self, maker: RowMaker, draws: RandomDraws) -> NewRows:
        new = maker.make(draws)
        self.rounding.apply(new.numbers, draws)
        if not maker.stays_in_range:
            np.clip(new.numbers, maker.class_rows.low, maker.class_rows.high, out=new.numbers)
        return new


def apportion_rows(shares: Floats, n: int, stream: np.random.Generator) -> npt.NDArray[np.intp]:
    """Return the class of each of n rows: the first m hold each class at nearly its share, for any m.

    Class i is due at the times (j + u) / share, u drawn once; the rows are these times in order.
    """
    offsets = stream.random(len(shares))
    due = [
        (np.arange(int(np.ceil(n * share)) + 2) + offset) / share
        for share, offset in zip(shares, offsets)
    ]
    classes = np.repeat(np.arange(len(due)), [len(times) for times in due])
    return classes[np.argsort(np.concatenate(due), kind="stable")[:n]]


_MAX_ROUNDS = 16  # of draws for a condition; after that it is taken as one that cannot be met
_MAX_DRAW = 65_536  # rows of one such draw, or 4 n: bounds the memory for conditions met seldom
_MAX_KEPT = 32  # conditions whose fit is kept: each holds a matrix of its rows

Fit = TypeVar("Fit")


class FittedByCondition(FittedGenerator, Generic[Fit]):
    """A traced generator that fits the rows that meet a condition when it is first drawn with.

    `train` holds no reserved column but `_id`.
    """

    def __init__(self, train: Dataset) -> None:
        self.train, self.schema = train, train.schema
        self._fits: OrderedDict[str, Fit] = OrderedDict()
        self._lock = threading.Lock()

    @abstractmethod
    def draw(
        self, n: int, rng: np.random.Generator, where: Where | None = None
    ) -> tuple[Dataset, Positions]:
        """Return `n` rows and the positions of their two parents, (n, 2); -1 if they have none."""

    @abstractmethod
    def _fit(self, grid: Grid, where: Where | None) -> Fit:
        """Return the fit to the rows of a grid, which meet `where`."""

    def sample(self, n: int, rng: np.random.Generator, where: Where | None = None) -> Dataset:
        """Return `n` rows; those of real rows with an `_id` name their parents, if there are any."""
        new, parents = self.draw(n, rng, where)
        column = None if (parents < 0).any() else parents_of(self.train, parents)
        if column is None:
            return new
        return Dataset(new.records.append_column("_parents", column), new.schema, new.card)

    def fill(self, out: Floats, rng: np.random.Generator, where: Where | None = None) -> Positions:
        """Write the numbers of the rows of `draw` into `out`, shape (n, p), and return the parents."""
        new, parents = self.draw(len(out), rng, where)
        for i, field in enumerate(new.schema.of_kind("number", "integer", "datetime")):
            out[:, i] = new.values(field.name)
        return parents

    def _fit_of(self, where: Where | None) -> Fit:
        key = "" if where is None else json.dumps(where.to_json(), sort_keys=True, default=str)
        with self._lock:
            if key not in self._fits:
                self._fits[key] = self._fit(self._grid(where), where)
                if len(self._fits) > _MAX_KEPT:
                    self._fits.popitem(last=False)
            return self._fits[key]

    def _grid(self, where: Where | None) -> Grid:
        rows, seeds = np.arange(len(self.train)), self.train
        if where is not None and where.conditions:
            column_masks(self.train, where)
            rows = np.flatnonzero(self.train.mask(where))
            seeds = self.train.take(rows)
        if len(rows) < 2:
            raise unmet(where or Where({}))
        return Grid.from_dataset(seeds, rows)


MakerOfClass = Callable[[Grid, Positions | None], RowMaker]
"""From the grid and the rows of one class (None: all of them) to the maker of that class."""


class FittedSampler(FittedByCondition[tuple[Engine, bool]]):
    """Rows of one class, or of each class at its share; see `Generator.fit` of the samplers."""

    def __init__(self, train: Dataset, maker_of_class: MakerOfClass) -> None:
        super().__init__(train)
        self.maker_of_class = maker_of_class

    def draw(
        self, n: int, rng: np.random.Generator, where: Where | None = None
    ) -> tuple[Dataset, Positions]:
        """Return `n` rows and the positions of the two real rows that each was made from, (n, 2)."""
        (engine, always), streams = self._fit_of(where), Streams.from_rng(rng)
        if where is None or always:
            return engine.dataset(streams, 0, n)
        kept, parents, found, at = [], [], 0, 0
        size = max(n, 1)
        for _ in range(_MAX_ROUNDS):
            new, origin = engine.dataset(streams, at, at + size)
            meets = new.mask(where)
            kept.append(new.filter(meets))
            parents.append(origin[meets])
            found, at = found + len(kept[-1]), at + size
            if found >= n:
                return Dataset.concat(kept).slice(0, n), np.concatenate(parents)[:n]
            size = min(int(1.2 * (n - found) * at / max(found, 1)) + 1, max(4 * n, _MAX_DRAW))
        raise unmet(where)

    def fill(self, out: Floats, rng: np.random.Generator, where: Where | None = None) -> Positions:
        """Write the numbers of the rows of `draw` into `out`, shape (n, p), without Arrow."""
        engine, always = self._fit_of(where)
        if not always:
            return super().fill(out, rng, where)
        streams, parents = Streams.from_rng(rng), np.empty((len(out), 2), dtype=np.int64)
        for rows, block in engine.blocks(streams, 0, len(out)):
            out[rows], parents[rows] = block.numbers, block.parents
        return parents

    def _fit(self, grid: Grid, where: Where | None) -> tuple[Engine, bool]:
        groups, shares = classes_of(grid)
        engine = Engine(grid, [self.maker_of_class(grid, group) for group in groups], shares)
        return engine, where is None or _always_holds(grid, where)


def _always_holds(grid: Grid, where: Where) -> bool:
    """Return whether every new row meets `where`: its columns hold one value each."""
    numbers = zip(grid.number_columns, grid.numbers.T)
    labels = zip(grid.label_columns, grid.codes.T)
    constant = {
        column.field.name
        for column, values in [*numbers, *labels]
        if column.field.name in where.conditions and (values == values[0]).all()
    }
    return set(where.conditions) <= constant


def classes_of(grid: Grid) -> tuple[list[Positions | None], Floats]:
    """Return the rows of each label of the target, and the share of each.

    Labels of a single row have no other to interpolate with: their share is drawn among all rows,
    the last entry, None.
    """
    target = grid.schema.target
    names = [column.field.name for column in grid.label_columns]
    if target is None or target.name not in names:
        return [None], np.ones(1)
    codes = grid.codes[:, names.index(target.name)]
    found, counts = np.unique(codes, return_counts=True)
    if len(found) == 1:
        return [None], np.ones(1)
    groups: list[Positions | None] = [np.flatnonzero(codes == c) for c in found[counts > 1]]
    sizes = [int(count) for count in counts[counts > 1]]
    singles = int((counts == 1).sum())
    if singles:
        groups.append(None)
        sizes.append(singles)
    return groups, np.array(sizes) / len(codes)

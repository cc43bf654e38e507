"""Blocks of synthetic rows: makers, rounding, rejection of copies, and the fitted generator."""

from __future__ import annotations

import json
import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.contracts import FittedGenerator
from twinset.core.data.conditions import column_masks, unmet
from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where

from .class_points import ClassPoints
from .matrices import Codes, Grid
from .streams import BLOCK_ROWS, CLASSES, ROUNDING, Floats, Positions, RandomDraws, Streams

_REDRAWS = 5


@dataclass(frozen=True)
class NewRows:
    """New rows.

    Parameters
    ----------
    numbers : numpy.ndarray, shape (n, p)
        In the unit of the table; missing is NaN.
    codes : numpy.ndarray of int32, shape (n, c)
        Labels; missing is -1.
    parents : numpy.ndarray of int64, shape (n, 2)
        Of a maker: positions in the class. Of the engine: positions in the rows given to `fit`.
    """

    numbers: Floats
    codes: Codes
    parents: Positions


class Maker(ABC):
    """A way to make rows of one class: what differs between the samplers.

    Class attributes
    ----------------
    stays_in_range : bool
        Whether no number that it makes can lie outside the range of its class.
    """

    class_rows: ClassPoints
    stays_in_range: ClassVar[bool] = False

    @abstractmethod
    def make(self, draws: RandomDraws) -> NewRows:
        """Return one row for each of `draws`, from them alone, not yet rounded."""


@dataclass(frozen=True)
class Rounding:
    """How numbers come back to integers, decimals and whole days: up or down at random, unbiased.

    Parameters
    ----------
    columns : numpy.ndarray of int64
        Columns that lie on a grid of points.
    times, over : numpy.ndarray
        A value times `times` / `over` counts the points: 100 / 1 for cents, 1 / 86,400e6 for days.
    """

    columns: Positions
    times: Floats
    over: Floats

    @classmethod
    def of(cls, grid: Grid) -> Rounding:
        """Return the rounding that the columns of `grid` need."""
        steps = {i: c.step for i, c in enumerate(grid.number_columns) if c.step is not None}
        step = np.array(list(steps.values()), dtype=np.float64)
        # Cents are divided by 100 in the end, which gives the very number that a file says.
        times = np.where(step < 1, np.round(1 / np.where(step > 0, step, 1)), 1.0)
        return cls(np.array(list(steps), dtype=np.int64), times, np.maximum(step, 1.0))

    def apply(self, numbers: Floats, draws: RandomDraws) -> None:
        """Round the columns of `numbers` in place."""
        if not len(self.columns):
            return
        scaled = numbers[:, self.columns] * (self.times / self.over)
        points = np.floor(scaled)
        above = scaled - points
        # A value that is on its point but for the last bits stays there.
        above[above < 1e-6] = 0.0
        above[above > 1 - 1e-6] = 1.0
        points += draws.uniform(ROUNDING, len(self.columns)) < above
        points *= self.over
        points /= self.times
        numbers[:, self.columns] = points


class Engine:
    """One or several makers that take turns, each with its share of the rows.

    Parameters
    ----------
    grid : Grid
        The rows learnt from.
    makers : sequence of Maker
        One for each class.
    shares : numpy.ndarray
        Share of the rows that each makes; they sum to 1.
    """

    def __init__(self, grid: Grid, makers: Sequence[Maker], shares: Floats) -> None:
        self.grid, self.makers, self.shares = grid, tuple(makers), shares
        self.rounding = Rounding.of(grid)

    def blocks(self, streams: Streams, start: int, stop: int) -> Iterator[tuple[slice, NewRows]]:
        """Yield rows `start` to `stop` of the endless sequence of `streams`, with their places."""
        for block in range(start // BLOCK_ROWS, -(-stop // BLOCK_ROWS)):
            first = block * BLOCK_ROWS
            made = self._block(streams, block, min(stop - first, BLOCK_ROWS))
            skipped = max(start - first, 0)
            if skipped:
                made = NewRows(made.numbers[skipped:], made.codes[skipped:], made.parents[skipped:])
            at = first + skipped - start
            yield slice(at, at + len(made.numbers)), made

    def _block(self, streams: Streams, block: int, n: int) -> NewRows:
        """Return the first n rows of one block."""
        if len(self.makers) == 1:
            return self._make(self.makers[0], RandomDraws(streams, block, np.arange(n)))
        whose = assign_makers(self.shares, n, streams.at(block, CLASSES))
        made = NewRows(
            np.empty((n, len(self.grid.number_columns))),
            np.empty((n, len(self.grid.label_columns)), dtype=np.int32),
            np.empty((n, 2), dtype=np.int64),
        )
        for i, maker in enumerate(self.makers):
            rows = np.flatnonzero(whose == i)
            if len(rows):
                _put(made, rows, self._make(maker, RandomDraws(streams, block, rows)))
        return made

    def _make(self, maker: Maker, draws: RandomDraws) -> NewRows:
        """Return rows of one maker; those that copy a real row are drawn again, a few times."""
        made = self._finished(maker, draws)
        copies = maker.class_rows.known.among(made.numbers, made.codes)
        for attempt in range(1, _REDRAWS + 1):
            if not len(copies):
                break
            fewer = RandomDraws(draws.streams, draws.block, draws.rows[copies], attempt)
            again = self._finished(maker, fewer)
            _put(made, copies, again)
            copies = copies[maker.class_rows.known.among(again.numbers, again.codes)]
        return NewRows(made.numbers, made.codes, maker.class_rows.cells.origin[made.parents])

    def _finished(self, maker: Maker, draws: RandomDraws) -> NewRows:
        made = maker.make(draws)
        self.rounding.apply(made.numbers, draws)
        if not maker.stays_in_range:
            np.maximum(made.numbers, maker.class_rows.low, out=made.numbers)
            np.minimum(made.numbers, maker.class_rows.high, out=made.numbers)
        return made


def _put(made: NewRows, rows: Positions, some: NewRows) -> None:
    made.numbers[rows], made.codes[rows], made.parents[rows] = (
        some.numbers,
        some.codes,
        some.parents,
    )


def assign_makers(shares: Floats, n: int, stream: np.random.Generator) -> npt.NDArray[np.intp]:
    """Return which maker makes each of n rows: every beginning holds each at nearly its share.

    Maker i is due at the times (j + u) / share, u drawn once; the rows are these times in order.
    """
    offsets = stream.random(len(shares))
    due = [
        (np.arange(int(np.ceil(n * share)) + 2) + offset) / share
        for share, offset in zip(shares, offsets, strict=True)
    ]
    assign_makers = np.repeat(np.arange(len(due)), [len(times) for times in due])
    return assign_makers[np.argsort(np.concatenate(due), kind="stable")[:n]]


MakeMaker = Callable[[Grid, Positions | None], Maker]
"""From the grid and the rows of one class (None: all of them) to the maker of that class."""

_ROUNDS = 16
_LARGEST_DRAW = 65_536
_KEPT_ENGINES = 32


class FittedSampler(FittedGenerator):
    """Rows of one class, or of each class at its share; see `Generator.fit` of the samplers.

    Parameters
    ----------
    train : Dataset
        The rows learnt from, without reserved columns other than `_id`.
    make_maker : callable
        Builds the maker of one class.
    least : int
        Fewest rows of a class to make others from.
    """

    def __init__(self, train: Dataset, make_maker: MakeMaker, least: int = 2) -> None:
        self.train, self.schema = train, train.schema
        self.make_maker, self.least = make_maker, least
        self._engines: OrderedDict[str, tuple[Engine, bool]] = OrderedDict()
        self._lock = threading.Lock()

    def sample(self, n: int, rng: np.random.Generator, where: Where | None = None) -> Dataset:
        """Return `n` rows; those of real rows with an `_id` name their parents."""
        made, parents = self.draw(n, rng, where)
        column = parents_column(self.train, parents)
        if column is None:
            return made
        return Dataset(made.records.append_column("_parents", column), made.schema, made.card)

    def draw(
        self, n: int, rng: np.random.Generator, where: Where | None = None
    ) -> tuple[Dataset, Positions]:
        """Return `n` rows and the positions of the two real rows that each was made from, (n, 2)."""
        (engine, always), streams = self._engine(where), Streams.of(rng)
        if where is None or always:
            return _rows(engine, streams, 0, n)
        kept, parents, found, at = [], [], 0, 0
        size = max(n, 1)
        for _ in range(_ROUNDS):
            made, whose = _rows(engine, streams, at, at + size)
            meets = made.mask(where)
            kept.append(made.filter(meets))
            parents.append(whose[meets])
            found, at = found + len(kept[-1]), at + size
            if found >= n:
                return Dataset.concat(kept).slice(0, n), np.concatenate(parents)[:n]
            size = min(int(1.2 * (n - found) * at / max(found, 1)) + 1, max(4 * n, _LARGEST_DRAW))
        raise unmet(where)

    def fill(self, out: Floats, rng: np.random.Generator, where: Where | None = None) -> Positions:
        """Write rows into `out`, shape (n, p): one column a number, integer or datetime; see `draw`.

        The same rows as `draw` gives, for tables of numbers that shall not pass through Arrow.
        """
        engine, always = self._engine(where)
        if not always:
            made, parents = self.draw(len(out), rng, where)
            for i, column in enumerate(engine.grid.number_columns):
                out[:, i] = made.values(column.field.name)
            return parents
        streams, parents = Streams.of(rng), np.empty((len(out), 2), dtype=np.int64)
        for rows, block in engine.blocks(streams, 0, len(out)):
            out[rows], parents[rows] = block.numbers, block.parents
        return parents

    def _engine(self, where: Where | None) -> tuple[Engine, bool]:
        """Return the engine of the rows that meet `where`, and whether all that it makes does."""
        key = "" if where is None else json.dumps(where.to_json(), sort_keys=True, default=str)
        with self._lock:
            if key not in self._engines:
                engine = self._build(where)
                always = where is None or _always_holds(engine.grid, where)
                self._engines[key] = engine, always
                if len(self._engines) > _KEPT_ENGINES:
                    self._engines.popitem(last=False)
            return self._engines[key]

    def _build(self, where: Where | None) -> Engine:
        rows = np.arange(len(self.train))
        seeds = self.train
        if where is not None and where.conditions:
            column_masks(self.train, where)
            rows = np.flatnonzero(self.train.mask(where))
            seeds = self.train.take(rows)
        if len(rows) < self.least:
            raise unmet(where or Where({}))
        grid = Grid.of(seeds, rows)
        groups, shares = classes_of(grid)
        return Engine(grid, [self.make_maker(grid, group) for group in groups], shares)


def _always_holds(grid: Grid, where: Where) -> bool:
    """Return whether all that can be made meets `where`: its columns hold one value each."""
    numbers = zip(grid.number_columns, grid.numbers.T, strict=True)
    labels = zip(grid.label_columns, grid.codes.T, strict=True)
    constant = {
        column.field.name
        for column, values in [*numbers, *labels]
        if column.field.name in where.conditions and (values == values[0]).all()
    }
    return set(where.conditions) <= constant


def classes_of(grid: Grid) -> tuple[list[Positions | None], Floats]:
    """Return the rows of each label of the target as a class of its own, and the share of each.

    Labels of a single row have nothing to lie between: their share is drawn among all rows.
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


def _rows(engine: Engine, streams: Streams, start: int, stop: int) -> tuple[Dataset, Positions]:
    """Return rows `start` to `stop` of the sequence as a set, and their parents."""
    n, grid = stop - start, engine.grid
    numbers = np.empty((len(grid.number_columns), n))
    codes = np.empty((len(grid.label_columns), n), dtype=np.int32)
    parents = np.empty((n, 2), dtype=np.int64)
    for rows, block in engine.blocks(streams, start, stop):
        numbers[:, rows], codes[:, rows], parents[rows] = (
            block.numbers.T,
            block.codes.T,
            block.parents,
        )
    return grid.to_dataset(numbers, codes), parents


def parents_column(train: Dataset, parents: Positions) -> pa.Array | None:
    """Return a `_parents` column that names one or two train rows each; None if they have no `_id`."""
    if "_id" not in train.records.column_names:
        return None
    differ = parents[:, 0] != parents[:, 1]
    named = parents.ravel()[np.column_stack([np.ones_like(differ), differ]).ravel()]
    ids = train.records.column("_id").combine_chunks().take(pa.array(named))
    offsets = np.concatenate([[0], np.cumsum(1 + differ)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), ids)

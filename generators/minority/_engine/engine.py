"""The engine of all samplers of this folder: rows block by block, rounded, in range, and no copies."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

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
        Of a maker: positions in the crowd. Of the engine: positions in the rows given to `fit`.
    """

    numbers: Floats
    codes: Codes
    parents: Positions


class Maker(ABC):
    """A way to make rows of one crowd: what differs between the samplers.

    Class attributes
    ----------------
    stays_in_range : bool
        Whether no number that it makes can lie outside the range of its crowd.
    """

    crowd: ClassPoints
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
        One for each crowd.
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
        copies = maker.crowd.known.among(made.numbers, made.codes)
        for attempt in range(1, _REDRAWS + 1):
            if not len(copies):
                break
            fewer = RandomDraws(draws.streams, draws.block, draws.rows[copies], attempt)
            again = self._finished(maker, fewer)
            _put(made, copies, again)
            copies = copies[maker.crowd.known.among(again.numbers, again.codes)]
        return NewRows(made.numbers, made.codes, maker.crowd.cells.origin[made.parents])

    def _finished(self, maker: Maker, draws: RandomDraws) -> NewRows:
        made = maker.make(draws)
        self.rounding.apply(made.numbers, draws)
        if not maker.stays_in_range:
            np.maximum(made.numbers, maker.crowd.low, out=made.numbers)
            np.minimum(made.numbers, maker.crowd.high, out=made.numbers)
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

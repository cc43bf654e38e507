"""Empirical margins: how one column becomes normal scores, and uniforms become its values again."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Margin:
    """The distribution of one encoded column, as cells of the unit interval, one a distinct value.

    A value that holds p of the rows owns a cell of width p, in ascending order of the values. Ties
    need no special case: a category, a heap at zero and a continuous column differ only in how
    wide their cells are.

    Parameters
    ----------
    values : numpy.ndarray
        Distinct values in the order of their cells, shape (k,).
    edges : numpy.ndarray
        Ends of the cells, shape (k + 1,), from 0 to 1.
    exact : numpy.ndarray
        Which values are drawn exactly, shape (k,); in the cells of the others `value_at` goes
        evenly from halfway to the value before to halfway to the value after.
    """

    values: Floats
    edges: Floats
    exact: npt.NDArray[np.bool_]

    @classmethod
    def of_numbers(cls, column: Floats, min_repeats: int) -> Margin:
        """Return the margin of a numeric column; values with `min_repeats` rows or more are exact."""
        values, counts = np.unique(column, return_counts=True)
        return cls(values, _edges(counts), counts >= min_repeats)

    @classmethod
    def of_codes(cls, column: Floats, order: npt.NDArray[np.int64]) -> Margin:
        """Return the margin of a column of codes whose cells stand in the given order."""
        counts = np.bincount(column.astype(np.int64), minlength=len(order))
        return cls(order.astype(np.float64), _edges(counts[order]), np.ones(len(order), bool))

    def cells(self, column: Floats) -> npt.NDArray[np.int64]:
        """Return the cell of each value, shape (n,); every value must be one of `values`."""
        ascending = np.argsort(self.values)
        # Looking values up in ascending order is several times faster than at random.
        rows = np.argsort(column)
        cells = np.empty(len(column), dtype=np.int64)
        cells[rows] = ascending[np.searchsorted(self.values, column[rows], sorter=ascending)]
        return cells

    def scores(self, column: Floats) -> Floats:
        """Return the mean standard-normal score in each value's cell, shape (n,); mean 0.

        In a narrow cell this is the usual normal score; in a wide one it is what can be known of
        the score from the value, so its variance over the rows is below 1.
        """
        from scipy.special import ndtri

        ends = ndtri(self.edges)
        density = np.exp(-0.5 * ends**2) / np.sqrt(2 * np.pi)
        widths = np.diff(self.edges)
        means = np.divide(-np.diff(density), widths, out=np.zeros_like(widths), where=widths > 0)
        return np.asarray(means[self.cells(column)])

    def uniform_in_cell(self, column: Floats, rng: np.random.Generator) -> Floats:
        """Return a uniform number from the cell of each value, shape (n,)."""
        cells = self.cells(column)
        low, high = self.edges[cells], self.edges[cells + 1]
        return np.asarray(low + (high - low) * rng.random(len(column)))

    def value_at(self, uniform: Floats) -> Floats:
        """Return the value at each point of the unit interval, shape (n,)."""
        if self.exact.all():
            cells = np.searchsorted(self.edges[1:-1], uniform, side="right")
            return np.asarray(self.values[cells])
        rows = np.argsort(uniform)
        values = np.empty(len(uniform))
        values[rows] = np.interp(uniform[rows], *self.corners)
        return values

    @cached_property
    def corners(self) -> tuple[Floats, Floats]:
        """Both ends of every cell, and the values there: corners of the inverse distribution."""
        halfway = 0.5 * (self.values[:-1] + self.values[1:])
        lower = np.where(self.exact, self.values, np.append(self.values[0], halfway))
        upper = np.where(self.exact, self.values, np.append(halfway, self.values[-1]))
        ends = np.column_stack([self.edges[:-1], self.edges[1:]])
        return ends.ravel(), np.column_stack([lower, upper]).ravel()


def _edges(counts: npt.NDArray[np.int64]) -> Floats:
    total = max(int(counts.sum()), 1)
    edges = np.append(0.0, np.cumsum(counts) / total)
    edges[-1] = 1.0
    return edges

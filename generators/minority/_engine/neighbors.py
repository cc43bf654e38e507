"""Exact nearest neighbors of rows with numbers, labels and missing values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from .matrices import Codes, DistinctRows, Floats, Grid, Positions

Singles = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Scale:
    """The distance of two rows: numbers in standard deviations, labels and gaps as one of these.

    The squared distance is the sum of the squared differences of numbers, each divided by its standard
    deviation, and of 1 for every label that differs and every number that only one of the rows lacks.
    Columns that hold one value do not count.
    """

    columns: Positions  # numbers that count
    center: Floats  # their means
    spread: Floats  # their standard deviations
    labels: Positions  # labels that count

    @classmethod
    def fit(cls, cells: DistinctRows) -> Scale:
        """Return the scale of these rows."""
        center, spread = np.zeros((2, cells.numbers.shape[1]))
        for i, values in enumerate(cells.numbers.T):
            present = values[~np.isnan(values)]
            if len(present):
                center[i], spread[i] = present.mean(), present.std()
                # A column without a deviation may still be missing here and there.
                if spread[i] <= 1e-12 * abs(center[i]):
                    spread[i] = 1.0 if len(present) < len(values) else 0.0
        labels = np.flatnonzero((cells.codes != cells.codes[:1]).any(axis=0))
        kept = np.flatnonzero(spread > 0)
        return cls(kept, center[kept], spread[kept], labels)


@dataclass(frozen=True)
class Points:
    """Rows laid out for the search: one product of matrices gives nearly their distances."""

    scale: Scale
    values: Floats  # scaled numbers, shape (m, p); missing is NaN
    codes: npt.NDArray[np.integer]  # labels, shape (c, m)
    has_gaps: Mask = field(repr=False)  # columns with missing values, shape (p,)

    @classmethod
    def from_arrays(cls, scale: Scale, numbers: Floats, codes: Codes) -> Points:
        """Return rows with these numbers, shape (m, p), and codes, shape (m, c)."""
        values = np.ascontiguousarray((numbers[:, scale.columns] - scale.center) / scale.spread)
        kept = codes[:, scale.labels].T
        top = int(kept.max(initial=0))
        small = np.int8 if top < 127 else np.int16 if top < 32_767 else np.int32
        has_gaps = np.asarray(np.isnan(values.sum(axis=0)))
        return cls(scale, values, np.ascontiguousarray(kept, small), has_gaps)

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: slice | Positions) -> Points:
        """Return some of the rows."""
        return Points(self.scale, self.values[rows], self.codes[:, rows], self.has_gaps)

    @staticmethod
    def concat(parts: Sequence[Points]) -> Points:
        """Return the rows of all parts, one after the other."""
        return Points(
            parts[0].scale,
            np.concatenate([part.values for part in parts]),
            np.concatenate([part.codes for part in parts], axis=1),
            np.asarray(np.any([part.has_gaps for part in parts], axis=0)),
        )

    def factors(self, gaps: Mask) -> tuple[Singles, Singles, Floats]:
        """Return a factor of the rows as queries, (m, w), one as references, and lengths, (m,).

        The product of two factors is the squared distance of numbers less the length of the query.
        """
        present = (~np.isnan(self.values[:, gaps])).astype(np.float64)
        filled = np.nan_to_num(self.values) if gaps.any() else self.values
        squares = filled[:, gaps] ** 2
        lengths = (filled[:, ~gaps] ** 2).sum(axis=1) + present.sum(axis=1)
        ones = np.ones((len(filled), 1))
        query = np.hstack([-2 * filled, squares - 2 * present, present, ones])
        reference = np.hstack([filled, present, squares, lengths[:, None]])
        return query.astype(np.float32), reference.astype(np.float32), lengths


class ClassPoints:
    """Rows that new ones are made from, each once, with the range of every number."""

    def __init__(self, grid: Grid, rows: Positions | None = None) -> None:
        self.grid = grid
        self.cells = DistinctRows.from_grid(grid, rows)
        numbers = self.cells.numbers
        self.has_gaps = bool(np.isnan(numbers).any())
        self.low = np.where(np.isnan(numbers), np.inf, numbers).min(axis=0)
        self.high = np.where(np.isnan(numbers), -np.inf, numbers).max(axis=0)
        self.scale = Scale.fit(self.cells)

    def __len__(self) -> int:
        return len(self.cells)


_QUERIES, _TILE = 256, 4_096  # rows compared at a time: 4 MB, which fit the caches of a core
_EPSILON = 2.0**-23  # of single precision
_TIE = 2.0**-13  # a step between equal scores of labels; times 4,096 rows it stays below 1

Settled = Callable[[Floats, Positions], Mask]
"""Called as ``settled(squared, queries)``: which of these queries, shape (a,), need no more rows."""


def nearest_points(
    points: Points, k: int, *, rows: Positions | None = None
) -> tuple[Floats, Positions]:
    """Return squared distances and positions of the `k` nearest other rows of `rows`, (q, k) each."""
    search = Search(points, np.arange(len(points)) if rows is None else rows, k)
    search.add(points, own=True)
    return search.squared, search.indices


class Search:
    """The k nearest of all reference rows added so far; of equally near rows the first ones.

    A product of matrices in single precision names the candidates, with a margin for its rounding;
    these are then measured in double precision. So the result depends neither on the number of
    threads nor on blocks.

    Parameters
    ----------
    query, rows : Points, numpy.ndarray of int64, shape (q,)
        Query rows, and which of them.
    k : int
        Number of neighbors.
    within : numpy.ndarray, shape (q,), optional
        Squared distance beyond which neighbors are not needed.
    settled : callable, optional
        Which queries need no more rows.
    """

    def __init__(
        self,
        query: Points,
        rows: Positions,
        k: int,
        within: Floats | None = None,
        settled: Settled | None = None,
    ) -> None:
        self.query, self.rows, self.settled = query, rows, settled
        self.within = np.full(len(rows), np.inf) if within is None else within
        # Ascending; infinite and -1 where there are fewer than k.
        self.squared = np.full((len(rows), k), np.inf)
        self.indices = np.full((len(rows), k), -1, dtype=np.int64)
        self._is_active = np.ones(len(rows), dtype=bool)

    def add(
        self,
        reference: Points,
        *,
        start: int = 0,
        own: bool = False,
        only: Positions | None = None,
    ) -> None:
        """Search among more rows, in the scale of the query; `start` is added to their positions.

        With `own` they are the query itself, and no row is its own neighbor. `only` names the queries
        that take part, by default all that are not settled.
        """
        active = np.flatnonzero(self._is_active) if only is None else only[self._is_active[only]]
        gaps = self.query.has_gaps | reference.has_gaps
        for first in range(0, len(reference), _TILE):
            tile = reference.take(slice(first, first + _TILE))
            right = tile.factors(gaps)[1]
            for begin in range(0, len(active), _QUERIES):
                at = active[begin : begin + _QUERIES]
                score, lengths = self._scores(at, tile, right, gaps)
                if own:
                    itself = self.rows[at] - first
                    here = np.flatnonzero((itself >= 0) & (itself < len(tile)))
                    score[here, itself[here]] = np.inf
                self._improve(tile, first + start, at, score, lengths)
            if self.settled is not None:
                self._is_active[active] = ~self.settled(self.squared[active], active)
                active = active[self._is_active[active]]

    def _scores(
        self, at: Positions, tile: Points, right: Singles, gaps: Mask
    ) -> tuple[Singles, Floats]:
        """Return nearly the squared distances, (a, r), less the lengths of the queries, and these."""
        queries = self.query.take(self.rows[at])
        left, _, lengths = queries.factors(gaps)
        score = left @ right.T
        for own, theirs in zip(queries.codes, tile.codes):
            score += own[:, None] != theirs
        if not len(self.query.scale.columns):
            # Labels alone tie all the time: the position decides, as it would in the end.
            score += (np.arange(len(tile)) * _TIE).astype(np.float32)
        return score, lengths

    def _improve(
        self, tile: Points, start: int, at: Positions, score: Singles, lengths: Floats
    ) -> None:
        """Put the rows of the tile among the best so far."""
        k, kth = self.squared.shape[1], self.squared[at, -1]
        bound = np.minimum(kth, self.within[at]) - lengths
        unknown = np.flatnonzero(np.isinf(bound))
        if len(unknown) and k <= len(tile):
            bound[unknown] = np.partition(score[unknown], k - 1, axis=1)[:, k - 1]
        # A row within the bound is not much longer than the query, which bounds every term.
        reach = 2 * np.sqrt(lengths) + np.sqrt(np.maximum(bound + lengths, 0))
        width = len(self.query.scale.columns) * 4 + len(tile.codes) + 4
        exact = not len(self.query.scale.columns)  # whole numbers and their ties are exact
        bound += _TIE / 2 if exact else 2 * width * _EPSILON * (reach**2 + 1)
        limit = np.minimum(bound, np.finfo(np.float32).max).astype(np.float32)
        queries, near = np.nonzero(score <= limit[:, None])
        squared = pair_distances(self.query, self.rows[at][queries], tile, near)
        better = np.flatnonzero(squared <= kth[queries])
        if len(better):
            self._merge(at[queries[better]], squared[better], near[better] + start)

    def _merge(self, queries: Positions, squared: Floats, index: Positions) -> None:
        """Keep the k best of those known and these, for the queries they belong to."""
        touched, query = np.unique(queries, return_inverse=True)
        n, k = len(touched), self.squared.shape[1]
        query = np.concatenate([np.repeat(np.arange(n), k), query])
        squared = np.concatenate([self.squared[touched].ravel(), squared])
        indices = np.concatenate([self.indices[touched].ravel(), index])
        order = np.lexsort((indices, squared, query))
        query = query[order]
        rank = np.arange(len(order)) - np.searchsorted(query, np.arange(n))[query]
        kept = order[rank < k]
        self.squared[touched] = squared[kept].reshape(n, k)
        self.indices[touched] = indices[kept].reshape(n, k)


def pair_distances(query: Points, left: Positions, reference: Points, right: Positions) -> Floats:
    """Return the squared distance of each pair of rows, as `Scale` defines it."""
    difference = query.values[left] - reference.values[right]
    difference *= difference
    if query.has_gaps.any() or reference.has_gaps.any():
        gap, other = np.isnan(query.values[left]), np.isnan(reference.values[right])
        difference = np.where(gap | other, gap != other, difference)
    squared = difference.sum(axis=1)
    for own, theirs in zip(query.codes, reference.codes):
        squared += own[left] != theirs[right]
    return np.asarray(squared)

"""Exact nearest neighbors of rows with numbers, labels and missing values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from .matrices import Codes, DistinctRows
from .streams import Floats, Positions

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
    values: Floats | Singles  # scaled numbers, shape (m, p); missing is NaN
    codes: npt.NDArray[np.integer]  # labels, shape (c, m)
    has_gaps: Mask = field(repr=False)  # columns with missing values, shape (p,)

    @classmethod
    def from_arrays(
        cls, scale: Scale, numbers: Floats, codes: Codes, *, single: bool = False
    ) -> Points:
        """Return rows with these numbers, shape (m, p), and codes, shape (m, c).

        With `single` they are kept in single precision, for many rows and a search that is not exact.
        """
        by_column = np.empty((len(scale.columns), len(numbers)))
        for i, column in enumerate(scale.columns):
            np.subtract(numbers[:, column], scale.center[i], out=by_column[i])
            by_column[i] /= scale.spread[i]
        turned = by_column.T
        values = turned.astype(np.float32, order="C") if single else np.ascontiguousarray(turned)
        kept = codes[:, scale.labels].T
        top = int(kept.max(initial=0))
        small = np.int8 if top < 127 else np.int16 if top < 32_767 else np.int32
        has_gaps = np.asarray(np.isnan(values.sum(axis=0)))
        return cls(scale, values, np.ascontiguousarray(kept, small), has_gaps)

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: slice | Positions) -> Points:
        """Return some of the rows."""
        # Several times faster than indexing with positions; a slice copies nothing.
        values = self.values[rows] if isinstance(rows, slice) else self.values.take(rows, axis=0)
        return Points(self.scale, values, self.codes[:, rows], self.has_gaps)

    @staticmethod
    def concat(parts: Sequence[Points]) -> Points:
        """Return the rows of all parts, one after the other."""
        return Points(
            parts[0].scale,
            np.concatenate([part.values for part in parts]),
            np.concatenate([part.codes for part in parts], axis=1),
            np.asarray(np.any([part.has_gaps for part in parts], axis=0)),
        )

    def query_factor(self, rows: Positions, gaps: Mask) -> tuple[Singles, Floats]:
        """Return the factor of query rows, (w, q), and what the product lacks to the distance, (q,)."""
        present, filled = self._fill(rows, gaps)
        wide = [-2 * filled, filled[:, gaps] ** 2 - 2 * present, present, np.ones((len(filled), 1))]
        lengths = (filled[:, ~gaps] ** 2).sum(axis=1) + present.sum(axis=1)
        return np.ascontiguousarray(np.hstack(wide).astype(np.float32).T), lengths

    def reference_factor(self, rows: slice, gaps: Mask) -> Singles:
        """Return the factor of reference rows, shape (r, w)."""
        if not gaps.any():
            values = self.values[rows]
            factor = np.empty((len(values), values.shape[1] + 1), dtype=np.float32)
            factor[:, :-1] = values
            np.einsum("ij,ij->i", values, values, out=factor[:, -1], casting="same_kind")
            return factor
        present, filled = self._fill(rows, gaps)
        length = (filled[:, ~gaps] ** 2).sum(axis=1) + present.sum(axis=1)
        wide = [filled, present, filled[:, gaps] ** 2, length[:, None]]
        return np.hstack(wide).astype(np.float32)

    def _fill(self, rows: slice | Positions, gaps: Mask) -> tuple[Floats, Floats]:
        """Return where columns with gaps hold a value, and all values with 0 in the gaps."""
        values = self.values[rows].astype(np.float64, copy=False)
        present = (~np.isnan(values[:, gaps])).astype(np.float64)
        return present, np.nan_to_num(values) if gaps.any() else values


# A tile of scores (4,096 x 512 singles, 8 MB) and a piece of it (1 MB) fit the caches of a core. Larger
# ones are slower, smaller ones lose to the cost of a call; the result does not depend on them.
_QUERIES, _TILE, _PIECE = 512, 4_096, 512
_GROUP = 32  # rows that share one least score, by which most of a tile is passed over
_TIE = 2.0**-13  # a step between equal scores of labels; times 4,096 rows it stays below 1

Settled = Callable[[Floats, Positions], Mask]
"""Called as ``settled(squared, queries)``: which of these queries, shape (a,), need no more rows."""


def nearest_points(
    points: Points, k: int, *, rows: Positions | None = None
) -> tuple[Floats, Positions]:
    """Return squared distances and positions of the `k` nearest other rows, both of shape (q, k).

    Nearest first; of rows at the same distance the first one. `rows` are the queries, all by default.
    """
    search = Search(points, np.arange(len(points)) if rows is None else rows, k)
    search.add(points, own=True)
    return search.squared, search.indices


class Search:
    """The k nearest of all reference rows added so far.

    A product of matrices in single precision names the candidates, with a margin for its rounding;
    these are then measured in double precision. So the result depends neither on the number of
    threads nor on how rows are divided into blocks.

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
        self._factors: dict[bytes, tuple[Singles, Floats]] = {}
        self._workspace = _Workspace()

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
            tile = _Tile.from_points(reference, first, start, gaps)
            for begin in range(0, len(active), _QUERIES):
                self._improve(tile, active[begin : begin + _QUERIES], own)
            if self.settled is not None:
                self._is_active[active] = ~self.settled(self.squared[active], active)
                active = active[self._is_active[active]]

    def _improve(self, tile: _Tile, at: Positions, own: bool) -> None:
        """Put the rows of the tile among the best so far."""
        key = tile.gaps.tobytes()
        if key not in self._factors:
            self._factors[key] = self.query.query_factor(self.rows, tile.gaps)
        left, lengths = self._factors[key]
        rows, lengths = self.rows[at], lengths[at]
        itself = rows - (tile.first + tile.start) if own else None
        score, groups = self._workspace.score(tile, left[:, at], self.query.codes[:, rows], itself)
        k = self.squared.shape[1]
        kth = self.squared[at, -1]
        bound = np.minimum(kth, self.within[at]) - lengths
        unknown = np.flatnonzero(np.isinf(bound))
        if len(unknown) and k <= len(groups):
            by_query = np.ascontiguousarray(groups[:, unknown].T)
            by_query.partition(k - 1, axis=1)
            bound[unknown] = np.minimum(bound[unknown], by_query[:, k - 1])
        bound += tile.rounding(lengths, bound)
        queries, near = _pairs_below(score, groups, bound)
        if len(queries):
            squared = _pair_distances(self.query, rows[queries], tile.points, tile.first + near)
            better = np.flatnonzero(squared <= kth[queries])
            index = near[better] + tile.first + tile.start
            self._merge(at[queries[better]], squared[better], index)

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


@dataclass(frozen=True)
class _Tile:
    """Some reference rows, and their factor of the product."""

    points: Points
    first: int
    start: int
    right: Singles
    codes: npt.NDArray[np.integer]
    gaps: Mask

    @classmethod
    def from_points(cls, points: Points, first: int, start: int, gaps: Mask) -> _Tile:
        rows = slice(first, min(first + _TILE, len(points)))
        right = points.reference_factor(rows, gaps)
        return cls(points, first, start, right, points.codes[:, rows], gaps)

    def rounding(self, lengths: Floats, bound: Floats) -> Floats:
        """Return twice the error of single precision at distances up to `bound`.

        A row that near is not much longer than the query is, which bounds every term of the product.
        """
        if not self.points.scale.columns.size:
            return np.full(len(lengths), _TIE / 2)  # whole numbers and their ties are exact
        width = self.right.shape[1] + 4
        reach = 2 * np.sqrt(lengths) + np.sqrt(np.maximum(bound + lengths, 0))
        labels = len(self.codes) * 2.0**-22
        return np.asarray(2 * (width * 2.0**-23 * (reach**2 + 1) + labels))


class _Workspace:
    """Buffers for the scores of one tile, kept so that memory is allocated once."""

    def __init__(self) -> None:
        self._score = np.empty(0, dtype=np.float32)
        self._differ = np.empty(0, dtype=np.uint8)
        self._unequal = np.empty(0, dtype=bool)

    def score(
        self,
        tile: _Tile,
        left: Singles,
        codes: npt.NDArray[np.integer],
        itself: Positions | None,
    ) -> tuple[Singles, Singles]:
        """Return nearly the squared distances, less the lengths of the queries, and group minima.

        Scores have shape (r, q), the least of every 32 rows (g, q).
        """
        n, q = len(tile.right), left.shape[1]
        if n * q > len(self._score):
            self._score = np.empty(n * q, dtype=np.float32)
        score = self._score[: n * q].reshape(n, q)
        groups = np.empty((-(-n // _GROUP), q), dtype=np.float32)
        for start in range(0, n, _PIECE):
            rows = slice(start, min(start + _PIECE, n))
            part = score[rows]
            np.matmul(tile.right[rows], left, out=part)
            if len(codes):
                part += self._count_differences(tile.codes[:, rows], codes)
            if not tile.points.scale.columns.size:
                # Labels alone tie all the time: the position decides, as it would in the end.
                part += (np.arange(start, rows.stop) * _TIE).astype(np.float32)[:, None]
            if itself is not None:
                here = np.flatnonzero((itself >= start) & (itself < rows.stop))
                part[itself[here] - start, here] = np.inf
            whole = len(part) - len(part) % _GROUP
            at = start // _GROUP
            part[:whole].reshape(-1, _GROUP, q).min(axis=1, out=groups[at : at + whole // _GROUP])
            if whole < len(part):
                part[whole:].min(axis=0, out=groups[-1])
        return score, groups

    def _count_differences(
        self, reference: npt.NDArray[np.integer], query: npt.NDArray[np.integer]
    ) -> npt.NDArray[np.unsignedinteger]:
        """Return the number of labels that differ, for each pair."""
        shape = (reference.shape[1], query.shape[1])
        size = shape[0] * shape[1]
        kind = np.uint8 if len(reference) < 256 else np.uint16
        if size > len(self._unequal) or self._differ.dtype != kind:
            self._differ, self._unequal = np.empty(size, dtype=kind), np.empty(size, dtype=bool)
        differ = self._differ[:size].reshape(shape)
        unequal = self._unequal[:size].reshape(shape)
        differ[:] = 0
        for one, other in zip(reference, query):
            np.not_equal(one[:, None], other, out=unequal)
            differ += unequal.view(np.uint8)
        return differ


def _pairs_below(score: Singles, groups: Singles, bound: Floats) -> tuple[Positions, Positions]:
    """Return the pairs (query, row of the tile) whose score is no more than the query's bound."""
    limit = np.where(np.isfinite(bound), bound, np.finfo(np.float32).max)
    group, query = np.nonzero(groups <= limit)
    start = group * _GROUP
    inside = start[:, None] + np.arange(_GROUP)
    valid = inside < len(score)
    values = score[np.minimum(inside, len(score) - 1), query[:, None]]
    pair, offset = np.nonzero((values <= limit[query][:, None]) & valid)
    return query[pair], start[pair] + offset


def _pair_distances(query: Points, left: Positions, reference: Points, right: Positions) -> Floats:
    """Return the squared distance of each pair, in double precision."""
    difference = query.values[left].astype(np.float64)
    difference -= reference.values[right]
    difference *= difference
    if query.has_gaps.any() or reference.has_gaps.any():
        gap, other = np.isnan(query.values[left]), np.isnan(reference.values[right])
        difference = np.where(gap | other, gap != other, difference)
    squared = difference.sum(axis=1)
    for own, theirs in zip(query.codes, reference.codes):
        squared += own[left] != theirs[right]
    return np.asarray(squared)

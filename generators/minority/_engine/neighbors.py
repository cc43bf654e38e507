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
    """How far apart two rows are: numbers in standard deviations, labels and gaps as one of these.

    The squared distance is the sum of the squared differences of numbers, each divided by its standard
    deviation, and of 1 for every label that differs and every number that only one of the rows lacks.
    Columns that hold one value do not count.

    Parameters
    ----------
    columns : numpy.ndarray of int64
        Numbers that count.
    centre, spread : numpy.ndarray
        Their means and standard deviations.
    labels : numpy.ndarray of int64
        Labels that count.
    """

    columns: Positions
    centre: Floats
    spread: Floats
    labels: Positions

    @classmethod
    def of(cls, cells: DistinctRows) -> Scale:
        """Return the scale of these rows."""
        centre, spread = np.zeros(cells.numbers.shape[1]), np.zeros(cells.numbers.shape[1])
        for i, values in enumerate(cells.numbers.T):
            present = values[~np.isnan(values)]
            if len(present):
                centre[i], spread[i] = present.mean(), present.std()
                # A column without a deviation may still be missing here and there.
                if spread[i] <= 1e-12 * abs(centre[i]):
                    spread[i] = 1.0 if len(present) < len(values) else 0.0
        labels = np.flatnonzero((cells.codes != cells.codes[:1]).any(axis=0))
        kept = np.flatnonzero(spread > 0)
        return cls(kept, centre[kept], spread[kept], labels)


@dataclass(frozen=True)
class Points:
    """Rows laid out for the search: one product of matrices gives nearly their distances.

    Parameters
    ----------
    scale : Scale
        The distance.
    values : numpy.ndarray of float64 or float32, shape (m, p)
        Scaled numbers; missing is NaN.
    codes : numpy.ndarray of small integers, shape (c, m)
        Labels, one row a column of the table.
    with_gaps : numpy.ndarray of bool, shape (p,)
        Columns to be searched with gaps in mind.
    """

    scale: Scale
    values: Floats | Singles
    codes: npt.NDArray[np.integer]
    with_gaps: Mask = field(repr=False)

    @classmethod
    def of(cls, scale: Scale, numbers: Floats, codes: Codes, *, single: bool = False) -> Points:
        """Return rows with these numbers, shape (m, p), and codes, shape (m, c).

        With `single` they are kept in single precision, for many rows and a search that is not exact.
        """
        by_column = np.empty((len(scale.columns), len(numbers)))
        for i, column in enumerate(scale.columns):
            np.subtract(numbers[:, column], scale.centre[i], out=by_column[i])
            by_column[i] /= scale.spread[i]
        turned = by_column.T
        values = turned.astype(np.float32, order="C") if single else np.ascontiguousarray(turned)
        kept = codes[:, scale.labels].T
        top = int(kept.max(initial=0))
        small = np.int8 if top < 127 else np.int16 if top < 32_767 else np.int32
        with_gaps = np.asarray(np.isnan(values.sum(axis=0)))
        return cls(scale, values, np.ascontiguousarray(kept, small), with_gaps)

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: slice | Positions) -> Points:
        """Return some of the rows."""
        # Several times faster than indexing with positions; a slice copies nothing.
        values = self.values[rows] if isinstance(rows, slice) else self.values.take(rows, axis=0)
        return Points(self.scale, values, self.codes[:, rows], self.with_gaps)

    @staticmethod
    def concat(parts: Sequence[Points]) -> Points:
        """Return the rows of all parts, one after the other."""
        return Points(
            parts[0].scale,
            np.concatenate([part.values for part in parts]),
            np.concatenate([part.codes for part in parts], axis=1),
            np.asarray(np.any([part.with_gaps for part in parts], axis=0)),
        )

    def left(self, rows: slice | Positions, gaps: Mask) -> Singles:
        """Return the factor of the rows that look, shape (q, w)."""
        there, filled = self._parts(rows, gaps)
        wide = [-2 * filled, filled[:, gaps] ** 2 - 2 * there, there, np.ones((len(filled), 1))]
        return np.hstack(wide).astype(np.float32)

    def right(self, rows: slice, gaps: Mask) -> Singles:
        """Return the factor of the rows that are looked at, shape (r, w)."""
        if not gaps.any():
            values = self.values[rows]
            factor = np.empty((len(values), values.shape[1] + 1), dtype=np.float32)
            factor[:, :-1] = values
            np.einsum("ij,ij->i", values, values, out=factor[:, -1], casting="same_kind")
            return factor
        there, filled = self._parts(rows, gaps)
        length = (filled[:, ~gaps] ** 2).sum(axis=1) + there.sum(axis=1)
        wide = [filled, there, filled[:, gaps] ** 2, length[:, None]]
        return np.hstack(wide).astype(np.float32)

    def lengths(self, rows: slice | Positions, gaps: Mask) -> Floats:
        """Return what the product leaves out of the squared distance, shape (q,)."""
        there, filled = self._parts(rows, gaps)
        return np.asarray((filled[:, ~gaps] ** 2).sum(axis=1) + there.sum(axis=1))

    def _parts(self, rows: slice | Positions, gaps: Mask) -> tuple[Floats, Floats]:
        """Return where a column with gaps has none, and all values with 0 in the gaps."""
        values = self.values[rows].astype(np.float64, copy=False)
        there = (~np.isnan(values[:, gaps])).astype(np.float64)
        return there, np.nan_to_num(values) if gaps.any() else values


_QUERIES = 512
_TILE = 4_096
_PIECE = 512
_GROUP = 32
_TIE = 2.0**-13

Settled = Callable[[Floats, Positions], Mask]


def nearest_points(
    points: Points, k: int, *, rows: Positions | None = None
) -> tuple[Floats, Positions]:
    """Return the `k` nearest other rows of rows, nearest first; of equally near ones the first.

    Parameters
    ----------
    points : Points
        Rows to look among.
    k : int
        Neighbours wanted, 1 to m - 1.
    rows : numpy.ndarray of int64, shape (q,), optional
        Rows to look from; all by default.

    Returns
    -------
    squared : numpy.ndarray, shape (q, k)
        Squared distances.
    indices : numpy.ndarray of int64, shape (q, k)
        Positions in `points`.
    """
    search = Search(points, np.arange(len(points)) if rows is None else rows, k)
    search.look(points, own=True)
    return search.squared, search.indices


class Search:
    """The k nearest of all rows looked at so far; these may come in parts.

    A product of matrices in single precision names the candidates, with room for its rounding; these
    are then measured in double precision. So the answer depends neither on the number of threads nor
    on how rows are cut into blocks.

    Parameters
    ----------
    query : Points
        Rows to look from.
    rows : numpy.ndarray of int64, shape (q,)
        Which of them.
    k : int
        Neighbours wanted.
    within : numpy.ndarray, shape (q,), optional
        Squared distance beyond which nobody is wanted.
    settled : callable, optional
        Given the squared distances so far, (a, k), and whose they are, (a,), says which rows need
        look no further.

    Attributes
    ----------
    squared : numpy.ndarray, shape (q, k)
        Squared distances, ascending; infinite where there were fewer.
    indices : numpy.ndarray of int64, shape (q, k)
        Positions; -1 where there were fewer.
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
        self.squared = np.full((len(rows), k), np.inf)
        self.indices = np.full((len(rows), k), -1, dtype=np.int64)
        self._is_active = np.ones(len(rows), dtype=bool)
        self._factors: dict[bytes, tuple[Singles, Floats]] = {}
        self._desk = _Desk()

    def look(
        self,
        reference: Points,
        *,
        start: int = 0,
        own: bool = False,
        only: Positions | None = None,
    ) -> None:
        """Look among more rows.

        Parameters
        ----------
        reference : Points
            The rows, in the scale of the query.
        start : int
            What to add to their positions.
        own : bool
            Whether they are the query itself: no row is then its own neighbour.
        only : numpy.ndarray of int64, optional
            Positions in `rows` of those that look; by default all that are not settled.
        """
        lookers = np.flatnonzero(self._is_active) if only is None else only[self._is_active[only]]
        gaps = self.query.with_gaps | reference.with_gaps
        for first in range(0, len(reference), _TILE):
            tile = _Tile.of(reference, first, start, gaps)
            for begin in range(0, len(lookers), _QUERIES):
                self._improve(tile, lookers[begin : begin + _QUERIES], own)
            if self.settled is not None:
                self._is_active[lookers] = ~self.settled(self.squared[lookers], lookers)
                lookers = lookers[self._is_active[lookers]]

    def _improve(self, tile: _Tile, at: Positions, own: bool) -> None:
        """Put what lies in the tile among the best so far."""
        left, lengths = self._factor(tile.gaps)
        rows, lengths = self.rows[at], lengths[at]
        itself = rows - (tile.first + tile.start) if own else None
        codes = self.query.codes[:, rows]
        score, groups = self._desk.score(tile, left[:, at], codes, itself)
        k = self.squared.shape[1]
        kth = self.squared[at, -1]
        bound = np.minimum(kth, self.within[at]) - lengths
        unknown = np.flatnonzero(np.isinf(bound))
        if len(unknown) and k <= len(groups):
            by_query = np.ascontiguousarray(groups[:, unknown].T)
            by_query.partition(k - 1, axis=1)
            least = by_query[:, k - 1]
            bound[unknown] = np.minimum(bound[unknown], least)
        bound += tile.rounding(lengths, bound)
        which, near = _below(score, groups, bound)
        if not len(which):
            return
        apart = _pair_distances(self.query, rows[which], tile.points, tile.first + near)
        better = np.flatnonzero(apart <= kth[which])
        index = near[better] + tile.first + tile.start
        self._merge(at[which[better]], apart[better], index)

    def _factor(self, gaps: Mask) -> tuple[Singles, Floats]:
        """Return the factor of all rows that look, shape (w, q), and their lengths."""
        key = gaps.tobytes()
        if key not in self._factors:
            left = np.ascontiguousarray(self.query.left(self.rows, gaps).T)
            self._factors[key] = left, self.query.lengths(self.rows, gaps)
        return self._factors[key]

    def _merge(self, whose: Positions, apart: Floats, index: Positions) -> None:
        """Keep the k best of those known and these, for the rows they belong to."""
        touched, query = np.unique(whose, return_inverse=True)
        n, k = len(touched), self.squared.shape[1]
        query = np.concatenate([np.repeat(np.arange(n), k), query])
        squared = np.concatenate([self.squared[touched].ravel(), apart])
        indices = np.concatenate([self.indices[touched].ravel(), index])
        order = np.lexsort((indices, squared, query))
        query = query[order]
        rank = np.arange(len(order)) - np.searchsorted(query, np.arange(n))[query]
        kept = order[rank < k]
        self.squared[touched] = squared[kept].reshape(n, k)
        self.indices[touched] = indices[kept].reshape(n, k)


@dataclass(frozen=True)
class _Tile:
    """Some rows to look among, and their factor of the product."""

    points: Points
    first: int
    start: int
    right: Singles
    codes: npt.NDArray[np.integer]
    gaps: Mask

    @classmethod
    def of(cls, points: Points, first: int, start: int, gaps: Mask) -> _Tile:
        rows = slice(first, min(first + _TILE, len(points)))
        return cls(points, first, start, points.right(rows, gaps), points.codes[:, rows], gaps)

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


class _Desk:
    """Room for the scores of one tile, kept so that memory is asked for once."""

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

        Returns
        -------
        score : numpy.ndarray of float32, shape (r, q)
            Of every pair.
        groups : numpy.ndarray of float32, shape (g, q)
            The least of every 32 rows.
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
                part += self._differences(tile.codes[:, rows], codes)
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

    def _differences(
        self, mine: npt.NDArray[np.integer], theirs: npt.NDArray[np.integer]
    ) -> npt.NDArray[np.unsignedinteger]:
        """Return how many labels differ, for each pair."""
        shape = (mine.shape[1], theirs.shape[1])
        kind = np.uint8 if len(mine) < 256 else np.uint16
        if shape[0] * shape[1] > len(self._unequal) or self._differ.dtype != kind:
            self._differ = np.empty(shape[0] * shape[1], dtype=kind)
            self._unequal = np.empty(shape[0] * shape[1], dtype=bool)
        differ = self._differ[: shape[0] * shape[1]].reshape(shape)
        unequal = self._unequal[: shape[0] * shape[1]].reshape(shape)
        differ[:] = 0
        for one, other in zip(mine, theirs, strict=True):
            np.not_equal(one[:, None], other, out=unequal)
            differ += unequal.view(np.uint8)
        return differ


def _below(score: Singles, groups: Singles, bound: Floats) -> tuple[Positions, Positions]:
    """Return the pairs (query, row of the tile) whose score is no more than the query's bound."""
    limit = np.where(np.isfinite(bound), bound, np.finfo(np.float32).max)
    group, which = np.nonzero(groups <= limit)
    start = group * _GROUP
    inside = start[:, None] + np.arange(_GROUP)
    valid = inside < len(score)
    values = score[np.minimum(inside, len(score) - 1), which[:, None]]
    pair, offset = np.nonzero((values <= limit[which][:, None]) & valid)
    return which[pair], start[pair] + offset


def _pair_distances(query: Points, left: Positions, reference: Points, right: Positions) -> Floats:
    """Return the squared distance of each pair, in double precision."""
    apart = query.values[left].astype(np.float64)
    apart -= reference.values[right]
    apart *= apart
    if query.with_gaps.any() or reference.with_gaps.any():
        gone, other = np.isnan(query.values[left]), np.isnan(reference.values[right])
        apart = np.where(gone | other, gone != other, apart)
    squared = apart.sum(axis=1)
    for mine, theirs in zip(query.codes, reference.codes, strict=True):
        squared += mine[left] != theirs[right]
    return np.asarray(squared)

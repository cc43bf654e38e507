"""Exact nearest neighbours of rows with numbers, labels and gaps: never a matrix of all pairs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from ._grid import Cells, Codes
from ._streams import Floats, Positions

Singles = npt.NDArray[np.float32]

_QUERIES = 256
_TILE = 4_096
_GROUP = 32
_TIE = 2.0**-13


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
    def of(cls, cells: Cells) -> Scale:
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
    values : numpy.ndarray, shape (m, p)
        Scaled numbers; missing is NaN.
    codes : numpy.ndarray of small integers, shape (c, m)
        Labels, one row a column of the table.
    with_gaps : numpy.ndarray of bool, shape (p,)
        Columns to be searched with gaps in mind.
    """

    scale: Scale
    values: Floats
    codes: npt.NDArray[np.integer]
    with_gaps: npt.NDArray[np.bool_] = field(repr=False)

    @classmethod
    def of(cls, scale: Scale, numbers: Floats, codes: Codes) -> Points:
        """Return rows with these numbers, shape (m, p), and codes, shape (m, c)."""
        values = (numbers[:, scale.columns] - scale.centre) / scale.spread
        kept = codes[:, scale.labels].T
        top = int(kept.max(initial=0))
        small = np.int8 if top < 127 else np.int16 if top < 32_767 else np.int32
        with_gaps = np.asarray(np.isnan(values).any(axis=0))
        return cls(scale, values, np.ascontiguousarray(kept, small), with_gaps)

    def __len__(self) -> int:
        return len(self.values)

    def slice(self, rows: slice | Positions) -> Points:
        """Return some of the rows."""
        return replace(self, values=self.values[rows], codes=self.codes[:, rows])

    @staticmethod
    def concat(parts: Sequence[Points]) -> Points:
        """Return the rows of all parts, one after the other."""
        return Points(
            parts[0].scale,
            np.concatenate([part.values for part in parts]),
            np.concatenate([part.codes for part in parts], axis=1),
            np.asarray(np.any([part.with_gaps for part in parts], axis=0)),
        )

    def left(self, rows: slice | Positions, gaps: npt.NDArray[np.bool_]) -> Singles:
        """Return the factor of the rows that look, shape (q, w)."""
        there, filled = self._parts(rows, gaps)
        wide = [-2 * filled, filled[:, gaps] ** 2 - 2 * there, there, np.ones((len(filled), 1))]
        return np.hstack(wide).astype(np.float32)

    def right(self, rows: slice, gaps: npt.NDArray[np.bool_]) -> Singles:
        """Return the factor of the rows that are looked at, shape (r, w)."""
        there, filled = self._parts(rows, gaps)
        length = (filled[:, ~gaps] ** 2).sum(axis=1) + there.sum(axis=1)
        wide = [filled, there, filled[:, gaps] ** 2, length[:, None]]
        return np.hstack(wide).astype(np.float32)

    def lengths(self, rows: slice | Positions, gaps: npt.NDArray[np.bool_]) -> Floats:
        """Return what the product leaves out of the squared distance, shape (q,)."""
        there, filled = self._parts(rows, gaps)
        return np.asarray((filled[:, ~gaps] ** 2).sum(axis=1) + there.sum(axis=1))

    def _parts(self, rows: slice | Positions, gaps: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
        """Return where a column with gaps has none, and all values with 0 in the gaps."""
        values = self.values[rows]
        there = (~np.isnan(values[:, gaps])).astype(np.float64)
        return there, np.nan_to_num(values) if gaps.any() else values


Settled = Callable[[Floats, Positions], npt.NDArray[np.bool_]]


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
    """

    def __init__(
        self,
        query: Points,
        rows: Positions,
        k: int,
        within: Floats | None = None,
        settled: Settled | None = None,
    ) -> None:
        self.query, self.rows, self.within, self.settled = query, rows, within, settled
        self.squared = np.full((len(rows), k), np.inf)
        self.indices = np.full((len(rows), k), -1, dtype=np.int64)
        self._active = np.arange(len(rows))

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
        lookers = self._active if only is None else only[np.isin(only, self._active)]
        gaps = self.query.with_gaps | reference.with_gaps
        for first in range(0, len(reference), _TILE):
            rows = slice(first, min(first + _TILE, len(reference)))
            tile = _Tile.of(reference, rows, gaps, first + start)
            for begin in range(0, len(lookers), _QUERIES):
                at = lookers[begin : begin + _QUERIES]
                best = self.squared[at], self.indices[at]
                limit = None if self.within is None else self.within[at]
                self.squared[at], self.indices[at] = tile.improve(
                    self.query, self.rows[at], best, limit, own
                )
            if self.settled is not None:
                done = lookers[self.settled(self.squared[lookers], lookers)]
                lookers = np.setdiff1d(lookers, done, assume_unique=True)
                self._active = np.setdiff1d(self._active, done, assume_unique=True)


@dataclass(frozen=True)
class _Tile:
    """Some rows to look among, and their factor of the product."""

    points: Points
    first: int
    start: int
    right: Singles
    codes: npt.NDArray[np.integer]
    gaps: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, points: Points, rows: slice, gaps: npt.NDArray[np.bool_], start: int) -> _Tile:
        right = points.right(rows, gaps)
        return cls(points, rows.start, start, right, points.codes[:, rows], gaps)

    def improve(
        self,
        query: Points,
        rows: Positions,
        best: tuple[Floats, Positions],
        within: Floats | None,
        own: bool,
    ) -> tuple[Floats, Positions]:
        """Return the best of what was known and what lies here."""
        k = best[0].shape[1]
        lengths = query.lengths(rows, self.gaps)
        score = self._score(query, rows)
        if own:
            here = np.flatnonzero((rows >= self.start) & (rows < self.start + len(score)))
            score[rows[here] - self.start, here] = np.inf
        groups = self._group_minima(score)
        known = np.sort(np.concatenate([groups, (best[0] - lengths[:, None]).T]), axis=0)
        bound = known[k - 1] if k <= len(known) else np.full(len(rows), np.inf)
        if within is not None:
            bound = np.minimum(bound, within - lengths)
        bound = bound + self._rounding(lengths, bound)
        which, near = _below(score, groups, bound)
        apart = _pair_distances(query, rows[which], self.points, near + self.first)
        return _merged(best, which, apart, near + self.start)

    def _score(self, query: Points, rows: Positions) -> Singles:
        """Return nearly the squared distances, less the lengths of the queries: shape (r, q)."""
        score = self.right @ query.left(rows, self.gaps).T
        if len(self.codes):
            differ = np.zeros(score.shape, dtype=np.uint8 if len(self.codes) < 256 else np.uint16)
            unequal = np.empty(score.shape, dtype=bool)
            for mine, theirs in zip(self.codes, query.codes[:, rows], strict=True):
                np.not_equal(mine[:, None], theirs, out=unequal)
                differ += unequal.view(np.uint8)
            score += differ
        if not self.points.scale.columns.size:
            # Labels alone tie all the time: the position decides, as it would in the end.
            score += (np.arange(len(score)) * _TIE).astype(np.float32)[:, None]
        return np.asarray(score)

    def _group_minima(self, score: Singles) -> Singles:
        whole = len(score) - len(score) % _GROUP
        minima = score[:whole].reshape(-1, _GROUP, score.shape[1]).min(axis=1)
        if whole == len(score):
            return np.asarray(minima)
        return np.vstack([minima, score[whole:].min(axis=0)])

    def _rounding(self, lengths: Floats, bound: Floats) -> Floats:
        """Return twice the error of single precision at distances up to `bound`.

        A row that near is not much longer than the query is, which bounds every term of the product.
        """
        if not self.points.scale.columns.size:
            return np.full(len(lengths), _TIE / 2)  # whole numbers and their ties are exact
        width = self.right.shape[1] + 4
        reach = 2 * np.sqrt(lengths) + np.sqrt(np.maximum(bound + lengths, 0))
        labels = len(self.codes) * 2.0**-22
        return np.asarray(2 * (width * 2.0**-23 * (reach**2 + 1) + labels))


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
    apart = query.values[left] - reference.values[right]
    apart *= apart
    if query.with_gaps.any() or reference.with_gaps.any():
        gone, other = np.isnan(query.values[left]), np.isnan(reference.values[right])
        apart = np.where(gone | other, gone != other, apart)
    squared = apart.sum(axis=1)
    for mine, theirs in zip(query.codes, reference.codes, strict=True):
        squared += mine[left] != theirs[right]
    return np.asarray(squared)


def _merged(
    best: tuple[Floats, Positions], which: Positions, apart: Floats, index: Positions
) -> tuple[Floats, Positions]:
    """Return the k best of each query among those known and new ones."""
    if not len(which):
        return best
    n, k = best[0].shape
    query = np.concatenate([np.repeat(np.arange(n), k), which])
    squared = np.concatenate([best[0].ravel(), apart])
    indices = np.concatenate([best[1].ravel(), index])
    order = np.lexsort((indices, squared, query))
    query = query[order]
    rank = np.arange(len(order)) - np.searchsorted(query, np.arange(n))[query]
    kept = order[rank < k]
    return squared[kept].reshape(n, k), indices[kept].reshape(n, k)

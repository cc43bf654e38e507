"""Rows as points: how far apart two of them are, and the factors of the product that says it fast."""

from __future__ import annotations

from collections.abc import Sequence
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

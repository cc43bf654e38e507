"""Rows as points for samplers that know numbers only: scaled numbers, and an indicator a level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.data.encoding import EncodedColumn, Matrix, TableEncoding
from twinset.core.errors import FitError

MOST_WIDTH = 2_000


@dataclass(frozen=True)
class IndicatorSpace:
    """A reversible map between rows and points.

    A number is divided by its standard deviation, a missing one stands at the median; whether a
    value is missing is a level. Two rows that differ in one label are as far apart as two numbers
    one standard deviation from each other.

    Parameters
    ----------
    encoding : TableEncoding
        The rows as floats.
    centre, scale : numpy.ndarray, shape (w,)
        Mean and standard deviation of the encoded columns.
    """

    encoding: TableEncoding
    centre: Matrix
    scale: Matrix

    @classmethod
    def of(cls, dataset: Dataset) -> IndicatorSpace:
        """Return the space of these rows.

        Raises
        ------
        FitError
            There are so many levels that the points would be too long.
        """
        encoding = TableEncoding.from_dataset(dataset)
        width = sum(max(len(column.levels), 1) + 1 for column in encoding.columns)
        if width > MOST_WIDTH:
            raise FitError(
                "these rows have too many labels for samplers that know numbers only",
                got=f"about {width:,} levels",
                allowed=f"{MOST_WIDTH:,}",
                todo="use minority.smote, which needs no indicators, or leave such columns out",
            )
        rows = encoding.encode(dataset)
        deviation = rows.std(axis=0)
        return cls(encoding, rows.mean(axis=0), np.where(deviation > 0, deviation, 1.0))

    def points(self, dataset: Dataset) -> Matrix:
        """Return the rows as points, shape (n, d)."""
        rows = self.encoding.encode(dataset)
        blocks = [np.empty((len(rows), 0))]
        for column in self.encoding.columns:
            if column.is_nominal:
                codes = self._codes(column, rows).astype(np.int64)
                indicators = np.zeros((len(rows), self._n_levels(column)))
                indicators[np.arange(len(rows)), codes] = np.sqrt(0.5)
                blocks.append(indicators)
                continue
            at = [column.value] if column.missing is None else [column.value, column.missing]
            part = rows[:, at].copy()
            part[:, 0] = (part[:, 0] - self.centre[column.value]) / self.scale[column.value]
            blocks.append(part)
        return np.hstack(blocks)

    def rows(self, points: Matrix, rng: np.random.Generator) -> Dataset:
        """Return points as rows: the level with the greatest indicator, numbers on their grid."""
        matrix = np.zeros((len(points), self.encoding.width))
        at = 0
        for column in self.encoding.columns:
            if column.is_nominal:
                width = self._n_levels(column)
                codes = points[:, at : at + width].argmax(axis=1)
                at += width
                if column.missing is not None:
                    matrix[:, column.missing] = codes == len(column.levels)
                matrix[:, column.value] = np.minimum(codes, max(len(column.levels) - 1, 0))
                continue
            scale, centre = self.scale[column.value], self.centre[column.value]
            matrix[:, column.value] = points[:, at] * scale + centre
            at += 1
            if column.missing is not None:
                matrix[:, column.missing] = points[:, at]
                at += 1
        return self.encoding.decode(matrix, rng)

    def _n_levels(self, column: EncodedColumn) -> int:
        return max(len(column.levels) + (column.missing is not None), 1)

    def _codes(self, column: EncodedColumn, rows: Matrix) -> npt.NDArray[np.float64]:
        if column.missing is None:
            return rows[:, column.value]
        gone = rows[:, column.missing] == 1
        return np.where(gone, len(column.levels), rows[:, column.value])

"""Rows as points for samplers that take numbers only: scaled numbers, and one indicator per level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twinset.core.data.dataset import Dataset
from twinset.core.data.encoding import EncodedColumn, Matrix, TableEncoding
from twinset.core.errors import FitError

MAX_WIDTH = 2_000  # columns of a point: 16 MB for 1,000 rows, and searches slow down in proportion


@dataclass(frozen=True)
class IndicatorSpace:
    """A reversible map between rows and points.

    A number is divided by its standard deviation, a missing one stands at the median; a missing value
    is a level of its own. Two rows that differ in one label are as far apart as two numbers one
    standard deviation from each other.
    """

    encoding: TableEncoding
    center: Matrix  # mean of the encoded columns, shape (w,)
    scale: Matrix  # their standard deviation

    @classmethod
    def fit(cls, dataset: Dataset) -> IndicatorSpace:
        """Return the space of these rows.

        Raises
        ------
        FitError
            There are so many levels that the points would be too long.
        """
        encoding = TableEncoding.from_dataset(dataset)
        width = sum(max(len(column.levels), 1) + 1 for column in encoding.columns)
        if width > MAX_WIDTH:
            raise FitError(
                "these rows have too many labels for samplers that take numbers only",
                got=f"about {width:,} levels",
                allowed=f"{MAX_WIDTH:,}",
                todo="use minority.smote, which needs no indicators, or leave such columns out",
            )
        rows = encoding.encode(dataset)
        deviation = rows.std(axis=0)
        return cls(encoding, rows.mean(axis=0), np.where(deviation > 0, deviation, 1.0))

    def to_points(self, dataset: Dataset) -> Matrix:
        """Return the rows as points, shape (n, d)."""
        rows = self.encoding.encode(dataset)
        blocks = [np.empty((len(rows), 0))]
        for column in self.encoding.columns:
            if column.is_nominal:
                codes = rows[:, column.value]
                if column.missing is not None:
                    is_missing = rows[:, column.missing] == 1
                    codes = np.where(is_missing, len(column.levels), codes)
                blocks.append(np.sqrt(0.5) * (codes[:, None] == np.arange(_n_levels(column))))
                continue
            at = [column.value] if column.missing is None else [column.value, column.missing]
            part = rows[:, at].copy()
            part[:, 0] = (part[:, 0] - self.center[column.value]) / self.scale[column.value]
            blocks.append(part)
        return np.hstack(blocks)

    def to_rows(self, points: Matrix, rng: np.random.Generator) -> Dataset:
        """Return points as rows: the level with the greatest indicator, numbers on their grid."""
        matrix = np.zeros((len(points), self.encoding.width))
        at = 0
        for column in self.encoding.columns:
            if column.is_nominal:
                width = _n_levels(column)
                codes = points[:, at : at + width].argmax(axis=1)
                at += width
                if column.missing is not None:
                    matrix[:, column.missing] = codes == len(column.levels)
                matrix[:, column.value] = np.minimum(codes, max(len(column.levels) - 1, 0))
                continue
            scale, center = self.scale[column.value], self.center[column.value]
            matrix[:, column.value] = points[:, at] * scale + center
            at += 1
            if column.missing is not None:
                matrix[:, column.missing] = points[:, at]
                at += 1
        return self.encoding.decode(matrix, rng)


def _n_levels(column: EncodedColumn) -> int:
    return max(len(column.levels) + (column.missing is not None), 1)

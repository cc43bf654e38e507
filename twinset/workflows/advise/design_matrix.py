"""Rows as matrices for the judges: bins for trees, scaled numbers for linear models."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset

Matrix = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int32]

_MOST_BINS = 255
_MOST_LEVELS = 20


@dataclass(frozen=True)
class RawRows:
    """Rows as they are: numbers with NaN where missing, and codes of labels, -1 where missing.

    Parameters
    ----------
    numbers : numpy.ndarray, shape (n, p)
        Numbers and datetimes.
    codes : numpy.ndarray of int, shape (n, q)
        Categories and booleans.
    """

    numbers: Matrix
    codes: Codes

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, rows: npt.NDArray[np.int64]) -> RawRows:
        """Return the rows at these positions."""
        return RawRows(self.numbers[rows], self.codes[rows])


@dataclass(frozen=True)
class Reader:
    """Reads tables into raw rows, by the columns and levels of one real table."""

    numbers: tuple[str, ...]
    labels: tuple[str, ...]
    levels: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, real: Dataset, features: tuple[str, ...]) -> Reader:
        """Return the reader of a table's features."""
        kinds = {name: real.schema[name].kind for name in features}
        labels = tuple(name for name in features if kinds[name] in ("category", "boolean"))
        numbers = tuple(name for name in features if name not in labels)
        return cls(numbers, labels, tuple(real.codes(name)[1] for name in labels))

    def read(self, dataset: Dataset) -> RawRows:
        """Return the rows of a table; labels that the real one lacks count as missing."""
        numbers = np.full((len(dataset), len(self.numbers)), np.nan)
        for i, name in enumerate(self.numbers):
            numbers[:, i] = dataset.values(name)
        codes = np.full((len(dataset), len(self.labels)), -1, dtype=np.int32)
        for i, (name, levels) in enumerate(zip(self.labels, self.levels)):
            own, named = dataset.codes(name)
            place = {level: k for k, level in enumerate(levels)}
            codes[:, i] = np.array([*[place.get(level, -1) for level in named], -1])[own]
        return RawRows(numbers, codes)


class BinnedView:
    """Every number replaced by its bin, at most 255, with edges at quantiles of the real train rows.

    Bins are set once a fold: models of all strategies then differ by their rows alone, and weights
    cost nothing (scikit-learn takes three to seven times as long to find bins of weighted rows).
    Labels are ranked by their frequency, without a look at the target.
    """

    def __init__(self, train: RawRows) -> None:
        self.edges = [_edges(column) for column in train.numbers.T]
        self.ranks = []
        for column in train.codes.T:
            top = int(column.max(initial=-1))
            counts = np.bincount(column[column >= 0], minlength=top + 1)
            rank = np.empty(top + 1)
            rank[np.argsort(-counts, kind="stable")] = np.arange(top + 1)
            self.ranks.append(np.minimum(rank, _MOST_BINS - 2))

    def transform(self, rows: RawRows) -> Matrix:
        """Return the matrix, shape (n, p + q); missing is NaN."""
        out = np.full((len(rows), len(self.edges) + len(self.ranks)), np.nan)
        for i, edges in enumerate(self.edges):
            known = np.isfinite(rows.numbers[:, i])
            out[known, i] = np.searchsorted(edges, rows.numbers[known, i])
        for i, rank in enumerate(self.ranks):
            # A level that the train rows lack is as rare as a level can be.
            known = rows.codes[:, i] >= 0
            padded = np.append(rank, float(min(len(rank), _MOST_BINS - 2)))
            place = np.minimum(rows.codes[known, i], len(rank))
            out[known, len(self.edges) + i] = padded[place]
        return out


class ScaledView:
    """Numbers centred and scaled, with a column that says where one is missing; labels one-hot.

    The 20 commonest levels of a label have a column each, all others share one.
    """

    def __init__(self, train: RawRows) -> None:
        numbers = np.where(np.isfinite(train.numbers), train.numbers, np.nan)
        self.missing = np.isnan(numbers).any(axis=0) if len(train) else np.zeros(0, dtype=bool)
        empty = np.isnan(numbers).all(axis=0)
        numbers[:, empty] = 0.0
        self.centre = np.nanmean(numbers, axis=0)
        spread = np.nanstd(numbers, axis=0)
        self.scale = np.where(spread > 0, spread, 1.0)
        self.common = []
        for column in train.codes.T:
            counts = np.bincount(column[column >= 0]) if (column >= 0).any() else np.zeros(1)
            self.common.append(np.argsort(-counts, kind="stable")[:_MOST_LEVELS])

    def transform(self, rows: RawRows) -> Matrix:
        """Return the matrix, shape (n, d), free of NaN."""
        scaled = (rows.numbers - self.centre) / self.scale
        lacking = ~np.isfinite(scaled)
        parts = [
            np.where(lacking, 0.0, scaled).clip(-20, 20),
            lacking[:, self.missing].astype(float),
        ]
        for column, common in zip(rows.codes.T, self.common):
            hit = column[:, None] == common[None, :]
            parts += [hit.astype(float), ((column >= 0) & ~hit.any(axis=1)).astype(float)[:, None]]
        return np.hstack(parts)


def _edges(column: Matrix) -> Matrix:
    present = np.unique(column[np.isfinite(column)])
    if len(present) <= _MOST_BINS:
        return np.asarray((present[1:] + present[:-1]) / 2)
    known = column[np.isfinite(column)]
    return np.unique(np.quantile(known, np.linspace(0, 1, _MOST_BINS + 1)[1:-1]))

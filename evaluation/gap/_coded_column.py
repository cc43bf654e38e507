"""One column of one set as codes into its own distinct values: looked at once, then only counted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

_SPAN = 4
"""Whole numbers whose span is at most this many times their number are counted, not sorted."""


@dataclass(frozen=True)
class CodedColumn:
    """A column of one set, coded.

    Parameters
    ----------
    values : numpy.ndarray, shape (k,)
        Distinct numbers, rising; of labels 0 to k - 1.
    levels : tuple of str
        Labels in their order; empty for numbers and datetimes.
    codes : numpy.ndarray of int, shape (n,)
        Place of each row's value among them; k is missing.
    counts : numpy.ndarray of int, shape (k + 1,)
        How many rows hold each of them, missing last.
    """

    values: Floats
    levels: tuple[str, ...]
    codes: Codes
    counts: Codes

    @classmethod
    def of(cls, dataset: Dataset, name: str, *, is_number: bool) -> CodedColumn:
        """Return a column of a set, read as numbers or as labels.

        Examples
        --------
        >>> import pyarrow as pa
        >>> rows = Dataset.from_arrow(pa.table({"x": [2.5, None, 0.5, 2.5]}))
        >>> column = CodedColumn.of(rows, "x", is_number=True)
        >>> column.values.tolist(), column.codes.tolist(), column.counts.tolist()
        ([0.5, 2.5], [1, 2, 0, 1], [1, 2, 1])
        """
        return _of_numbers(dataset.values(name)) if is_number else _of_labels(dataset, name)


def _of_numbers(column: Floats) -> CodedColumn:
    missing = np.isnan(column)
    n_missing = int(np.count_nonzero(missing))
    present = column[~missing] if n_missing else column
    values, places, counts = _distinct(present)
    codes = places
    if n_missing:
        codes = np.full(len(column), len(values), dtype=np.int64)
        codes[~missing] = places
    return CodedColumn(values, (), codes, np.append(counts, n_missing))


def _of_labels(dataset: Dataset, name: str) -> CodedColumn:
    found, levels = dataset.codes(name)
    codes = found.astype(np.int64)
    codes[found < 0] = len(levels)
    counts = np.bincount(codes, minlength=len(levels) + 1)
    return CodedColumn(np.arange(len(levels), dtype=np.float64), levels, codes, counts)


def _distinct(present: Floats) -> tuple[Floats, Codes, Codes]:
    """Return the distinct numbers, rising, the place of each row's, and how often each is there."""
    if len(present):
        low, high = present.min(), present.max()
        if high - low <= _SPAN * len(present) and np.array_equal(np.rint(present), present):
            return _counted(present, low)
    order = np.argsort(present)
    rising = present[order]
    first = np.append(True, rising[1:] != rising[:-1])[: len(rising)]
    places = np.empty(len(present), dtype=np.int64)
    places[order] = np.cumsum(first) - 1
    return rising[first], places, np.diff(np.append(np.flatnonzero(first), len(rising)))


def _counted(whole: Floats, low: float) -> tuple[Floats, Codes, Codes]:
    steps = (whole - low).astype(np.int64)
    counts = np.bincount(steps)
    occurs = counts > 0
    places: Codes = steps if occurs.all() else (np.cumsum(occurs) - 1)[steps]
    return np.asarray(low + np.flatnonzero(occurs), dtype=np.float64), places, counts[occurs]

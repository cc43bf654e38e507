"""Columns as codes into their distinct values: sorted once, then only counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

NUMERIC = ("number", "integer", "datetime")
# Whole numbers whose span is at most this many times their number are counted, not sorted, which
# is faster; a wider span would need more memory than the column itself.
_DENSE_SPAN = 4


def choose_columns(dataset: Dataset, target: str | None, max_columns: int) -> list[str]:
    """Return the names of at most `max_columns` columns in order: the target and the first ones."""
    names = list(dataset.schema.names)
    ranked = sorted(names, key=lambda name: name != target)
    return sorted(ranked[:max_columns], key=names.index)


@dataclass(frozen=True)
class CodedColumn:
    """A column of one set, as codes into its distinct values.

    Parameters
    ----------
    values : numpy.ndarray, shape (k,)
        Distinct numbers in ascending order; 0 to k - 1 for labels.
    levels : tuple of str
        Labels in their order; empty for numbers and datetimes.
    codes : numpy.ndarray of int, shape (n,)
        Position of each row's value; k is missing.
    counts : numpy.ndarray of int, shape (k + 1,)
        Number of rows with each value, missing last.
    """

    values: Floats
    levels: tuple[str, ...]
    codes: Codes
    counts: Codes

    @classmethod
    def from_numbers(cls, column: Floats) -> CodedColumn:
        """Return the column of these numbers, NaN where missing.

        Examples
        --------
        >>> column = CodedColumn.from_numbers(np.array([2.5, np.nan, 0.5, 2.5]))
        >>> column.values.tolist(), column.codes.tolist(), column.counts.tolist()
        ([0.5, 2.5], [1, 2, 0, 1], [1, 2, 1])
        """
        missing = np.isnan(column)
        n_missing = int(np.count_nonzero(missing))
        values, codes, counts = _find_distinct(column[~missing] if n_missing else column)
        if n_missing:
            present, codes = codes, np.full(len(column), len(values), dtype=np.int64)
            codes[~missing] = present
        return cls(values, (), codes, np.append(counts, n_missing))

    @classmethod
    def from_labels(cls, dataset: Dataset, name: str) -> CodedColumn:
        """Return a column of labels."""
        found, levels = dataset.codes(name)
        codes = np.where(found < 0, len(levels), found).astype(np.int64)
        counts = np.bincount(codes, minlength=len(levels) + 1)
        return cls(np.arange(len(levels), dtype=np.float64), levels, codes, counts)


@dataclass(frozen=True)
class PooledColumn:
    """A column of both sets, as codes into the distinct values of both.

    Ranks, shares below a value and cells of any kind follow from the distinct values and their
    counts in each set.

    Parameters
    ----------
    kind : str
        Kind of the field.
    values : numpy.ndarray, shape (k,)
        Distinct values of both sets in ascending order; 0 to k - 1 for labels.
    synthetic, reference : numpy.ndarray, shape (k + 1,)
        Number of rows with each value in each set, missing last.
    coded : tuple of CodedColumn
        The column of the synthetic and of the reference rows by itself.
    places : tuple of numpy.ndarray of int
        For each set, the position of its own distinct values in `values`; k, for missing, is last.
    """

    kind: str
    values: Floats
    synthetic: Floats
    reference: Floats
    coded: tuple[CodedColumn, CodedColumn]
    places: tuple[Codes, Codes]

    @classmethod
    def from_sets(
        cls,
        synthetic: Dataset,
        reference: Dataset,
        name: str,
        cache: dict[str, Any] | None = None,
    ) -> PooledColumn:
        """Return a column of both sets; `cache` keeps the reference's own column for other sets.

        Examples
        --------
        >>> import pyarrow as pa
        >>> one, other = (Dataset.from_arrow(pa.table({"x": x})) for x in ([2.5, None], [0.5, 2.5]))
        >>> column = PooledColumn.from_sets(one, other, "x")
        >>> column.values.tolist(), column.synthetic.tolist(), column.reference.tolist()
        ([0.5, 2.5], [0.0, 1.0, 1.0], [1.0, 1.0, 0.0])
        """
        kind, key = reference.schema[name].kind, f"coded {name}"
        cache = {} if cache is None else cache

        def code(rows: Dataset) -> CodedColumn:
            if kind in NUMERIC:
                return CodedColumn.from_numbers(rows.values(name))
            return CodedColumn.from_labels(rows, name)

        if key not in cache:
            cache[key] = code(reference)
        coded = (code(synthetic), cache[key])
        if kind in NUMERIC:
            own = [column.values for column in coded]
            values, place = np.unique(np.concatenate(own), return_inverse=True)
            found = np.split(place.ravel(), [len(own[0])])
        else:
            levels = sorted({*coded[0].levels, *coded[1].levels})
            values = np.arange(len(levels), dtype=np.float64)
            rank = {level: i for i, level in enumerate(levels)}
            found = [np.array([rank[level] for level in column.levels]) for column in coded]
        first, second = (np.append(part, len(values)).astype(np.int64) for part in found)
        counts = np.zeros((2, len(values) + 1))
        counts[0, first], counts[1, second] = coded[0].counts, coded[1].counts
        return cls(kind, values, counts[0], counts[1], coded, (first, second))

    @property
    def is_number(self) -> bool:
        """Whether the values have distances: a number, integer or datetime."""
        return self.kind in NUMERIC

    def rows(self, table: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Return the entry of a table, shape (k + 1,), for each synthetic and each reference row."""
        synthetic, reference = (
            table[place][column.codes] for column, place in zip(self.coded, self.places)
        )
        return synthetic, reference


def quantile_places(counts: Floats, shares: Floats) -> Codes:
    """Return the positions of quantiles among distinct values, as numpy's "inverted_cdf" takes them.

    Parameters
    ----------
    counts : numpy.ndarray, shape (k,)
        Number of rows with each distinct value, in their order; not all 0.
    shares : numpy.ndarray, shape (q,)
        In [0, 1].

    Examples
    --------
    >>> quantile_places(np.array([1.0, 2.0, 1.0]), np.array([0.25, 0.5, 1.0])).tolist()
    [0, 1, 2]
    """
    n = counts.sum()
    return places_of(counts, np.clip(np.ceil(n * shares - 1), 0, n - 1))


def places_of(counts: Floats, positions: Floats) -> Codes:
    """Return the distinct value of the rows at these positions of the sorted rows.

    Examples
    --------
    >>> places_of(np.array([1.0, 2.0, 1.0]), np.array([0.0, 1.0, 2.0, 3.0])).tolist()
    [0, 1, 1, 2]
    """
    return np.searchsorted(np.cumsum(counts), positions, side="right")


def cut_at(edges: Codes, k: int) -> Codes:
    """Return how many of the edges, distinct and ascending, lie below each of the places 0 to k - 1.

    Examples
    --------
    >>> cut_at(np.array([1, 2]), 5).tolist()
    [0, 0, 1, 2, 2]
    """
    return np.repeat(np.arange(len(edges) + 1), np.diff(edges, prepend=-1, append=k - 1))


def _find_distinct(present: Floats) -> tuple[Floats, Codes, Codes]:
    """Return the distinct numbers in ascending order, the position of each row's, and their counts."""
    if len(present):
        low, high = present.min(), present.max()
        is_dense = high - low <= _DENSE_SPAN * len(present)
        if is_dense and np.array_equal(np.rint(present), present):
            steps = (present - low).astype(np.int64)
            counts = np.bincount(steps)
            occurs = counts > 0
            places = steps if occurs.all() else (np.cumsum(occurs) - 1)[steps]
            return low + np.flatnonzero(occurs).astype(np.float64), places, counts[occurs]
    values, places, counts = np.unique(present, return_inverse=True, return_counts=True)
    return values, places.ravel(), counts

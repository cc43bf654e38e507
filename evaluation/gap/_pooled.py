"""Columns of two sets as codes into the distinct values of both: sorted once, then only counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field

from ._coded_column import CodedColumn

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class PooledColumn:
    """A column of both sets, coded.

    Everything that a comparison of one column asks, ranks, shares below a value, cells of any kind, is
    a matter of the distinct values and how often each side holds them.

    Parameters
    ----------
    field : Field
        The column in the reference.
    values : numpy.ndarray, shape (k,)
        Distinct values of both sides, rising; of labels 0 to k - 1.
    levels : tuple of str
        Labels in their order; empty for numbers and datetimes.
    made, real : numpy.ndarray, shape (k + 1,)
        How often each side holds each of them, missing last.
    sides : tuple of CodedColumn
        The column of the synthetic and of the reference rows by itself.
    places : tuple of numpy.ndarray of int
        Of each side, the place of each of its own distinct values among all; k, for missing, is last.
    """

    field: Field
    values: Floats
    levels: tuple[str, ...]
    made: Floats
    real: Floats
    sides: tuple[CodedColumn, CodedColumn]
    places: tuple[Codes, Codes]

    @classmethod
    def of(
        cls,
        synthetic: Dataset,
        reference: Dataset,
        name: str,
        cache: dict[str, Any] | None = None,
    ) -> PooledColumn:
        """Return a column of both sets.

        Parameters
        ----------
        synthetic, reference : Dataset
            The two sets.
        name : str
            The column.
        cache : dict, optional
            Where the reference's own column is kept, for further sets that it is compared with.

        Examples
        --------
        >>> import pyarrow as pa
        >>> one, other = (Dataset.from_arrow(pa.table({"x": x})) for x in ([2.5, None], [0.5, 2.5]))
        >>> column = PooledColumn.of(one, other, "x")
        >>> column.values.tolist(), column.synthetic.tolist(), column.real.tolist()
        ([0.5, 2.5], [1, 2], [1.0, 1.0, 0.0])
        """
        field, key = reference.schema[name], f"coded {name}"
        cache = {} if cache is None else cache
        if key not in cache:
            cache[key] = CodedColumn.of(reference, name, is_number=field.has_order)
        real: CodedColumn = cache[key]
        made = CodedColumn.of(synthetic, name, is_number=field.has_order)
        levels: tuple[str, ...] = ()
        if field.has_order:
            values, places = _merged(made.values, real.values)
        else:
            levels, places = _merged_levels(made.levels, real.levels)
            values = np.arange(len(levels), dtype=np.float64)
        held = [np.zeros(len(values) + 1) for _ in places]
        for counts, side, place in zip(held, (made, real), places):
            counts[place] = side.counts
        return cls(field, values, levels, held[0], held[1], (made, real), places)

    @property
    def is_number(self) -> bool:
        """Whether the values have distances: a number, integer or datetime."""
        return self.field.has_order

    @property
    def synthetic(self) -> Codes:
        """Place of each synthetic row's value among all, shape (m,); k is missing."""
        return self.rows(np.arange(len(self.made)))[0]

    @property
    def reference(self) -> Codes:
        """Place of each reference row's value among all, shape (n,); k is missing."""
        return self.rows(np.arange(len(self.made)))[1]

    def rows(self, table: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Return what a table, shape (k + 1,), says of the value of each row, once a side."""
        made, real = (table[place][side.codes] for side, place in zip(self.sides, self.places))
        return made, real


def quantile_places(counts: Floats, shares: Floats) -> Codes:
    """Return the places of quantiles among distinct values, as numpy's "inverted_cdf" takes them.

    Parameters
    ----------
    counts : numpy.ndarray, shape (k,)
        How often each distinct value is there, in their order; not all 0.
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
    """Return the places among distinct values of the rows at these positions of the sorted rows.

    Examples
    --------
    >>> places_of(np.array([1.0, 2.0, 1.0]), np.array([0.0, 1.0, 2.0, 3.0])).tolist()
    [0, 1, 1, 2]
    """
    return np.searchsorted(np.cumsum(counts), positions, side="right")


def cut_at(edges: Codes, k: int) -> Codes:
    """Return how many of the edges lie below each of the places 0 to k - 1, shape (k,).

    Parameters
    ----------
    edges : numpy.ndarray of int, shape (q,)
        Distinct places below k, rising.
    k : int
        Number of places.

    Examples
    --------
    >>> cut_at(np.array([1, 2]), 5).tolist()
    [0, 0, 1, 2, 2]
    """
    return np.repeat(np.arange(len(edges) + 1), np.diff(edges, prepend=-1, append=k - 1))


def _merged(x: Floats, y: Floats) -> tuple[Floats, tuple[Codes, Codes]]:
    """Return the distinct numbers of two rising rows, and where each row's are, missing last."""
    if np.array_equal(x, y):
        same = np.arange(len(x) + 1)
        return y, (same, same)
    both = np.concatenate([x, y])
    # Two runs that rise already: a stable sort only merges them.
    order = np.argsort(both, kind="stable")
    rising = both[order]
    first = np.append(True, rising[1:] != rising[:-1])[: len(rising)]
    places = np.empty(len(both), dtype=np.int64)
    places[order] = np.cumsum(first) - 1
    values = rising[first]
    return values, (
        np.append(places[: len(x)], len(values)),
        np.append(places[len(x) :], len(values)),
    )


def _merged_levels(
    x: tuple[str, ...], y: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[Codes, Codes]]:
    levels = tuple(sorted({*x, *y}))
    place = {level: i for i, level in enumerate(levels)}
    of_x, of_y = (
        np.array([*(place[level] for level in own), len(levels)], dtype=np.int64) for own in (x, y)
    )
    return levels, (of_x, of_y)

"""Columns of two sets as codes into the distinct values of both: sorted once, then only counted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twinset.core.dataset import Dataset

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

_NUMERIC = ("number", "integer", "datetime")
_SPAN = 4
"""Whole numbers whose span is at most this many times their number are counted, not sorted."""


@dataclass(frozen=True)
class PooledColumn:
    """A column of both sets, coded.

    Everything that a comparison of one column asks, ranks, shares below a value, cells of any kind, is
    a matter of the distinct values and how often each side holds them.

    Parameters
    ----------
    kind : str
        Kind of the field.
    values : numpy.ndarray, shape (k,)
        Distinct values of both sides, rising; of labels 0 to k - 1.
    levels : tuple of str
        Labels in their order; empty for numbers and datetimes.
    synthetic, reference : numpy.ndarray of int, shapes (m,) and (n,)
        Place of each row's value among them; k is missing.
    made, real : numpy.ndarray, shape (k + 1,)
        How often each side holds each of them, missing last.
    """

    kind: str
    values: Floats
    levels: tuple[str, ...]
    synthetic: Codes
    reference: Codes
    made: Floats
    real: Floats

    @classmethod
    def of(cls, synthetic: Dataset, reference: Dataset, name: str) -> PooledColumn:
        """Return a column of both sets.

        Examples
        --------
        >>> import pyarrow as pa
        >>> one, other = (Dataset.from_arrow(pa.table({"x": x})) for x in ([2.5, None], [0.5, 2.5]))
        >>> column = PooledColumn.of(one, other, "x")
        >>> column.values.tolist(), column.synthetic.tolist(), column.real.tolist()
        ([0.5, 2.5], [1, 2], [1.0, 1.0, 0.0])
        """
        kind = reference.schema[name].kind
        if kind in _NUMERIC:
            values, made, real = _number_codes(synthetic.values(name), reference.values(name))
            levels: tuple[str, ...] = ()
        else:
            levels, made, real = _level_codes(synthetic, reference, name)
            values = np.arange(len(levels), dtype=np.float64)
        held = [np.bincount(side, minlength=len(values) + 1) for side in (made, real)]
        return cls(kind, values, levels, made, real, *(c.astype(np.float64) for c in held))

    @property
    def is_number(self) -> bool:
        """Whether the values have distances: a number, integer or datetime."""
        return self.kind in _NUMERIC


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


def _number_codes(x: Floats, y: Floats) -> tuple[Floats, Codes, Codes]:
    """Return the distinct numbers and the place of each row's, that of a missing one last."""
    pooled = np.concatenate([x, y])
    there = ~np.isnan(pooled)
    everywhere = bool(there.all())
    present = pooled if everywhere else pooled[there]
    values, places = _distinct(present)
    if everywhere:
        codes = places
    else:
        codes = np.full(len(pooled), len(values), dtype=np.int64)
        codes[there] = places
    return values, codes[: len(x)], codes[len(x) :]


def _distinct(present: Floats) -> tuple[Floats, Codes]:
    if len(present):
        low, high = present.min(), present.max()
        if high - low <= _SPAN * len(present) and np.array_equal(np.rint(present), present):
            steps = (present - low).astype(np.int64)
            occurs = np.bincount(steps) > 0
            values = low + np.flatnonzero(occurs)
            return values, (np.cumsum(occurs) - 1)[steps]
    order = np.argsort(present)
    rising = present[order]
    first = np.append(True, rising[1:] != rising[:-1])[: len(rising)]
    places = np.empty(len(present), dtype=np.int64)
    places[order] = np.cumsum(first) - 1
    return rising[first], places


def _level_codes(
    synthetic: Dataset, reference: Dataset, name: str
) -> tuple[tuple[str, ...], Codes, Codes]:
    (a, levels_a), (b, levels_b) = synthetic.codes(name), reference.codes(name)
    levels = tuple(sorted({*levels_a, *levels_b}))
    place = {level: i for i, level in enumerate(levels)}
    to_a, to_b = (
        np.array([*[place[level] for level in own], len(levels)], dtype=np.int64)
        for own in (levels_a, levels_b)
    )
    return levels, to_a[a], to_b[b]

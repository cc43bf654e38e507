"""Columns as codes into their distinct values, sorted once, as cells, and by roundness."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset

from .._bootstrap_metric import Floats, Ints
from .._samples import levels_by_frequency, place_levels

CellCoder = Callable[[Dataset], tuple[Ints, int]]
"""Set -> cell of each row, shape (n,), and the number of cells."""

# Whole numbers whose span is at most this many times their number are counted, not sorted, which
# is faster; a wider span would need more memory than the column itself.
_DENSE_SPAN = 4
# Cells of a column by default: coarser bins hide weak dependence, finer ones hold too few rows.
_N_CELLS = 8
_DIGITS = 5  # below this many digits of a typical value, rounding error of measurement hides steps
_STEP_TOLERANCE = 0.01  # of a step: decimals have no exact binary form
_TIME_STEPS = np.array([1e3, 1e6, 6e7, 3.6e9, 8.64e10])  # 1 ms, 1 s, 1 min, 1 h, 1 day in us


def choose_columns(dataset: Dataset, target: str | None, max_columns: int) -> list[str]:
    """Return the names of at most `max_columns` columns in order: the target and the first ones."""
    names = list(dataset.schema.names)
    ranked = sorted(names, key=lambda name: name != target)
    return sorted(ranked[:max_columns], key=names.index)


@dataclass(frozen=True)
class CodedColumn:
    """A column of one set, as codes into its distinct values."""

    values: Floats  # (k,): distinct numbers, ascending; 0 to k - 1 for labels
    levels: tuple[str, ...]  # labels in their order; empty for numbers and datetimes
    codes: Ints  # (n,): position of each row's value; k is missing
    counts: Ints  # (k + 1,): number of rows with each value, missing last

    @classmethod
    def from_rows(cls, rows: Dataset, name: str) -> CodedColumn:
        """Return a column of any tabular kind."""
        if not rows.schema[name].has_order:
            found, levels = rows.codes(name)
            codes = np.where(found < 0, len(levels), found).astype(np.int64)
            counts = np.bincount(codes, minlength=len(levels) + 1)
            return cls(np.arange(len(levels), dtype=np.float64), levels, codes, counts)
        column = rows.values(name)
        present = ~np.isnan(column)
        values, places, counts = _find_distinct(column[present])
        codes = np.full(len(column), len(values), dtype=np.int64)
        codes[present] = places
        return cls(values, (), codes, np.append(counts, np.count_nonzero(~present)))


@dataclass(frozen=True)
class PooledColumn:
    """A column of both sets, as codes into the distinct values of both."""

    is_time: bool
    is_number: bool  # values have distances: a number, integer or datetime
    values: Floats  # (k,): as in `CodedColumn`, of both sets
    synthetic: Floats  # (k + 1,): number of rows with each value, missing last
    reference: Floats
    coded: tuple[CodedColumn, CodedColumn]  # of the synthetic and of the reference rows
    places: tuple[
        Ints, Ints
    ]  # for each set, position in `values` of its own values; k, missing, last

    @classmethod
    def from_sets(
        cls, synthetic: Dataset, reference: Dataset, name: str, cache: dict[str, Any] | None = None
    ) -> PooledColumn:
        """Return a column of both sets; `cache` keeps the reference's own column for other sets."""
        field, key = reference.schema[name], f"coded {name}"
        cache = {} if cache is None else cache

        if key not in cache:
            cache[key] = CodedColumn.from_rows(reference, name)
        coded = (CodedColumn.from_rows(synthetic, name), cache[key])
        if field.has_order:
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
        return cls(
            field.is_time, field.has_order, values, counts[0], counts[1], coded, (first, second)
        )

    def rows(self, table: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Return the entry of a table, shape (k + 1,), for each synthetic and each reference row."""
        synthetic, reference = (
            table[place][column.codes] for column, place in zip(self.coded, self.places)
        )
        return synthetic, reference


def quantile_places(counts: Floats, shares: Floats) -> Ints:
    """Return the positions of quantiles among distinct values, as numpy's "inverted_cdf" takes them."""
    n = counts.sum()
    return places_of(counts, np.clip(np.ceil(n * shares - 1), 0, n - 1))


def places_of(counts: Floats, positions: Floats) -> Ints:
    """Return the distinct value of the rows at these positions of the sorted rows."""
    return np.searchsorted(np.cumsum(counts), positions, side="right")


def cut_at(edges: Ints, k: int) -> Ints:
    """Return how many of the edges, distinct and ascending, lie below each of the places 0 to k - 1."""
    return np.repeat(np.arange(len(edges) + 1), np.diff(edges, prepend=-1, append=k - 1))


def _find_distinct(present: Floats) -> tuple[Floats, Ints, Ints]:
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


def fit_cells(
    real: Dataset, name: str, *, n_bins: int = _N_CELLS, n_levels: int = _N_CELLS
) -> CellCoder:
    """Return a function that gives the cells of a column of any set, as the real rows cut it.

    Labels: a cell for each of the `n_levels` most frequent ones, one for all others, one for missing.
    Numbers and datetimes are cut at real quantiles into `n_bins` bins, and missing is the last cell.
    """
    if real.schema[name].has_levels:
        common = levels_by_frequency(real, name)[:n_levels]
        n = len(common)
        return lambda rows: (place_levels(rows, name, common, n, n + 1), n + 2)
    values = real.values(name)
    present, inner = values[np.isfinite(values)], np.linspace(0, 1, n_bins + 1)[1:-1]
    edges = np.zeros(0)
    if len(present):
        edges = np.unique(np.quantile(present, inner, method="inverted_cdf"))

    def code_numbers(rows: Dataset) -> tuple[Ints, int]:
        values = rows.values(name)
        place = np.searchsorted(edges, values, side="left")
        return np.where(np.isnan(values), len(edges) + 1, place), len(edges) + 2

    return code_numbers


def compute_roundness(reference: Dataset, others: list[Dataset], name: str) -> list[Floats] | None:
    """Return the roundness of each value of a column: of the reference, then of the other sets.

    Rounding hardly moves a distribution, yet it reveals every row. None where all are equally round.
    """
    if not reference.schema[name].has_order:
        return None
    steps = choose_rounding_steps(reference.schema[name].is_time, reference.values(name))
    found = [count_rounding_steps(part.values(name), steps) for part in (reference, *others)]
    return found if _varies(np.concatenate(found)) else None


def compute_value_roundness(column: PooledColumn) -> Floats | None:
    """Return the roundness of each distinct value, shape (k,); None as in `compute_roundness`."""
    if not column.is_number:
        return None
    real = np.repeat(column.values, column.reference[:-1].astype(np.int64))
    found = count_rounding_steps(column.values, choose_rounding_steps(column.is_time, real))
    return found if _varies(found) else None


def count_rounding_steps(values: Floats, steps: Floats) -> Floats:
    """Return how many of the `steps` divide each value, shape (n,); NaN where missing."""
    out = np.where(np.isfinite(values), 0.0, np.nan)
    left = np.flatnonzero(np.isfinite(values))
    for step in steps:
        parts = values[left] / step
        left = left[np.abs(parts - np.rint(parts)) < _STEP_TOLERANCE]
        out[left] += 1
    return out


def choose_rounding_steps(is_time: bool, real: Floats) -> Floats:
    """Return ascending steps: 1 ms to 1 day for times, else 1, 5, 10, 50, ... times a first one."""
    if is_time:
        return _TIME_STEPS
    sizes = np.abs(real[np.isfinite(real) & (real != 0)])
    top = int(np.ceil(np.log10(np.median(sizes)))) if len(sizes) else 0
    # From five digits below the median size of the real values.
    powers = 10.0 ** np.arange(top - _DIGITS, top + 1)
    return np.sort(np.concatenate([powers, 5 * powers]))


def _varies(roundness: Floats) -> bool:
    present = roundness[~np.isnan(roundness)]
    return bool(len(present) and present.min() < present.max())

"""Factors: columns with a few named levels, so that slices of a table can be counted and named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field
from twinset.core.data.where import Condition

Codes = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]

N_BINS = 5  # numbers and dates are binned at the quantiles 1/5, 2/5, 3/5 and 4/5
MIN_LEVEL_FRACTION = 0.005  # rarer levels are grouped: alone they have too few rows to be tested
MIN_LEVEL_ROWS = (
    11  # nor does a level with fewer rows stand alone: counts of 1 to 10 are not reported
)
MAX_LEVELS = 20  # more levels multiply the pairs and triples that are searched

_MAX_MOVED = 0.01  # share of the values that may change bins so that an edge is a round number
_MAX_GROUPED = 50  # texts that a condition lists; a longer list is no name for a slice
_DAY = 86_400_000_000  # microseconds
_TIME_UNITS = (_DAY, 3_600_000_000, 60_000_000, 1_000_000)  # day, hour, minute, second


@dataclass(frozen=True)
class Level:
    """One or several codes of a factor, what they are called, and the condition that means them."""

    words: str
    condition: Condition
    codes: tuple[int, ...]


@dataclass(frozen=True)
class Factor:
    """A column divided into levels that exclude each other; code `size` stands for any other value."""

    column: str
    levels: tuple[Level, ...]  # Level i has the code i
    # Unions of neighbouring bins of a number or date: everything below, or from, an edge
    spans: tuple[Level, ...] = ()
    # Of a category: the texts of each level; empty for numbers and dates
    texts: tuple[tuple[str, ...], ...] = ()
    # Of a number or date: the inner edges of its bins; a value on an edge belongs to the right one
    edges: tuple[float, ...] = ()
    missing: int | None = None  # Code of missing values; None where they are no level

    @property
    def size(self) -> int:
        """Number of levels."""
        return len(self.levels)

    def codes(self, dataset: Dataset) -> Codes:
        """Return the code of each row, shape (n,), 0 to `size`."""
        missing = self.size if self.missing is None else self.missing
        if self.texts:
            found, names = dataset.codes(self.column)
            code_of = {text: i for i, texts in enumerate(self.texts) for text in texts}
            table = np.array([*[code_of.get(name, self.size) for name in names], missing])
            return np.asarray(table[found], dtype=np.int32)
        values = dataset.values(self.column)
        found = np.searchsorted(np.array(self.edges), values, side="right").astype(np.int32)
        return np.asarray(np.where(np.isnan(values), missing, found), dtype=np.int32)


def infer_factors(
    train: Dataset,
    columns: Sequence[str] | None = None,  # columns to look at; by default all of a tabular kind
) -> tuple[Factor, ...]:
    """Return the factors of a real table: its columns as a few named levels.

    Categories and booleans keep their levels; levels that fewer than 0.5 % of the rows have, and all
    but the 20 most frequent, are one level together. Numbers and dates are binned at the quantiles 1/5
    to 4/5, rounded; a value that a fifth of the rows share is a bin of its own. Missing values are a
    level where 0.5 % of the rows lack the value. Columns with one level are left out.
    """
    chosen = set(train.schema.names if columns is None else columns)
    found = []
    for field in train.schema.fields:
        if field.name in chosen and field.is_tabular and len(train):
            by_text = field.has_levels
            factor = _labels(train, field) if by_text else _bins(train, field)
            if factor.size > 1:
                found.append(factor)
    return tuple(found)


def bin_edges(values: Floats, n_bins: int = N_BINS) -> list[float]:
    """Return the inner edges of bins that hold about equally many values, ascending.

    A value that 1 / `n_bins` of the rows share gets a bin of its own. Edges are rounded to about a
    hundredth of the range, where that changes nothing about their order.
    """
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) < 2:
        return []
    if len(distinct) <= n_bins:
        return [float(value) for value in distinct[1:]]
    below = np.cumsum(counts) / len(values)
    places: set[int] = set()
    for share in np.arange(1, n_bins) / n_bins:
        at = int(np.searchsorted(below, share - 1e-9))
        is_atom = counts[at] * n_bins >= len(values)
        # An edge goes before the value after the quantile; a value of many rows gets two.
        places |= {at, at + 1} if is_atom else {at + 1}
    kept = sorted(position for position in places if 0 < position < len(distinct))
    reach = distinct[kept[-1]] - distinct[kept[0]] if len(kept) > 1 else abs(distinct[kept[0]])
    edges = (_rounded(distinct, below, position, reach or 1.0) for position in kept)
    return sorted(set(edges))


def _rounded(distinct: Floats, below: Floats, position: int, reach: float) -> float:
    """Return a round number as edge, to a hundredth of `reach`, if few values change sides.

    Otherwise the value itself: `distinct` are the values, `below` the shares up to each.
    """
    edge = float(distinct[position])
    step = 10.0 ** np.floor(np.log10(reach / 20))
    near = float(np.round(np.floor(edge / step) * step, 12))
    place = int(np.searchsorted(distinct, near))
    moved = below[position - 1] - (below[place - 1] if place else 0.0)
    return near if place and moved <= _MAX_MOVED else edge


def _labels(train: Dataset, field: Field) -> Factor:
    codes, names = train.codes(field.name)
    counts = np.bincount(codes[codes >= 0], minlength=len(names))
    least = max(MIN_LEVEL_FRACTION * len(train), MIN_LEVEL_ROWS)
    order = np.argsort(-counts, kind="stable")[:MAX_LEVELS]
    own = sorted(int(i) for i in order if counts[i] >= least)
    rare = [name for i, name in enumerate(names) if i not in own]
    kind = field.column_kind
    levels = [
        Level(kind.level_words(field.name, names[i]), kind.level_value(names[i]), (k,))
        for k, i in enumerate(own)
    ]
    texts: list[tuple[str, ...]] = [(names[i],) for i in own]
    if 0 < len(rare) <= _MAX_GROUPED:
        if len(rare) == 1:
            words = kind.level_words(field.name, rare[0])
        else:
            words = f"{field.name} = one of its {len(rare)} rare values"
        condition: Condition = kind.level_value(rare[0]) if len(rare) == 1 else list(rare)
        levels.append(Level(words, condition, (len(levels),)))
        texts.append(tuple(rare))
    missing = _missing(field.name, float((codes < 0).mean()), levels)
    return Factor(field.name, tuple(levels), texts=tuple(texts), missing=missing)


def _bins(train: Dataset, field: Field) -> Factor:
    values = train.values(field.name)
    present = values[np.isfinite(values)]
    edges = bin_edges(present) if len(present) else []
    if field.is_time and edges:
        # The largest of day, hour, minute and second that the reach holds twenty of.
        reach = edges[-1] - edges[0] if len(edges) > 1 else np.ptp(present)
        unit = next((unit for unit in _TIME_UNITS if reach >= 20 * unit), 1)
        edges = sorted({float(np.floor(edge / unit) * unit) for edge in edges})
        edges = [edge for edge in edges if edge > present.min()]
    whole = field.is_whole or (field.is_numeric and field.decimals == 0)
    if whole:
        edges = sorted({float(np.ceil(edge)) for edge in edges})
    names_ = _RangeNames(field, whole)
    ends = [None, *edges, None]
    levels = [
        Level(names_.words(low, high), names_.condition(low, high), (i,))
        for i, (low, high) in enumerate(pairwise(ends))
        if edges
    ]
    spans = []
    for i, edge in enumerate(edges):
        below, above = tuple(range(i + 1)), tuple(range(i + 1, len(edges) + 1))
        # What lies below the first edge, or from the last one on, is a bin already.
        if len(below) > 1:
            spans.append(Level(names_.words(None, edge), names_.condition(None, edge), below))
        if len(above) > 1:
            spans.append(Level(names_.words(edge, None), names_.condition(edge, None), above))
    missing = None
    if levels:
        missing = _missing(field.name, float(np.isnan(values).mean()), levels)
    return Factor(field.name, tuple(levels), tuple(spans), edges=tuple(edges), missing=missing)


def _missing(column: str, share: float, levels: list[Level]) -> int | None:
    """Add the level of missing values where there are enough of them, and return its code."""
    if share < MIN_LEVEL_FRACTION:
        return None
    levels.append(Level(f"{column} is missing", None, (len(levels),)))
    return len(levels) - 1


@dataclass(frozen=True)
class _RangeNames:
    """Words and conditions for ranges of a number or date."""

    field: Field
    whole: bool

    def words(self, low: float | None, high: float | None) -> str:
        name = self.field.name
        if low is None or high is None:
            return (
                f"{name} < {self._spell(high)}" if low is None else f"{name} >= {self._spell(low)}"
            )
        if self.whole:
            last = high - 1
            return f"{name} = {low:g}" if last == low else f"{name} {low:,.0f} to {last:,.0f}"
        return f"{name} from {self._spell(low)} to below {self._spell(high)}"

    def condition(self, low: float | None, high: float | None) -> Condition:
        if self.whole and low is not None and high is not None and high - low == 1:
            return int(low)
        bounds: dict[str, object] = {}
        if low is not None:
            bounds["ge"] = self._value(low)
        if high is not None:
            bounds["lt"] = self._value(high)
        return bounds

    def _spell(self, edge: float | None) -> str:
        assert edge is not None
        return f"{edge:,.10g}" if not self.field.is_time else str(self._value(edge))

    def _value(self, edge: float) -> Any:
        if not self.field.is_time:
            return int(edge) if self.whole else float(edge)
        instant = datetime.fromtimestamp(edge / 1e6, UTC)
        zoned = getattr(self.field.arrow_type, "tz", None) is not None
        if edge % _DAY == 0 and not zoned:
            return instant.strftime("%Y-%m-%d")
        text = instant.strftime("%Y-%m-%dT%H:%M:%S" + (".%f" if edge % 1_000_000 else ""))
        return f"{text}Z" if zoned else text

"""Figures of single columns: shares of real, synthetic and holdout rows in common bins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field
from twinset.report.answers.phrases import axis_label, date_label

SERIES = ("real", "synthetic", "holdout")
MAX_BINS = 24  # a bin of a figure of 300 px is then 12 px wide; narrower steps are hard to compare
MAX_LEVELS = 6  # bars of a column; with "(other)" and "(missing)" a panel is as high as a histogram
# Counts of one to ten real rows are the usual limit below which a table cell may point at a person.
SMALL_COUNT = 10
ROWS_PER_BIN = (
    15  # of real rows, on average: fewer give bins that are mostly drawn as a small count
)
_MIN_BINS = 8  # few rows still get bins enough to show a shape

Floats = npt.NDArray[np.float64]
Shares = Mapping[str, Floats]


@dataclass(frozen=True)
class Histogram:
    """Shares of rows in bins of equal width; `log_like` says that the axis is compressed.

    `labels` are (position from 0 to 1, text) pairs; `shares` maps a series to an array (n_bins,).
    """

    shares: Shares
    labels: tuple[tuple[float, str], ...]
    log_like: bool = False


@dataclass(frozen=True)
class Bars:
    """Shares of rows by level; `shares` maps a series to an array (n_levels,)."""

    levels: tuple[str, ...]
    shares: Shares
    log_like: bool = False


@dataclass(frozen=True)
class ColumnPanel:
    """One column's figure with its heading."""

    name: str
    kind: str
    role: str
    distance: float | None
    missing: Mapping[str, float]
    figure: Histogram | Bars


def column_panels(
    sets: Mapping[str, Dataset], distances: Mapping[str, float], limit: int = 40
) -> tuple[tuple[ColumnPanel, ...], int]:
    """Return figures of the worst `limit` columns, worst first, and how many are excluded.

    Real counts are rounded to tens and one to ten rows are drawn alike, levels with fewer than eleven
    real rows are pooled, and the axis ends at rounded 0.5 % and 99.5 % quantiles: no figure points at
    a single row.

    Parameters
    ----------
    sets : mapping
        "synthetic" and, where there are such sets, "real" and "holdout", with the same schema.
    distances : mapping
        Column -> distance of the synthetic from the real column, for the order; may be empty.
    limit : int
        Greatest number of figures.
    """
    synthetic = sets["synthetic"]
    fields = [f for f in synthetic.schema.fields if _choose_figure(f) and f.role != "identifier"]
    # `sorted` is stable: columns without a distance keep the schema's order behind the others.
    fields.sort(key=lambda f: -distances.get(f.name, -1.0))
    panels = []
    for field in fields[:limit]:
        present = {name: sets[name] for name in SERIES if _has(sets.get(name), field)}
        draw = _choose_figure(field)
        figure = draw(present, field) if present and draw else None
        if figure is None:
            continue
        missing = {name: float(s.is_null(field.name).mean()) for name, s in present.items()}
        if isinstance(figure, Bars) or not any(missing.values()):
            missing = {}  # bars show missing values as a level of their own
        distance = distances.get(field.name)
        panels.append(ColumnPanel(field.name, field.kind, field.role, distance, missing, figure))
    return tuple(panels), max(0, len(fields) - limit)


def _has(dataset: Dataset | None, field: Field) -> bool:
    """Return whether a set holds the column as something that is drawn in the same way.

    What is a number in one set may be a category of few values in another: then only the scores speak
    of both.
    """
    if dataset is None or not len(dataset) or field.name not in dataset.schema.names:
        return False
    return _choose_figure(dataset.schema[field.name]) is _choose_figure(field)


def _numbers(sets: Mapping[str, Dataset], field: Field) -> Histogram | None:
    values = {name: dataset.values(field.name) for name, dataset in sets.items()}
    return _histogram(values, whole=field.is_whole, label=axis_label)


def _dates(sets: Mapping[str, Dataset], field: Field) -> Histogram | None:
    values = {name: dataset.values(field.name) for name, dataset in sets.items()}
    return _histogram(values, whole=False, label=date_label, may_compress=False)


def _text_lengths(sets: Mapping[str, Dataset], field: Field) -> Histogram | None:
    columns = {name: dataset.records.column(field.name) for name, dataset in sets.items()}
    words = {
        name: pc.cast(pc.list_value_length(pc.utf8_split_whitespace(column)), pa.float64())
        for name, column in columns.items()
    }
    values = {name: one.to_numpy(zero_copy_only=False) for name, one in words.items()}
    return _histogram(values, whole=True, label=axis_label)


def _labels(sets: Mapping[str, Dataset], field: Field) -> Bars | None:
    labels = field.column_kind.labels
    return _bars({name: labels(rows.records.column(field.name)) for name, rows in sets.items()})


Draw = Callable[[Mapping[str, Dataset], Field], Histogram | Bars | None]


def _choose_figure(field: Field) -> Draw | None:
    if field.has_levels or field.column_kind.label_key:
        return _labels
    if field.has_order:
        return _dates if field.is_time else _numbers
    return _text_lengths if field.column_kind.is_free_text else None


def _histogram(
    columns: Mapping[str, Floats],
    *,
    whole: bool,
    label: Callable[[float, float], str],
    may_compress: bool = True,
) -> Histogram | None:
    found = {name: values[~np.isnan(values)] for name, values in columns.items()}
    # Few real rows get few bins: each should hold more than a handful.
    n_real = min((v.size for name, v in found.items() if name != "synthetic"), default=10**9)
    max_bins = min(MAX_BINS, max(_MIN_BINS, n_real // ROWS_PER_BIN))
    bins = shared_bins(
        list(found.values()), whole=whole, may_compress=may_compress, max_bins=max_bins
    )
    if bins is None:
        return None
    shares = {
        name: _shares(name, bins.count(values), values.size) for name, values in found.items()
    }
    return Histogram(shares, bins.labels(label), bins.log_like)


def _shares(series: str, counts: Floats, n: float) -> Floats:
    """Return shares of `n` rows; of real rows from counts rounded to tens, 1 to 10 drawn as 5."""
    if series != "synthetic":
        small = (counts > 0) & (counts <= SMALL_COUNT)
        counts = np.where(small, SMALL_COUNT / 2, SMALL_COUNT * np.round(counts / SMALL_COUNT))
    return np.asarray(counts / max(n, counts.sum(), 1.0))


def _bars(columns: Mapping[str, Any]) -> Bars | None:
    counts: dict[str, dict[str | None, int]] = {}
    for name, column in columns.items():
        counted = pc.value_counts(pc.cast(column, pa.string()))
        counts[name] = dict(zip(counted.field(0).to_pylist(), counted.field(1).to_pylist()))
    if not any(counts.values()):
        return None
    drawn = _drawn_levels(counts)
    rows: dict[str, list[float]] = {}
    for name, found in counts.items():
        known = [float(found.get(level, 0)) for level in drawn]
        others = sum(n for level, n in found.items() if level is not None and level not in drawn)
        rows[name] = [*known, float(others), float(found.get(None, 0))]
    labels = [*drawn, "(other)", "(missing)"]
    used = [i for i in range(len(labels)) if i < len(drawn) or any(r[i] for r in rows.values())]
    shares = {name: _shares(name, np.array(row)[used], sum(row)) for name, row in rows.items()}
    return Bars(tuple(labels[i] for i in used), shares)


def _drawn_levels(counts: Mapping[str, Mapping[str | None, int]]) -> list[str]:
    """Return the levels to name: the most frequent of those that eleven real rows share."""
    reference = counts.get("real") or counts.get("holdout")
    totals = {name: max(1, sum(found.values())) for name, found in counts.items()}
    weight: dict[str, float] = {}
    for name, found in counts.items():
        for level, n in found.items():
            if level is not None and (reference is None or reference.get(level, 0) > SMALL_COUNT):
                weight[level] = max(weight.get(level, 0.0), n / totals[name])
    return sorted(weight, key=lambda level: (-weight[level], level))[:MAX_LEVELS]


@dataclass(frozen=True)
class Bins:
    """Bins that are drawn equally wide.

    Parameters
    ----------
    edges : numpy.ndarray, shape (n_bins + 1,)
        Where bins begin and end, ascending.
    whole : bool
        Whether the values are whole numbers; the edges then lie halfway between two of them.
    log_like : bool
        Whether bins grow away from zero.
    """

    edges: Floats
    whole: bool = False
    log_like: bool = False

    def count(self, values: Floats) -> Floats:
        """Return how many values fall into each bin, shape (n_bins,); those beyond the ends none."""
        return np.histogram(values, bins=self.edges)[0].astype(np.float64)

    def labels(self, label: Callable[[float, float], str]) -> tuple[tuple[float, str], ...]:
        """Return up to three (position from 0 to 1, text) pairs; `label` turns value and span to text."""
        n = len(self.edges) - 1
        span = float(self.edges[-1] - self.edges[0])
        if n == 1:
            return ((0.5, label(float(self.edges.mean()), 0.0)),)
        if self.whole and self.edges[1] - self.edges[0] == 1:
            # One whole number a bin: name the first, the middle and the last bin.
            bins = sorted({0, (n - 1) // 2, n - 1})
            return tuple(
                ((i + 0.5) / n, label(self.edges[i] + 0.5, max(span, 100.0))) for i in bins
            )
        middle = float(self.edges[n // 2])
        if self.log_like and self.edges[0] < 0 < self.edges[-1] and abs(middle) < 0.01 * span:
            middle = 0.0
        spans = (span, abs(middle) if self.log_like and middle else span, span)
        moved = 0.5 if self.whole else 0.0
        values = (float(self.edges[0]), middle, float(self.edges[n]))
        places = (0.0, (n // 2) / n, 1.0)
        return tuple((p, label(v + moved, s)) for p, v, s in zip(places, values, spans))


def shared_bins(
    found: Sequence[Floats], *, whole: bool, may_compress: bool = True, max_bins: int = MAX_BINS
) -> Bins | None:
    """Return bins for several samples of one column; None when there is no value at all.

    They reach from the least 0.5 % quantile to the greatest 99.5 % quantile, moved outwards to round
    numbers, so that an end is nobody's value. With `may_compress` they grow away from zero when
    nearly all values would share one bin otherwise.

    Examples
    --------
    >>> shared_bins([np.array([1.0, 2.0, 3.0])], whole=True).edges.tolist()
    [0.5, 1.5, 2.5, 3.5]
    """
    filled = [values for values in found if values.size]
    if not filled:
        return None
    low = min(float(np.quantile(values, 0.005)) for values in filled)
    high = max(float(np.quantile(values, 0.995)) for values in filled)
    bins = Bins((_whole_edges if whole else _edges)(low, high, max_bins), whole)
    return _compressed(bins, filled) if may_compress else bins


def _whole_edges(low: float, high: float, max_bins: int) -> Floats:
    low, high = np.floor(low), np.ceil(high)
    if high - low >= max_bins:
        low, high = _rounded_out(low, high)
    # A bin holds a whole number of whole numbers, or its height would swing with how many.
    width = np.ceil((high - low + 1) / max_bins)
    n_bins = int(np.ceil((high - low + 1) / width))
    return np.asarray(low - 0.5 + width * np.arange(n_bins + 1))


def _edges(low: float, high: float, max_bins: int) -> Floats:
    if not high - low > 1e-12 * max(abs(low), abs(high), 1e-300):
        width = max(abs(low) * 0.1, 0.5)
        return np.array([low - width, low + width])
    return np.linspace(*_rounded_out(low, high), max_bins + 1)


def _rounded_out(low: float, high: float) -> tuple[float, float]:
    step = 10 ** np.floor(np.log10((high - low) / 10))
    return float(np.floor(low / step) * step), float(np.ceil(high / step) * step)


def _compressed(bins: Bins, filled: Sequence[Floats]) -> Bins:
    """Return bins that grow away from zero where one bin would hold over 60 % of the values."""
    pooled = np.concatenate([values[:: max(1, values.size // 20_000)] for values in filled])
    sizes = np.abs(pooled[pooled != 0])
    n_bins = len(bins.edges) - 1
    is_full = n_bins > 3 and bins.count(pooled).max() > 0.6 * pooled.size
    # Around zero the growing bins would draw two humps out of one: only for values of one sign.
    has_both_signs = 0.05 < np.mean(pooled < 0) < 0.95
    if not is_full or has_both_signs or sizes.size < 0.2 * pooled.size:
        return bins
    scale = float(f"{np.quantile(sizes, 0.1):.1g}")
    if scale < 1e-200 * np.abs(bins.edges).max():
        return bins
    ends = np.arcsinh(bins.edges[[0, -1]] / scale)
    edges = np.sinh(np.linspace(ends[0], ends[1], n_bins + 1)) * scale
    if bins.whole:
        edges = np.round(edges - 0.5) + 0.5
        if np.diff(edges).min() < 1:
            return bins
    return Bins(edges, bins.whole, log_like=True)

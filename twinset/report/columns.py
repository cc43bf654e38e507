"""What the per-column figures show: shares of real, synthetic and holdout rows on common bins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.dataset import Dataset
from twinset.core.schema import Field
from twinset.report.wording import axis_label, date_label

SERIES = ("real", "synthetic", "holdout")
MAX_BINS = 24
MAX_LEVELS = 6
# Counts of one to ten real rows are the usual limit below which a table cell may point at a person.
SMALL_COUNT = 10

Shares = Mapping[str, npt.NDArray[np.float64]]


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
    """Return figures of the worst `limit` columns, worst first, and how many are left out.

    Bins and levels that hold one to ten real rows are drawn alike (see `_shares`), levels with fewer
    than eleven real rows are pooled, and the axis ends at rounded 0.5 % and 99.5 % quantiles: the
    figures tell of no single row.

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
    fields = [f for f in synthetic.schema.fields if f.kind in _FIGURES and f.role != "identifier"]
    # `sorted` is stable: columns without a distance keep the schema's order behind the others.
    fields.sort(key=lambda f: -distances.get(f.name, -1.0))
    panels = []
    for field in fields[:limit]:
        present = {name: sets[name] for name in SERIES if _has(sets.get(name), field)}
        figure = _FIGURES[field.kind](present, field) if present else None
        if figure is not None:
            missing = {name: float(s.is_null(field.name).mean()) for name, s in present.items()}
            panels.append(
                ColumnPanel(
                    name=field.name,
                    kind=field.kind,
                    role=field.role,
                    distance=distances.get(field.name),
                    missing=missing if any(missing.values()) else {},
                    figure=figure,
                )
            )
    return tuple(panels), max(0, len(fields) - limit)


def _has(dataset: Dataset | None, field: Field) -> bool:
    return dataset is not None and len(dataset) > 0 and field.name in dataset.schema.names


def _numbers(sets: Mapping[str, Dataset], field: Field) -> Histogram | None:
    found = {name: _present(dataset.values(field.name)) for name, dataset in sets.items()}
    return _histogram(found, whole=field.kind == "integer", label=axis_label)


def _dates(sets: Mapping[str, Dataset], field: Field) -> Histogram | None:
    found = {name: _present(dataset.values(field.name)) for name, dataset in sets.items()}
    return _histogram(found, whole=False, label=date_label, may_compress=False)


def _text_lengths(sets: Mapping[str, Dataset], field: Field) -> Histogram | None:
    found = {}
    for name, dataset in sets.items():
        words = pc.list_value_length(pc.utf8_split_whitespace(dataset.records.column(field.name)))
        found[name] = _present(_floats(words))
    return _histogram(found, whole=True, label=axis_label)


def _levels(sets: Mapping[str, Dataset], field: Field) -> Bars | None:
    return _bars({name: dataset.records.column(field.name) for name, dataset in sets.items()})


def _object_levels(sets: Mapping[str, Dataset], field: Field) -> Bars | None:
    key = "category" if field.kind == "boxes" else "label"
    flat = {
        name: pc.struct_field(pc.list_flatten(dataset.records.column(field.name)), key)
        for name, dataset in sets.items()
    }
    return _bars(flat)


_FIGURES: Mapping[str, Callable[[Mapping[str, Dataset], Field], Histogram | Bars | None]] = {
    "number": _numbers,
    "integer": _numbers,
    "datetime": _dates,
    "text": _text_lengths,
    "category": _levels,
    "boolean": _levels,
    "boxes": _object_levels,
    "spans": _object_levels,
}


def _floats(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    values = pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False)
    return np.asarray(values, dtype=np.float64)


def _present(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return values[~np.isnan(values)]


def _histogram(
    found: Mapping[str, npt.NDArray[np.float64]],
    *,
    whole: bool,
    label: Callable[[float, float], str],
    may_compress: bool = True,
) -> Histogram | None:
    filled = [values for values in found.values() if values.size]
    if not filled:
        return None
    low = min(float(np.quantile(values, 0.005)) for values in filled)
    high = max(float(np.quantile(values, 0.995)) for values in filled)
    edges = _edges(low, high, whole)
    scale = _compression(filled, edges) if may_compress else None
    if scale is not None:
        bent = np.linspace(np.arcsinh(edges[0] / scale), np.arcsinh(edges[-1] / scale), MAX_BINS + 1)
        edges = np.sinh(bent) * scale
    shares = {name: _shares(name, _count(values, edges)) for name, values in found.items()}
    return Histogram(shares, _tick_labels(edges, label, scale), scale is not None)


def _edges(low: float, high: float, whole: bool) -> npt.NDArray[np.float64]:
    """Return bin edges on round numbers, so that an end of the axis is nobody's value."""
    if whole and high - low < MAX_BINS:
        return np.arange(np.floor(low) - 0.5, np.floor(high) + 1.0)
    span = high - low
    if not span > 1e-12 * max(abs(low), abs(high), 1e-300):
        width = max(abs(low) * 0.1, 0.5)
        return np.array([low - width, low + width])
    step = 10 ** np.floor(np.log10(span / 10))
    if whole:
        step = max(step, 1.0)
    low, high = np.floor(low / step) * step, np.ceil(high / step) * step
    return np.linspace(low, high, MAX_BINS + 1)


def _compression(
    filled: Sequence[npt.NDArray[np.float64]], edges: npt.NDArray[np.float64]
) -> float | None:
    """Return the scale of a log-like axis when nearly all rows would share one bin, else None."""
    pooled = np.concatenate([values[:: max(1, values.size // 20_000)] for values in filled])
    counts = _count(pooled, edges)
    if len(edges) <= MAX_BINS or counts.max() < 0.6 * pooled.size:
        return None
    sizes = np.abs(pooled[pooled != 0])
    if sizes.size < 0.2 * pooled.size:
        return None
    scale = float(np.median(sizes))
    return float(f"{scale:.1g}") if scale > 0 else None


def _count(
    values: npt.NDArray[np.float64], edges: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Count values between the edges; those beyond an end fall into its bin."""
    inside = np.clip(values, edges[0], edges[-1])
    return np.histogram(inside, bins=edges)[0].astype(np.float64)


def _shares(series: str, counts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return shares of rows; real counts of 1 to 10 are one height, for five rows."""
    if series != "synthetic":
        counts = np.where((counts > 0) & (counts <= SMALL_COUNT), SMALL_COUNT / 2, counts)
    total = counts.sum()
    return counts / total if total else counts


def _tick_labels(
    edges: npt.NDArray[np.float64], label: Callable[[float, float], str], scale: float | None
) -> tuple[tuple[float, str], ...]:
    span = float(edges[-1] - edges[0])
    if len(edges) == 2:
        return ((0.5, label(float(edges.mean()), 0.0)),)
    if len(edges) <= MAX_BINS:
        # Bins of one whole number each: label the first, middle and last bin by its number.
        last = len(edges) - 2
        bins = sorted({0, last // 2, last})
        return tuple(
            ((i + 0.5) / (last + 1), label(float(edges[i]) + 0.5, max(span, 100.0))) for i in bins
        )
    ends = (0, (len(edges) - 1) // 2, len(edges) - 1)
    middle = float(edges[ends[1]])
    spans = (span, abs(middle) if scale is not None and middle else span, span)
    return tuple((i / (len(edges) - 1), label(float(edges[i]), s)) for i, s in zip(ends, spans))


def _bars(columns: Mapping[str, pa.ChunkedArray]) -> Bars | None:
    counts = {name: _level_counts(column) for name, column in columns.items()}
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
    shares = {name: _shares(name, np.array(row)[used]) for name, row in rows.items()}
    return Bars(tuple(labels[i] for i in used), shares)


def _level_counts(column: Any) -> dict[str | None, int]:
    counted = pc.value_counts(pc.cast(column, pa.string()))
    return {
        value: int(n) for value, n in zip(counted.field(0).to_pylist(), counted.field(1).to_pylist())
    }


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

"""What the per-column figures show: shares of real, synthetic and holdout rows on common bins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field
from twinset.report.answers.phrases import axis_label, date_label
from twinset.report.figures.binning import MAX_BINS, shared_bins

SERIES = ("real", "synthetic", "holdout")
MAX_LEVELS = 6
# Counts of one to ten real rows are the usual limit below which a table cell may point at a person.
SMALL_COUNT = 10
ROWS_PER_BIN = 15

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
    """Return figures of the worst `limit` columns, worst first, and how many are left out.

    Real counts are rounded to tens and one to ten rows are drawn alike, levels with fewer than eleven
    real rows are pooled, and the axis ends at rounded 0.5 % and 99.5 % quantiles: the figures tell
    of no single row.

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
        if figure is not None:
            missing = {name: float(s.is_null(field.name).mean()) for name, s in present.items()}
            panels.append(
                ColumnPanel(
                    name=field.name,
                    kind=field.kind,
                    role=field.role,
                    distance=distances.get(field.name),
                    missing=missing
                    if isinstance(figure, Histogram) and any(missing.values())
                    else {},
                    figure=figure,
                )
            )
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
    found = {name: _present(dataset.values(field.name)) for name, dataset in sets.items()}
    return _histogram(found, whole=field.is_whole, label=axis_label)


def _dates(sets: Mapping[str, Dataset], field: Field) -> Histogram | None:
    found = {name: _present(dataset.values(field.name)) for name, dataset in sets.items()}
    return _histogram(found, whole=False, label=date_label, may_compress=False)


def _text_lengths(sets: Mapping[str, Dataset], field: Field) -> Histogram | None:
    found = {}
    for name, dataset in sets.items():
        words = pc.list_value_length(pc.utf8_split_whitespace(dataset.records.column(field.name)))
        found[name] = _present(_floats(words))
    return _histogram(found, whole=True, label=axis_label)


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
    # Few real rows get few bins: each should hold more than a handful.
    fewest = min((v.size for name, v in found.items() if name != "synthetic"), default=10**9)
    most = min(MAX_BINS, max(8, fewest // ROWS_PER_BIN))
    bins = shared_bins(list(found.values()), whole=whole, may_compress=may_compress, most=most)
    if bins is None:
        return None
    shares = {
        name: _shares(name, bins.count(values), values.size) for name, values in found.items()
    }
    return Histogram(shares, bins.labels(label), bins.log_like)


def _shares(series: str, counts: npt.NDArray[np.float64], n: float) -> npt.NDArray[np.float64]:
    """Return shares of `n` rows; of real rows from counts rounded to tens, 1 to 10 drawn as 5."""
    if series != "synthetic":
        small = (counts > 0) & (counts <= SMALL_COUNT)
        counts = np.where(small, SMALL_COUNT / 2, SMALL_COUNT * np.round(counts / SMALL_COUNT))
    return np.asarray(counts / max(n, counts.sum(), 1.0))


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
    shares = {name: _shares(name, np.array(row)[used], sum(row)) for name, row in rows.items()}
    return Bars(tuple(labels[i] for i in used), shares)


def _level_counts(column: Any) -> dict[str | None, int]:
    counted = pc.value_counts(pc.cast(column, pa.string()))
    return {
        value: int(n)
        for value, n in zip(counted.field(0).to_pylist(), counted.field(1).to_pylist())
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

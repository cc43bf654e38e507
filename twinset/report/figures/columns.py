"""Figures as SVG text: columns, intervals, pairs, clusters; colours are CSS variables of the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from markupsafe import Markup

from twinset.core.contracts import Score
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field
from twinset.core.findings import ClusterShare
from twinset.report.answers.phrases import axis_label, date_label, percent, short

SERIES = ("real", "synthetic", "holdout")
MAX_BINS = 24  # a bin of a figure of 300 px is then 12 px wide; narrower steps are hard to compare
MAX_LEVELS = 6  # bars of a column; with "(other)" and "(missing)" a panel is as high as a histogram
# Counts of one to ten real rows are the usual limit below which a table cell may point at a person.
SMALL_COUNT = 10
# of real rows, on average: fewer give bins that are mostly drawn as a small count
ROWS_PER_BIN = 15
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

    `sets`: "synthetic" and, where there are such sets, "real" and "holdout", with the same schema.
    `distances`: column -> distance of the synthetic from the real column, for the order; may be
    empty. `limit`: greatest number of figures.
    """
    synthetic = sets["synthetic"]
    fields = [f for f in synthetic.schema.fields if _drawn_as(f) and f.role != "identifier"]
    # `sorted` is stable: columns without a distance keep the schema's order behind the others.
    fields.sort(key=lambda f: -distances.get(f.name, -1.0))
    panels = []
    for field in fields[:limit]:
        # A number in one set may be a category of few values in another: the scores speak of both.
        present = {
            name: sets[name]
            for name in SERIES
            if name in sets
            and len(sets[name])
            and field.name in sets[name].schema.names
            and _drawn_as(sets[name].schema[field.name]) == _drawn_as(field)
        }
        figure = _figure(present, field) if present else None
        if figure is None:
            continue
        missing = {name: float(s.is_null(field.name).mean()) for name, s in present.items()}
        if isinstance(figure, Bars) or not any(missing.values()):
            missing = {}  # bars show missing values as a level of their own
        distance = distances.get(field.name)
        panels.append(ColumnPanel(field.name, field.kind, field.role, distance, missing, figure))
    return tuple(panels), max(0, len(fields) - limit)


def _drawn_as(field: Field) -> Literal["labels", "numbers", "dates", "lengths", ""]:
    """Return how a column is drawn; empty where it is not."""
    if field.has_levels or field.column_kind.label_key:
        return "labels"
    if field.has_order:
        return "dates" if field.is_time else "numbers"
    return "lengths" if field.column_kind.is_free_text else ""


def _figure(sets: Mapping[str, Dataset], field: Field) -> Histogram | Bars | None:
    kind = _drawn_as(field)
    columns = {name: rows.records.column(field.name) for name, rows in sets.items()}
    if kind == "labels":
        return _bars({name: field.column_kind.labels(column) for name, column in columns.items()})
    if kind == "lengths":
        words = {n: pc.list_value_length(pc.utf8_split_whitespace(c)) for n, c in columns.items()}
        lengths = {name: pc.cast(n, pa.float64()).to_numpy() for name, n in words.items()}
        return _histogram(lengths, whole=True, label=axis_label)
    values = {name: rows.values(field.name) for name, rows in sets.items()}
    if kind == "dates":
        return _histogram(values, whole=False, label=date_label, may_compress=False)
    return _histogram(values, whole=field.is_whole, label=axis_label)


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
    """Bins that are drawn equally wide."""

    edges: Floats  # Where bins begin and end, ascending, shape (n_bins + 1,)
    # Whether the values are whole numbers; the edges then lie halfway between two of them
    whole: bool = False
    log_like: bool = False  # Whether bins grow away from zero

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


# Sizes are in CSS pixels of the figure's own coordinates; the page scales figures to their column.
_WIDTH, _PLOT_HEIGHT = 300.0, 104.0  # of a column's figure: three fit beside each other on the page
_BAR_PITCH = 17.0  # height of a bar with its gap: a label of 11 px fits
_LETTER = 6.4  # width of a letter of a label of 11 px, rounded up
_MAX_LETTERS = 18  # of a column's name beside the heatmap
_MAP = (560.0, 300.0)  # width and height of the cluster map
_EDGE, _MAX_RADIUS = 34.0, 44.0  # of the cluster map: the largest circle stays inside
_HOLE, _MIN_REAL = 0.3, 0.01
"""A cluster of 1 % of the real rows or more with under 30 % of that share among synthetic rows."""


def element(tag: str, *content: str | Markup, **attributes: str | float) -> Markup:
    """Return an SVG element: numbers are rounded to a tenth, texts are escaped.

    >>> element("text", "a < b", x=1.25, class_="tick", text_anchor="end")
    Markup('<text x="1.2" class="tick" text-anchor="end">a &lt; b</text>')
    """
    names = {"class_": "class"}
    parts = [
        Markup(' {}="{}"').format(
            names.get(name, name.replace("_", "-")),
            value if isinstance(value, str) else format_coordinate(value),
        )
        for name, value in attributes.items()
    ]
    inner = Markup("").join(content)
    if not content:
        return Markup("<{}{}/>").format(tag, Markup("").join(parts))
    return Markup("<{0}{1}>{2}</{0}>").format(tag, Markup("").join(parts), inner)


def format_coordinate(value: float) -> str:
    """Return a coordinate in as few characters as it needs."""
    return f"{value:.1f}".removesuffix(".0")


def svg(
    width: float,
    height: float,
    label: str,
    parts: Sequence[Markup],
    kind: str,
    *,
    top: float = 0.0,
    fixed: bool = False,
) -> Markup:
    """Return a figure with its text for readers who do not see it; a `fixed` one is not scaled."""
    box = " ".join(map(format_coordinate, (0, top, width, height)))
    size = {"width": width, "height": height} if fixed else {}
    labels = {"role": "img", "aria_label": label}
    return element("svg", *parts, class_=kind, viewBox=box, **size, **labels)


def tick(x: float, y: float, text: str, anchor: str = "middle") -> Markup:
    """Return a label at a place."""
    return element("text", text, class_="tick", x=x, y=y, text_anchor=anchor)


def upright_tick(x: float, y: float, text: str, anchor: str = "end") -> Markup:
    """Return a label that reads upwards."""
    place = f"translate({format_coordinate(x)} {format_coordinate(y)}) rotate(-90)"
    return element("text", text, class_="tick", text_anchor=anchor, transform=place)


def clip(text: str, length: int) -> str:
    """Return a text of at most `length` letters."""
    return text if len(text) <= length else text[: length - 1] + "…"


def column_figure(figure: Histogram | Bars, name: str) -> Markup:
    """Return the figure of one column as an SVG element; `name` goes into its label for readers."""
    series = [one for one in SERIES if one in figure.shares]
    top = max((float(s.max()) for s in figure.shares.values() if s.size), default=0.0) or 1.0
    if isinstance(figure, Histogram):
        noun, (parts, height) = "Histogram", _draw_histogram(figure, series, top)
    else:
        noun, (parts, height) = "Bars", _draw_bars(figure, series, top)
    label = f"{noun} of {name}, shares of rows: {', '.join(series)}"
    return svg(_WIDTH, height, label, parts, "figure")


def _draw_histogram(
    figure: Histogram, series: Sequence[str], top: float
) -> tuple[list[Markup], float]:
    parts = [element("path", class_="axis", d=f"M0 {_PLOT_HEIGHT:g}H{_WIDTH:g}")]
    for one in series:
        heights = [_PLOT_HEIGHT - (_PLOT_HEIGHT - 6) * float(v) / top for v in figure.shares[one]]
        parts.append(element("path", class_=one, d=_steps(heights, one == "real")))
    for place, text in figure.labels:
        anchor = "start" if place == 0 else "end" if place == 1 else "middle"
        parts.append(tick(_WIDTH * place, _PLOT_HEIGHT + 15, text, anchor))
    return parts, _PLOT_HEIGHT + 20


def _steps(heights: Sequence[float], closed: bool) -> str:
    """Return a stepped outline over equal bins; a closed one comes down to the axis at both ends."""
    width, n = _WIDTH / len(heights), format_coordinate
    path, last = f"M0 {n(_PLOT_HEIGHT)}", ""
    for i, height in enumerate(map(n, heights)):
        path += (f"V{height}" if height != last else "") + f"H{n(width * (i + 1))}"
        last = height
    return f"{path}V{n(_PLOT_HEIGHT)}{'Z' if closed else ''}"


def _draw_bars(figure: Bars, series: Sequence[str], top: float) -> tuple[list[Markup], float]:
    left, scale = 112.0, (_WIDTH - 112.0 - 44.0) / top
    groups: list[Markup] = []
    for i, level in enumerate(figure.levels):
        y = _BAR_PITCH * i + 2
        shares = {one: float(figure.shares[one][i]) for one in series}
        words = ", ".join(f"{one} {percent(share)}" for one, share in shares.items())
        parts = [
            element("title", f"{level}: {words}"),
            tick(left - 7, y + 11, clip(level, 17), "end"),
        ]
        if "real" in shares:
            width = max(0.0, scale * shares["real"])
            parts.append(element("rect", class_="real", x=left, y=y, width=width, height=13))
        width = max(0.8, scale * shares["synthetic"])
        parts.append(element("rect", class_="synthetic", x=left, y=y + 4, width=width, height=5))
        if "holdout" in shares:
            x = format_coordinate(left + scale * shares["holdout"])
            parts.append(element("path", class_="holdout tickmark", d=f"M{x} {y - 1:g}v15"))
        shown = shares.get("real", shares["synthetic"])
        groups.append(element("g", *parts, tick(_WIDTH, y + 11, percent(shown), "end")))
    return groups, _BAR_PITCH * len(figure.levels) + 4


def interval_figure(score: Score) -> Markup:
    """Return the interval of a score's difference on a line, with the zone inside the margin shaded.

    The zone is open towards the good side: only degradation has a margin.
    """
    if score.interval is None:
        return Markup("")
    low, high = score.interval
    point = 0.5 * (low + high)
    if score.value is not None and score.baseline is not None:
        point = score.value - score.baseline
    reach = 1.15 * max(abs(low), abs(high), abs(point), 1.6 * score.margin, 1e-12)
    edge = _along(-score.margin if score.higher_is_better else score.margin, reach)
    start, end = (edge, 136.0) if score.higher_is_better else (4.0, edge)
    zone = [
        element("rect", class_="zone", x=start, y=3, width=end - start, height=16),
        element("path", class_="edge", d=f"M{format_coordinate(edge)} 3V19"),
    ]
    label = f"95 % interval {short(low)} to {short(high)}, margin {short(score.margin)}"
    return _interval((low, point, high), reach, label, zone)


def change_figure(difference: float, interval: tuple[float, float], reach: float) -> Markup:
    """Return a difference with its interval on a line from `-reach` to `reach`."""
    low, high = interval
    label = f"difference {short(difference)}, 95 % interval {short(low)} to {short(high)}"
    return _interval((low, difference, high), 1.15 * max(reach, 1e-12), label, [])


def _along(value: float, reach: float) -> float:
    return 70.0 + 66.0 * value / reach


def _interval(
    points: tuple[float, float, float], reach: float, label: str, behind: Sequence[Markup]
) -> Markup:
    low, middle, high = (format_coordinate(_along(point, reach)) for point in points)
    parts = [
        *behind,
        element("path", class_="zero", d="M70 1V21"),
        element("path", class_="span", d=f"M{low} 11H{high}"),
        element("circle", class_="point", cx=middle, cy="11", r="3.4"),
    ]
    return svg(140, 22, label, parts, "interval")


def pair_heatmap(names: Sequence[str], errors: Mapping[tuple[str, str], float]) -> Markup:
    """Return the lower triangle of pair errors, one square a pair, darker is worse.

    `names`: columns in the order drawn. `errors`: (column, column), in either order, -> error, 0 or
    greater.
    """
    side = 16.0 if len(names) > 24 else 20.0 if len(names) > 12 else 28.0
    labels = [clip(name, _MAX_LETTERS) for name in names]
    label_width = _LETTER * max(map(len, labels), default=0)
    left, top, foot = 14 + label_width, 4.0, 4 + side * (len(names) - 1) + 8
    worst = max(errors.values(), default=0.0) or 1.0
    parts: list[Markup] = []
    for i, name in enumerate(names):
        y = top + side * (i - 1)
        if i:
            parts.append(tick(left - 6, y + side / 2 + 4, labels[i], "end"))
        if i < len(names) - 1:
            parts.append(upright_tick(left + side * (i + 0.5) + 4, foot, labels[i]))
        for j, other in enumerate(names[:i]):
            error = errors.get((name, other), errors.get((other, name)))
            square = (left + side * j + 0.5, y + 0.5, side - 1, side - 1)
            if error is None:
                parts.append(_square(square, "none"))
            else:
                title = element("title", f"{other} × {name}: {short(error)}")
                parts.append(_square(square, "heat", max(0.0, error) / worst, title))
    key_x, key_y = left + 12, foot + label_width + 14
    parts += [
        tick(key_x - 5, key_y + 9, "0", "end"),
        tick(key_x + 90, key_y + 9, short(worst), "start"),
    ]
    parts += [_square((key_x + 14 * i, key_y, 14, 10), "heat", i / 5) for i in range(6)]
    width = max(left + side * (len(names) - 1) + 4, left + 150)
    label = f"Heatmap of errors of {len(errors)} pairs of columns; the greatest is {short(worst)}"
    return svg(width, foot + label_width + 32, label, parts, "heatmap", fixed=True)


def _square(
    place: tuple[float, float, float, float], kind: str, strength: float = 1.0, *inner: Markup
) -> Markup:
    """Return a rectangle whose colour is the stronger the nearer `strength` is to 1."""
    x, y, width, height = place
    opacity = f"{0.06 + 0.94 * strength:.2f}"
    return element(
        "rect", *inner, class_=kind, x=x, y=y, width=width, height=height, fill_opacity=opacity
    )


def is_hole(cluster: ClusterShare) -> bool:
    """Return whether a cluster of real rows has hardly any synthetic ones.

    >>> is_hole(ClusterShare("a", 0.0, 0.0, 0.2, 0.01)), is_hole(ClusterShare("a", 0.0, 0.0, 0.2, 0.19))
    (True, False)
    """
    return cluster.real >= _MIN_REAL and cluster.synthetic < _HOLE * cluster.real


def draw_cluster_map(found: Sequence[ClusterShare]) -> Markup:
    """Return the map as an SVG element: rings are real shares, discs synthetic ones, by area."""
    if not found:
        return Markup("")
    largest = max(max(cluster.real, cluster.synthetic) for cluster in found)
    xs, ys = [one.x for one in found], [one.y for one in found]
    parts = []
    # Large clusters first, so that small ones stay visible.
    for cluster in sorted(found, key=lambda one: -max(one.real, one.synthetic)):
        x, y = _place(cluster.x, xs, _MAP[0]), _MAP[1] - _place(cluster.y, ys, _MAP[1])
        ring, disc = (
            _MAX_RADIUS * (share / largest) ** 0.5 for share in (cluster.real, cluster.synthetic)
        )
        shares = f"real {percent(cluster.real)}, synthetic {percent(cluster.synthetic)}"
        kind = "ring hole" if is_hole(cluster) else "ring"
        parts.append(
            element(
                "g",
                element("title", f"{cluster.name}: {shares}"),
                element("circle", class_="disc", cx=x, cy=y, r=f"{disc:.1f}"),
                element("circle", class_=kind, cx=x, cy=y, r=f"{ring:.1f}"),
            )
        )
    return svg(
        *_MAP, "Map of clusters of real rows and their synthetic counterparts", parts, "clusters"
    )


def _place(value: float, among: Sequence[float], size: float) -> float:
    low, high = min(among), max(among)
    share = 0.5 if high == low else (value - low) / (high - low)
    edge = _EDGE + _MAX_RADIUS / 2
    return edge + share * (size - 2 * edge)

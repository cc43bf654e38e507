"""Small SVG figures, drawn as text; colours are CSS variables, so they follow light and dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from twinset.core.contracts import Score
from twinset.core.findings import ClusterShare
from twinset.report.answers.phrases import percent, short
from twinset.report.figures.columns import SERIES, Bars, Histogram

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

    Examples
    --------
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
        noun, (parts, height) = "Histogram", _histogram(figure, series, top)
    else:
        noun, (parts, height) = "Bars", _bars(figure, series, top)
    label = f"{noun} of {name}, shares of rows: {', '.join(series)}"
    return svg(_WIDTH, height, label, parts, "figure")


def _histogram(figure: Histogram, series: Sequence[str], top: float) -> tuple[list[Markup], float]:
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


def _bars(figure: Bars, series: Sequence[str], top: float) -> tuple[list[Markup], float]:
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

    Parameters
    ----------
    names : sequence of str
        Columns in the order drawn.
    errors : mapping
        (column, column), in either order, -> error, 0 or greater.
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

    Examples
    --------
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

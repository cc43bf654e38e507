"""Small SVG figures, drawn as text; colours are CSS variables, so they follow light and dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup, escape

from twinset.core.contracts import Score
from twinset.report.answers.phrases import percent, short
from twinset.report.figures.columns import SERIES, Bars, Histogram, Shares

WIDTH = 300.0
_PLOT_HEIGHT = 104.0
_BAR_PITCH = 17.0


def column_figure(figure: Histogram | Bars, name: str) -> Markup:
    """Return the figure of one column as an SVG element; `name` goes into its label for readers."""
    return _histogram(figure, name) if isinstance(figure, Histogram) else _bars(figure, name)


def interval_figure(score: Score) -> Markup:
    """Return the interval of a score's difference on a line, with the zone inside the margin shaded.

    The zone is open towards the good side: only harm has a margin.
    """
    if score.interval is None:
        return Markup("")
    low, high = score.interval
    point = 0.5 * (low + high)
    if score.value is not None and score.baseline is not None:
        point = score.value - score.baseline
    reach = 1.15 * max(abs(low), abs(high), abs(point), 1.6 * score.margin, 1e-12)
    edge = _along(-score.margin if score.higher_is_better else score.margin, reach)
    zone = (edge, 136.0) if score.higher_is_better else (4.0, edge)
    return _interval(
        (low, point, high),
        reach,
        f"95 % interval {short(low)} to {short(high)}, margin {short(score.margin)}",
        [
            _rect(zone[0], 3, zone[1] - zone[0], 16, "zone"),
            Markup('<path class="edge" d="M{0} 3V19"/>').format(_n(edge)),
        ],
    )


def change_figure(difference: float, interval: tuple[float, float], reach: float) -> Markup:
    """Return a difference with its interval on a line from `-reach` to `reach`."""
    low, high = interval
    label = f"difference {short(difference)}, 95 % interval {short(low)} to {short(high)}"
    return _interval((low, difference, high), 1.15 * max(reach, 1e-12), label, [])


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
    longest = max((len(_clip(name, 18)) for name in names), default=0)
    left, top, foot = 14 + 6.4 * longest, 4.0, 4 + side * (len(names) - 1) + 8
    worst = max(errors.values(), default=0.0) or 1.0
    parts = []
    for i, name in enumerate(names):
        y = top + side * (i - 1)
        if i:
            parts.append(_text(left - 6, y + side / 2 + 4, _clip(name, 18), "end"))
        if i < len(names) - 1:
            place = f"translate({_n(left + side * (i + 0.5) + 4)} {_n(foot)}) rotate(-90)"
            parts.append(
                Markup('<text class="tick" text-anchor="end" transform="{}">{}</text>').format(
                    place, _clip(name, 18)
                )
            )
        for j, beside in enumerate(names[:i]):
            error = errors.get((name, beside), errors.get((beside, name)))
            parts.append(_cell(left + side * j, y, side, error, worst, f"{beside} × {name}"))
    width = max(left + side * (len(names) - 1) + 4, left + 150)
    parts.append(_colour_key(left + 12, foot + 6.4 * longest + 14, worst))
    label = f"Heatmap of errors of {len(errors)} pairs of columns; the greatest is {short(worst)}"
    return _svg(width, foot + 6.4 * longest + 32, label, parts, "heatmap", fixed=True)


def _colour_key(x: float, y: float, worst: float) -> Markup:
    steps = [_shade(x + 14 * i, y, 14, 10, i / 5) + Markup("</rect>") for i in range(6)]
    return Markup("").join(
        [_text(x - 5, y + 9, "0", "end"), *steps, _text(x + 90, y + 9, short(worst), "start")]
    )


def _cell(x: float, y: float, side: float, error: float | None, worst: float, name: str) -> Markup:
    if error is None:
        return _rect(x + 0.5, y + 0.5, side - 1, side - 1, "none")
    cell = _shade(x + 0.5, y + 0.5, side - 1, side - 1, max(0.0, error) / worst)
    return cell + Markup("<title>{}: {}</title></rect>").format(name, short(error))


def _shade(x: float, y: float, width: float, height: float, strength: float) -> Markup:
    """Return an open rectangle whose colour is the stronger the nearer `strength` is to 1."""
    return Markup(
        '<rect class="heat" x="{}" y="{}" width="{}" height="{}" fill-opacity="{}">'
    ).format(_n(x), _n(y), _n(width), _n(height), _n(0.06 + 0.94 * strength, 2))


def _histogram(figure: Histogram, name: str) -> Markup:
    top = max((float(s.max()) for s in figure.shares.values() if s.size), default=0.0) or 1.0
    parts = [Markup('<path class="axis" d="M0 {0}H{1}"/>').format(_n(_PLOT_HEIGHT), _n(WIDTH))]
    for series in SERIES:
        if series in figure.shares:
            heights = [
                _PLOT_HEIGHT - (_PLOT_HEIGHT - 6) * float(v) / top for v in figure.shares[series]
            ]
            parts.append(
                Markup('<path class="{}" d="{}"/>').format(
                    series, _steps(heights, series == "real")
                )
            )
    for place, text in figure.labels:
        anchor = "start" if place == 0 else "end" if place == 1 else "middle"
        parts.append(_text(WIDTH * place, _PLOT_HEIGHT + 15, text, anchor))
    label = f"Histogram of {name}, shares of rows: {', '.join(_series_in(figure.shares))}"
    return _svg(WIDTH, _PLOT_HEIGHT + 20, label, parts, "figure")


def _steps(heights: Sequence[float], closed: bool) -> str:
    """Return a stepped outline over equal bins; a closed one comes down to the axis at both ends."""
    width = WIDTH / len(heights)
    path = [f"M0 {_n(_PLOT_HEIGHT)}V{_n(heights[0], 1)}"]
    for i, height in enumerate(heights):
        step = f"V{_n(height, 1)}" if i and _n(height, 1) != _n(heights[i - 1], 1) else ""
        path.append(f"{step}H{_n(width * (i + 1), 1)}")
    return "".join(path) + f"V{_n(_PLOT_HEIGHT)}" + ("Z" if closed else "")


def _bars(figure: Bars, name: str) -> Markup:
    left, room = 112.0, WIDTH - 112.0 - 44.0
    top = max((float(s.max()) for s in figure.shares.values() if s.size), default=0.0) or 1.0
    parts: list[Markup] = []
    for i, level in enumerate(figure.levels):
        y = _BAR_PITCH * i + 2
        shares = {series: float(figure.shares[series][i]) for series in _series_in(figure.shares)}
        told = ", ".join(f"{series} {percent(share)}" for series, share in shares.items())
        parts.append(Markup("<g><title>{}: {}</title>").format(level, told))
        parts.append(_text(left - 7, y + 11, _clip(level, 17), "end"))
        if "real" in shares:
            parts.append(_rect(left, y, max(0.0, room * shares["real"] / top), 13, "real"))
        parts.append(_rect(left, y + 4, max(0.8, room * shares["synthetic"] / top), 5, "synthetic"))
        if "holdout" in shares:
            x = left + room * shares["holdout"] / top
            parts.append(
                Markup('<path class="holdout tickmark" d="M{} {}v15"/>').format(_n(x), _n(y - 1))
            )
        shown = shares.get("real", shares["synthetic"])
        parts.append(_text(WIDTH, y + 11, percent(shown), "end"))
        parts.append(Markup("</g>"))
    label = f"Bars of {name}, shares of rows: {', '.join(_series_in(figure.shares))}"
    return _svg(WIDTH, _BAR_PITCH * len(figure.levels) + 4, label, parts, "figure")


def _series_in(shares: Shares) -> list[str]:
    return [series for series in SERIES if series in shares]


def _along(value: float, reach: float) -> float:
    return 70.0 + 66.0 * value / reach


def _interval(
    points: tuple[float, float, float], reach: float, label: str, behind: Sequence[Markup]
) -> Markup:
    low, middle, high = (_n(_along(point, reach)) for point in points)
    parts = [
        *behind,
        Markup('<path class="zero" d="M70 1V21"/>'),
        Markup('<path class="span" d="M{0} 11H{1}"/>').format(low, high),
        Markup('<circle class="point" cx="{0}" cy="11" r="3.4"/>').format(middle),
    ]
    return _svg(140.0, 22.0, label, parts, "interval")


def _svg(
    width: float, height: float, label: str, parts: Sequence[Markup], kind: str, fixed: bool = False
) -> Markup:
    size = Markup(' width="{}" height="{}"').format(_n(width), _n(height)) if fixed else ""
    return Markup(
        '<svg class="{}" viewBox="0 0 {} {}"{} role="img" aria-label="{}">{}</svg>'
    ).format(kind, _n(width), _n(height), size, label, Markup("").join(parts))


def _rect(x: float, y: float, width: float, height: float, kind: str) -> Markup:
    return Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>').format(
        kind, _n(x), _n(y), _n(width), _n(height)
    )


def _text(x: float, y: float, text: str, anchor: str) -> Markup:
    return Markup('<text class="tick" x="{}" y="{}" text-anchor="{}">{}</text>').format(
        _n(x), _n(y), anchor, escape(text)
    )


def _clip(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _n(value: float, digits: int = 1) -> str:
    """Return a coordinate in as few characters as it needs."""
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text

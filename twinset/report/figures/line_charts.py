"""Charts of lines, bands and dots as SVG text; colours are CSS variables of the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from twinset.report.figures.columns import element, format_coordinate, svg, tick, upright_tick

# CSS pixels of the chart's own coordinates: two charts fit beside each other on the page.
_WIDTH, _HEIGHT = 420.0, 270.0
# Edges of the plot: room for labels of six letters on the left, and two lines of text below.
_LEFT, _RIGHT, _TOP, _FOOT = 66.0, 410.0, 10.0, 226.0

Ticks = Sequence[tuple[float, str]]


@dataclass(frozen=True)
class Line:
    """One series of a chart."""

    kind: str  # CSS class that gives it its colour
    # x, y: points, in the order they are joined
    x: Sequence[float]
    y: Sequence[float]
    # low, high: band around the line; empty without one
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    dots: bool = False  # Whether the points are shown and not joined


@dataclass(frozen=True)
class Axis:
    """One direction of a chart."""

    title: str  # What is measured, in words
    ticks: Ticks  # Places with their labels; the first and the last one bound the axis
    is_log: bool = False  # Whether equal steps are equal ratios

    def share(self, value: float) -> float:
        """Return where a value lies between the two ends, cut off to 0 to 1."""
        low, high = self.ticks[0][0], self.ticks[-1][0]
        if self.is_log:
            value, low, high = (math.log(max(v, 1e-12)) for v in (value, low, high))
        return min(1.0, max(0.0, (value - low) / (high - low)))


def chart(
    lines: Sequence[Line],
    x: Axis,
    y: Axis,
    *,
    label: str,
    marks: Sequence[tuple[float, str]] = (),
    diagonal: bool = False,
) -> Markup:
    """Return a chart as an SVG element.

    `lines`: what is drawn, the last on top. `x`, `y`: the two directions. `label`: the chart in
    words, for readers who do not see it. `marks`: places on the x axis that get an upright line,
    with its CSS class. `diagonal`: whether a line from corner to corner is drawn.

    >>> axis = Axis("share", ((0.0, "0"), (1.0, "1")))
    >>> figure = chart([Line("none", (0.0, 1.0), (1.0, 0.0))], axis, axis, label="falling")
    >>> 'd="M66 10L410 226"' in figure
    True
    """

    def path(kind: str, xs: Sequence[float], ys: Sequence[float], end: str = "") -> Markup:
        points = [f"{_across(a, x)} {_up(b, y)}" for a, b in zip(xs, ys)]
        return element("path", class_=kind, d=f"M{'L'.join(points)}{end}")

    parts = _grid(x, y)
    if diagonal:
        across, up = ([axis.ticks[0][0], axis.ticks[-1][0]] for axis in (x, y))
        parts.append(path("zero", across, up))
    for line in lines:
        if line.low:
            around = [*line.high, *reversed(line.low)]
            parts.append(path(f"band {line.kind}", [*line.x, *reversed(line.x)], around, "Z"))
    for at, kind in marks:
        d = f"M{_across(at, x)} {_TOP:g}V{_FOOT:g}"
        parts.append(element("path", class_=f"line {kind} upright", d=d))
    for line in lines:
        if line.dots:
            places = [(_across(a, x), _up(b, y)) for a, b in zip(line.x, line.y)]
            kind = f"dot {line.kind}"
            parts += [element("circle", class_=kind, cx=cx, cy=cy, r="3") for cx, cy in places]
        else:
            parts.append(path(f"line {line.kind}", line.x, line.y))
    return svg(_WIDTH, _HEIGHT, label, parts, "chart")


def even_ticks(top: float, digits: int = 0, steps: int = 4) -> Ticks:
    """Return ticks from 0 to a round number at or above `top`.

    >>> even_ticks(0.83, digits=1, steps=5)
    ((0.0, '0'), (0.2, '0.2'), (0.4, '0.4'), (0.6, '0.6'), (0.8, '0.8'), (1.0, '1.0'))
    """
    step = max(top, 1e-9) / steps
    size = 10 ** math.floor(math.log10(step))
    nice = next(f * size for f in (1, 2, 2.5, 5, 10) if f * size >= step - 1e-12)
    n = max(1, math.ceil(top / nice - 1e-9))
    return tuple(
        (round(nice * i, 10), f"{nice * i:,.{digits}f}" if i else "0") for i in range(n + 1)
    )


def _grid(x: Axis, y: Axis) -> list[Markup]:
    parts = []
    for value, text in y.ticks:
        place = _up(value, y)
        parts.append(element("path", class_="axis", d=f"M{_LEFT:g} {place}H{_RIGHT:g}"))
        parts.append(tick(_LEFT - 7, float(place) + 4, text, "end"))
    for number, (value, text) in enumerate(x.ticks):
        anchor = "end" if number == len(x.ticks) - 1 else "middle"
        parts.append(tick(float(_across(value, x)), _FOOT + 16, text, anchor))
    parts.append(tick((_LEFT + _RIGHT) / 2, _HEIGHT - 8, x.title))
    return [*parts, upright_tick(11, (_TOP + _FOOT) / 2, y.title, "middle")]


def _across(value: float, axis: Axis) -> str:
    return format_coordinate(_LEFT + (_RIGHT - _LEFT) * axis.share(value))


def _up(value: float, axis: Axis) -> str:
    return format_coordinate(_FOOT - (_FOOT - _TOP) * axis.share(value))

"""Charts of lines, bands and dots as SVG text; colours are CSS variables of the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

_WIDTH, _HEIGHT = 420.0, 270.0
_LEFT, _RIGHT, _TOP, _FOOT = 66.0, 10.0, 10.0, 44.0

Ticks = Sequence[tuple[float, str]]


@dataclass(frozen=True)
class Line:
    """One series of a chart.

    Parameters
    ----------
    kind : str
        CSS class that gives it its colour.
    x, y : sequence of float
        Points, in the order they are joined.
    low, high : sequence of float
        Band around the line; empty without one.
    dots : bool
        Whether the points are shown and not joined.
    """

    kind: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    dots: bool = False


@dataclass(frozen=True)
class Axis:
    """One direction of a chart.

    Parameters
    ----------
    title : str
        What is measured, in words.
    ticks : sequence of (float, str)
        Places with their labels; the first and the last one bound the axis.
    is_log : bool
        Whether equal steps are equal ratios.
    """

    title: str
    ticks: Ticks
    is_log: bool = False

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

    Parameters
    ----------
    lines : sequence of Line
        What is drawn, the last on top.
    x, y : Axis
        The two directions.
    label : str
        The chart in words, for readers who do not see it.
    marks : sequence of (float, str)
        Places on the x axis that get an upright line, with its CSS class.
    diagonal : bool
        Whether a line from corner to corner is drawn.

    Examples
    --------
    >>> axis = Axis("share", ((0.0, "0"), (1.0, "1")))
    >>> figure = chart([Line("none", (0.0, 1.0), (1.0, 0.0))], axis, axis, label="falling")
    >>> 'd="M66 10L410 226"' in figure
    True
    """
    parts = [*_grid(x, y)]
    if diagonal:
        ends = _points((x.ticks[0][0], x.ticks[-1][0]), (y.ticks[0][0], y.ticks[-1][0]), x, y)
        parts.append(Markup('<path class="zero" d="M{}"/>').format("L".join(ends)))
    parts += [_band(line, x, y) for line in lines if line.low]
    for at, kind in marks:
        place = _across(at, x)
        parts.append(
            Markup('<path class="line {} upright" d="M{} {}V{}"/>').format(
                kind, place, _n(_TOP), _n(_HEIGHT - _FOOT)
            )
        )
    for line in lines:
        parts += _drawn(line, x, y)
    return Markup(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>'
    ).format(_n(_WIDTH), _n(_HEIGHT), label, Markup("").join(parts))


def even_ticks(top: float, digits: int = 0, steps: int = 4, unit: str = "") -> Ticks:
    """Return ticks from 0 to a round number at or above `top`.

    Examples
    --------
    >>> even_ticks(0.83, digits=1, steps=5)
    ((0.0, '0'), (0.2, '0.2'), (0.4, '0.4'), (0.6, '0.6'), (0.8, '0.8'), (1.0, '1.0'))
    """
    step = max(top, 1e-9) / steps
    size = 10 ** math.floor(math.log10(step))
    nice = next(f * size for f in (1, 2, 2.5, 5, 10) if f * size >= step - 1e-12)
    count = max(1, math.ceil(top / nice - 1e-9))
    return tuple(
        (round(nice * i, 10), f"{nice * i:,.{digits}f}{unit}" if i else "0")
        for i in range(count + 1)
    )


def _grid(x: Axis, y: Axis) -> list[Markup]:
    right, foot = _WIDTH - _RIGHT, _HEIGHT - _FOOT
    parts = []
    for value, text in y.ticks:
        place = _up(value, y)
        parts.append(
            Markup('<path class="axis" d="M{} {}H{}"/>').format(_n(_LEFT), place, _n(right))
        )
        parts.append(_text(_LEFT - 7, float(place) + 4, text, "end"))
    for number, (value, text) in enumerate(x.ticks):
        anchor = "end" if number == len(x.ticks) - 1 else "middle"
        parts.append(_text(float(_across(value, x)), foot + 16, text, anchor))
    parts.append(_text((_LEFT + right) / 2, _HEIGHT - 8, x.title, "middle"))
    parts.append(
        Markup(
            '<text class="tick" text-anchor="middle" transform="translate(11 {}) rotate(-90)">{}</text>'
        ).format(_n((_TOP + foot) / 2), y.title)
    )
    return parts


def _drawn(line: Line, x: Axis, y: Axis) -> list[Markup]:
    points = _points(line.x, line.y, x, y)
    if line.dots:
        return [
            Markup('<circle class="dot {}" cx="{}" cy="{}" r="3"/>').format(line.kind, *p.split())
            for p in points
        ]
    return [Markup('<path class="line {}" d="M{}"/>').format(line.kind, "L".join(points))]


def _band(line: Line, x: Axis, y: Axis) -> Markup:
    around = [*_points(line.x, line.high, x, y), *reversed(_points(line.x, line.low, x, y))]
    return Markup('<path class="band {}" d="M{}Z"/>').format(line.kind, "L".join(around))


def _points(xs: Sequence[float], ys: Sequence[float], x: Axis, y: Axis) -> list[str]:
    return [f"{_across(a, x)} {_up(b, y)}" for a, b in zip(xs, ys)]


def _across(value: float, axis: Axis) -> str:
    return _n(_LEFT + (_WIDTH - _LEFT - _RIGHT) * axis.share(value))


def _up(value: float, axis: Axis) -> str:
    return _n(_HEIGHT - _FOOT - (_HEIGHT - _FOOT - _TOP) * axis.share(value))


def _text(x: float, y: float, text: str, anchor: str) -> Markup:
    return Markup('<text class="tick" x="{}" y="{}" text-anchor="{}">{}</text>').format(
        _n(x), _n(y), anchor, escape(text)
    )


def _n(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")

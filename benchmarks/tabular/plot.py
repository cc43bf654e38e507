"""Time to quality as an SVG: detector AUC against CPU seconds, one panel for each set."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from html import escape
from typing import NamedTuple

_WIDTH, _HEIGHT, _PER_ROW = 430, 300, 2
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 96, 30, 36
_OURS, _PEER = "#1768ac", "#8a8f98"
_LEAST_GAP = 11.0

Scale = Callable[[float], float]


class Point(NamedTuple):
    """One generator on one set: CPU seconds of fit and sample, and the detector's AUC."""

    set: str
    method: str
    seconds: float
    auc: float
    ours: bool


def time_to_quality(points: Sequence[Point]) -> str:
    """Return the SVG; points of one generator with different settings are joined by a line."""
    names = list(dict.fromkeys(point.set for point in points))
    rows = math.ceil(len(names) / _PER_ROW) or 1
    least = min((p.seconds for p in points), default=0.1)
    most = max((p.seconds for p in points), default=1.0)
    span = (math.floor(math.log10(max(least, 1e-3))), math.ceil(math.log10(most + 1e-9)))
    panels = [
        f'<g transform="translate({i % _PER_ROW * _WIDTH},{i // _PER_ROW * _HEIGHT})">'
        f"{_panel(name, [p for p in points if p.set == name], span)}</g>"
        for i, name in enumerate(names)
    ]
    width, height = _WIDTH * min(_PER_ROW, max(1, len(names))), _HEIGHT * rows
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="sans-serif" font-size="10">'
        f"<title>Detector AUC against CPU seconds of fit and sample</title>"
        f'<rect width="{width}" height="{height}" fill="#fff"/>{"".join(panels)}</svg>\n'
    )


def _panel(name: str, points: Sequence[Point], span: tuple[int, int]) -> str:
    width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def x(seconds: float) -> float:
        share = (math.log10(max(seconds, 10.0 ** span[0])) - span[0]) / max(1, span[1] - span[0])
        return _LEFT + share * width

    def y(auc: float) -> float:
        return _TOP + (1 - (min(max(auc, 0.48), 1.0) - 0.48) / 0.52) * height

    parts = [f'<text x="{_LEFT}" y="18" font-size="13" font-weight="bold">{escape(name)}</text>']
    for power in range(span[0], span[1] + 1):
        at = x(10.0**power)
        parts.append(_line(at, _TOP, at, _TOP + height))
        parts.append(
            f'<text x="{at:.1f}" y="{_TOP + height + 13}" text-anchor="middle">{10.0**power:g}</text>'
        )
    for auc in (0.5, 0.6, 0.7, 0.8, 0.9, 1.0):
        parts.append(
            _line(_LEFT, y(auc), _LEFT + width, y(auc), "#444" if auc == 0.5 else "#e3e5e8")
        )
        parts.append(
            f'<text x="{_LEFT - 5}" y="{y(auc) + 3:.1f}" text-anchor="end">{auc:.1f}</text>'
        )
    middle = _LEFT + width / 2
    parts.append(
        f'<text x="{middle}" y="{_HEIGHT - 8}" text-anchor="middle">CPU seconds, fit + sample</text>'
        f'<text x="12" y="{_TOP + height / 2}" text-anchor="middle" '
        f'transform="rotate(-90 12 {_TOP + height / 2})">detector AUC (0.5 = real)</text>'
    )
    return "".join([*parts, *_curves(points, x, y), *_labels(points, x, y)])


def _curves(points: Sequence[Point], x: Scale, y: Scale) -> list[str]:
    families: dict[str, list[Point]] = defaultdict(list)
    for point in points:
        families[point.method.partition("?")[0]].append(point)
    drawn = []
    for family in families.values():
        path = " ".join(f"{x(p.seconds):.1f},{y(p.auc):.1f}" for p in sorted(family, key=_seconds))
        drawn.append(
            f'<polyline points="{path}" fill="none" stroke="{_OURS}" stroke-opacity=".5"/>'
        )
    return drawn


def _labels(points: Sequence[Point], x: Scale, y: Scale) -> list[str]:
    """Return dots and names; a name moves down where it would cover the one above it."""
    drawn: list[str] = []
    taken: list[tuple[float, float]] = []
    for point in sorted(points, key=lambda p: (-p.auc, p.seconds)):
        across, down = x(point.seconds), y(point.auc)
        at = down
        while any(
            abs(at - other) < _LEAST_GAP and abs(across - left) < 90 for left, other in taken
        ):
            at += _LEAST_GAP / 2
        taken.append((across, at))
        colour = _OURS if point.ours else _PEER
        drawn.append(
            f'<circle cx="{across:.1f}" cy="{down:.1f}" r="4" fill="{colour}"/>'
            f'<text x="{across + 7:.1f}" y="{at + 3:.1f}" fill="{colour}">'
            f"{escape(point.method)}</text>"
        )
    return drawn


def _line(x1: float, y1: float, x2: float, y2: float, colour: str = "#e3e5e8") -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
        f'stroke="{colour}" stroke-width=".7"/>'
    )


def _seconds(point: Point) -> float:
    return point.seconds

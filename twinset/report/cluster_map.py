"""The map of crowds: where real rows are, and whether synthetic ones are there too."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

from twinset.report.findings import ClusterResult
from twinset.report.phrases import percent

_WIDTH, _HEIGHT, _EDGE = 560.0, 300.0, 34.0
_LARGEST = 44.0
_HOLE, _LEAST_REAL = 0.3, 0.01


def is_hole(crowd: ClusterResult) -> bool:
    """Return whether a crowd of real rows has hardly any synthetic ones.

    Examples
    --------
    >>> is_hole(ClusterResult("a", 0.0, 0.0, 0.2, 0.01)), is_hole(ClusterResult("a", 0.0, 0.0, 0.2, 0.19))
    (True, False)
    """
    return crowd.real >= _LEAST_REAL and crowd.synthetic < _HOLE * crowd.real


def draw_cluster_map(found: Sequence[ClusterResult]) -> Markup:
    """Return the map as an SVG element: rings are real shares, discs synthetic ones, by area."""
    if not found:
        return Markup("")
    largest = max(max(crowd.real, crowd.synthetic) for crowd in found)
    xs, ys = ([getattr(crowd, axis) for crowd in found] for axis in "xy")
    parts = []
    # Large crowds first, so that small ones stay visible.
    for crowd in sorted(found, key=lambda one: -max(one.real, one.synthetic)):
        x = _placed(crowd.x, xs, _WIDTH)
        y = _HEIGHT - _placed(crowd.y, ys, _HEIGHT)
        ring, disc = (
            _LARGEST * (share / largest) ** 0.5 for share in (crowd.real, crowd.synthetic)
        )
        label = f"{crowd.name}: real {percent(crowd.real)}, synthetic {percent(crowd.synthetic)}"
        hole = " hole" if is_hole(crowd) else ""
        parts.append(
            Markup(
                '<g><title>{}</title><circle class="disc" cx="{:.1f}" cy="{:.1f}" r="{:.1f}"/>'
                '<circle class="ring{}" cx="{:.1f}" cy="{:.1f}" r="{:.1f}"/></g>'
            ).format(escape(label), x, y, disc, hole, x, y, ring)
        )
    return Markup(
        '<svg class="crowds" viewBox="0 0 {:g} {:g}" role="img" aria-label="{}">{}</svg>'
    ).format(
        _WIDTH,
        _HEIGHT,
        "Map of crowds of real rows and their synthetic counterparts",
        Markup("").join(parts),
    )


def _placed(value: float, among: Sequence[float], size: float) -> float:
    low, high = min(among), max(among)
    share = 0.5 if high == low else (value - low) / (high - low)
    edge = _EDGE + _LARGEST / 2
    return edge + share * (size - 2 * edge)

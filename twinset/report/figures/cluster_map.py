"""The map of clusters: where real rows are, and whether synthetic ones are there too."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

from twinset.core.findings import ClusterShare
from twinset.report.answers.phrases import percent

_WIDTH, _HEIGHT, _EDGE = 560.0, 300.0, 34.0
_LARGEST = 44.0
_HOLE, _LEAST_REAL = 0.3, 0.01


def is_hole(cluster: ClusterShare) -> bool:
    """Return whether a cluster of real rows has hardly any synthetic ones.

    Examples
    --------
    >>> is_hole(ClusterShare("a", 0.0, 0.0, 0.2, 0.01)), is_hole(ClusterShare("a", 0.0, 0.0, 0.2, 0.19))
    (True, False)
    """
    return cluster.real >= _LEAST_REAL and cluster.synthetic < _HOLE * cluster.real


def draw_cluster_map(found: Sequence[ClusterShare]) -> Markup:
    """Return the map as an SVG element: rings are real shares, discs synthetic ones, by area."""
    if not found:
        return Markup("")
    largest = max(max(cluster.real, cluster.synthetic) for cluster in found)
    xs, ys = ([getattr(cluster, axis) for cluster in found] for axis in "xy")
    parts = []
    # Large clusters first, so that small ones stay visible.
    for cluster in sorted(found, key=lambda one: -max(one.real, one.synthetic)):
        x = _placed(cluster.x, xs, _WIDTH)
        y = _HEIGHT - _placed(cluster.y, ys, _HEIGHT)
        ring, disc = (
            _LARGEST * (share / largest) ** 0.5 for share in (cluster.real, cluster.synthetic)
        )
        label = (
            f"{cluster.name}: real {percent(cluster.real)}, synthetic {percent(cluster.synthetic)}"
        )
        hole = " hole" if is_hole(cluster) else ""
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
        "Map of clusters of real rows and their synthetic counterparts",
        Markup("").join(parts),
    )


def _placed(value: float, among: Sequence[float], size: float) -> float:
    low, high = min(among), max(among)
    share = 0.5 if high == low else (value - low) / (high - low)
    edge = _EDGE + _LARGEST / 2
    return edge + share * (size - 2 * edge)

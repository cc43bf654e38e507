"""The map of crowds on the page."""

from __future__ import annotations

from twinset.report.cluster_map import draw_cluster_map
from twinset.report.findings import read_clusters

MODES = {
    "<b>age</b> low": {"real": 0.25, "synthetic": 0.25, "x": -1.0, "y": 0.0},
    "age high": {"real": 0.75, "synthetic": 0.1, "x": 1.0, "y": 2.0},
}


def test_crowds_come_furthest_off_first_and_broken_ones_are_left_out(score) -> None:
    told = {"modes": {**MODES, "broken": {"real": "much"}}}
    found = read_clusters([score("gap.a"), score("coverage.modes", details=told)])
    assert [crowd.name for crowd in found] == ["age high", "<b>age</b> low"]
    assert read_clusters([score("gap.a")]) == []


def test_areas_are_shares_holes_are_marked_and_names_are_escaped(score) -> None:
    drawn = str(
        draw_cluster_map(read_clusters([score("coverage.modes", details={"modes": MODES})]))
    )
    assert 'r="44.0"' in drawn, "the largest share has the largest ring"
    assert f'r="{44 * (1 / 3) ** 0.5:.1f}"' in drawn
    assert drawn.count('class="ring hole"') == 1
    assert "&lt;b&gt;age" in drawn
    assert "<b>" not in drawn
    assert str(draw_cluster_map([])) == ""

"""The map of clusters on the page."""

from __future__ import annotations

from twinset.core.findings import ClusterShare, ClusterShares
from twinset.report import build_report
from twinset.report.figures.columns import draw_cluster_map

CLUSTERS = (
    ClusterShare("<b>age</b> low", -1.0, 0.0, real=0.25, synthetic=0.25),
    ClusterShare("age high", 1.0, 2.0, real=0.75, synthetic=0.1),
)


def test_clusters_come_furthest_off_first(people, score) -> None:
    scores = [score("gap.a"), score("coverage.modes", findings=(ClusterShares(CLUSTERS),))]
    page = build_report(
        title="x", train=people, synthetic=people, holdout=None, scores=scores, gates=[]
    ).to_html()
    table = page.partition("Shares of clusters")[2]
    assert 0 < table.index("age high") < table.index("age&lt;/b&gt; low")


def test_areas_are_shares_holes_are_marked_and_names_are_escaped() -> None:
    drawn = str(draw_cluster_map(CLUSTERS))
    assert 'r="44.0"' in drawn, "the largest share has the largest ring"
    assert f'r="{44 * (1 / 3) ** 0.5:.1f}"' in drawn
    assert drawn.count('class="ring hole"') == 1
    assert "&lt;b&gt;age" in drawn
    assert "<b>" not in drawn
    assert str(draw_cluster_map([])) == ""

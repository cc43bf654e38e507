"""The page of advice: well formed, self-contained, and it says what the numbers say."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pyarrow as pa
import pytest

import twinset as tw
from twinset.core.seeding import rng_for
from twinset.report.advice import Advice, Measure
from twinset.report.figures.line_charts import Axis, Line, chart, even_ticks

VOID = {"meta", "link", "br"}


class Tags(HTMLParser):
    """Checks that every tag that opens is closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def advice() -> Advice:
    """Advice on a small table with a name that must be escaped."""
    rng = rng_for(2, "payments")
    fraud = np.arange(2_000) % 17 == 0
    table = pa.table(
        {"<speed>": rng.normal(2.0 * fraud), "size": rng.lognormal(1 + fraud), "fraud": fraud}
    )
    return tw.advise(table, target="fraud", models=["linear"], ratios=[0.1])


def test_the_page_is_well_formed_and_asks_nothing_of_the_network(advice: Advice) -> None:
    page = advice.to_html()
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert not re.search(r"(src|href)=\"https?:", page)
    assert "<script" not in page
    assert page == advice.to_html()


def test_the_page_holds_every_part(advice: Advice) -> None:
    page = advice.to_html()
    titles = [
        "Precision and recall", "Recall by alert rate", "Expected cost", "Lift", "Reliability",
        "How positive rows moved", "How it was chosen",
    ]  # fmt: skip
    for title in titles:
        assert title in page
    for one in advice.candidates:
        if one.name != "none":
            assert f"<code>{one.name}</code>" in page
    assert advice.sentence.replace("'", "&#39;") in page


def test_a_verdict_is_said_only_if_the_interval_lies_clear_of_zero() -> None:
    for interval, higher, verdict in [
        ((0.01, 0.03), True, "helps"),
        ((-0.03, -0.01), True, "hurts"),
        ((-0.01, 0.03), True, "no evidence"),
        ((-9.0, -1.0), False, "helps"),
        ((1.0, 9.0), False, "hurts"),
    ]:
        measure = Measure(
            name="m",
            title="m",
            none=0.5,
            none_interval=(0.4, 0.6),
            other=0.5,
            difference=0.0,
            interval=interval,
            higher_is_better=higher,
        )
        assert measure.verdict == verdict


def test_points_lie_where_the_axes_say() -> None:
    x = Axis("rate", ((0.01, "1 %"), (1.0, "100 %")), is_log=True)
    y = Axis("share", ((0.0, "0"), (1.0, "1")))
    drawn = str(chart([Line("none", (0.01, 0.1, 1.0), (0.0, 0.5, 2.0))], x, y, label="a & b"))
    # The middle of a log axis from 1 to 100 % is 10 %; what lies beyond an axis stops at its end.
    assert 'd="M66 226L238 118L410 10"' in drawn
    assert "a &amp; b" in drawn


def test_ticks_reach_the_top() -> None:
    assert even_ticks(31.0)[-1][0] >= 31.0
    assert [text for _, text in even_ticks(1_000)] == ["0", "250", "500", "750", "1,000"]

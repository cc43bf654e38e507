"""What a page says of a plan; counts worked out by hand."""

from __future__ import annotations

import re

import pyarrow as pa

from twinset.core.data.dataset import Dataset
from twinset.measurement.plan_coverage import PlanCoverage, measure_plan_coverage
from twinset.report import build_report
from twinset.report.plans import plan_figure, plan_groups, plan_rule, plan_sentence

FACTORS = {"light": ["day", "night"], "sky": ["clear", "fog"], "size": ["small", "large"]}


def rows(*made: tuple[str, str, str]) -> Dataset:
    columns = {name: [row[i] for row in made] for i, name in enumerate(FACTORS)}
    return Dataset.from_arrow(pa.table(columns))


REAL = rows(*[("day", "clear", "small")] * 5, ("day", "clear", "large"))
MADE = rows(("night", "fog", "small"), ("night", "clear", "large"), ("day", "fog", "large"))


def held(**changes: object) -> PlanCoverage:
    asked: dict = {"strength": 2, "at_least": 1, "synthetic": MADE, "real": REAL, **changes}
    return measure_plan_coverage(FACTORS, **asked)


def test_pairs_are_counted_on_each_set() -> None:
    plan = held(counts_real=True)
    # Made: three pairs a row, all different. Real: 5 + 1 rows hold 5 different pairs.
    assert (len(plan.rows), plan.n_met("synthetic"), plan.n_met("real")) == (12, 9, 5)
    night_small = next(r for r in plan.rows if r["levels"] == {"light": "night", "size": "small"})
    assert (night_small["real"], night_small["synthetic"], night_small["union"]) == (0, 1, 1)
    assert plan.n_met("union") == 12
    assert plan_sentence(plan).mark == "good"
    assert plan_sentence(plan).text.endswith("together. Real rows alone hold 5 of them so often.")


def test_real_rows_count_only_where_the_plan_says_so() -> None:
    sentence = plan_sentence(held())
    assert sentence.mark == "bad"
    assert sentence.text.startswith("No: 9 of 12 pairs of levels of light, sky and size come once")
    assert "Rarest: light = day and sky = clear (never)" in sentence.text
    assert "real rows do not count" in plan_rule(held())
    assert "no real row has" in plan_rule(held(real=None))


def test_what_never_comes_is_not_wanted() -> None:
    plan = held(forbidden=[{"light": "day", "sky": "clear"}])
    assert {"light": "day", "sky": "clear"} not in [row["levels"] for row in plan.rows]
    assert len(plan.rows) == 11


def test_conditions_that_lack_most_come_first() -> None:
    groups = plan_groups(held(at_least=2))
    first = {"conditions": ("light", "sky"), "planned": 4, "synthetic": 0, "real": 1}
    assert first.items() <= groups[0].items()  # real: day and clear, 6 rows
    by_level = plan_groups(held(strength=1))
    assert all((g["planned"], g["synthetic"]) == (2, 2) for g in by_level)


def test_the_map_frames_what_misses_the_rule() -> None:
    figure = str(plan_figure(held()))
    assert len(re.findall('class="planned-synthetic"', figure)) == 12
    assert len(re.findall('class="planned-real"', figure)) == 12
    assert len(re.findall('class="rare"', figure)) == 3
    assert "light = night and sky = fog: 1 synthetic, 0 real" in figure
    assert 'class="planned-real"' not in str(plan_figure(held(real=None)))
    assert plan_figure(held(strength=1)) == ""


def test_a_square_of_triples_is_their_rarest() -> None:
    figure = str(plan_figure(held(strength=3, real=None)))
    # night with fog: small came once, large never.
    assert "light = night and sky = fog and size = large: 0 synthetic" in figure
    assert len(re.findall('class="rare"', figure)) == 12


def test_a_page_shows_the_plan_first_and_the_json_every_count() -> None:
    report = build_report(
        title="t", train=None, synthetic=MADE, holdout=None, scores=[], gates=[], plans=[held()]
    )
    page = report.to_html()
    assert page.index("Does every planned combination come?") < page.index("How far from real?")
    assert "Miss the stop rule, rarest first" in page
    assert report.facts["plans"][0]["met"] == {"real": 5, "synthetic": 9, "union": 12}
    assert report.summary().startswith("! Does every planned combination come?")
    assert "never" in report.to_markdown()

import json
import re
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow as pa

import twinset.report
from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.schema import Field, Schema
from twinset.core.data.where import Where
from twinset.core.findings import ColumnDistances, PairDistances
from twinset.report import Report, apply_gates, build_report

HOSTILE = "<script>window.hacked=1</script>\x1b[2J\x9b\u202e"


def build(train, synthetic=None, **facts):
    known = {"title": "towns", "holdout": None, "scores": [], "gates": []}
    return build_report(train=train, synthetic=synthetic or train, **(known | facts))


class Balance(HTMLParser):
    """Collects the tags of a page and fails on one that is closed in the wrong order."""

    VOID = {"meta", "link", "br", "image", "rect", "path", "circle"}

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.seen = [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID or (tag == "rect" and "fill-opacity" in dict(attrs)):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag in self.VOID and (not self.open or self.open[-1] != tag):
            return
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_asks_nothing_of_the_network(people, score):
    scores = [
        score("gap.marginals", findings=(ColumnDistances({"town": 0.3}),)),
        score("privacy.a"),
    ]
    page = build(people, scores=scores, holdout=people).to_html()
    parser = Balance()
    parser.feed(page)
    assert parser.open == []
    tags = [tag for tag, _ in parser.seen]
    assert "script" not in tags
    assert tags.count("h1") == 1
    for tag, attrs in parser.seen:
        for name in ("src", "href", "xlink:href", "action"):
            assert (attrs.get(name) or "#").startswith(("#", "data:")), (tag, attrs)
    assert not re.search(r"url\(|@import|https?://", page)


def test_every_figure_has_a_label_and_every_table_a_caption(people, score):
    scores = [score("gap.pairs", findings=(PairDistances((("a", "b", 0.1),)),))]
    page = build(people, scores=scores, gates=apply_gates(scores, {"gap.pairs": {"max": 1}}))
    parser = Balance()
    html = page.to_html()
    parser.feed(html)
    for tag, attrs in parser.seen:
        if tag == "svg":
            assert attrs.get("aria-label") or attrs.get("aria-hidden") == "true"
    assert html.count("<table") == html.count("<caption") > 2


def test_hostile_names_are_shown_and_never_run(score):
    rows = Dataset.from_arrow(pa.table({HOSTILE: [HOSTILE] * 30, "n": [1.5] * 30}))
    scores = [
        score("gap.marginals", "different", findings=(ColumnDistances({HOSTILE: 0.5}),)),
        score("gap.pairs", findings=(PairDistances(((HOSTILE, "n", 1.0),)),)),
    ]  # fmt: skip
    card = Card(name=HOSTILE, origin="real", settings={HOSTILE: HOSTILE}, notes=(HOSTILE,))
    report = build(
        rows, title=HOSTILE, scores=scores, cards=[card], notes=[HOSTILE], show_real_rows=True,
        gates=apply_gates(scores, {"gap.marginals": {"max": 0}}), target=HOSTILE,
        lineage=[{"ref": HOSTILE, "parents": [HOSTILE]}, {"ref": HOSTILE, "digest": HOSTILE}],
    )  # fmt: skip
    for page in (report.to_html(), report._repr_html_()):
        assert "<script" not in page
        assert "&lt;script&gt;" in page
        assert not set("\x1b\x9b\u202e") & {*page, *report.to_markdown()}
        assert "\\x1b[2J\\u009b\\u202e" in page


def test_no_real_value_is_on_the_page_or_in_the_json(people, score):
    height = people.records.column("height").to_pylist()
    twin = people.take(np.arange(30))
    report = build(people, twin, holdout=people, scores=[score("gap.marginals")])
    for text in (report.to_html(), report.to_json()):
        assert "Zwiefalten" not in text
    assert report.examples.rows == ()
    shown = build(people, twin, show_real_rows=True)
    assert f"<td>{height[0]:g}</td>" in shown.to_html()
    assert "First 5 real rows" in shown.to_html()


TEXTS = Schema((Field(name="said", kind="text"),))


def said(*texts, **card):
    card = Card(name="said", **({"origin": "synthetic"} | card))
    return Dataset.from_arrow(pa.table({"said": list(texts)}), TEXTS, card)


def test_samples_made_from_real_rows_are_withheld():
    for card in [
        {"notes": ("copies real records: treat as the source data",)},
        {"notes": ("interpolates between real records: treat as the source data",)},
        {"origin": "augmented"},
    ]:
        real = said("a b c", origin="real")
        twin = said("nearly a b c", **card)
        report = build(real, twin)
        assert "nearly a b c" not in report.to_html()
        assert "made from real ones" in report.to_html()
        assert "nearly a b c" in build(real, twin, show_real_rows=True).to_html()


def test_a_parents_card_can_withhold_samples_too():
    card = Card(name="x", origin="synthetic", notes=("copies real records",))
    assert build(None, said("words"), cards=[card]).examples.withheld
    assert build(None, said("words")).examples.texts


def test_where_filters_the_figures_on_all_sides(people):
    report = build(people, holdout=people, where=Where({"town": "Ulm"}))
    assert report.facts["compared_rows"] == {"real": 25, "synthetic": 25, "holdout": 25}
    towns = next(panel for panel in report.examples.panels if panel.name == "town")
    assert towns.figure.levels == ("Ulm",)
    assert "town = Ulm" in report.to_html()


def test_json_holds_everything_and_no_bare_nan(people, score):
    scores = [score("gap.marginals", facts={"columns": {"a": float("nan")}, "n": np.int64(3)})]
    gates = apply_gates(scores, {"gap.marginals": {"max": 0}})
    found = json.loads(build(people, scores=scores, gates=gates, cards=[people.card]).to_json())
    assert found["schema_version"] == 2
    assert found["passed"] is False
    assert found["gates"][0]["limit"] == 0
    assert found["scores"][0]["interval"] == [0.0, 0.02]
    assert found["scores"][0]["facts"] == {"columns": {"a": None}, "n": 3}
    assert [line["family"] for line in found["verdict"]] == [
        "gap", "coverage", "utility", "privacy",
    ]  # fmt: skip
    assert found["cards"][0]["origin"] == "real"


def test_the_same_report_gives_the_same_bytes(people, score):
    first, second = (build(people, scores=[score("gap.marginals")]) for _ in range(2))
    assert first.to_html() == second.to_html()
    assert first.to_json() == second.to_json()


def test_no_gate_passes_and_one_failed_gate_does_not(people, score):
    scores = [score("gap.a", value=0.02)]
    assert build(people, scores=scores).passed
    gates = apply_gates(scores, {"gap.a": {"max": 0.01}})
    failed = build(people, scores=scores, gates=gates)
    assert not failed.passed
    assert failed.summary().splitlines()[-1].endswith("0 of 1 passed; failed: gap.a")
    assert "1 of 1 gates failed" in failed.to_html()


def test_the_summary_is_four_plain_lines_and_one_in_short(people, score):
    lines = build(people, scores=[score("gap.a"), score("privacy.a", "different")]).summary()
    assert [line[0] for line in lines.splitlines()] == ["+", "-", "-", "!", " ", " "]
    assert lines.splitlines()[-1].split("  ")[-1] == (
        "Give it to people who may not see the real rows: no."
    )


def test_a_wide_table_stays_below_a_megabyte_and_says_what_is_not_drawn(score):
    rng = np.random.default_rng(0)
    names = [f"column_{i}" for i in range(60)]
    rows = Dataset.from_arrow(pa.table({name: rng.normal(size=500) for name in names}))
    pairs = tuple((a, b, float(rng.random())) for a, b in combinations(names, 2))
    columns = ColumnDistances(dict.fromkeys(names, 0.1))
    scores = [
        score("gap.marginals", findings=(columns,)),
        score("gap.pairs", findings=(PairDistances(pairs),)),
    ]
    page = build(rows, holdout=rows, scores=scores).to_html()
    assert len(page.encode()) < 1_000_000
    assert "20 more are not drawn" in page


def test_a_report_renders_from_scores_alone(score):
    report = Report(title="bare", scores=(score("gap.a", "not measurable"),))
    assert "<h1>bare</h1>" in report.to_html()


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_texts_stand_out_from_their_ground():
    for scheme in [0, 1]:
        css = (Path(twinset.report.__file__).parent / "templates" / "report.css").read_text()
        colours = dict(
            re.findall(r"--([\w-]+): (#\w{6})", re.findall(r":root \{(.*?)\}", css, re.S)[scheme])
        )
        pairs = [("ink", "page"), ("ink", "sheet"), ("soft", "page"), ("soft", "sheet"), ("soft", "wash"),
                 ("synthetic", "page")]  # fmt: skip
        pairs += [(mark, f"{mark}-wash") for mark in ("good", "bad", "inconclusive", "unmeasured")]
        for text, ground in pairs:
            light, dark = sorted(
                (luminance(colours[text]), luminance(colours[ground])), reverse=True
            )
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, ground)

from dataclasses import replace
from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest

from tests.report.conftest import components, models
from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.schema import BLOB, OBJECT, SPAN, Field, Schema
from twinset.core.findings import (
    ColumnDistances,
    ConfidentRow,
    ConfidentRows,
    LevelShare,
    LevelShares,
    PairDistances,
)
from twinset.measurement.plan_coverage import measure_plan_coverage
from twinset.report import apply_gates, build_report
from twinset.report.candidates import CandidateReport

pytestmark = pytest.mark.browser

HOSTILE = "<script>window.hacked=1</script><img src=x onerror=window.hacked=1>"
LONG = "a_column_with_one_very_long_name_" * 6


def table_report(score):
    rng = np.random.default_rng(0)
    names = [f"v{i}" for i in range(20)]
    rows = {name: rng.normal(size=300) for name in names}
    rows |= {HOSTILE: ["x", "y"] * 150, LONG: rng.integers(0, 90, 300)}
    real = Dataset.from_arrow(pa.table(rows))
    pairs = [(a, b, float(rng.random())) for a, b in combinations(rows, 2)]
    scores = [
        score("gap.marginals", "different", findings=(ColumnDistances({HOSTILE: 0.3}),)),
        score("gap.pairs", "cannot tell", findings=(PairDistances(tuple(pairs)),)),
        score("coverage.population", findings=(LevelShares((LevelShare("sex", "F", 0.3, 0.5),)),)),
        score("utility.train_synthetic_test_real", findings=(models("helps"),)),
        score("privacy.nearest_record", "not measurable"),
    ]
    return build_report(
        title=LONG, train=real, synthetic=real, holdout=real, scores=scores,
        gates=apply_gates(scores, {"gap.marginals": {"max": 0.01}}), cards=[real.card],
        lineage=[{"ref": LONG, "digest": "ab" * 32, "parents": ["cd"]}, {"ref": "a@1", "digest": "cd"}],
        show_real_rows=True, notes=[LONG],
    )  # fmt: skip


def media_report(score):
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    blobs = [
        {"bytes": cv2.imencode(".png", np.full((40, 60), i, np.uint8))[1].tobytes(), "path": None}
        for i in range(30)
    ]
    boxes = [[{"id": 0, "category": HOSTILE, "box": [5.0, 5.0, 30.0, 30.0]}]] * 30
    texts = [f"Hello {HOSTILE} number {i}, {LONG}" for i in range(30)]
    spans = [[{"start": 0, "end": 5, "label": HOSTILE, "value": None}]] * 30
    schema = Schema(
        (
            Field(name="image", kind="image"),
            Field(name="objects", kind="boxes"),
            Field(name="said", kind="text"),
            Field(name="spans", kind="spans"),
        )
    )
    table = pa.table(
        {
            "image": pa.array(blobs, BLOB),
            "objects": pa.array(boxes, pa.list_(OBJECT)),
            "said": texts,
            "spans": pa.array(spans, pa.list_(SPAN)),
        }
    )
    synthetic = Dataset.from_arrow(table, schema, Card(name="media", origin="synthetic"))
    rows = tuple(ConfidentRow(i, 0.9) for i in (3, 7, 11))
    unlike = (components("measure", HOSTILE, LONG),)
    scores = [
        score("gap.classifier", "different", findings=(ConfidentRows(rows),)),
        score("gap.image_properties", "different", findings=unlike),
        *(score(f"utility.{n}", "not measurable", reason=LONG) for n in "abc"),
    ]
    report = build_report(
        title="media", train=None, synthetic=synthetic, holdout=None, scores=scores, gates=[],
        plans=[_plan()],
    )  # fmt: skip
    return replace(report, facts={**report.facts, "embedders": {"image": {LONG: {}}}})


def _plan():
    factors = {HOSTILE: ["a", "b"], LONG: ["c", LONG], "light": ["day", "night"]}
    rows = Dataset.from_arrow(pa.table(factors))
    return measure_plan_coverage(
        factors, strength=2, at_least=2, synthetic=rows, real=rows, step=HOSTILE
    )


TABLE_PARTS = [
    "verdict", "gates", "scores", "usefulness", "population", "columns", "pairs", "rows",
    "history", "notes",
]  # fmt: skip


MEDIA_PARTS = ["verdict", "plans", "scores", "confident", "columns", "images", "texts"]


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("kind", ["table", "media"])
def test_a_real_browser_shows_every_part_without_complaint(
    page, tmp_path, score, kind, width, dark
):
    report = table_report(score) if kind == "table" else media_report(score)
    file = tmp_path / "report.html"
    file.write_text(report.to_html(), encoding="utf-8")
    page.open(file.as_uri(), width=width, dark=dark)

    for part in TABLE_PARTS if kind == "table" else MEDIA_PARTS:
        box = f"document.getElementById('{part}').getBoundingClientRect()"
        assert page.evaluate(f"{box}.height") > 30, part
        assert 0 <= page.evaluate(f"{box}.left") < page.evaluate(f"{box}.right") <= width, part
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.querySelectorAll('svg').length") > 10
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(18, 20, 22)" if dark else "rgb(247, 247, 245)")
    assert page.evaluate("window.hacked === undefined && !document.querySelector('script')")
    if kind == "media":
        assert page.evaluate("document.querySelectorAll('#images .sample').length") == 24
        assert page.evaluate("document.querySelectorAll('#confident .sample').length") == 3
        assert page.evaluate("document.querySelectorAll('#texts mark').length") == 20
    assert page.requests() == [file.as_uri()]
    assert page.complaints() == []


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_candidates_stay_in_their_box_on_every_width(page, tmp_path, score, width, dark):
    metrics = ["gap.marginals", "gap.pairs", "coverage.a", "privacy.exact_copies"]
    names = [HOSTILE, LONG, *"abcdef"]
    scores = {
        name: tuple(score(m, "different" if i % 3 else "cannot tell") for m in metrics)
        for i, name in enumerate(names)
    }
    report = CandidateReport(title=LONG, scores=scores, notes=(LONG,))
    file = tmp_path / "candidates.html"
    file.write_text(report.to_html(), encoding="utf-8")
    page.open(file.as_uri(), width=width, dark=dark)
    for part in ("verdict", "scores", "notes"):
        box = f"document.getElementById('{part}').getBoundingClientRect()"
        assert page.evaluate(f"{box}.height") > 30, part
        assert 0 <= page.evaluate(f"{box}.left") < page.evaluate(f"{box}.right") <= width, part
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    table = "document.querySelector('.scroll')"
    assert page.evaluate(f"{table}.scrollWidth > {table}.clientWidth")
    text = "document.querySelector('.reading p').checkVisibility()"
    assert not page.evaluate(text)
    page.evaluate("document.querySelector('.reading summary').click()")
    assert page.evaluate(text)
    cut = "[...document.querySelectorAll('.answer p')].some(p => p.scrollWidth > p.clientWidth + 1)"
    assert not page.evaluate(cut)
    right = "getBoundingClientRect().right"
    inside = f"d => d.{right} <= d.parentElement.{right}"
    assert page.evaluate(f"[...document.querySelectorAll('.answer > div')].every({inside})")
    assert page.evaluate("window.hacked === undefined && !document.querySelector('script')")
    assert page.requests() == [file.as_uri()]
    assert page.complaints() == []

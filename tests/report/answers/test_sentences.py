"""Sentences of scores and findings, and one snapshot of each renderer."""

from __future__ import annotations

import inspect
import json
from dataclasses import MISSING, dataclass, fields
from pathlib import Path

from tests.report.conftest import components, models
from twinset.core.contracts import Score
from twinset.core.findings import (
    ColumnDistances,
    ColumnLimit,
    ComparisonBasis,
    ConfidentRow,
    ConfidentRows,
    CopyCounts,
    DecidingRows,
    DifferingComponents,
    Finding,
    LevelShare,
    LevelShares,
    NamedValues,
    ReferenceRows,
    RegionShares,
)
from twinset.core.integrity import FaultKind, IntegrityFault, IntegrityFaults
from twinset.report import apply_gates, build_report
from twinset.report.answers.sentences import (
    TEMPLATES,
    comparison_sentences,
    describe,
    describe_test_rows,
    reasons,
    remarks,
    score_sentence,
)

SNAPSHOTS = Path(__file__).parent / "snapshots"


def scores_of_all_verdicts(score) -> list[Score]:
    basis = ComparisonBasis(reference=ReferenceRows.HALF_OF_HOLDOUT, n_rows={"reference": 78})
    rows = DecidingRows(78, "rows on each side")
    differing = DifferingComponents("column", ("age",), 2)
    fault = IntegrityFault(FaultKind.RANGE, ("age",), 9, 0, 1e-6, (4, 17), "above 96")
    faults = IntegrityFaults((fault,), 40, 9, 3000, 1500)
    return [
        score("integrity.table_rows", "different", value=0.003, baseline=0.0, findings=(faults,)),
        score(
            "gap.marginals", "different",
            findings=(differing, components("column", "age"), ColumnDistances({"age": 0.3}), basis),
        ),
        score("gap.pairs", "cannot tell", interval=(0.0, 0.07), findings=(rows, basis)),
        score("coverage.slices", findings=(RegionShares(),)),
        score("utility.train_synthetic_test_real", findings=(models("helps"),)),
        score("privacy.exact_copies", "different", findings=(CopyCounts(None, 7, 9, 0, 9),)),
        score("privacy.membership", "not measurable", reason="no holdout was kept aside"),
    ]  # fmt: skip


def test_every_renderer_writes_the_sentences_of_its_snapshot(people, score) -> None:
    scores = scores_of_all_verdicts(score)
    gates = apply_gates(scores, {"gap.marginals": {"max": 0.01}})
    report = build_report(
        title="people", train=people, synthetic=people, holdout=people, scores=scores, gates=gates
    )
    texts = {
        "terminal.txt": report.summary(),
        "page.md": report.to_markdown(),
        "page.html.txt": visible_text(report.to_html()),
        "junit.xml": report.to_junit(),
    }
    for name, text in texts.items():
        assert text.strip() == (SNAPSHOTS / name).read_text(encoding="utf-8").strip(), name


def visible_text(html: str) -> str:
    """Return the text of the verdict and the scores of a page, one element a line."""
    import re

    body = html.partition("<main>")[2].partition('<section id="columns">')[0]
    pieces = re.sub(r"<svg.*?</svg>|<[^>]+>", "\n", body, flags=re.S).splitlines()
    return "\n".join(piece.strip() for piece in pieces if piece.strip())


def test_a_finding_survives_json(score) -> None:
    findings = (
        *scores_of_all_verdicts(score)[0].findings,
        models("hurts"),
        ConfidentRows((ConfidentRow(3, 0.9, {"a": "x"}),)),
        LevelShares((LevelShare("sex", "f", 0.1, 0.5),), LevelShare("sex", "f", 0.1, 0.5)),
    )
    before = score("gap.a", findings=findings)
    assert Score.from_json(json.loads(json.dumps(before.to_json()))) == before


def commented_fields(kind: type) -> set[str]:
    """Return the fields with a comment beside them, or above them and those that share it."""
    found, above = set(), False
    for line in map(str.strip, inspect.getsource(kind).splitlines()):
        above = line.startswith("#") or (above and ": " in line and "#" not in line)
        if above or "#" in line:
            found.add(line.partition(":")[0])
    return found


def test_every_finding_is_documented_and_has_a_sentence_or_a_block_of_its_own() -> None:
    silent = {
        "ColumnDistances", "PairDistances", "ClusterShares", "NotMeasured", "DecidingRows",
        "ComparisonBasis", "DifferentComponents",
    }  # fmt: skip
    own = [kind for kind in Finding._types.values() if kind.__module__.startswith("twinset.core")]
    assert len(own) > 20
    for kind in own:
        required = {field.name for field in fields(kind) if field.default is MISSING}  # type: ignore[arg-type]
        assert len(fields(kind)) <= 3 or required <= commented_fields(kind), kind  # type: ignore[arg-type]
        has_function = describe.dispatch(kind) is not describe.dispatch(Finding)
        has_sentence = has_function or kind in TEMPLATES
        assert has_sentence != (kind.__name__ in silent), kind


@dataclass(frozen=True)
class TailWeight(Finding):
    """Finding of a plug-in, which the report does not know."""

    column: str
    ratio: float


def test_a_finding_of_a_plug_in_is_shown_by_its_fields() -> None:
    assert describe(TailWeight("age", 3.25)) == "column: age; ratio: 3.250"


def test_remarks_tell_findings_limits_and_the_numbers_of_coverage(score) -> None:
    found = (NamedValues({"precision": 0.91, "density": 1.2}), ColumnLimit(40, 60))
    assert remarks(score("coverage.a", findings=found)) == [
        "Precision 0.910, density 1.200",
        "40 of 60 columns were compared",
    ]
    assert remarks(score("gap.a")) == []


def test_models_are_reported_by_what_they_were_trained_and_tested_on(score) -> None:
    found = score("utility.a", findings=(models("helps", None), DecidingRows(20, "positive rows")))
    assert remarks(found) == ["Trained on real and synthetic rows together"]
    assert describe_test_rows(found) == "1,000 rows, 20 positive rows, guessing scores 0.020"


def test_what_was_compared_is_reported_once(score) -> None:
    basis = ComparisonBasis(
        reference=ReferenceRows.HALF_OF_HOLDOUT,
        n_rows={"reference": 78},
        excluded={"Class": "it is the same in all rows"},
    )
    scores = [score(name, findings=(basis,)) for name in ("gap.a", "gap.b")]
    assert comparison_sentences([*scores, score("gap.c")]) == [
        "Gap: compared with half of the holdout, 78 rows.",
        "Class was not compared: it is the same in all rows.",
    ]


def test_small_counts_are_not_reported_exactly(score) -> None:
    for n, there in [(5, "at most 10"), (12, "12")]:
        found = score("gap.a", "cannot tell", findings=(DecidingRows(n, "rows on each side"),))
        assert f"needs at least 20 rows on each side, there are {there}" in score_sentence(found)


def test_right_at_the_margin_no_number_is_promised(score) -> None:
    rows = (DecidingRows(100, "rows on each side"),)
    found = score("gap.a", "cannot tell", interval=(0.0, 0.1), margin=0.05, findings=rows)
    assert "so near the margin" in reasons(found)[0]


def page(people, *scores: Score) -> str:
    return build_report(
        title="x", train=people, synthetic=people, holdout=None, scores=scores, gates=[]
    ).to_html()


def test_an_interval_beyond_the_margin_that_decides_nothing_says_why(score) -> None:
    rows = (DecidingRows(500, "rows"),)
    beyond, across = (
        score("gap.pairs", "cannot tell", interval=(low, 0.2), findings=rows)
        for low in (0.06, 0.04)
    )
    assert "99.8 %" in reasons(beyond)[-1]
    assert not any("99.8 %" in text for text in reasons(across))


def test_components_that_are_different_stand_beside_their_score(people, score) -> None:
    many = components("column", *[f"c{i}" for i in range(8)], "<b>")
    text = " ".join(page(people, score("gap.a", "different", findings=(many,))).split())
    assert (
        "<b>Different columns</b>, each worse than real rows by more than 0.050: c0, c1, c2, c3, c4, "
        "c5, c6, c7 and 1 more</small>" in text
    )
    one = page(people, score("gap.a", "different", findings=(components("pair", "<b> x a"),)))
    assert "<b>Different pair</b>" in one
    assert "&lt;b&gt; x a" in one


def test_rows_that_look_least_real_are_shown_with_what_may_be_reported(people, score) -> None:
    rows = ConfidentRow(1234, 0.98, {"town": "<Ulm>"}), ConfidentRow(7, 0.5)
    html = page(people, score("gap.a", findings=(ConfidentRows(rows),)))
    text = html.partition('<section id="confident">')[2].partition("</section>")[0]
    assert "1,234" in text
    assert "98.0 %" in text
    assert "&lt;Ulm&gt;" in text
    assert text.count("not shown") == 2  # the cell, and the hint that says why
    assert 'id="confident"' not in page(people, score("gap.a"))

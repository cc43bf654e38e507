import pytest

from twinset.report import build_report
from twinset.report.findings import (
    Cell,
    asides,
    column_distances,
    comparisons,
    pair_errors,
    population_levels,
    read_confident_rows,
    read_different_components,
    usefulness,
)


def test_column_distances_come_from_numbers_or_mappings(score):
    columns = {"a": 0.1, "b": {"distance": 0.2}, "c": None, "d": float("nan"), "e": True}
    assert column_distances(score("gap.a", details={"columns": columns})) == {"a": 0.1, "b": 0.2}


def test_pair_errors_come_from_triples_and_others_are_left_out(score):
    pairs = [["a", "b", 0.5], ["a", "c", None], ["b"], "abc", {"a": 1}]
    found = pair_errors(score("gap.a", details={"pairs": pairs}))
    assert found == {("a", "b"): 0.5}
    assert pair_errors(score("gap.a", details={"pairs": "abc"})) == {}


def test_missing_keys_leave_blocks_out(score):
    bare = score("utility.a")
    assert (column_distances(bare), pair_errors(bare), population_levels(bare)) == ({}, {}, [])
    assert usefulness(bare) is None
    assert usefulness(score("gap.a", details={"measures": {"x": {"real": 1.0}}})) is None
    assert asides(bare) == []


def test_usefulness_reads_models_changes_and_answers(score):
    details = {
        "measures": {"AP": {"real": 0.5, "mixed": 0.6}},
        "changes": {"AP": {"mixed": {"difference": 0.1, "interval": [0.05, 0.15]}}},
        "answers": {"mixed": "helps"},
        "rows": {"real": 100, "mixed": 150},
        "holdout_rows": 1000,
        "deciding": {"rows": 20, "what": "positive holdout rows"},
        "guessing": 0.02,
    }
    found = usefulness(score("utility.a", details=details))
    assert found.test == "1,000 rows, 20 positive holdout rows, guessing scores 0.020"
    assert [(row.name, row.n_rows) for row in found.rows] == [
        ("real rows only", 100),
        ("real and synthetic", 150),
    ]
    assert found.trained_on("mixed").cells == (Cell(0.6, 0.1, (0.05, 0.15)),)
    assert (found.trained_on("mixed").mark, found.reach) == ("good", 0.15)
    assert found.trained_on("synthetic") is None


def test_population_levels_that_are_neither_found_nor_declared_are_left_out(score):
    levels = {"F": {"found": 0.3, "declared": 0.5}, "(any other)": {"found": 0.0, "declared": 0.0}}
    details = {"columns": {"sex": 0.2}, "levels": {"sex": levels}}
    assert population_levels(score("coverage.a", details=details)) == [("sex", "F", 0.3, 0.5)]


def test_asides_tell_summary_note_and_the_numbers_of_coverage(score):
    details = {"precision": 0.91, "density": 1.2, "note": "40 columns of 60", "summary": "none"}
    assert asides(score("coverage.a", details=details)) == [
        "none",
        "40 columns of 60",
        "precision 0.910, density 1.200",
    ]


def test_a_model_of_other_rows_than_synthetic_ones_is_told(score):
    found = asides(score("utility.a", details={"mode": "real and synthetic rows together"}))
    assert found == ["trained on real and synthetic rows together"]


def test_what_was_compared_is_told_once(score):
    compared = {
        "with": "half of the holdout",
        "rows": {"reference": 78},
        "left_out": {"Class": "it is the same in all rows"},
        "train_rows_instead": 0.25,
    }
    scores = [score(name, details={"compared": compared}) for name in ("gap.a", "gap.b")]
    assert comparisons([*scores, score("gap.c")]) == [
        "Gap: compared with half of the holdout, 78 rows.",
        "Class was not looked at: it is the same in all rows.",
    ]
    assert asides(scores[0]) == []


def test_parts_that_are_different_stand_beside_their_score(people, score):
    sentence = "different: 9 columns (c0, c1, c2 and 6 more); 0.300, real rows 0.010 for the worst"
    parts = {"what": "column", "names": [f"c{i}" for i in range(8)] + ["<b>"], "margin": 0.05}
    scores = [score("gap.a", "different", sentence=sentence, details={"different": parts})]
    page = build_report(
        title="x", train=people, synthetic=people, holdout=None, scores=scores, gates=[]
    ).to_html()
    told = " ".join(page.split())
    assert (
        "<b>Different columns</b>, each worse than real rows by more than 0.050: c0, c1, c2, c3, c4, "
        "c5, c6, c7 and 1 more</small>" in told
    )
    # The clause of the sentence that names fewer of them is not said twice.
    assert "c2 and 6 more" not in told.partition('<section id="scores">')[2]


def test_one_different_part_is_named_and_escaped(people, score):
    parts = {"what": "pair", "names": ["<b> x a"], "margin": 0.1}
    scores = [score("gap.a", "different", details={"different": parts})]
    page = build_report(
        title="x", train=people, synthetic=people, holdout=None, scores=scores, gates=[]
    ).to_html()
    assert "<b>Different pair</b>" in page
    assert "&lt;b&gt; x a" in page


@pytest.mark.parametrize("parts", [None, {}, {"names": []}, {"names": ["a"]}, ["a"]])
def test_no_different_parts_are_no_block(score, parts):
    assert read_different_components(score("gap.a", details={"different": parts})) is None


def test_rows_that_look_least_real_are_shown_with_what_may_be_told(people, score):
    rows = [
        {"row": 1234, "opinion": 0.98, "values": {"town": "<Ulm>"}},
        {"row": 7, "opinion": 0.5},
        {"row": None, "opinion": 0.4},
    ]
    scores = [score("gap.a", details={"surest": {"rows": rows, "rule": None}})]
    columns, found = read_confident_rows(scores)
    assert (columns, [row.number for row in found]) == (["town"], [1234, 7])
    page = build_report(
        title="x", train=people, synthetic=people, holdout=None, scores=scores, gates=[]
    ).to_html()
    told = page.partition('<section id="surest">')[2].partition("</section>")[0]
    assert "1,234" in told
    assert "98.0 %" in told
    assert "&lt;Ulm&gt;" in told
    assert told.count("not shown") == 2  # the cell, and the hint that says why
    assert read_confident_rows([score("gap.a", details={"surest": {"rows": "abc"}})]) == ([], [])
    assert (
        'id="surest"'
        not in build_report(
            title="x",
            train=people,
            synthetic=people,
            holdout=None,
            scores=[score("gap.a")],
            gates=[],
        ).to_html()
    )

"""`compare`, and the gates and exports of `evaluate` and `run`, on small tables."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pyarrow as pa
import pyarrow.csv
import pytest

from twinset.cli.measure import names_of
from twinset.core.errors import RecipeError
from twinset.registry import build

from .conftest import Twinset, listing, people

FEW = ("gap.marginals", "privacy.exact_copies")


@pytest.fixture
def few_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two quick metrics instead of all."""
    chosen = [(name, build("metric", name, {})) for name in FEW]
    monkeypatch.setattr("twinset.workflows.evaluate.default_metrics", lambda kinds, **_: chosen)


@pytest.fixture
def three(folder: Path, few_metrics: None) -> Path:
    """real.csv, unseen.csv, and the candidates fresh.csv and copy.csv."""
    rows = people(1200)
    pyarrow.csv.write_csv(rows.slice(0, 400), folder / "real.csv")
    pyarrow.csv.write_csv(rows.slice(400, 400), folder / "unseen.csv")
    pyarrow.csv.write_csv(rows.slice(800), folder / "fresh.csv")
    pyarrow.csv.write_csv(rows.slice(0, 400), folder / "copy.csv")
    return folder


def compare(twinset: Twinset, *words: object) -> object:
    return twinset(
        "compare", "real.csv", "fresh.csv", "copy.csv", "--holdout", "unseen.csv", *words
    )


def test_the_table_has_a_line_a_metric_and_the_choice_avoids_the_copy(
    three: Path, twinset: Twinset
) -> None:
    outcome = compare(twinset)
    assert (outcome.code, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    assert lines[0].split() == ["test", "real", "vs", "real", "fresh", "copy", "best"]
    (copies,) = [line for line in lines if line.startswith("  exact copies")]
    assert copies.split()[-4:] == ["+", "1.000", "!", "fresh"]
    (choice,) = [line for line in lines if "Which one?" in line]
    assert "fresh" in choice
    assert "copy shows signs of leaking" in choice
    assert "Take copy" not in outcome.out


def test_page_markdown_and_junit_are_written_and_json_is_printed(
    three: Path, twinset: Twinset
) -> None:
    files = ("--html", "c.html", "--markdown", "c.md", "--junit", "c.xml")
    outcome = compare(twinset, *files, "--json")
    found = json.loads(outcome.out)
    assert list(found["candidates"]) == ["fresh", "copy"]
    assert found["facts"]["holdout_rows"] == 400
    assert found["recommendation"]["candidate"] == "fresh"
    page = (three / "c.html").read_text("utf-8")
    assert "2 candidates beside real" in page
    assert str(three) not in page + outcome.out
    assert "| metric | real vs real | fresh | copy | best |" in (three / "c.md").read_text("utf-8")
    root = ElementTree.parse(three / "c.xml").getroot()
    assert [suite.get("name") for suite in root] == ["fresh", "copy"]
    assert root.get("tests") == "6"
    assert "page:" in compare(twinset, *files).out


def test_the_same_words_give_the_same_bytes_on_any_number_of_workers(
    three: Path, twinset: Twinset
) -> None:
    assert compare(twinset, "--json").out == compare(twinset, "--json", "--workers", "2").out


def test_evaluate_and_compare_say_the_same_of_a_candidate(three: Path, twinset: Twinset) -> None:
    both = json.loads(compare(twinset, "--json").out)["candidates"]
    for name in both:
        words = ("evaluate", "real.csv", f"{name}.csv", "--holdout", "unseen.csv", "--json")
        assert json.loads(twinset(*words).out)["scores"] == both[name]["scores"]


def test_names_are_as_long_as_they_must_be() -> None:
    assert names_of([Path("a.csv"), Path("a.parquet")]) == ["a.csv", "a.parquet"]
    assert names_of([Path("p/x/a.csv"), Path("q/x/a.csv")]) == ["a.csv (1)", "a.csv (2)"]
    with pytest.raises(RecipeError, match="named twice"):
        names_of([Path("a.csv"), Path("./a.csv")])


def evaluate(twinset: Twinset, *words: object) -> object:
    return twinset("evaluate", "real.csv", "copy.csv", "--holdout", "unseen.csv", *words)


def test_a_gate_in_words_decides_the_exit_code(three: Path, twinset: Twinset) -> None:
    kept = evaluate(twinset, "--gate", "privacy.exact_copies <= 1")
    assert kept.code == 0
    assert "1 of 1 passed" in kept.out
    gates = ("--gate", "privacy.exact_copies <= 0", "--gate", "gap.marginals <= 1")
    failed = evaluate(twinset, *gates)
    assert failed.code == 3
    assert "1 of 2 passed; failed: privacy.exact_copies" in failed.out
    assert "A gate failed: exit code 3." in failed.out
    found = evaluate(twinset, *gates, "--json")
    assert found.code == 3
    assert json.loads(found.out)["passed"] is False


def test_a_gate_on_what_cannot_be_measured_fails(three: Path, twinset: Twinset) -> None:
    words = ("evaluate", "real.csv", "fresh.csv", "--gate", "privacy.exact_copies <= 1")
    assert twinset(*words).code == 3


def test_evaluate_writes_its_files_also_when_a_gate_fails(three: Path, twinset: Twinset) -> None:
    outcome = evaluate(
        twinset, "--gate", "privacy.exact_copies <= 0", "--html", "e.html", "--markdown", "e.md",
        "--junit", "e.xml",
    )  # fmt: skip
    assert outcome.code == 3
    (failure,) = ElementTree.parse(three / "e.xml").getroot().iter("failure")
    assert failure.get("message") == "at most 0 is allowed, measured 1.000"
    assert "### Gates" in (three / "e.md").read_text("utf-8")
    assert "The one bound is not satisfied" in (three / "e.html").read_text("utf-8")


def test_run_writes_junit_with_its_gates(folder: Path, twinset: Twinset) -> None:
    strict = "evaluate.gates={gap.marginals: {max: -1}}"
    outcome = twinset("run", "recipe.yaml", "--set", strict, "--junit", "r.xml")
    assert outcome.code == 3
    root = ElementTree.parse(folder / "r.xml").getroot()
    assert (root.get("tests"), root.get("failures")) == ("2", "1")
    assert [suite.get("name") for suite in root] == ["small"]
    # A second run keeps its steps and writes the same file.
    before = (folder / "r.xml").read_bytes()
    twinset("run", "recipe.yaml", "--set", strict, "--junit", "r.xml")
    assert (folder / "r.xml").read_bytes() == before


@pytest.mark.usefixtures("few_metrics")
def test_a_mistake_is_one_sentence_and_leaves_nothing(folder: Path, twinset: Twinset) -> None:
    for words, told in [
        (["compare", "people.csv"], "two or more"),
        (["compare", "people.csv", "a.csv"], "two or more"),
        (["compare", "people.csv", "a.csv", "a.csv"], "named twice"),
        (["compare", "people.csv", "a.csv", "absent.csv"], "absent.csv"),
        (["compare", "people.csv", "a.csv", "narrow.csv"], "candidate 'narrow'"),
        (["compare", "people.csv", "a.csv", "b.csv", "--where", "age > 999"], "condition"),
        (["compare", "people.csv", "a.csv", "b.csv", "--target", "lable"], "lable"),
        (["compare", "people.csv", "a.csv", "b.csv", "--html", "no/c.html"], "folder"),
        (["compare", "people.csv", "a.csv", "b.csv", "--html", "a.csv"], "overwrite"),
        (["compare", "people.csv", "a.csv", "b.csv", "--html", "c", "--junit", "c"], "same file"),
        (["compare", "people.csv", "a.csv", "b.csv", "--workers", "0"], "workers"),
        (["evaluate", "people.csv", "a.csv", "--gate", "gap.marginals"], "METRIC <= NUMBER"),
        (["evaluate", "people.csv", "a.csv", "--gate", "gap.marginal <= 0"], "gap.marginals"),
        (["evaluate", "people.csv", "a.csv", "--junit", "no/e.xml"], "folder"),
        (["evaluate", "people.csv", "a.csv", "--markdown", "people.csv"], "overwrite"),
        (["run", "recipe.yaml", "--junit", "no/r.xml"], "folder"),
        (["run", "recipe.yaml", "--junit", "recipe.yaml"], "overwrite"),
    ]:
        for name in ("a", "b"):
            pyarrow.csv.write_csv(people(60), folder / f"{name}.csv")
        pyarrow.csv.write_csv(pa.table({"other": [1, 2]}), folder / "narrow.csv")
        before = listing(folder)
        outcome = twinset(*words)
        assert (outcome.code, outcome.out) == (2, "")
        assert outcome.err.startswith("twinset: ")
        assert told in outcome.err
        assert outcome.err.count("\n") == 1
        assert listing(folder) == before


def test_a_quick_look_says_what_it_leaves_out(folder: Path, twinset: Twinset) -> None:
    rows = people(300)
    for name, part in {"a": rows.slice(0, 100), "b": rows.slice(100, 100)}.items():
        pyarrow.csv.write_csv(part, folder / f"{name}.csv")
    pyarrow.csv.write_csv(rows.slice(200), folder / "real.csv")
    found = json.loads(twinset("compare", "real.csv", "a.csv", "b.csv", "--quick", "--json").out)
    assert any("A quick look, without" in note for note in found["notes"])
    assert "gap.conditionals" not in {row["metric"] for row in found["metrics"]}


def test_a_gate_takes_a_candidate_out_and_fails_only_where_none_is_left(
    three: Path, twinset: Twinset
) -> None:
    outcome = compare(twinset, "--gate", "privacy.exact_copies <= 0.01", "--json")
    assert outcome.code == 0
    told = json.loads(outcome.out)
    passed = {name: own["gates"][0]["passed"] for name, own in told["candidates"].items()}
    assert passed == {"fresh": True, "copy": False}
    none = compare(twinset, "--gate", "gap.marginals <= 0", "--junit", "gates.xml")
    assert none.code == 3
    assert "No candidate passed every gate" in none.out
    assert "fresh misses a gate" in " ".join(none.out.split())
    suites = ElementTree.parse(three / "gates.xml").getroot()
    assert len(suites.findall(".//testcase/failure")) >= 2


def test_a_gate_on_an_unknown_metric_is_refused(three: Path, twinset: Twinset) -> None:
    outcome = compare(twinset, "--gate", "gap.marginal <= 1")
    assert outcome.code == 2
    assert "gap.marginals" in outcome.err

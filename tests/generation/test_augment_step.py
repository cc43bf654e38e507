"""An augment step may vary what a generate step made: beside its rows, or in their place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from twinset import run
from twinset.catalog import Catalog
from twinset.core.data.dataset import Dataset
from twinset.core.errors import RecipeError
from twinset.generation.augment_step import _resized
from twinset.recipe import load_recipe
from twinset.workflows.run import plan
from twinset.workflows.shards import make_shards

RECIPE = """\
name: tickets
seed: 7
brief: {task: intent, target: label, modality: text}
generate:
  - use: text.templates
    rows: 120
    with:
      templates:
        refund: ["Please refund {item} today, number {n}", "I want my money for {item} {n} back"]
        ask: ["Where is my {item} {n}?", "Is {item} number {n} on its way?"]
      slots: {item: [lamp, kettle, chair, table], n: {number: [1, 999]}}
augment:
  - {use: text.noise, OPTIONS}
evaluate: {metrics: []}
deliver: {to: out, formats: [jsonl]}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def made(options: str, text: str = RECIPE) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    Path("r.yaml").write_text(text.replace("OPTIONS", options))
    result = run("r.yaml")
    rows = [json.loads(line) for line in (result.delivered / "synthetic.jsonl").open()]
    return rows, json.loads((result.delivered / "cards.json").read_text())["synthetic"]


def test_varied_rows_stand_behind_those_they_come_from() -> None:
    rows, card = made("of: templates, copies: 2, with: {typo: 0.2, protect: none}")
    first, noisy = rows[:120], rows[120:]
    assert len(noisy) == 240
    by_id = {row["_id"]: row for row in first}
    changed = 0
    for row in noisy:
        (parent,) = row["_parents"]
        assert row["label"] == by_id[parent]["label"]
        assert row["_origin"] == "synthetic"
        changed += row["text"] != by_id[parent]["text"]
        for span in row["spans"]:
            assert row["text"][span["start"] : span["end"]] == span["value"]
    assert changed > 200
    assert len({row["_id"] for row in rows}) == 360
    # No real record went in: the card must not say so.
    assert card["origin"] == "synthetic"
    assert "varies the rows of the step 'templates'" in card["notes"]
    assert not [note for note in card["notes"] if "source data" in note]


def test_varied_rows_take_the_place_of_those_they_come_from() -> None:
    rows, card = made("of: templates, replace: true, with: {cover: template, typo: 0.2}")
    assert len(rows) == 120
    assert {row["_id"].split("-")[0] for row in rows} == {"tickets.noise"}
    (told,) = [note for note in card["notes"] if note.startswith("Pairs of 'template'")]
    # Four templates and 13 kinds of noise: none of the templates has an accent.
    assert told.startswith("Pairs of 'template' and kind of noise: ")
    assert " of 52 came together" in told
    assert "refund-1 with" in told
    assert "diacritics" in told
    catalog = Catalog(Path(".twinset"))
    parents = {p for row in rows for p in row["_parents"]}
    kept = catalog.load(catalog.find("tickets.templates"))
    assert parents == set(kept.records.column("_id").to_pylist())


def test_a_second_step_varies_what_the_first_one_did() -> None:
    rows, _ = made(
        "of: templates, replace: true}\n  - {use: text.noise, name: more, of: noise, where: "
        "{label: ask}, with: {emoji: 1.0}"
    )
    noise, more = rows[:120], rows[120:]
    texts = {row["_id"]: row for row in noise}
    assert len(more) == sum(row["label"] == "ask" for row in noise) == 60
    assert all(row["label"] == "ask" for row in more)
    assert all(row["_parents"][0] in texts for row in more)


SOURCE = """\
source: {path: real.csv, schema: {text: {kind: text}, label: {kind: category}}}
generate:
  - use: text.templates
    where: {label: ask}
"""


def test_varied_rows_are_measured_against_real_ones_of_their_parents_kind() -> None:
    said = [f"where is lamp {i},ask\nplease refund chair {i},refund" for i in range(60)]
    Path("real.csv").write_text("\n".join(["text,label", *said]))
    text = RECIPE.replace("generate:\n  - use: text.templates\n", SOURCE)
    _, card = made("of: templates, with: {typo: 0.2}", text)
    assert card["where"] == {"label": "ask"}
    # The real rows have no templates: they cannot be told apart by them.
    rows, card = made("of: templates, replace: true, where: {template: ask-1}", text)
    assert {row["template"] for row in rows} == {"ask-1"}
    assert card["where"] == {"label": "ask"}
    assert "varies the rows of the step 'templates' that meet template = ask-1" in card["notes"]


def test_rules_on_columns_that_synthetic_rows_lack_do_not_end_the_run() -> None:
    said = [f"where is lamp {i},ask,{i}\nplease refund chair {i},refund,{i}" for i in range(60)]
    Path("real.csv").write_text("\n".join(["text,label,paid", *said]))
    rule = "{kind: range, columns: [paid], low: 0, high: 99}"
    text = RECIPE.replace(
        "generate:\n", f"source: {{path: real.csv, rules: [{rule}]}}\ngenerate:\n"
    )
    rows, _ = made("of: templates, replace: true, with: {typo: 0.2}", text)
    assert len(rows) == 120


def test_a_run_keeps_what_does_not_depend_on_a_changed_step() -> None:
    made("of: templates, with: {typo: 0.2}")
    states = {s.name: s.state for s in plan("r.yaml", overrides=["augment.0.with.typo=0.1"])}
    assert (states["templates"], states["noise"], states["measure"]) == (
        "kept",
        "to make",
        "to make",
    )
    states = {s.name: s.state for s in plan("r.yaml", overrides=["generate.0.rows=90"])}
    assert (states["templates"], states["noise"]) == ("to make", "to make")


def test_chunks_have_one_size_whatever_they_came_in() -> None:
    import pyarrow as pa

    def chunks(*sizes: int) -> list[list[int]]:
        whole, at, parts = Dataset.from_arrow(pa.table({"x": list(range(100))})), 0, []
        for size in sizes:
            parts.append(whole.slice(at, size))
            at += size
        return [c.records.column("x").to_pylist() for c in _resized(iter(parts), 8)]

    expected = [list(range(0, 8)), list(range(8, 16)), list(range(16, 20))]
    assert chunks(20) == chunks(3, 0, 9, 8) == chunks(*[1] * 20) == expected


WRONG = [
    ("of: template", r"augment\[0\].of: no earlier step is called 'template'; .*'templates'\?"),
    ("of: noise", r"no earlier step is called 'noise'; allowed: templates"),
    ("replace: true", r"'replace' needs 'of'"),
    ("copies: 2", r"this varies real rows and the recipe has no source; say of: STEP"),
]


@pytest.mark.parametrize(("options", "words"), WRONG)
def test_what_cannot_be_varied_is_reported(options: str, words: str) -> None:
    Path("r.yaml").write_text(RECIPE.replace("OPTIONS", options))
    with pytest.raises(RecipeError, match=words):
        load_recipe(Path("r.yaml"))


def test_shards_refuse_a_step_that_needs_another_ones_rows() -> None:
    Path("r.yaml").write_text(
        "name: s\nbrief: {task: detection, modality: image}\n"
        "generate: [{use: image.shapes, rows: 4, with: {size: 32}}]\n"
        "augment: [{use: image.elastic, of: shapes}]\n"
    )
    with pytest.raises(
        RecipeError, match="the step 'elastic' varies the rows of the step 'shapes'"
    ):
        make_shards(Path("r.yaml"), Path("shards"))

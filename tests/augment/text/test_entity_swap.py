"""Entities take other values of their label: by hand, by share, and never from the holdout."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import twinset
from twinset.augment.text.entity_swap import EntitySwap
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import SPAN, Field, Schema
from twinset.core.errors import DataError, ParameterError, SchemaError
from twinset.core.seeding import rng_for

SCHEMA = Schema((Field(name="text", kind="text"), Field(name="spans", kind="spans")))
Row = tuple[str, list[tuple[str, str]]]


def said(*rows: Row) -> Dataset:
    """Return texts in which the named parts are marked, each found behind the one before."""
    spans = []
    for text, parts in rows:
        at, own = 0, []
        for part, label in parts:
            start = text.index(part, at)
            at = start + len(part)
            own.append({"start": start, "end": at, "label": label, "value": part})
        spans.append(own)
    table = {"text": [text for text, _ in rows], "spans": pa.array(spans, pa.list_(SPAN))}
    data = Dataset.from_arrow(pa.table(table), SCHEMA)
    return data.with_reserved(ids=[f"r{k}" for k in range(len(rows))])


def swapped(data: Dataset, seed: int = 0, **settings: Any) -> list[dict[str, Any]]:
    swap = EntitySwap(**settings)
    made = swap.apply(data, swap.draw(data, rng_for(seed, "swap"))).records.to_pylist()
    for row in made:
        for span in row["spans"]:
            assert row["text"][span["start"] : span["end"]] == span["value"] != ""
    return list(made)


def test_two_texts_swap_their_values() -> None:
    data = said(
        ("fly from Ulm to Rome 🍵, Anna", [("Ulm", "city"), ("Rome", "city"), ("Anna", "name")]),
        ("Ask Zoë", [("Zoë", "name")]),
    )
    first, second = swapped(data)
    assert first["text"] == "fly from Rome to Ulm 🍵, Zoë"
    assert second["text"] == "Ask Anna"
    assert first["_parents"] == ["r0", "r1"]
    assert second["_parents"] == ["r1", "r0"]


def test_a_value_fits_its_place() -> None:
    for text, part, new, made in [
        ("get a pizza", "pizza", "apple pie", "get an apple pie"),
        ("Get an orange", "orange", "pear", "Get a pear"),
        ("An owl.", "owl", "unicorn", "A unicorn."),
        ("Is it a dog?", "dog", "hour", "Is it an hour?"),
        ("vitamin a pills", "pills", "apples", "vitamin an apples"),
        ("plan-a pill", "pill", "apple", "plan-a apple"),
        ("a 5", "5", "eel", "an eel"),
        ("Dune is long", "Dune", "the end", "The end is long"),
        ("Wait! Dune is long", "Dune", "the end", "Wait! The end is long"),
        ("See Dune now", "Dune", "the end", "See the end now"),
        ("see dune now", "dune", "The End", "see the end now"),
        ("SEE DUNE NOW", "DUNE", "The End", "SEE THE END NOW"),
        ("DUNE", "DUNE", "The End", "The End"),
        ("See dune now", "dune", "The End", "See The End now"),
    ]:
        (row,) = swapped(said((text, [(part, "x")])), lexicon={"x": [new]})
        assert row["text"] == made


def test_articles_stay_on_request_and_inside_other_spans() -> None:
    settings: dict[str, Any] = {"lexicon": {"x": ["apple"]}}
    (row,) = swapped(said(("a pear", [("pear", "x")])), fixes_articles=False, **settings)
    assert row["text"] == "a apple"
    (row,) = swapped(said(("vitamin a pear", [("vitamin a", "y"), ("pear", "x")])), **settings)
    assert row["text"] == "vitamin a apple"


def test_one_value_twice_is_replaced_by_one() -> None:
    data = said(("Ulm, ulm and Bonn", [("Ulm", "c"), ("ulm", "c"), ("Bonn", "c")]))
    words = [f"Town{k}" for k in range(50)]
    (row,) = swapped(data, lexicon={"c": words})
    values = [span["value"] for span in row["spans"]]
    assert values[0] == values[1] != values[2]


def test_the_rate_is_the_share_of_entities_replaced() -> None:
    data = said(*[(f"to A{k} now", [(f"A{k}", "c")]) for k in range(2000)])
    made = swapped(data, rate=0.3)
    changed = sum(row["text"] != f"to A{k} now" for k, row in enumerate(made))
    assert changed / 2000 == pytest.approx(0.3, abs=0.04)


def test_weights_mean_shares() -> None:
    data = said(*[("to X now", [("X", "c")])] * 3000)
    lexicon = {"c": {"Rome": 3, "Ulm": 1, "Bonn": 0}}
    counts = Counter(row["spans"][0]["value"] for row in swapped(data, lexicon=lexicon))
    assert set(counts) == {"Rome", "Ulm"}
    assert counts["Rome"] / 3000 == pytest.approx(0.75, abs=0.04)


@pytest.mark.parametrize(("weights", "share"), [("even", 0.5), ("seen", 0.75)])
def test_values_come_evenly_or_as_seen(weights: str, share: float) -> None:
    rows: list[Row] = [("to Rome now", [("Rome", "c")])] * 3 + [("to Ulm now", [("Ulm", "c")])]
    rows += [("to Bonn now", [("Bonn", "c")])]
    rows = rows * 800
    made = swapped(said(*rows), weights=weights)
    at_bonn = [row["spans"][0]["value"] for row, (text, _) in zip(made, rows) if "Bonn" in text]
    assert at_bonn.count("Rome") / 800 == pytest.approx(share, abs=0.07)
    assert "Bonn" not in at_bonn


def test_a_value_that_a_lexicon_holds_twice_hides_no_other() -> None:
    data = said(*[("to Bonn", [("Bonn", "c")])] * 40)
    made = swapped(data, lexicon={"c": ["Ulm", "Ulm", "Rome"]})
    assert {row["spans"][0]["value"] for row in made} == {"Ulm", "Rome"}


def test_a_lexicon_has_its_share() -> None:
    data = said(*[(f"to A{k} now", [(f"A{k}", "c")]) for k in range(2000)])
    made = swapped(data, lexicon={"c": ["Rome"]}, lexicon_share=0.25)
    assert sum("Rome" in row["text"] for row in made) / 2000 == pytest.approx(0.25, abs=0.04)


def test_what_has_no_other_value_overlaps_or_is_not_asked_for_stays() -> None:
    data = said(("to Ulm", [("Ulm", "c")]), ("to ulm", [("ulm", "c")]))
    assert [row["text"] for row in swapped(data)] == ["to Ulm", "to ulm"]
    nested = {"start": 3, "end": 8, "label": "c", "value": "Ulm A"}
    spans = [nested, nested | {"end": 6, "value": "Ulm"}]
    table = pa.table({"text": ["to Ulm A"], "spans": pa.array([spans], pa.list_(SPAN))})
    assert (
        swapped(Dataset.from_arrow(table, SCHEMA), lexicon={"c": ["Rome"]})[0]["text"] == "to Ulm A"
    )
    two = said(("Anna in Ulm", [("Anna", "n"), ("Ulm", "c")]))
    lexicon = {"n": ["Zoë"], "c": ["Rome"]}
    assert swapped(two, lexicon=lexicon, labels=["c"])[0]["text"] == "Anna in Rome"


def test_canonical_values_go_with_their_text() -> None:
    spans = [
        [{"start": 0, "end": 3, "label": "c", "value": "city-1"}],
        [{"start": 0, "end": 4, "label": "c", "value": "city-2"}],
    ]
    table = pa.table({"text": ["ulm 1", "Rome 2"], "spans": pa.array(spans, pa.list_(SPAN))})
    swap, data = EntitySwap(), Dataset.from_arrow(table, SCHEMA)
    made = swap.apply(data, swap.draw(data, rng_for(0, "x"))).records.to_pylist()
    assert [(row["text"], row["spans"][0]["value"]) for row in made] == [
        ("rome 1", "city-2"),
        ("Ulm 2" if "Ulm" in made[1]["text"] else "ulm 2", "city-1"),
    ]


def test_settings_are_checked() -> None:
    for settings, words in [
        ({"rate": 1.5}, "'rate' is out of its range; got 1.5; allowed: a number >= 0 and <= 1"),
        ({"lexicon_share": -1}, "'lexicon_share' is out of its range"),
        ({"labels": "city"}, "'labels' is no list"),
        ({"weights": "evn"}, "'weights' is out of its range.*did you mean 'even'"),
        ({"lexicon": {"c": []}}, "lexicon of 'c' is no list of values; got nothing"),
        ({"lexicon": {"c": "Rome"}}, "lexicon of 'c' is no list of values; got a text"),
        ({"lexicon": {"c": ["Rome", " "]}}, "lexicon of 'c' is no list of values; got a blank"),
        ({"lexicon": {"c": {"Rome": -1}}}, "weight in the lexicon of 'c'"),
    ]:
        with pytest.raises(ParameterError, match=words):
            EntitySwap(**settings)


def test_bad_sets_are_refused() -> None:
    bad = pa.array([[{"start": 0, "end": 9, "label": "c", "value": "x"}]], pa.list_(SPAN))
    data = Dataset.from_arrow(pa.table({"text": ["x"], "spans": bad}), SCHEMA)
    with pytest.raises(DataError, match="row 0 does not lie in its text"):
        EntitySwap().draw(data, rng_for(0, "x"))
    with pytest.raises(SchemaError, match="needs a column of texts"):
        EntitySwap().draw(Dataset.from_arrow(pa.table({"n": [1]})), rng_for(0, "x"))


RECIPE = """
name: towns
seed: 5
brief: {task: intent, target: about}
source:
  path: towns.jsonl
  schema: {text: {kind: text}, spans: {kind: spans}}
split: {by: stratified, holdout_fraction: 0.3}
augment:
  - {use: text.entity_swap, copies: 3}
  - {use: text.mix, with: {swap_rate: 0.5}}
  - {use: text.noise, with: {protect: values, typo: 0.05}}
evaluate: {metrics: [coverage.population]}
deliver: {to: out, formats: [jsonl], include: training_set}
"""


def test_no_value_of_the_holdout_comes_into_a_made_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = []
    for k in range(60):
        text = f"{('Fly me', 'Drive over')[k % 2]} to Town{k}ville, number {k * k} please"
        start = text.index("Town")
        span = {"start": start, "end": text.index(","), "label": "city", "value": f"Town{k}ville"}
        row = {"text": text, "about": ("fly", "drive")[k % 2], "spans": [span]}
        lines.append(json.dumps(row))
    Path("towns.jsonl").write_text("\n".join(lines) + "\n")
    Path("towns.yaml").write_text(RECIPE)
    result = twinset.run("towns.yaml", root="catalogue")
    rows = [json.loads(line) for line in (result.delivered / "training_set.jsonl").open()]
    real = {row["spans"][0]["value"] for row in rows if row["_origin"] == "real"}
    made = [row for row in rows if row["_origin"] != "real"]
    values = {span["value"].casefold() for row in made for span in row["spans"]}
    assert 30 < len(real) < 60
    assert values <= {value.casefold() for value in real}
    assert len(made) == 5 * len(real)
    notes = json.loads((result.delivered / "cards.json").read_text())["training_set"]["notes"]
    assert any("values of other real records" in note for note in notes)
    assert any("pieces of two real records" in note for note in notes)

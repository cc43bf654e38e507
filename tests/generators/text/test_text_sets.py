"""Promises over whole sets: exact shares, no text twice, records that agree, parts that share nothing."""

import json
import subprocess
import sys
from collections import Counter
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import twinset
from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.core.errors import ParameterError
from twinset.core.seeding import rng_for
from twinset.generation.sampling import fit_source
from twinset.generators.text._grammar.plan import Apportionment
from twinset.generators.text._grammar.text_set import near_duplicate_fraction
from twinset.generators.text.templates import Templates

SLOTS = {
    "n": {"number": [1, 9_999]},
    "thing": ["kettle", "lamp", "tent", "tea"],
    "colour": ["red", "blue", "green"],
}
THREE = {
    "refund": ["Refund {n}", "Send back the {colour} {thing}", "I want {n} for my {thing}"],
    "login": ["Cannot log in {n}", "No log in"],
    "other": ["Hello {n}[, it is me]", "A {thing} and a {thing#2} for {n}"],
}
SHARES = {"refund": 0.5, "login": 0.3, "other": 0.2}


def drawn(n, *, workers=1, seed=5, where=None, part="", into=None, **parameters):
    parameters = {"templates": THREE, "slots": SLOTS, "shares": SHARES, **parameters}
    source = fit_source(Templates(**parameters), None, seed=seed, path=("x",))
    whole = source.open_set() if into is None else into
    chunks = list(source.draw(n, into=whole, workers=workers, where=Where.of(where), part=part))
    return Dataset.concat(chunks), whole


def column(data, name):
    return data.records.column(name).to_pylist()


@pytest.mark.parametrize("n", [1, 7, 1_000, 2_048, 5_001])
def test_quotas_are_exact_over_all_chunks_and_no_text_comes_twice(n):
    data, _ = drawn(n)
    counts = Counter(column(data, "label"))
    for label, share in SHARES.items():
        assert abs(counts[label] - n * share) < 1
    if n % 10 == 0:
        assert counts == {label: round(n * share) for label, share in SHARES.items()}
    assert len(set(column(data, "text"))) == n


def test_the_same_bytes_on_any_number_of_workers_and_for_any_number_of_rows():
    data, whole = drawn(5_000)
    again, same = drawn(5_000, workers=4)
    assert data.digest == again.digest
    assert whole.notes() == same.notes()
    assert drawn(3_100)[0].digest == data.slice(0, 3_100).digest
    assert drawn(5_000, seed=6)[0].digest != data.digest


def test_the_same_bytes_in_a_second_process():
    code = (
        "from twinset.generation.sampling import fit_source\n"
        "from twinset.generators.text.templates import Templates\n"
        "made = fit_source(Templates(), None, seed=3, path=('x',)).draw(300)\n"
        "print(*[chunk.digest for chunk in made])"
    )
    environment = {"PYTHONHASHSEED": "12345", "PATH": ""}
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    own = fit_source(Templates(), None, seed=3, path=("x",)).draw(300)
    assert run.stdout.split() == [chunk.digest for chunk in own]


def test_a_template_that_has_run_out_leaves_its_turns_to_the_others():
    data, whole = drawn(3_000)
    templates = Counter(column(data, "template"))
    assert templates["login-2"] == 1
    assert templates["refund-2"] == 12
    assert templates["refund-1"] == templates["refund-3"] == (1_500 - 12) / 2
    assert any("were replaced" in note for note in whole.notes())


def test_too_few_texts_are_told_before_any_is_written():
    templates = {"a": ["Where is the {colour} {thing}?"], "b": ["{n}"]}
    with pytest.raises(
        ParameterError, match="templates of 'a' cannot give 13 different texts; got about 12 ways"
    ):
        drawn(26, templates=templates, shares=None)
    data, _ = drawn(24, templates=templates, shares=None)
    assert len(set(column(data, "text"))) == 24
    repeats, _ = drawn(60, templates=templates, shares=None, unique_rows=False)
    assert Counter(column(repeats, "label")) == {"a": 30, "b": 30}


def test_texts_that_coincide_are_told_when_no_new_one_is_found():
    same = {"a": ["(tea|tea|tea|tea) {colour}"]}
    assert len(drawn(3, templates=same, shares=None)[0]) == 3
    with pytest.raises(ParameterError, match="have no new text left; got ways to fill them that"):
        drawn(9, templates=same, shares=None)


def test_parts_of_one_set_share_no_text():
    first, whole = drawn(600, where={"label": "refund"}, part="0")
    second, _ = drawn(600, where={"label": "refund"}, part="1", into=whole)
    assert not {*column(first, "text")} & {*column(second, "text")}


def test_a_sample_without_memory_repeats_where_nothing_new_is_left():
    fitted = Templates(templates={"a": ["{colour}"]}, slots=SLOTS).fit(None, rng_for(0, "fit"))
    made = column(fitted.sample(50, rng_for(0, "draw")), "text")
    assert len(made) == 50
    assert set(made[:3]) == set(SLOTS["colour"])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=5),
    st.lists(st.integers(0, 40), min_size=5, max_size=5),
    st.integers(0, 10),
)
def test_turns_are_fair_at_any_point_and_end_when_all_have_run_out(weights, most, seed):
    shares = [Fraction(weight, 7) for weight in weights]
    turns = Apportionment(shares, seed, most[: len(weights)])
    order = turns.at(np.arange(turns.total + 20))
    for n in range(0, len(order) + 1, 3):
        counts = np.bincount(order[:n], minlength=len(weights))
        assert counts.tolist() == turns.counts(n).tolist()
    assert (
        np.bincount(order[: turns.total], minlength=len(weights)).tolist() == most[: len(weights)]
    )
    free = Apportionment(shares, seed).at(np.arange(100))
    due = np.outer(np.arange(1, 101), np.array(weights) / sum(weights))
    had = np.cumsum(free[:, None] == np.arange(len(weights)), axis=0)
    assert np.abs(had - due).max() < 1


def test_gaps_between_values_are_listed():
    data, whole = drawn(30, templates={"a": ["{n} {colour} {thing}"]}, shares=None)
    pairs = {tuple(text.split()[1:]) for text in column(data, "text")}
    every = {(c, t) for c in SLOTS["colour"] for t in SLOTS["thing"]}
    gaps = [gap for gap in whole.whole.missing_pairs() if set(gap) == {"colour", "thing"}]
    assert {(gap["colour"], gap["thing"]) for gap in gaps} == every - pairs
    note = next(note for note in whole.notes() if note.startswith("Pairs"))
    assert "missing: " in note
    _, whole = drawn(3_000, templates={"a": ["{n} {colour} {thing}"]}, shares=None)
    # 20 buckets of numbers with 3 colours and 4 things, and colours with things.
    assert f"Pairs of slot values: {20 * 3 + 20 * 4 + 12} of 152 came together." in whole.notes()


def test_one_round_of_the_design_holds_every_pair_of_buckets():
    slots = {**SLOTS, "when": {"date_range": ["2025-01-01", "2025-12-31"]}, "k": ["a", "b"]}
    tables = {"row": [{"w": f"w{i}"} for i in range(20)]}
    templates = {"a": ["{n} {colour} {thing} {when} {row.w} {k}"]}
    drawn_as = {"templates": templates, "slots": slots, "tables": tables, "shares": None}
    data, whole = drawn(529, **drawn_as)
    assert whole.whole.missing_pairs() == []
    # The values of a list still come alike, and those behind the design are drawn freely.
    counts = Counter(text.split()[1] for text in column(data, "text"))
    assert max(counts.values()) - min(counts.values()) < 80
    _, whole = drawn(529, **{**drawn_as, "templates": {"a": [f"{templates['a'][0]} {{n#2}}"]}})
    assert whole.whole.missing_pairs()


def test_near_duplicates_by_hand():
    texts = ["the red lamp is here now", "the red lamp is here now !", "quite another text"]
    # 7 and 8 word pairs, ends included, of which 6 are shared: 6 / 9.
    assert near_duplicate_fraction(texts, 6 / 9) == 2 / 3
    assert near_duplicate_fraction(texts, 0.7) == 0


PEOPLE = pa.table(
    {
        "id": [f"c{i}" for i in range(60)],
        "name": [f"Ann Ö{i}" for i in range(60)],
        "email": [f" a{i}@x.org" for i in range(60)],
        "sum": [i * 1_000.5 for i in range(60)],
    }
)
LETTERS = {"a": ["{p.name} <{p.email}> owes {sum}", "{p#2.name} and {p.name}: {p#2.email}"]}
BOUND = {
    "templates": LETTERS,
    "slots": {"sum": {"column": "p.sum", "format": "{:,.2f}", "marks": ".,"}},
    "shares": None,
}


def test_text_and_record_agree():
    tables = {"p": {"rows": PEOPLE, "key": "id", "labels": {"name": "person", "email": "mail"}}}
    data, _ = drawn(500, tables=tables, **BOUND)
    people = {row["id"]: row for row in PEOPLE.to_pylist()}
    for row in data.records.to_pylist():
        one, two = row["record_id.p"], row["record_id.p#2"]
        first = people[one]
        if row["template"] == "a-1":
            digits = f"{first['sum']:,.2f}".translate(str.maketrans(",.", ".,"))
            expected = f"{first['name']} <{first['email'].strip()}> owes {digits}"
            assert two is None
            assert [s["label"] for s in row["spans"]] == ["person", "mail", "sum"]
        else:
            other = people[two]
            expected = f"{other['name']} and {first['name']}: {other['email'].strip()}"
            assert one != two
        assert row["text"] == expected


def test_records_of_a_unique_table_come_once():
    tables = {"p": {"rows": PEOPLE, "key": "id", "unique": True}}
    data, _ = drawn(60, templates={"a": ["Hi {p.name}"]}, tables=tables, shares=None)
    assert sorted(column(data, "record_id")) == sorted(PEOPLE.column("id").to_pylist())
    with pytest.raises(ParameterError, match="the table 'p' is unique"):
        drawn(61, templates={"a": ["Hi {p.name}"]}, tables=tables, shares=None)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"rows": PEOPLE.slice(0, 0)}, "has no rows"),
        ({"rows": [{"name": "a"}, {"nam": "b"}]}, "do not have the same columns"),
        (
            {"rows": [{"name": "a"}, {"name": " "}]},
            "a cell of the column 'name' .* is empty; got nothing in row 2",
        ),
        ({"rows": [{"nam": "a"}]}, "unknown column of the table 'p'.*did you mean 'nam'"),
        (
            {"rows": [{"name": "a", "k": 1}, {"name": "b", "k": 1}], "key": "k"},
            "key 'k' .* not unique; got a value that came before in row 2",
        ),
        ({"rows": PEOPLE, "key": "number"}, "the setting 'key' names an unknown column"),
        ({"row": []}, "p.row.*no such setting"),
        ({}, "has no rows"),
        ("people", "rows of the table 'p' are not there; got the asset 'people'"),
    ],
)
def test_a_table_that_cannot_be_used_is_named(table, words):
    with pytest.raises(ParameterError, match=words):
        drawn(1, templates={"a": ["{p.name}"]}, tables={"p": table}, shares=None)


def test_words_that_belong_together_are_rows_of_a_table():
    doses = [
        {"drug": "ibuprofen", "dose": "400 mg", "weight": 3},
        {"drug": "insulin", "dose": "8 units", "weight": 1},
    ]
    templates = {"a": ["Take {m.dose} of {m.drug}"]}
    data, _ = drawn(400, templates=templates, tables={"m": doses}, shares=None, unique_rows=False)
    counts = Counter(column(data, "text"))
    assert set(counts) == {"Take 400 mg of ibuprofen", "Take 8 units of insulin"}
    assert 60 < counts["Take 8 units of insulin"] < 140
    assert "record_id" not in data.schema.names


def test_parts_share_no_template_and_no_held_value():
    held = {"fraction": 0.34, "slots": ["colour"]}
    templates = {label: [f"{text} {{colour}}" for text in own] for label, own in THREE.items()}
    data, _ = drawn(1_000, templates=templates, holdout=held)
    used = {part: Counter() for part in ("train", "holdout")}
    words = {part: set() for part in ("train", "holdout")}
    for row in data.records.to_pylist():
        used[row["part"]][row["template"]] += 1
        words[row["part"]] |= {s["value"] for s in row["spans"] if s["label"] == "colour"}
    assert not set(used["train"]) & set(used["holdout"])
    assert {t.rpartition("-")[0] for t in used["holdout"]} == set(THREE)
    assert {t.rpartition("-")[0] for t in used["train"]} == set(THREE)
    assert all(words.values())
    assert not words["train"] & words["holdout"]
    assert data.schema["part"].role == "split"
    only = {"where": {"part": "holdout"}, "unique_rows": False}
    only, _ = drawn(50, templates=templates, holdout=held, **only)
    assert set(column(only, "part")) == {"holdout"}


@pytest.mark.parametrize(
    ("held", "words"),
    [
        ({"fraction": 1}, "holdout.fraction'.*less than 1"),
        ({"part": 0.2}, "holdout.part'.*no such setting"),
        ({"slots": ["thin"]}, "no template uses: 'thin'.*did you mean 'thing'"),
        ({"slots": ["colour"], "fraction": 0.1}, "3 values of the slot 'colour' cannot be divided"),
        ({"fraction": 0.2}, "'single' has one template"),
        ({"fraction": 0.3, "slots": ["thing"]}, "'other-2' needs more different values"),
    ],
)
def test_a_holdout_that_cannot_be_made_is_refused(held, words):
    templates = {**THREE, "single": ["x {n}"]} if "single" in words else THREE
    with pytest.raises(ParameterError, match=words):
        drawn(5, templates=templates, holdout=held, shares=None)


RECIPE = """name: letters
seed: 2
brief: {task: intent, target: label}
assets: {people: people.csv}
generate:
  - {use: text.templates, rows: 40, with: {grammar: g.yaml}}
  - {use: text.templates, rows: 40, with: {grammar: g.yaml}}
evaluate: {metrics: [coverage.population]}
deliver: {formats: [jsonl], to: out}
"""
GRAMMAR = """templates:
  a: ["Dear {p.name}, we write to {p.email}", "{p.email} is {p.name}"]
tables: {p: {asset: people, key: id}}
"""


def test_a_recipe_binds_texts_to_an_asset(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    (tmp_path / "g.yaml").write_text(GRAMMAR)
    people = PEOPLE.to_pylist()
    lines = [f"{row['id']},{row['name']},{row['email'].strip()}" for row in people]
    (tmp_path / "people.csv").write_text("id,name,email\n" + "\n".join(lines) + "\n")
    result = twinset.run("recipe.yaml", root=tmp_path / "catalogue")
    made = [json.loads(line) for line in (result.delivered / "synthetic.jsonl").open()]
    assert len({row["text"] for row in made}) == 80
    by_id = {row["id"]: row for row in people}
    for row in made:
        found = {s["label"]: s["value"] for s in row["spans"]}
        assert found["name"] == by_id[row["record_id"]]["name"]
        assert found["email"] == by_id[row["record_id"]]["email"].strip()
    # The card tells the asset's name and none of its rows.
    cards = (result.delivered / "cards.json").read_text()
    assert "people" in cards
    assert "Ann" not in cards
    kept = twinset.run("recipe.yaml", root=tmp_path / "catalogue")
    assert {step.state for step in kept.steps} == {"kept"}
    (tmp_path / "people.csv").write_text("id,name,email\n" + "\n".join(lines[:50]) + "\n")
    anew = twinset.run("recipe.yaml", root=tmp_path / "catalogue")
    assert anew.versions != result.versions

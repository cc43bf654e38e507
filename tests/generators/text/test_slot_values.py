"""Values of slots: lists with synonyms, numbers, dates, patterns; apart, unique, and marked exactly."""

import json
import re
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from twinset.core.errors import ParameterError
from twinset.core.seeding import rng_for
from twinset.generators.text._grammar.formats import (
    date_writer,
    mask_pattern,
    number_writer,
    read_pattern,
)
from twinset.generators.text._grammar.values import Permutation
from twinset.generators.text.templates import Templates

HARD = ["👩‍👩‍👧‍👦", "é", "שלום", "مرحبا بك", "👍🏽", "ﬁ", "क्षि", "𝒳", "\u200fab", "a b"]


def write(n, template, seed=0, unique_rows=False, **parameters):
    templates = template if isinstance(template, dict) else {"a": [template]}
    fitted = Templates(templates=templates, unique_rows=unique_rows, **parameters).fit(
        None, rng_for(seed, "fit")
    )
    return fitted.sample(n, rng_for(seed, "draw")).records.to_pylist()


def values(n, source, **parameters):
    return [row["text"] for row in write(n, "{x}", slots={"x": source}, **parameters)]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs", "Zs", "Cc"]), min_size=1).filter(
            lambda t: t == t.strip() and t.strip()
        ),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from(["{x}", "[{x} ]{y}", "({x}|{y#2}) and {x}", "<r>, {x|upper}", "[🎉]{y}{x}"]),
)
def test_every_span_is_its_value(found, template):
    slots = {"x": [*found, *HARD[:2]], "y": HARD}
    rules = {"r": {"label": "both", "any_of": [" {x} {y} ", "{y}"]}}
    for row in write(20, template, slots=slots, rules=rules, nested=True):
        assert row["spans"]
        for span in row["spans"]:
            value = row["text"][span["start"] : span["end"]]
            assert value == span["value"]
            assert value.strip() == value != ""


def test_nested_spans_stand_outer_first():
    rules = {"where": {"label": "address", "any_of": [" {no} {street} "]}}
    slots = {"no": {"number": [5, 5]}, "street": ["High St"]}
    row = write(1, "at <where>.", slots=slots, rules=rules, nested=True)[0]
    found = [(s["start"], s["end"], s["label"], s["value"]) for s in row["spans"]]
    assert row["text"] == "at 5 High St ."
    assert found == [
        (3, 12, "address", "5 High St"),
        (3, 4, "no", "5"),
        (5, 12, "street", "High St"),
    ]


def test_a_marked_rule_that_gives_nothing_marks_nothing():
    rules = {"r": {"label": "what", "any_of": ["", "tea"]}}
    rows = write(60, "so <r>!", slots={}, rules=rules)
    assert {tuple(s["value"] for s in row["spans"]) for row in rows} == {(), ("tea",)}


def test_synonyms_share_a_weight_and_tell_what_they_mean():
    source = [{"value": "New York", "synonyms": ["NYC", "Big Apple"], "weight": 3}, "Rome"]
    rows = write(2_000, "to {x}", slots={"x": source})
    texts = [row["text"][3:] for row in rows]
    counts = [texts.count(name) for name in ("New York", "NYC", "Big Apple", "Rome")]
    assert chisquare(counts).pvalue > 0.001
    for row, text in zip(rows, texts):
        meant = "New York" if text in ("NYC", "Big Apple") else None
        assert json.loads(row["span_facts"]) == [{"canonical": meant} if meant else {}]


def test_roles_and_groups_are_told_span_by_span():
    slots = {
        "start": {"like": "city", "label": "city", "role": "origin", "distinct_from": "goal"},
        "goal": {"like": "city", "label": "city", "role": "goal", "group": 1},
        "city": [{"value": "Rome", "synonyms": ["Roma"]}, "Oslo"],
    }
    for row in write(50, "from {start} to {goal}", slots=slots):
        assert [s["label"] for s in row["spans"]] == ["city", "city"]
        meant = [{"Roma": "Rome"}.get(s["value"], s["value"]) for s in row["spans"]]
        assert sorted(meant) == ["Oslo", "Rome"]
        first, second = json.loads(row["span_facts"])
        assert first["role"] == "origin"
        assert (second["role"], second["group"]) == ("goal", "1")


def test_what_cannot_differ_is_refused():
    slots = {"x": ["tea"], "y": {"values": ["tea"], "distinct_from": ["x"]}}
    with pytest.raises(ParameterError, match="too few values that differ"):
        write(1, "{x} {y}", slots=slots)


def test_a_slot_without_label_is_not_marked():
    slots = {"x": {"values": ["tea"], "label": None}, "y": {"values": ["cup"], "label": "vessel"}}
    assert [s["label"] for s in write(1, "{x} {y}", slots=slots)[0]["spans"]] == ["vessel"]


def test_unique_values_come_once_in_whatever_texts():
    slots = {"id": {"pattern": "[A-D]{2}[0-9]", "unique": True}}
    rows = write(60, {"a": ["x {id}"], "b": ["y {id} {id#2}"]}, slots=slots)
    found = [span["value"] for row in rows for span in row["spans"]]
    assert len(found) == len(set(found)) == 30 + 60
    with pytest.raises(
        ParameterError, match="unique and does not have enough values; got values for 80"
    ):
        write(81, {"a": ["x {id}"], "b": ["y {id} {id#2}"]}, slots=slots)


def test_numbers_lie_in_their_range_and_are_written_as_told():
    source = {"number": [0.5, 9_999.5], "decimals": 1, "format": "{:,.1f} €", "marks": ".,"}
    found = values(3_000, source)
    assert all(re.fullmatch(r"(\d\.)?\d{1,3},\d €", text) for text in found)
    numbers = [float(text[:-2].replace(".", "").replace(",", ".")) for text in found]
    assert 0.5 <= min(numbers) < 20
    assert 9_980 < max(numbers) <= 9_999.5
    assert set(values(200, {"number": [3, 5]})) == {"3", "4", "5"}
    logs = [float(text) for text in values(4_000, {"number": [1, 1_000_000], "scale": "log"})]
    decades = [sum(10**k <= number < 10 ** (k + 1) for number in logs) for k in range(6)]
    assert chisquare(decades).pvalue > 0.001


def test_numbers_and_dates_by_hand():
    assert number_writer("{:,.2f}", " ,", subject="x")(1234567.5) == "1\u202f234\u202f567,50"
    day = date(2025, 3, 1)
    written = {
        ("%-d. %B %Y", "de_DE"): "1. März 2025",
        ("%A %-d %B", "fr_FR"): "samedi 1 mars",
        ("%-d de %B", "es_ES"): "1 de marzo",
        ("%B %o", "en_GB"): "March 1st",
        ("%d/%m/%y %%", "xx_XX"): "01/03/25 %",
    }
    for (form, locale), text in written.items():
        assert date_writer(form, locale, subject="x")(day) == text


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"number": [5]}, "are not a range"),
        ({"number": [5, 4]}, "are not a range"),
        ({"number": [0.25, 1], "decimals": 1}, "are not a range"),
        ({"number": [0, float("inf")]}, "are not a range"),
        ({"number": [0, 5], "decimals": float("inf")}, "x.decimals.*a valid integer"),
        ({"number": [0, 5], "decimals": 2.5}, "x.decimals.*a valid integer"),
        ({"number": [0, 5], "scale": "log"}, "are not a range"),
        ({"number": [1, 5], "format": "{} {}"}, "a form that cannot be used"),
        ({"number": [1, 5], "format": "{:q}"}, "a form that cannot be used"),
        ({"number": [1, 5], "marks": "."}, "a form that cannot be used"),
        ({"date_range": ["2025-01-01", "2025-02-01"], "format": "%Q"}, "unknown form"),
        ({"date_range": ["2025-01-01"] * 2, "format": "%B", "locale": "ja_JP"}, "of months in 'ja'"),
        ({"pattern": "[A-"}, "cannot be read"),
        ({"pattern": "a*"}, "cannot be read"),
        ({"pattern": "a{3,1}"}, "cannot be read"),
        ({"pattern": "(a|b"}, "cannot be read"),
        ({"pattern": "(|a)"}, "describes the empty text"),
        ({"pattern": "(" * 3_000 + "a" + ")" * 3_000}, "cannot be read"),
        ({"faker": "name", "pool": 0}, "x.pool.*greater than or equal to 1"),
        ({"values": ["a"], "label": ""}, "x.label.*it is no text"),
        ({"values": ["a"], "distinct_from": 3}, "x.distinct_from.*it is no list"),
        ({"values": [{"value": "a", "weight": 0}]}, r"x.values\[0\].weight.*greater than 0"),
        ({"values": [{"value": "a", "wight": 1}]}, "wight.*no such setting"),
        ({"values": [{"value": "New York", "synonyms": "NYC"}]}, "synonyms.*it is no list"),
        ({"values": [{"value": "New York", "synonyms": None}]}, "synonyms.*it is no list"),
        ({"lexicon": "a.txt"}, "files are opened for recipes only"),
        ({"like": "x"}, "no values of its own"),
        ({"column": "a.b"}, "names no column"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_named(source, words):
    with pytest.raises(ParameterError, match=words):
        write(1, "{x}", slots={"x": source})


@pytest.mark.parametrize("weights", [(None, 2), ("5 kg", "7 kg"), (-1, 2), (float("nan"), 2)])
def test_weights_of_a_table_are_numbers(weights):
    rows = [{"n": "a", "weight": weights[0]}, {"n": "b", "weight": weights[1]}]
    with pytest.raises(ParameterError, match="column 'weight' of the table 'p' is no weight"):
        write(1, "{p.n}", tables={"p": rows})


def test_formats_of_a_table_are_settings():
    with pytest.raises(ParameterError, match=r"p\.formats\.n'.*it is no mapping"):
        write(1, "{p.n}", tables={"p": {"rows": [{"n": 1}], "formats": {"n": "{:,}"}}})


@pytest.mark.parametrize(
    ("pattern", "size", "example"),
    [
        (r"[A-C]\d", 30, "B7"),
        (r"(ab|c[de]){2}", 9, "cdab"),
        (r"x?[0-9]{1,2}", 220, "x05"),
        (r"[\]\-a]\.\w", 3 * 37, "-._"),
        (r"DE\d{20}", 10**20, "DE" + "7" * 20),
    ],
)
def test_patterns_are_counted_and_each_text_has_one_number(pattern, size, example):
    n_texts, text_at = read_pattern(pattern, subject="x")
    assert n_texts == size
    found = {text_at(i)[0] for i in range(min(size, 300))}
    assert len(found) == min(size, 300)
    drawn = values(300, {"pattern": pattern})
    assert all(re.fullmatch(pattern, text) for text in [*drawn, *found])
    assert re.fullmatch(pattern, example)


def test_all_digits_of_long_numbers_vary():
    drawn = values(2_000, {"pattern": r"\d{24}"})
    for place in range(24):
        assert chisquare([sum(t[place] == str(d) for t in drawn) for d in range(10)]).pvalue > 1e-5


def test_masks_are_those_of_faker():
    assert mask_pattern("?#%.", "AB]") == r"[AB\]][0-9][1-9]\."
    found = values(300, {"faker": "bothify", "text": "??-##%", "letters": "XY"})
    assert all(re.fullmatch(r"[XY]{2}-\d\d[1-9]", text) for text in found)
    optional = values(300, {"mask": "%!"})
    assert {len(text) for text in optional} == {1, 2}


@given(st.integers(1, 400), st.integers(0, 2**31))
def test_a_shuffle_holds_every_number_once(size, seed):
    shuffle = Permutation.from_seed(size, seed, "x")
    assert sorted(shuffle.at(i) for i in range(size)) == list(range(size))


def test_a_pool_of_faker_is_filled_once_and_is_the_locales():
    from faker import Faker

    Faker.seed(3)
    german = set(values(2_000, {"faker": "name"}, locale="de_DE"))
    assert len(german) > 1_000
    small = set(values(500, {"faker": "city", "pool": 40}, locale="de_DE"))
    assert len(small) <= 40
    assert values(50, {"faker": "name"}, seed=1) == values(50, {"faker": "name"}, seed=1)
    assert values(50, {"faker": "name"}, seed=1) != values(50, {"faker": "name"}, seed=2)

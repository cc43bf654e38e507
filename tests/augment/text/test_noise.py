"""Noise: rates that mean what they say, spans that move along, nothing split and nothing emptied."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinset.augment.text._annotated import codes_of
from twinset.augment.text._graphemes import cluster_starts
from twinset.augment.text.noise import NOISES, Noise
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import SPAN, Field, Schema
from twinset.core.errors import DataError, ParameterError, SchemaError
from twinset.core.seeding import rng_for

OFF = dict.fromkeys(NOISES, 0.0)
ALL = dict.fromkeys(NOISES, 0.3)


def texts_of(texts: Sequence[str | None], spans: Sequence[Any] | None = None) -> Dataset:
    columns = {"text": pa.array(texts, pa.string())}
    if spans is not None:
        columns["spans"] = pa.array(spans, pa.list_(SPAN))
    fields = [Field(name=name, kind="text" if name == "text" else "spans") for name in columns]
    return Dataset.from_arrow(pa.table(columns), Schema(tuple(fields)))


def span(text: str, part: str, label: str = "x", value: str | None = "=") -> dict[str, Any]:
    start = text.index(part)
    return {"start": start, "end": start + len(part), "label": label,
            "value": part if value == "=" else value}  # fmt: skip


def noisy(data: Dataset, seed: int = 0, **options: Any) -> list[dict[str, Any]]:
    noise = Noise(**OFF | options)
    made = noise.apply(data, noise.draw(data, rng_for(seed, "noise")))
    return list(made.records.to_pylist())


ONE_UNIT = [
    ("synonym", "it is a cheap one", {"synonyms": {"cheap": ["low-cost", "inexpensive"]}}),
    ("contraction", "this does not work", {}),
    ("contraction", "this doesn't work", {}),
    ("contraction", "ich nehme es für das kind", {"language": "de"}),
    ("abbreviation", "send it as soon as possible", {}),
    ("abbreviation", "ce soir s'il vous plaît", {"language": "fr"}),
    ("homophone", "the cat and their dog", {}),
    ("homophone", "no lo hay", {"language": "es"}),
    ("filler", "two words", {}),
    ("emoji", "two words", {}),
    ("case", "Word 12", {}),
    ("diacritics", "a naïve one", {}),
    ("diacritics", "a nai\u0308ve one", {}),
    ("punctuation", "this, 3.5 e.g", {}),
    ("whitespace", "two words", {}),
    ("typo", "ж e ж", {}),
    ("swap", "abc", {}),
    ("swap", "שלם", {}),
    ("drop", "ab", {}),
    ("double", "ab", {}),
    ("ocr", "X rn X", {}),
    ("ocr", "X 0 X", {}),
]


@pytest.mark.parametrize("rate", [0.2, 1.0])
def test_the_share_of_touched_units_is_the_rate(rate: float) -> None:
    for name, text, options in ONE_UNIT:
        made = noisy(texts_of([text] * 2000), **{name: rate}, **options)
        changed = sum(row["text"] != text for row in made)
        # "abc" and its like hold one pair only where pairs are counted from the second letter on.
        share = rate / 2 if name == "swap" else rate
        assert changed / 2000 == pytest.approx(share, abs=4 * (share * (1 - share) / 2000) ** 0.5)


@pytest.mark.parametrize("rate", [0.05, 0.5])
def test_letters_are_touched_each_by_itself(rate: float) -> None:
    text = "the quick brown fox jumps over the lazy dog"
    n = 500 * (len(text) - text.count(" "))
    inner = n - 500 * 9
    margin = 4 * (rate * (1 - rate) / inner) ** 0.5
    data = texts_of([text] * 500)
    typos = [row["text"] for row in noisy(data, typo=rate)]
    wrong = sum(a != b for made in typos for a, b in zip(made, text))
    assert wrong / n == pytest.approx(rate, abs=margin)
    for name, sign in (("drop", -1), ("double", 1)):
        grown = sum(len(row["text"]) - len(text) for row in noisy(data, **{name: rate}))
        assert sign * grown / inner == pytest.approx(rate, abs=margin)


def test_what_comes_by_hand() -> None:
    for name, text, ways, options in [
        ("contraction", "I am here", {"I'm here"}, {}),
        ("contraction", "DO NOT go", {"DON'T go"}, {}),
        ("contraction", "Don’t go", {"Do not go"}, {}),
        ("abbreviation", "Tomorrow.", {"Tmrw."}, {}),
        ("abbreviation", "the number.", {"the no."}, {}),
        ("abbreviation", "mail you@your.com or pre-you", {"mail you@your.com or pre-you"}, {}),
        ("homophone", "2you re-write", {"2you re-write"}, {}),
        ("case", "ABC", {"abc", "Abc"}, {}),
        ("case", "abc", {"ABC", "Abc"}, {}),
        ("case", "I", {"i"}, {}),
        ("diacritics", "Ångström Ελλάς", {"Angstrom Ελλας"}, {}),
        ("diacritics", "Cafe\u0301 й שָׁ क्षि", {"Cafe й שָׁ क्षि"}, {}),
        ("punctuation", "Hi!", {"Hi", "Hi!!"}, {}),
        ("punctuation", "(3,500.5) a@b.de", {"(3,500.5 a@b.de"}, {}),
        ("typo", "q", {"w", "a"}, {}),
        ("typo", "Q", {"Z", "A", "S", "W"}, {"keyboard": "azerty"}),
        ("typo", "y", {"a", "s", "x"}, {"keyboard": "qwertz"}),
        ("swap", "abcd", {"acbd", "abdc"}, {}),
        ("drop", "abc", {"a"}, {}),
        ("double", "ab", {"abb"}, {}),
        ("ocr", "burn", {"6nm", "hnm", "6iim", "hiim"}, {}),
        ("whitespace", "a b", {"ab", "a  b"}, {}),
    ]:
        made = {row["text"] for row in noisy(texts_of([text] * 300), **{name: 1.0}, **options)}
        assert made == ways


MARKED = "Ring Zoë Müller at 10 on 👩‍👧 street, please!"


@pytest.mark.parametrize("protect", ["entities", "values", "none"])
def test_what_is_protected_stays(protect: str) -> None:
    data = texts_of(
        [MARKED] * 300, [[span(MARKED, "Zoë Müller"), span(MARKED, "👩‍👧 street")]] * 300
    )
    made = noisy(data, **ALL | {"protect": protect})
    kept = {part for row in made for part in (row["spans"][0]["value"],)}
    assert all(
        row["text"][s["start"] : s["end"]] == s["value"] for row in made for s in row["spans"]
    )
    plain = {"".join(part.casefold().split()).replace("ë", "e").replace("ü", "u") for part in kept}
    if protect == "entities":
        assert kept == {"Zoë Müller"}
    elif protect == "values":
        assert len(kept) > 5
        assert plain == {"zoemuller"}
    else:
        assert len(plain) > 50


def test_values_that_are_not_the_text_stay() -> None:
    text = "Ring zoe now"
    data = texts_of([text], [[span(text, "zoe", value="Zoë"), span(text, "now", value=None)]])
    (row,) = noisy(data, case=1.0, protect="none")
    assert [s["value"] for s in row["spans"]] == ["Zoë", None]
    assert [row["text"][s["start"] : s["end"]] for s in row["spans"]] != ["zoe", "now"]


CHARACTERS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=4),
    st.sampled_from(
        [
            "e\u0301a",
            "👩‍👧‍👦",
            "🇩🇪",
            "👍🏽",
            "שָׁלוֹם",
            "مرحبا",
            " ",
            "Zoë",
            "क्षि",
            "you are ",
            "don't ",
            "rn,",
        ]
    ),
)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(CHARACTERS, max_size=10),
    st.data(),
    st.sampled_from(["entities", "values", "none"]),
    st.sampled_from([0.3, 1.0]),
)
def test_spans_hold_in_any_text(
    pieces: list[str], data: st.DataObject, protect: str, rate: float
) -> None:
    text = "".join(pieces)
    marks = [(a, b) for a in range(len(text)) for b in range(a + 1, len(text) + 1)]
    chosen = data.draw(st.lists(st.sampled_from(marks), max_size=4)) if marks else []
    spans = [{"start": a, "end": b, "label": "x", "value": text[a:b]} for a, b in chosen]
    (row,) = noisy(texts_of([text], [spans]), **dict.fromkeys(NOISES, rate), protect=protect)
    assert len(row["spans"]) == len(spans)
    for before, after in zip(spans, row["spans"]):
        assert row["text"][after["start"] : after["end"]] == after["value"] != ""
        assert protect != "entities" or after["value"] == before["value"]


def test_clusters_are_never_split() -> None:
    parts = ["👩‍👧‍👦", "e\u0301\u0323", "🇩🇪", "👍🏽", "שָׁ", "क्षि", "각", "🏴\U000e0067\U000e007f"]
    text = " ".join(f"a{part}b" for part in parts)
    made = noisy(texts_of([text] * 200), **ALL | {"protect": "none", "emoji": 0.0})
    whole = {*parts, "e"}  # the accented letter may lose its accents together
    for row in made:
        at = np.flatnonzero(cluster_starts(codes_of(row["text"])))
        clusters = [row["text"][a:b] for a, b in pairwise(at)]
        strange = {c.lower() for c in clusters if len(c) > 1 or not c.isascii()}
        assert strange <= whole


def test_a_row_depends_on_its_seed_alone() -> None:
    data = texts_of([MARKED, "do not worry, please", "x"] * 20, [[], None, []] * 20)
    noise = Noise(**ALL)
    params = noise.draw(data, rng_for(1, "noise"))
    whole = noise.apply(data, params).records.to_pylist()
    parts = [
        noise.apply(data.slice(k, 7), {"seed": params["seed"][k : k + 7]}).records.to_pylist()
        for k in range(0, 60, 7)
    ]
    assert [row for part in parts for row in part] == whole
    assert len({row["text"] for row in whole}) > 30


def test_a_row_can_be_made_again_from_its_record() -> None:
    data = texts_of([MARKED] * 3).with_reserved(ids=["a", "b", "c"])
    noise = Noise(**ALL | {"synonyms": {"ring": ["call"]}})
    params = noise.draw(data, rng_for(2, "noise"))
    made = noise.apply(data, params)
    again = Noise.replay(noise.record(params["seed"][1]), data.slice(1, 1))
    assert again.records.equals(made.records.slice(1, 1).combine_chunks())
    assert made.records.column("_parents").to_pylist() == [["a"], ["b"], ["c"]]
    assert made.card.origin == "augmented"


def test_missing_and_empty_texts_stay() -> None:
    made = noisy(texts_of([None, "", "x y"], [None, [], None]), **dict.fromkeys(NOISES, 1.0))
    assert made[0] == {"text": None, "spans": None}
    assert made[1] == {"text": "", "spans": []}
    assert made[2]["spans"] is None


def test_nothing_changes_at_zero() -> None:
    data = texts_of([MARKED], [[span(MARKED, "street")]])
    assert noisy(data) == data.records.to_pylist()


def test_settings_are_checked() -> None:
    for options, words in [
        ({"typo": 1.2}, "'typo' is out of its range; got 1.2; allowed: a number >= 0 and <= 1"),
        ({"case": float("nan")}, "'case' is out of its range"),
        ({"keyboard": "qwert"}, "'keyboard' is out of its range.*did you mean 'qwertz'"),
        ({"language": "it"}, "'language' is out of its range; got 'it'; allowed: en, de, fr, es"),
        ({"protect": "entity"}, "'protect' is out of its range.*did you mean 'entities'"),
        ({"synonyms": {"Big": ["large"]}}, "lowercase"),
        ({"synonyms": {"big": "large"}}, "no list of other words"),
        ({"synonyms": {"big": []}}, "no list of other words"),
        ({"synonyms": {"big": ["big"]}}, "no list of other words"),
    ]:
        with pytest.raises(ParameterError, match=words):
            Noise(**options)


def test_bad_sets_are_refused_in_one_sentence() -> None:
    noise = Noise()
    for spans, words in (
        (
            [[{"start": 0, "end": 4, "label": "x", "value": "abc"}]],
            "row 0 does not lie in its text",
        ),
        ([[{"start": 1, "end": 1, "label": "x", "value": ""}]], "row 0 does not lie in its text"),
        ([[{"start": None, "end": 1, "label": "x", "value": "a"}]], "row 0 has no 'start'"),
        ([[None]], "row 0 has no 'start'"),
    ):
        with pytest.raises(DataError, match=words):
            noise.apply(texts_of(["abc"], spans), {"seed": np.array([1])})
    with pytest.raises(SchemaError, match="needs a column of texts"):
        noise.apply(Dataset.from_arrow(pa.table({"n": [1]})), {"seed": np.array([1])})

"""Texts of one class are put together at like seams, and no near copy is made."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from twinset.augment.text.mix import Mix, WordIndex
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import SPAN, Field, Schema
from twinset.core.errors import FewRowsWarning, ParameterError
from twinset.core.seeding import rng_for

SCHEMA = Schema(
    (
        Field(name="text", kind="text"),
        Field(name="about", kind="category", role="target"),
        Field(name="spans", kind="spans"),
    )
)


def said(*rows: tuple[str, str, list[tuple[str, str]] | None]) -> Dataset:
    spans: list[Any] = []
    for text, _, parts in rows:
        spans.append(
            None
            if parts is None
            else [
                {"start": (at := text.index(p)), "end": at + len(p), "label": label, "value": p}
                for p, label in parts
            ]
        )
    table = {
        "text": [row[0] for row in rows],
        "about": [row[1] for row in rows],
        "spans": pa.array(spans, pa.list_(SPAN)),
    }
    data = Dataset.from_arrow(pa.table(table), SCHEMA)
    return data.with_reserved(ids=[f"r{k}" for k in range(len(rows))])


def mixed(data: Dataset, seed: int = 0, **settings: Any) -> list[dict[str, Any]]:
    mix = Mix(**settings)
    made = mix.apply(data, mix.draw(data, rng_for(seed, "mix"))).records.to_pylist()
    for row in made:
        for span in row["spans"] or []:
            assert row["text"][span["start"] : span["end"]] == span["value"] != ""
    return list(made)


PLAY = (
    "Play Yesterday 🎧 by the Beatles",
    "play",
    [("Yesterday", "song"), ("the Beatles", "band")],
)
HEAR = ("I want to hear Africa at once", "play", [("Africa", "song")])


def test_two_texts_meet_at_a_span_of_one_label() -> None:
    made = {tuple(row["text"] for row in mixed(said(PLAY, HEAR), seed)) for seed in range(30)}
    before = ("Play Africa at once", "I want to hear Yesterday 🎧 by the Beatles")
    behind = ("Play Yesterday at once", "I want to hear Africa 🎧 by the Beatles")
    assert made == {
        before,
        behind,
        (before[0], behind[1]),
        (behind[0], before[1]),
    }


def test_spans_and_parents_come_from_both() -> None:
    rows = [row for seed in range(30) for row in mixed(said(PLAY, HEAR), seed)]
    row = next(row for row in rows if row["text"] == "I want to hear Africa 🎧 by the Beatles")
    assert [(span["label"], span["start"]) for span in row["spans"]] == [("song", 15), ("band", 27)]
    assert row["_parents"] == ["r1", "r0"]
    assert row["about"] == "play"


def test_clauses_are_seams_and_spans_are_never_cut() -> None:
    data = said(
        ("Hello there, I lost my card.", "card", []),
        ("Good day, my card, the blue one, is gone.", "card", [("my card, the blue one", "what")]),
    )
    made = {row["text"] for seed in range(40) for row in mixed(data, seed)}
    assert made == {
        "Hello there, my card, the blue one, is gone.",
        "Hello there, is gone.",
        "Good day, I lost my card.",
        "Good day, my card, the blue one, I lost my card.",
    }


def test_only_texts_of_one_class_meet() -> None:
    rows = [
        (f"one{k} two{k}, {about} three{k} four{k}", about, [])
        for k in range(20)
        for about in ("a", "b")
    ]
    for row in mixed(said(*rows)):
        assert row["about"] in row["text"].split()
        assert len(row["_parents"]) == 2


def test_texts_without_spans_known_meet_none_with_spans() -> None:
    rows = [(f"x{k} y{k}, z{k} w{k}", "a", None if k % 2 else []) for k in range(20)]
    for k, row in enumerate(mixed(said(*rows))):
        assert (row["spans"] is None) == bool(k % 2)
        assert int(row["_parents"][1][1:]) % 2 == k % 2


def test_near_copies_are_refused_and_reported_of() -> None:
    near = said(
        ("alpha beta gamma delta, one", "a", []),
        ("alpha beta gamma delta, two", "a", []),
    )
    with pytest.warns(FewRowsWarning, match="2 of 2 texts found no partner"):
        made = mixed(near)
    assert [row["text"] for row in made] == near.records.column("text").to_pylist()
    assert [row["_parents"] for row in made] == [["r0"], ["r1"]]


@pytest.mark.parametrize("most", [0.5, 0.8])
def test_no_made_text_has_more_words_of_a_text_than_allowed(most: float) -> None:
    rows = [(f"a{k} b{k} c{k}, d{k % 7} e{k} f{k % 5}, g{k}", "a", []) for k in range(60)]
    data = said(*rows)
    texts = {row[0] for row in rows}
    made = [row["text"] for row in mixed(data, max_overlap=most) if row["text"] not in texts]
    sources = [set(text.replace(",", "").split()) for text in texts]
    for text in made:
        words = set(text.replace(",", "").split())
        assert max(len(words & s) / max(len(words), len(s)) for s in sources) <= most
    assert len(set(made)) == len(made)
    assert len(made) > 40


def test_values_can_be_swapped_at_once() -> None:
    rows = [(f"go{k} to T{k}ton by{k} day", "a", [(f"T{k}ton", "town")]) for k in range(40)]
    made = mixed(said(*rows), swap_rate=1.0)
    foreign = [row for row in made if len(row["_parents"]) == 3]
    assert len(foreign) > 30
    for row in foreign:
        numbers = {f"r{''.join(filter(str.isdigit, word))}" for word in row["text"].split()[:4]}
        # The value's own source is named beside the two texts whose words stand round it.
        assert f"r{row['spans'][0]['value'][1:-3]}" in row["_parents"]
        assert numbers - {"r"} <= set(row["_parents"])


def test_the_share_of_common_words_by_hand() -> None:
    index = WordIndex.from_texts(["Rain in Rome", "snow on the hills", ""])
    assert index.nearest_share("rain in rome!") == 1.0
    assert index.nearest_share("Snow, rain in May") == 0.5
    assert index.nearest_share("sun") == index.nearest_share("") == 0.0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"max_overlap": 1.2},
            "'max_overlap' is out of its range; got 1.2; allowed: a number >= 0 and <= 1",
        ),
        ({"swap_rate": -0.1}, "'swap_rate' is out of its range"),
        ({"tries": 0}, "'tries' is out of its range; got 0; allowed: an integer >= 1"),
    ],
)
def test_settings_are_checked(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        Mix(**settings)

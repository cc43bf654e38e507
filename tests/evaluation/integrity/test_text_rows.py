"""Texts with planted faults: each is found in the rows that have it, and fresh real texts have none."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.contracts import Comparison, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field, Schema
from twinset.core.integrity import FaultKind, IntegrityFault, IntegrityFaults
from twinset.core.seeding import rng_for
from twinset.evaluation.integrity.text_rows import TextRows

SPANS = pa.list_(pa.struct([("start", pa.int32()), ("end", pa.int32()), ("label", pa.string()),
                            ("value", pa.string())]))  # fmt: skip
SCHEMA = Schema((Field(name="note", kind="text"), Field(name="intent", kind="category"),
                 Field(name="spans", kind="spans")))  # fmt: skip
N = 600
DISHES = ["soup", "pasta", "bread", "salad", "curry", "toast", "rice", "stew", "pie", "fish"]
PLACES = ["the old harbour", "my kitchen", "a quiet street", "our garden", "the small cafe"]
FOREIGN = [
    "Ich möchte bitte",
    "Wir gehen nicht",
    "Das Wetter war sehr",
    "Könnten Sie mir",
    "Er hat gestern",
]
FOREIGN_ENDS = [
    "einen Tisch reservieren",
    "über die Brücke",
    "ziemlich schlecht",
    "noch etwas Brot bringen",
]
Row = tuple[str, str, list[dict]]


def write_row(rng: np.random.Generator) -> Row:
    dish, place = rng.choice(DISHES), rng.choice(PLACES)
    when = f"{rng.integers(1, 13)} o'clock"
    phone = f"{rng.integers(200, 999)}-{rng.integers(1000, 9999)}"
    if rng.random() < 0.5:
        start, text = f"Please cook some {dish} in {place}", f" at {when}, and call {phone} then."
        intent = "cook"
    else:
        start, text = (
            f"Where can we buy {dish} near {place}",
            f" until {when}? Ring {phone} please.",
        )
        intent = "buy"
    place_at = start.index(place)
    span = {"start": place_at, "end": place_at + len(place), "label": "place", "value": place}
    return start + text, intent, [span]


def write_foreign(text: str) -> str:
    place = sum(map(ord, text))
    return f"{FOREIGN[place % 5]} {FOREIGN_ENDS[place // 5 % 4]}."


def rows(seed: int) -> list[Row]:
    rng = rng_for(seed, "texts")
    return [write_row(rng) for _ in range(N)]


def as_dataset(own: list[Row]) -> Dataset:
    texts, intents, spans = (list(part) for part in zip(*own))
    columns = {"note": pa.array(texts), "intent": intents, "spans": pa.array(spans, SPANS)}
    return Dataset.from_arrow(pa.table(columns), SCHEMA)


def find_faults(own: list[Row]) -> tuple[IntegrityFault, ...]:
    real = as_dataset(rows(1)), as_dataset(rows(2))
    comparison = Comparison(real[0], as_dataset(own), real[1], target="intent")
    found = TextRows().compute(comparison, rng_for(0, "metric")).findings[0]
    assert isinstance(found, IntegrityFaults)
    return found.faults


def plant(change: Callable[[Row], Row], n: int = 24) -> list[Row]:
    own = rows(3)
    return [*map(change, own[:n]), *own[n:]]


def reword(change: Callable[[str], str]) -> Callable[[Row], Row]:
    return lambda row: (change(row[0]), row[1], [])


def move(first: int, last: int) -> Callable[[Row], Row]:
    def change(row: Row) -> Row:
        span = row[2][0]
        start, end = span["start"] + first, span["end"] + last
        return row[0], row[1], [{**span, "start": start, "end": end, "value": row[0][start:end]}]

    return change


def test_fresh_real_texts_have_no_fault():
    assert find_faults(rows(3)) == ()


@pytest.mark.parametrize(
    ("change", "kind", "detail"),
    [
        (lambda t: t[:40], FaultKind.CUT_TEXT, None),
        (lambda t: t.replace(" ", "  ", 1), FaultKind.TEXT_FORM, "doubled blanks"),
        (lambda t: t[:9] + "\u200b" + t[9:], FaultKind.TEXT_FORM, "control characters"),
        (lambda t: t.replace("e", "é", 1).encode().decode("latin-1"), FaultKind.TEXT_FORM, None),
        (lambda t: t.replace(" ", " &amp; ", 1), FaultKind.TEXT_FORM, "entities or tags"),
        (lambda t: t.replace("some", "{dish}").replace("we", "[NAME]"), FaultKind.TEXT_FORM, "placeholder"),
        (lambda t: t.replace(" in ", " in in ").replace(" we ", " we we "), FaultKind.TEXT_FORM, None),
        (lambda t: "", FaultKind.TEXT_FORM, "empty"),
        (str.upper, FaultKind.TEXT_FORM, "only capitals"),
        (write_foreign, FaultKind.UNLIKELY_TEXT, None),
        (lambda t: t.replace("o", "\u043e"), FaultKind.TEXT_FORM, "letters of two alphabets in a word"),
    ],
)  # fmt: skip
def test_texts_that_real_ones_rule_out_are_found(change, kind, detail):
    faults = [one for one in find_faults(plant(reword(change))) if one.kind == kind]
    assert faults
    assert detail is None or detail in {one.detail for one in faults}
    assert max(one.n_synthetic for one in faults) >= 20


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        (move(2, 2), "an edge of a span within a word"),
        (move(-1, 0), "a blank at an edge of a span"),
        (lambda row: (row[0], row[1], []), "no span"),
        (lambda row: (row[0], row[1], [{**row[2][0], "end": 900}]), "a span outside of its text"),
        (lambda row: (row[0], row[1], [{**row[2][0], "label": "plase"}]), "an unknown label of a span"),
        (lambda row: (row[0], row[1], row[2] * 2), "spans that overlap"),
    ],
)  # fmt: skip
def test_spans_that_real_ones_rule_out_are_found(change, detail):
    faults = {one.detail: one for one in find_faults(plant(change))}
    assert faults[detail].n_synthetic >= 20
    assert faults[detail].n_real == 0
    assert set(faults[detail].rows) <= set(range(1, 25))


def test_copies_within_the_set_and_one_wording_are_found():
    own = rows(3)
    twice = [*own[:30], *own[:30], *own[60:]]
    assert FaultKind.REPEATED_TEXT in {one.kind for one in find_faults(twice)}
    wording = [(f"Thank you {dish}, your order {i} left the shop.", "buy", [])
               for i, dish in enumerate(DISHES * 2)]  # fmt: skip
    faults = find_faults([*wording, *own[20:]])
    assert {one.n_synthetic for one in faults if one.kind == FaultKind.REPEATED_PHRASE} == {20}


def test_numbers_of_single_real_texts_in_other_sentences_are_found():
    own, train = rows(3), rows(1)
    numbers = [text.split("call ")[-1].split("Ring ")[-1].split(" ")[0] for text, _, _ in train]
    copied = [(f"{text[:25]} {number}.", intent, [])
              for (text, intent, _), number in zip(own[:20], numbers)]  # fmt: skip
    details = {one.detail for one in find_faults([*copied, *own[20:]])}
    assert "a number of one real text" in details


def test_labels_that_the_words_contradict_are_found():
    def swap(row: Row) -> Row:
        return row[0], "buy" if row[1] == "cook" else "cook", row[2]

    faults = [one for one in find_faults(plant(swap)) if one.kind == FaultKind.CONTRADICTED_LABEL]
    assert faults[0].columns == ("intent",)
    assert set(faults[0].rows) <= set(range(1, 25))


def test_no_text_of_one_person_is_in_a_finding():
    faults = find_faults(plant(reword(str.upper)))
    assert not any(digit in one.detail for one in faults for digit in "0123456789")


def test_sets_without_labels_and_one_empty_column_are_measured():
    own = [replace(as_dataset(rows(i)), schema=SCHEMA).select(["note"]) for i in (1, 2)]
    empty = Dataset.from_arrow(pa.table({"note": pa.nulls(50, pa.string())}), own[0].schema)
    found = TextRows().compute(Comparison(own[0], empty, own[1]), rng_for(0, "metric"))
    assert found.value == 1.0


def test_placeholders_of_tables_are_not_measured():
    real = as_dataset(rows(1)).select(["note"])
    words = Dataset.from_arrow(
        pa.table({"note": ["Lorem ipsum dolor.", "Sit amet."] * 40}), real.schema
    )
    with pytest.raises(NotMeasurable):
        TextRows().compute(Comparison(real, words, real), rng_for(0, "metric"))

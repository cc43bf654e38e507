"""Entities in made-up sentences: tokens, tags, the tagger, and both metrics on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinset.core.contracts import NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field, Schema
from twinset.core.errors import ParameterError
from twinset.core.model_findings import ExchangeRate, ModelComparison, WorstLabel
from twinset.core.seeding import rng_for
from twinset.evaluation.utility._entities import (
    N_BUCKETS,
    TokenArrays,
    TokenizedTexts,
    fit_tagger,
    predict_tags,
    score_tags,
)
from twinset.evaluation.utility.entity_exchange_rate import EntityExchangeRate
from twinset.evaluation.utility.entity_labelling import EntityLabelling

SCHEMA = Schema((Field(name="said", kind="text"), Field(name="marks", kind="spans")))
CITIES = ["Ulm", "New York", "São Paulo", "Köln", "Bonn am Rhein", "Rom"]
NAMES = ["Ann", "Bob", "Carla Bruni", "Dan", "Eve"]
FRAMES = [("fly to ", " with ", " now"), ("is ", " far, ", "?"), ("tell ", " that ", " waits")]


def sentences(n: int, seed: int, *, shift: int = 0, drop: str = "") -> Dataset:
    """Draw sentences that name a city and a person, in three frames."""
    rng, rows = rng_for(seed, "sentences"), []
    for _ in range(n):
        frame = FRAMES[rng.integers(len(FRAMES))]
        words = [("city", CITIES[rng.integers(6)]), ("person", NAMES[rng.integers(5)])]
        if frame[0] == "tell ":
            words.reverse()
        text, marks = "", []
        for before, (label, word) in zip(frame, words):
            text += before
            span = {"start": len(text) + shift, "end": len(text) + len(word) + shift}
            marks.append({**span, "label": label, "value": None})
            text += word
        kept = [mark for mark in marks if mark["label"] != drop]
        rows.append({"said": text + frame[2], "marks": kept})
    return Dataset.from_arrow(pa.Table.from_pylist(rows), SCHEMA)


def test_tokens_are_words_and_marks_with_their_places() -> None:
    found = TokenArrays.from_texts(["Ärger, 3 Tage!", "", "ok"])
    assert [(int(t), int(a), int(b)) for t, a, b in zip(found.text, found.start, found.end)] == [
        (0, 0, 5), (0, 5, 6), (0, 7, 8), (0, 9, 13), (0, 13, 14), (2, 0, 2),
    ]  # fmt: skip
    assert found.n_texts == 3
    assert found.features.min() >= 0
    assert found.features.max() < N_BUCKETS


def test_neighbours_of_another_text_are_none_of_a_token() -> None:
    alone, beside = (
        TokenArrays.from_texts(["play"]).features,
        TokenArrays.from_texts(["play", "jazz now"]).features,
    )
    assert beside[0].tolist() == alone[0].tolist()
    # The same word elsewhere in a sentence differs in its context only.
    first, last = TokenArrays.from_texts(["play it", "now play"]).features[[0, 3]]
    assert 3 <= (first == last).sum() < len(first)


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.sampled_from("ab")), max_size=4, unique_by=lambda x: x[0]
    )
)
def test_spans_of_whole_tokens_come_back(chosen: Sequence[tuple[int, str]]) -> None:
    text, starts = "one two three four five", [0, 4, 8, 14, 19]
    spans = [
        {"start": starts[i], "end": starts[i] + len(text[starts[i] :].split()[0]), "label": label}
        for i, label in chosen
    ]
    tokens = TokenArrays.from_texts([text])
    tags = tokens.tags([spans], {"a": 0, "b": 1})
    found = tokens.entities(tags, ["a", "b"])
    assert found == sorted((0, s["start"], s["end"], s["label"]) for s in spans)


def test_a_token_that_lies_half_in_a_span_is_not_in_it() -> None:
    tokens = TokenArrays.from_texts(["ab cdef"])
    assert tokens.tags([[{"start": 0, "end": 4, "label": "a"}]], {"a": 0}).tolist() == [1, 0]
    assert tokens.tags([[{"start": 0, "end": 6, "label": "a"}]], {"a": 0}).tolist() == [1, 2]
    assert tokens.tags([[{"start": 0, "end": 6, "label": "z"}]], {"a": 0}).tolist() == [0, 0]


def test_two_entities_side_by_side_stay_two() -> None:
    tokens = TokenArrays.from_texts(["Ann Bob"])
    assert len(tokens.entities(np.array([1, 1]), ["person"])) == 2
    assert len(tokens.entities(np.array([1, 2]), ["person"])) == 1
    assert tokens.entities(np.array([1, 4]), ["a", "b"]) == [(0, 0, 3, "a"), (0, 4, 7, "b")]


def test_f1_counts_exact_spans_with_the_right_label() -> None:
    rows = sentences(3, 1)
    held = TokenizedTexts.from_dataset(rows, ("city", "person"))
    perfect = score_tags(held.tags, held)
    assert perfect.f1(np.ones(3))[0] == 1.0
    assert perfect.wrong_tokens.tolist() == [0, 0, 0]
    nothing = score_tags(np.zeros_like(held.tags), held)
    assert nothing.f1(np.ones(3))[0] == 0.0
    # One text of three right: 2 right, 2 told, 6 true.
    one = np.where(held.tokens.text == 0, held.tags, 0)
    assert score_tags(one, held).f1(np.ones(3))[0] == pytest.approx(2 * 2 / (2 + 6))
    assert score_tags(one, held).f1(np.array([1.0, 0, 0]))[0] == 1.0


def test_the_tagger_learns_what_is_reported_apart_and_repeats_itself() -> None:
    rows = TokenizedTexts.from_dataset(sentences(120, 1), ("city", "person"))
    weights = [
        fit_tagger(rows.tokens.features, rows.tags, rows.n_tags, rng_for(1, "fit")) for _ in "ab"
    ]
    assert np.array_equal(*weights)
    assert (predict_tags(weights[0], rows.tokens.features) == rows.tags).mean() > 0.99


def test_fresh_texts_serve_as_well_and_spoilt_ones_do_not(compare, rng) -> None:
    train, holdout = sentences(150, 1), sentences(150, 2)

    def measured(made: Dataset) -> Any:
        return EntityLabelling(replicates=20).compute(compare(made, holdout, train), rng_for(1))

    good = measured(sentences(150, 3))
    assert good.value > 0.95
    assert good.finding(ModelComparison).trained_on("synthetic").effect != "hurts"
    assert measured(sentences(150, 3, shift=3)).value < 0.5
    lost = measured(sentences(150, 3, drop="person"))
    assert next(iter(lost.facts["labels"])) == "person"
    assert lost.facts["labels"]["person"]["synthetic"] == 0.0
    assert (lost.finding(WorstLabel).label, lost.finding(WorstLabel).synthetic) == ("person", 0.0)
    assert lost.finding(ModelComparison).trained_on("synthetic").effect == "hurts"


def test_spoilt_texts_are_worth_less_than_nothing(compare) -> None:
    train, holdout = sentences(160, 1), sentences(200, 2)
    made = sentences(160, 3, shift=3)
    found = EntityExchangeRate(replicates=20).compute(compare(made, holdout, train), rng_for(1))
    assert found.value < -500
    assert found.facts["best_rows"] == 0
    assert found.finding(ExchangeRate).effect == "hurts"
    assert [entry["rows"] for entry in found.facts["sweep"]] == [0, 40, 80, 160]


def test_sets_without_spans_or_with_few_are_not_measurable(compare, rng) -> None:
    few = sentences(8, 1)
    with pytest.raises(NotMeasurable, match="at least 20 spans"):
        EntityLabelling().compute(compare(few, few), rng)
    plain = few.select(["said"])
    with pytest.raises(NotMeasurable, match="a column of texts and one of the spans"):
        EntityLabelling().compute(compare(plain, plain), rng)


def test_settings_out_of_range_are_refused() -> None:
    for settings in ({"replicates": 1}, {"max_rows": 0}, {"margin": -1.0}):
        with pytest.raises(ParameterError):
            EntityLabelling(**settings)
    with pytest.raises(ParameterError):
        EntityExchangeRate(replicates=5)


def test_f1_is_that_of_seqeval() -> None:
    """The number is f1_score of seqeval 1.2.2 for these tags."""
    names = ["O", "B-a", "I-a", "B-b", "I-b"]
    gold = ["B-a I-a O B-b O", "O B-a B-a I-a O", "B-b I-b I-b O O"]
    told = ["B-a I-a O I-b O", "O B-a I-a I-a O", "B-b I-b O B-a I-b"]
    texts = ["one two three four five"] * 3
    tokens = TokenArrays.from_texts(texts)
    true, guessed = (
        np.array([names.index(tag) for row in rows for tag in row.split()]) for rows in (gold, told)
    )
    holdout = TokenizedTexts(tokens, true, tuple(tokens.entities(true, ["a", "b"])), ("a", "b"))
    assert score_tags(guessed, holdout).f1(np.ones(3))[0] == pytest.approx(0.3636363636363636)

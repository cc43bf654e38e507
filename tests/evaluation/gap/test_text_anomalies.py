"""Slips of texts and spans: counted by hand, and faults in real intents that have to be found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.contracts import Comparison, NotMeasurable, Score
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field, Schema
from twinset.core.errors import ParameterError
from twinset.core.findings import DifferentComponents, TextAnomalyShare
from twinset.core.seeding import rng_for
from twinset.evaluation.gap._known_texts import AnnotatedText, KnownTexts
from twinset.evaluation.gap._text_patterns import near_repeats
from twinset.evaluation.gap.text_anomalies import TextAnomalies
from twinset.measurement.harness import measure

CITIES = ["Ulm", "Rom", "Bonn", "Köln"]


def said(
    texts: Sequence[str | None], spans: Sequence[list[dict[str, Any]]] | None = None
) -> Dataset:
    columns: dict[str, object] = {"said": pa.array(texts, pa.string())}
    fields = [Field(name="said", kind="text")]
    if spans is not None:
        columns["marks"] = spans
        fields.append(Field(name="marks", kind="spans"))
    return Dataset.from_arrow(pa.table(columns), Schema(tuple(fields)))


def slips(made: Dataset, real: Dataset) -> dict[str, float]:
    found = TextAnomalies(replicates=10).compute(Comparison(real, made, real), rng_for(1))
    return dict(found.facts["anomalies"])


def test_words_order_characters_and_lengths_by_hand() -> None:
    real = said(["please book a table now", "book a table"] * 30)
    found = slips(
        said(["please book a table now", "book the table", "tabel", "a book €"] * 15), real
    )
    # Of 5 + 3 + 1 + 2 words "the" and "tabel" are unknown, and "tabel" is "table" with letters swapped.
    assert found["unknown words of said"] == pytest.approx(2 / 11)
    assert found["misspelt words of said"] == pytest.approx(1 / 11)
    # Of words that are common, and the ends of the text: 6 pairs, then "| book", "table |", then "| a",
    # "a book"; no real text begins with "a", or has a word after "a" but "table".
    assert found["unknown order of words of said"] == pytest.approx(2 / 10)
    # One text of one word where real ones have three to five.
    assert found["unknown lengths of said"] == pytest.approx(1 / 4)
    assert set(slips(real, real).values()) == {0.0}


@pytest.mark.parametrize("word", ["tabel", "tble", "taable", "tqble", "tables"])
def test_a_word_one_letter_off_is_misspelt(word: str) -> None:
    known = KnownTexts.fit(["a table stands"] * 3)
    found = {slip.name: slip.rate for slip in known.find_anomalies("said", [word])}
    assert found["misspelt words of said"] == 1.0


@pytest.mark.parametrize("word", ["table", "tbale2", "tabellen", "cat", "elbat"])
def test_other_words_are_not_misspelt(word: str) -> None:
    known = KnownTexts.fit(["a table and a car"] * 3)
    found = {slip.name: slip.rate for slip in known.find_anomalies("said", [word])}
    assert found["misspelt words of said"] == 0.0


def test_near_repeats_are_texts_but_for_a_word_or_the_order() -> None:
    texts = [
        "one two three four five",
        "one two three four six",  # another word
        "seven eight nine ten eleven",
        "eleven eight nine ten seven",  # another order
        "a b c d e",
        "a b c d e f",  # one word more
        "p q r s t",
        "p q r x y",  # two other words: no repeat
        "p q r s t",  # an exact repeat counts once
        "one two",  # too short
    ]
    near, seen = near_repeats([text.split() for text in texts])
    assert near.tolist() == [True] * 6 + [False] * 4
    assert seen.tolist() == [True] * 8 + [False] * 2
    assert not near_repeats([[]])[0].any()


def travels(n: int) -> tuple[list[str], list[list[dict[str, Any]]]]:
    texts, spans = [], []
    for i in range(n):
        city, day = CITIES[i % 4], ("Monday", "Friday", "today")[i % 3]
        text = f"fly to {city} on {day} please"
        start = text.index(day)
        texts.append(text)
        spans.append(
            [
                {"start": 7, "end": 7 + len(city), "label": "city", "value": None},
                {"start": start, "end": start + len(day), "label": "day", "value": None},
            ]
        )
    return texts, spans


def test_slips_of_spans_by_hand() -> None:
    texts, spans = travels(120)
    real = said(texts, spans)

    def found(change: list[list[dict[str, Any]]]) -> dict[str, float]:
        told = slips(said(texts, change), real)
        return {name.removesuffix(" of marks"): told[name] for name in told if "marks" in name}

    none = {"contradicted labels": 0.0, "unmarked mentions": 0.0, "needless marks": 0.0}
    assert found(spans) == none
    swapped = [
        [{**own[0], "label": "day"}, {**own[1], "label": "city"}] if i % 4 == 0 else own
        for i, own in enumerate(spans)
    ]
    assert found(swapped) == {**none, "contradicted labels": 0.25}
    lost = [own[:1] if i % 4 == 0 else own for i, own in enumerate(spans)]
    # One of two mentions in each fourth text.
    assert found(lost) == {**none, "unmarked mentions": 0.125}
    longer = [
        [{**own[0], "start": 4}, own[1]] if i % 3 == 0 else own for i, own in enumerate(spans)
    ]
    # In each third text three words are marked, and "to" is never marked in real ones: 1 of 7.
    assert found(longer)["needless marks"] == pytest.approx(1 / 7)
    assert found([[] for _ in spans]) == {**none, "unmarked mentions": 1.0}
    # Ends that are off by a letter are another pattern's matter.
    shifted = [[{**one, "end": one["end"] + 1} for one in own] for own in spans]
    assert found(shifted) == none


def test_spans_cover_whole_words() -> None:
    read = AnnotatedText.parse("New York, now", [{"start": 1, "end": 6, "label": "city"}])
    assert read.words == ("new", "york", ",", "now")
    assert read.spans == ((0, 2, "city"),)
    assert list(read.clues()) == [("city", ["in new", "in york", "before |", "after ,"])]
    # It slipped off a word of one letter.
    assert AnnotatedText.parse("it is 4 now", [{"start": 7, "end": 8, "label": "n"}]).spans == (
        (2, 3, "n"),
    )
    assert AnnotatedText.parse("a  b", [{"start": 2, "end": 3, "label": "blank"}]).spans == ()


def test_the_worst_slip_is_told_in_a_sentence() -> None:
    texts, spans = travels(120)
    typed = [text.replace("please", "plaese") if i % 2 else text for i, text in enumerate(texts)]
    found = TextAnomalies(replicates=10).compute(
        Comparison(said(texts, spans), said(typed, spans), said(texts, spans)), rng_for(1)
    )
    worst = found.finding(TextAnomalyShare)
    assert worst.description == "words of said that no real train text has"
    assert (round(worst.synthetic, 3), worst.real) == (0.083, 0.0)
    same = TextAnomalies(replicates=10).compute(
        Comparison(said(texts, spans), said(texts, spans), said(texts, spans)), rng_for(1)
    )
    assert not same.findings


def test_missing_and_odd_texts_are_read() -> None:
    real = said(["one two three"] * 60)
    found = slips(said([None, "", "?", "one two three"] * 20), real)
    assert found["unknown lengths of said"] == 0.75
    assert all(np.isfinite(value) for value in found.values())
    assert set(slips(said([None] * 60), said([None] * 60)).values()) == {0.0}


def test_what_it_lacks_is_said() -> None:
    with pytest.raises(NotMeasurable, match="at least 50 texts"):
        slips(said(["a"] * 10), said(["a"] * 60))
    with pytest.raises(NotMeasurable, match="at least 50 texts"):
        slips(said(["a"] * 60), said(["a"] * 49))
    for settings in ({"margin": -1.0}, {"replicates": 1}, {"max_rows": 10}):
        with pytest.raises(ParameterError):
            TextAnomalies(**settings)


def spoken(n: int, seed: int) -> tuple[list[str], list[list[dict[str, Any]]]]:
    """Sentences of a small grammar with names that are new now and then."""
    rng = rng_for(seed, "spoken")
    frames = ("play {} by {}", "please put {} of {} on", "i want to hear {} by {} again today")
    syllables = ("ka", "lo", "mi", "ten", "ra", "sul", "vo", "ne")
    texts, spans = [], []
    for _ in range(n):
        song, artist = ("".join(rng.choice(syllables, 2)) for _ in range(2))
        artist = artist[::-1] + "ov"
        text = frames[rng.integers(3)].format(song, artist)
        at = text.rindex(artist)
        first = text.index(song)
        texts.append(text)
        spans.append(
            [
                {"start": first, "end": first + len(song), "label": "song", "value": None},
                {"start": at, "end": at + len(artist), "label": "artist", "value": None},
            ]
        )
    return texts, spans


def judged(
    change: Callable[[str, list[dict[str, Any]], int], tuple[str, list[dict[str, Any]]]],
) -> Score:
    train, fresh, holdout = (spoken(n, seed) for seed, n in enumerate((800, 400, 800)))
    made = [change(text, own, i) for i, (text, own) in enumerate(zip(*fresh))]
    (score,) = measure(
        train=said(*train),
        synthetic=said([text for text, _ in made], [own for _, own in made]),
        holdout=said(*holdout),
        metrics=[("gap.text_anomalies", TextAnomalies())],
        seed=2,
    )
    return score


def test_fresh_texts_of_the_same_grammar_are_as_good_as_real() -> None:
    assert judged(lambda text, own, i: (text, own)).verdict == "as good as real"


def _turned(text: str, own: list[dict[str, Any]], i: int) -> tuple[str, list[dict[str, Any]]]:
    """Turn the order of every tenth text around; its spans go with their words."""
    if i % 10:
        return text, own
    return " ".join(text.split()[::-1]), [
        {**one, "start": len(text) - one["end"], "end": len(text) - one["start"]} for one in own
    ]


def _typo(text: str, own: list[dict[str, Any]], i: int) -> tuple[str, list[dict[str, Any]]]:
    for word in ("play", "please", "want"):
        text = text.replace(word, word[1] + word[0] + word[2:]) if i % 5 == 0 else text
    return text, own


def _swap(text: str, own: list[dict[str, Any]], i: int) -> tuple[str, list[dict[str, Any]]]:
    one, two = own
    swapped = [{**one, "label": two["label"]}, {**two, "label": one["label"]}]
    return text, swapped if i % 10 == 0 else own


@pytest.mark.parametrize(
    ("change", "first"),
    [
        (_typo, "unknown words of said"),
        (_turned, "unknown order of words of said"),
        (_swap, "contradicted labels of marks"),
        (lambda text, own, i: (text, own[: 1 + (i % 5 > 0)]), "unmarked mentions of marks"),
    ],
    ids=["typos", "order", "labels", "lost spans"],
)
def test_faults_are_found_and_the_right_slip_is_named_first(change: Any, first: str) -> None:
    score = judged(change)
    assert score.verdict == "different"
    assert score.finding(DifferentComponents).names[0] == first

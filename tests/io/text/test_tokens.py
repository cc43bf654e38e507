"""Tokens and the white space between them are the text again, whatever signs it holds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from twinset.io.text.conll import escaped, escaped_line, unescaped
from twinset.io.text.tokens import (
    fit_spans,
    gaps_of,
    joined,
    runs_of,
    scheme_of,
    tags_of,
    tokens_of,
)

# Plain texts seldom hold what parts tokens in odd places.
SIGNS = st.sampled_from(
    list("ab 1_.,'\t\n\r\u0301\u200d\u200c\ufe0f|\\#-") + ["👩", "🏽", "🇩", "中", "ש", "ส", "ี"]
)
TEXTS = st.one_of(st.text(), st.lists(SIGNS, max_size=30).map("".join))


@given(TEXTS)
def test_tokens_and_gaps_are_the_text(text: str) -> None:
    tokens = tokens_of(text)
    gaps = gaps_of(text, tokens)
    assert all(start < end for start, end in tokens)
    assert all(gap == "" or gap.isspace() for gap in gaps)
    assert not any(sign.isspace() for start, end in tokens for sign in text[start:end])
    assert joined([text[start:end] for start, end in tokens], gaps) == (text, tokens)


WORDS_ARE_WHERE_A_READER_SEES_THEM_CASES = [
    ("don't pay 1,000.50", "don ' t pay 1 , 000 . 50"),
    ("cafe\u0301s at naïve", "cafe\u0301s at naïve"),
    ("👩‍👩‍👧👍🏽🇩🇪🇫🇷1️⃣❤️", "👩‍👩‍👧 👍🏽 🇩🇪 🇫🇷 1️⃣ ❤️"),
    ("snake_case a--b", "snake _ case a - - b"),
    ("北京に", "北 京 に"),
    ("می‌خواهم دارم", "می‌خواهم دارم"),
    ("שלום, דני", "שלום , דני"),
]


def test_words_are_where_a_reader_sees_them() -> None:
    for text, words in WORDS_ARE_WHERE_A_READER_SEES_THEM_CASES:
        assert [text[start:end] for start, end in tokens_of(text)] == words.split(" ")


@given(TEXTS)
def test_what_is_escaped_stands_on_one_line_and_comes_back(text: str) -> None:
    assert unescaped(escaped(text)) == text
    assert not any(sign.isspace() or sign == "|" for sign in escaped(text))
    line = escaped_line(text)
    assert unescaped(line) == text
    assert len(line.splitlines()) <= 1
    assert line == line.strip()


RUNS = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3), st.sampled_from("xyz")), max_size=6)


@given(RUNS)
def test_tags_say_runs_in_every_scheme(drawn: list[tuple[int, int, str]]) -> None:
    runs, at = [], 0
    for gap, length, label in drawn:
        runs.append((at + gap, at + gap + length, label))
        at += gap + length
    for scheme in ("BIO", "BILOU", "BIOES"):
        assert runs_of(tags_of(runs, at + 1, scheme), scheme) == (runs, [])


THE_SCHEME_IS_KNOWN_BY_ITS_TAGS_CASES = [
    ("I-x I-x B-x O I-y", "IOB1", [(0, 2, "x"), (2, 3, "x"), (4, 5, "y")]),
    ("B-x I-x B-x O B-y", "BIO", [(0, 2, "x"), (2, 3, "x"), (4, 5, "y")]),
    ("B-x L-x U-x O U-y", "BILOU", [(0, 2, "x"), (2, 3, "x"), (4, 5, "y")]),
    ("B-x E-x S-x O S-y", "BIOES", [(0, 2, "x"), (2, 3, "x"), (4, 5, "y")]),
    ("O O", "BIO", []),
]


def test_the_scheme_is_known_by_its_tags() -> None:
    for tags, scheme, runs in THE_SCHEME_IS_KNOWN_BY_ITS_TAGS_CASES:
        told = tags.split()
        assert scheme_of([told]) == scheme
        assert runs_of(told, scheme) == (runs, [])


A_TAG_OUT_OF_ITS_PLACE_IS_TOLD_CASES = [
    ("O I-x", "BIO", 1, "follows no token of 'x'"),
    ("B-x I-y", "BIO", 1, "follows no token of 'y'"),
    ("B-x O", "BILOU", 1, "must continue"),
    ("B-x", "BILOU", 0, "ends inside a span"),
    ("U-x L-x", "BILOU", 1, "follows no token"),
    ("B-x S-x", "BILOU", 1, "no tag of BILOU"),
    ("B-x X", "BIO", 1, "allowed: O, or a letter"),
]


def test_a_tag_out_of_its_place_is_reported() -> None:
    for tags, scheme, token, words in A_TAG_OUT_OF_ITS_PLACE_IS_TOLD_CASES:
        faults = runs_of(tags.split(), scheme)[1]
        assert [place for place, _ in faults] == [token]
        assert words in faults[0][1]


def test_of_spans_that_share_tokens_the_outer_is_kept() -> None:
    tokens = tokens_of("to New York City at 5pm")
    spans = [
        {"start": 3, "end": 11, "label": "city", "value": ""},
        {"start": 3, "end": 16, "label": "place", "value": ""},
        {"start": 12, "end": 19, "label": "across", "value": ""},
        {"start": 20, "end": 21, "label": "hour", "value": ""},
        {"start": 2, "end": 3, "label": "blank", "value": ""},
    ]
    fit = fit_spans(spans, tokens)
    assert fit.runs == ((1, 4, "place"), (5, 6, "hour"))
    assert fit.overlapping == ((1, 3, "city"), (3, 5, "across"))
    assert fit.is_widened
    assert fit.n_lost == 1

"""Texts from outside: signs that steer a terminal become escapes, and nothing runs on."""

from __future__ import annotations

import unicodedata

import pytest

from twinset.core.errors import DataError, RecipeError, UnknownNameError
from twinset.core.quoting import escape_lines, escape_signs, quote, shorten


@pytest.mark.parametrize("category", ["Cc", "Zl", "Zp", "Cs"])
def test_every_sign_of_a_harmful_category_is_escaped(category: str) -> None:
    signs = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) == category]
    shown = escape_signs("".join(signs))
    assert shown.isascii()
    assert shown.isprintable()
    assert shown.count("\\") == len(signs)


def test_marks_that_turn_the_direction_are_escaped() -> None:
    turning = {"LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"}
    signs = [
        chr(code) for code in range(0x10000) if unicodedata.bidirectional(chr(code)) in turning
    ]
    marks = "\u200e\u200f\u061c"
    assert len(signs) == 9
    assert escape_signs("".join(signs) + marks).isascii()


def test_ordinary_text_of_any_language_stays() -> None:
    pass


def test_a_long_text_keeps_its_beginning_and_end() -> None:
    shown = shorten("a" * 50 + "b" * 5000 + "c" * 50, 100)
    assert len(shown) == 100
    assert shown.startswith("a" * 50)
    assert shown.endswith("c" * 25)


def test_a_long_word_is_shortened_and_its_sentence_stays() -> None:
    shown = quote(f"no column '{'x' * 300}' in the file 'a.csv'", 400)
    assert shown.startswith("no column 'xxx")
    assert shown.endswith("xxx' in the file 'a.csv'")
    assert max(map(len, shown.split())) < 200


@pytest.mark.parametrize("sign", ["n", "n ", "\x1b", "\n", "\u6f22"])
def test_no_error_is_longer_than_a_paragraph(sign: str) -> None:
    hostile = sign * 1_000_000
    error = DataError(hostile, got=hostile, allowed=hostile, todo=hostile)
    assert len(str(error)) < 1200
    assert "\n" not in str(error)
    assert error.got == hostile  # the facts are whole
    assert len(str(UnknownNameError.for_name("column", hostile, ["age"]))) < 1200


def test_the_first_of_many_faults_are_shown_and_the_rest_counted() -> None:
    error = RecipeError(
        "r.yaml has 50,000 faults", faults=[f"r.yaml:{i}: k{i}: unknown" for i in range(50_000)]
    )
    head, *lines, last = str(error).split("\n")
    assert head == "r.yaml has 50,000 faults"
    assert lines[0] == "r.yaml:0: k0: unknown"
    assert last == f"and {50_000 - len(lines):,} further"
    assert len(str(error)) < 1200


@pytest.mark.parametrize(
    ("name", "n", "shown"), [("abc", 30, 30), ("abc", 31, 30), ("a" * 100, 9, 2)]
)
def test_allowed_names_are_shown_whole(name: str, n: int, shown: int) -> None:
    *names, last = UnknownNameError.for_name("column", "x", [name] * n).allowed.split(", ")
    assert [*names, *([last] if last != "..." else [])] == [name] * shown
    assert (last == "...") == (shown < n)
    assert UnknownNameError.for_name("column", "x", ["a" * 5000]).allowed


def test_lines_of_a_page_stay() -> None:
    assert escape_lines("a\tb\n\x1bc\r\u202e") == "a\tb\n\\x1bc\\r\\u202e"

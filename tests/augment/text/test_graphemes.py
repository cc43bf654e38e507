"""Clusters by hand, and by Unicode's own rules where they can be found from categories."""

import unicodedata
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from twinset.augment.text._annotated import codes_of
from twinset.augment.text._graphemes import by_character, cluster_starts


def clusters(text: str) -> list[str]:
    at = np.flatnonzero(cluster_starts(codes_of(text))).tolist()
    return [text[a:b] for a, b in pairwise(at)]


def test_what_is_one_character_stays_whole() -> None:
    for whole in [
        "e\u0301",
        "e\u0301\u0323",
        "\r\n",
        "👍🏽",
        "👩‍👧‍👦",
        "🧑🏾‍💻",
        "🏳️‍🌈",
        "1️⃣",
        "🇩🇪",
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
        "\u1100\u1161\u11a8",
        "가\u11a8",
        "क्षि",
        "שָׁ",
        "ที่",
        "\u0600\u0661",
        "ｶﾞ",
    ]:
        assert clusters(f"a{whole}b") == ["a", whole, "b"]


def test_where_texts_may_be_cut() -> None:
    for text, parts in [
        ("🇩🇪🇫🇷🇺", ["🇩🇪", "🇫🇷", "🇺"]),
        ("a🇩🇪🇫", ["a", "🇩🇪", "🇫"]),
        ("각ᄀ", ["각", "ᄀ"]),
        ("\n\r\n\u0301", ["\n", "\r\n", "\u0301"]),
        ("👍👍", ["👍", "👍"]),
        ("👩\u200d ", ["👩\u200d", " "]),
        ("שלום", ["ש", "ל", "ו", "ם"]),
        ("", []),
        ("é", ["é"]),
    ]:
        assert clusters(text) == parts


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_no_mark_begins_a_cluster(text: str) -> None:
    parts = clusters(text)
    assert "".join(parts) == text
    for before, part in pairwise(parts):
        joins = unicodedata.category(part[0]) in ("Mn", "Me", "Mc") or part[0] in "\u200d\ufe0f"
        # Marks hang on anything but line ends and controls.
        assert not joins or unicodedata.category(before[-1]) in ("Cc", "Cf", "Zl", "Zp")


def test_a_number_by_character_is_asked_once_for_far_ones_too() -> None:
    codes = codes_of("a🍵é🍵")
    assert by_character(codes, ord).tolist() == codes.tolist()

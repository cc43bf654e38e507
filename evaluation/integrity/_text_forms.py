"""Faults that the characters of a text show by themselves, without any other text."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .._bootstrap_metric import Bools, Floats, Ints
from ._text_arrays import SYMBOL, WORD, Hashes, TextArrays, chain

PATTERNS: Mapping[str, str] = {
    "empty": r"^\s*$",
    "control characters": (
        "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2060\ufeff\ufffd]"
    ),
    # UTF-8 that was read as Latin-1 or Windows-1252
    "wrongly decoded": (
        "\u00c3[\u0080-\u00bf\u0152-\u0178\u2013-\u2122]|\u00c2[\u00a0-\u00bf]|\u00e2\u20ac|\u00f0\u0178"
        "|\u00ef\u00bb\u00bf"
    ),
    "entities or tags": r"&(?:#x?[0-9a-fA-F]+|[a-zA-Z]{2,8});|</?[a-zA-Z][^<>]{0,80}>",
    "markup": r"\*\*\w|\w\*\*|```|(?m:^#{1,6} )|\]\(https?:|\\[nt]|(?m:^\s*[-*] )",
    "doubled blanks": r"\S[ \t]{2,}\S",
    "blanks at an end": r"^\s+\S|\S\s+$",
    "unusual blanks": "[\t\r\n\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]",
    "blank before a mark": r"\w\s+[,.;:!?)]",
    "no blank after a mark": r"\pL{2}[,;!?]\pL|\pL{2}\.\pL{2}\w*\s",
    "doubled marks": r",,|;;|::|[^.]\.\.(?:[^.]|$)|\.\s+\.|,\s+,|\?\s+\?",
    "placeholder": (
        r"\{\{?\s*[\w .-]+\s*\}?\}|\$\{\w+\}|\[\s*[A-Z][A-Za-z_]*(?:[ _][A-Za-z0-9_]+)*\s*\]"
        r"|<\s*[A-Za-z][\w ]*\s*>|__\w+__|%[sd]\b|(?i:lorem ipsum|\bplaceholder\b|insert \w+ here)"
        r"|\b(?:TODO|TBD|FIXME|XXX+|UNK|NaN|nan|None|NULL|null|undefined)\b|#N/A"
    ),
    "remark of a language model": (
        r"(?i)\bas an? (?:ai|language model)\b|\bi(?:'m| am) sorry,? (?:but )?i can(?:'|no)t"
        r"|^(?:sure|certainly|of course)[,!].{0,40}(?:here|example)|\bhere (?:is|are) (?:the|a|an|some) "
        r"|^(?:output|input|text|sentence|example|answer|response|label|user|assistant)\s*\d*\s*:"
        r"|^\d+[.)] \w"
    ),
    "letters of two alphabets in a word": (
        r"\p{Latin}[\p{Cyrillic}\p{Greek}]|[\p{Cyrillic}\p{Greek}]\p{Latin}"
    ),
    "wide or decorated letters": ("[\uff01-\uff5e\u2460-\u24ff\u1d00-\u1d7f\U0001d400-\U0001d7ff]"),
    "separate accents": r"\pL\p{Mn}",
    "only capitals": r"^[^\p{Ll}]*\p{Lu}[^\p{Ll}]*\p{Lu}[^\p{Ll}]*\p{Lu}[^\p{Ll}]*\p{Lu}[^\p{Ll}]*$",
    "no capital": r"^[^\p{Lu}]*\p{Ll}[^\p{Lu}]*$",
    "a small letter first": r"^\P{L}*\p{Ll}",
    "a capital first": r"^\P{L}*\p{Lu}",
    "capitals within words": r"\p{Ll}{2}\p{Lu}|\p{Ll}\p{Lu}\p{Ll}",
    "no mark at the end": r"[\pL\pN,]\s*$",
    "a mark at the end": r"[.!?]\s*$",
    "quotes around the whole": "^\\s*[\"'\u201c\u00ab].*[\"'\u201d\u00bb]\\s*$",
    "an open bracket": r"^[^()]*\([^)]*$|^[^\[\]]*\[[^\]]*$",
}
"""Kind -> pattern of texts that have it. Also what is no fault by itself is one if real texts lack it."""

_LONG_RUN = 4  # equal characters: "sooo" occurs in real texts, "soooo" hardly
_REPEATED_WORDS = 4  # of a passage that a text repeats: "thank you very much" is said once


def match_patterns(column: pa.ChunkedArray) -> dict[str, Bools]:
    """Return which texts match each pattern, shape (n,); a missing text matches none."""
    return {
        kind: pc.fill_null(pc.match_substring_regex(column, pattern), False).to_numpy(
            zero_copy_only=False
        )
        for kind, pattern in PATTERNS.items()
    }


def find_repetitions(texts: TextArrays) -> dict[str, Bools]:
    """Return which texts repeat a word, a passage, a character, or have an odd number of quotes."""
    words, owner = texts.words, texts.owner
    is_doubled = texts.is_word[1:] & (texts.digits[1:] == 0)
    is_doubled &= (words[1:] == words[:-1]) & (owner[1:] == owner[:-1])
    doubled = np.zeros(len(texts), dtype=bool)
    doubled[owner[1:][is_doubled]] = True
    return {
        "a word twice in a row": doubled,
        "a passage twice": _repeats_passage(*texts.runs(_REPEATED_WORDS), len(texts)),
        "a character many times": _has_long_run(texts),
        "an odd number of quotes": _count(texts, '"') % 2 > 0,
    }


def _repeats_passage(runs: Hashes, owner: Ints, n: int) -> Bools:
    pairs = np.sort(chain(runs, owner.astype(np.uint64)))
    own = chain(runs, owner.astype(np.uint64))
    repeated = np.unique(pairs[1:][pairs[1:] == pairs[:-1]])
    found = np.zeros(n, dtype=bool)
    found[owner[np.isin(own, repeated)]] = True
    return found


def _has_long_run(texts: TextArrays) -> Bools:
    is_same = (texts.raw[1:] == texts.raw[:-1]) & (texts.classes[1:] != 0)
    is_same &= (texts.classes[1:] == WORD) | (texts.classes[1:] == SYMBOL)
    is_same &= texts.classes[:-1] == texts.classes[1:]
    is_same &= (texts.raw[1:] < ord("0")) | (texts.raw[1:] > ord("9"))
    run = is_same.astype(np.int8)
    for _ in range(_LONG_RUN - 2):
        run = run[:-1] & is_same[len(is_same) - len(run) + 1 :].astype(np.int8)
    found = np.zeros(len(texts), dtype=bool)
    found[np.searchsorted(texts.starts, np.flatnonzero(run), side="right") - 1] = True
    return found


def _count(texts: TextArrays, character: str) -> Ints:
    total = np.concatenate([[0], np.cumsum(texts.raw == ord(character))])
    return np.asarray(total[texts.ends] - total[texts.starts])


def measure_forms(texts: TextArrays) -> dict[str, Floats]:
    """Return lengths of each text, and its shares of capitals and marks; each also negated."""
    characters, words = (texts.ends - texts.starts).astype(float), texts.n_tokens.astype(float)
    first = texts.tokens[0]
    capital = (texts.raw[first] != texts.lower[first]) & texts.is_word
    capitals = texts.by_text((capital & (texts.rank > 0)).astype(float)) / np.maximum(words - 1, 1)
    marks = texts.by_text((~texts.is_word).astype(float)) / np.maximum(words, 1)
    return {
        "more capitals": capitals,
        "fewer capitals": -capitals,
        "more marks": marks,
        "fewer marks": -marks,
        "more characters": characters,
        "fewer characters": -characters,
        "more words": words,
        "fewer words": -words,
        "longer words": characters / np.maximum(words, 1),
        "shorter words": -characters / np.maximum(words, 1),
    }

"""Texts as tokens with their places; what stands between two tokens is white space and nothing else."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

Place = tuple[int, int]
"""Start and end of a token: half-open, in code points."""

# Scripts that put no blanks between words: each of their signs is a token, so that a span can begin
# and end between any two of them.
_UNSPACED = (
    "\u0e01-\u0e30\u0e32\u0e33\u0e40-\u0e46\u0e50-\u0e59"  # Thai
    "\u0e81-\u0eb0\u0eb2\u0eb3\u0ec0-\u0ec6\u0ed0-\u0ed9"  # Lao
    "\u1000-\u102a\u1040-\u1049\u1780-\u17b3\u17e0-\u17e9"  # Burmese, Khmer
    "\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff"  # kana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003134f"  # Han, narrow kana
)
_JOINERS = "\u200c\u200d"
_FLAG = "[\U0001f1e6-\U0001f1ff]"


def tokens_of(text: str) -> list[Place]:
    """Return the tokens of a text in order: words, and every other sign by itself.

    A word is a run of letters and digits with their accents. An emoji is one token with all that is
    joined to it (skin, flag, family); a sign of a script without blanks, such as Chinese, is one too.

    Examples
    --------
    >>> text = "Pay 5.20 to Zoe!"
    >>> [text[start:end] for start, end in tokens_of(text)]
    ['Pay', '5', '.', '20', 'to', 'Zoe', '!']
    """
    return [found.span() for found in _pattern().finditer(text)]


def gaps_of(text: str, tokens: Sequence[Place]) -> list[str]:
    """Return the white space before the first token, between tokens, and after the last one.

    Examples
    --------
    >>> gaps_of(" a  b", tokens_of(" a  b"))
    [' ', '  ', '']
    """
    ends = [0, *(end for _, end in tokens)]
    starts = [*(start for start, _ in tokens), len(text)]
    return [text[end:start] for end, start in zip(ends, starts)]


def joined(words: Sequence[str], gaps: Sequence[str]) -> tuple[str, list[Place]]:
    """Return the text of words and the white space round them, and where each word stands in it.

    Parameters
    ----------
    words : sequence of str, length n
    gaps : sequence of str, length n + 1
        As `gaps_of` returns them.
    """
    pieces, places, at = [gaps[0]], list[Place](), len(gaps[0])
    for word, gap in zip(words, gaps[1:]):
        places.append((at, at + len(word)))
        pieces += (word, gap)
        at += len(word) + len(gap)
    return "".join(pieces), places


@lru_cache(maxsize=1)
def _pattern() -> re.Pattern[str]:
    """Built when the first text comes: `re` knows no class of accents, so their list is made here."""
    extend = f"[{_accents()}\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]*"
    letter = rf"[^\W_{_UNSPACED}]{extend}"
    sign = rf"[^\w\s]{extend}"
    return re.compile(
        f"{_FLAG}{{2}}"
        f"|[{_UNSPACED}]{extend}"
        rf"|{letter}(?:[{_JOINERS}]*{letter})*"
        f"|{sign}(?:\u200d{sign})*"
        f"|_{extend}"
    )


def _accents() -> str:
    """Return the ranges of all combining marks, as they stand in a class of a pattern."""
    planes = (range(0x300, 0x20000), range(0xE0100, 0xE01F0))
    ranges: list[list[int]] = []
    for code in (code for plane in planes for code in plane):
        if unicodedata.category(chr(code)).startswith("M"):
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)

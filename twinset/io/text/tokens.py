"""Tokens of texts and their tags: spans as BIO, BILOU, BIOES or IOB1, and back."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from twinset.io.text.spans import Span, span_at

Place = tuple[int, int]
"""Start and end of a token: half-open, in code points."""

WIDENED = "a span that begins or ends inside a token is widened to whole tokens"
OVERLAPPING = "a span that shares tokens with another one is left out (nested or crossing)"
NO_TOKEN = "a span of white space alone is left out"  # noqa: S105  (no password)

Scheme = Literal["IOB1", "BIO", "BILOU", "BIOES"]
Run = tuple[int, int, str]
"""First token, token behind the last one, label."""

_TAG = re.compile(r"O|([BILUES])-(.+)", re.DOTALL)
_LETTERS: Mapping[Scheme, tuple[str, str, str, str]] = {
    # letters of a single token, and of the first, middle and last of several
    "BIO": ("B", "B", "I", "I"),
    "BILOU": ("U", "B", "I", "L"),
    "BIOES": ("S", "B", "I", "E"),
}

# Scripts without blanks between words: each character is a token, so that a span can begin and end
# between any two of them.
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
    """Return the tokens of a text in order: words, and every other character by itself.

    A word is a run of letters and digits with their accents. An emoji is one token with everything that is
    joined to it (skin, flag, family); so is a character of a script without blanks, such as Chinese.
    Between two tokens there is nothing but white space.

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
    """Return the text of n words and the n + 1 gaps around them, and the place of each word in it."""
    pieces, places, at = [gaps[0]], list[Place](), len(gaps[0])
    for word, gap in zip(words, gaps[1:]):
        places.append((at, at + len(word)))
        pieces += (word, gap)
        at += len(word) + len(gap)
    return "".join(pieces), places


@lru_cache(maxsize=1)
def _pattern() -> re.Pattern[str]:
    """Return the pattern of a token; `re` has no class of accents, so their list is built here."""
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
    """Return the ranges of all combining marks, as in a character class of a pattern."""
    planes = (range(0x300, 0x20000), range(0xE0100, 0xE01F0))
    ranges: list[list[int]] = []
    for code in (code for plane in planes for code in plane):
        if unicodedata.category(chr(code)).startswith("M"):
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)


@dataclass(frozen=True)
class Fit:
    """Spans as runs of tokens."""

    runs: tuple[Run, ...]  # in order; no two share a token
    overlapping: tuple[Run, ...]  # share a token with one of `runs`: inside others, or across them
    is_widened: bool  # whether a span began or ended inside a token
    n_lost: int  # number of spans without a token

    def losses(self, *, holds_overlapping: bool = False) -> str:
        """Return what is lost of the spans; empty when nothing is."""
        is_less = bool(self.overlapping) and not holds_overlapping
        parts = [WIDENED] * self.is_widened + [OVERLAPPING] * is_less
        return "; ".join([*parts, *[NO_TOKEN] * bool(self.n_lost)])


def fit_spans(spans: Iterable[Span], tokens: Sequence[Place]) -> Fit:
    """Return spans as runs of tokens; of spans that share a token the outer or earlier one has priority.

    Examples
    --------
    >>> inner = Span(start=4, end=8, label="city", value="York")
    >>> outer = Span(start=0, end=8, label="city", value="New York")
    >>> fit_spans([inner, outer], [(0, 3), (4, 8)])
    Fit(runs=((0, 2, 'city'),), overlapping=((1, 2, 'city'),), is_widened=False, n_lost=0)
    """
    runs, overlapping = list[Run](), list[Run]()
    widened, lost, taken = False, 0, 0
    for span in sorted(spans, key=lambda one: (one["start"], -one["end"])):
        own = [k for k, (a, b) in enumerate(tokens) if a < span["end"] and b > span["start"]]
        if not own:
            lost += 1
            continue
        run = (own[0], own[-1] + 1, span["label"])
        widened |= (tokens[own[0]][0], tokens[own[-1]][1]) != (span["start"], span["end"])
        if run[0] < taken:
            overlapping.append(run)
        else:
            runs.append(run)
            taken = run[1]
    return Fit(tuple(runs), tuple(overlapping), widened, lost)


def tags_of(runs: Iterable[Run], n_tokens: int, scheme: Scheme = "BIO") -> list[str]:
    """Return the tag of every token.

    Examples
    --------
    >>> tags_of([(0, 2, "city"), (3, 4, "day")], 4, "BILOU")
    ['B-city', 'L-city', 'O', 'U-day']
    """
    single, first, middle, last = _LETTERS[scheme]
    tags = ["O"] * n_tokens
    for start, end, label in runs:
        if end - start == 1:
            tags[start] = f"{single}-{label}"
            continue
        letters = [first, *[middle] * (end - start - 2), last]
        tags[start:end] = [f"{letter}-{label}" for letter in letters]
    return tags


def spans_of(text: str, places: Sequence[Place], runs: Iterable[Run]) -> list[Span]:
    """Return runs of tokens as spans of their text."""
    return [span_at(text, places[a][0], places[b - 1][1], label) for a, b, label in runs]


def scheme_of(sentences: Iterable[Sequence[str]]) -> Scheme:
    """Return the scheme of tags by their letters; IOB1 if B only separates adjacent spans of one label."""
    letters: set[str] = set()
    begins_with_i = b_begins = False
    for tags in sentences:
        before = ("O", "")
        for tag in tags:
            letter, label = split_tag(tag)
            letters.add(letter)
            begins_with_i |= letter == "I" and before[1] != label
            b_begins |= letter == "B" and before[1] != label
            before = (letter, label)
    if letters & {"L", "U"}:
        return "BILOU"
    if letters & {"E", "S"}:
        return "BIOES"
    return "IOB1" if begins_with_i and not b_begins else "BIO"


def split_tag(tag: str) -> tuple[str, str]:
    """Return letter and label of a tag: ``("O", "")`` outside spans, ``("?", "")`` if it is no tag."""
    found = _TAG.fullmatch(tag)
    if found is None:
        return "?", ""
    return (found[1], found[2]) if found[1] else ("O", "")


def runs_of(tags: Sequence[str], scheme: Scheme) -> tuple[list[Run], list[tuple[int, str]]]:
    """Return the spans of tags, and (token, fault) for each token that breaks the scheme.

    Examples
    --------
    >>> runs_of(["B-city", "I-city", "O", "I-day"], "BIO")
    ([(0, 2, 'city')], [(3, "I-day follows no token of 'day'; allowed: B-day")])
    """
    runs, faults = list[Run](), list[tuple[int, str]]()
    begun = ""  # label of a span that must continue, in schemes that mark its end
    for k, tag in enumerate(tags):
        letter, label = split_tag(tag)
        fault = _fault(letter, label, tag, scheme, runs, k, begun)
        if fault:
            faults.append((k, fault))
            begun = ""
            continue
        continues = letter in "ILE" and bool(runs) and runs[-1][1:] == (k, label)
        if continues:
            runs[-1] = (runs[-1][0], k + 1, label)
        elif letter != "O":
            runs.append((k, k + 1, label))
        begun = label if scheme in ("BILOU", "BIOES") and letter in "BI" else ""
    if begun:
        faults.append((len(tags) - 1, f"the text ends inside a span of '{begun}'"))
    return runs, faults


def _fault(
    letter: str, label: str, tag: str, scheme: Scheme, runs: Sequence[Run], k: int, begun: str
) -> str:
    if letter == "?":
        return "its tag is none; allowed: O, or a letter, '-' and a label, like B-city"
    ends = scheme in ("BILOU", "BIOES")
    allowed = "BI" if not ends else "".join(_LETTERS[scheme])
    if letter not in ("O", *allowed):
        return (
            f"{tag} is no tag of {scheme}, which the file is in; allowed: O, {', '.join(allowed)}"
        )
    if begun and (letter not in "ILE" or label != begun):
        return f"{tag} stands where the span of '{begun}' must continue"
    follows = bool(runs) and runs[-1][1:] == (k, label) and (not ends or bool(begun))
    if letter in "ILE" and not follows and scheme != "IOB1":
        return f"{tag} follows no token of '{label}'; allowed: B-{label}"
    return ""

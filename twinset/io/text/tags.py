"""Spans as tags of tokens, and back: BIO, BILOU and the ways in which others write them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from twinset.io.text.rows import Span
from twinset.io.text.tokens import Place

WIDENED = "a span that begins or ends inside a token is widened to whole tokens"
OVERLAPPING = "a span that shares tokens with another one is left out (nested or crossing)"
NO_TOKEN = "a span of white space alone is left out"  # noqa: S105  (no password)

Scheme = Literal["IOB1", "BIO", "BILOU", "BIOES"]
Run = tuple[int, int, str]
"""First token, token behind the last one, label."""

_TAG = re.compile(r"O|([BILUES])-(.+)", re.DOTALL)
_LETTERS: Mapping[Scheme, tuple[str, str, str, str]] = {
    # One token; first, middle and last of several.
    "BIO": ("B", "B", "I", "I"),
    "BILOU": ("U", "B", "I", "L"),
    "BIOES": ("S", "B", "I", "E"),
}


@dataclass(frozen=True)
class Fit:
    """What of some spans tokens can say.

    Parameters
    ----------
    runs : tuple of (int, int, str)
        Spans as runs of tokens, in order; no two share a token.
    overlapping : tuple of (int, int, str)
        Runs that share a token with one of those: spans inside others, or across them.
    is_widened : bool
        Whether a span began or ended inside a token, and was widened to whole ones.
    n_lost : int
        Spans that hold no token.
    """

    runs: tuple[Run, ...]
    overlapping: tuple[Run, ...]
    is_widened: bool
    n_lost: int

    def told(self, *, holds_overlapping: bool = False) -> str:
        """Return what is lost of the spans; empty when nothing is."""
        is_less = bool(self.overlapping) and not holds_overlapping
        parts = [WIDENED] * self.is_widened + [OVERLAPPING] * is_less
        return "; ".join([*parts, *[NO_TOKEN] * bool(self.n_lost)])


def fit_spans(spans: Iterable[Span], tokens: Sequence[Place]) -> Fit:
    """Return spans as runs of tokens; of spans that share a token the outer or earlier one is kept.

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
        held = [k for k, (a, b) in enumerate(tokens) if a < span["end"] and b > span["start"]]
        if not held:
            lost += 1
            continue
        run = (held[0], held[-1] + 1, span["label"])
        widened |= (tokens[held[0]][0], tokens[held[-1]][1]) != (span["start"], span["end"])
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


def scheme_of(sentences: Iterable[Sequence[str]]) -> Scheme:
    """Return which scheme tags follow: that of their letters, and IOB1 where B only parts neighbours."""
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
    """Return letter and label of a tag: ``("O", "")`` outside, ``("?", "")`` for what is no tag."""
    found = _TAG.fullmatch(tag)
    if found is None:
        return "?", ""
    return (found[1], found[2]) if found[1] else ("O", "")


def runs_of(tags: Sequence[str], scheme: Scheme) -> tuple[list[Run], list[tuple[int, str]]]:
    """Return the spans that tags mean, and for each token that breaks the scheme what is wrong there.

    Examples
    --------
    >>> runs_of(["B-city", "I-city", "O", "I-day"], "BIO")
    ([(0, 2, 'city')], [(3, "I-day follows no token of 'day'; allowed: B-day")])
    """
    runs, faults = list[Run](), list[tuple[int, str]]()
    begun = ""  # label of a span that must go on, in schemes that mark its end
    for k, tag in enumerate(tags):
        letter, label = split_tag(tag)
        fault = _fault(letter, label, tag, scheme, runs, k, begun)
        if fault:
            faults.append((k, fault))
            begun = ""
            continue
        goes_on = letter in "ILE" and bool(runs) and runs[-1][1:] == (k, label)
        if goes_on:
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
        return f"{tag} stands where the span of '{begun}' must go on"
    follows = bool(runs) and runs[-1][1:] == (k, label) and (not ends or bool(begun))
    if letter in "ILE" and not follows and scheme != "IOB1":
        return f"{tag} follows no token of '{label}'; allowed: B-{label}"
    return ""

"""Real texts as sequences of tokens in which each entity is one token, so that none is cut."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twinset.core.errors import DataError, ParameterError

# Combining marks are part of the word of the letter before them.
_MARKS = (
    "\u0300-\u036f\u0483-\u0489\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0900-\u0dff\u0e31-\u0e4e"
)
# Scripts without spaces between words: each character is a token.
_SIGNS = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_WORD = rf"(?:(?![{_SIGNS}])[\w{_MARKS}])+"
_OTHER = rf"[^\w\s{_MARKS}]+"
# "can't", "8/26/2022" and "a.m" are one token; so is a run of punctuation or of joined emoji.
_TOKEN = re.compile(rf"[{_SIGNS}]|{_WORD}(?:{_OTHER}{_WORD})*|{_OTHER}")


Words = Sequence[str] | Mapping[str, float]
"""Phrases, or phrases with weights."""


@dataclass(frozen=True)
class Value:
    """A value of a slot: its text, and the spans in it."""

    text: str
    # Start, end and label of every span, relative to the value; empty for words of a lexicon that
    # are no entities
    spans: tuple[tuple[int, int, str], ...]


@dataclass(frozen=True)
class Token:
    """A word, punctuation or slot of one real text."""

    before: str  # White space before it
    key: str  # Its symbol in contexts: the word in lowercase, or ``{slot}``
    text: str  # Its text; of a slot its real value
    value: Value | None = None  # Value of a slot; None for words


@dataclass(frozen=True)
class Sentence:
    """One real text."""

    row: int  # Row in the train set
    group: int
    tokens: tuple[Token, ...]  # In order

    @classmethod
    def from_text(
        cls, row: int, group: int, text: str, spans: Sequence[Mapping[str, Any]], lexicon: Lexicon
    ) -> Sentence:
        """Return a text as tokens; its spans, and phrases of the lexicon in the rest, are slots.

        Overlapping spans become one slot, whose value has them all.
        """
        tokens: list[Token] = []
        at = 0
        for start, end, inner in _clusters(row, text, spans):
            tokens += lexicon.tokens(text[at:start])
            piece = text[at:start]
            blanks = piece[len(piece.rstrip()) :]
            name = "+".join(dict.fromkeys(label for _, _, label in inner))
            value = Value(text[start:end], tuple(inner))
            tokens.append(Token(blanks, "{" + name + "}", value.text, value))
            at = end
        tokens += lexicon.tokens(text[at:])
        return cls(row, group, tuple(tokens))


class Lexicon:
    """Lists of exchangeable words and phrases, found in texts regardless of case."""

    def __init__(self, lists: Mapping[str, Words]) -> None:
        self.lists = {name: tuple(values) for name, values in lists.items()}
        self.weights = {
            name: _weights(name, words)
            for name, words in lists.items()
            if isinstance(words, Mapping)
        }
        self._names: dict[tuple[str, ...], str] = {}
        for name, values in self.lists.items():
            if isinstance(lists[name], str) or not values:
                raise ParameterError(
                    f"the list '{name}' of the lexicon has no values",
                    allowed="a list of words or phrases",
                )
            for value in values:
                words = tuple(found.group().lower() for found in _TOKEN.finditer(str(value)))
                if not words or value != value.strip():
                    raise ParameterError(
                        f"the list '{name}' of the lexicon holds a phrase that is empty or has "
                        "blanks round it"
                    )
                self._names.setdefault(words, name)
        self._longest = max(map(len, self._names), default=0)

    def tokens(self, text: str) -> Iterator[Token]:
        """Yield the tokens of a text; phrases of the lexicon, longest first, are slots."""
        words = list(_TOKEN.finditer(text))
        i = 0
        while i < len(words):
            n, name = self._phrase_at(words, i)
            start, end = words[i].start(), words[i + n - 1].end()
            before = text[words[i - 1].end() if i else 0 : start]
            phrase = text[start:end]
            if name is None:
                yield Token(before, phrase.lower(), phrase)
            else:
                yield Token(before, "{" + name + "}", phrase, Value(phrase, ()))
            i += n

    def _phrase_at(self, words: Sequence[re.Match[str]], i: int) -> tuple[int, str | None]:
        for n in range(min(self._longest, len(words) - i), 0, -1):
            name = self._names.get(tuple(word.group().lower() for word in words[i : i + n]))
            if name is not None:
                return n, name
        return 1, None


def _weights(name: str, words: Mapping[str, float]) -> tuple[float, ...]:
    weights = tuple(float(weight) for weight in words.values())
    if words and not (min(weights) >= 0 and 0 < sum(weights) < float("inf")):
        raise ParameterError(
            f"the weights of the list '{name}' of the lexicon are below 0, or all 0"
        )
    return weights


def words_of(text: str) -> list[str]:
    """Return the words and punctuation of a text in lowercase."""
    return [found.group().lower() for found in _TOKEN.finditer(text)]


def _clusters(
    row: int, text: str, spans: Sequence[Mapping[str, Any]]
) -> list[tuple[int, int, list[tuple[int, int, str]]]]:
    """Return the stretches covered by overlapping spans, each with its spans relative to its start."""
    found: list[tuple[int, int, list[tuple[int, int, str]]]] = []
    for span in sorted(spans, key=lambda one: (one["start"], -one["end"], one["label"])):
        start, end, label = int(span["start"]), int(span["end"]), str(span["label"])
        value = span.get("value")
        if not 0 <= start < end <= len(text) or value not in (None, text[start:end]):
            raise DataError(
                f"a span of row {row} does not fit its text",
                got=f"'{label}' from {start} to {end} in {len(text)} code points",
                allowed="half-open places in code points, where the span's value stands",
            )
        if found and start < found[-1][1]:
            first, last, inner = found[-1]
            found[-1] = (first, max(last, end), [*inner, (start - first, end - first, label)])
        else:
            found.append((start, end, [(0, end - start, label)]))
    return found

"""Real texts as rows of tokens in which entities are single symbols, so that no recombination cuts them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twinset.core.errors import DataError, ParameterError

# Marks that combine with the letter before them are part of its word.
_MARKS = (
    "\u0300-\u036f\u0483-\u0489\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0900-\u0dff\u0e31-\u0e4e"
)
# These write no blanks between words, so each of their signs is a token.
_SIGNS = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_WORD = rf"(?:(?![{_SIGNS}])[\w{_MARKS}])+"
_OTHER = rf"[^\w\s{_MARKS}]+"
# "can't", "8/26/2022" and "a.m" are one token; so is a row of marks or of joined emoji.
_TOKEN = re.compile(rf"[{_SIGNS}]|{_WORD}(?:{_OTHER}{_WORD})*|{_OTHER}")


Words = Sequence[str] | Mapping[str, float]
"""Phrases, or phrases with weights."""


@dataclass(frozen=True)
class Value:
    """What fills a slot: a text, and the spans in it.

    Parameters
    ----------
    text : str
        The value as it was written.
    spans : tuple of (int, int, str)
        Start, end and label of every span, from the beginning of the value; empty for words of a
        lexicon that are no entities.
    """

    text: str
    spans: tuple[tuple[int, int, str], ...]


@dataclass(frozen=True)
class Token:
    """A word, a mark or a slot of one real text.

    Parameters
    ----------
    before : str
        Blanks before it.
    key : str
        What it is when contexts are compared: the word in small letters, or ``{slot}``.
    text : str
        As it was written; of a slot its own value.
    value : Value or None
        Of a slot, what filled it; None for words.
    """

    before: str
    key: str
    text: str
    value: Value | None = None


@dataclass(frozen=True)
class Sentence:
    """One real text.

    Parameters
    ----------
    row : int
        Its place in the set that was learnt from.
    group : int
        Its class.
    tokens : tuple of Token
        In order.
    """

    row: int
    group: int
    tokens: tuple[Token, ...]

    @classmethod
    def of(
        cls, row: int, group: int, text: str, spans: Sequence[Mapping[str, Any]], lexicon: Lexicon
    ) -> Sentence:
        """Return a text with its spans, and what the lexicon knows in the rest, as slots.

        Spans that lie in or across each other become one slot, whose value carries them all.

        Raises
        ------
        DataError
            A span does not lie in its text.

        Examples
        --------
        >>> spans = [{"start": 5, "end": 9, "label": "artist"}]
        >>> found = Sentence.of(0, 0, "Play Abba now", spans, Lexicon({"when": ["now", "later"]}))
        >>> [token.key for token in found.tokens]
        ['play', '{artist}', '{when}']
        """
        tokens: list[Token] = []
        at = 0
        for start, end, inner in _clusters(row, text, spans):
            tokens += lexicon.tokens(text[at:start])
            blanks = _blanks_before(text, at, start)
            name = "+".join(dict.fromkeys(label for _, _, label in inner))
            value = Value(text[start:end], tuple(inner))
            tokens.append(Token(blanks, "{" + name + "}", value.text, value))
            at = end
        tokens += lexicon.tokens(text[at:])
        return cls(row, group, tuple(tokens))


class Lexicon:
    """Words and phrases that may stand for each other, found in texts whatever their case.

    Parameters
    ----------
    lists : mapping of str to sequence of str, or to mapping of str to float
        Name -> phrases, or phrases with weights. One that stands in two lists belongs to the first.

    Raises
    ------
    ParameterError
        A list is empty, a phrase in it holds no word, or its weights are below 0 or all 0.
    """

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
        """Yield the tokens of a piece of text; phrases of the lexicon, the longest first, as slots."""
        words = list(_TOKEN.finditer(text))
        i = 0
        while i < len(words):
            n, name = self._phrase_at(words, i)
            start, end = words[i].start(), words[i + n - 1].end()
            before = text[words[i - 1].end() if i else 0 : start]
            said = text[start:end]
            if name is None:
                yield Token(before, said.lower(), said)
            else:
                yield Token(before, "{" + name + "}", said, Value(said, ()))
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
    """Return the words and marks of a text in small letters.

    Examples
    --------
    >>> words_of("Can't wait, Zoë!")
    ["can't", 'wait', ',', 'zoë', '!']
    """
    return [found.group().lower() for found in _TOKEN.finditer(text)]


def _blanks_before(text: str, first: int, end: int) -> str:
    piece = text[first:end]
    return piece[len(piece.rstrip()) :]


def _clusters(
    row: int, text: str, spans: Sequence[Mapping[str, Any]]
) -> list[tuple[int, int, list[tuple[int, int, str]]]]:
    """Return stretches of text that spans cover together, each with its spans counted from its start."""
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

"""New texts that pass: walked, checked for their class, filled, and held against all real texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .guard import Classes, RealTexts, shortest
from .tokens import Sentence, Token
from .values import Values
from .walk import Walk

TRIES = 100
_TRIES_AS_ASKED = 40
_TRIES_FOR_NEW = 20
_LEFT_OUT = 0.15
_CLEAR = 1.0
"""A class must be e times as likely as the next by a text's words."""


@dataclass(frozen=True)
class Chances:
    """How far new texts go from real ones.

    Parameters
    ----------
    switch, borrow : float
        Chance of going on in another text after a token, and of an opening of another, 0 to 1.
    max_likeness : float
        Largest likeness to a real text, above 0, to 1.
    """

    switch: float
    borrow: float
    max_likeness: float


@dataclass(frozen=True)
class NewText:
    """A new text, its spans, and the rows that its pieces are from, the one it begins with first."""

    text: str
    spans: list[dict[str, Any]]
    rows: list[int]


class TextComposer:
    """Writes texts from sentences and values.

    Parameters
    ----------
    sentences : sequence of Sentence
        The real texts as tokens.
    values : Values
        What may fill their slots.
    texts : sequence of str
        The real texts, of which no near copy is written.
    chances : Chances
        How far new texts go from real ones.
    """

    def __init__(
        self, sentences: Sequence[Sentence], values: Values, texts: Sequence[str], chances: Chances
    ) -> None:
        self._walk, self._values, self._chances = Walk(sentences), values, chances
        self._classes = Classes(sentences, 1 + max(sentence.group for sentence in sentences))
        self._shortest = shortest(sentences)
        self._real = RealTexts(texts)

    def new(self, bases: Iterator[int], made: set[str], rng: np.random.Generator) -> NewText | None:
        """Return a text that is no near copy, not made before where tries suffice; None if all fail."""
        spare: NewText | None = None
        for attempt in range(TRIES):
            written = self._try(next(bases), attempt >= _TRIES_AS_ASKED, rng)
            if written is not None and written.text not in made:
                made.add(written.text)
                return written
            spare = spare or written
            if spare is not None and attempt >= _TRIES_FOR_NEW:
                return spare
        return None

    def _try(self, base: int, hard: bool, rng: np.random.Generator) -> NewText | None:
        """Return a text if it passes; where that is hard, all chances are taken and words left out."""
        chances = self._chances
        taken = (1.0, 1.0) if hard else (chances.switch, chances.borrow)
        tokens, used = self._walk.go(base, *taken, rng)
        if hard:
            gone = rng.random(len(tokens)) < _LEFT_OUT
            tokens = [t for t, is_gone in zip(tokens, gone) if t.value is not None or not is_gone]
        sentence = self._walk.sentences[base]
        group = sentence.group
        # As clear as the real text it begins with is enough: some classes are not clear at all.
        least = min(_CLEAR, self._classes.margin(sentence.tokens, group))
        fewest = self._shortest[group] // 2 + 1 if hard else self._shortest[group]
        if len(tokens) < fewest or self._classes.margin(tokens, group) < least:
            return None
        text, spans = self._write(tokens, group, rng)
        if self._real.stutters(text) or self._real.likeness(text) > chances.max_likeness:
            return None
        rows = [self._walk.sentences[k].row for k in used]
        return NewText(text, spans, rows)

    def _write(
        self, tokens: Sequence[Token], group: int, rng: np.random.Generator
    ) -> tuple[str, list[dict[str, Any]]]:
        text, spans = "", list[dict[str, Any]]()
        for token in tokens:
            text += token.before if text else ""
            if token.value is None:
                text += token.text
                continue
            value = self._values.draw(token, group, rng)
            for start, end, label in value.spans:
                mark = {"start": len(text) + start, "end": len(text) + end, "label": label}
                spans.append({**mark, "value": value.text[start:end]})
            text += value.text
        return text, spans

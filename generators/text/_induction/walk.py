"""New texts as walks over real ones: n-grams with back-off, told by where they stand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from .tokens import Sentence, Token

Place = tuple[int, int]
"""A sentence, and a token in it."""

_START = "\x02"
_BACK_OFF = 0.3
"""Chance of being content with one shared word where two are not to be had; a slot is always enough."""

_MOST = 2
"""A text may be this many times as long as the longest real one."""


class Walk:
    """A model of which token follows which, as places in real texts.

    A walk follows a real text. After each token it may go on in another text of the same class, at a
    place before which the same two tokens stand; where there is none, the same one token (back-off).
    A slot is one token, so carrier phrases are joined at slots that they share, what only some texts
    have between two such places is left out or put in, and no slot is ever cut. This is drawing from an
    n-gram model of the class, without counting n-grams.

    Parameters
    ----------
    sentences : sequence of Sentence
        The real texts.
    """

    def __init__(self, sentences: Sequence[Sentence]) -> None:
        self.sentences = tuple(sentences)
        self._longest = max((len(s.tokens) for s in sentences), default=0)
        self._followers: dict[tuple[int, tuple[str, ...]], list[Place]] = defaultdict(list)
        for k, sentence in enumerate(sentences):
            keys = (_START, *(token.key for token in sentence.tokens))
            for i in range(1, len(keys)):
                for order in (1, 2):
                    context = keys[max(0, i + 1 - order) : i + 1]
                    if len(context) == order:
                        self._followers[sentence.group, context].append((k, i))
        self._openings = [k for k, sentence in enumerate(sentences) if len(sentence.tokens) > 2]

    def go(
        self, base: int, switch: float, borrow: float, rng: np.random.Generator
    ) -> tuple[list[Token], list[int]]:
        """Return the tokens of a new text, and the sentences that they are from, `base` first.

        Parameters
        ----------
        base : int
            The sentence that the walk begins with; its class is that of the text.
        switch : float
            Chance of going on elsewhere after a token, 0 to 1.
        borrow : float
            Chance of beginning with the opening of a text of any class, 0 to 1.
        rng : numpy.random.Generator
            The only source of randomness.
        """
        group = self.sentences[base].group
        tokens: list[Token] = []
        used: list[int] = [base]
        k, i = base, 0
        if borrow and rng.random() < borrow:
            opening = self._opening(base, rng)
            if opening is not None:
                other, length, i = opening
                tokens += self.sentences[other].tokens[:length]
                used.append(other)
        while i < len(self.sentences[k].tokens) and len(tokens) < _MOST * self._longest:
            tokens.append(self.sentences[k].tokens[i])
            i += 1
            if rng.random() < switch:
                k, i = self._elsewhere((k, i), group, tokens, rng)
                used.append(k)
        return tokens, list(dict.fromkeys(used))

    def _elsewhere(
        self, here: Place, group: int, tokens: Sequence[Token], rng: np.random.Generator
    ) -> Place:
        keys = (_START, *(token.key for token in tokens[-2:]))[-2:]
        contexts = [keys, keys[-1:]]
        if tokens[-1].value is None and rng.random() >= _BACK_OFF:
            contexts.pop()
        for context in contexts:
            # Never back in the same text: a walk must come to its end.
            found = [
                place
                for place in self._followers.get((group, context), ())
                if place[0] != here[0] or place[1] > here[1]
            ]
            if found:
                return found[int(rng.integers(len(found)))]
        return here

    def _opening(self, base: int, rng: np.random.Generator) -> tuple[int, int, int] | None:
        """Return a sentence, how much of its beginning is taken, and where `base` goes on after it.

        Both give up or keep at most their first half: what a text is about mostly stands behind.
        """
        own = [token.key for token in self.sentences[base].tokens]
        if not self._openings:
            return None
        other = self._openings[int(rng.integers(len(self._openings)))]
        if other == base:
            return None
        theirs = [token.key for token in self.sentences[other].tokens]
        joints = [
            (i + 1, j + 1)
            for i in range(len(theirs) // 2)
            for j in range(len(own) // 2)
            if theirs[i] == own[j] and theirs[:i] != own[:j]
        ]
        if not joints:
            return None
        length, at = joints[int(rng.integers(len(joints)))]
        return other, length, at

"""Values of slots: those of real texts, and those of a lexicon."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Literal

import numpy as np

from twinset.core.errors import FitError

from .tokens import Lexicon, Sentence, Token, Value

Source = Literal["real and lexicon", "lexicon"]
_LEXICON_SHARE = 0.5  # of slots that have both real and listed values: neither source is preferred


class Values:
    """The values of every slot.

    A class with n values, d of them distinct, draws from the values of all classes with probability
    d / (n + d) (the probability that its next value is a new one), else from its own. So classes keep
    to their own values where values recur (ratings, kinds of restaurant), and share names and titles.

    References
    ----------
    Witten and Bell, "The zero-frequency problem", IEEE Transactions on Information Theory 37, 1991.
    """

    def __init__(self, sentences: Sequence[Sentence], lexicon: Lexicon, source: Source) -> None:
        real: dict[str, dict[int, list[Value]]] = defaultdict(lambda: defaultdict(list))
        for sentence in sentences:
            for token in sentence.tokens:
                if token.value is not None and token.value.spans:
                    real[token.key][sentence.group].append(token.value)
        self._of_class: dict[tuple[str, int], list[Value]] = {}
        self._new: dict[tuple[str, int], float] = {}
        self._shared: dict[str, list[Value]] = {}
        for key, by_group in real.items() if source == "real and lexicon" else ():
            self._shared[key] = [value for own in by_group.values() for value in own]
            for group, own in by_group.items():
                self._of_class[key, group] = own
                self._new[key, group] = _new_value_probability(own)
        self._lexicon = {
            "{" + name + "}": [_as_value(name, text, "{" + name + "}" in real) for text in texts]
            for name, texts in lexicon.lists.items()
        }
        self._weights = {
            "{" + name + "}": np.cumsum(weights) / sum(weights)
            for name, weights in lexicon.weights.items()
        }
        if source == "lexicon" and (missing := sorted(set(real) - set(self._lexicon))):
            raise FitError(
                f"the lexicon has no list for the spans '{missing[0][1:-1]}'",
                todo="give one, or allow the values of the real texts",
            )

    def draw(self, token: Token, group: int, rng: np.random.Generator) -> Value:
        """Return a value for a slot in a text of a class."""
        own = self._of_class.get((token.key, group), [])
        if not own or rng.random() < self._new[token.key, group]:
            own = self._shared.get(token.key, [])
        listed = self._lexicon.get(token.key, [])
        take_listed = bool(listed) and (not own or rng.random() < _LEXICON_SHARE)
        if take_listed and token.key in self._weights:
            at = int(np.searchsorted(self._weights[token.key], rng.random(), side="right"))
            value = listed[min(at, len(listed) - 1)]
        else:
            chosen = listed if take_listed else own
            value = chosen[int(rng.integers(len(chosen)))]
        return _with_case_of(token.text, value) if take_listed and not value.spans else value


def _new_value_probability(values: Sequence[Value]) -> float:
    distinct = len({value.text.lower() for value in values})
    return distinct / (len(values) + distinct)


def _as_value(name: str, text: str, is_label: bool) -> Value:
    return Value(text, ((0, len(text), name),) if is_label else ())


def _with_case_of(replaced: str, value: Value) -> Value:
    """Return a phrase with a capital first letter where the replaced phrase has one."""
    if replaced[:1].isupper() and replaced[1:] == replaced[1:].lower():
        return Value(value.text[:1].upper() + value.text[1:], value.spans)
    return value

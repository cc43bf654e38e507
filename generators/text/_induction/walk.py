"""New texts as walks over real ones, with checks against copies and texts of another class."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from twinset.core.errors import FitError

from .tokens import Lexicon, Sentence, Token, Value, words_of

Place = tuple[int, int]
"""Index of a sentence, and of a token in it."""
Source = Literal["real and lexicon", "lexicon"]
Ints = npt.NDArray[np.int64]
Term = tuple[object, int]

_START = "\x02"
# Probability of going on after one shared word where no two are shared; a shared slot is always enough.
# One word is weak evidence that two texts fit, so it is used in less than a third of the cases.
_BACK_OFF = 0.3
_MAX_LENGTH_RATIO = 2  # of a walk to the longest real text; ends walks that go round

MAX_TRIES = 100  # walks for a new text
# walks with the given probabilities; then all switches are taken and words dropped
_TRIES_AS_SET = 40
_TRIES_FOR_NEW = 20  # walks after which a repeated text is returned
_DROP_PROBABILITY = 0.15  # of a word, once walks as set have failed: one word of a text of seven
_MIN_MARGIN = 1.0  # log-likelihood ratio: the class is e times as likely as the next by the words
_SMOOTHING = 0.1  # added to every count (Lidstone): a word unseen in a class does not rule it out
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
                distinct = len({value.text.lower() for value in own})
                self._new[key, group] = distinct / (len(own) + distinct)
        self._lexicon: dict[str, list[Value]] = {}
        self._weights: dict[str, npt.NDArray[np.float64]] = {}
        for name, texts in lexicon.lists.items():
            key = "{" + name + "}"
            is_label = key in real
            self._lexicon[key] = [
                Value(text, ((0, len(text), name),) if is_label else ()) for text in texts
            ]
            if name in lexicon.weights:
                weights = lexicon.weights[name]
                self._weights[key] = np.cumsum(weights) / sum(weights)
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


def _with_case_of(replaced: str, value: Value) -> Value:
    """Return a phrase with a capital first letter where the replaced phrase has one."""
    if replaced[:1].isupper() and replaced[1:] == replaced[1:].lower():
        return Value(value.text[:1].upper() + value.text[1:], value.spans)
    return value


class RealTexts:
    """Index of real texts for the similarity of a new text to the nearest one.

    similarity(a, b) = 2 |A n B| / (|A| + |B|) (Dice), A and B being the multisets of words and pairs of
    neighbouring words: 1 for the same words in the same order, 0 for no word in common.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        places: dict[Term, list[int]] = defaultdict(list)
        sizes = []
        for i, text in enumerate(texts):
            terms = _terms(text)
            sizes.append(len(terms))
            for term in terms:
                places[term].append(i)
        self._places = {term: np.array(found, dtype=np.int64) for term, found in places.items()}
        self._sizes = np.array(sizes, dtype=np.float64)

    def has_repetition(self, text: str) -> bool:
        """Return whether a word is repeated in a row that no real text repeats."""
        pairs = pairwise(words_of(text))
        return any(one == other and ((one, other), 0) not in self._places for one, other in pairs)

    def similarity(self, text: str) -> float:
        """Return the similarity to the nearest real text, 0 to 1."""
        terms = _terms(text)
        hits = [self._places[term] for term in terms if term in self._places]
        shared = np.bincount(
            np.concatenate([*hits, np.empty(0, dtype=np.int64)]), minlength=len(self._sizes)
        )
        total = np.maximum(self._sizes + len(terms), 1)
        return float(np.max(2 * shared / total, initial=0.0))


class Classes:
    """Naive Bayes model of the words of each class."""

    def __init__(self, sentences: Sequence[Sentence], n_groups: int) -> None:
        keys = sorted({token.key for s in sentences for token in s.tokens})
        self._at = {key: i for i, key in enumerate(keys)}
        counts = np.full((len(keys), n_groups), _SMOOTHING)
        for sentence in sentences:
            for key in {token.key for token in sentence.tokens}:
                counts[self._at[key], sentence.group] += 1
        self._weights = np.log(counts / counts.sum(axis=0))

    def margin(self, tokens: Sequence[Token], group: int) -> float:
        """Return the log-likelihood ratio of a class to the best other one; inf without another."""
        at = [self._at[key] for key in {token.key for token in tokens}]
        scores = self._weights[at].sum(axis=0)
        return float(scores[group] - np.delete(scores, group).max(initial=-np.inf))


def _terms(text: str) -> list[Term]:
    """Return the words and pairs of a text, each with the number of its earlier occurrences."""
    words = words_of(text)
    seen: Counter[object] = Counter()
    terms: list[Term] = []
    for term in (*words, *pairwise(words)):
        terms.append((term, seen[term]))
        seen[term] += 1
    return terms


class Walk:
    """A model of which token follows which, as places in real texts.

    A walk follows a real text. After each token it may go on in another text of the same class, at a
    place before which the same two tokens stand; where there is none, the same one token (back-off).
    A slot is one token, so carrier phrases are joined at slots that they share, what only some texts
    have between two such places is left out or put in, and no slot is ever cut. This is drawing from an
    n-gram model of the class, without counting n-grams.
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

    def tokens(
        self, base: int, switch: float, borrow: float, rng: np.random.Generator
    ) -> tuple[list[Token], list[int]]:
        """Return the tokens of a walk, and the sentences that they are from, `base` first."""
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
        while i < len(self.sentences[k].tokens) and len(tokens) < _MAX_LENGTH_RATIO * self._longest:
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
            # Never back in the same sentence: a walk must end.
            found = [
                place
                for place in self._followers.get((group, context), ())
                if place[0] != here[0] or place[1] > here[1]
            ]
            if found:
                return found[int(rng.integers(len(found)))]
        return here

    def _opening(self, base: int, rng: np.random.Generator) -> tuple[int, int, int] | None:
        """Return a sentence, the length of its opening, and the token at which `base` goes on.

        Only first halves are exchanged: the subject of a text is mostly in the second.
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


@dataclass(frozen=True)
class NewText:
    """A new text, its spans, and the rows that its pieces are from, the first one first."""

    text: str
    spans: list[dict[str, Any]]
    rows: list[int]


class TextComposer:
    """Writes texts from sentences and values."""

    def __init__(
        self,
        sentences: Sequence[Sentence],
        values: Values,
        texts: Sequence[str],
        *,
        switch: float,
        borrow: float,
        max_similarity: float,
    ) -> None:
        self._walk, self._values = Walk(sentences), values
        self._probabilities, self._max_similarity = (switch, borrow), max_similarity
        self._classes = Classes(sentences, 1 + max(sentence.group for sentence in sentences))
        # Class -> number of tokens of its shortest real text
        self._shortest: dict[int, int] = {}
        for sentence in sentences:
            n = len(sentence.tokens)
            self._shortest[sentence.group] = min(n, self._shortest.get(sentence.group, n))
        self._real = RealTexts(texts)

    def new(
        self, bases: Iterator[int], known: set[str], rng: np.random.Generator
    ) -> NewText | None:
        """Return a text that is no near copy and, if possible, not in `known`; None if all tries fail."""
        repeated: NewText | None = None
        for attempt in range(MAX_TRIES):
            written = self._try(next(bases), attempt >= _TRIES_AS_SET, rng)
            if written is not None and written.text not in known:
                known.add(written.text)
                return written
            repeated = repeated or written
            if repeated is not None and attempt >= _TRIES_FOR_NEW:
                return repeated
        return None

    def _try(self, base: int, hard: bool, rng: np.random.Generator) -> NewText | None:
        """Return a text if it passes; `hard` takes every switch and drops words."""
        switch, borrow = (1.0, 1.0) if hard else self._probabilities
        tokens, used = self._walk.tokens(base, switch, borrow, rng)
        if hard:
            dropped = rng.random(len(tokens)) < _DROP_PROBABILITY
            tokens = [t for t, drop in zip(tokens, dropped) if t.value is not None or not drop]
        sentence = self._walk.sentences[base]
        group = sentence.group
        # The margin of the real text is enough: some classes are not separable by words.
        min_margin = min(_MIN_MARGIN, self._classes.margin(sentence.tokens, group))
        min_length = self._shortest[group] // 2 + 1 if hard else self._shortest[group]
        if len(tokens) < min_length or self._classes.margin(tokens, group) < min_margin:
            return None
        text, spans = self._write(tokens, group, rng)
        if self._real.has_repetition(text) or self._real.similarity(text) > self._max_similarity:
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

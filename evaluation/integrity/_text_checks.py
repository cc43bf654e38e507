"""All checks of a column of texts, of its spans, and of the labels beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from twinset.core.integrity import FaultKind
from twinset.core.seeding import rng_for
from twinset.core.stats.hypothesis_tests import excess_p

from .._bootstrap_metric import Bools, Floats, Ints
from ._checks import Check
from ._copied_values import SingleValues
from ._exact_tests import Fault, compare_flags, compare_keys, compare_scores
from ._label_model import LabelModel, frequent_labels
from ._sequence_model import LetterModel, WordModel, look_up
from ._spans import SpanArrays, SpanModel
from ._text_arrays import NOTHING, Hashes, TextArrays
from ._text_forms import find_repetitions, match_patterns, measure_forms
from ._text_repeats import PhraseKeys, count_groups, near_groups, repeated_groups

_MAX_FIT = 20_000  # train texts that models are fitted on: their counters hold no more

_KINDS = {
    **dict.fromkeys(("end", "last words", "beginning", "first words"), FaultKind.CUT_TEXT),
    **dict.fromkeys(("no mark at the end", "an open bracket"), FaultKind.CUT_TEXT),
}
_DETAILS = {"end": "last letters", "beginning": "first letters"}


@dataclass(frozen=True)
class TextColumn:
    """A column of texts as it was given, and as arrays."""

    column: pa.ChunkedArray

    @cached_property
    def values(self) -> list[str]:
        """Texts; a missing one is empty."""
        return [text or "" for text in self.column.to_pylist()]

    @cached_property
    def texts(self) -> TextArrays:
        """Characters and tokens."""
        return TextArrays.from_texts(self.values)

    @cached_property
    def flags(self) -> dict[str, Bools]:
        """Faults that each text shows by itself."""
        return {**match_patterns(self.column), **find_repetitions(self.texts)}


@dataclass(frozen=True)
class TextSets:
    """The texts of a column in the three sets."""

    name: str
    train: TextColumn
    synthetic: TextColumn
    holdout: TextColumn

    def find_checks(self) -> Iterator[Check]:
        """Yield the check of each kind of fault."""
        for kind, own in self.synthetic.flags.items():
            real = self.holdout.flags[kind], self.train.flags[kind]
            yield compare_flags(self._fault(kind, FaultKind.TEXT_FORM), own, *real)
        scorer = TextScorer.fit(self.train)
        own_scores, real_scores = (
            scorer.score(self.synthetic.texts),
            scorer.score(self.holdout.texts),
        )
        for kind, scores in own_scores.items():
            fault = self._fault(kind, FaultKind.UNLIKELY_TEXT)
            yield compare_scores(fault, scores, real_scores[kind])
        single = SingleValues.fit(self.train.texts)
        real_copies = single.find_copies(self.holdout.texts)
        for kind, own in single.find_copies(self.synthetic.texts).items():
            yield compare_flags(self._fault(kind, FaultKind.COPIED_VALUE), own, real_copies[kind])
        yield from self._check_repeats()
        yield from self._check_phrases()

    def _fault(self, kind: str, default: FaultKind) -> Fault:
        return Fault(_KINDS.get(kind, default), self.name, _DETAILS.get(kind, kind))

    def _check_repeats(self) -> Iterator[Check]:
        """Yield the checks of texts that repeat one another, beside as many real texts."""
        real = [*self.train.values, *self.holdout.values]
        n = min(len(self.synthetic.values), len(real))
        own, pooled = (_draw_texts(values, n) for values in (self.synthetic.values, real))
        for kind, find in (("word by word", repeated_groups), ("but for one word", near_groups)):
            counts = [int(count_groups(find(texts)).sum()) for texts in (own, pooled)]
            rows = np.flatnonzero(find(self.synthetic.texts) >= 0)
            n_unseen = int((find(self.holdout.texts) >= 0).sum())
            fault = Fault(FaultKind.REPEATED_TEXT, self.name, kind)
            p = excess_p(counts[0], n, counts[1], n) if counts[0] else 1.0
            yield fault.check(rows, (n_unseen, len(self.holdout.values)), p_value=p)

    def _check_phrases(self) -> Iterator[Check]:
        """Yield the checks of one wording that occurs in far more texts than in real ones."""
        sets = self.holdout.texts, self.train.texts
        phrases = PhraseKeys.fit(self.synthetic.texts, *sets)
        real = [phrases.keys(texts) for texts in sets]
        for kind, keys in phrases.keys(self.synthetic.texts).items():
            pairs = [(own[kind], len(texts)) for own, texts in zip(real, sets)]
            fault = Fault(FaultKind.REPEATED_PHRASE, self.name, kind)
            yield compare_keys(fault, keys, len(self.synthetic.values), pairs)


def _draw_texts(values: Sequence[str], n: int) -> TextArrays:
    """Return `n` of the texts: how many repeat one another depends on how many there are."""
    chosen = np.sort(rng_for(0, "integrity", "texts").permutation(len(values))[:n])
    return TextArrays.from_texts([values[i] for i in chosen])


@dataclass(frozen=True)
class TextScorer:
    """Models of real train texts; their scores are high where real texts seldom are."""

    letters: LetterModel
    words: WordModel
    characters: Rarity
    shapes: Rarity

    @classmethod
    def fit(cls, train: TextColumn) -> TextScorer:
        """Return the models of at most 20,000 train texts."""
        texts = (
            train.texts if len(train.values) <= _MAX_FIT else _draw_texts(train.values, _MAX_FIT)
        )
        characters = Rarity.fit(texts.lower.astype(np.uint64))
        return cls(
            LetterModel.fit(texts), WordModel.fit(texts), characters, Rarity.fit(texts.shapes[0])
        )

    def score(self, texts: TextArrays) -> dict[str, Floats]:
        """Return the scores of each text, shape (n,) each."""
        unknown = texts.by_text(
            (texts.is_word & (self.words.count(texts.words) == 0)).astype(float)
        )
        inside = np.flatnonzero(texts.classes != NOTHING)
        owner = np.searchsorted(texts.starts, inside, side="right") - 1
        characters = texts.lower[inside].astype(np.uint64)
        return {
            **self.letters.surprises(texts),
            **self.words.surprises(texts),
            **measure_forms(texts),
            "unknown words": unknown,
            "share of unknown words": unknown / np.maximum(texts.n_tokens, 1),
            "misspelt words": texts.by_text(self.words.misspelt(texts).astype(float)),
            "a rare character": self.characters.score(characters, owner, len(texts)),
            "a rare form of a number": self.shapes.score(*texts.shapes, len(texts)),
        }


@dataclass(frozen=True)
class Rarity:
    """How seldom real train texts have something."""

    known: Hashes
    uses: Ints

    @classmethod
    def fit(cls, keys: Hashes) -> Rarity:
        """Return the uses of each key."""
        return cls(*np.unique(keys, return_counts=True))

    def score(self, keys: Hashes, rows: Ints, n: int) -> Floats:
        """Return the rarity of the rarest key of each row: minus its uses, NaN without a key."""
        out = np.full(n, np.nan)
        np.fmax.at(out, rows, -look_up(keys, self.known, self.uses).astype(float))
        return out


def check_spans(
    name: str, train: SpanArrays, synthetic: SpanArrays, holdout: SpanArrays
) -> Iterator[Check]:
    """Yield the check of each kind of fault of a column of spans."""
    pooled = [holdout.find_faults(), train.find_faults()]
    for kind, found in synthetic.find_faults().items():
        fault = Fault(FaultKind.SPAN, name, kind)
        yield compare_flags(fault, found, *(one[kind] for one in pooled))
    model = SpanModel.fit(train)
    unseen = model.find_faults(holdout)
    for kind, found in model.find_faults(synthetic).items():
        yield compare_flags(Fault(FaultKind.SPAN, name, kind), found, unseen[kind])
    values = model.find_unknown_values(holdout)
    for label, found in model.find_unknown_values(synthetic).items():
        fault = Fault(FaultKind.SPAN, name, f"an unknown value of {label}")
        yield compare_flags(fault, found, values[label])
    real_odds, real_sizes = model.contradictions(holdout), holdout.measure()
    for label, odds in model.contradictions(synthetic).items():
        fault = Fault(FaultKind.CONTRADICTED_LABEL, name, label)
        yield compare_scores(fault, odds, real_odds[label])
    for kind, sizes in synthetic.measure().items():
        yield compare_scores(Fault(FaultKind.SPAN, name, kind), sizes, real_sizes[kind])


def check_labels(
    name: str, texts: Sequence[TextArrays], labels: Sequence[Sequence[str]]
) -> Iterator[Check]:
    """Yield the checks of labels that words contradict, over all and by label.

    `texts` and `labels` are those of train, candidate and holdout; a missing label is empty.
    """
    features = []
    for one in texts:
        keys, rows = one.runs(2)
        features.append((np.concatenate([one.words, keys]), np.concatenate([one.owner, rows])))
    model = LabelModel.fit(*features[0], labels[0])
    own, real = (model.contradictions(*f, given) for f, given in zip(features[1:], labels[1:]))
    yield compare_scores(Fault(FaultKind.CONTRADICTED_LABEL, name), own, real)
    given = [np.array(one, dtype=object) for one in labels[1:]]
    for level in frequent_labels(labels[0]):
        parts = (np.where(g == level, s, np.nan) for s, g in zip((own, real), given))
        yield compare_scores(Fault(FaultKind.CONTRADICTED_LABEL, name, level), *parts)

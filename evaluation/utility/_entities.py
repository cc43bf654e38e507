"""Texts with spans, what a tagger trained on some of them finds in others, and how that is scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import NotMeasurable
from twinset.core.data.dataset import Dataset

from ._tagger import fit_tagger, predict_tags
from ._tokens import Entity, Ints, Tokens

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

FEWEST_ENTITIES = 20


@dataclass(frozen=True)
class TokenizedTexts:
    """Texts as tokens, with the tags and the entities that their spans mean.

    Parameters
    ----------
    tokens : Tokens
        All tokens.
    tags : numpy.ndarray of int, shape (t,)
        True tags.
    entities : tuple
        The spans themselves, whether or not tokens can say them.
    labels : tuple of str
        Labels that are looked for, those of the real train part.
    """

    tokens: Tokens
    tags: Ints
    entities: tuple[Entity, ...]
    labels: tuple[str, ...]

    @classmethod
    def of(cls, rows: Dataset, labels: Sequence[str]) -> TokenizedTexts:
        """Return the texts of a set's first text column with the spans of its first span column."""
        texts, marks = text_and_spans(rows)
        tokens = Tokens.of([text or "" for text in rows.records.column(texts).to_pylist()])
        spans = [own or [] for own in rows.records.column(marks).to_pylist()]
        tags = tokens.tags(spans, {label: k for k, label in enumerate(labels)})
        known = set(labels)
        entities = tuple(
            (i, int(span["start"]), int(span["end"]), str(span["label"]))
            for i, own in enumerate(spans)
            for span in own
            if str(span["label"]) in known
        )
        return cls(tokens, tags, entities, tuple(labels))

    @property
    def n_tags(self) -> int:
        """Number of tags: two a label, and outside."""
        return 2 * len(self.labels) + 1

    def of_texts(self, rows: Rows) -> Rows:
        """Return the places of the tokens of these texts."""
        asked = np.zeros(self.tokens.n_texts, dtype=bool)
        asked[rows] = True
        return np.flatnonzero(asked[self.tokens.text])


@dataclass(frozen=True)
class EntityCounts:
    """What a tagger found in the holdout: counts of each text and label.

    Parameters
    ----------
    right, told, true : numpy.ndarray, shape (n, labels)
        Entities found exactly as they are, entities told, and entities there are.
    wrong_tokens : numpy.ndarray, shape (n,)
        Share of each text's tokens with a wrong tag.
    """

    right: Floats
    told: Floats
    true: Floats
    wrong_tokens: Floats

    def f1(self, weight: Floats) -> Floats:
        """Return the F1 of all entities, exact in span and label, the texts weighted, shape (1,)."""
        right, told, true = (weight @ part.sum(axis=1) for part in self._counts)
        return np.array([2 * right / max(told + true, 1e-12)])

    def f1_by_label(self) -> Floats:
        """Return the F1 of each label, shape (labels,); NaN where the holdout has none of it."""
        right, told, true = (part.sum(axis=0) for part in self._counts)
        return np.where(true > 0, 2 * right / np.maximum(told + true, 1e-12), np.nan)

    @property
    def _counts(self) -> tuple[Floats, Floats, Floats]:
        return self.right, self.told, self.true


def text_and_spans(rows: Dataset) -> tuple[str, str]:
    """Return the names of the first text column and of the first column of spans.

    Raises
    ------
    NotMeasurable
        There is none.
    """
    texts, marks = (rows.schema.of_kind(kind) for kind in ("text", "spans"))
    if not texts or not marks:
        raise NotMeasurable("it needs a column of texts and one of the spans in them")
    return texts[0].name, marks[0].name


def labels_of(train: Dataset, holdout: Dataset) -> tuple[str, ...]:
    """Return the labels of the spans of the real train part, in order.

    Raises
    ------
    NotMeasurable
        Train or holdout has fewer than 20 spans.
    """
    counts = []
    labels: set[str] = set()
    for part in (train, holdout):
        spans = [own or [] for own in part.records.column(text_and_spans(part)[1]).to_pylist()]
        counts.append(sum(map(len, spans)))
        if part is train:
            labels = {str(span["label"]) for own in spans for span in own}
    if min(counts) < FEWEST_ENTITIES:
        raise NotMeasurable(
            f"it needs at least {FEWEST_ENTITIES} spans in the train part and in the holdout"
        )
    return tuple(sorted(labels))


def found_by(
    parts: Sequence[tuple[TokenizedTexts, Rows]], holdout: TokenizedTexts, seed: int
) -> EntityCounts:
    """Return what a tagger finds in the holdout that was trained on these texts of each part."""
    chosen = [(part, part.of_texts(rows)) for part, rows in parts]
    features = np.concatenate([part.tokens.features[at] for part, at in chosen])
    tags = np.concatenate([part.tags[at] for part, at in chosen])
    weights = fit_tagger(features, tags, holdout.n_tags, np.random.default_rng(seed))
    told = predict_tags(weights, holdout.tokens.features)
    return score_tags(told, holdout)


def score_tags(told: Ints, holdout: TokenizedTexts) -> EntityCounts:
    """Return how far tags hit the entities of the holdout.

    Parameters
    ----------
    told : numpy.ndarray of int, shape (t,)
        Tags that a model gives the holdout's tokens.
    holdout : Marked
        What is true.
    """
    n, place = holdout.tokens.n_texts, {label: k for k, label in enumerate(holdout.labels)}
    guessed = holdout.tokens.entities(told, holdout.labels)
    true = set(holdout.entities)

    def counted(entities: Sequence[Entity]) -> Floats:
        out = np.zeros((n, len(place)))
        for text, _, _, label in entities:
            out[text, place[label]] += 1
        return out

    n_tokens = np.bincount(holdout.tokens.text, minlength=n)
    wrong = np.bincount(holdout.tokens.text, weights=told != holdout.tags, minlength=n)
    hits = [entity for entity in guessed if entity in true]
    shares = wrong / np.maximum(n_tokens, 1)
    return EntityCounts(counted(hits), counted(guessed), counted(sorted(true)), shares)

"""A tagger of entities: an averaged perceptron on tokens, and its score on other texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import NotMeasurable
from twinset.core.data.dataset import Dataset

from ._tokens import N_BUCKETS, Entity, Ints, TokenArrays

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Weights = npt.NDArray[np.float32]

_MIN_ENTITIES = 20  # spans in train and in the holdout: an F1 of fewer is noise
_EPOCHS = 8  # passes over the tokens: the mean of the weights changes little after them
_BATCH = 16  # tokens that are updated together, for speed


@dataclass(frozen=True)
class TokenizedTexts:
    """Texts as tokens, with the tags and entities of their spans.

    Parameters
    ----------
    tokens : TokenArrays
        All tokens.
    tags : numpy.ndarray of int, shape (t,)
        True tags.
    entities : tuple
        The spans themselves, also those that tokens cannot represent.
    labels : tuple of str
        Labels to find: those of the real train set.
    """

    tokens: TokenArrays
    tags: Ints
    entities: tuple[Entity, ...]
    labels: tuple[str, ...]

    @classmethod
    def from_dataset(cls, rows: Dataset, labels: Sequence[str]) -> TokenizedTexts:
        """Return the texts of a set's first text column with the spans of its first span column."""
        texts, marks = text_and_spans(rows)
        tokens = TokenArrays.from_texts(
            [text or "" for text in rows.records.column(texts).to_pylist()]
        )
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

    def find_tokens(self, rows: Rows) -> Rows:
        """Return the positions of the tokens of these texts."""
        chosen = np.zeros(self.tokens.n_texts, dtype=bool)
        chosen[rows] = True
        return np.flatnonzero(chosen[self.tokens.text])


@dataclass(frozen=True)
class EntityCounts:
    """Entities that a tagger found in the holdout: counts of each text and label.

    Parameters
    ----------
    right, predicted, true : numpy.ndarray, shape (n, labels)
        Entities found exactly, predicted entities, and true ones.
    wrong_tokens : numpy.ndarray, shape (n,)
        Share of each text's tokens with a wrong tag.
    """

    right: Floats
    predicted: Floats
    true: Floats
    wrong_tokens: Floats

    def f1(self, weight: Floats) -> Floats:
        """Return the F1 of all entities, exact in span and label, the texts weighted, shape (1,)."""
        right, predicted, true = (weight @ part.sum(axis=1) for part in self._counts)
        return np.array([2 * right / max(predicted + true, 1e-12)])

    def f1_by_label(self) -> Floats:
        """Return the F1 of each label, shape (labels,); NaN where the holdout has none of it."""
        right, predicted, true = (part.sum(axis=0) for part in self._counts)
        return np.where(true > 0, 2 * right / np.maximum(predicted + true, 1e-12), np.nan)

    @property
    def _counts(self) -> tuple[Floats, Floats, Floats]:
        return self.right, self.predicted, self.true


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


def list_labels(train: Dataset, holdout: Dataset) -> tuple[str, ...]:
    """Return the labels of the spans of the real train set, in order.

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
    if min(counts) < _MIN_ENTITIES:
        raise NotMeasurable(
            f"it needs at least {_MIN_ENTITIES} spans in the train set and in the holdout"
        )
    return tuple(sorted(labels))


def fit_tagger(features: Ints, tags: Ints, n_tags: int, rng: np.random.Generator) -> Weights:
    """Return weights of an averaged perceptron, shape (buckets, n_tags).

    Eight epochs in random orders, 16 tokens at once; the weights are the mean over all steps.

    Parameters
    ----------
    features : numpy.ndarray of int, shape (t, f)
        Buckets of each token's features.
    tags : numpy.ndarray of int, shape (t,)
        The true tag of each token, 0 to n_tags - 1.
    n_tags : int
        Number of tags.
    rng : numpy.random.Generator
        Draws the orders.

    References
    ----------
    Collins (2002), Discriminative Training Methods for Hidden Markov Models, EMNLP.

    Examples
    --------
    >>> features = np.array([[1, 9], [2, 9], [1, 9], [2, 9]])
    >>> weights = fit_tagger(features, np.array([0, 1, 0, 1]), 2, np.random.default_rng(0))
    >>> predict_tags(weights, features).tolist()
    [0, 1, 0, 1]
    """
    now = np.zeros((N_BUCKETS, n_tags), dtype=np.float32)
    # The mean over all steps is the last weights less each change times the share of steps before it.
    late = np.zeros_like(now)
    flat_now, flat_late = now.ravel(), late.ravel()
    step, n_steps = 0, _EPOCHS * -(-len(tags) // _BATCH)
    for _ in range(_EPOCHS):
        order = rng.permutation(len(tags))
        for start in range(0, len(order), _BATCH):
            rows = order[start : start + _BATCH]
            predicted = predict_tags(now, features[rows])
            wrong = np.flatnonzero(predicted != tags[rows])
            if len(wrong):
                at = features[rows[wrong]] * n_tags
                for tag, change in ((tags[rows[wrong]], 1.0), (predicted[wrong], -1.0)):
                    places = (at + tag[:, None]).ravel()
                    np.add.at(flat_now, places, np.float32(change))
                    np.add.at(flat_late, places, np.float32(change * step / n_steps))
            step += 1
    return now - late


def predict_tags(weights: Weights, features: Ints) -> Ints:
    """Return the tag of the highest score for each token, shape (t,); of equal ones the first."""
    out = np.empty(len(features), dtype=np.int64)
    for start in range(0, len(features), 4_096):
        part = features[start : start + 4_096]
        scores = weights[part[:, 0]].copy()
        for column in part.T[1:]:
            scores += weights[column]
        out[start : start + 4_096] = scores.argmax(axis=1)
    return out


def score_tagger(
    parts: Sequence[tuple[TokenizedTexts, Rows]], holdout: TokenizedTexts, seed: int
) -> EntityCounts:
    """Return the score on the holdout of a tagger that was trained on these texts of each part."""
    chosen = [(part, part.find_tokens(rows)) for part, rows in parts]
    features = np.concatenate([part.tokens.features[at] for part, at in chosen])
    tags = np.concatenate([part.tags[at] for part, at in chosen])
    weights = fit_tagger(features, tags, holdout.n_tags, np.random.default_rng(seed))
    return score_tags(predict_tags(weights, holdout.tokens.features), holdout)


def score_tags(predicted: Ints, holdout: TokenizedTexts) -> EntityCounts:
    """Return the entities of the holdout that predicted tags, shape (t,), find."""
    n, place = holdout.tokens.n_texts, {label: k for k, label in enumerate(holdout.labels)}
    found = holdout.tokens.entities(predicted, holdout.labels)
    true = set(holdout.entities)

    def count(entities: Sequence[Entity]) -> Floats:
        out = np.zeros((n, len(place)))
        for text, _, _, label in entities:
            out[text, place[label]] += 1
        return out

    n_tokens = np.bincount(holdout.tokens.text, minlength=n)
    wrong = np.bincount(holdout.tokens.text, weights=predicted != holdout.tags, minlength=n)
    hits = [entity for entity in found if entity in true]
    shares = wrong / np.maximum(n_tokens, 1)
    return EntityCounts(count(hits), count(found), count(sorted(true)), shares)

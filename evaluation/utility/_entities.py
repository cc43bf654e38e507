"""A tagger of entities: tokens with features of their context, an averaged perceptron, and its score."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import NotMeasurable
from twinset.core.data.dataset import Dataset

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Weights = npt.NDArray[np.float32]
Entity = tuple[int, int, int, str]
"""Text, start, end, label; in code points, half-open."""

N_BUCKETS = 1 << 16  # of features: a few thousand words with their pairs collide rarely
_TOKEN = re.compile(r"\w+|[^\w\s]")
_AFFIX = 3  # characters of a beginning or end: most suffixes of European languages
_REACH = 2  # words on each hand that describe a token
_OUTSIDE = 1  # feature beyond a text; hashes of words are 2 or more
_ODD = np.uint64(0x9E3779B97F4A7C15)  # 2**64 over the golden ratio: multiplicative hashing

_MIN_ENTITIES = 20  # spans in train and in the holdout: an F1 of fewer is noise
_EPOCHS = 8  # passes over the tokens: the mean of the weights changes little after them
_BATCH = 16  # tokens that are updated together, for speed


@dataclass(frozen=True)
class TokenArrays:
    """Tokens of many texts, one after the other, with the buckets of their features, shape (t, f).

    `text`, `start` and `end` are the text of each token and its place there in code points, shape (t,);
    `n_texts` counts the texts with or without tokens.
    """

    text: Ints
    start: Ints
    end: Ints
    features: Ints
    n_texts: int

    @classmethod
    def from_texts(cls, texts: Sequence[str]) -> TokenArrays:
        """Return the tokens of texts: words, and every other character by itself.

        Features are the word, its beginning, its end and its shape, the two words before and after it, and
        its pairs with its neighbours, hashed to 65,536 buckets.
        """
        known: dict[str, tuple[int, ...]] = {}
        rows, places = [], []
        for i, text in enumerate(texts):
            for found in _TOKEN.finditer(text):
                if found[0] not in known:
                    known[found[0]] = _hash_word(found[0])
                rows.append(known[found[0]])
                places.append((i, *found.span()))
        owner, start, end = np.array(places, dtype=np.int64).reshape(-1, 3).T
        own = np.array(rows, dtype=np.uint64).reshape(-1, 4)
        return cls(owner, start, end, _add_context(own, owner), len(texts))

    def tags(self, spans: Sequence[Sequence[Mapping[str, Any]]], place: Mapping[str, int]) -> Ints:
        """Return the tag of each token, shape (t,): 0 outside, else by label 2 k + 1 first, 2 k + 2 inside.

        A token is in a span that more than half of it lies in; of two such spans in the earlier one.
        `place` is label -> k; spans of other labels are ignored.
        """
        out = np.zeros(len(self.text), dtype=np.int64)
        first = np.searchsorted(self.text, np.arange(self.n_texts + 1))
        for i, own in enumerate(spans):
            tokens = slice(first[i], first[i + 1])
            starts, ends = self.start[tokens], self.end[tokens]
            for span in sorted(own, key=lambda one: (-one["start"], one["end"])):
                k = place.get(str(span["label"]))
                inside = np.minimum(ends, span["end"]) - np.maximum(starts, span["start"])
                covered = np.flatnonzero(2 * inside > ends - starts)
                if k is not None and len(covered):
                    out[first[i] + covered] = 2 * k + 2
                    out[first[i] + covered[0]] = 2 * k + 1
        return out

    def entities(self, tags: Ints, labels: Sequence[str]) -> list[Entity]:
        """Return the spans of tags; an inside tag that follows no span of its label begins one."""
        found: list[Entity] = []
        before, text = 0, -1
        for i in np.flatnonzero(tags):
            tag, at = int(tags[i]), int(self.text[i])
            joined = i > 0 and at == text and tag % 2 == 0 and before == i - 1
            label = labels[(tag - 1) // 2]
            if joined and found[-1][3] == label:
                found[-1] = (at, found[-1][1], int(self.end[i]), label)
            else:
                found.append((at, int(self.start[i]), int(self.end[i]), label))
            before, text = int(i), at
        return found


def _hash_word(word: str) -> tuple[int, ...]:
    """Return hashes of a word in lowercase, its end, its beginning and its shape."""
    small = word.lower()
    shape = re.sub(r"(.)\1+", r"\1", re.sub(r"[a-z]", "a", re.sub(r"[A-Z]", "A", word)))
    shape = re.sub(r"\d+", "0", shape) if len(word) > 1 else shape
    parts = (small, small[-_AFFIX:], small[:_AFFIX], shape[:8])
    return tuple(zlib.crc32(part.encode()) + 2 for part in parts)


def _add_context(own: npt.NDArray[np.uint64], text: Ints) -> Ints:
    """Return the buckets of all features, shape (t, f), from the hashes of each token."""
    word = own[:, 0]
    near = {side: _shift(word, text, side) for side in range(-_REACH, _REACH + 1)}
    features = [
        *own.T[1:],
        *near.values(),
        _shift(own[:, 3], text, -1),
        near[-1] * np.uint64(31) + near[0],
        near[0] * np.uint64(31) + near[1],
        np.ones(len(word), dtype=np.uint64),
    ]
    mixed = [(part + np.uint64(977 * (k + 1))) * _ODD for k, part in enumerate(features)]
    return np.stack([(part >> np.uint64(48)).astype(np.int64) for part in mixed], axis=1)


def _shift(values: npt.NDArray[np.uint64], text: Ints, by: int) -> npt.NDArray[np.uint64]:
    """Return the value `by` tokens away in the same text; a constant where there is none."""
    if by == 0:
        return values
    out = np.full(len(values), _OUTSIDE, dtype=np.uint64)
    n = max(len(values) - abs(by), 0)
    here, there = (slice(-by, None), slice(0, n)) if by < 0 else (slice(0, n), slice(by, None))
    same = text[here] == text[there]
    out[here] = np.where(same, values[there], np.uint64(_OUTSIDE))
    return out


@dataclass(frozen=True)
class TokenizedTexts:
    """Texts as tokens, with true tags and the spans themselves, also those that tokens cannot represent.

    `labels` are those to find, of the real train set.
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

    def __len__(self) -> int:
        return self.tokens.n_texts

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
    """Entities that a tagger found in the holdout.

    `counts`, shape (3, n, labels), are the entities of each text that are found exactly, predicted, and
    true; `wrong_tokens`, shape (n,), the share of its tokens with a wrong tag.
    """

    counts: Floats
    wrong_tokens: Floats

    def f1(self, weight: Floats) -> Floats:
        """Return the F1 of all entities, exact in span and label, the texts weighted, shape (1,)."""
        right, predicted, true = (weight @ part.sum(axis=1) for part in self.counts)
        return np.array([2 * right / max(predicted + true, 1e-12)])

    def f1_by_label(self) -> Floats:
        """Return the F1 of each label, shape (labels,); NaN where the holdout has none of it."""
        right, predicted, true = self.counts.sum(axis=1)
        return np.where(true > 0, 2 * right / np.maximum(predicted + true, 1e-12), np.nan)


def text_and_spans(rows: Dataset) -> tuple[str, str]:
    """Return the names of the first text column and of the first column of spans."""
    texts, marks = (rows.schema.of_kind(kind) for kind in ("text", "spans"))
    if not texts or not marks:
        raise NotMeasurable("it needs a column of texts and one of the spans in them")
    return texts[0].name, marks[0].name


def list_labels(train: Dataset, holdout: Dataset) -> tuple[str, ...]:
    """Return the labels of the spans of the real train set, in order; both sets need 20 spans."""
    counts, labels = [], []
    for part in (train, holdout):
        spans = part.records.column(text_and_spans(part)[1]).to_pylist()
        labels.append({str(span["label"]) for own in spans for span in own or []})
        counts.append(sum(len(own or []) for own in spans))
    if min(counts) < _MIN_ENTITIES:
        raise NotMeasurable(
            f"it needs at least {_MIN_ENTITIES} spans in the train set and in the holdout"
        )
    return tuple(sorted(labels[0]))


def fit_tagger(features: Ints, tags: Ints, n_tags: int, rng: np.random.Generator) -> Weights:
    """Return weights of an averaged perceptron, shape (buckets, n_tags).

    Eight epochs in random orders, 16 tokens at once; the weights are the mean over all steps. Features are
    buckets of each token, shape (t, f).

    References
    ----------
    Collins (2002), Discriminative Training Methods for Hidden Markov Models, EMNLP.
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
    counts = np.array([count(hits), count(found), count(sorted(true))])
    return EntityCounts(counts, wrong / np.maximum(n_tokens, 1))

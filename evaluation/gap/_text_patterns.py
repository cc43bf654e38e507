"""Patterns of texts and of their spans: pieces, how often each is used, and distances of that."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np

from twinset.core.data.dataset import Dataset
from twinset.core.stats.bootstrap import Groups

from .._bootstrap_metric import Bools, Floats
from .._results import Pattern, Shares, share_distance

PieceSplitter = Callable[[str], Sequence[str]]
Spans = Sequence[Mapping[str, Any]]

_MAX_PIECES = 2_000  # most frequent pieces with a cell of their own: of more, rare ones are chance
_MIN_USES = 10  # in real texts: the share of a rarer piece is mostly chance
_N_LENGTH_BINS = 10  # deciles of the number of words: finer bins hold single lengths
# Of few pieces, so that chance between rare ones does not hide what is off.
_MAX_ORDER_PIECES, _MAX_ENDS = 100, 12
_MIN_NUMBERS = 100  # in train texts: of fewer, the shares of sizes are chance
_COMMON_WORDS = 200  # that keep their spelling in the order of words: mostly function words
_MIN_REPEAT_WORDS = 5  # shorter texts often differ by one word only: "play jazz", "play rock"
_N_MIXTURES = 25  # points of the divergence frontier, as in MAUVE
_DIVERGENCE_SCALE = 5.0  # the constant c of MAUVE
_WORD = re.compile(r"\w+|[^\w\s]")
_NUMBER = re.compile(r"\d+")


def text_values(rows: Dataset, name: str) -> list[str]:
    """Return the texts of a column; a missing one is empty."""
    return [text or "" for text in rows.records.column(name).to_pylist()]


def split_words(text: str) -> list[str]:
    """Return the words and punctuation marks of a text in lowercase."""
    return _WORD.findall(text.lower())


def word_pairs(text: str) -> list[str]:
    """Return the pairs of adjacent words of a text, e.g. "play it"."""
    return [f"{one} {two}" for one, two in pairwise(split_words(text))]


def word_shapes(text: str) -> list[str]:
    """Return the shapes of words: A and a for letters, 0 for digits, marks as they are."""
    return [_shape(word) for word in _WORD.findall(text)]


def number_sizes(text: str) -> list[str]:
    """Return the size of each number: its first digit, and a 0 for each further one."""
    return [found[0] + "0" * (len(found) - 1) for found in _NUMBER.findall(text)]


def order_splitter(texts: Sequence[str]) -> PieceSplitter:
    """Return a function that splits a text into pairs of adjacent words, rare words as shapes.

    Pairs of rare words hardly occur twice, so their order would not be seen. "|" is either end.
    """
    used = Counter(word for text in texts for word in split_words(text))
    common = {word for word, n in used.most_common(_COMMON_WORDS) if n > 1}

    def split(text: str) -> list[str]:
        # Shapes are in brackets, because "a" is a word and a shape.
        words = [
            w.lower() if w.lower() in common else f"<{_shape(w)}>" for w in _WORD.findall(text)
        ]
        return [f"{one} {two}" for one, two in pairwise(["|", *words, "|"])]

    return split


@lru_cache(maxsize=1 << 16)  # the same words come again and again, and this took half of the time
def _shape(word: str) -> str:
    if not word[0].isalnum():
        return word
    found = "".join("A" if c.isupper() else "0" if c.isdigit() else "a" for c in word)
    return re.sub(r"(.)\1+", r"\1", found)


def piece_pattern(
    title: str,
    train: Sequence[Sequence[str]],
    sets: Sequence[Sequence[Sequence[str]]],
    groups: Sequence[Groups],
    *,
    max_pieces: int = _MAX_PIECES,
    min_total: int = 0,
) -> Iterator[Pattern]:
    """Yield the total variation distance of the pieces of reference and synthetic texts."""
    used = Counter(piece for pieces in train for piece in pieces)
    if used.total() < min_total:
        return
    known = [piece for piece, n in used.most_common(max_pieces) if n >= _MIN_USES]
    place = {piece: i for i, piece in enumerate(known)}
    counts = []
    for texts, own in zip(sets, groups):
        table = np.zeros((own.size, len(known) + 1))
        for group, pieces in zip(own.group, texts):
            for piece in pieces:
                table[group, place.get(piece, len(known))] += 1
        counts.append(table)
    yield count_pattern(title, counts, groups)


def count_pattern(title: str, counts: Sequence[Floats], groups: Sequence[Groups]) -> Pattern:
    """Return the total variation distance of counts by group, shape (g, k), of both sets."""
    if any(not table.sum() for table in counts):  # e.g. no text of one set has two words
        distance = float(counts[0].sum() != counts[1].sum())
        return title, distance, np.full(len(groups[0].draws), distance)
    real, synthetic = (_shares(own, table) for own, table in zip(groups, counts))
    return title, *share_distance(synthetic, real)


def cumulative_pattern(title: str, counts: Sequence[Floats], groups: Sequence[Groups]) -> Pattern:
    """Return the largest difference of cumulative shares of ordered cells (Kolmogorov-Smirnov)."""
    real, synthetic = (_shares(own, table) for own, table in zip(groups, counts))
    whole, drawn = (
        np.abs(one.cumsum(axis=1) - other.cumsum(axis=1)).max(axis=1)
        for one, other in zip(synthetic, real)
    )
    return title, float(whole[0]), drawn


def _shares(groups: Groups, counts: Floats) -> Shares:
    """Return shares as `Groups.shares` does; a replicate without any piece has shares of 0."""
    whole, drawn = counts.sum(axis=0, keepdims=True), groups.draws @ counts
    return whole / whole.sum(), drawn / np.maximum(drawn.sum(axis=1, keepdims=True), 1)


def text_patterns(
    name: str, train: Sequence[str], sets: Sequence[Sequence[str]], groups: Sequence[Groups]
) -> Iterator[Pattern]:
    """Yield the distances of lengths, characters, words and pairs of words."""
    known, *lengths = (np.array([len(split_words(text)) for text in own]) for own in (train, *sets))
    edges = np.unique(np.quantile(known, np.linspace(0, 1, _N_LENGTH_BINS + 1)[1:-1]))
    counts = [
        own.counts(np.searchsorted(edges, length, side="right"), len(edges) + 1)
        for own, length in zip(groups, lengths)
    ]
    yield cumulative_pattern(f"length of {name}", counts, groups)
    yield last_word_pattern(name, train, sets, groups)
    order = order_splitter(train)
    splitters: tuple[tuple[str, PieceSplitter, int, int], ...] = (
        ("characters", list, _MAX_PIECES, 0),
        ("shapes of words", word_shapes, _MAX_PIECES, 0),
        ("words", split_words, _MAX_PIECES, 0),
        ("pairs of words", word_pairs, _MAX_PIECES, 0),
        ("order of words", order, _MAX_ORDER_PIECES, 0),
        ("ends", lambda text: order(text)[-1:], _MAX_ENDS, 0),
        ("numbers", number_sizes, _MAX_PIECES, _MIN_NUMBERS),
    )
    for title, split, max_pieces, min_total in splitters:
        known_pieces, *pieces = ([split(text) for text in own] for own in (train, *sets))
        yield from piece_pattern(
            f"{title} of {name}",
            known_pieces,
            pieces,
            groups,
            max_pieces=max_pieces,
            min_total=min_total,
        )


def last_word_pattern(
    name: str, train: Sequence[str], sets: Sequence[Sequence[str]], groups: Sequence[Groups]
) -> Pattern:
    """Return the distance of the shares of texts whose last word ends no train text."""
    known = {words[-1] for text in train if (words := split_words(text))}
    counts = []
    for texts, own in zip(sets, groups):
        new = [bool(words) and words[-1] not in known for words in map(split_words, texts)]
        counts.append(own.counts(np.array(new, dtype=np.int64), 2))
    return count_pattern(f"unknown last words of {name}", counts, groups)


def repetition_patterns(
    name: str, sets: Sequence[Sequence[str]], groups: Sequence[Groups]
) -> Iterator[Pattern]:
    """Yield the distances of the shares of repeats, of near repeats, and of different words.

    Different words are counted within each group, and so in equal numbers of texts.
    """
    counts: dict[str, list[Floats]] = {
        title: [] for title in ("repeats", "near repeats", "different words")
    }
    for texts, own in zip(sets, groups):
        times, words = Counter(texts), [split_words(text) for text in texts]
        repeats = np.array([times[text] > 1 for text in texts], dtype=np.int64)
        counts["repeats"].append(own.counts(repeats, 2))
        near, tested = near_repeats(words)
        counts["near repeats"].append(own.counts(np.where(tested, near, 2), 3)[:, :2])
        distinct: list[set[str]] = [set() for _ in range(own.size)]
        n_words = np.zeros(own.size)
        for group, row in zip(own.group, words):
            distinct[group].update(row)
            n_words[group] += len(row)
        n_distinct = np.array([len(found) for found in distinct], dtype=np.float64)
        counts["different words"].append(np.column_stack([n_distinct, n_words - n_distinct]))
    for title, tables in counts.items():
        yield count_pattern(f"{title} of {name}", tables, groups)


def near_repeats(texts: Sequence[Sequence[str]]) -> tuple[Bools, Bools]:
    """Return which texts nearly repeat another one, and which were tested, each of shape (n,).

    A near repeat differs by the order of words and one word at most: a bag of words is the sum of random
    numbers, one for each word, and two are near when the sums less one word from each, or none, agree.
    """
    number: dict[str, int] = {}
    first: dict[tuple[str, ...], int] = {}
    for row, words in enumerate(texts):
        if len(words) >= _MIN_REPEAT_WORDS:
            first.setdefault(tuple(words), row)
            for word in words:
                number.setdefault(word, len(number))
    # A fixed generator: these numbers only distinguish words.
    codes = np.random.default_rng(0).integers(1, 1 << 63, max(len(number), 1), dtype=np.uint64)
    rows, keys = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.uint64)]
    for distinct, row in first.items():
        own = codes[[number[word] for word in distinct]]
        total = own.sum(dtype=np.uint64)
        keys.append(np.unique(np.append(total - own, total)))
        rows.append(np.full(len(keys[-1]), row))
    _, place, times = np.unique(np.concatenate(keys), return_inverse=True, return_counts=True)
    near, tested = np.zeros(len(texts), dtype=bool), np.zeros(len(texts), dtype=bool)
    near[np.concatenate(rows)[times[place] > 1]] = True
    tested[list(first.values())] = True
    return near, tested


def frontier_area(p: Floats, q: Floats) -> Floats:
    """Return the area under the divergence frontier (MAUVE), shape (b,); 1 = equal distributions.

    The frontier has the points (exp(-5 KL(q, r)), exp(-5 KL(p, r))) for mixtures r of p and q.
    """
    weights = np.linspace(0, 1, _N_MIXTURES + 2)[1:-1][:, None, None]
    mixed = weights * p + (1 - weights) * q
    x, y = (np.exp(-_DIVERGENCE_SCALE * _divergence(one, mixed)) for one in (q, p))
    zeros, ones = np.zeros((1, x.shape[1])), np.ones((1, x.shape[1]))
    # The ends: a mixture of q alone, and of p alone.
    x, y = np.concatenate([ones, x, zeros]), np.concatenate([zeros, y, ones])
    trapezoids = np.diff(x, axis=0) * (y[1:] + y[:-1]) / 2
    return np.asarray(np.abs(trapezoids.sum(axis=0)))


def _divergence(p: Floats, mixed: Floats) -> Floats:
    """Return the Kullback-Leibler divergence of each row of `p` from each mixture, in nats, (m, b)."""
    p = np.broadcast_to(p, mixed.shape)
    ratio = np.divide(p, mixed, out=np.ones_like(mixed), where=p > 0)
    return np.asarray((p * np.log(ratio)).sum(axis=2))


def span_patterns(
    text: str, spans: str, train: Dataset, sets: Sequence[Dataset], groups: Sequence[Groups]
) -> Iterator[Pattern]:
    """Yield the distances of the labels of spans, of the words of each label, and of their ends."""
    splitters = {
        f"labels of {spans}": _span_labels,
        f"words of each label of {spans}": _span_words,
        f"ends of {spans}": _span_ends,
    }
    rows = [
        [(value, own or []) for value, own in zip(text_values(part, text), column.to_pylist())]
        for part in (train, *sets)
        for column in [part.records.column(spans)]
    ]
    for title, split in splitters.items():
        pieces = [[split(value, own) for value, own in part] for part in rows]
        yield from piece_pattern(title, pieces[0], pieces[1:], groups)


def _span_labels(text: str, spans: Spans) -> list[str]:
    return [str(span["label"]) for span in spans] or ["no span"]


def _span_words(text: str, spans: Spans) -> list[str]:
    return [
        f"{span['label']}: {word}"
        for span in spans
        for word in split_words(text[span["start"] : span["end"]])
    ]


def _span_ends(text: str, spans: Spans) -> list[str]:
    """Return the kinds of characters outside and inside of both ends of each span."""
    return [
        _character_kind(text, span["start"] - 1) + _character_kind(text, span["start"]) + " "
        + _character_kind(text, span["end"] - 1) + _character_kind(text, span["end"])
        for span in spans
    ]  # fmt: skip


def _character_kind(text: str, at: int) -> str:
    if not 0 <= at < len(text):
        return "|"
    return "a" if text[at].isalnum() else "_" if text[at].isspace() else "."

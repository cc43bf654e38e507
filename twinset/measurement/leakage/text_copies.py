"""Test texts that are train texts with a few words changed, added or removed.

Texts are compared by their words, rare ones count more. The test texts among themselves show how similar
texts are by nature; where changed copies were added before the split, the next train texts do.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.dataset import Dataset
from twinset.measurement.leakage.evidence import Floats, Leak, first_rows, format_count
from twinset.measurement.leakage.nearness import compare_gaps, compare_nearness, measure_gaps

_MAX_TEST, _MAX_TRAIN = 1_500, 10_000  # texts that are compared: about a second of CPU
_MIN_TEXTS = 40  # with fewer, the control says nothing
_MIN_WORDS = 5  # shorter texts are similar by nature
_N_NEAR = 5  # most similar train texts: one copy, and four that show what is natural
_LIMITS = (0.95, 0.9, 0.85, 0.8)  # similarity, 1 for the same words
_GAPS = (
    3.0,
    2.0,
    1.5,
    1.0,
)  # see `measure_gaps`: one changed word leaves a fifth of a usual distance
_BLOCK = 256  # texts whose similarities to all others are held at a time


def find_text_copies(train: Dataset, test: Dataset, rng: np.random.Generator) -> list[Leak]:
    """Return the leak of test texts that are changed copies of train texts; or none.

    Texts that equal a train text in all words are another leak, and are not counted.
    """
    for field in train.schema.fields:
        if not (field.column_kind.is_free_text and field.name in test.schema.names):
            continue
        own, other = (_read_plainly(part.records.column(field.name)) for part in (train, test))
        others = {text: row for row, text in reversed(list(enumerate(other))) if text}
        known = sorted({text for text in own if text})
        fresh = sorted(set(others) - set(known))
        chosen = [
            [texts[i] for i in np.sort(rng.permutation(len(texts))[:limit])]
            for texts, limit in ((known, _MAX_TRAIN), (fresh, _MAX_TEST))
        ]
        if min(map(len, chosen)) < _MIN_TEXTS:
            continue
        near, control = measure_text_similarity(*chosen)
        more = max(1.0, len(chosen[0]) / len(chosen[1]))
        scores = near[:, 0]
        found = compare_nearness(scores, control, more, _LIMITS)
        if found is None:
            distances = np.sqrt(np.maximum(0.0, 2 - 2 * near))
            scores = measure_gaps(distances)[:, :2].max(axis=1)
            found = compare_gaps(distances, _GAPS)
        if found is not None:
            limit, n, expected, chance = found
            touched = np.zeros(len(test), dtype=bool)
            touched[[others[chosen[1][i]] for i in np.flatnonzero(scores >= limit)]] = True
            message = (
                f"{format_count(n)} of {len(near):,} that were examined hold a train text "
                f"('{field.name}') with a few words changed, where chance explains {expected:,.0f}"
            )
            at, name = first_rows(touched), (field.name,)
            return [Leak("near_copies", message, n, chance, at=at, expected=expected, columns=name)]
    return []


def measure_text_similarity(train: list[str], test: list[str]) -> tuple[Floats, Floats]:
    """Return similarities of each test text to its nearest train texts, and to the nearest other test text.

    `train`, `test`: distinct texts, five or more of each. The first result, shape (n, 5), falls along each
    row; the second has shape (n,).

    >>> own = ["the card was lost at home", "my pin does not work", "pay now", "a b c", "x y z w"]
    >>> near, among = measure_text_similarity(own, ["the card was lost at sea", "q", "r", "s", "t"])
    >>> bool(near[0, 0] > 0.7), float(among[0])
    (True, 0.0)
    """
    # Imported here: it takes half a second, and few tables hold texts.
    from sklearn.feature_extraction.text import TfidfVectorizer

    encoder = TfidfVectorizer(analyzer=str.split, sublinear_tf=True, dtype=np.float32)
    words = encoder.fit_transform([*train, *test])
    own, other = words[: len(train)].T.tocsr(), words[len(train) :]
    among = other.T.tocsr()
    near, control = np.zeros((len(test), _N_NEAR)), np.zeros(len(test))
    for start in range(0, len(test), _BLOCK):
        rows = other[start : start + _BLOCK]
        found = (rows @ own).toarray()
        best = np.partition(found, found.shape[1] - _N_NEAR, axis=1)[:, -_N_NEAR:]
        near[start : start + _BLOCK] = np.sort(best, axis=1)[:, ::-1]
        found = (rows @ among).toarray()
        found[np.arange(len(found)), start + np.arange(len(found))] = -1.0
        control[start : start + _BLOCK] = found.max(axis=1)
    return near, control


def _read_plainly(column: pa.ChunkedArray) -> list[str]:
    """Return texts in lowercase without punctuation; empty for those of few words."""
    plain = pc.utf8_lower(pc.fill_null(pc.cast(column, pa.string()), ""))
    plain = pc.utf8_trim(pc.replace_substring_regex(plain, r"[^\pL\pN]+", " "), " ")
    long = pc.greater_equal(pc.count_substring(plain, " "), _MIN_WORDS - 1)
    return [str(text) for text in pc.if_else(long, plain, "").to_pylist()]

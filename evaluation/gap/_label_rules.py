"""Rules on labels: levels that real rows never have, and pairs of levels that never occur together."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from twinset.core.data.dataset import Dataset

from .._bootstrap_metric import Bools, Ints
from .._samples import place_levels
from ._columns import PooledColumn

# Rows in which independent columns would show a pair of values: none at all then has the chance
# exp(-15), small beside the thousands of pairs that are looked at.
_MIN_EXPECTED = 15.0
MAX_COLUMNS = 30  # of labels whose pairs are looked at: 435 tables
_MAX_LEVELS = 100  # of a column in pairs: of more, no pair of values is expected often enough


def joint_codes(rows: Dataset, train: Dataset, names: Sequence[str]) -> tuple[Ints, Ints]:
    """Return tuples of columns as codes that mean the same in both sets, shapes (n,) and (m,).

    Where one of the values is missing, -1.
    """
    joint, missing = np.zeros(len(rows) + len(train), dtype=np.int64), False
    for name in names:
        column = PooledColumn.from_sets(rows, train, name)
        k = len(column.values)
        codes = np.concatenate(column.rows(np.arange(k + 1)))
        missing = missing | (codes == k)
        joint = joint * (k + 1) + codes
        if len(names) > 1:
            # Numbered again after each column, so that the codes stay small.
            joint = np.unique(joint, return_inverse=True)[1].ravel()
    joint = np.where(missing, -1, joint)
    return joint[: len(rows)], joint[len(rows) :]


def find_exclusive_pairs(train: Dataset) -> list[tuple[str, str]]:
    """Return the pairs of label columns some values of which train never shows together.

    Values count that would occur together in 15 rows or more were the columns independent.
    """
    names = label_columns(train)[:MAX_COLUMNS]
    coded = {name: joint_codes(train.slice(0, 0), train, [name])[1] for name in names}
    kept = [name for name in names if 2 <= coded[name].max(initial=-1) + 1 <= _MAX_LEVELS]
    return [
        (a, b) for a, b in combinations(kept, 2) if find_exclusive_codes(coded[a], coded[b]).any()
    ]


def find_closed_columns(train: Dataset, max_unseen: float) -> list[str]:
    """Return the label columns of which new real rows hardly ever show a level that train lacks.

    The probability of an unseen level, at most `max_unseen`, is about the share of rows whose level
    occurs once (Good 1953, The Population Frequencies of Species, Biometrika 40).
    """
    found = []
    for name in label_columns(train):
        codes, levels = train.codes(name)
        counts = np.bincount(codes[codes >= 0], minlength=len(levels))
        if len(levels) and (counts == 1).sum() <= max_unseen * counts.sum():
            found.append(name)
    return found


def find_unseen_labels(rows: Dataset, train: Dataset, name: str) -> Bools:
    """Return the rows with a label that train does not have, shape (n,); a missing one is none."""
    return place_levels(rows, name, train.codes(name)[1], unknown=-1, missing=0) < 0


def find_exclusive_codes(a: Ints, b: Ints) -> Bools:
    """Return which codes never occur together though independent columns would show it, shape (k, l)."""
    both = (a >= 0) & (b >= 0)
    shape = int(a.max(initial=-1)) + 1, int(b.max(initial=-1)) + 1
    flat = np.bincount(a[both] * shape[1] + b[both], minlength=shape[0] * shape[1])
    table = flat.reshape(shape).astype(np.float64)
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / max(table.sum(), 1.0)
    return np.asarray((table == 0) & (expected >= _MIN_EXPECTED))


def find_exclusivity_violations(rows: Dataset, train: Dataset, pair: tuple[str, ...]) -> Bools:
    """Return the rows with two values that exclude each other in train, shape (n,)."""
    (a, train_a), (b, train_b) = (joint_codes(rows, train, [name]) for name in pair)
    table = find_exclusive_codes(train_a, train_b)
    # A value that train does not have excludes nothing.
    inside = (a >= 0) & (b >= 0) & (a < table.shape[0]) & (b < table.shape[1])
    out = np.zeros(len(rows), dtype=bool)
    out[inside] = table[a[inside], b[inside]]
    return out


def find_rows_unlike_train(left: Ints, right: Ints, train_left: Ints, train_right: Ints) -> Bools:
    """Return the rows whose right value is not the one that train has with their left, shape (n,).

    Of several right values in train the most frequent counts, of equally frequent ones the smallest.
    A left value that train does not have violates nothing.
    """
    present = (train_left >= 0) & (train_right >= 0)
    pairs = np.stack([train_left[present], train_right[present]], axis=1)
    distinct, counts = np.unique(pairs, axis=0, return_counts=True)
    order = np.lexsort((distinct[:, 1], -counts, distinct[:, 0]))
    lefts, first = np.unique(distinct[order, 0], return_index=True)
    answers = np.full(int(max(left.max(initial=-1), train_left.max(initial=-1))) + 2, -1)
    answers[lefts] = distinct[order, 1][first]
    expected = answers[left]
    return np.asarray((left >= 0) & (right >= 0) & (expected >= 0) & (right != expected))


def label_columns(train: Dataset) -> list[str]:
    """Return the columns of labels."""
    return [field.name for field in train.schema.of_kind("category", "boolean")]

"""Rules on labels: levels that real rows never have, and pairs of levels that never occur together."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset

from ._columns import NUMERIC

Codes = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

# Rows in which independent columns would show a pair of values: none at all then has the chance
# exp(-15), small beside the thousands of pairs that are looked at.
_MIN_EXPECTED = 15.0
_MAX_COLUMNS = 30  # of labels whose pairs are looked at: 435 tables
_MAX_LEVELS = 100  # of a column in pairs: of more, no pair of values is expected often enough


def joint_codes(rows: Dataset, train: Dataset, names: Sequence[str]) -> tuple[Codes, Codes]:
    """Return tuples of columns as codes that mean the same in both sets, shapes (n,) and (m,).

    Where one of the values is missing, -1.

    Examples
    --------
    >>> import pyarrow as pa
    >>> real = Dataset.from_arrow(pa.table({"c": ["b", "a", None]}))
    >>> joint_codes(real.slice(1, 2), real, ["c"])[1].tolist()
    [1, 0, -1]
    """
    joint = np.zeros(len(rows) + len(train), dtype=np.int64)
    missing = np.zeros(len(joint), dtype=bool)
    for name in names:
        if train.schema[name].kind in NUMERIC:
            both = np.concatenate([rows.values(name), train.values(name)])
            absent = np.isnan(both)
            codes = np.unique(both, return_inverse=True)[1].ravel()
        else:
            coded = [part.codes(name) for part in (rows, train)]
            every = sorted({level for _, levels in coded for level in levels})
            place = {level: i for i, level in enumerate(every)}
            absent = np.concatenate([own for own, _ in coded]) < 0
            codes = np.concatenate([np.array([*map(place.get, own), 0])[c] for c, own in coded])
        missing |= absent
        joint = joint * (int(codes.max(initial=0)) + 1) + codes
        if len(names) > 1:
            # Numbered again after each column, so that the codes stay small.
            joint = np.unique(joint, return_inverse=True)[1].ravel()
    joint = np.where(missing, -1, joint)
    return joint[: len(rows)], joint[len(rows) :]


def find_exclusive_pairs(train: Dataset) -> list[tuple[str, str]]:
    """Return the pairs of label columns some values of which train never shows together.

    Values count that would occur together in 15 rows or more were the columns independent: rare values
    occur with few others anyway.

    Examples
    --------
    >>> import pyarrow as pa
    >>> real = {"sex": ["f", "m"] * 50, "role": ["wife", "husband"] * 50}
    >>> find_exclusive_pairs(Dataset.from_arrow(pa.table(real)))
    [('sex', 'role')]
    """
    names = _label_columns(train)[:_MAX_COLUMNS]
    coded = {name: joint_codes(train.slice(0, 0), train, [name])[1] for name in names}
    kept = [name for name in names if 2 <= coded[name].max(initial=-1) + 1 <= _MAX_LEVELS]
    return [
        (a, b) for a, b in combinations(kept, 2) if find_exclusive_codes(coded[a], coded[b]).any()
    ]


def count_excluded_columns(train: Dataset) -> int:
    """Return how many label columns `find_exclusive_pairs` leaves out of a wide table."""
    return max(len(_label_columns(train)) - _MAX_COLUMNS, 0)


def find_closed_columns(train: Dataset, max_unseen: float) -> list[str]:
    """Return the label columns of which new real rows hardly ever show a level that train lacks.

    The probability of an unseen level is about the share of rows whose level occurs once (Good and
    Turing); it must be at most `max_unseen`.

    References
    ----------
    Good (1953), The Population Frequencies of Species and the Estimation of Population Parameters,
    Biometrika 40.

    Examples
    --------
    >>> import pyarrow as pa
    >>> real = {"sex": ["f", "m"] * 50, "name": [f"n{i}" for i in range(100)]}
    >>> find_closed_columns(Dataset.from_arrow(pa.table(real)), 0.005)
    ['sex']
    """
    found = []
    for name in _label_columns(train):
        codes, levels = train.codes(name)
        counts = np.bincount(codes[codes >= 0], minlength=len(levels))
        if len(levels) and (counts == 1).sum() <= max_unseen * counts.sum():
            found.append(name)
    return found


def find_unseen_labels(rows: Dataset, train: Dataset, name: str) -> Mask:
    """Return the rows with a label that train does not have, shape (n,); a missing one is none.

    Examples
    --------
    >>> import pyarrow as pa
    >>> real = Dataset.from_arrow(pa.table({"c": ["a", "b"]}))
    >>> other = Dataset.from_arrow(pa.table({"c": ["b", "B", None]}))
    >>> find_unseen_labels(other, real, "c").tolist()
    [False, True, False]
    """
    codes, levels = rows.codes(name)
    known = set(train.codes(name)[1])
    # The last place is that of a missing label, whose code is -1.
    return np.array([*[level not in known for level in levels], False])[codes]


def find_exclusive_codes(a: Codes, b: Codes) -> Mask:
    """Return which codes never occur together though independent columns would show it, shape (k, l).

    Parameters
    ----------
    a, b : numpy.ndarray of int, shape (n,)
        Codes from 0 on; -1 where a value is missing.

    Examples
    --------
    >>> a, b = np.repeat([0, 1], 50), np.repeat([0, 1], 50)
    >>> find_exclusive_codes(a, b).tolist()
    [[False, True], [True, False]]
    """
    both = (a >= 0) & (b >= 0)
    shape = int(a.max(initial=-1)) + 1, int(b.max(initial=-1)) + 1
    flat = np.bincount(a[both] * shape[1] + b[both], minlength=shape[0] * shape[1])
    table = flat.reshape(shape).astype(np.float64)
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / max(table.sum(), 1.0)
    return np.asarray((table == 0) & (expected >= _MIN_EXPECTED))


def find_exclusivity_violations(rows: Dataset, train: Dataset, pair: tuple[str, ...]) -> Mask:
    """Return the rows with two values that exclude each other in train, shape (n,)."""
    (a, train_a), (b, train_b) = (joint_codes(rows, train, [name]) for name in pair)
    table = find_exclusive_codes(train_a, train_b)
    # A value that train does not have excludes nothing.
    inside = (a >= 0) & (b >= 0) & (a < table.shape[0]) & (b < table.shape[1])
    out = np.zeros(len(rows), dtype=bool)
    out[inside] = table[a[inside], b[inside]]
    return out


def find_rows_unlike_train(
    left: Codes, right: Codes, train_left: Codes, train_right: Codes
) -> Mask:
    """Return the rows whose right value is not the one that train has with their left, shape (n,).

    Of several right values in train the most frequent counts, of equally frequent ones the smallest.
    A left value that train does not have violates nothing.

    Parameters
    ----------
    left, right : numpy.ndarray of int, shape (n,)
        Both values of the rows as codes from 0 on; -1 where one is missing.
    train_left, train_right : numpy.ndarray of int, shape (m,)
        The same of train, in the same codes.

    Examples
    --------
    >>> train = np.array([0, 0, 1]), np.array([5, 5, 6])
    >>> find_rows_unlike_train(np.array([0, 0, 1, 2]), np.array([5, 6, 6, 6]), *train).tolist()
    [False, True, False, False]
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


def _label_columns(train: Dataset) -> list[str]:
    return [field.name for field in train.schema.of_kind("category", "boolean")]

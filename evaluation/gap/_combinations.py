"""Labels that real rows never show, and values of two columns that they never show together."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset

Codes = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_LEAST_EXPECTED = 15.0
_MOST_COLUMNS, _MOST_LEVELS = 30, 100


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
    n = len(rows)
    joint = np.zeros(n + len(train), dtype=np.int64)
    missing = np.zeros(len(joint), dtype=bool)
    for name in names:
        if train.schema[name].has_order:
            both = np.concatenate([rows.values(name), train.values(name)])
            absent = np.isnan(both)
            codes = np.unique(both, return_inverse=True)[1].ravel()
        else:
            (a, levels_a), (b, levels_b) = rows.codes(name), train.codes(name)
            place = {level: i for i, level in enumerate(sorted({*levels_a, *levels_b}))}
            to_a, to_b = ([*[place[v] for v in levels], 0] for levels in (levels_a, levels_b))
            absent = np.concatenate([a, b]) < 0
            codes = np.concatenate([np.array(to_a)[a], np.array(to_b)[b]])
        missing |= absent
        joint = joint * (int(codes.max(initial=0)) + 1) + codes
        if len(names) > 1:
            # Numbered anew after each column, so that the codes stay small.
            joint = np.unique(joint, return_inverse=True)[1].ravel()
    joint = np.where(missing, -1, joint)
    return joint[:n], joint[n:]


def find_exclusive_pairs(train: Dataset) -> list[tuple[str, str]]:
    """Return the pairs of labels columns some values of which train never shows together.

    Values count that chance would bring together in 15 rows or more, were the columns independent:
    rare values are seen beside few others anyway.

    Examples
    --------
    >>> import pyarrow as pa
    >>> real = {"sex": ["f", "m"] * 50, "role": ["wife", "husband"] * 50}
    >>> find_exclusive_pairs(Dataset.from_arrow(pa.table(real)))
    [('sex', 'role')]
    """
    names = _labels(train)[:_MOST_COLUMNS]
    coded = {name: joint_codes(train.slice(0, 0), train, [name])[1] for name in names}
    kept = [name for name in names if 2 <= coded[name].max(initial=-1) + 1 <= _MOST_LEVELS]
    return [
        (a, b) for a, b in combinations(kept, 2) if find_exclusive_codes(coded[a], coded[b]).any()
    ]


def closed_labels(train: Dataset, open_fraction: float) -> list[str]:
    """Return the columns of labels of which fresh real rows hardly ever show one that train lacks.

    The chance of a label that was never seen is about the share of rows whose label was seen once
    (Good and Turing); it must be at most `open_fraction`.

    Examples
    --------
    >>> import pyarrow as pa
    >>> real = {"sex": ["f", "m"] * 50, "name": [f"n{i}" for i in range(100)]}
    >>> closed_labels(Dataset.from_arrow(pa.table(real)), 0.005)
    ['sex']
    """
    found = []
    for name in _labels(train):
        codes, levels = train.codes(name)
        counts = np.bincount(codes[codes >= 0], minlength=len(levels))
        if len(levels) and (counts == 1).sum() <= open_fraction * counts.sum():
            found.append(name)
    return found


def unseen_labels(rows: Dataset, train: Dataset, name: str) -> Mask:
    """Return the rows whose label train does not have, shape (n,); a missing one is none.

    Examples
    --------
    >>> import pyarrow as pa
    >>> real = Dataset.from_arrow(pa.table({"c": ["a", "b"]}))
    >>> made = Dataset.from_arrow(pa.table({"c": ["b", "B", None]}))
    >>> unseen_labels(made, real, "c").tolist()
    [False, True, False]
    """
    codes, levels = rows.codes(name)
    known = set(train.codes(name)[1])
    # The last place is that of a missing label, whose code is -1.
    return np.array([*[level not in known for level in levels], False])[codes]


def count_excluded_columns(train: Dataset) -> int:
    """Return how many columns of labels `find_exclusive_pairs` does not look at, being so many.

    Examples
    --------
    >>> import pyarrow as pa
    >>> count_excluded_columns(Dataset.from_arrow(pa.table({f"c{i}": ["a", "b"] for i in range(33)})))
    3
    """
    return max(len(_labels(train)) - _MOST_COLUMNS, 0)


def _labels(train: Dataset) -> list[str]:
    return [field.name for field in train.schema.of_kind("category", "boolean")]


def find_exclusive_codes(a: Codes, b: Codes) -> Mask:
    """Return which codes never stand together though chance would bring them, shape (k, l).

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
    return np.asarray((table == 0) & (expected >= _LEAST_EXPECTED))


def find_exclusivity_violations(rows: Dataset, train: Dataset, pair: tuple[str, str]) -> Mask:
    """Return the rows that show two values together which train keeps apart, shape (n,)."""
    (a, train_a), (b, train_b) = (joint_codes(rows, train, [name]) for name in pair)
    table = find_exclusive_codes(train_a, train_b)
    # A value that train does not have is kept apart from nothing.
    inside = (a >= 0) & (b >= 0) & (a < table.shape[0]) & (b < table.shape[1])
    out = np.zeros(len(rows), dtype=bool)
    out[inside] = table[a[inside], b[inside]]
    return out

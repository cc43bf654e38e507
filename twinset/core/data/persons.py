"""Persons behind the rows of a table, and how many of them hold a value."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset

Codes = npt.NDArray[np.int64]


def person_codes(dataset: Dataset) -> Codes:
    """Return the person of each row as a code from 0, shape (n,).

    Rows with the same value in the column with the role group are of one person; without such a
    column, those with the same identifier, if an identifier repeats (of several, the one with the
    most values). Otherwise, and where the value is missing, each row is a person.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from dataclasses import replace
    >>> visits = Dataset.from_arrow(pa.table({"who": ["a", "b", "a"], "x": [1.5, 2.5, 3.5]}))
    >>> group = replace(visits.schema["who"], role="group")
    >>> person_codes(replace(visits, schema=visits.schema.with_field(group))).tolist()
    [0, 1, 0]
    """
    own = np.arange(len(dataset), dtype=np.int64)
    groups = [field.name for field in dataset.schema.with_role("group")][:1]
    names = groups or [field.name for field in dataset.schema.with_role("identifier")]
    best: Codes | None = None
    for name in names:
        codes, levels = dataset.codes(name)
        if len(levels) < int((codes >= 0).sum()) and (best is None or len(levels) > best.max()):
            best = codes.astype(np.int64)
    if best is None:
        return own
    joint = np.where(best < 0, len(dataset) + own, best)
    return np.unique(joint, return_inverse=True)[1].ravel().astype(np.int64)


def count_holders(codes: Codes, persons: Codes, n_values: int) -> Codes:
    """Return how many persons hold each value, shape (n_values,).

    `codes`, shape (n,), are the values of rows, 0 to n_values - 1, and `persons` their persons.
    """
    if not len(codes):
        return np.zeros(n_values, dtype=np.int64)
    width = int(persons.max()) + 1
    pairs = np.unique(codes.astype(np.int64) * width + persons)
    return np.bincount(pairs // width, minlength=n_values)

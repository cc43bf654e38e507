"""Persons behind the rows of a table, and which levels enough of them hold to be named."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.data.marginal import min_holders

Codes = npt.NDArray[np.int64]

_MAX_NAMED = 20  # levels in one sentence: more would hide what it says


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


def shared_levels(dataset: Dataset, name: str) -> tuple[str, ...]:
    """Return the levels of a column that at least 11 persons hold (fewer in a small table), sorted.

    Examples
    --------
    >>> import pyarrow as pa
    >>> towns = Dataset.from_arrow(pa.table({"town": ["Rome"] * 30 + ["Oslo"] * 29 + ["Thule"]}))
    >>> shared_levels(towns, "town")
    ('Oslo', 'Rome')
    """
    codes, levels = dataset.codes(name)
    persons, there = person_codes(dataset), codes >= 0
    holders = count_holders(codes[there].astype(np.int64), persons[there], len(levels))
    enough = min_holders(int(persons.max(initial=-1)) + 1)
    return tuple(level for level, n in zip(levels, holders, strict=True) if n >= enough)


def with_shared_labels(
    dataset: Dataset,
    named: Mapping[str, Collection[object]],  # column -> labels that count as shared
) -> npt.NDArray[np.bool_]:
    """Return which rows have no label that one person alone holds, shape (n,).

    Examples
    --------
    >>> import pyarrow as pa
    >>> rows = Dataset.from_arrow(pa.table({"label": ["yes"] * 9 + ["no"] * 9 + ["alone"]}))
    >>> with_shared_labels(rows, {}).sum()
    np.int64(18)
    """
    shared, persons = np.ones(len(dataset), dtype=bool), person_codes(dataset)
    for field in dataset.schema.of_kind("category"):
        codes, levels = dataset.codes(field.name)
        there = codes >= 0
        holders = count_holders(codes[there].astype(np.int64), persons[there], len(levels))
        spelled = {str(one) for one in named.get(field.name, ())}
        is_shared = (holders > 1) | [level in spelled for level in levels]
        shared[there] &= is_shared[codes[there]]
    return shared


def spell_levels(dataset: Dataset, name: str) -> str:
    """Return the levels of a column as a list in words, with those of few persons only counted.

    Examples
    --------
    >>> import pyarrow as pa
    >>> towns = Dataset.from_arrow(pa.table({"town": ["Rome"] * 30 + ["Oslo"] * 29 + ["Thule"]}))
    >>> spell_levels(towns, "town")
    'Oslo, Rome, and 1 further level of fewer than 11 rows'
    """
    shared = shared_levels(dataset, name)
    shown = [*shared[:_MAX_NAMED], *(["..."] if len(shared) > _MAX_NAMED else [])]
    return ", ".join([*shown, *count_rare(dataset, len(dataset.codes(name)[1]) - len(shared))])


def count_rare(dataset: Dataset, n: int) -> list[str]:
    """Return the words for `n` levels that are not named, in a list; an empty one for none."""
    if not n:
        return []
    persons = person_codes(dataset)
    few = min_holders(int(persons.max(initial=-1)) + 1)
    noun = "rows" if len(np.unique(persons)) == len(dataset) else "persons"
    return [f"and {n:,} further level{'s' if n > 1 else ''} of fewer than {few} {noun}"]

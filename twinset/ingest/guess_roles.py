"""Guess the target, the group and the time among the columns of a file."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field

_TARGET_NAMES = (
    "target",
    "label",
    "class",
    "y",
    "outcome",
    "diagnosis",
    "churn",
    "fraud",
    "default",
)
_MAX_LABELS = 20  # a category with more levels is rather a name or a code than a class to predict
# Distinct ids as a share of the rows: a column with more identifies rows, not their owners.
_MAX_DISTINCT = 0.9
_TIME_NAME = re.compile(r"(^|_)(time|timestamp|datetime|date|ts|when)$", re.IGNORECASE)
_OTHER_DATE = re.compile(r"birth|dob|born|expir|valid|due|until|end", re.IGNORECASE)


@dataclass(frozen=True)
class GroupAndTime:
    """Columns with the entity and the time of a row; either may be unknown."""

    groups: tuple[str, ...] = ()  # of repeated ids: cards, customers; the first is to split by
    time: str = ""


def guess_target(dataset: Dataset) -> tuple[Field | None, str]:
    """Return the most likely target, and the reason in words.

    Only columns with 2 to 20 labels are considered: first by their names, then the last column.

    Examples
    --------
    >>> import pyarrow as pa
    >>> d = Dataset.from_arrow(pa.table({"label": ["a", "b", "a"], "x": [1.5, 2.5, 3.5]}))
    >>> guess_target(d)[0].name
    'label'
    """
    labels = [field for field in dataset.schema.fields if _has_labels(field)]
    for field in labels:
        name = field.name.lower()
        if name in _TARGET_NAMES or name.startswith("is_"):
            return field, "a guess by its name"
    last = dataset.schema.fields[-1]
    if last in labels:
        return last, "a guess: the last column, and it holds labels"
    return None, "no column looks like labels; name one here if models are to predict it"


def guess_group_and_time(dataset: Dataset) -> GroupAndTime:
    """Return the columns of repeated ids, and the time of the rows.

    A column is the time if no value is missing and the rows are in its order, or if it is a date in a table
    with a repeated id; not if its name is that of a birth or an end.

    Examples
    --------
    >>> import pyarrow as pa
    >>> n = np.arange(60)
    >>> table = pa.table({"card": [f"C-{i % 30}" for i in n], "when": n, "amount": n % 7 + 0.5})
    >>> guess_group_and_time(Dataset.from_arrow(table))
    GroupAndTime(groups=('card',), time='when')
    """
    groups = tuple(field.name for field in dataset.schema.of_kind("id") if _repeats(dataset, field))
    times = (field for field in dataset.schema.fields if _is_time(dataset, field, bool(groups)))
    return GroupAndTime(groups, next((field.name for field in times), ""))


def _repeats(dataset: Dataset, field: Field) -> bool:
    present = dataset.records.column(field.name).drop_null()
    return bool(pc.count_distinct(present).as_py() <= _MAX_DISTINCT * len(present))


def _is_time(dataset: Dataset, field: Field, has_groups: bool) -> bool:
    is_date = field.is_time
    named = field.is_numeric and _TIME_NAME.search(field.name)
    if not (is_date or named) or _OTHER_DATE.search(field.name):
        return False
    values = dataset.values(field.name)
    if len(values) < 2 or np.isnan(values).any() or values.min() == values.max():
        return False
    return (is_date and has_groups) or bool((np.diff(values) >= 0).all())


def _has_labels(field: Field) -> bool:
    if field.kind == "boolean":
        return True
    return field.kind == "category" and 2 <= len(field.levels or ()) <= _MAX_LABELS

"""Which column of a file is likely to be the one to predict, whose a row is, and when it happened."""

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
_MOST_LABELS = 20
_MOST_OWNERS = 0.9
"""A column of ids with more different ones than this share of the rows names rows, not their owners."""
_TIME_NAME = re.compile(r"(^|_)(time|timestamp|datetime|date|ts|when)$", re.IGNORECASE)
_OTHER_DATE = re.compile(r"birth|dob|born|expir|valid|due|until|end", re.IGNORECASE)


@dataclass(frozen=True)
class GroupAndTime:
    """Whose the rows are, and when they happened; either may not be known.

    Parameters
    ----------
    groups : tuple of str
        Columns of ids that come back: cards, customers, patients. The first is the one to split by.
    time : str
        Column of the time; empty where none looks like it.
    """

    groups: tuple[str, ...] = ()
    time: str = ""


def guess_target(dataset: Dataset) -> tuple[Field | None, str]:
    """Return the column that is most likely to be predicted, and the reason in words.

    Only columns with 2 to 20 labels are looked at: first by their names, then the last column.

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


def guess_owners(dataset: Dataset) -> GroupAndTime:
    """Return the ids that come back, and the time of the rows.

    A column is taken for the time if no value is missing and the rows stand in its order, or if it is a
    date in a table of which an id comes back; one whose name tells of births or of ends is not.

    Examples
    --------
    >>> import pyarrow as pa
    >>> n = np.arange(60)
    >>> table = pa.table({"card": [f"C-{i % 30}" for i in n], "when": n, "amount": n % 7 + 0.5})
    >>> guess_owners(Dataset.from_arrow(table))
    GroupAndTime(groups=('card',), time='when')
    """
    groups = tuple(field.name for field in dataset.schema.of_kind("id") if _repeats(dataset, field))
    times = (field for field in dataset.schema.fields if _is_time(dataset, field, bool(groups)))
    return GroupAndTime(groups, next((field.name for field in times), ""))


def _repeats(dataset: Dataset, field: Field) -> bool:
    present = dataset.records.column(field.name).drop_null()
    return bool(pc.count_distinct(present).as_py() <= _MOST_OWNERS * len(present))


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
    return field.kind == "category" and 2 <= len(field.levels or ()) <= _MOST_LABELS
